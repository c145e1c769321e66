"""Functions called in several processes, with the environment that torchrun sets."""

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
from gpt.runs.store import Memory
from gpt.spec.recipe import Recipe
from gpt.training.loop import train
from gpt.training.tuning.run import tune
from tests.gpt.training.interrupted import StopAfter

# Processes are forked from a server that has no threads and has imported the slow packages.
FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(
    ["torch._dynamo", "torch.distributed.fsdp", "torch.distributed.checkpoint", "matplotlib.pyplot"]
)


@dataclass
class Observed:
    """What one process computed in a run."""

    step: int = 0
    """The last step."""
    score: float | None = None
    gradients: list[NDArray[Any]] = field(default_factory=list)
    """Complete gradients, in the order in which the optimizers received them."""


def in_processes(count: int, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Call *function* in *count* processes; return the result or the exception of each.

    The result of a killed process is None.
    """
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    pipes = [FORKSERVER.Pipe(duplex=False) for _ in range(count)]
    processes = [
        FORKSERVER.Process(target=_call, args=(rank, count, port, sender, function, arguments))
        for rank, (_, sender) in enumerate(pipes)
    ]
    for process in processes:
        process.start()
    results = []
    for process, (receiver, sender) in zip(processes, pipes, strict=True):
        sender.close()
        try:
            timeout = TimeoutError("no result after 90 seconds")
            results.append(receiver.recv() if receiver.poll(90) else timeout)
        except EOFError:
            results.append(None)
        receiver.close()
        process.kill() if isinstance(results[-1], TimeoutError) else process.join()
    return results


def _call(
    rank: int,
    count: int,
    port: int,
    sender: Connection,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    try:
        sender.send(function(*arguments))
    except Exception as error:
        sender.send(error)


def command(arguments: list[str]) -> tuple[int, str]:
    """Run `gpt` with *arguments*; return its exit code and its output on stderr."""
    with redirect_stderr(io.StringIO()) as printed:
        return main(arguments), printed.getvalue()


def run(recipe: Recipe, steps: int | None = None) -> Observed:
    """Train by *recipe*; if *steps* is given, the last process stops the run after them."""
    observed = Observed()
    stop_calls = iter(range(1000))

    def keep_gradients(optimizer: torch.optim.Optimizer, *rest: object) -> None:
        for group in optimizer.param_groups:
            observed.gradients += [complete(parameter.grad) for parameter in group["params"]]

    hook = register_optimizer_step_pre_hook(keep_gradients)
    try:
        with World.join() as world:
            last = world.rank == world.size - 1
            outcome = train(recipe, stop=lambda: next(stop_calls) == steps and last, world=world)
    finally:
        hook.remove()
    observed.step, observed.score = outcome.state.step, outcome.state.score
    return observed


def run_tuning(recipe: Recipe, steps: int = 1000) -> Observed:
    """Tune by *recipe*; the main process stops the run after *steps*, if it is longer."""
    stop = StopAfter(steps)
    with World.join() as world:
        state = tune(recipe, reporter=stop, stop=stop, world=world).outcome.state
    return Observed(step=state.step, score=state.score)


def run_in_memory(recipe: Recipe) -> dict[str, NDArray[Any]]:
    """Train by *recipe* in memory; return the weights that this process has at the end."""
    memory = Memory()
    with World.join() as world:
        train(recipe, store=memory, world=world)
    return {name: complete(weight) for name, weight in memory.model().named_parameters()}


def run_out_of_memory(recipe: Recipe) -> Observed:
    """Train by *recipe*; the second process runs out of memory in its third forward pass."""
    return _run_failing(recipe, torch.OutOfMemoryError)


def run_killed(recipe: Recipe) -> Observed:
    """Train by *recipe*; the second process is killed in its third forward pass."""
    return _run_failing(recipe, lambda: os.kill(os.getpid(), signal.SIGKILL))


def _run_failing(recipe: Recipe, fail: Callable[[], Exception | None]) -> Observed:
    forward, passes = GPT.forward, iter(range(1, 1000))

    def failing_forward(*arguments: Any, **options: Any) -> Any:
        if os.environ["RANK"] == "1" and next(passes) == 3 and (error := fail()):
            raise error
        return forward(*arguments, **options)

    GPT.forward = failing_forward  # type: ignore[method-assign]
    return run(recipe)


def complete(tensor: torch.Tensor) -> NDArray[Any]:
    """Return the complete *tensor*, which can be sharded among the processes."""
    full = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    array: NDArray[Any] = full.detach().clone().numpy()
    return array
