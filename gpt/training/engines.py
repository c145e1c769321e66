"""The engines that train one model in several processes: DDP, and FSDP2 for what no card holds.

Both add the gradients of all processes up. They do not average: the loss of a forward pass is
already its share of the step's, by how many targets it has.
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

from gpt.model.gpt import GPT
from gpt.parallel.world import World


def parallelize(
    model: GPT, how: Literal["ddp", "fsdp"], world: World, device: torch.device
) -> nn.Module:
    """Put *model* on *device*, to be trained by all of *world*; return what is to be called.

    ``ddp``: every process has all weights (Li 2020, arXiv:2006.15704). ``fsdp``: each has a slice
    of every weight, gradient and moment, and gathers a block's when it is computed (Zhao 2023,
    arXiv:2304.11277); parameters are then DTensors, so an optimizer is made after this.
    """
    if world.size == 1:
        return model.to(device)
    if how == "ddp":
        replica = DistributedDataParallel(model.to(device), gradient_as_bucket_view=True)
        replica.register_comm_hook(None, lambda _, bucket: _summed(bucket))
        return replica
    mesh = init_device_mesh(device.type, (world.size,))
    for module in (*model.blocks, model):
        # The root, too, gives its weights back after a forward pass: after an evaluation the
        # model's parameters would else be others than those that the optimizer has.
        fully_shard(module, mesh=mesh, reshard_after_forward=True)
        sharded = cast(FSDPModule, module)
        # gloo knows no other reduction than the sum in some versions of torch.
        sharded.set_force_sum_reduction_for_comms(True)
        sharded.set_gradient_divide_factor(1.0)
    return model


def no_sync(forward: nn.Module) -> AbstractContextManager[None]:
    """While entered, let gradients add up where they are: DDP sends them in a later pass.

    FSDP sends them in every pass, because the gradients of all weights would not fit.
    """
    if hasattr(forward, "no_sync"):
        return cast(DistributedDataParallel, forward).no_sync()
    return nullcontext()


def _summed(bucket: GradBucket) -> torch.futures.Future[Tensor]:
    """Add up a bucket of gradients."""
    work = dist.all_reduce(bucket.buffer(), async_op=True)
    return work.get_future().then(lambda done: cast(Tensor, done.value()[0]))
