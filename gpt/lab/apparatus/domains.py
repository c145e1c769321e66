"""Two domains of text: English, on which a base is trained, and code, which it meets later."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gpt.lab.apparatus.probes import leak
from gpt.lab.apparatus.texts import english_shards, once
from gpt.lab.apparatus.training import BITS, DIVERGED, LEAK, Run, causality, small_model
from gpt.lab.apparatus.tuning import base_run, tuned_model
from gpt.lab.experiment import TUNING_SEEDS, Check, Figures, Part, Setting, Sizes
from gpt.runs.reading import read_checkpoint
from gpt.spec.architecture import Architecture

MODULES = (
    *("argparse", "ast", "calendar", "cmd", "codecs", "configparser", "copy", "csv", "dataclasses"),
    *("difflib", "enum", "fractions", "heapq", "inspect", "pprint", "random", "statistics"),
    *("string", "textwrap", "threading", "tokenize", "traceback", "typing", "zipfile"),
)
"""Modules of Python's standard library whose source is the second domain."""
VOCAB, ROWS = 512, 16
"""Tokens of the base, and rows of a step."""
FORGOTTEN = "forgotten"
"""Bits per byte that a tuned model needs more than its base for the text of the base."""
MOVED = "moved"
"""Largest change of a weight in the table of the tokens that the base has."""
TABLE = "embedding.weight"
SIZES: Sizes = {
    "smoke": {
        **{"layers": 1, "width": 32, "context": 16},
        **{"base_steps": 3, "steps": 2, "characters": 20_000},
    },
    "cpu": {
        **{"layers": 3, "width": 96, "context": 64},
        **{"base_steps": 300, "steps": 100, "characters": 300_000},
    },
    "gpu": {
        **{"layers": 12, "width": 768, "context": 512},
        **{"base_steps": 3_000, "steps": 1_000, "characters": 1_100_000},
    },
}
"""Sizes of the base, and of its tuning."""


def source_code() -> str:
    """Return the source of `MODULES`: some 900,000 characters.

    >>> "def wrap(" in source_code()
    True
    """
    return "\n\n".join(inspect.getsource(importlib.import_module(name)) for name in MODULES)


def code_shards(*, characters: int, extend: int = 0, vocab: int = VOCAB) -> Path:
    """Return token shards of the first *characters* of the code, of which a tenth is held out.

    The tokenizer is that of English with *vocab* tokens, trained on for *extend* tokens more.
    """

    def make(folder: Path) -> None:
        # Imported here: it loads the readers of many formats, which few experiments need.
        from gpt.data.sources import prepare

        (folder / "code.txt").write_text(source_code()[:characters], encoding="utf-8")
        tokenizer = str(english_shards(vocab) / "tokenizer.json")
        prepare(folder / "code.txt", folder / "run", tokenizer=tokenizer, val=0.1, extend=extend)

    return once(f"code-{characters}-{vocab}-{extend}", make) / "run/data"


def english_model(setting: Setting) -> Architecture:
    """Return the architecture of the base, of the size of *setting*."""
    return small_model(setting)


def english_base(setting: Setting, seed: int = 0) -> Path:
    """Return the run of a base that was trained on English for the ``base_steps`` of *setting*."""
    how = Run(steps=setting.size["base_steps"], vocab=VOCAB, device=setting.device)
    architecture = english_model(setting)
    name = f"english-{architecture.layers}x{architecture.width}x{architecture.context}"
    return base_run(name, architecture, how, seed=seed)


def tuned_on_code(setting: Setting, *, extend: int = 0, **planned: Any) -> Figures:
    """Tune the base on code; return bits per byte of held-out code, what was forgotten and moved.

    *planned* are arguments of `gpt.training.tuning.planning.plan_tuning`; the tokenizer has
    *extend* tokens more than that of the base.
    """
    assert setting.rate is not None  # a part of tunings has a grid of rates
    steps, base = setting.size["steps"], english_base(setting)
    found = tuned_model(
        base,
        code_shards(characters=setting.size["characters"], extend=extend),
        rate=setting.rate,
        seed=setting.seed,
        device=setting.device,
        batch_size=ROWS,
        changes={"steps": steps, "eval_every": steps, "patience": None},
        **planned,
    )
    if found is None:
        return {BITS: DIVERGED, FORGOTTEN: DIVERGED, LEAK: 0.0, MOVED: DIVERGED, "first": DIVERGED}
    before = read_checkpoint(base).weights[TABLE]
    after = found.checkpoint.weights[TABLE][: len(before)]
    return {
        BITS: found.val.after,
        FORGOTTEN: found.base.after - found.base.before,
        LEAK: leak(found.checkpoint.model()),
        MOVED: float((after - before).abs().max()),
        "first": found.val.before,
    }


def code_part(
    *,
    arms: Sequence[str],
    measure: Callable[[Setting], Figures],
    checks: Sequence[Check],
    rates: Sequence[float] = (1e-3, 3e-3, 1e-2, 3e-2),
    sizes: Sizes = SIZES,
) -> Part:
    """Return the part whose trials are those of `tuned_on_code`; no arm may see later tokens."""
    return Part(
        name="tuning",
        kind="QUALITY",
        arms=arms,
        measure=measure,
        sizes=sizes,
        checks=[*checks, *causality([""])],
        rates=rates,
        tuning_seeds=TUNING_SEEDS[:1],
        chosen_by=BITS,
        noise_of=BITS,
    )
