"""The stages of a clone. Each returns whether it had anything to do; complete results are kept."""

from __future__ import annotations

import dataclasses
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from gpt.clone.options import CloneOptions
from gpt.clone.record import BASE, DATA, HISTORY, RUN, check_record, write_record
from gpt.data.shards import open_data, open_split
from gpt.evaluation.score import score_of
from gpt.report.events import Reporter
from gpt.runs.reading import read_state
from gpt.runs.retention import find_checkpoint
from gpt.runs.sealed_folder import digest
from gpt.spec.machine import Machine
from gpt.spec.planning import plan
from gpt.spec.recipe import Recipe
from gpt.spec.serialize import to_dict
from gpt.training.finetune import TUNING_FILE, plan_tuning, tune
from gpt.training.finetune_tasks import TRAIN
from gpt.training.loop import train
from gpt.training.measuring import measured_plan
from pytok.chat.building import build
from pytok.chat.conversations import (
    ConversationOptions,
    describe_omitted,
    split_into_sessions,
)
from pytok.chat.importing import import_chats
from pytok.chat.record import Message, read_history, write_history
from pytok.chat.speakers import find_speaker, speakers_of
from pytok.chat.template import TEMPLATE_FILE, Template, read_conversations
from pytok.counted import counted
from pytok.errors import ChatError
from pytok.training import Progress

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
VAL_FRACTION, MIN_CONVERSATIONS = 0.1, 10
"""Fraction of the conversations to hold out, and how many conversations that requires."""
FEW_TURNS = 1000
"""With fewer turns a model learns a style of writing, but hardly what to answer."""


def import_history(options: CloneOptions, reporter: Reporter) -> bool:
    """Import the exports into one history, and report what they contain."""
    recorded = ("date_order", "timezone", "chat")
    fields = {name: getattr(options.import_options, name) for name in recorded}
    fields["exports"] = ", ".join(f"{path.name} ({digest(path)[:16]})" for path in options.exports)
    if (options.out / HISTORY).exists():
        check_record(options.out, HISTORY, fields)
        return False
    write_record(options.out, HISTORY, fields)
    imported = import_chats(options.exports, options.import_options)
    write_history(options.out / HISTORY, imported.messages)
    for warning in imported.summary.warnings:
        reporter.notice(f"    warning: {warning}")
    for name, value in imported.summary.rows().items():
        reporter.notice(f"    {name}: {value}")
    return True


def build_data(options: CloneOptions, reporter: Reporter, progress: Progress | None) -> bool:
    """Divide the history into conversations, train a tokenizer, and report sizes and omissions."""
    folder = options.out / DATA
    if folder.exists():
        speakers = {speaker: speaker for speaker in Template.load(folder / TEMPLATE_FILE).speakers}
        me = None if options.me is None else find_speaker(options.me, speakers)
        check_record(options.out, DATA, {"me": me})
        return False
    messages = list(read_history(options.out / HISTORY))
    me = _resolve_me(options.me, messages, reporter)
    # Recorded before the work, so that a stopped stage cannot resume with another person.
    write_record(options.out, DATA, {"me": me})
    sessions, _ = split_into_sessions(messages, ConversationOptions())
    # Holding out some of very few conversations would leave too little to train on.
    val = VAL_FRACTION if len(sessions) >= MIN_CONVERSATIONS else 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        built = build(messages, folder, me=me, val=val, progress=progress)
    for warning in caught:
        reporter.notice(f"    warning: {warning.message}")
    for name, split in built.shards.splits.items():
        title = {"train": "training split", "val": "validation split, the last ones"}[name]
        reporter.notice(
            f"    {title}: {counted(split.documents, 'conversation')}, "
            f"{counted(built.turns[name], 'turn')}, {counted(split.tokens, 'token')} of "
            f"{counted(split.bytes, 'byte')}"
        )
    reporter.notice(f"    omitted: {describe_omitted(built.omitted)}")
    turns = [turn for each in read_conversations(folder / TRAIN) for turn in each.turns]
    mine = sum(turn.speaker == me for turn in turns)
    reporter.notice(f"    {counted(mine, 'training turn')} by {me}")
    if mine < FEW_TURNS:
        reporter.notice(
            f"    warning: with fewer than {FEW_TURNS:,} turns a model learns the style, but "
            "hardly what to answer; add more or older exports, or use --base"
        )
    if not val:
        reporter.notice(
            f"    fewer than {MIN_CONVERSATIONS} conversations: none is held out, so there is no "
            "evaluation"
        )
    return True


