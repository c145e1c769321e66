"""Tests of the exercises of chapter 11."""

from types import ModuleType

import pytest

from gpt.model.flops import training_flops
from gpt.model.gpt import GPT
from gpt.spec.architecture import GPTConfig
from gpt.spec.presets import PRESETS

GPT2 = [
    (12, 768, 124_439_808),
    (24, 1024, 354_823_168),
    (36, 1280, 774_030_080),
    (48, 1600, 1_557_611_200),
]
"""Layers, width and parameters of the four models of 2019."""


@pytest.mark.parametrize(("layers", "width", "expected"), GPT2)
def test_11a_the_sizes_of_gpt2(chapter: ModuleType, layers: int, width: int, expected: int) -> None:
    """To the last bias."""
    found = chapter.parameters(layers, width, context=1024, vocab_size=50_257)

    assert found - expected != 50_257 * width, "The head shares its weights with the embedding."
    assert found - expected != -2 * width, "After the last block there is one more norm."
    assert found == expected, f"{found - expected:+,} parameters: look at biases and norms."


def test_11b_gpt2(chapter: ModuleType) -> None:
    """As counted in the chapter."""
    found = chapter.training_flops(12, 768, context=1024, vocab_size=50_257)

    assert found != 6 * 124_439_808 + 113_246_208, "Look-ups are no products: not the embeddings."
    assert found == 854_438_400


def test_11b_the_same_as_gpt_counts(chapter: ModuleType) -> None:
    """Of another size."""
    model = GPT(GPTConfig.over(PRESETS["gpt2"](2, 48), 128))

    assert chapter.training_flops(2, 128, context=48, vocab_size=128) == training_flops(model)


def test_11c_one_gpu_for_an_hour(chapter: ModuleType) -> None:
    """A number of FLOPs that is the peak of an hour."""
    assert chapter.hours(3600, 1e12, gpus=1, peak=1e12, mfu=1.0) == pytest.approx(1.0)


def test_11c_eight_gpus_at_forty_percent(chapter: ModuleType) -> None:
    """The run of the chapter."""
    found = chapter.hours(10e9, 854_438_400, gpus=8, peak=312e12, mfu=0.4)

    assert found == pytest.approx(2.377, abs=0.001), "Divide by the GPUs, and by the MFU."


def test_11d_a_long_choice(chapter: ModuleType) -> None:
    """It loses by its sum, and wins by the byte."""
    sums = [[-1.0, -1.0], [-1.0, -1.0, -1.0]]

    assert chapter.answers(sums, ["no", "certainly"]) == (0, 1)


def test_11d_bytes_not_characters_or_tokens(chapter: ModuleType) -> None:
    """Six bytes of two characters, and one token against two."""
    assert chapter.answers([[-3.0], [-0.9, -0.9]], ["안녕", "ja!"]) == (1, 0), (
        "The length is that of the text in UTF-8: -3 / 6 is more than -1.8 / 3."
    )
