"""How text is drawn: the filters, the cache past the context, the ends."""

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

from gpt.errors import ConfigError
from gpt.generation.decoder import Decoder, with_linears_in
from gpt.generation.sampling import Sampling, choose, keep_min_p, keep_top_k, keep_top_p, penalize
from gpt.generation.text import generate, generate_batch
from gpt.model.gpt import GPT
from gpt.nn.linear import FusedLinear
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.embedding import TokenShift
from gpt.spec.mlp import SwiGLU
from gpt.spec.position import Learned

GREEDY = Sampling(temperature=0)


def lively(**fields: Any) -> GPT:
    """A model of bytes with a context of 8 whose next token depends on what it sees."""
    attention = GroupedQuery(heads=2, kv_heads=1)
    config = {"vocab_size": 257, "context": 8, "layers": 2, "width": 32, "attention": attention}
    model = GPT(GPTConfig(**(config | fields)))
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=noise)
    return model.eval()


@pytest.fixture(scope="module")
def model() -> GPT:
    """Rotary positions, no window."""
    return lively()


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
    """The same logits, the same -inf, over many draws."""
    for seed in range(20):
        logits = 3 * torch.randn(100, generator=torch.Generator().manual_seed(seed))

        assert torch.equal(ours(logits), theirs(None, logits[None].clone())[0])


def test_top_p_of_one_keeps_all() -> None:
    """Rounding in the running sum takes nothing away that has a chance."""
    logits = torch.tensor([1.0, 2.0, 3.0])

    assert torch.equal(keep_top_p(logits, 1.0), logits)


def test_draws_follow_the_chances() -> None:
    """Ten thousand draws of three tokens, within five standard deviations."""
    probabilities = torch.tensor([0.5, 0.3, 0.2])
    draws = torch.Generator().manual_seed(0)
    chosen = [choose(probabilities.log(), Sampling(temperature=1.0), draws) for _ in range(10_000)]

    for id, chance in enumerate(probabilities.tolist()):
        deviation = math.sqrt(chance * (1 - chance) / 10_000)
        assert chosen.count(id) / 10_000 == pytest.approx(chance, abs=5 * deviation)


def test_temperature_divides_the_logits() -> None:
    """At 0.5 the probabilities are squared."""
    draws = torch.Generator().manual_seed(0)
    logits = torch.tensor([0.8, 0.2]).log()
    chosen = [choose(logits, Sampling(temperature=0.5), draws) for _ in range(5000)]

    assert chosen.count(1) / 5000 == pytest.approx(0.04 / 0.68, abs=0.02)


def test_repetition_penalty_is_transformers() -> None:
    """On positive and negative logits, of tokens present and absent."""
    logits = torch.randn(100, generator=torch.Generator().manual_seed(0))
    present = torch.zeros(100, dtype=torch.bool)
    present[::3] = True
    theirs = RepetitionPenaltyLogitsProcessor(1.3)(present.nonzero().T, logits[None].clone())[0]

    assert torch.equal(penalize(logits, present, 1.3), theirs)


MODELS = {
    "rope": lively(),
    "learned": lively(position=Learned()),
    "window": lively(attention=GroupedQuery(heads=2, kv_heads=1, window=3)),
    "short": lively(context=2),
    "swiglu": lively(mlp=SwiGLU(), bias=True),
    "shift": lively(shift=TokenShift()),
}
PROMPTS = [[1], list(range(8)), list(range(30)), [5, 6, 7]]


