"""A linear transformer that learns regression in context, as a function of its parameters.

A prompt Z (D + 1, N + 1) has N examples [x; y] and a query [x; 0]. No softmax, no MLP, no norm. Ahn
2023, arXiv:2310.01082; the construction of gradient descent is von Oswald's, arXiv:2212.07677.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import grad, hessian

from gpt.lab.apparatus.norms import EXACT, difference
from gpt.lab.checks import Below
from gpt.lab.experiment import Figures, Part, Setting

D, N = 5, 20
"""Features of x, and examples of a prompt."""
RATE = 0.1
"""Of the gradient descent that layers are constructed for."""
SHAPE = (2, D + 1, D + 1)
"""P and Q of a layer."""
LAYERS = 3
"""Of a model that is trained."""


def prompts(
    count: int, generator: torch.Generator, *, heavy: bool = False
) -> tuple[Tensor, Tensor]:
    """Return prompts (count, D + 1, N + 1) of y = w x, and the labels (count,) of their queries.

    w and x are normal; with *heavy* tails x is √Γ(0.1, scale 10) times a point on the unit sphere.
    """
    x = torch.randn(count, D, N + 1, generator=generator)
    if heavy:
        squared = 10 * torch._standard_gamma(
            torch.full((count, 1, N + 1), 0.1), generator=generator
        )
        x = squared.sqrt() * x / x.norm(dim=1, keepdim=True)
    w = torch.randn(count, D, 1, generator=generator)
    y = (w * x).sum(1, keepdim=True)
    z = torch.cat((x, y), 1)
    z[:, -1, -1] = 0
    return z, y[:, 0, -1]


def start(seed: int, device: str = "cpu") -> Tensor:
    """Return parameters that are small and random."""
    generator = torch.Generator().manual_seed(seed)
    return (0.02 * torch.randn(LAYERS, *SHAPE, generator=generator)).to(device)


def transform(parameters: Tensor, z: Tensor) -> Tensor:
    """Return Z after the layers of *parameters* (L, 2, D + 1, D + 1): Z ← Z + P Z M (Zᵀ Q Z) / N.

    M masks the query, to which nothing attends.
    """
    for p, q in parameters:
        examples = z[..., :-1]
        z = z + p @ (examples @ examples.mT) @ (q @ z) / N
    return z


def errors(parameters: Tensor, z: Tensor, y: Tensor) -> Tensor:
    """Return Z[D + 1, N + 1] + y of each prompt: the model's prediction has the other sign."""
    return transform(parameters, z)[..., -1, -1] + y


def loss(parameters: Tensor, z: Tensor, y: Tensor) -> Tensor:
    """Return the mean of the squared errors."""
    return errors(parameters, z, y).square().mean()


def typical_loss(parameters: Tensor, z: Tensor, y: Tensor) -> Tensor:
    """Return the median of squared errors, each by its label's square: a prediction of 0 has 1.

    A few prompts are most of the mean; of heavy-tailed ones it does not converge.
    """
    return (errors(parameters, z, y) / y).square().median()


def by_sums(layer: Tensor, z: Tensor) -> Tensor:
    """Return Z after one *layer*, pair by pair, as plainly as can be."""
    (p, q), after = layer, z.clone()
    for i in range(N):  # the query, which is the last, is not attended to
        for j in range(N + 1):
            scores = torch.einsum("ba,ac,bc->b", z[:, :, i], q, z[:, :, j])
            after[:, :, j] += scores[:, None] * (z[:, :, i] @ p.T) / N
    return after


def robust_condition(parameters: Tensor, z: Tensor, y: Tensor) -> float:
    """Return the largest element of the diagonal of the Hessian, by their median."""
    curvature = hessian(lambda flat: loss(flat.view(parameters.shape), z, y))(parameters.flatten())
    diagonal = curvature.diagonal().abs()
    return float(diagonal.max() / diagonal.median())


def directional_smoothness(before: Tensor, after: Tensor, z: Tensor, y: Tensor) -> float:
    """Return s · (change of the gradient) / |s|² of the step s from *before* to *after*."""
    step, change = after - before, grad(loss)(after, z, y) - grad(loss)(before, z, y)
    return float((step * change).sum() / step.square().sum())


def descent(layers: int, rate: float, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return the parameters of which each layer is a step of gradient descent."""
    parameters = torch.zeros(layers, *SHAPE, dtype=dtype)
    parameters[:, 0, -1, -1] = 1
    parameters[:, 1, :D, :D] = -rate * torch.eye(D, dtype=dtype)
    return parameters


def predicted_by_descent(z: Tensor, steps: int, rate: float) -> Tensor:
    """Return w x of each query after *steps* of gradient descent from 0 on Σ (w x - y)² / 2N."""
    x, y = z[:, :D, :-1], z[:, D:, :-1]
    w = torch.zeros(len(z), 1, D, dtype=z.dtype)
    for _ in range(steps):
        w = w - rate * (w @ x - y) @ x.mT / N
    return (w @ z[:, :D, -1:]).flatten()


def is_descent(setting: Setting) -> Figures:
    """Compare layers that are constructed with steps of gradient descent, and with a plain sum."""
    z, _ = prompts(16, torch.Generator().manual_seed(0))
    z, steps = z.double(), int(setting.arm.split()[0])
    ours = transform(descent(steps, RATE), z)
    generator = torch.Generator().manual_seed(1)
    random = torch.randn(*SHAPE, dtype=torch.float64, generator=generator)
    return {
        "descent": difference(-ours[:, -1, -1], predicted_by_descent(z, steps, RATE)),
        "plain": difference(transform(random[None], z), by_sums(random, z)),
    }


CONSTRUCTION = Part(
    name="construction",
    kind="EXACT",
    arms=["1 layer", "3 layers"],
    measure=is_descent,
    sizes=EXACT,
    checks=[
        check
        for arm in ("1 layer", "3 layers")
        for check in (
            Below(claim=f"{arm}: descent", arm=arm, figure="descent", bound=1e-12),
            Below(claim=f"{arm}: the sums", arm=arm, figure="plain", bound=1e-10),
        )
    ],
)
"""Layers that are constructed are steps of gradient descent, and all layers are plain sums."""
