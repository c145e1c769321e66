"""Position encodings by their definitions, pair by pair: what the modules must agree with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gpt.data.shards import open_data, open_split
from gpt.errors import ConfigError
from gpt.evaluation.bits_per_byte import evaluate
from gpt.lab.apparatus.texts import english_shards
from gpt.lab.apparatus.training import DIVERGED
from gpt.model.gpt import GPT
from gpt.parallel.runtime import Runtime
from gpt.spec.position import T5

Compared = tuple[Tensor, Tensor]
"""What a module computes, and the same by its definition."""


def learned(encoding: Any, queries: Tensor) -> Compared:
    """x_t + p_t."""
    table = encoding.embedding.weight[: queries.shape[2]]
    return encoding.embed(torch.ones_like(table), 0), 1 + table


def sinusoidal(encoding: Any, queries: Tensor) -> Compared:
    """√d x_t + p_t; p_t,2i = sin(t / 10000^(2i/d)), p_t,2i+1 = cos of the same."""
    x = queries.new_ones(1, queries.shape[2], encoding.width)
    width = x.shape[-1]
    plain = [
        [
            (math.cos if i % 2 else math.sin)(t / 10_000 ** (i // 2 * 2 / width))
            for i in range(width)
        ]
        for t in range(x.shape[1])
    ]
    return encoding.embed(x, 0), math.sqrt(width) * x + x.new_tensor(plain)


def rotary(encoding: Any, queries: Tensor) -> Compared:
    """(q_i + √-1 q_(i + D/2)) e^(√-1 t θ_i), θ_i = 10000^(-2i/D)."""
    half = queries.shape[-1] // 2
    angles = torch.outer(
        torch.arange(queries.shape[2]).double(), 10_000.0 ** (-torch.arange(half).double() / half)
    )
    pairs = torch.complex(queries[..., :half], queries[..., half:])
    turned = pairs * torch.polar(torch.ones_like(angles), angles)
    return encoding.rotate(queries, 0), torch.cat((turned.real, turned.imag), dim=-1)


def alibi(encoding: Any, queries: Tensor) -> Compared:
    """-|i - j| 2^(-8h/H) for head h, from 1."""
    heads = queries.shape[1]
    plain = [
        -(2.0 ** (-8 * head / heads)) * _distances(queries).abs() for head in range(1, heads + 1)
    ]
    return encoding.row_bias(queries), torch.stack(plain)[None]


def t5(encoding: Any, queries: Tensor) -> Compared:
    """A number for the head and the bucket of the distance."""
    table = encoding.bias.weight
    exact, last = len(table) // 2, len(table) - 1

    def bucket(distance: int) -> int:
        if distance < exact:
            return max(0, distance)
        longer = math.log(distance / exact) / math.log(encoding.distance / exact)
        return min(last, exact + int(longer * (len(table) - exact)))

    buckets = [[bucket(int(d)) for d in row] for row in _distances(queries)]
    return encoding.row_bias(queries), table[torch.tensor(buckets)].movedim(-1, 0)[None]


def shaw(encoding: Any, queries: Tensor) -> Compared:
    """q_i a_c / √D, and Σ_j α_ij b_c; c is the distance, at most k."""
    keys, values = (
        each.weight[encoding.earlier - _distances(queries).clamp(0, encoding.earlier)]
        for each in (encoding.key, encoding.value)
    )  # (T, T, D)
    weights = torch.einsum("bhid,bhjd->bhij", queries, queries).softmax(-1).tril()
    index = torch.arange(queries.shape[2])[None]
    ours = encoding.value_bias(weights, index[:, :, None], index[:, None])
    plain = torch.einsum("bhid,ijd->bhij", queries, keys) / math.sqrt(queries.shape[-1])
    theirs = torch.einsum("bhij,ijd->bhid", weights, values)
    biases = torch.cat((_seen(encoding.row_bias(queries)), ours.flatten()))
    return biases, torch.cat((_seen(plain), theirs.flatten()))


def music(encoding: Any, queries: Tensor) -> Compared:
    """q_i E_(i - j) / √D."""
    return _seen(encoding.row_bias(queries)), _seen(gathered(encoding, queries))


def gathered(encoding: Any, queries: Tensor) -> Tensor:
    """Return q_i E_(i - j) / √D, by a vector for each pair of tokens: (B, H, T, T)."""
    vectors = encoding.vectors.weight.view(encoding.heads, encoding.rows, -1)
    pairs = vectors[:, _distances(queries).clamp(0, encoding.rows - 1)]  # (H or 1, T, T, D)
    scores: Tensor = (pairs @ queries[..., None])[..., 0]
    return scores / math.sqrt(queries.shape[-1])


DEFINITIONS: dict[str, Callable[[Any, Tensor], Compared]] = {
    "learned": learned,
    "sinusoidal": sinusoidal,
    "rotary": rotary,
    "ALiBi": alibi,
    "T5": t5,
    "Shaw": shaw,
    "Music": music,
}
"""By the name of an arm."""


@torch.no_grad()
def deviations(arm: str, gpt: GPT, tokens: int) -> dict[str, float]:
    """Return how far the encoding of *gpt* is from its definition, and from what follows of it."""
    shape = (2, gpt.config.attention.heads, tokens, gpt.config.head_width)
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(shape, dtype=torch.float64, generator=generator)
    encoding = gpt.position.in_layer(0)
    return {
        "error": _largest(*DEFINITIONS[arm](encoding, queries)),
        **{name: find(encoding, queries) for name, find in FACTS.get(arm, {}).items()},
    }


def sines_shift(encoding: Any, queries: Tensor, by: int = 5) -> float:
    """Return the largest deviation from PE(p + *by*) = M PE(p), M being a matrix of rotations."""
    table = encoding.embed(queries.new_zeros(1, queries.shape[2], encoding.width), 0)[0]
    return _largest(table[:-by] @ rotations(by, encoding.width).mT, table[by:])


def rotary_shift(encoding: Any, queries: Tensor) -> float:
    """Return how much scores of one query and one key depend on more than their distance."""
    turned = encoding.rotate(_first(queries), 0)
    scores = turned[0] @ turned[1].mT
    return _largest(scores[:, 1:, 1:], scores[:, :-1, :-1])


def rotary_norm(encoding: Any, queries: Tensor) -> float:
    """Return how much rotations change norms."""
    return _largest(encoding.rotate(queries, 0).norm(dim=-1), queries.norm(dim=-1))


FACTS: dict[str, dict[str, Callable[[Any, Tensor], float]]] = {
    "sinusoidal": {"shift": sines_shift},
    "rotary": {"shift": rotary_shift, "norm": rotary_norm},
}


def longer(gpt: GPT, context: int) -> GPT | None:
    """Return *gpt* with a longer context, or None if it has weights for each position."""
    try:
        extended = GPT(gpt.config.extended(context), None)
    except ConfigError:
        return None
    extended.load_state_dict(gpt.state_dict())
    return extended.to(gpt.device)


def bits_by_length(gpt: GPT | None, contexts: Sequence[int], device: str) -> list[float]:
    """Return the bits per byte of held-out English in windows of *contexts* tokens.

    They are infinite if *gpt* cannot read as many tokens, or has diverged.
    """
    bits = []
    for context in contexts:
        reader = gpt and longer(gpt, context)
        if reader is None:
            bits.append(DIVERGED)
        else:
            split = open_split(open_data(english_shards(reader.vocab_size)), "val")
            found = evaluate(reader, split, runtime=Runtime.choose(device, "float32"))
            bits.append(found.bits_per_byte)
    return bits


def rotations(shift: int, width: int) -> Tensor:
    """Return the matrix M with PE(p + shift) = M PE(p), whatever p is: (width, width), float64."""
    matrix = torch.zeros(width, width, dtype=torch.float64)
    for i in range(0, width, 2):
        angle = shift / 10_000 ** (i / width)
        cos, sin = math.cos(angle), math.sin(angle)
        matrix[i : i + 2, i : i + 2] = torch.tensor([[cos, sin], [-sin, cos]])
    return matrix


def t5_for(context: int) -> T5:
    """Return T5's buckets for texts of *context* tokens, in its proportions: 512 have 128."""
    return T5(buckets=max(4, context // 4), distance=max(8, context // 4))


def _distances(queries: Tensor) -> Tensor:
    """Return i - j for queries and keys at positions 0 to T - 1, (T, T)."""
    index = torch.arange(queries.shape[2], device=queries.device)
    return index[:, None] - index


def _first(queries: Tensor) -> Tensor:
    """Return the first of *queries* at all positions."""
    return queries[:, :, :1].expand_as(queries).contiguous()


def _largest(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max())


def _seen(scores: Tensor) -> Tensor:
    """Return the *scores* of pairs that a causal model has, flat."""
    return scores[..., _distances(scores) >= 0].flatten()


class Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes of the largest tensor that operations inside of the context make."""

    def __init__(self, width: int | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.width, self.bytes = width, 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Note the size of what *function* returns, if its last axis has the width."""
        results = function(*args, **(kwargs or {}))
        for each in tree_leaves(results):
            if isinstance(each, Tensor) and self.width in (None, each.shape[-1]):
                self.bytes = max(self.bytes, each.numel() * each.itemsize)
        return results
