"""AdamW for a whole model: torch's fused implementation, with parameter groups by kind."""

from __future__ import annotations

import torch

from gpt.optim.parameters import ParameterKinds
from gpt.spec.optimizer import AdamW


def adamw(spec: AdamW, kinds: ParameterKinds, dtype: torch.dtype) -> torch.optim.AdamW:
    """Create the optimizer. Loshchilov and Hutter 2017, arXiv:1711.05101. *dtype* is unused.

    Only the weights of linear layers decay. Scales and biases do not, because zero is not a neutral
    value for them. Embeddings do not, because the row of a rare token would shrink at every step
    and get a gradient at few. A head tied to an embedding counts as one. The groups of adapters are
    those of peft's ``create_loraplus_optimizer``.
    """
    up_lr = spec.lr * spec.lora_plus
    settings = (
        (kinds.matrices, spec.lr, spec.weight_decay),
        (kinds.head, spec.head_lr, spec.weight_decay),
        (kinds.embeddings, spec.embedding_lr, 0.0),
        (kinds.scales, up_lr if kinds.ups else spec.lr, 0.0),
        (kinds.ups, up_lr, spec.weight_decay),
    )
    groups = [
        {"params": parameters, "lr": spec.lr if lr is None else lr, "weight_decay": decay}
        for parameters, lr, decay in settings
        if parameters
    ]
    return torch.optim.AdamW(groups, betas=spec.betas, eps=spec.eps, fused=True)
