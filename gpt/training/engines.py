"""Data parallelism: DDP, and FSDP2 for models that do not fit in the memory of one GPU.

Both sum the gradients of all processes. They do not average them: the loss of a forward pass is
already scaled by its fraction of the step's targets.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._C._distributed_c10d import GradBucket
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from gpt.model.model import Model
from gpt.nn.quantized.weight import QuantizedWeight
from gpt.parallel.world import World


def parallelize(
    model: Model, how: Literal["ddp", "fsdp"], world: World, device: torch.device
) -> nn.Module:
    """Move *model* to *device* and wrap it for *world*; return the module to call.

    ``ddp``: every process has all weights (Li 2020, arXiv:2006.15704). ``fsdp``: each process has a
    slice of every weight, gradient and optimizer tensor, and gathers the weights of a block when it
    computes it (Zhao 2023, arXiv:2304.11277). Its parameters are DTensors: build the optimizer
    after this call. Quantized weights are small, and not trained: every process has all of them.
    """
    if world.size == 1:
        return model.to(device)
    if how == "ddp":
        replica = DistributedDataParallel(model.to(device), gradient_as_bucket_view=True)
        replica.register_comm_hook(None, lambda _, bucket: _sum_bucket(bucket))
        return replica
    mesh = init_device_mesh(device.type, (world.size,))
    frozen = [part.to(device) for part in model.modules() if isinstance(part, QuantizedWeight)]
    whole = {parameter for part in frozen for parameter in part.parameters()}
    for module in (*model.units, model):
        # The root reshards after a forward pass, too. Otherwise, after an evaluation, the model's
        # parameters would be other tensors than the optimizer's.
        fully_shard(module, mesh=mesh, reshard_after_forward=True, ignored_params=whole)
        sharded = cast(FSDPModule, module)
        # In some versions of torch, gloo supports no other reduction than the sum.
        sharded.set_force_sum_reduction_for_comms(True)
        sharded.set_gradient_divide_factor(1.0)
        # Its buffers are made by the first gathering. Those of an evaluation, before the first
        # step, would be tensors of inference mode, which no step can write to.
        sharded.unshard()
        sharded.reshard()
    return model


def no_sync(forward: nn.Module) -> AbstractContextManager[None]:
    """Return a context in which backward passes accumulate gradients without communication.

    DDP sums them in the next pass outside of it. FSDP communicates in every pass, since the
    complete gradients would not fit in memory.
    """
    if hasattr(forward, "no_sync"):
        return cast(DistributedDataParallel, forward).no_sync()
    return nullcontext()


def _sum_bucket(bucket: GradBucket) -> torch.futures.Future[Tensor]:
    """Sum a bucket of gradients over all processes."""
    work = dist.all_reduce(bucket.buffer(), async_op=True)
    return work.get_future().then(lambda done: cast(Tensor, done.value()[0]))
