"""The task of supervised fine-tuning: conversations, rendered for a base and packed into rows."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpt.data.conversations import ConversationRows, Conversations, RenderedConversations
from gpt.errors import DataError
from gpt.evaluation.bits_per_byte import Evaluation, evaluate_batches
from gpt.model.gpt import GPT
from gpt.runs.reading import Checkpoint
from gpt.runs.writing import tokenizer_files
from gpt.spec.recipe import Recipe
from gpt.spec.task import Tuning
from gpt.training.tasks.starting import Layout, starting_model
from gpt.training.tasks.task import Task, without_overlap
from pytok.chat.template import TEMPLATE_FILE, Template, TrainOn
from pytok.counted import counted
from pytok.tokenizer import Tokenizer

TRAIN, VAL = "train.jsonl", "val.jsonl"
"""Files of a chat's conversations; a chat without a validation split has no second one."""


@dataclass(frozen=True, kw_only=True)
class RenderedChat:
    """A chat as ids of a base's tokenizer. Rendering is slow; packing the ids into rows is not."""

    template: Template
    tokenizer: Tokenizer
    """The base's tokenizer with the special tokens of the chat."""
    train_on: TrainOn
    train: RenderedConversations
    val: RenderedConversations

    @classmethod
    def open(cls, folder: Path, base: Checkpoint, train_on: TrainOn | None = None) -> RenderedChat:
        """Render the chat in *folder*, as `pytok chat build` writes it.

        Default of *train_on*: "mine" if the chat says who is me, otherwise "all". Raises ChatError
        for files that cannot be read or rendered, DataError if there is nothing to train on.
        """
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
        rows = len(Conversations(self.chat.train, length).rows)
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

        return Task(
            recipe=recipe,
            fingerprint=chat.tokenizer.fingerprint,
            train_tokens=len(train),
            data_files={
                **tokenizer_files(chat.tokenizer),
                TEMPLATE_FILE: chat.template.to_json().encode(),
            },
            rows=ConversationRows(train, recipe.seed),
            seen=seen,
            evaluate=evaluate if held_out.bytes else None,
            model=lambda: starting_model(base, recipe, vocab_size),
            starts_from_checkpoint=True,
            summary=f"{counted(len(train.sizes), 'conversation')}, {counted(len(train), 'token')}, "
            f"{train.num_targets:,} of them trained on, in {counted(len(train.rows), 'row')} of "
            f"{train.length}; {counted(new, 'new token')}",
        )
