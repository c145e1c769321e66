"""Document masking: documents packed in one row do not affect each other."""

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

from gpt.data.batch import Batch
from gpt.data.shards import TrainingRows, evaluation_batches, open_data, open_split
from gpt.evaluation.bits_per_byte import evaluate
from gpt.model.gpt import GPT, positions_within
from gpt.model.objectives.build import build_objective
from gpt.parallel.runtime import Runtime
from gpt.runs.reading import read_checkpoint
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery, Latent, Longformer
from gpt.spec.embedding import TokenShift, ValueEmbedding
from gpt.spec.linear_attention import LinearAttention
from gpt.spec.objective import CrossEntropy
from gpt.spec.pattern import BigBird, Window
from gpt.spec.position import (
    T5,
    ALiBi,
    InterleavedPositions,
    Learned,
    Music,
    Rope,
    Shaw,
    Sinusoidal,
)
from gpt.spec.recipe import Recipe
from gpt.spec.scaling import YaRN
from gpt.spec.scoring import Additive, General, LocalP, Location
from gpt.training.loop import train
from pytok import shards
from tests.gpt.models import mean_loss, perturbed

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
    ALiBi(),
    Sinusoidal(),
    None,
    Rope(interleaved=True, scaling=YaRN(factor=2.0, original_context=6)),
    T5(buckets=8, distance=12),
    Shaw(distance=4),
    Music(),
    InterleavedPositions(layers=(Music(distance=4), None)),
]
ATTENTIONS = [
    GroupedQuery(heads=4, kv_heads=4),
    GroupedQuery(heads=4, kv_heads=1, qk_norm=True),
    GroupedQuery(heads=4, kv_heads=2, pattern=Window(size=3)),
    GroupedQuery(heads=4, kv_heads=4, pattern=Window(size=2, long_every=2)),
]
SPARSE = [
    GroupedQuery(heads=4, kv_heads=4, pattern=Window(size=2, dilations=(1, 3))),
    GroupedQuery(heads=4, kv_heads=4, pattern=Window(size=2, first=1, global_positions=(4,))),
    GroupedQuery(heads=4, kv_heads=4, pattern=BigBird(block=2, window=1, random_blocks=1)),
    Longformer(heads=4, kv_heads=4, pattern=Window(size=3, first=2)),
]
SCORES: list[dict[str, Any]] = [
    {"score": General()},
    {"score": Additive()},
    {"score": Location()},
    {"normalizer": LocalP(window=3)},
]
MODELS = [
    pytest.param(
        dataclasses.replace(SMALL, position=position, attention=attention),
        id=f"{position}-{attention}",
    )
    for position in POSITIONS
    for attention in ATTENTIONS
] + [
    pytest.param(dataclasses.replace(SMALL, shift=TokenShift()), id="shift"),
    *(
        pytest.param(dataclasses.replace(SMALL, attention=attention), id=str(attention))
        for attention in SPARSE
    ),
    *(
        pytest.param(
            dataclasses.replace(
                SMALL, position=None, attention=GroupedQuery(heads=4, kv_heads=2, **parts)
            ),
            id=str(parts),
        )
        for parts in SCORES
    ),
    pytest.param(
        dataclasses.replace(SMALL, attention=LinearAttention(heads=4, kv_heads=2, chunk=5)),
        id="linear",
    ),
    pytest.param(
        dataclasses.replace(SMALL, attention=Latent(heads=4), value_embedding=None), id="latent"
    ),
]


