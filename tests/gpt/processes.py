"""Runs in several processes, started as torchrun does, and what is seen of them from outside."""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import torch
from numpy.typing import NDArray
from torch.distributed.tensor import DTensor
from torch.optim.optimizer import register_optimizer_step_pre_hook

from gpt.__main__ import main
from gpt.model.gpt import GPT
from gpt.parallel.world import World
from gpt.spec.recipe import Recipe
from gpt.training.loop import train

# Forked from a server without threads that has imported what takes long, and nothing of ours.
STARTED = multiprocessing.get_context("forkserver")
STARTED.set_forkserver_preload(
    ["torch._dynamo", "torch.distributed.fsdp", "torch.distributed.checkpoint", "matplotlib.pyplot"]
)


@dataclass
class Observed:
    """What one process saw of a run."""

    step: int = 0
    """The last step that was made."""
    val_bpb: float | None = None
    gradients: list[NDArray[Any]] = field(default_factory=list)
    """Whole, as the optimizers got them, one after another."""


def in_processes(count: int, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Call *function* in *count* processes; return what it returned or raised in each.

    None for a process that was killed.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pipes = [STARTED.Pipe(duplex=False) for _ in range(count)]
    started = [
        STARTED.Process(target=_member, args=(rank, count, port, into, function, arguments))
        for rank, (_, into) in enumerate(pipes)
    ]
    for process in started:
        process.start()
    seen = []
    for process, (out, into) in zip(started, pipes, strict=True):
        into.close()
        try:
            seen.append(out.recv() if out.poll(90) else TimeoutError("90 s without an answer"))
        except EOFError:
            seen.append(None)
        out.close()
        process.kill() if isinstance(seen[-1], TimeoutError) else process.join()
    return seen


def _member(
    rank: int,
    count: int,
    port: int,
    into: Connection,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    try:
        into.send(function(*arguments))
    except Exception as error:
        into.send(error)


def command(arguments: list[str]) -> tuple[int, str]:
    """Run `gpt` with *arguments*; return its exit code and what it printed on stderr."""
    with redirect_stderr(io.StringIO()) as printed:
        return main(arguments), printed.getvalue()


def run(recipe: Recipe, steps: int | None = None) -> Observed:
    """Train by *recipe*; the last process asks for an end when *steps* have been made."""
    seen = Observed()
    asked = iter(range(1000))

    def gradients(optimizer: torch.optim.Optimizer, *rest: object) -> None:
        for group in optimizer.param_groups:
            seen.gradients += [whole(parameter.grad) for parameter in group["params"]]

    hook = register_optimizer_step_pre_hook(gradients)
    try:
        with World.join() as world:
            last = world.rank == world.size - 1
            outcome = train(recipe, stop=lambda: next(asked) == steps and last, world=world)
    finally:
        hook.remove()
    seen.step, seen.val_bpb = outcome.state.step, outcome.state.val_bpb
    return seen


def run_out_of_memory(recipe: Recipe) -> Observed:
    """Train by *recipe*, until the second process has no memory for its third forward pass."""
    return _with_trouble(recipe, torch.OutOfMemoryError)


def run_killed(recipe: Recipe) -> Observed:
    """Train by *recipe*, until the second process is killed in its third forward pass."""
    return _with_trouble(recipe, lambda: os.kill(os.getpid(), signal.SIGKILL))


def _with_trouble(recipe: Recipe, trouble: Callable[[], Exception | None]) -> Observed:
    forward, passes = GPT.forward, iter(range(1, 1000))

    def troubled(*arguments: Any, **named: Any) -> Any:
        if os.environ["RANK"] == "1" and next(passes) == 3 and (error := trouble()):
            raise error
        return forward(*arguments, **named)

    GPT.forward = troubled  # type: ignore[method-assign]
    return run(recipe)


def whole(tensor: torch.Tensor) -> NDArray[Any]:
    """All of *tensor*, whose slices the processes may have."""
    full = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    array: NDArray[Any] = full.detach().clone().numpy()
    return array
