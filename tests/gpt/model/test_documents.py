"""Documents kept apart: a row of several is what each of them is alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gpt.data.shards import TrainingRows, evaluation_batches, open_data, open_split
from gpt.evaluation.bits_per_byte import evaluate
from gpt.model.gpt import GPT, positions_within
from gpt.parallel.runtime import Runtime
from gpt.runs.reading import read_checkpoint
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.embedding import TokenShift, ValueEmbedding
from gpt.spec.position import Learned, NoPosition, Rope
from gpt.spec.recipe import Recipe
from gpt.training.loop import train
from pytok import shards

CONTEXT, VOCAB = 12, 40
SMALL = GPTConfig(
    vocab_size=VOCAB,
    context=CONTEXT,
    layers=2,
    width=16,
    attention=GroupedQuery(heads=4, kv_heads=4),
    value_embedding=ValueEmbedding(),
)
POSITIONS = [
    Learned(),
    Rope(),
    Rope(fraction=0.5),
    NoPosition(),
]
ATTENTIONS = [
    GroupedQuery(heads=4, kv_heads=4),
    GroupedQuery(heads=4, kv_heads=1, qk_norm=True),
    GroupedQuery(heads=4, kv_heads=2, window=3),
    GroupedQuery(heads=4, kv_heads=4, window=2, long_every=2),
]
MODELS = [
    pytest.param(
        dataclasses.replace(SMALL, position=position, attention=attention),
        id=f"{position}-{attention}",
    )
    for position in POSITIONS
    for attention in ATTENTIONS
] + [pytest.param(dataclasses.replace(SMALL, shift=TokenShift()), id="shift")]


def lively(written: GPTConfig) -> GPT:
    """A model whose branches are not zero, as they are in a new one."""
    model = GPT(written)
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=noise)
    return model


def packed(lengths: list[list[int]]) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, targets and documents of rows of documents of *lengths*."""
    shape = (len(lengths), sum(lengths[0]))
    ids, targets = (
        torch.randint(VOCAB, shape, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 2)
    )
    rows = [torch.arange(len(row)).repeat_interleave(torch.tensor(row)) for row in lengths]
    return ids, targets, torch.stack(rows)


def gradients(model: GPT, loss: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(model.parameters())))


@st.composite
def splits(draw: st.DrawFn) -> list[list[int]]:
    """One to three rows of CONTEXT tokens, cut into documents anywhere."""
    cuts = st.lists(st.integers(1, CONTEXT - 1), unique=True).map(sorted)
    rows = draw(st.lists(cuts, min_size=1, max_size=3))
    return [np.diff([0, *row, CONTEXT]).tolist() for row in rows]