def greedy(model: GPT, prompts: list[list[int]], tokens: int) -> list[list[int]]:
    """What the decoder writes, row by row."""
    decoder = Decoder(model, prompts)
    steps = []
    for _ in range(tokens):
        steps.append(decoder.logits.argmax(-1).tolist())
        decoder.append(steps[-1])
    return [list(row) for row in zip(*steps, strict=True)]


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("prompt", PROMPTS, ids=len)
def test_decoding_equals_prediction_without_a_cache(model: GPT, prompt: list[int]) -> None:
    """Past the context too, where the window starts over from its last half."""
    context = model.config.context
    window, expected = prompt[-context:], []
    for _ in range(30):
        expected.append(int(model(torch.tensor([window])).logits[0, -1].argmax()))
        window = [*window, expected[-1]]
        window = window if len(window) <= context else window[-(context // 2) :]

    assert greedy(model, [prompt], 30) == [expected]


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_rows_of_a_batch_equal_rows_alone(model: GPT) -> None:
    """Prompts of different lengths, which start over at different times."""
    assert greedy(model, PROMPTS, 30) == [greedy(model, [prompt], 30)[0] for prompt in PROMPTS]


def test_rows_that_leave_do_not_disturb_the_others(model: GPT) -> None:
    """Also when those that stay were not the first."""
    together, alone = Decoder(model, PROMPTS), Decoder(model, [PROMPTS[3]])
    together.keep([1, 3])
    for id in range(20):
        together.append([id + 1, id])
        alone.append([id])

        torch.testing.assert_close(together.logits[1], alone.logits[0])


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_linears_in_another_dtype_predict_alike(model: GPT) -> None:
    """Joined or not; as near as the dtype is."""
    ids = torch.tensor([[1, 2]])
    expected = model(ids).logits

    for dtype, near in ((torch.float32, 1e-5), (torch.bfloat16, 0.03), (torch.int8, 0.05)):
        light = with_linears_in(model, dtype)(ids, cache=model.new_cache(1)).logits
        assert (light - expected).abs().max() < near * expected.abs().max()


@pytest.mark.parametrize("rows", [1, 16, 17])
def test_int8_rounds_each_output_to_127_steps(rows: int) -> None:
    """With few rows, which torch's own kernel takes, and with many."""
    linears = [nn.Linear(64, 3), nn.Linear(64, 5)]
    x = torch.randn(rows, 64)
    weight = torch.cat([linear.weight for linear in linears])
    step = weight.abs().amax(1, keepdim=True) / 127
    bias = torch.cat([linear.bias for linear in linears])

    found = FusedLinear(linears, torch.int8)(x)

    expected = F.linear(x, step * (weight / step).round(), bias)
    torch.testing.assert_close(found.float(), expected, rtol=0.02, atol=0.02)


def test_linears_in_another_dtype_leave_the_model_as_it_was(model: GPT) -> None:
    """The copy shares what it does not change."""
    light = with_linears_in(model, torch.bfloat16)

    assert light.embedding.weight is model.embedding.weight
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_text_is_a_function_of_its_seed(model: GPT, tokenizer: Any) -> None:
    """The same seed gives the same draws, another one others."""
    first, again, other = (
        "".join(generate(model, tokenizer, "p", max_tokens=20, sampling=Sampling(seed=seed)))
        for seed in (0, 0, 1)
    )

    assert first == again != other


def test_texts_of_a_batch_have_seeds_of_their_own(model: GPT, tokenizer: Any) -> None:
    """Each is what its prompt gets alone with the seed after the one before."""
    texts = ["", "", ""]
    for row, piece in generate_batch(model, tokenizer, ["p", "pq", "p"], max_tokens=20):
        texts[row] += piece
    alone = [
        "".join(generate(model, tokenizer, prompt, max_tokens=20, sampling=Sampling(seed=row)))
        for row, prompt in enumerate(["p", "pq", "p"])
    ]

    assert texts == alone


def test_penalty_keeps_the_text_from_repeating(model: GPT, tokenizer: Any, chosen: Any) -> None:
    """A great one bars what is there already, the prompt included."""
    sampling = Sampling(temperature=0, repetition_penalty=1e9)
    list(generate(model, tokenizer, "abc", max_tokens=100, sampling=sampling, stop_ids=[256]))
    drawn = [*b"abc", *chosen]

    assert len(set(drawn)) == len(drawn) > 50


def test_generation_leaves_gradients_on(model: GPT, tokenizer: Any) -> None:
    """Between two draws the caller can train."""
    next(generate(model, tokenizer, "p"))

    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_document_does_not_end_where_it_begins(tokenizer: Any, chosen: Any) -> None:
    """Though the end is the likeliest; later it may be."""
    model = lively()
    with torch.no_grad():  # the end's logit is the sum of its squares, and the greatest
        model.embedding.weight[256] *= 10
    pieces = list(generate(model, tokenizer, "", sampling=GREEDY, max_tokens=5))

    assert chosen[0] != 256
    assert pieces or 256 in chosen


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids that are drawn, in order."""
    ids: list[int] = []

    def record(*arguments: Any) -> int:
        ids.append(choose(*arguments))
        return ids[-1]

    monkeypatch.setattr("gpt.generation.text.choose", record)
    return ids


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int | None], None]:
    """Make the model write a given text, then a token, for ever."""

    def script(text: str, then: int | None = None) -> None:
        ids = itertools.chain(text.encode(), itertools.repeat(ord("x") if then is None else then))
        monkeypatch.setattr("gpt.generation.text.choose", lambda *arguments: next(ids))

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
    """Wherever the pieces are cut; what only began like one is written in the end."""
    writes("say: héllo world")
    pieces = generate(model, tokenizer, "p", max_tokens=len("say: héllo wor".encode()), stop=stop)

    assert "".join(pieces) == expected


def test_text_ends_at_the_end_of_text(model: GPT, tokenizer: Any, writes: Any) -> None:
    """The token itself is not written."""
    writes("done", 256)

    assert "".join(generate(model, tokenizer, "p")) == "done"


def test_text_ends_at_a_stop_id(model: GPT, tokenizer: Any, writes: Any) -> None:
    """The token itself is not written."""
    writes("one. two.")

    assert "".join(generate(model, tokenizer, "p", stop_ids=[ord(".")])) == "one"


def test_half_a_character_is_not_written(model: GPT, tokenizer: Any, writes: Any) -> None:
    """No piece has a replacement character where the whole text has none."""
    writes("日本語")

    assert "\ufffd" not in list(itertools.islice(generate(model, tokenizer, "p"), 3))


def test_empty_prompt_needs_an_end_of_text_token(model: GPT, tokenizer: Any) -> None:
    """It is what a document begins with."""
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
def test_sampling_out_of_range_is_refused(fields: dict[str, Any]) -> None:
    """The message begins with the field's name."""
    with pytest.raises(ConfigError, match=f"^{next(iter(fields))} must be"):
        Sampling(**fields)
