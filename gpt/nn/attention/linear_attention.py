"""Linear attention: sums over the past instead of a softmax over it.

B: batch size, T: new tokens, H: query heads, K: key and value heads, G: H / K, D: width of a head.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.nn.context import Context
from gpt.nn.linear import FusedLinear, apply_linears
from gpt.nn.mechanism import BranchOutput, Mechanism, Mixed
from gpt.nn.site import Site
from gpt.nn.state import Constant
from gpt.spec import linear_attention

FEATURES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "elu1": lambda x: F.elu(x) + 1,
    "relu": F.relu,
    "relu2": lambda x: F.relu(x).square(),
    "exp": torch.exp,
    "softmax": lambda x: x.softmax(-1),
    "identity": lambda x: x,
}
"""Functions of queries and keys. elu1: Katharopoulos 2020; relu: Kasai 2021 (T2R),
arXiv:2103.13076; relu2: So 2021 (Primer), arXiv:2109.08668, as a feature; softmax: Shen 2018,
arXiv:1812.01243; identity: as in RetNet and most of its successors, arXiv:2307.08621."""


class LinearAttention(Mechanism):
    """φ(q_t) Σ φ(k_s) v_sᵀ / (φ(q_t) · Σ φ(k_s) + ε), Σ over s ≤ t. arXiv:2006.16236.

    Katharopoulos 2020. Positions rotate φ(q) and φ(k) in the numerator only (Su 2021, RoFormer,
    arXiv:2104.09864, section 3.3). Both sums are all that decoding keeps: it is a recurrent
    network. Otherwise tokens are compared pair by pair within a chunk, and read the sums of the
    earlier chunks (Hua 2022, arXiv:2202.10447), so that time and memory, of the backward pass, too,
    are linear in T; with one chunk that is the parallel form, quadratic in T. All of it is computed
    in float32 at least.
    """

    FUSIBLE: ClassVar[tuple[str, ...]] = ("query", "key", "value")

    def __init__(self, spec: linear_attention.LinearAttention, site: Site) -> None:
        super().__init__()
        width, bias = site.width, site.architecture.bias
        spec = spec.resolved(width)
        assert spec.kv_heads is not None
        assert spec.head_width is not None
        assert spec.scale is not None
        self.heads, self.kv_heads, self.head_width = spec.heads, spec.kv_heads, spec.head_width
        self.feature, self.scale = FEATURES[spec.feature], spec.scale
        self.eps = spec.eps if spec.normalize else None
        self.chunk = spec.chunk
        self.query = nn.Linear(width, spec.heads * spec.head_width, bias=bias)
        self.key = nn.Linear(width, spec.kv_heads * spec.head_width, bias=bias)
        self.value = nn.Linear(width, spec.kv_heads * spec.head_width, bias=bias)
        self.fused: FusedLinear | None = None
        self.output = BranchOutput(spec.heads * spec.head_width, width, bias=bias)

    def forward(self, x: Tensor, context: Context, state: Constant | None = None) -> Mixed:
        """Attend from x (B, T, width) to x and the tokens in *state*, which gets those of x."""
        queries, keys, values = apply_linears(self, x)
        values = context.mixed_values(values)
        precise = torch.promote_types(x.dtype, torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            queries, keys, values = (
                self._split_heads(each.to(precise)) for each in (queries, keys, values)
            )  # (B, K, G or 1, T, D)
            queries, keys = self.feature(queries) * self.scale, self.feature(keys)
            mixed = self._mix(queries, keys, values, context, state)
        y: Tensor = self.output(mixed.permute(0, 3, 1, 2, 4).flatten(2).to(x.dtype))
        return y, None

    def new_state(self, batch: int, dtype: torch.dtype) -> Constant:
        """Create what *batch* rows keep: Σ φ(k) vᵀ and Σ φ(k), in float32 at least."""
        dtype = torch.promote_types(dtype, torch.float32)
        like = torch.empty(0, dtype=dtype, device=self.key.weight.device)
        shapes = ((batch, self.kv_heads, 1, rows, self.head_width) for rows in (self.head_width, 1))
        return Constant(*map(like.new_zeros, shapes))

    def mixing_flops(self, context: int) -> int:
        """Count products of pairs in a chunk, and products with the sums of earlier chunks."""
        pairs = 2 * self.heads * min(self.chunk, context)
        earlier = (self.heads + self.kv_heads) * self.head_width if context > self.chunk else 0
        return 2 * self.head_width * (pairs + earlier)

    def _mix(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        context: Context,
        state: Constant | None,
    ) -> Tensor:
        """Return the outputs of all heads, (B, K, G, T, D)."""
        rotated_queries, rotated_keys = (
            context.position.rotate(each.flatten(1, 2), context.positions).view(each.shape)
            for each in (queries, keys)
        )
        form: Step | Chunks = Step()
        if state is None or queries.shape[-2] > 1:
            form = Chunks.of(queries, self.chunk, context.document_ids)
        first = (None, None) if state is None else state.tensors
        mixed, last = form.products(rotated_queries, rotated_keys, values, first[0])
        if state is not None and last is not None:
            state.tensors[0] = last
        if self.eps is None:
            return mixed
        sums, last = form.sums(keys, first[1])
        if state is not None:
            state.tensors[1] = last
        return mixed / ((queries * sums).sum(-1, keepdim=True) + self.eps)

    def _split_heads(self, x: Tensor) -> Tensor:
        """(B, T, heads · D) → (B, K, heads / K, T, D)."""
        batch, tokens, _ = x.shape
        return x.view(batch, tokens, self.kv_heads, -1, self.head_width).permute(0, 2, 3, 1, 4)


class Step:
    """The recurrent form, for a single token."""

    def products(
        self, query: Tensor, key: Tensor, value: Tensor, first: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return q Σ k_s v_sᵀ and Σ k_s v_sᵀ, *first* being the sum before the token."""
        last = key.mT * value if first is None else first + key.mT * value
        return query @ last, last

    def sums(self, key: Tensor, first: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return Σ k_s, twice; *first* is the sum before the token."""
        last = key if first is None else first + key
        return last, last


@dataclass(frozen=True)
class Chunks:
    """The parallel form, for T tokens as N chunks of C tokens.

    Pairs are compared within a chunk, and sums are carried from one chunk to the next, if both are
    of one document.
    Tensors of tokens are (..., T, D) outside, and (..., N, C, D) inside.
    """

    tokens: int
    size: int
    allowed: Tensor
    """Which earlier tokens of its chunk, and itself, a token reads: bool, (C, C), or
    (B, 1, 1, N, C, C) if documents differ."""
    continued: Tensor | None = None
    """Which tokens are of the document with which the chunk before ends: bool (B, 1, 1, N, C, 1).
    None if all are."""
    ending: Tensor | None = None
    """Which tokens are of the document with which their chunk ends, likewise."""

    @classmethod
    def of(cls, like: Tensor, size: int, document_ids: Tensor | None) -> Chunks:
        """Divide tokens as those of *like* (..., T, D), of *document_ids* (B, T), by *size*."""
        tokens = like.shape[-2]
        size = min(size, tokens)
        allowed = torch.ones(size, size, dtype=torch.bool, device=like.device).tril()
        if document_ids is None:
            return cls(tokens, size, allowed)
        ids = torch.cat((document_ids, document_ids[:, -1:].expand(-1, -tokens % size)), dim=1)
        ids = ids.view(len(ids), 1, 1, -1, size)  # (B, 1, 1, N, C)
        ends = ids[..., -1:]
        before = torch.cat((ids[..., :1, :1], ends[..., :-1, :]), dim=-2)  # no chunk before: itself
        return cls(
            tokens,
            size,
            allowed & (ids[..., :, None] == ids[..., None, :]),
            continued=(ids == before)[..., None],
            ending=(ids == ends)[..., None],
        )

    def products(
        self, queries: Tensor, keys: Tensor, values: Tensor, first: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return q_t Σ k_s v_sᵀ for each token, and Σ k_s v_sᵀ after the last one.

        *first* is that sum before the first token; without it and with one chunk, the sum after the
        last token is not computed.
        """
        queries, keys, values = map(self._split, (queries, keys, values))
        scores = (queries @ keys.mT).masked_fill(~self.allowed, 0)
        mixed, after = scores @ values, None
        if first is not None or queries.shape[-3] > 1:
            added = _masked(keys, self.ending).mT @ values
            before, after = self._carry(added, first)
            mixed = mixed + _masked(queries @ before, self.continued)
        return self._join(mixed), after

    def sums(self, keys: Tensor, first: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return Σ k_s for each token, and after the last one; *first* is that before the first."""
        keys = self._split(keys)
        added = _masked(keys, self.ending).sum(-2, keepdim=True)
        before, after = self._carry(added, first)
        if self.continued is None:
            summed = keys.cumsum(-2) + before
        else:
            summed = self.allowed.to(keys.dtype) @ keys + before * self.continued
        return self._join(summed), after

    def _carry(self, added: Tensor, first: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the sums before each chunk (..., N, D, E), and after the last, (..., D, E).

        *added* (..., N, D, E) is what each chunk adds to them for the document with which it ends.
        """
        first = torch.zeros_like(added[..., 0, :, :]) if first is None else first
        if self.continued is None:
            sums = torch.cat((first[..., None, :, :], added), dim=-3).cumsum(-3)
            return sums[..., :-1, :, :], sums[..., -1, :, :]
        carried = [first]
        for kept, new in zip(self.continued[..., -1:, :].unbind(-3), added.unbind(-3), strict=True):
            carried.append(kept * carried[-1] + new)
        return torch.stack(carried[:-1], dim=-3), carried[-1]

    def _split(self, x: Tensor) -> Tensor:
        """(..., T, D) → (..., N, C, D), with zeros after the last token."""
        padded = F.pad(x, (0, 0, 0, -self.tokens % self.size))
        return padded.reshape(*x.shape[:-2], -1, self.size, x.shape[-1])

    def _join(self, x: Tensor) -> Tensor:
        """(..., N, C, D) → (..., T, D)."""
        return x.flatten(-3, -2)[..., : self.tokens, :]


def _masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return *x*, zero where *mask* is false."""
    return x if mask is None else x * mask
