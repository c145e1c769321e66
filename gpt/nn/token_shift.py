"""Token shift: adds to each token's embedding a part of the previous one's.

Shapes: (B, T, width) in and out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gpt.nn.mechanism import Mechanism
from gpt.nn.site import Site
from gpt.nn.state import Ring
from gpt.spec import embedding


class TokenShift(Mechanism):
    """e_t → e_t + μ ⊙ e_(t-1), with e_(-1) = 0. Peng 2023 (RWKV), arXiv:2305.13048.

    RWKV mixes the inputs of every layer like this; here only the embeddings, as in the "smear" of
    modded-nanogpt.
    """

    def __init__(self, spec: embedding.TokenShift, site: Site) -> None:
        super().__init__()
        self.capacity = site.architecture.context
        self.fraction = nn.Parameter(torch.full((site.width,), spec.fraction))

    def forward(
        self,
        x: Tensor,
        starts: Sequence[int] = (0,),
        state: Ring | None = None,
        document_ids: Tensor | None = None,
    ) -> Tensor:
        """Add to each of the token embeddings *x* its fraction of the previous one.

        The token before the first is the last one in *state*, of rows of *starts* tokens. The first
        token of each document of *document_ids* (B, T) has none before it.
        """
        first = torch.zeros_like(x[:, :1])
        if state is not None:
            first = state.last(starts)[0][:, 0].to(x.dtype)
            state.append(x[:, None], starts=starts)
        previous = torch.cat((first, x[:, :-1]), dim=1)
        if document_ids is not None:
            same_document = document_ids.diff(dim=1, prepend=document_ids[:, :1]) == 0
            previous = previous * same_document[:, :, None]
        return x + self.fraction * previous

    def new_state(self, batch: int, dtype: torch.dtype) -> Ring:
        """Create what *batch* rows keep: their embeddings, so that tokens can be removed again."""
        like = self.fraction.new_empty((batch, 1, 0, len(self.fraction)), dtype=dtype)
        return Ring(like, capacity=self.capacity)
