"""`clone`: from the export of a chat to a model of one person, in stages that are made once.

::

    options = CloneOptions(exports=(Path("chat.zip"),), me="Ada", out=Path("clone"))
    result = clone(options)      # reporter= and stop= as in gpt.training.loop.train
    result.run                   # for gpt chat, sample, eval, export

The folder ``out`` gets chat.jsonl (the history), data/ (conversations, tokenizer, shards), base/ (a
run trained on all turns, unless `CloneOptions.base` is given) and run/ (that model, tuned on the
turns of one person). Complete stages are kept: history and data are written completely or not at
all, and a run resumes from its checkpoint. ``clone.json`` records the options (`gpt.clone.record`),
and a call with others is an error.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gpt.clone.history import import_history
from gpt.clone.options import CloneOptions
from gpt.clone.record import BASE, DATA, HISTORY, RUN
from gpt.clone.reporting import StageReporter
from gpt.clone.stages import build_data, imitated, train_base, tune_to_person
from gpt.report.events import NullReporter, Reporter
from gpt.runs.reading import read_checkpoint
from gpt.runs.retention import find_checkpoint
from gpt.training.tuning.run import TUNING_FILE
from pytok.chat.template import TEMPLATE_FILE, Template
from pytok.counted import duration
from pytok.terminal import escaped


@dataclass(frozen=True, kw_only=True)
class CloneResult:
    """Result of a call of `clone`."""

    finished: bool
    """Whether all stages are complete; False if *stop* ended the call early."""
    run: Path
    """Folder of the run that imitates `CloneOptions.me`."""
    warnings: tuple[str, ...] = ()
    """Reasons why the model will not be good, as far as this call has found any."""

    @property
    def template(self) -> Template:
        """Template of the chat; the first speaker is the imitated person, then by turns."""
        return Template.load(self.run.parent / DATA / TEMPLATE_FILE)


def clone(
    options: CloneOptions,
    *,
    reporter: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
    verbose: bool = False,
) -> CloneResult:
    """Make all stages of *options* that are not complete yet.

    *reporter* receives what happens; with *verbose* also the figures of the runs. *stop* is called
    between stages, and in runs. Raises ConfigError if ``options.out`` was made with other options,
    ChatError for a chat that cannot be read, that is too short or without the person, and the
    errors of `train` and `tune`.
    """
    if options.base is not None and find_checkpoint(options.base) is None:
        read_checkpoint(options.base)  # raises, unless it is the best checkpoint of a run
    reporter = reporter or NullReporter()
    report = StageReporter(reporter, verbose=verbose)
    out, run = options.out, options.out / RUN
    stages: list[tuple[Callable[[], str], Callable[[], bool]]] = [
        (lambda: f"reading the chat: {out / HISTORY}", lambda: import_history(options, report.say)),
        (
            lambda: f"dividing it into conversations: {out / DATA}",
            lambda: build_data(options, report),
        ),
    ]
    if options.base is None:
        stages.append(
            (
                lambda: f"training a model on what everybody writes: {out / BASE}",
                lambda: train_base(options, report, stop),
            )
        )
    base = options.base or "this model"
    stages.append(
        (
            lambda: f"tuning {base} to {imitated(out)}: {run}",
            lambda: tune_to_person(options, report, stop),
        )
    )
    for number, (title, make) in enumerate(stages, start=1):
        if stop():
            return CloneResult(finished=False, run=run)
        reporter.notice(f"{number}/{len(stages)} {escaped(title())}")
        start = time.monotonic()
        if make():
            report.say(f"took {duration(time.monotonic() - start)}")
        else:
            report.say("already complete")
    finished = not stop() or (run / TUNING_FILE).exists()
    return CloneResult(finished=finished, run=run, warnings=tuple(report.warnings))
