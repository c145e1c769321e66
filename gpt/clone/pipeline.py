"""The export of a chat to a model of one of its people, in stages that are made once.

    asked = Cloning(exports=(Path("chat.zip"),), me="Ada", out=Path("clone"))
    cloned = clone(asked)            # reporter=, progress= and stop= as in gpt.training.loop.train
    cloned.run                           # for gpt chat, sample, eval, export

The folder ``out`` gets chat.jsonl (the history), data/ (conversations, tokenizer, shards), base/ (a
run that has learnt how everybody writes; not with a base of one's own) and run/ (the one that came
of it, which has learnt the turns of one). What is whole there is kept: history and data appear at
once, and a run goes on from its checkpoint. ``clone.json`` says what it all was made from, and a
call that asks for something else is refused, since hours of training may be in the folder.
"""

from __future__ import annotations

import dataclasses
import json
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gpt.data.shards import open_data, open_split
from gpt.errors import ConfigError
from gpt.report.events import NullReporter, Reporter
from gpt.runs.reading import read_state
from gpt.runs.retention import find_checkpoint
from gpt.runs.sealed_folder import digest
from gpt.spec.adapter import DoRA, LoRA
from gpt.spec.planning import Machine, plan
from gpt.spec.recipe import Recipe
from gpt.spec.serialize import to_dict
from gpt.training.finetune import plan_tuning, tune
from gpt.training.finetune_tasks import TRAIN
from gpt.training.loop import train
from pytok.atomic import replace_file
from pytok.chat.building import build
from pytok.chat.conversations import (
    ConversationOptions,
    describe_omitted,
    split_into_sessions,
)
from pytok.chat.importing import ImportOptions, import_chats
from pytok.chat.record import Message, read_history, write_history
from pytok.chat.speakers import find_speaker, speakers_of
from pytok.chat.template import TEMPLATE_FILE, Template, read_conversations
from pytok.counted import counted
from pytok.errors import ChatError
from pytok.training import Progress

HISTORY, DATA, BASE, RUN, RECORD = "chat.jsonl", "data", "base", "run", "clone.json"
TUNED_SHARE = 0.25
"""Of the training time, for the turns of one, where there is no base: by then the model writes,
and it only changes its manners."""
TUNED_RATE = 1e-4
"""For a base that has learnt the same chat. At 5,000 messages the turns that were held out got
worse at 1e-3, from 0.431 to 0.475 bits per byte, and stayed at 0.432 at this."""
CONTEXT = 256
"""Tokens that a new model sees at least, some twenty turns: what is said refers to no more."""
PATIENCE = 3
"""Evaluations of a new model, of some ten, that may find nothing better: a chat of many messages is
learnt in fewer passes than a plan for any text allows."""
HELD_OUT, FEWEST = 0.1, 10
"""Share of the conversations that is held out, and how many there must be for it."""
FEW_TURNS = 1000
"""Turns below which a model learns a manner of writing, but hardly what to answer."""


