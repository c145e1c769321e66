"""Adapters of tuned runs: their trained weights, apart from those of the base."""

from __future__ import annotations

import dataclasses

import torch

from gpt.adapt.weights import AdapterWeights, attach, detached
from gpt.adapt.wrapping import adapt, merge, train_rows, train_tables
from gpt.errors import CheckpointError, ConfigError
from gpt.model.gpt import GPT
from gpt.model.vocabulary import grow_vocabulary, token_tables
from gpt.optim.best import eval_weights
from gpt.optim.parameters import saved_tensors
from gpt.runs.reading import WEIGHT, Checkpoint
from gpt.spec.adapter import DoRA, LoRA


def adapter_spec(checkpoint: Checkpoint) -> LoRA | DoRA:
    """Return the spec of the adapter that the run of *checkpoint* trained.

    Raises CheckpointError if it has none.
    """
    spec = getattr(checkpoint.state.recipe.task, "adapter", None)
    if spec is None:
        raise CheckpointError(
            f"{checkpoint.folder}: the run has no adapter: all its weights were trained; tune the "
            "base with --lora or --dora for one"
        )
    adapter: LoRA | DoRA = spec
    return adapter


def adapted_model(checkpoint: Checkpoint) -> GPT:
    """Return the model of a tuned run with its adapter apart, as `Checkpoint.model` computes.

    Its frozen weights are those of the base, its trained ones the best or averaged ones, if the run
    keeps such. Raises CheckpointError if the run has no adapter.
    """
    spec, config = adapter_spec(checkpoint), checkpoint.config
    model = GPT(config).requires_grad_(False)
    if getattr(checkpoint.state.recipe.task, "train_rows", "new") == "all":
        train_tables(model, token_tables(model))
    elif new := new_tokens(checkpoint):
        train_rows(model, token_tables(model), config.vocab_size - new, config.vocab_size)
    adapt(model, spec, checkpoint.state.recipe.seed)
    trained = [part for part in model.parameters() if part.requires_grad]
    optimizer = torch.optim.SGD(trained)  # only holds the state, of which the best weights are part
    checkpoint.restore(model, optimizer)
    with eval_weights(model, optimizer):
        best = {name: part.detach().clone() for name, part in saved_tensors(model).items()}
    with torch.no_grad():
        for name, part in saved_tensors(model).items():
            part.copy_(best[name])
    return model.eval()


def new_tokens(checkpoint: Checkpoint) -> int:
    """Return how many tokens the run added to the vocabulary of its base."""
    name = f"embedding.rows.weight:{WEIGHT}"
    return len(checkpoint.optimizer_state.get(name, ()))


def adapter_of(checkpoint: Checkpoint) -> AdapterWeights:
    """Return the adapter of a tuned run; raises CheckpointError if it has none."""
    return detached(adapted_model(checkpoint))


def check_base(adapted: Checkpoint, base: Checkpoint) -> None:
    """Raise ConfigError if the run *adapted* was tuned from other weights than those of *base*."""
    suffix, state = f".base:{WEIGHT}", adapted.optimizer_state
    for key, tensor in state.items():
        has_new_rows = f"{key.removesuffix(suffix)}.rows.weight:{WEIGHT}" in state
        if not key.endswith(suffix) or has_new_rows:
            continue
        name = key.removesuffix(suffix).removesuffix(".lora") + ".weight"
        own = base.weights.get(name)
        if own is None or own.shape != tensor.shape or not torch.equal(own, tensor):
            raise ConfigError(
                f"{adapted.folder}: its adapter was trained on other weights than those of "
                f"{base.folder} (first difference: {name}); pass its own base"
            )


def with_adapter(
    base: Checkpoint, adapter: AdapterWeights, tokens: Checkpoint | None = None
) -> Checkpoint:
    """Return *base* with *adapter* merged into its weights, as a checkpoint to read models from.

    Its tokenizer and its other files are those of *tokens*, by default of *base*; the vocabulary of
    *tokens* can be larger. Raises ConfigError if *adapter* does not fit.
    """
    tokens = tokens or base
    model = grown(base.model(), tokens.config.vocab_size, seed=0)
    attach(model, adapter)
    merge(model)
    return dataclasses.replace(
        tokens,
        state=dataclasses.replace(
            base.state, config=model.config, fingerprint=tokens.state.fingerprint
        ),
        weights={name: tensor.detach() for name, tensor in saved_tensors(model).items()},
    )


def grown(model: GPT, vocab_size: int, seed: int) -> GPT:
    """Return *model* with *vocab_size* tokens, if it has fewer."""
    if vocab_size <= model.config.vocab_size:
        return model
    config = dataclasses.replace(model.config, vocab_size=vocab_size)
    return grow_vocabulary(model, config, seed)
