"""Generating text: sampling filters, decoding past the context, ends of texts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from gpt.errors import CheckpointError, ConfigError, TrainingError
from gpt.generation.decoder import Decoder, inference_copy
from gpt.generation.sampling import (
    Sampling,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    penalize_repetition,
    read_ids,
    sample_tokens,
)
from gpt.generation.text import generate, generate_batch
from gpt.model.gpt import GPT
from gpt.nn.linear import FusedLinear
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.embedding import TokenShift
from gpt.spec.mlp import MLP
from gpt.spec.pattern import Window
from gpt.spec.position import Learned
from tests.gpt.models import perturbed

GREEDY = Sampling(temperature=0)


def small_model(**fields: Any) -> GPT:
    """A model of bytes with a context of 8 and noise in all weights."""
    attention = GroupedQuery(heads=2, kv_heads=1)
    config = {"vocab_size": 257, "context": 8, "layers": 2, "width": 32, "attention": attention}
    return perturbed(GPTConfig(**(config | fields)), 0.3, 0)


@pytest.fixture(scope="module")
def model() -> GPT:
    """Rotary positions, no window."""
    return small_model()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        *((lambda x, k=k: keep_top_k(x, k), TopKLogitsWarper(k)) for k in (1, 5, 1000)),
        *((lambda x, p=p: keep_top_p(x, p), TopPLogitsWarper(p)) for p in (0.1, 0.5, 0.95)),
        *((lambda x, p=p: keep_min_p(x, p), MinPLogitsWarper(p)) for p in (0.01, 0.3, 1.0)),
    ],
)
def test_filter_keeps_what_transformers_keeps(
    ours: Callable[[Tensor], Tensor], theirs: Any
) -> None:
    """The same logits and the same -inf, for many random inputs."""
    for seed in range(20):
        logits = 3 * torch.randn(100, generator=torch.Generator().manual_seed(seed))

        assert torch.equal(ours(logits), theirs(None, logits[None].clone())[0])


def test_top_p_of_one_keeps_all_tokens() -> None:
    """Whatever the rounding of the cumulative sum."""
    logits = torch.tensor([1.0, 2.0, 3.0])

    assert torch.equal(keep_top_p(logits, 1.0), logits)


def sample(probabilities: list[float], sampling: Sampling, count: int) -> list[int]:
    """Sample *count* tokens independently."""
    logits, generator = torch.tensor([probabilities]).log(), torch.Generator().manual_seed(0)
    return [int(sample_tokens(logits, sampling, [generator])) for _ in range(count)]


def test_samples_follow_the_probabilities() -> None:
    """Ten thousand samples of three tokens, within five standard deviations."""
    probabilities = [0.5, 0.3, 0.2]
    ids = sample(probabilities, Sampling(temperature=1.0), 10_000)

    for id, probability in enumerate(probabilities):
        deviation = math.sqrt(probability * (1 - probability) / 10_000)
        assert ids.count(id) / 10_000 == pytest.approx(probability, abs=5 * deviation)


def test_an_id_is_the_one_of_torchs_multinomial() -> None:
    """For each row with its own generator, as for the row alone."""
    logits = 3 * torch.randn(5, 1000, generator=torch.Generator().manual_seed(0))
    ours, theirs = ([torch.Generator().manual_seed(row) for row in range(5)] for _ in range(2))
    for _ in range(20):
        found = sample_tokens(logits, Sampling(temperature=1.0), ours)
        expected = [
            torch.multinomial(row.softmax(-1), 1, generator=generator)
            for row, generator in zip(logits, theirs, strict=True)
        ]

        assert found.tolist() == [int(id) for id in expected]


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_nan_logits_are_an_error(temperature: float) -> None:
    """Of any row."""
    logits = torch.zeros(2, 5)
    logits[1, 3] = math.nan
    ids = sample_tokens(logits, Sampling(temperature=temperature), [torch.Generator()] * 2)
    with pytest.raises(CheckpointError, match="the model predicts NaN"):
        read_ids(ids)


def test_texts_that_do_not_fit_in_memory_are_an_error(
    model: GPT, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what does not fit."""

    def fail(*arguments: Any) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(Decoder, "append", fail)
    with pytest.raises(TrainingError, match="2 texts of up to 8 tokens do not fit in the memory"):
        list(generate_batch(model, tokenizer, ["p", "q"]))


def test_temperature_divides_the_logits() -> None:
    """At 0.5 the probabilities are squared."""
    ids = sample([0.8, 0.2], Sampling(temperature=0.5), 5000)

    assert ids.count(1) / 5000 == pytest.approx(0.04 / 0.68, abs=0.02)