@pytest.mark.parametrize("written", MODELS)
@settings(max_examples=10)
@given(lengths=splits(), recompute=st.booleans())
def test_packed_row_gives_the_loss_and_gradients_of_its_documents_alone(
    written: GPTConfig, lengths: list[list[int]], recompute: bool
) -> None:
    """Whatever the positions, windows and shared heads, wherever the documents are cut."""
    model, (ids, targets, documents) = lively(written), packed(lengths)
    model.recompute = recompute
    loss = model(ids, targets, document_ids=documents).loss
    alone = torch.zeros(())
    for row, cuts in enumerate(lengths):
        pairs = zip(ids[row].split(cuts), targets[row].split(cuts), strict=True)
        for text, following in pairs:
            share = len(text) / ids.numel()
            alone = alone + share * model(text[None], following[None]).loss

    torch.testing.assert_close(loss, alone)
    torch.testing.assert_close(
        gradients(model, loss), gradients(model, alone), rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("written", MODELS)
def test_documents_in_use_are_those_in_training(written: GPTConfig) -> None:
    """Without gradients the CPU takes another way to the same logits."""
    model, (ids, _, documents) = lively(written), packed([[5, 1, 6], [2, 10]])
    with torch.no_grad():
        used = model(ids, document_ids=documents).logits

    torch.testing.assert_close(
        model(ids, document_ids=documents).logits, used, rtol=1e-4, atol=1e-5
    )


def test_rows_of_one_document_are_rows_without_documents() -> None:
    """Whatever its number is."""
    model, (ids, _, documents) = lively(SMALL), packed([[CONTEXT]] * 2)

    torch.testing.assert_close(model(ids, document_ids=documents + 7).logits, model(ids).logits)


def test_tokens_see_across_documents_that_are_not_kept_apart() -> None:
    """So the tests above can fail."""
    model, (ids, _, documents) = lively(SMALL), packed([[4, 8]])

    assert not torch.allclose(model(ids, document_ids=documents).logits, model(ids).logits)


def test_places_begin_anew_with_each_document() -> None:
    """Numbers may leave some out, and a row may begin with any."""
    documents = torch.tensor([[3, 3, 3, 4, 9, 9], [0, 1, 2, 2, 2, 2]])

    assert positions_within(documents).tolist() == [[0, 1, 2, 0, 0, 1], [0, 0, 0, 1, 2, 3]]


def test_documents_and_a_cache_are_refused() -> None:
    """A cache goes on from one text."""
    model, (ids, _, documents) = lively(SMALL), packed([[4, 8]])
    with pytest.raises(ValueError, match="not with a cache"):
        model(ids, cache=model.new_cache(1), document_ids=documents)


@pytest.mark.slow
def test_compiled_model_keeps_documents_apart() -> None:
    """In one graph, whose shape no data decides."""
    model = lively(dataclasses.replace(SMALL, position=Learned()))
    compiled = torch.compile(model, fullgraph=True)
    for lengths in ([[5, 7]], [[1, 2, 9]]):
        ids, targets, documents = packed(lengths)
        ours = compiled(ids, targets, document_ids=documents).loss
        torch.testing.assert_close(ours, model(ids, targets, document_ids=documents).loss)


class Cut:
    """A split whose token at place n is n, cut into documents."""

    def __init__(self, length: int, ends: list[int]) -> None:
        self.ids = np.arange(length, dtype=np.uint16)
        self.bytes = length
        self.document_ends = np.array(ends, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, start: int, stop: int) -> Any:
        """Return positions *start* to *stop* - 1."""
        return self.ids[start:stop]


@st.composite
def cut_splits(draw: st.DrawFn) -> Cut:
    """Splits of 2 to 200 tokens."""
    length = draw(st.integers(2, 200))
    cuts = draw(st.lists(st.integers(1, length - 1), unique=True))
    return Cut(length, [*sorted(cuts), length])


def same_document(split: Cut, inputs: Tensor) -> Tensor:
    """Which of its row's tokens each is of one document with: an end lies between no two."""
    before = [[int((split.document_ends <= n).sum()) for n in row] for row in inputs.tolist()]
    ended = torch.tensor(before)
    return ended[:, :, None] == ended[:, None, :]


@given(split=cut_splits(), context=st.integers(1, 40), rows=st.integers(1, 4))
def test_evaluation_knows_the_document_of_every_token(split: Cut, context: int, rows: int) -> None:
    """In whole windows and in the last."""
    for batch in evaluation_batches(
        split, context=context, vocab_size=1000, rows=rows, document_mask=True
    ):
        documents = batch.document_ids
        assert documents is not None
        together = documents[:, :, None] == documents[:, None, :]
        assert torch.equal(together, same_document(split, batch.inputs))


@given(split=cut_splits(), context=st.integers(1, 40), row=st.integers(0, 300))
def test_training_row_knows_the_document_of_every_token(split: Cut, context: int, row: int) -> None:
    """And never falls, which is what `Batch` promises."""
    context = min(context, len(split) - 1)
    rows = TrainingRows(split, context=context, vocab_size=1000, seed=3, document_mask=True)
    batch = rows.batch(row, 2)
    documents = batch.document_ids
    assert documents is not None

    assert (documents.diff(dim=1) >= 0).all()
    together = documents[:, :, None] == documents[:, None, :]
    assert torch.equal(together, same_document(split, batch.inputs))


def test_rows_say_nothing_of_documents_unless_asked() -> None:
    """Then attention may take kernels without a mask."""
    split = Cut(50, [20, 50])

    assert TrainingRows(split, context=8, vocab_size=99, seed=0).batch(0, 2).document_ids is None


@pytest.fixture
def pages(tmp_path: Path, tokenizer: Any) -> Path:
    """Shards of 200 documents of some twenty bytes, a quarter of them held out."""
    source = tmp_path / "pages.jsonl"
    lines = (f'{{"text": "page {n} of a book of {200 - n}"}}\n' for n in range(200))
    source.write_text("".join(lines), encoding="utf-8")
    shards.write(source, tokenizer, tmp_path / "pages", val=0.25, split="documents")
    return tmp_path / "pages"


def test_run_learns_and_is_measured_with_documents_apart(recipe: Recipe, pages: Path) -> None:
    """Its own figure is that of `evaluate` with documents, and not the one without."""
    recipe = dataclasses.replace(recipe, data=pages, document_mask=True)
    outcome = train(recipe)
    model = read_checkpoint(recipe.out).model()
    runtime = Runtime.choose("cpu", "float32")
    split = open_split(open_data(pages), "val")
    apart, mixed = (
        evaluate(model, split, runtime=runtime, rows=2, document_mask=documents).bits_per_byte
        for documents in (True, False)
    )

    assert outcome.state.val_bpb == pytest.approx(apart)
    assert apart != pytest.approx(mixed)
