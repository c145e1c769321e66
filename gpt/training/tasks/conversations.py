"""The task of supervised fine-tuning: conversations, rendered for a base and packed into rows."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpt.data.conversations import (
    TRAIN,
    VAL,
    ConversationRows,
    Conversations,
    RenderedConversations,
)
from gpt.errors import DataError
from gpt.evaluation.bits_per_byte import Evaluation, evaluate_batches
from gpt.model.gpt import GPT
from gpt.runs.reading import GENERATION, Checkpoint
from gpt.runs.writing import tokenizer_files
from gpt.spec.recipe import Recipe
from gpt.spec.task import Tuning
from gpt.training.tasks.distillation import with_teachers
from gpt.training.tasks.pretraining import config_of
from gpt.training.tasks.replay import with_replay, with_replayed
from gpt.training.tasks.starting import Layout, starting_model
from gpt.training.tasks.task import Task, without_overlap
from pytok.chat.role_files import Record, read_records
from pytok.chat.role_formats import Unread
from pytok.chat.template import (
    ASSISTANT,
    ROLE_SYSTEM,
    TEMPLATE_FILE,
    USER,
    ChatTemplate,
    Rendered,
    Template,
    TrainOn,
)
from pytok.chat.templates import KNOWN, TemplateName
from pytok.counted import counted
from pytok.errors import ChatError
from pytok.tokenizer import Tokenizer

SPLIT_SEED = 0
"""Seed of the choice of conversations to hold out: runs with other seeds hold out the same."""


@dataclass(frozen=True, kw_only=True)
class RenderedChat:
    """A chat as ids of a base's tokenizer. Rendering is slow; packing the ids into rows is not."""

    template: ChatTemplate
    tokenizer: Tokenizer
    """The base's tokenizer with the special tokens of the template."""
    train_on: TrainOn
    train: RenderedConversations
    val: RenderedConversations
    notes: tuple[str, ...] = ()
    """What there is to say of the data besides its size."""

    @classmethod
    def open(
        cls, data: Path, base: Checkpoint, spec: Tuning, chosen: Collection[str]
    ) -> RenderedChat:
        """Render the conversations in *data* for *base*, with the *chosen* fields of *spec*.

        *data* is a folder of `pytok chat build`, which has a template, or conversations of a user
        and an assistant: a file, a part of which is held out, or a folder of two. Default of
        ``train_on``: "mine" if the template says who is me, otherwise "all". Raises ChatError for
        what cannot be read or rendered, DataError if there is nothing to train on.
        """
        train_on = spec.train_on if "train_on" in chosen else None
        if (data / VAL).exists() and spec.val != Tuning.val:
            raise DataError(f"{data / VAL} is what is held out; remove --val {spec.val}")
        if (data / TEMPLATE_FILE).exists():
            return cls._of_people(data, base, train_on, spec.template)
        train, val, unread = _read_roles(data, spec.val)
        speakers = (turn.speaker for each in (*train, *val) for turn in each.conversation.turns)
        template = choose_template(spec.template, base, speakers)
        try:
            tokenizer = template.extend(base.tokenizer())
        except ChatError as error:
            raise ChatError(f"{base.folder}: {error}; choose another --template") from None
        on: TrainOn = train_on or "mine"
        rendered = [
            RenderedConversations.joined(_rendered(records, template, tokenizer, on), tokenizer)
            for records in (train, val)
        ]
        notes = [] if val else ["no validation split"]
        if unread:
            notes.append(f"fields that are not read: {', '.join(sorted(unread))}")
        return cls(
            template=template,
            tokenizer=tokenizer,
            train_on=on,
            train=rendered[0],
            val=rendered[1],
            notes=tuple(notes),
        )

    @classmethod
    def _of_people(
        cls, folder: Path, base: Checkpoint, train_on: TrainOn | None, name: TemplateName | None
    ) -> RenderedChat:
        """Render a folder of `pytok chat build`."""
        if name is not None:
            raise DataError(
                f"{folder / TEMPLATE_FILE} is the template of these conversations; remove "
                f"template={name} (--template)"
            )
        if not (folder / TRAIN).exists():
            raise DataError(f"{folder / TRAIN}: not found; `pytok chat build` writes it")
        template = Template.load(folder / TEMPLATE_FILE)
        tokenizer = template.extend(base.tokenizer())
        chosen: TrainOn = train_on or ("all" if template.me is None else "mine")
        train, val = (
            RenderedConversations.read(folder / name, template, tokenizer, train_on=chosen)
            for name in (TRAIN, VAL)
        )
        if not train.bytes:
            raise DataError(
                f"none of the {len(train.sizes)} conversations has a turn to train on; choose "
                "another --train-on, or build the data with another --me"
            )
        return cls(template=template, tokenizer=tokenizer, train_on=chosen, train=train, val=val)