@dataclass(frozen=True, kw_only=True)
class Cloning:
    """What is to be cloned, and how."""

    exports: tuple[Path, ...]
    """Files of one chat, as `pytok.chat.importing` reads them."""
    me: str | None
    """Whose turns are learnt, as `find_speaker` understands it."""
    out: Path
    choices: ImportOptions = dataclasses.field(default_factory=ImportOptions)
    """What the exports do not tell."""
    base: Path | None = None
    """The run to tune; None: one is trained on the chat first."""
    adapter: LoRA | DoRA | None = None
    """What is tuned; None: all weights."""
    seconds: float = 600.0
    """Training time at most, about."""
    preset: Literal["fast", "gpt2", "llama", "qwen3"] = "fast"
    """What a new model is like."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Cloned:
    """How a call of `clone` ended."""

    finished: bool
    """All stages are done; False where *stop* asked before."""
    run: Path
    """The folder of the run that has learnt to write like `Cloning.me`."""

    @property
    def template(self) -> Template:
        """Who speaks in the chat: first whom the model has learnt, then by how often."""
        return Template.load(self.run.parent / DATA / TEMPLATE_FILE)


def clone(
    asked: Cloning,
    *,
    reporter: Reporter | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Cloned:
    """Make all stages of *asked* that are not done yet; *stop* is asked between them, and in runs.

    *progress* hears of the tokenizer's training, *reporter* of everything else. Raises ConfigError
    where ``asked.out`` holds something else; ChatError for a chat that cannot be read, and where
    `Cloning.me` is nobody in it; what `train` and `tune` raise.
    """
    reporter = reporter or NullReporter()
    run = asked.out / RUN
    stages: list[tuple[str, Callable[[], bool]]] = [
        (f"the history: {asked.out / HISTORY}", lambda: _import(asked, reporter)),
        (
            f"conversations and tokens: {asked.out / DATA}",
            lambda: _build(asked, reporter, progress),
        ),
    ]
    if asked.base is None:
        stages.append(
            (
                f"a model of how everybody writes: {asked.out / BASE}",
                lambda: _train(asked, reporter, stop),
            )
        )
    before = asked.base or "that model"
    stages.append((f"{before}, tuned to {asked.me}: {run}", lambda: _tune(asked, reporter, stop)))
    for number, (title, make) in enumerate(stages, start=1):
        if stop():
            return Cloned(finished=False, run=run)
        reporter.notice(f"{number}/{len(stages)} {title}")
        began = time.monotonic()
        if make():
            reporter.notice(f"    {time.monotonic() - began:.1f} s")
        else:
            reporter.notice("    kept, as it was made before")
    return Cloned(finished=not stop() or (run / "tuning.json").exists(), run=run)


def _import(asked: Cloning, reporter: Reporter) -> bool:
    """Read the exports and write the history; tell of all that was found."""
    path, choices = asked.out / HISTORY, asked.choices
    fields = {name: getattr(choices, name) for name in ("date_order", "timezone", "chat")}
    if _made(asked.out, HISTORY, {"exports": _described(asked.exports), **fields}):
        return False
    imported = import_chats(asked.exports, choices)
    write_history(path, imported.messages)
    for warning in imported.summary.warnings:
        reporter.notice(f"    beware: {warning}")
    for name, value in imported.summary.rows().items():
        reporter.notice(f"    {name}: {value}")
    return True


def _build(asked: Cloning, reporter: Reporter, progress: Progress | None) -> bool:
    """Divide the history into conversations; tell of what is left out, and if it is little."""
    folder = asked.out / DATA
    if folder.exists():
        template = Template.load(folder / TEMPLATE_FILE)
        known = {speaker: speaker for speaker in template.speakers}
        _made(asked.out, DATA, {"me": asked.me and find_speaker(asked.me, known)})
        return False
    messages = list(read_history(asked.out / HISTORY))
    me = _speaker(asked.me, messages, reporter)
    _made(asked.out, DATA, {"me": me})
    enough = len(split_into_sessions(messages, ConversationOptions())[0]) >= FEWEST
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        built = build(messages, folder, me=me, val=HELD_OUT if enough else 0, progress=progress)
    for warning in said:
        reporter.notice(f"    beware: {warning.message}")
    for kind, part in built.shards.splits.items():
        purpose = {"train": "learnt", "val": "held out, the last ones"}[kind]
        reporter.notice(
            f"    {purpose}: {counted(part.documents, 'conversation')}, "
            f"{counted(built.turns[kind], 'turn')}, {counted(part.tokens, 'token')} of "
            f"{counted(part.bytes, 'byte')}"
        )
    reporter.notice(f"    left out: {describe_omitted(built.omitted)}")
    turns = [turn for each in read_conversations(folder / TRAIN) for turn in each.turns]
    mine = sum(turn.speaker == me for turn in turns)
    reporter.notice(f"    {mine:,} of the turns are {me}'s")
    if mine < FEW_TURNS:
        reporter.notice(
            f"    that is little: from fewer than {FEW_TURNS:,} turns a model learns a manner of "
            "writing, and hardly what to answer; more or older exports help, or a --base"
        )
    if not enough:
        reporter.notice(
            f"    fewer than {FEWEST} conversations: none is held out, so nothing is measured"
        )
    return True


def _train(asked: Cloning, reporter: Reporter, stop: Callable[[], bool]) -> bool:
    """Train a model on everybody's turns."""
    out = asked.out / BASE
    for name in (BASE, RUN):  # before the training, of which another RUN would make no use
        _made(asked.out, name, _choices_of_a_model(asked))
    newest = find_checkpoint(out)
    if newest is None:
        seconds = (1 - TUNED_SHARE) * asked.seconds
        recipe = _planned(asked, seconds)
        reporter.notice(
            f"    {recipe.model.layers} layers of width {recipe.model.width}, as many as the data "
            f"and {seconds:.0f} seconds at most have use for"
        )
    else:
        state = read_state(newest)
        if state.step >= state.recipe.steps or (asked.out / RUN).exists():
            return False
        recipe = dataclasses.replace(state.recipe, data=asked.out / DATA, out=out)
    train(recipe, reporter=reporter, stop=stop)
    return True


