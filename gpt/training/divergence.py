"""The error of a diverged run, and a small file of its last batch to inspect.

::

    runs/first/diverged/step-00000042.safetensors
        inputs, targets     int64 (rows, row length): the batch of the step
        document_ids        int64 (rows, row length): with `Recipe.document_mask`, and for chats
        sources             int64 (rows, source length): of pairs
        loss                float32 (): of the step, in nats per token
        lr                  float32 (): of the step
        weight:<name>       float32 (): norm of each parameter
        gradient:<name>     float32 (): norm of its gradient, before clipping
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from gpt.data.batch import IGNORED, NO_TOKEN, Batch
from gpt.errors import TrainingError
from gpt.model.model import Model
from gpt.optim.parameters import saved_tensors
from gpt.parallel.sharded import gathered
from gpt.parallel.world import World
from gpt.runs.store import Store


def first_non_finite(model: Model, optimizer: torch.optim.Optimizer) -> str | None:
    """Name the first weight or optimizer tensor with a NaN or infinite value; None without one."""

    def in_checkpoint() -> Iterator[tuple[str, Tensor]]:
        for name, own in saved_tensors(model).items():
            yield name, own
            for key, tensor in optimizer.state.get(own, {}).items():
                yield f"{key} of {name}", tensor

    return _first_non_finite_name(in_checkpoint())


def divergence_error(
    store: Store,
    step: int,
    batches: Sequence[Batch],
    model: Model,
    optimizer: torch.optim.Optimizer,
    *,
    loss: float,
    world: World,
) -> TrainingError:
    """Return the error of a run that diverged at *step* with *loss*, and write the file.

    *model* has the unclipped gradients of *batches*. All processes of *world* call this; the main
    one writes to *store*.
    """
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    if name := first_non_finite(model, optimizer):
        cause = f"{name} is not finite"
    elif not math.isfinite(loss):
        cause = f"the loss is {loss}"
    else:
        cause = f"the gradient of {_first_non_finite_name(gradients.items())} is not finite"
    tensors = {
        **_joined(batches),
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
    batch = ""
    try:
        if world.is_main:
            batch = f"its batch is in {store.write_diverged(step, tensors)}"
    except OSError as error:
        batch = f"its batch cannot be written ({error.strerror})"
    world.wait()  # an error of another process would end the main one before the file is written
    checkpoint = store.newest()
    rescue = f"{checkpoint.name} is kept" if checkpoint else "there is no checkpoint yet"
    return TrainingError(
        f"step {step} diverged: {cause}; {batch}; {rescue}; "
        "lower lr or raise warmup, and choose another --out"
    )


def _joined(batches: Sequence[Batch]) -> dict[str, Tensor]:
    """Return the tensors of *batches* by name, shorter rows padded."""
    joined, paddings = {}, {"targets": IGNORED, "sources": NO_TOKEN}
    fields = [batch.tensors() for batch in batches]
    for name in fields[0] if fields else ():
        padding, tensors = paddings.get(name, 0), [each[name] for each in fields]
        if tensors[0].ndim > 1:
            longest = max(tensor.shape[1] for tensor in tensors)
            tensors = [F.pad(each, (0, longest - each.shape[1]), value=padding) for each in tensors]
        joined[name] = torch.cat(tensors)
    return joined


def _first_non_finite_name(tensors: Iterable[tuple[str, Tensor]]) -> str | None:
    """Return the name of the first of *tensors* with a NaN or infinite value; None without one."""
    flags = {name: gathered(tensor.isfinite().all()) for name, tensor in tensors}
    if not flags:
        return None
    # Read together: the host waits for the device once, not for each tensor.
    device = next(iter(flags.values())).device
    finite = torch.stack([flag.to(device) for flag in flags.values()]).tolist()
    return next((name for name, each in zip(flags, finite, strict=True) if not each), None)