def choose_template(
    name: TemplateName | None, base: Checkpoint, speakers: Iterable[str]
) -> ChatTemplate:
    """Return the template *name* for conversations of a user and an assistant, and of *speakers*.

    Default: that of *base* if it has one for an assistant, or else our own. Raises ChatError if the
    base's cannot be used.
    """
    if name is not None and name in KNOWN:
        return KNOWN[name]
    own = base.chat_template() if name is None else None
    if own is None or own.me != ASSISTANT:
        own = Template((USER, ASSISTANT), me=ASSISTANT)
    return own.including(sorted(set(speakers) - {USER, ASSISTANT, ROLE_SYSTEM}))


def _read_roles(data: Path, held_out: float) -> tuple[list[Record], list[Record], Unread]:
    """Read the conversations to train on and those held out, and count the fields not read."""
    unread = Unread()
    file = data / TRAIN if data.is_dir() else data
    train = list(read_records(file, unread))
    if not train:
        raise DataError(f"{file}: no conversation in it; pass JSON lines of conversations")
    if (data / VAL).exists():
        return train, list(read_records(data / VAL, unread)), unread
    count = round(len(train) * held_out)
    if held_out:  # at least one, unless that is all
        count = max(1, min(count, len(train) - 1)) if len(train) > 1 else 0
    chosen = set(random.Random(SPLIT_SEED).sample(range(len(train)), count))
    kept = [each for index, each in enumerate(train) if index not in chosen]
    return kept, [train[index] for index in sorted(chosen)], unread


def _rendered(
    records: Iterable[Record], template: ChatTemplate, tokenizer: Tokenizer, train_on: TrainOn
) -> Iterator[Rendered]:
    """Render *records*; ChatError with the line of one that fails, or has nothing to train on."""
    for where, conversation in records:
        try:
            rendered = template.render(conversation, tokenizer, train_on=train_on)
        except ChatError as error:
            raise ChatError(
                f"{where}: {error}; remove the conversation, or choose another --template or "
                "--train-on"
            ) from None
        if not any(rendered.loss_mask):
            raise ChatError(
                f"{where}: no turn that --train-on {train_on} trains on, which are those of the "
                "assistant; remove the conversation, or choose --train-on all"
            )
        yield rendered


@dataclass(frozen=True, kw_only=True)
class ChatData:
    """A chat, rendered for *base*."""

    base: Checkpoint
    chat: RenderedChat

    def layout(self, recipe: Recipe, chosen: frozenset[str]) -> Layout:
        """Choose rows that hold 95% of the conversations uncut."""
        assert isinstance(recipe.task, Tuning)
        without_overlap(recipe)
        task = dataclasses.replace(recipe.task, train_on=self.chat.train_on)
        length = task.row_length
        if length is None:
            # Longer rows would be mostly padding.
            sizes = sorted(self.chat.train.sizes)
            usual = sizes[len(sizes) * 19 // 20]
            length = min(self.base.config.context, max(64, 1 << (usual - 2).bit_length()))
        rows = with_replayed(len(Conversations(self.chat.train, length).rows), task.replay)
        return Layout(dataclasses.replace(task, row_length=length), rows, length)

    def task(self, recipe: Recipe) -> Task:
        """Return the task of training on conversations, packed into the rows of *recipe*.

        It is evaluated on the held-out turns of the speakers that the model is trained on.
        """
        assert isinstance(recipe.task, Tuning)
        without_overlap(recipe)
        base, chat = self.base, self.chat
        length = recipe.task.row_length or recipe.model.context
        train, held_out = Conversations(chat.train, length), Conversations(chat.val, length)
        vocab_size = chat.tokenizer.n_vocab
        new = vocab_size - base.state.config.vocab_size

        def seen(rows: int) -> tuple[int, int]:
            epochs = rows / len(train.rows)
            return round(epochs * train.num_targets), round(epochs * train.bytes)

        def evaluate(model: GPT, **options: Any) -> Evaluation:
            return evaluate_batches(
                model,
                held_out.batches(recipe.batch_size),
                targets=held_out.num_targets,
                bytes=held_out.bytes,
                **options,
            )

        task = Task(
            recipe=recipe,
            fingerprint=chat.tokenizer.fingerprint,
            train_tokens=len(train),
            data_files={
                **{
                    name: base.data_files[name] for name in (GENERATION,) if name in base.data_files
                },
                **tokenizer_files(chat.tokenizer),
                **chat.template.files(),
            },
            rows=ConversationRows(train, recipe.seed),
            seen=seen,
            evaluate=evaluate if held_out.bytes else None,
            model=lambda: starting_model(base, recipe, vocab_size),
            starts_from_checkpoint=True,
            summary="; ".join([_size(train), counted(new, "new token"), *chat.notes]),
        )
        config = config_of(recipe, vocab_size)
        return with_teachers(with_replay(task, base, length), config, length)


def _size(rows: Conversations) -> str:
    """Return the size of *rows* in words."""
    windows = sum(size - 1 > rows.length for size in rows.sizes)
    cut = f" ({windows:,} of them cut into windows)" if windows else ""
    return (
        f"{counted(len(rows.sizes), 'conversation')}{cut}, {counted(len(rows), 'token')}, "
        f"{rows.num_targets:,} of them trained on, in {counted(len(rows.rows), 'row')} of "
        f"{rows.length}"
    )