def _tune(asked: Cloning, reporter: Reporter, stop: Callable[[], bool]) -> bool:
    """Tune that model, or the base asked for, on the turns of one."""
    out = asked.out / RUN
    _made(asked.out, RUN, _choices_of_a_model(asked))
    if (out / "tuning.json").exists():
        return False
    plan = plan_tuning(
        asked.base or asked.out / BASE,
        data=asked.out / DATA,
        out=out,
        adapter=asked.adapter,
        lr=TUNED_RATE if asked.base is None else None,
        seed=asked.seed,
    )
    share = TUNED_SHARE if asked.base is None else 1.0
    seconds = share * asked.seconds
    what = "all weights" if asked.adapter is None else "adapters"
    reporter.notice(
        f"    {what}, for {seconds:.0f} seconds at most; it ends where what is held "
        "out gets no better"
    )
    tuned = tune(plan.replace(max_seconds=seconds), reporter=reporter, stop=stop)
    if tuned.val is not None:
        reporter.notice(
            f"    on the turns held out: {tuned.val.before:.3f} -> {tuned.val.after:.3f} "
            "bits per byte"
        )
    if tuned.outcome.state.best_step == 0:
        reporter.notice("    nothing was better than the model it began with, which is kept")
    return True


def _planned(asked: Cloning, seconds: float) -> Recipe:
    """Plan the run on everybody's turns: `gpt.spec.planning.plan` with a longer context."""
    data = asked.out / DATA
    tokens = len(open_split(open_data(data), "train"))
    recipe = plan(
        data=data,
        out=asked.out / BASE,
        tokens=tokens,
        machine=dataclasses.replace(Machine.here(), seconds=seconds),
        preset=asked.preset,
        depth=None,
    )
    per_step = recipe.batch_size * recipe.model.context
    fitting = 1 << max(0, (tokens // 8).bit_length() - 1)
    context = max(recipe.model.context, min(CONTEXT, fitting))
    return dataclasses.replace(
        recipe,
        batch_size=max(1, per_step // context),
        max_seconds=seconds,
        patience=PATIENCE,
        seed=asked.seed,
        model=dataclasses.replace(recipe.model, context=context),
    )


def _speaker(name: str | None, messages: Sequence[Message], reporter: Reporter) -> str:
    """The sender whom *name* means; where it is nobody, all senders are told first."""
    speakers = speakers_of(messages)
    try:
        if name is not None:
            return find_speaker(name, speakers)
        problem = "whose turns is the model to learn?"
    except ChatError as error:
        problem = f"{error.message.partition(':')[0]};"
    counts = Counter(
        speakers[message.sender]
        for message in messages
        if message.sender is not None and message.kind != "system"
    )
    reporter.notice("    messages by sender:")
    for speaker, count in counts.most_common():
        reporter.notice(f"    {count:>9,}  {speaker}")
    raise ChatError(f"{problem} say --me NAME, one of the senders above; the history is kept")


def _choices_of_a_model(asked: Cloning) -> dict[str, Any]:
    adapter = None if asked.adapter is None else to_dict(asked.adapter)
    base = None if asked.base is None else str(asked.base.resolve())
    chosen = {"seconds": asked.seconds, "preset": asked.preset, "seed": asked.seed}
    return {"base": base, "adapter": adapter, **chosen}


def _described(exports: Sequence[Path]) -> str:
    """Which files *exports* are, in words that differ where their content does."""
    return ", ".join(f"{path.name} ({digest(path)[:16]})" for path in exports)


def _made(out: Path, name: str, fields: dict[str, Any]) -> bool:
    """Whether *name* is there, made with *fields*; if it is not there, note that it will be.

    Raises ConfigError where it was made with others.
    """
    path = out / RECORD
    try:
        record = json.loads(path.read_bytes()) if path.exists() else {}
    except ValueError:
        raise ConfigError(f"{path}: damaged; give another --out") from None
    if not (out / name).exists():
        out.mkdir(parents=True, exist_ok=True)
        replace_file(path, (json.dumps(record | {name: fields}, indent=2) + "\n").encode())
        return False
    made = record.get(name, {})
    for field, value in fields.items():
        if made.get(field) != value:
            raise ConfigError(
                f"{out / name} was made with {field} = {made.get(field)}, and now it is {value}; "
                "give what it was made with to go on, or another --out"
            )
    return True
