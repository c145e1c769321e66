"""Multi-head latent attention.

B: batch size, T: new tokens, S: kept and new tokens, H: heads, C: width of the latent of keys and
values, N, R: widths of the part of queries and keys without a rotary position and with one, E:
width of a value.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from gpt.nn.attention.kernels import split_heads
from gpt.nn.attention.pairwise import PairwiseAttention
from gpt.nn.context import Context
from gpt.nn.linear import FusedLinear, apply_linears, weight_of
from gpt.nn.mechanism import BranchOutput, Mechanism, Mixed
from gpt.nn.site import Site
from gpt.nn.state import Ring
from gpt.spec import attention


class LatentAttention(Mechanism):
    """softmax([qᴺ, qᴿ] [kᴺ, kᴿ]ᵀ / √(N + R)) v. DeepSeek-AI 2024 (DeepSeek-V2), arXiv:2405.04434.

    c = norm(Wᶜ x), kᴺ = Wᴷ c and v = Wⱽ c for each head, and one kᴿ = rotate(Wᴿ x) for all heads.
    Queries are linear in x, or in a normalized latent of x. Decoding keeps c and kᴿ, and makes the
    other keys and the values from them again; or, since qᴺ · Wᴷ c = Wᴷᵀ qᴺ · c, and
    Σ wⱽ c = Wⱽ Σ w c, absorbs Wᴷ into the query and Wⱽ into the output, and attends to c itself.
    The latent is kept as normalized; to keep it as it was, and normalize it again for each token,
    is the same function.
    """

    FUSIBLE: ClassVar[tuple[str, ...]] = ("query", "kv")

    def __init__(self, spec: attention.Latent, site: Site) -> None:
        super().__init__()
        width, bias = site.width, site.architecture.bias
        spec = spec.resolved(width)
        assert spec.nope_width is not None
        assert spec.rope_width is not None
        assert spec.head_width is not None
        assert spec.kv_rank is not None
        self.heads = spec.heads
        self.kept_widths = [spec.kv_rank, spec.rope_width]
        self.query_widths = [spec.nope_width, spec.rope_width]
        self.up_widths = [spec.nope_width, spec.head_width]
        self.absorbs = spec.decode == "absorbed"
        self.pairwise = PairwiseAttention(spec, site)
        query_width = spec.heads * spec.query_width(width)
        self.query = nn.Linear(width, spec.query_rank or query_width, bias=bias)
        self.query_norm = self._norm(spec, site, spec.query_rank)
        self.query_up: nn.Module = nn.Identity()
        if spec.query_rank:
            self.query_up = nn.Linear(spec.query_rank, query_width, bias=False)
        self.kv = nn.Linear(width, spec.kv_rank + spec.rope_width, bias=bias)
        self.kv_norm = self._norm(spec, site, spec.kv_rank)
        self.kv_up = nn.Linear(spec.kv_rank, spec.heads * sum(self.up_widths), bias=False)
        self.fused: FusedLinear | None = None
        self.output = BranchOutput(spec.heads * spec.head_width, width, bias=bias)

    def forward(self, x: Tensor, context: Context, state: Ring | None = None) -> Mixed:
        """Attend from x (B, T, width) to x and the tokens in *state*, which gets those of x."""
        queries, kv = apply_linears(self, x)
        queries = split_heads(self.query_up(self.query_norm(queries)), sum(self.query_widths))
        straight, rotated = torch.split(queries, self.query_widths, dim=-1)
        rotated = context.position.rotate(rotated, context.positions)
        queries = torch.cat((straight, rotated), dim=-1)  # (B, H, T, N + R)
        latents, shared = torch.split(kv[:, None], self.kept_widths, dim=-1)
        shared = context.position.rotate(shared, context.positions)
        kept = torch.cat((self.kv_norm(latents).to(shared.dtype), shared), dim=-1)
        if state is not None:
            (kept,) = state.append(kept, starts=context.starts)  # (B, 1, S, C + R)
        # Products with latents are wider than those with keys: absorption pays for single tokens.
        absorb = self.absorbs and state is not None and x.shape[1] == 1
        absorb = absorb and self.pairwise.score.scale is not None
        absorb = absorb and not context.position.biases_values
        mixed = (self._attend_absorbed if absorb else self._attend)(queries, kept, context, state)
        y: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return y, None

    def new_state(self, batch: int, dtype: torch.dtype) -> Ring:
        """Create what *batch* rows keep: c and kᴿ of as many tokens as the pattern attends to."""
        shape = (batch, 1, 0, sum(self.kept_widths))
        like = torch.empty(shape, dtype=dtype, device=self.kv.weight.device)
        return self.pairwise.new_state(like)

    def _attend(
        self, queries: Tensor, kept: Tensor, context: Context, state: Ring | None
    ) -> Tensor:
        """Attend to keys and values made from *kept*: (B, H, T, E)."""
        latents, shared = torch.split(kept, self.kept_widths, dim=-1)
        up = split_heads(self.kv_up(latents[:, 0]), sum(self.up_widths))
        keys, values = torch.split(up, self.up_widths, dim=-1)  # (B, H, S, N), (B, H, S, E)
        shared = shared.to(keys.dtype).expand(-1, self.heads, -1, -1)
        y: Tensor = self.pairwise(
            queries, torch.cat((keys, shared), dim=-1), values, context, state
        )
        return y

    def _attend_absorbed(
        self, queries: Tensor, kept: Tensor, context: Context, state: Ring | None
    ) -> Tensor:
        """Compute the same by attention to *kept* itself."""
        weight = weight_of(self.kv_up)
        weight = weight.view(self.heads, -1, weight.shape[1])
        key_up, value_up = torch.split(weight, self.up_widths, dim=1)  # (H, N, C), (H, E, C)
        straight, rotated = torch.split(queries.to(weight.dtype), self.query_widths, dim=-1)
        absorbed = torch.cat((straight @ key_up, rotated), dim=-1)  # (B, H, T, C + R)
        latents = kept[..., : self.kept_widths[0]]
        mixed: Tensor = self.pairwise(absorbed, kept, latents, context, state, queries)
        return mixed.to(weight.dtype) @ value_up.mT

    @staticmethod
    def _norm(spec: attention.Latent, site: Site, width: int | None) -> nn.Module:
        """Build the norm of a latent of *width*, or the identity."""
        norm = site.of_width(width).build(spec.latent_norm) if width else None
        return norm or nn.Identity()