def test_repetition_penalty_equals_transformers() -> None:
    """For positive and negative logits, of tokens present and absent."""
    logits = torch.randn(100, generator=torch.Generator().manual_seed(0))
    present = torch.zeros(100, dtype=torch.bool)
    present[::3] = True
    theirs = RepetitionPenaltyLogitsProcessor(1.3)(present.nonzero().T, logits[None].clone())[0]

    assert torch.equal(penalize_repetition(logits, present, 1.3), theirs)


MODELS = {
    "rope": small_model(),
    "learned": small_model(position=Learned()),
    "window": small_model(attention=GroupedQuery(heads=2, kv_heads=1, pattern=Window(size=3))),
    "short": small_model(context=2),
    "swiglu": small_model(mlp=MLP(activation="silu", gated=True), bias=True),
    "shift": small_model(shift=TokenShift()),
}
PROMPTS = [[1], list(range(8)), list(range(30)), [5, 6, 7]]


def greedy(model: GPT, prompts: list[list[int]], tokens: int) -> list[list[int]]:
    """Decode *tokens* tokens greedily; return the ids of each row."""
    decoder = Decoder(model, prompts)
    steps = []
    for _ in range(tokens):
        steps.append(decoder.logits.argmax(-1).tolist())
        decoder.append(steps[-1])
    return [list(row) for row in zip(*steps, strict=True)]


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("prompt", PROMPTS, ids=len)
def test_decoding_equals_prediction_without_a_cache(model: GPT, prompt: list[int]) -> None:
    """Also past the context, where the window restarts from its last half."""
    context = model.config.context
    window, expected = prompt[-context:], []
    for _ in range(30):
        expected.append(int(model(torch.tensor([window]))[0, -1].argmax()))
        window = [*window, expected[-1]]
        window = window if len(window) <= context else window[-(context // 2) :]

    assert greedy(model, [prompt], 30) == [expected]


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_rows_of_a_batch_equal_rows_alone(model: GPT) -> None:
    """The prompts differ in length, so their windows restart at different times."""
    assert greedy(model, PROMPTS, 30) == [greedy(model, [prompt], 30)[0] for prompt in PROMPTS]


def test_removed_rows_do_not_affect_the_others(model: GPT) -> None:
    """Also if they were before them."""
    batch, alone = Decoder(model, PROMPTS), Decoder(model, [PROMPTS[3]])
    batch.keep([1, 3])
    for id in range(20):
        batch.append([id + 1, id])
        alone.append([id])

        torch.testing.assert_close(batch.logits[1], alone.logits[0])


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_inference_copy_has_the_same_logits(model: GPT) -> None:
    """As close as its dtype allows."""
    ids = torch.tensor([[1, 2]])
    expected = model(ids)

    for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 0.03), (torch.int8, 0.05)):
        light = inference_copy(model, dtype)(ids, cache=model.new_cache(1))
        assert (light - expected).abs().max() < tolerance * expected.abs().max()


@pytest.mark.parametrize("inputs", [64, 40])
@pytest.mark.parametrize("rows", [1, 16, 17])
def test_int8_rounds_each_output_to_127_steps(rows: int, inputs: int) -> None:
    """With few rows, for which torch has a kernel, and with many; from a part of a tensor."""
    linears = [nn.Linear(inputs, 3), nn.Linear(inputs, 5)]
    x = torch.randn(rows, inputs + 3)[:, :inputs]
    weight = torch.cat([linear.weight for linear in linears])
    step = weight.abs().amax(1, keepdim=True) / 127
    bias = torch.cat([linear.bias for linear in linears])

    found = FusedLinear(linears, torch.int8)(x)

    expected = F.linear(x, step * (weight / step).round(), bias)
    torch.testing.assert_close(found.float(), expected, rtol=0.02, atol=0.02)


def test_inference_copy_does_not_change_the_model(model: GPT) -> None:
    """It shares the tensors that are not cast."""
    light = inference_copy(model, torch.bfloat16)

    assert light.embedding.weight is model.embedding.weight
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_text_is_a_function_of_its_seed(model: GPT, tokenizer: Any) -> None:
    """Equal seeds give equal texts, different seeds different ones."""
    first, again, other = (
        "".join(generate(model, tokenizer, "p", max_tokens=20, sampling=Sampling(seed=seed)))
        for seed in (0, 0, 1)
    )

    assert first == again != other


