"""Filling in masks: the likeliest token for each mask token of a text."""

from __future__ import annotations

import torch

from gpt.data.masking import MASKS, mask_text
from gpt.errors import ConfigError
from gpt.model.language_model import LanguageModel
from pytok.tokenizer import Tokenizer


@torch.inference_mode()
def fill(model: LanguageModel, tokenizer: Tokenizer, text: str) -> str:
    """Return *text* with the likeliest token, none of them special, for each of its mask tokens.

    Each is predicted with the others still masked. Raises ConfigError for a text without one, and
    for one that is longer than the context.
    """
    mask = next((each for each in MASKS if each in tokenizer.special_tokens), None)
    if mask is None:
        raise ConfigError("this model reads in both directions, so it cannot continue a text")
    mask_id = tokenizer.special_tokens[mask_text(tokenizer)]
    pieces = [tokenizer.encode_ordinary(piece) for piece in text.split(mask)]
    ids = list(pieces[0])
    for piece in pieces[1:]:
        ids += [mask_id, *piece]
    if mask_id not in ids:
        raise ConfigError(
            f"this model predicts masked tokens, and cannot continue a text: write {mask} where it "
            "is to fill in a token"
        )
    if len(ids) > model.context:
        raise ConfigError(f"the text has {len(ids)} tokens, and the model reads {model.context}")
    row = torch.tensor([ids], device=model.device)
    logits = model(row)[0]
    logits[:, list(tokenizer.special_tokens.values())] = -torch.inf
    filled = torch.where(row[0] == mask_id, logits.argmax(-1), row[0])
    return tokenizer.decode(filled.tolist())
