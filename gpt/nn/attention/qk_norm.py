"""QK-norm: RMS normalization of queries and keys.

B: batch size, T: tokens, H: heads, D: head_width.
"""

from __future__ import annotations

from torch import Tensor, nn

from gpt.nn.attention.kernels import split_heads
from gpt.nn.norm import RMSNorm
from gpt.nn.site import Site
from gpt.spec import attention, norm


class SplitHeads(nn.Module):
    """Queries or keys as they are: (B, T, H · D) → (B, H, T, D)."""

    def __init__(self, head_width: int) -> None:
        super().__init__()
        self.head_width = head_width

    def forward(self, x: Tensor) -> Tensor:
        """Split x (B, T, H · D) into heads."""
        return split_heads(x, self.head_width)


class QKNorm(RMSNorm):
    """Queries or keys, normalized: each head, or all heads of a token together.

    Dehghani 2023, arXiv:2302.05442; OLMo 2, arXiv:2501.00656.
    """

    def __init__(self, spec: attention.GroupedQuery, heads: int, site: Site) -> None:
        self.head_width = spec.query_width(site.width)
        self.each = spec.qk_norm_over == "head"
        width = self.head_width if self.each else heads * self.head_width
        super().__init__(norm.RMSNorm(eps=spec.qk_norm_eps), site.of_width(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x (B, T, H · D), and split it into heads."""
        if self.each:
            return super().forward(split_heads(x, self.head_width))
        return split_heads(super().forward(x), self.head_width)


def qk_norm(spec: attention.GroupedQuery, heads: int, site: Site) -> SplitHeads | QKNorm:
    """Return what prepares the queries or keys of *heads* heads, before positions are applied."""
    if spec.qk_norm:
        return QKNorm(spec, heads, site)
    return SplitHeads(spec.query_width(site.width))
