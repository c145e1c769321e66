"""The tasks of fine-tuning: on the conversations of a chat, and on token shards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpt.adapt.wrapping import adapt, train_rows
from gpt.data.conversations import ConversationRows, Conversations, RenderedConversations
from gpt.data.shards import open_data
from gpt.errors import ConfigError, DataError
from gpt.evaluation.bits_per_byte import Evaluation, evaluate_batches
from gpt.model.gpt import GPT
from gpt.model.vocabulary import grow_vocabulary, token_tables
from gpt.runs.reading import Checkpoint, read_checkpoint
from gpt.runs.writing import read_data_files, tokenizer_files
from gpt.spec.recipe import Recipe
from gpt.spec.task import Tuning
from gpt.training.task import Task, config_of, text_task
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


def tuning(recipe: Recipe, base: Checkpoint, chat: RenderedChat | None) -> Task:
    """Return the task of training the model of *base* further, on *chat* or on token shards.

    *chat* is rendered for *base*. Raises DataError if the shards of *recipe* do not fit *base*.
    """
    return _text_tuning(recipe, base) if chat is None else _chat_tuning(recipe, base, chat)


def tuning_from_disk(recipe: Recipe) -> Task:
    """Open the base and the data of *recipe*, a recipe of `Tuning`, and return its task."""
    base, chat = open_tuning(recipe)
    return tuning(recipe, base, chat)


def open_tuning(recipe: Recipe) -> tuple[Checkpoint, RenderedChat | None]:
    """Read the base of *recipe*, and render the chat that its data holds, if any."""
    spec = spec_of(recipe)
    base = read_checkpoint(spec.base)
    return base, open_chat(recipe.data, base, spec.train_on)


def open_chat(data: Path, base: Checkpoint, train_on: TrainOn | None) -> RenderedChat | None:
    """Render the chat in *data* for *base*; return None if *data* holds no chat."""
    if not (data / TEMPLATE_FILE).exists():
        return None
    return RenderedChat.open(data, base, train_on)


def spec_of(recipe: Recipe) -> Tuning:
    """Return the task of *recipe*; raises ConfigError if it is not `Tuning`."""
    if not isinstance(recipe.task, Tuning):
        raise ConfigError(
            f"the task of the recipe is {type(recipe.task).__name__}; to tune a model, set it to "
            "Tuning, with a base"
        )
    return recipe.task


def _chat_tuning(recipe: Recipe, base: Checkpoint, chat: RenderedChat) -> Task:
    """Return the task of training on conversations, packed into the rows of *recipe*.

    It is evaluated on the held-out turns of the speakers that the model is trained on.
    """
    length = spec_of(recipe).row_length or recipe.model.context
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
        model=lambda: _starting_model(base, recipe, vocab_size),
        starts_from_checkpoint=True,
        summary=f"{counted(len(train.sizes), 'conversation')}, {counted(len(train), 'token')}, "
        f"{train.num_targets:,} of them trained on, in {counted(len(train.rows), 'row')} of "
        f"{train.length}; {counted(new, 'new token')}",
    )


def _text_tuning(recipe: Recipe, base: Checkpoint) -> Task:
    """Return the task of continued pretraining on token shards of the base's tokenizer."""
    state = base.state
    shards = open_data(recipe.data, fingerprint=state.fingerprint)
    return text_task(
        recipe,
        shards,
        config_of(recipe, shards.vocab_size),
        model=lambda: _starting_model(base, recipe, state.config.vocab_size),
        data_files={**base.data_files, **read_data_files(recipe.data)},
        starts_from_checkpoint=True,
        length=spec_of(recipe).row_length,
    )


def _starting_model(base: Checkpoint, recipe: Recipe, vocab_size: int) -> GPT:
    """Build the model before the first step; only what is trained requires gradients."""
    before, adapter = base.state.config.vocab_size, spec_of(recipe).adapter
    model = grow_vocabulary(base.model(), config_of(recipe, vocab_size), recipe.seed)
    if adapter is not None:
        model.requires_grad_(False)
        if vocab_size > before:
            train_rows(model, token_tables(model), before, vocab_size)
        adapt(model, adapter, recipe.seed)
    return model