def test_each_text_of_a_batch_has_its_own_seed(model: GPT, tokenizer: Any) -> None:
    """Text n is the one that its prompt would get alone with seed n."""
    texts = ["", "", ""]
    for row, delta in generate_batch(model, tokenizer, ["p", "pq", "p"], max_tokens=20):
        texts[row] += delta
    alone = [
        "".join(generate(model, tokenizer, prompt, max_tokens=20, sampling=Sampling(seed=row)))
        for row, prompt in enumerate(["p", "pq", "p"])
    ]

    assert texts == alone


def test_penalty_prevents_repetition(model: GPT, tokenizer: Any, sampled: Any) -> None:
    """A very large one excludes all tokens of the text and the prompt."""
    sampling = Sampling(temperature=0, repetition_penalty=1e9)
    list(generate(model, tokenizer, "abc", max_tokens=100, sampling=sampling, stop_ids=[256]))
    ids = [*b"abc", *sampled]

    assert len(set(ids)) == len(ids) > 50


def test_gradients_are_enabled_between_two_tokens(model: GPT, tokenizer: Any) -> None:
    """The caller can train while it generates."""
    next(generate(model, tokenizer, "p"))

    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_a_generated_document_is_not_empty(tokenizer: Any, sampled: Any) -> None:
    """Even if the end of text is the likeliest first token."""
    model = small_model()
    with torch.no_grad():  # the end's logit is the sum of its squares, and the greatest
        model.embedding.weight[256] *= 10
    deltas = list(generate(model, tokenizer, "", sampling=GREEDY, max_tokens=5))

    assert sampled[0] != 256
    assert deltas or 256 in sampled


@pytest.fixture
def sampled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sampled ids, in order."""
    ids: list[int] = []

    def record(*arguments: Any) -> Tensor:
        sampled = sample_tokens(*arguments)
        ids.extend(sampled.tolist())
        return sampled

    monkeypatch.setattr("gpt.generation.text.sample_tokens", record)
    return ids


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int | None], None]:
    """Make the model generate a given text, then the same token forever."""

    def script(text: str, then: int | None = None) -> None:
        ids = itertools.chain(text.encode(), itertools.repeat(ord("x") if then is None else then))
        monkeypatch.setattr(
            "gpt.generation.text.sample_tokens", lambda *arguments: torch.tensor([next(ids)])
        )

    return script  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        ([], "say: héllo wor"),
        (["wor"], "say: héllo "),
        (["zz", "llo", "hé"], "say: "),
        (["lo w"], "say: hél"),
        (["worlds"], "say: héllo wor"),
    ],
)
def test_text_ends_before_a_stop_string(
    model: GPT, tokenizer: Any, writes: Any, stop: list[str], expected: str
) -> None:
    """Wherever the tokens are cut. An end that only started like a stop string is kept."""
    writes("say: héllo world")
    deltas = generate(model, tokenizer, "p", max_tokens=len("say: héllo wor".encode()), stop=stop)

    assert "".join(deltas) == expected


def test_text_ends_at_the_end_of_text(model: GPT, tokenizer: Any, writes: Any) -> None:
    """The token is not part of it."""
    writes("done", 256)

    assert "".join(generate(model, tokenizer, "p")) == "done"


def test_text_ends_at_a_stop_id(model: GPT, tokenizer: Any, writes: Any) -> None:
    """The token is not part of it."""
    writes("one. two.")

    assert "".join(generate(model, tokenizer, "p", stop_ids=[ord(".")])) == "one"


def test_incomplete_characters_are_not_streamed(model: GPT, tokenizer: Any, writes: Any) -> None:
    """No part of the text has a replacement character that the complete text does not have."""
    writes("日本語")

    assert "\ufffd" not in list(itertools.islice(generate(model, tokenizer, "p"), 3))


def test_empty_prompt_needs_an_end_of_text_token(model: GPT, tokenizer: Any) -> None:
    """A document starts with it."""
    tokenizer = type(tokenizer)(end=None)
    with pytest.raises(ConfigError, match="give a prompt"):
        generate(model, tokenizer, "")


@pytest.mark.parametrize(
    "fields",
    [
        {"repetition_penalty": 0.0},
        {"temperature": -1.0},
        {"top_k": 0},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"min_p": 2.0},
    ],
)
def test_sampling_value_out_of_range_is_rejected(fields: dict[str, Any]) -> None:
    """The message starts with the name of the field."""
    with pytest.raises(ConfigError, match=f"^{next(iter(fields))} must be"):
        Sampling(**fields)
