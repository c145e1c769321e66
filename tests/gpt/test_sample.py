"""How text is drawn: the filters, the cache past the context, the ends."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import MinPLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from gpt import sample
from gpt.config import GPTConfig, GroupedQuery
from gpt.errors import ConfigError
from gpt.model import GPT
from gpt.sample import Sampling, choose, generate, generate_ids, keep_min_p, keep_top_k, keep_top_p

GREEDY = Sampling(temperature=0)


@pytest.fixture(scope="module")
def model() -> GPT:
    """A model of bytes with a context of 8 whose next token depends on what it sees."""
    model = GPT(
        GPTConfig(
            vocab_size=257,
            context=8,
            layers=2,
            width=32,
            attention=GroupedQuery(heads=2, kv_heads=1),
        )
    )
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=noise)
    return model.eval()


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
    chances = torch.tensor([0.5, 0.3, 0.2])
    draws = torch.Generator().manual_seed(0)
    chosen = [choose(chances.log(), Sampling(temperature=1.0), draws) for _ in range(10_000)]

    for id, chance in enumerate(chances.tolist()):
        deviation = math.sqrt(chance * (1 - chance) / 10_000)
        assert chosen.count(id) / 10_000 == pytest.approx(chance, abs=5 * deviation)


def test_temperature_divides_the_logits() -> None:
    """At 0.5 the chances are squared."""
    draws = torch.Generator().manual_seed(0)
    logits = torch.tensor([0.8, 0.2]).log()
    chosen = [choose(logits, Sampling(temperature=0.5), draws) for _ in range(5000)]

    assert chosen.count(1) / 5000 == pytest.approx(0.04 / 0.68, abs=0.02)


@pytest.mark.parametrize("prompt", [[1], list(range(8)), list(range(30))])
def test_generation_equals_prediction_without_a_cache(model: GPT, prompt: list[int]) -> None:
    """Past the context too, where the window starts over from its last half."""
    window, expected = prompt[-8:], []
    for _ in range(30):
        expected.append(int(model(torch.tensor([window])).logits[0, -1].argmax()))
        window = [*window, expected[-1]]
        window = window if len(window) <= 8 else window[-4:]

    assert list(itertools.islice(generate_ids(model, prompt, sampling=GREEDY), 30)) == expected


def test_generation_is_a_function_of_its_seed(model: GPT) -> None:
    """The same seed gives the same draws, another one others."""
    first, again, other = (
        list(itertools.islice(generate_ids(model, [1], sampling=Sampling(seed=seed)), 20))
        for seed in (0, 0, 1)
    )

    assert first == again != other


def test_generation_leaves_gradients_on(model: GPT) -> None:
    """Between two draws the caller can train."""
    drawn = generate_ids(model, [1])
    next(drawn)

    assert torch.is_grad_enabled()


def test_barred_token_is_not_drawn_first(model: GPT) -> None:
    """Though it is the likeliest; later it may be."""
    likeliest = next(generate_ids(model, [1], sampling=GREEDY))

    assert next(generate_ids(model, [1], sampling=GREEDY, not_first=[likeliest])) != likeliest


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int | None], None]:
    """Make the model write a given text, then a token, for ever."""

    def script(text: str, then: int | None = None) -> None:
        def ids(*arguments: object, **options: object) -> itertools.chain[int]:
            return itertools.chain(
                text.encode(), itertools.repeat(ord("x") if then is None else then)
            )

        monkeypatch.setattr(sample, "generate_ids", ids)

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
    "fields", [{"temperature": -1.0}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.1}, {"min_p": 2.0}]
)
def test_sampling_out_of_range_is_refused(fields: dict[str, Any]) -> None:
    """The message begins with the field's name."""
    with pytest.raises(ConfigError, match=f"^{next(iter(fields))} must be"):
        Sampling(**fields)
