"""The page against the assembled model, and against Hugging Face transformers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from gpt.generation.sampling import Sampling
from gpt.generation.text import generate
from gpt.interop.families.table import FAMILIES
from gpt.interop.tensor_names import Tensors, import_model
from gpt.model import reference
from gpt.model.gpt import GPT
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.mlp import MLP
from gpt.spec.norm import RMSNorm
from gpt.spec.presets import PRESETS
from tests.gpt.conftest import ByteTokenizer
from tests.gpt.models import mean_loss

VOCAB, CONTEXT = 100, 32
BYTES = ByteTokenizer(end=None)
"""A tokenizer whose ids below `VOCAB` are ASCII, so that text and ids are one to one."""
ARCHITECTURES = {
    "gpt2": PRESETS["gpt2"](2, CONTEXT),
    "llama": PRESETS["llama"](2, CONTEXT),
    "llama, grouped": replace(
        PRESETS["llama"](4, CONTEXT), layers=2, attention=GroupedQuery(heads=4, kv_heads=2)
    ),
}


def page_config(architecture: Architecture) -> reference.Config:
    """The sizes of *architecture*, which is of one of the page's two shapes."""
    return reference.Config(
        vocab_size=VOCAB,
        context=architecture.context,
        layers=architecture.layers,
        heads=architecture.attention.heads,
        kv_heads=architecture.attention.kv_heads,
        width=architecture.width,
        hidden=architecture.mlp.hidden_width(architecture.width),
        llama=isinstance(architecture.norm, RMSNorm),
    )


def randomize(model: nn.Module) -> None:
    """Add noise to every parameter, so that none is zero or one."""
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=noise)


@pytest.fixture(params=ARCHITECTURES)
def models(request: pytest.FixtureRequest) -> tuple[GPT, reference.GPT]:
    """The assembled model and the page, with the same weights."""
    architecture = ARCHITECTURES[request.param]
    assembled = GPT(GPTConfig.over(architecture, VOCAB))
    randomize(assembled)
    page = reference.GPT(page_config(architecture))
    page.load_state_dict(assembled.state_dict())
    return assembled, page


def gradients(model: nn.Module) -> dict[str, Tensor | None]:
    """The gradient of each parameter, by name."""
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def some_ids(*shape: int) -> Tensor:
    """Ids below `VOCAB`, the same in every call."""
    return torch.randint(VOCAB, shape, generator=torch.Generator().manual_seed(1))


def test_the_page_gives_the_logits_of_the_assembled_model(
    models: tuple[GPT, reference.GPT],
) -> None:
    """Over a full context."""
    assembled, page = models
    ids = some_ids(2, CONTEXT)

    torch.testing.assert_close(page(ids), assembled(ids), rtol=1e-5, atol=1e-5)


def test_the_page_gives_the_loss_and_gradients_of_the_assembled_model(
    models: tuple[GPT, reference.GPT],
) -> None:
    """The gradient of every parameter, rows past the vocabulary included."""
    assembled, page = models
    ids, targets = some_ids(2, 2, CONTEXT)
    expected = mean_loss(assembled, ids, targets)
    loss = page.loss(ids, targets)
    expected.backward()
    loss.backward()

    torch.testing.assert_close(loss, expected)
    # Both add up in float32, in different orders: on some processors they are 2e-6 apart.
    torch.testing.assert_close(gradients(page), gradients(assembled), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_the_page_samples_the_ids_of_the_assembled_model(
    models: tuple[GPT, reference.GPT], temperature: float
) -> None:
    """Up to a full context, from the same seed."""
    assembled, page = models
    prompt, count = some_ids(1, 5), CONTEXT - 5
    sampling = Sampling(temperature=temperature, seed=3)
    text = bytes(prompt[0].tolist()).decode()
    text += "".join(generate(assembled, BYTES, text, max_tokens=count, sampling=sampling))
    torch.manual_seed(3)
    ids = page.generate(prompt, count, temperature)

    assert ids[0].tolist() == list(text.encode())


def test_the_page_samples_past_its_context(models: tuple[GPT, reference.GPT]) -> None:
    """From the last tokens that fit."""
    _, page = models
    ids = page.generate(some_ids(2, CONTEXT + 3), 4, temperature=0)

    assert ids.shape == (2, CONTEXT + 7)
    expected = page(ids[:, -CONTEXT - 1 : -1])[:, -1].argmax(-1)
    assert torch.equal(ids[:, -1], expected)


def opened(weights: Mapping[str, Tensor]) -> Tensors:
    """*weights* as those of a file."""
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    return Tensors(shapes, weights.__getitem__)


def test_the_page_gives_the_logits_of_gpt2_in_transformers() -> None:
    """In float64."""
    theirs = GPT2LMHeadModel(
        GPT2Config(vocab_size=VOCAB, n_positions=CONTEXT, n_embd=48, n_layer=2, n_head=4)
    )
    randomize(theirs)
    page = reference.GPT(
        reference.Config(
            vocab_size=VOCAB,
            context=CONTEXT,
            layers=2,
            heads=4,
            kv_heads=4,
            width=48,
            hidden=192,
        )
    )
    weights = theirs.state_dict()
    architecture = replace(
        PRESETS["gpt2"](2, CONTEXT), width=48, attention=GroupedQuery(heads=4, kv_heads=4)
    )
    assembled = import_model(
        GPTConfig.over(architecture, VOCAB),
        opened(weights),
        FAMILIES["gpt2"].names,
        unused=["lm_head.weight"],
    )
    page.load_state_dict(assembled.state_dict())
    ids = some_ids(2, CONTEXT)

    logits = page.double()(ids)
    torch.testing.assert_close(logits, theirs.double().eval()(ids).logits)


def test_the_page_gives_the_logits_of_llama_in_transformers() -> None:
    """With grouped heads, and a hidden width that is no multiple of 64."""
    theirs = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCAB,
            hidden_size=48,
            intermediate_size=100,
            num_hidden_layers=2,
            num_attention_heads=6,
            num_key_value_heads=2,
            max_position_embeddings=CONTEXT,
            rms_norm_eps=1e-5,
            tie_word_embeddings=False,
        )
    )
    randomize(theirs)
    page = reference.GPT(
        reference.Config(
            vocab_size=VOCAB,
            context=CONTEXT,
            layers=2,
            heads=6,
            kv_heads=2,
            width=48,
            hidden=100,
            llama=True,
        )
    )
    architecture = replace(
        PRESETS["llama"](2, CONTEXT),
        width=48,
        attention=GroupedQuery(heads=6, kv_heads=2),
        mlp=MLP(activation="silu", gated=True, hidden=100),
    )
    config = GPTConfig.over(architecture, VOCAB)
    assembled = import_model(config, opened(theirs.state_dict()), FAMILIES["llama"].names)
    page.load_state_dict(assembled.state_dict())
    ids = some_ids(2, CONTEXT)

    torch.testing.assert_close(page(ids), theirs.eval()(ids).logits, rtol=1e-5, atol=1e-5)