def packed(lengths: list[list[int]]) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, targets and document ids of rows that pack documents of *lengths*."""
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
    """Lengths of up to five documents in each of one or two rows of CONTEXT tokens."""
    cuts = st.lists(st.integers(1, CONTEXT - 1), unique=True, max_size=4).map(sorted)
    rows = draw(st.lists(cuts, min_size=1, max_size=2))
    return [np.diff([0, *row, CONTEXT]).tolist() for row in rows]


@pytest.mark.parametrize("config", MODELS)
@settings(max_examples=10)
@given(lengths=splits(), recompute=st.booleans())
def test_packed_documents_have_the_loss_and_gradients_of_separate_ones(
    config: GPTConfig, lengths: list[list[int]], recompute: bool
) -> None:
    """With every position encoding and attention, and any document lengths."""
    model, (ids, targets, document_ids) = perturbed(config), packed(lengths)
    model.recompute = recompute
    loss = mean_loss(model, ids, targets, document_ids)
    expected = torch.zeros(())
    for row, sizes in enumerate(lengths):
        documents = zip(ids[row].split(sizes), targets[row].split(sizes), strict=True)
        for inputs, outputs in documents:
            fraction = len(inputs) / ids.numel()
            expected = expected + fraction * mean_loss(model, inputs[None], outputs[None])

    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(
        gradients(model, loss), gradients(model, expected), rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("config", MODELS)
def test_documents_are_masked_the_same_with_and_without_gradients(config: GPTConfig) -> None:
    """On the CPU the two cases use different kernels."""
    model, (ids, _, document_ids) = perturbed(config), packed([[5, 1, 6], [2, 10]])
    with torch.no_grad():
        without_gradients = model(ids, document_ids=document_ids)

    torch.testing.assert_close(
        model(ids, document_ids=document_ids), without_gradients, rtol=1e-4, atol=1e-5
    )


def test_rows_of_one_document_need_no_document_ids() -> None:
    """Whatever the id of the document."""
    model, (ids, _, document_ids) = perturbed(SMALL), packed([[CONTEXT]] * 2)

    torch.testing.assert_close(model(ids, document_ids=document_ids + 7), model(ids))


def test_without_document_ids_tokens_attend_across_documents() -> None:
    """The tests above can fail."""
    model, (ids, _, document_ids) = perturbed(SMALL), packed([[4, 8]])

    assert not torch.allclose(model(ids, document_ids=document_ids), model(ids))


def test_positions_restart_at_each_document() -> None:
    """Ids need not be consecutive, nor start from 0."""
    document_ids = torch.tensor([[3, 3, 3, 4, 9, 9], [0, 1, 2, 2, 2, 2]])

    assert positions_within(document_ids).tolist() == [[0, 1, 2, 0, 0, 1], [0, 0, 0, 1, 2, 3]]


def test_document_ids_with_a_cache_are_rejected() -> None:
    """Cached tokens have no document ids."""
    model, (ids, _, document_ids) = perturbed(SMALL), packed([[4, 8]])
    with pytest.raises(ValueError, match="cannot be used with a cache"):
        model(ids, cache=model.new_cache(1), document_ids=document_ids)


@pytest.mark.slow
def test_compiled_model_masks_documents() -> None:
    """In one graph, whatever the lengths of the documents."""
    model = perturbed(dataclasses.replace(SMALL, position=Learned()))
    compiled = torch.compile(model, fullgraph=True)
    objective = build_objective(CrossEntropy(), model.config)
    for lengths in ([[5, 7]], [[1, 2, 9]]):
        ids, targets, document_ids = packed(lengths)
        ours = compiled(Batch(ids, targets, document_ids), objective).sum / targets.numel()
        torch.testing.assert_close(ours, mean_loss(model, ids, targets, document_ids))


class SplitOfDocuments:
    """A split of documents with the given *ends*; its token at index n is n."""

    def __init__(self, length: int, ends: list[int]) -> None:
        self.ids = np.arange(length, dtype=np.uint16)
        self.bytes = length
        self.document_ends = np.array(ends, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, start: int, stop: int) -> Any:
        """Return tokens *start* to *stop* - 1."""
        return self.ids[start:stop]


@st.composite
def document_splits(draw: st.DrawFn) -> SplitOfDocuments:
    """Splits of 2 to 200 tokens."""
    length = draw(st.integers(2, 200))
    cuts = draw(st.lists(st.integers(1, length - 1), unique=True))
    return SplitOfDocuments(length, [*sorted(cuts), length])


def same_document(split: SplitOfDocuments, inputs: Tensor) -> Tensor:
    """Which pairs of tokens of a row belong to one document: no end is between them."""
    counts = [[int((split.document_ends <= n).sum()) for n in row] for row in inputs.tolist()]
    ends_before = torch.tensor(counts)
    return ends_before[:, :, None] == ends_before[:, None, :]


@given(split=document_splits(), context=st.integers(1, 40), rows=st.integers(1, 4))
def test_evaluation_batches_have_document_ids(
    split: SplitOfDocuments, context: int, rows: int
) -> None:
    """Also in the last window."""
    for batch in evaluation_batches(
        split, context=context, vocab_size=1000, rows=rows, document_mask=True
    ):
        document_ids = batch.document_ids
        assert document_ids is not None
        same = document_ids[:, :, None] == document_ids[:, None, :]
        assert torch.equal(same, same_document(split, batch.inputs))


@given(split=document_splits(), context=st.integers(1, 40), row=st.integers(0, 300))
def test_training_batches_have_document_ids(
    split: SplitOfDocuments, context: int, row: int
) -> None:
    """They never decrease within a row, as `Batch` documents."""
    context = min(context, len(split) - 1)
    rows = TrainingRows(split, context=context, vocab_size=1000, seed=3, document_mask=True)
    batch = rows.batch(row, 2)
    document_ids = batch.document_ids
    assert document_ids is not None

    assert (document_ids.diff(dim=1) >= 0).all()
    same = document_ids[:, :, None] == document_ids[:, None, :]
    assert torch.equal(same, same_document(split, batch.inputs))


def test_batches_have_no_document_ids_by_default() -> None:
    """Then attention can use kernels without a mask."""
    split = SplitOfDocuments(50, [20, 50])

    assert TrainingRows(split, context=8, vocab_size=99, seed=0).batch(0, 2).document_ids is None


@pytest.fixture
def pages(tmp_path: Path, tokenizer: Any) -> Path:
    """Shards of 200 documents of some twenty bytes, a quarter of them held out."""
    source = tmp_path / "pages.jsonl"
    lines = (f'{{"text": "page {n} of a book of {200 - n}"}}\n' for n in range(200))
    source.write_text("".join(lines), encoding="utf-8")
    shards.write(source, tokenizer, tmp_path / "pages", val=0.25, split="documents")
    return tmp_path / "pages"


def test_a_run_with_document_mask_is_evaluated_with_it(recipe: Recipe, pages: Path) -> None:
    """The bits per byte differ without the mask."""
    recipe = dataclasses.replace(recipe, data=pages, document_mask=True)
    outcome = train(recipe)
    model = read_checkpoint(recipe.out).model()
    runtime = Runtime.choose("cpu", "float32")
    split = open_split(open_data(pages), "val")
    masked, unmasked = (
        evaluate(model, split, runtime=runtime, rows=2, document_mask=document_mask).bits_per_byte
        for document_mask in (True, False)
    )

    assert outcome.state.score == pytest.approx(masked)
    assert masked != pytest.approx(unmasked)
