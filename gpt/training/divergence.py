"""What ends a run that diverged, and what it leaves to look at: a small file of its last batch.

::

    runs/first/diverged/step-00000042.safetensors
        inputs, targets     int64 (rows, context): all that the step read
        document_ids           where they are kept apart: which each of the inputs is of
        loss, lr            float32 (): of the step, in nats per token; its learning rate
        weight:<name>       float32 (): the norm of each parameter
        gradient:<name>     float32 (): the norm of its gradient, before it was clipped
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from gpt.data.batch import Batch
from gpt.errors import TrainingError
from gpt.model.gpt import GPT
from gpt.parallel.sharded import gathered
from gpt.parallel.world import World
from pytok.atomic import replace_file


def first_non_finite(model: GPT, optimizer: torch.optim.Optimizer) -> str | None:
    """Name the first weight, or tensor of *optimizer*, that is not finite; None where all are."""

    def kept() -> Iterator[tuple[str, Tensor]]:
        for name, parameter in model.named_parameters():
            yield name, parameter
            for key, tensor in optimizer.state[parameter].items():
                yield f"{key} of {name}", tensor

    return _not_finite(kept())


def divergence_error(
    run: Path,
    step: int,
    batches: Sequence[Batch],
    model: GPT,
    optimizer: torch.optim.Optimizer,
    *,
    loss: float,
    checkpoint: Path | None,
    world: World,
) -> TrainingError:
    """Make the error of a run that diverged at *step* with *loss*, and write the file.

    *model* has the gradients of *batches*; *checkpoint* is the newest there is. All of *world* call
    this, and the main process writes.
    """
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    if name := first_non_finite(model, optimizer):
        cause = f"{name} is not finite"
    elif not math.isfinite(loss):
        cause = f"the loss is {loss}"
    else:
        cause = f"the gradient of {_not_finite(gradients.items())} is not finite"
    tensors = {
        "inputs": torch.cat([batch.inputs for batch in batches]),
        "targets": torch.cat([batch.targets for batch in batches]),
        "loss": torch.tensor(loss),
        "lr": torch.tensor(optimizer.param_groups[0]["lr"]),
        **{
            f"weight:{name}": gathered(p.detach().norm()).cpu()
            for name, p in model.named_parameters()
        },
        **{
            f"gradient:{name}": gathered(gradient.norm()).cpu()
            for name, gradient in gradients.items()
        },
    }
    document_ids = [batch.document_ids for batch in batches if batch.document_ids is not None]
    if document_ids:
        tensors["document_ids"] = torch.cat(document_ids)
    path = run / "diverged" / f"step-{step:08d}.safetensors"
    try:
        if world.is_main:
            path.parent.mkdir(exist_ok=True)
            replace_file(path, save(tensors))
        batch = f"its batch is in {path}"
    except OSError as error:
        batch = f"its batch cannot be written ({error.strerror})"
    world.wait()  # no other process tells of a file that is not there yet
    rescue = f"{checkpoint.name} is kept" if checkpoint else "there is no checkpoint yet"
    return TrainingError(
        f"step {step} diverged: {cause}; {batch}; {rescue}; "
        "lower lr, or raise warmup, and train into another --out"
    )


def _not_finite(tensors: Iterable[tuple[str, Tensor]]) -> str | None:
    return next(
        (name for name, tensor in tensors if not bool(gathered(tensor.isfinite().all()))), None
    )
