"""The tasks of fine-tuning: `ChatTuning` on conversations, `TextTuning` on token shards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gpt.adapt.wrapping import adapt, train_rows
from gpt.data.conversations import ConversationRows, Conversations, RenderedConversations
from gpt.data.shards import open_data
from gpt.errors import DataError
from gpt.evaluation.bits_per_byte import Evaluation, evaluate_batches
from gpt.model.gpt import GPT
from gpt.model.growing import grow_vocabulary, token_tables
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE, World
from gpt.runs.reading import Checkpoint
from gpt.runs.writing import read_data_files, tokenizer_document
from gpt.spec.architecture import GPTConfig
from gpt.spec.recipe import TuningRecipe
from gpt.training.task import Pretraining, Progress
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


class ChatTuning:
    """Fine-tuning on conversations; a `gpt.training.task.Task`."""

    starts_from_checkpoint = True

    def __init__(self, recipe: TuningRecipe, base: Checkpoint, chat: RenderedChat) -> None:
        """Pack *chat*, rendered for *base*, into the rows of *recipe*."""
        self.recipe = recipe
        self._base = base
        self.fingerprint = chat.tokenizer.fingerprint
        self.data_files = {
            "tokenizer.json": tokenizer_document(chat.tokenizer),
            TEMPLATE_FILE: chat.template.to_json().encode(),
        }
        self._vocab_size = chat.tokenizer.n_vocab
        length = recipe.row_length or recipe.model.context
        self.train, self._val = Conversations(chat.train, length), Conversations(chat.val, length)
        self.train_tokens = len(self.train)
        self.rows = ConversationRows(self.train, recipe.seed)

    def summary(self) -> str:
        """Describe the data in one line."""
        train, new = self.train, self._vocab_size - self._base.state.config.vocab_size
        return (
            f"{counted(len(train.sizes), 'conversation')}, {counted(len(train), 'token')}, "
            f"{train.num_targets:,} of them trained on, in {counted(len(train.rows), 'row')} of "
            f"{train.length}; {counted(new, 'new token')}"
        )

    def model(self) -> GPT:
        """Build the base's model with rows for new tokens, and adapters."""
        return _starting_model(self._base, self.recipe, self._vocab_size)

    def seen(self, rows: int) -> tuple[int, int]:
        """Count the targets of *rows* rows, and their bytes, at the mean of a row."""
        epochs = rows / len(self.train.rows)
        return round(epochs * self.train.num_targets), round(epochs * self.train.bytes)

    def measure(
        self,
        model: GPT,
        runtime: Runtime,
        progress: Progress | None = None,
        world: World = ALONE,
    ) -> Evaluation | None:
        """Evaluate *model* on the held-out turns of the speakers that it is trained on."""
        if not self._val.bytes:
            return None
        return evaluate_batches(
            model,
            self._val.batches(self.recipe.batch_size),
            targets=self._val.num_targets,
            bytes=self._val.bytes,
            runtime=runtime,
            world=world,
            progress=progress,
        )


class TextTuning(Pretraining):
    """Fine-tuning on token shards (continued pretraining); a `gpt.training.task.Task`."""

    starts_from_checkpoint = True
    recipe: TuningRecipe

    def __init__(self, recipe: TuningRecipe, base: Checkpoint) -> None:
        """Open the shards of *recipe*; raises DataError if they do not fit *base*."""
        open_data(recipe.data, fingerprint=base.state.fingerprint)
        super().__init__(recipe)
        self._base = base
        self.data_files = {**base.data_files, **read_data_files(recipe.data)}

    def summary(self) -> str:
        """Describe the data in one line."""
        return f"{counted(self.train_tokens, 'token')} of text, all trained on"

    def model(self) -> GPT:
        """Build the base's model, with adapters."""
        return _starting_model(self._base, self.recipe, self._base.state.config.vocab_size)


def _starting_model(base: Checkpoint, recipe: TuningRecipe, vocab_size: int) -> GPT:
    """Build the model before the first step; only what is trained requires gradients."""
    before = base.state.config.vocab_size
    model = grow_vocabulary(base.model(), GPTConfig.over(recipe.model, vocab_size), recipe.seed)
    if recipe.adapter is not None:
        model.requires_grad_(False)
        if vocab_size > before:
            train_rows(model, token_tables(model), before, vocab_size)
        adapt(model, recipe.adapter, recipe.seed)
    return model
