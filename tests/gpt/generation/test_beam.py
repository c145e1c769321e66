"""Beam search beside all targets of a tiny vocabulary."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from gpt.data.batch import NO_TOKEN, Batch
from gpt.data.pairs import Ends
from gpt.errors import CheckpointError, ConfigError
from gpt.generation.beam import BeamSearch, beam_search, search_all, translate
from gpt.model.encoder_decoder import EncoderDecoder
from gpt.model.recurrent import Recurrent
from gpt.spec.attention import GroupedQuery
from gpt.spec.encoder_decoder import EncoderDecoderConfig
from gpt.spec.recurrent import RecurrentConfig
from pytok.tokenizer import Tokenizer

VOCABULARY, END = 5, 4
ENDS = Ends(END, END)
SOURCES = [[0, 1, 2, END], [3, END], [2, 2, 0, 1, 3, END]]
MODELS: list[Any] = [
    EncoderDecoder(
        EncoderDecoderConfig(
            vocab_size=VOCABULARY,
            context=8,
            layers=1,
            width=16,
            attention=GroupedQuery(heads=2, kv_heads=1),
        ),
        seed=1,
    ),
    Recurrent(RecurrentConfig(vocab_size=VOCABULARY, context=8, layers=1, width=16), seed=1),
]


@pytest.fixture(params=MODELS, ids=["transformer", "recurrent"])
def model(request: pytest.FixtureRequest) -> Any:
    """A model whose probabilities differ."""
    found = request.param
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.copy_(0.7 * torch.randn(parameter.shape, generator=noise))
    return found.eval()


def log_probabilities(model: Any, source: Sequence[int], target: Sequence[int]) -> Tensor:
    """The log-probability of each token of *target*."""
    inputs = torch.tensor([[END, *target[:-1]]])
    with torch.inference_mode():
        logits = model(Batch(inputs, inputs, None, torch.tensor([source])))[0]
    return logits.double().log_softmax(-1)[range(len(target)), list(target)]


def all_targets(
    model: Any, source: Sequence[int], most: int, search: BeamSearch
) -> dict[Any, float]:
    """The score of every target of at most *most* tokens, its end included, or cut there."""
    found = {}
    for tokens in range(1, most + 1):
        for ids in itertools.product(range(VOCABULARY - 1), repeat=tokens - 1):
            total = log_probabilities(model, source, [*ids, END]).sum().item()
            found[ids] = search.score(total, tokens)
    for ids in itertools.product(range(VOCABULARY - 1), repeat=most):
        total = log_probabilities(model, source, ids).sum().item()
        found[ids] = search.score(total, most)
    return found


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.5])
def test_a_wide_beam_finds_the_best_of_all_targets(model: Any, penalty: float) -> None:
    """With as many beams as there are prefixes, nothing is lost: all in order of their scores."""
    search = BeamSearch(beams=200, length_penalty=penalty, max_tokens=3)
    for source, found in zip(SOURCES, beam_search(model, SOURCES, ENDS, search), strict=True):
        expected = all_targets(model, source, 3, search)
        scores = [each.score for each in found]

        assert {tuple(each.ids): each.score for each in found} == pytest.approx(expected, abs=1e-5)
        assert scores == sorted(scores, reverse=True)


def test_one_beam_takes_the_likeliest_token_each_time(model: Any) -> None:
    """Until that one is the end, or the most tokens are reached."""
    search = BeamSearch(max_tokens=5)
    for source, (found,) in zip(SOURCES, beam_search(model, SOURCES, ENDS, search), strict=True):
        greedy: list[int] = []
        while len(greedy) < 5 and END not in greedy:
            inputs = torch.tensor([[END, *greedy]])
            logits = model(Batch(inputs, inputs, None, torch.tensor([source])))
            greedy.append(int(logits[0, -1].argmax()))

        assert found.ids == [id for id in greedy if id != END]


@pytest.mark.parametrize("beams", [1, 3])
def test_a_source_has_the_same_targets_alone_and_beside_others(model: Any, beams: int) -> None:
    """Sources of different lengths are padded, and end at different steps."""
    search = BeamSearch(beams=beams, max_tokens=6)
    together = beam_search(model, SOURCES, ENDS, search)
    alone = [beam_search(model, [source], ENDS, search)[0] for source in SOURCES]

    for ours, theirs in zip(together, alone, strict=True):
        assert [each.ids for each in ours] == [each.ids for each in theirs]
        expected = pytest.approx([each.score for each in theirs], abs=1e-5)
        assert [each.score for each in ours] == expected
    many = list(search_all(model, SOURCES * 30, ENDS, search))
    assert [each[0].ids for each in many] == [each[0].ids for each in together] * 30


def test_a_hypothesis_has_the_probability_that_the_model_gives_it(model: Any) -> None:
    """Cached decoding with reordered rows computes the same as reading the target at once."""
    search = BeamSearch(beams=4, max_tokens=6)
    for source, found in zip(SOURCES, beam_search(model, SOURCES, ENDS, search), strict=True):
        for each in found:
            ids = each.ids if len(each.ids) == 6 else [*each.ids, END]
            total = log_probabilities(model, source, ids).sum().item()
            assert each.log_probability == pytest.approx(total, abs=1e-4)
            assert each.score == pytest.approx(total / ((5 + len(ids)) / 6) ** 0.6, abs=1e-4)


def test_targets_end_at_the_context(model: Any) -> None:
    """Without an end, and whatever may be asked for."""
    with torch.no_grad():
        head = model.decoder.head if isinstance(model, EncoderDecoder) else model.head
        head.weight[END] = 0
    (found,) = beam_search(model, SOURCES[:1], ENDS, BeamSearch(max_tokens=100))

    assert len(found[0].ids) <= 8


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"beams": 0}, "beams must be at least 1"),
        ({"length_penalty": -1.0}, "length_penalty must be at least 0"),
        ({"length_penalty": float("nan")}, "length_penalty must be at least 0"),
        ({"max_tokens": 0}, "max_tokens must be at least 1"),
    ],
)
def test_impossible_searches_are_refused(fields: dict[str, Any], words: str) -> None:
    """By the name of the field."""
    with pytest.raises(ConfigError, match=words):
        BeamSearch(**fields)


def test_a_text_is_translated_or_refused(model: Any) -> None:
    """If it is empty, or longer than the model reads."""
    tokenizer = Tokenizer(
        "letters",
        pat_str=r".",
        mergeable_ranks={letter.encode(): id for id, letter in enumerate("abcd")},
        special_tokens={"<|endoftext|>": END},
    )
    texts = ["abc", "d"]

    assert len(list(translate(model, tokenizer, texts))) == 2
    with pytest.raises(ConfigError, match="the source is empty"):
        list(translate(model, tokenizer, [""]))
    with pytest.raises(ConfigError, match="9 tokens, and the model reads 8"):
        list(translate(model, tokenizer, ["a" * 8]))


def test_nan_is_an_error(model: Any) -> None:
    """Of a model that has diverged."""
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(CheckpointError, match="predicts NaN"):
        beam_search(model, SOURCES, ENDS, BeamSearch())


def test_sources_are_padded_with_no_token() -> None:
    """So that no vocabulary needs one for it."""
    assert NO_TOKEN < 0
