"""The stages of a clone. Each returns whether it had anything to do; complete results are kept."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpt.clone.history import resolve_me
from gpt.clone.options import CloneOptions
from gpt.clone.record import BASE, DATA, HISTORY, RUN, check_record, write_record
from gpt.clone.reporting import StageReporter
from gpt.data.conversations import TRAIN
from gpt.data.shards import open_data, open_split
from gpt.evaluation.score import score_of
from gpt.runs.reading import read_state
from gpt.runs.retention import find_checkpoint
from gpt.spec.machine import Machine
from gpt.spec.planning import plan
from gpt.spec.recipe import Recipe
from gpt.spec.serialize import to_dict
from gpt.training.loop import train
from gpt.training.measuring import measured_plan
from gpt.training.tuning.planning import plan_tuning
from gpt.training.tuning.run import TUNING_FILE, Change, tune
from pytok.chat.building import BuildResult, build
from pytok.chat.conversations import (
    DEFAULT_GAP,
    ConversationOptions,
    describe_omitted,
    split_into_sessions,
)
from pytok.chat.record import read_history
from pytok.chat.speakers import find_speaker
from pytok.chat.template import TEMPLATE_FILE, Template, read_conversations
from pytok.counted import counted, duration
from pytok.errors import ChatError

TUNING_FRACTION = 0.25
"""Fraction of the training time for tuning, if the base is trained on the chat, too: then only the
style remains to be learned."""
TUNING_LR = 1e-4
"""Learning rate to tune a base that was trained on the same chat. At 5,000 messages, bits per byte
on held-out turns rose from 0.431 to 0.475 with 1e-3, and stayed at 0.432 with this."""
MIN_CONTEXT = 256
"""Context of a new model at least, about twenty turns: answers rarely refer to older ones."""
PATIENCE = 3
"""`Recipe.patience` of a new model, which has about ten evaluations: a chat of many messages needs
fewer epochs than `plan` allows for other text."""
LEAST_TOKENS = 128
"""Training tokens without which no model is trained: some twenty words."""
VAL_FRACTION, MIN_CONVERSATIONS = 0.1, 10
"""Fraction of the conversations to hold out, and how many conversations that requires."""
FEW_TURNS = {
    300: "repeats some favorite words of {me}, and makes little sense",
    1000: "picks up how {me} writes, but hardly what to answer",
}
"""What a model becomes with fewer turns than these."""


def build_data(options: CloneOptions, report: StageReporter) -> bool:
    """Divide the history into conversations, train a tokenizer, and report what is learned from."""
    folder = options.out / DATA
    gap = None if options.gap == DEFAULT_GAP else options.gap.total_seconds()
    if folder.exists():
        speakers = {speaker: speaker for speaker in Template.load(folder / TEMPLATE_FILE).speakers}
        me = None if options.me is None else find_speaker(options.me, speakers)
        check_record(options.out, DATA, {"me": me, "gap": gap})
        return False
    messages = list(read_history(options.out / HISTORY))
    me = resolve_me(options.me, messages, report.say)
    # Recorded before the work, so that a stopped stage cannot resume with another person.
    write_record(options.out, DATA, {"me": me, "gap": gap})
    rules = ConversationOptions(split=options.gap)
    sessions, _ = split_into_sessions(messages, rules)
    # Holding out some of very few conversations would leave too little to train on.
    val = VAL_FRACTION if len(sessions) >= MIN_CONVERSATIONS else 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        built = build(messages, folder, me=me, options=rules, val=val)
    for warning in caught:
        report.say(f"warning: {warning.message}")
    for name, split in built.shards.splits.items():
        report.notice(
            f"{name}: {counted(split.documents, 'conversation')}, "
            f"{counted(built.turns[name], 'turn')}, {counted(split.tokens, 'token')} of "
            f"{counted(split.bytes, 'byte')}"
        )
    _report_turns(built, me, folder, report)
    return True


def _report_turns(built: BuildResult, me: str, folder: Path, report: StageReporter) -> None:
    """Report how much there is to learn from, and whether that is enough."""
    splits = built.shards.splits
    held_out = splits["val"].documents if "val" in splits else 0
    later = f"; the last {held_out:,} are kept to check what was learned" if held_out else ""
    report.say(f"{counted(splits['train'].documents, 'conversation')} to learn from{later}")
    turns = [turn for each in read_conversations(folder / TRAIN) for turn in each.turns]
    mine = sum(turn.speaker == me for turn in turns)
    report.say(
        f"{counted(mine, 'turn')} by {me} in them; a turn is what one person writes until another "
        "does"
    )
    report.say(f"left out: {describe_omitted(built.omitted)}")
    few = next(((most, what) for most, what in FEW_TURNS.items() if mine < most), None)
    if few is not None:
        report.say(
            f"warning: that is little: with fewer than {few[0]:,} turns a model "
            f"{few[1].format(me=me)}; older exports of this chat help"
        )
    if not held_out:
        report.say(
            f"with fewer than {MIN_CONVERSATIONS} conversations all of them are learned from, and "
            "none is left to check what was learned"
        )


def train_base(options: CloneOptions, report: StageReporter, stop: Callable[[], bool]) -> bool:
    """Train a model on the turns of all people."""
    out, fields = options.out / BASE, training_fields(options)
    # Also checked for the next stage: if that cannot use the base, do not spend hours on it.
    for name in (BASE, RUN):
        check_record(options.out, name, fields)
    if not out.exists():
        write_record(options.out, BASE, fields)
    newest = find_checkpoint(out)
    if newest is None:
        seconds = (1 - TUNING_FRACTION) * options.seconds
        report.say(f"measuring this machine, then training for at most {duration(seconds)}")
        recipe = _plan_base(options, seconds)
        report.notice(
            f"{recipe.model.layers} layers of width {recipe.model.width}, chosen for the data and "
            "the time"
        )
    else:
        state = read_state(newest)
        if state.is_over or (options.out / RUN).exists():
            return False
        report.say("resuming where it was stopped")
        recipe = dataclasses.replace(state.recipe, data=options.out / DATA, out=out)
    report.too_short = "the model will write noise"
    report.seconds_per_limit = 1 / (1 - TUNING_FRACTION)
    train(recipe, reporter=report, stop=stop)
    return True


def tune_to_person(options: CloneOptions, report: StageReporter, stop: Callable[[], bool]) -> bool:
    """Tune that model, or `CloneOptions.base`, on the turns of one person."""
    out, fields = options.out / RUN, training_fields(options)
    check_record(options.out, RUN, fields)
    if not out.exists():
        write_record(options.out, RUN, fields)
    if (out / TUNING_FILE).exists():
        return False
    own_base, me = options.base is None, imitated(options.out)
    plan = plan_tuning(
        options.base or options.out / BASE,
        data=options.out / DATA,
        out=out,
        adapter=options.adapter,
        lr=TUNING_LR if own_base else None,
        seed=options.seed,
    )
    seconds = (TUNING_FRACTION if own_base else 1.0) * options.seconds
    report.say(f"training for at most {duration(seconds)}, as long as it improves")
    # After a base of too few steps, which was warned of, a second warning says nothing new.
    report.too_short = "" if own_base else f"the model will hardly write like {me}"
    report.seconds_per_limit = 1.0
    tuned = tune(plan.replace(max_seconds=seconds), reporter=report, stop=stop)
    if tuned.outcome.state.best_step == 0:
        report.say("the model was at its best before, so it is kept as it was")
    elif tuned.val is not None:
        unit = score_of(tuned.outcome.state.recipe.score).unit
        report.notice(f"held-out turns: {tuned.val.before:.3f} -> {tuned.val.after:.3f} {unit}")
        report.say(_compared(tuned.val, me))
    return True


def imitated(out: Path) -> str:
    """Return the person whom the clone in the folder *out* imitates."""
    return str(Template.load(out / DATA / TEMPLATE_FILE).me)


def _compared(change: Change, me: str) -> str:
    """Say what tuning changed, by bits per byte of the conversations that were kept to check."""
    better = 1 - change.after / change.before
    how = f"{better:.0%} better than" if better >= 0.005 else "as well as"
    return f"checked on conversations that it has not read: it predicts {me} {how} before"


def _plan_base(options: CloneOptions, seconds: float) -> Recipe:
    """Plan the run on all turns: `gpt.spec.planning.plan` with a longer context."""
    data = options.out / DATA
    shards = open_data(data)
    tokens = len(open_split(shards, "train"))
    if tokens < LEAST_TOKENS:
        raise ChatError(
            "this chat is far too short to learn from; give one with some hundred messages at least"
        )
    # A context of an eighth of the data or less leaves enough different rows.
    longest = 1 << max(0, (tokens // 8).bit_length() - 1)
    least = min(MIN_CONTEXT, longest)

    def draw(machine: Machine, context: int | None = None) -> Recipe:
        recipe = plan(
            data=data,
            out=options.out / BASE,
            tokens=tokens,
            vocab_size=shards.vocab_size,
            machine=dataclasses.replace(machine, seconds=seconds),
            preset=options.preset,
            depth=None,
            given={} if context is None else {"model.context": context},
        )
        if recipe.model.context < least:
            return draw(machine, least)
        return dataclasses.replace(recipe, patience=PATIENCE, seed=options.seed)

    return measured_plan(draw, vocab_size=shards.vocab_size)[0]


def training_fields(options: CloneOptions) -> dict[str, Any]:
    """Return the options that both runs are made with, as the record holds them."""
    return {
        "base": None if options.base is None else str(options.base.resolve()),
        "adapter": None if options.adapter is None else to_dict(options.adapter),
        "seconds": options.seconds,
        "preset": options.preset,
        "seed": options.seed,
    }