def train_base(options: CloneOptions, reporter: Reporter, stop: Callable[[], bool]) -> bool:
    """Train a model on the turns of all people."""
    out, fields = options.out / BASE, _training_fields(options)
    # Also checked for the next stage: if that cannot use the base, do not spend hours on it.
    for name in (BASE, RUN):
        check_record(options.out, name, fields)
    if not out.exists():
        write_record(options.out, BASE, fields)
    newest = find_checkpoint(out)
    if newest is None:
        seconds = (1 - TUNING_FRACTION) * options.seconds
        recipe = _plan_base(options, seconds)
        reporter.notice(
            f"    {recipe.model.layers} layers of width {recipe.model.width}, chosen for the data "
            f"and at most {seconds:.0f} seconds"
        )
    else:
        state = read_state(newest)
        if state.is_over or (options.out / RUN).exists():
            return False
        recipe = dataclasses.replace(state.recipe, data=options.out / DATA, out=out)
    train(recipe, reporter=reporter, stop=stop)
    return True


def tune_to_person(options: CloneOptions, reporter: Reporter, stop: Callable[[], bool]) -> bool:
    """Tune that model, or `CloneOptions.base`, on the turns of one person."""
    out, fields = options.out / RUN, _training_fields(options)
    check_record(options.out, RUN, fields)
    if not out.exists():
        write_record(options.out, RUN, fields)
    if (out / TUNING_FILE).exists():
        return False
    own_base = options.base is None
    plan = plan_tuning(
        options.base or options.out / BASE,
        data=options.out / DATA,
        out=out,
        adapter=options.adapter,
        lr=TUNING_LR if own_base else None,
        seed=options.seed,
    )
    seconds = (TUNING_FRACTION if own_base else 1.0) * options.seconds
    weights = "all weights" if options.adapter is None else "adapters"
    reporter.notice(
        f"    tuning {weights} for at most {seconds:.0f} seconds, or until the validation loss "
        "stops improving"
    )
    tuned = tune(plan.replace(max_seconds=seconds), reporter=reporter, stop=stop)
    if tuned.val is not None:
        unit = score_of(tuned.outcome.state.recipe.score).unit
        reporter.notice(
            f"    held-out turns: {tuned.val.before:.3f} -> {tuned.val.after:.3f} {unit}"
        )
    if tuned.outcome.state.best_step == 0:
        reporter.notice("    no step was better than the first model, so its weights are kept")
    return True


def _plan_base(options: CloneOptions, seconds: float) -> Recipe:
    """Plan the run on all turns: `gpt.spec.planning.plan` with a longer context."""
    data = options.out / DATA
    shards = open_data(data)
    tokens = len(open_split(shards, "train"))
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


def _resolve_me(name: str | None, messages: Sequence[Message], reporter: Reporter) -> str:
    """Return the sender that *name* identifies; otherwise list all senders and raise ChatError."""
    speakers = speakers_of(messages)
    try:
        if name is not None:
            return find_speaker(name, speakers)
        problem = "no person to imitate"
    except ChatError as error:
        problem = error.message.partition(":")[0]  # without the names, which are listed below
    counts = Counter(
        speakers[message.sender]
        for message in messages
        if message.sender is not None and message.kind != "system"
    )
    reporter.notice("    messages by sender:")
    for speaker, count in counts.most_common():
        reporter.notice(f"    {count:>9,}  {speaker}")
    raise ChatError(f"{problem}; pass --me NAME with a sender listed above; the history is kept")


def _training_fields(options: CloneOptions) -> dict[str, Any]:
    """Return the options that both runs are made with, as the record holds them."""
    return {
        "base": None if options.base is None else str(options.base.resolve()),
        "adapter": None if options.adapter is None else to_dict(options.adapter),
        "seconds": options.seconds,
        "preset": options.preset,
        "seed": options.seed,
    }
