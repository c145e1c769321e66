"""Token healing while sampling, compared with a plain loop over all tokens."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest
import torch

import pytok
from gpt.__main__ import main
from gpt.generation.decoder import Decoder
from gpt.generation.sampling import Sampling
from gpt.generation.text import generate, generate_batch
from gpt.interop.imported import write_imported
from gpt.model.gpt import GPT
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from pytok.healing import heal
from pytok.tokenizer import Tokenizer
from tests.gpt.models import perturbed

TEXT = "The cat sat on the mat. The cats saw the other cat, 日本語 and déjà vu; naïve cafés.\n" * 3
PROMPTS = ["The ", "The c", "the oth", "日", "caf", "a", "dé", "The cat sat on the mat.", "\n"]
GREEDY = Sampling(temperature=0)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """Many words are tokens, with the space before them, and some characters are split."""
    return pytok.train([TEXT], 300)


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> GPT:
    """A model with noise in all weights."""
    attention = GroupedQuery(heads=2, kv_heads=1)
    config = GPTConfig(
        vocab_size=tokenizer.n_vocab, context=64, layers=2, width=32, attention=attention
    )
    return perturbed(config, 0.3, 0)


def generated(
    model: GPT, tokenizer: Tokenizer, prompt: str, sampling: Sampling, tokens: int = 12
) -> tuple[list[int], str]:
    """The ids of a healed text, with those of the prompt, and the text after the prompt."""
    ids = heal(tokenizer, prompt).ids or [tokenizer.eot_token]
    append = Decoder.append

    def record(self: Decoder, sampled: list[int]) -> None:
        ids.extend(sampled)
        append(self, sampled)

    with mock.patch.object(Decoder, "append", record):
        deltas = generate(
            model, tokenizer, prompt, max_tokens=tokens, sampling=sampling, healing=True
        )
        return ids, "".join(deltas)


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("seed", range(4))
def test_the_sampled_tokens_begin_with_the_bytes_of_the_prompt(
    prompt: str, seed: int, model: GPT, tokenizer: Tokenizer
) -> None:
    ids, text = generated(model, tokenizer, prompt, Sampling(temperature=1.5, seed=seed))
    ordinary = [id for id in ids if not tokenizer.is_special_token(id)]

    assert tokenizer.decode_bytes(ordinary).startswith(prompt.encode())
    # The text has one token more than the decoder, which may be half a character.
    assert (prompt + text).startswith(tokenizer.decode(ordinary).rstrip("\ufffd"))


@pytest.mark.parametrize("prompt", PROMPTS)
def test_each_token_is_the_likeliest_that_fits(
    prompt: str, model: GPT, tokenizer: Tokenizer
) -> None:
    """By a plain loop over all tokens, without a cache."""
    found, _ = generated(model, tokenizer, prompt, GREEDY, tokens=5)
    ids, rest = heal(tokenizer, prompt)
    ids = ids or [tokenizer.eot_token]
    while len(ids) < len(found):
        with torch.inference_mode():
            logits = model(torch.tensor([ids]))[0, -1]
        fitting = [
            id
            for token, id in tokenizer.vocab.items()
            if token.startswith(rest) or rest.startswith(token)
        ]
        ids.append(max(fitting, key=lambda id: float(logits[id])))
        rest = rest[len(tokenizer.decode_bytes(ids[-1:])) :]

    assert found == ids


def test_the_token_of_the_whole_word_is_possible(model: GPT, tokenizer: Tokenizer) -> None:
    """After "The " without healing it is not: its space is there already."""
    cat = tokenizer.encode_single_token(" cat")
    with torch.no_grad():
        biased = GPT(model.config)
        biased.load_state_dict(model.state_dict())
    original = biased.forward

    def forward(*arguments: object, **options: object) -> torch.Tensor:
        logits: torch.Tensor = original(*arguments, **options)  # type: ignore[arg-type]
        logits[..., cat] += 100
        return logits

    with mock.patch.object(biased, "forward", forward):
        deltas = generate(biased, tokenizer, "The ", max_tokens=1, sampling=GREEDY, healing=True)
        assert "".join(deltas) == "cat"
        deltas = generate(biased, tokenizer, "The ", max_tokens=1, sampling=GREEDY)
        assert "".join(deltas) == " cat"


def test_each_text_of_a_batch_is_the_one_that_it_is_alone(model: GPT, tokenizer: Tokenizer) -> None:
    """Though some prompts have more to repeat than others."""
    together = [""] * len(PROMPTS)
    for index, delta in generate_batch(
        model, tokenizer, PROMPTS, max_tokens=6, sampling=GREEDY, healing=True
    ):
        together[index] += delta

    assert together == [
        generated(model, tokenizer, prompt, GREEDY, tokens=6)[1] for prompt in PROMPTS
    ]


def test_repeating_the_prompt_does_not_count(model: GPT, tokenizer: Tokenizer) -> None:
    """One token more than the prompt has, whatever its end."""
    for prompt in PROMPTS:
        ids, _ = generated(model, tokenizer, prompt, GREEDY, tokens=2)
        ordinary = [id for id in ids if not tokenizer.is_special_token(id)]

        # The last token of a text is not appended.
        assert len(tokenizer.decode_bytes(ordinary)) > len(prompt.encode())
        assert len(tokenizer.decode_bytes(ordinary[:-1])) <= len(prompt.encode())


def test_a_prompt_that_is_sampled_again_completely_starts_a_document(
    model: GPT, tokenizer: Tokenizer
) -> None:
    """Without an end-of-text token its ids are used as they are."""
    bare = pytok.Tokenizer(
        "bare", pat_str=tokenizer.pattern, mergeable_ranks=tokenizer.vocab, special_tokens={}
    )
    assert heal(tokenizer, "T").ids == heal(bare, "T").ids == []

    read: list[list[list[int]]] = []
    original = Decoder.__init__

    def record(self: Decoder, model: GPT, prompts: list[list[int]]) -> None:
        read.append(prompts)
        original(self, model, prompts)

    with mock.patch.object(Decoder, "__init__", record):
        for each in (tokenizer, bare):
            list(generate(model, each, "T", max_tokens=1, healing=True))

    assert read == [[[tokenizer.eot_token]], [bare.encode("T")]]


@pytest.mark.parametrize("flags", [[], ["--no-heal"], ["--samples", "2"]])
def test_the_command_prints_the_prompt_once(
    flags: list[str],
    model: GPT,
    tokenizer: Tokenizer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It heals unless --no-heal is given."""
    write_imported(tmp_path / "run", model, tokenizer)
    options = ["--tokens", "5", "--temperature", "0", "--dtype", "float32"]

    assert main(["sample", str(tmp_path / "run"), "--prompt", "The c", *options, *flags]) == 0

    text = "".join(
        generate(
            model,
            tokenizer,
            "The c",
            max_tokens=5,
            sampling=GREEDY,
            healing=flags != ["--no-heal"],
        )
    )
    assert capsys.readouterr().out == f"The c{text}\n" * (2 if "2" in flags else 1)
