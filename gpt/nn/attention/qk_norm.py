"""QK-norm: normalization of queries and keys, before positions are applied.

Dehghani 2023, arXiv:2302.05442; OLMo 2, arXiv:2501.00656. B: batch size, T: tokens, H: heads,
D: head_width.
"""

from __future__ import annotations

from torch import Tensor, nn

from gpt.nn.attention.kernels import split_heads
from gpt.nn.norm import HeadNorm
from gpt.nn.site import Site
from gpt.spec import attention, norm


def qk_norm(spec: attention.GroupedQuery, heads: int, site: Site) -> nn.Module:
    """Return the norm of the queries or keys of *heads* heads."""
    if not spec.qk_norm:
        return nn.Identity()
    kind: norm.RMSNorm | norm.LayerNorm = (
        norm.RMSNorm(eps=spec.qk_norm_eps)
        if spec.qk_norm_kind == "rms"
        else norm.LayerNorm(eps=spec.qk_norm_eps, bias=False)
    )
    site = site.of_width(spec.query_width(site.width) * (heads if spec.normalizes_together else 1))
    if spec.qk_norm_over == "own":
        return HeadNorm(kind, heads, site)
    built: nn.Module = site.build(kind)
    return built


def normalized_heads(norm: nn.Module, x: Tensor, head_width: int, *, together: bool) -> Tensor:
    """Return the heads of x (B, T, H · D), normalized one by one or *together*: (B, H, T, D)."""
    if together:
        return split_heads(norm(x), head_width)
    y: Tensor = norm(split_heads(x, head_width))
    return y
