"""Continued pretraining with adapters: with the tables of tokens trained, and with new tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from gpt.lab.apparatus.adapters import ALL
from gpt.lab.apparatus.domains import (
    FORGOTTEN,
    MOVED,
    SIZES,
    VOCAB,
    code_part,
    code_shards,
    english_base,
    tuned_on_code,
)
from gpt.lab.apparatus.probes import random_ids
from gpt.lab.apparatus.texts import english_shards
from gpt.lab.apparatus.training import BITS
from gpt.lab.checks import Above, Below, Equal, Less
from gpt.lab.experiment import Bars, Experiment, Figures, Part, Points, Setting, Sizes, Source
from gpt.runs.reading import read_checkpoint
from gpt.spec.adapter import LoRA
from gpt.training.tuning.planning import plan_tuning
from pytok.extension import spelling
from pytok.tokenizer import Tokenizer

EXTENSION = 128
"""New tokens."""
ARMS: dict[str, dict[str, Any]] = {
    "adapters": {},
    "adapters, tables": {"train_rows": "all"},
    "adapters, new tokens": {"extend": EXTENSION},
    "adapters, tables, new tokens": {"extend": EXTENSION, "train_rows": "all"},
}
"""Arguments of `tuned_on_code`."""


def extended(setting: Setting) -> Figures:
    """Compare the base with a larger vocabulary with the base, before training."""
    base = english_base(setting)
    code = code_shards(characters=setting.size["characters"], extend=EXTENSION)
    checkpoint = read_checkpoint(base)
    plain = checkpoint.model()
    gpt = plan_tuning(base, data=code, out=Path("runs")).task().model().eval()
    tokens = Tokenizer.load(code / "tokenizer.json")
    pieces = spelling(tokens, Tokenizer.load(english_shards(VOCAB) / "tokenizer.json"))
    tables: list[Any] = [gpt.embedding, plain.embedding]
    table, before = (each.weight.detach() for each in tables)
    errors = [float((table[new] - before[old].mean(0)).abs().max()) for new, old in pieces.items()]
    ids = random_ids(plain, 2, plain.config.context)
    with torch.inference_mode():
        difference = (gpt(ids)[..., :VOCAB] - plain(ids)).abs().max()
    return {
        "tokens": float(tokens.n_vocab - VOCAB),
        "mean": max(errors),
        "logits": float(difference),
    }


def tuning(setting: Setting) -> Figures:
    """Tune the base on code, by an arm."""
    return tuned_on_code(setting, adapter=LoRA(rank=16, targets=ALL), **ARMS[setting.arm])


SMALL: Sizes = dict.fromkeys(SIZES, SIZES["smoke"])
FROZEN = [arm for arm in ARMS if "tables" not in arm]

EXPERIMENT = Experiment(
    id="cpt",
    question="Must a model that learns another domain by adapters train its tables of tokens?",
    source=Source(
        paper="Unsloth 2024, notebooks of continued pretraining",
        link="https://github.com/unslothai/notebooks",
        where="continued pretraining: adapters of rank 128, with embed_tokens and lm_head",
    ),
    claim="Text of another domain is learned better if the embedding and the head are trained "
    "beside the adapters, at a lower learning rate.",
    parts=[
        Part(
            name="new tokens",
            kind="EXACT",
            arms=["extended"],
            measure=extended,
            sizes=SMALL,
            checks=[
                Equal(
                    claim=f"the vocabulary has {EXTENSION} tokens more",
                    arm="extended",
                    figure="tokens",
                    value=EXTENSION,
                ),
                Below(
                    claim="a new token begins as the mean of the tokens that spell it",
                    arm="extended",
                    figure="mean",
                    bound=1e-6,
                ),
                Below(
                    claim="logits of all others are those of the base",
                    arm="extended",
                    figure="logits",
                    bound=1e-5,
                ),
            ],
        ),
        code_part(
            arms=list(ARMS),
            measure=tuning,
            rates=(3e-3, 1e-2, 3e-2),
            checks=[
                Less(
                    claim="with the tables trained it is better",
                    arm="adapters, tables",
                    than="adapters",
                    figure=BITS,
                ),
                Less(
                    claim="also with new tokens, where rows of these are trained anyway",
                    arm="adapters, tables, new tokens",
                    than="adapters, new tokens",
                    figure=BITS,
                ),
                Less(
                    claim="new tokens help where tables are trained, at equal steps",
                    arm="adapters, tables, new tokens",
                    than="adapters, tables",
                    figure=BITS,
                ),
                *(
                    Equal(claim=f"{arm}: old rows stay", arm=arm, figure=MOVED, value=0.0)
                    for arm in FROZEN
                ),
                *(
                    Above(claim=f"{arm}: old rows move", arm=arm, figure=MOVED, bound=1e-3)
                    for arm in ARMS
                    if arm not in FROZEN
                ),
            ],
        ),
    ],
    panels=[
        Bars(part="tuning", figure=BITS, label="bits per byte of code, held out"),
        Points(
            part="tuning",
            x=FORGOTTEN,
            y=BITS,
            x_label="forgotten: bits per byte of English",
            y_label="bits per byte of code, held out",
        ),
    ],
    bounds="The notebooks have models of 7 billion weights, another language, and no figures. "
    "Here the embedding and the head are one table, of 512 tokens: an eighth of all weights, "
    "where it is a hundredth of a large model. Tables have an eighth of the adapters' learning "
    "rate. New tokens make a step of as many tokens read more text; their rows are trained with "
    "adapters alone, too, which has all of the gain, and less is forgotten than with all rows.",
    expects="Tables help by some hundredths of a bit; new tokens by more: steps see more text.",
)
