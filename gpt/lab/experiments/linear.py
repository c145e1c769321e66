"""What linear attention costs as texts grow, beside attention by softmax."""

from __future__ import annotations

import statistics
import time

import torch

from gpt.lab.checks import Equal, Grows, Ratio
from gpt.lab.experiment import Experiment, Figures, Lines, Part, Setting, Sizes, Source
from gpt.model.gpt import GPT
from gpt.nn.state import Cache
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.linear_attention import LinearAttention

VOCAB, WIDTH, HEADS, LAYERS = 64, 64, 4, 2
SOFTMAX = GroupedQuery(heads=HEADS, kv_heads=HEADS)
ATTENTION: dict[str, GroupedQuery | LinearAttention] = {
    "softmax": SOFTMAX,
    "softmax, no cache": SOFTMAX,
    "linear": LinearAttention(heads=HEADS),
}


def gpt_of(setting: Setting) -> GPT:
    """Return the model of an arm, for the longest text and the tokens after it."""
    architecture = Architecture(
        context=max(setting.size["lengths"]) + setting.size["rounds"] + 1,
        layers=LAYERS,
        width=WIDTH,
        attention=ATTENTION[setting.arm],
        position=None,
    )
    return GPT(GPTConfig.over(architecture, VOCAB), setting.seed).eval()


def timed(rounds: int, gpt: GPT, ids: torch.Tensor, cache: Cache | None = None) -> list[float]:
    """Return the seconds of reading *ids*, *rounds* times, after once that does not count."""
    times = []
    with torch.inference_mode():
        for _ in range(rounds + 1):
            begin = time.perf_counter()
            gpt(ids, cache=cache)
            times.append(time.perf_counter() - begin)
    return times[1:]


def text(length: int) -> torch.Tensor:
    """Return a text of *length* tokens."""
    return torch.zeros(1, length, dtype=torch.int64)


def reading(setting: Setting) -> Figures:
    """Time reading whole texts."""
    gpt, lengths, rounds = gpt_of(setting), setting.size["lengths"], setting.size["rounds"]
    seconds = [statistics.median(timed(rounds, gpt, text(length))) for length in lengths]
    return {"tokens": [float(n) for n in lengths], "seconds": seconds}


def decoding(setting: Setting) -> Figures:
    """Time the token after texts of several lengths, and count what is kept."""
    gpt, rounds = gpt_of(setting), setting.size["rounds"]
    seconds, kept, times = [], [], []
    for length in setting.size["lengths"]:
        cache = gpt.new_cache(1)
        with torch.inference_mode():
            gpt(text(length), cache=cache)
        kept.append(float(cache.bytes_at(length)))
        if setting.arm == "softmax, no cache":
            times = timed(rounds, gpt, text(length))
        else:
            times = timed(rounds, gpt, text(1), cache)
        seconds.append(statistics.median(times))
    return {
        "tokens": [float(n) for n in setting.size["lengths"]],
        "seconds": seconds,
        "kept": kept,
        "growth": kept[-1] / kept[0],
        "longest": times,
    }


SIZES: Sizes = {
    "smoke": {"lengths": (64, 128, 256), "rounds": 2},
    "cpu": {"lengths": (512, 1024, 2048, 4096, 8192), "rounds": 9},
    "gpu": {"lengths": (1024, 4096, 16384, 65536), "rounds": 9},
}

EXPERIMENT = Experiment(
    id="linear",
    question="How much faster is linear attention, and than what?",
    source=Source(
        paper="Katharopoulos 2020, Transformers are RNNs",
        link="arXiv:2006.16236",
        where="sections 3.2 and 3.4; table 2, images of 3,072 tokens: 4,462 times",
    ),
    claim="Time grows linearly with the text instead of quadratically, the state of decoding does "
    "not grow, and images of CIFAR-10 are generated more than 4,000 times faster.",
    parts=[
        Part(
            name="reading",
            kind="SPEED",
            arms=["softmax", "linear"],
            measure=reading,
            sizes=SIZES,
            checks=[
                Grows(
                    claim="reading takes time proportional to the text",
                    arm="linear",
                    x="tokens",
                    y="seconds",
                    between=(0.8, 1.2),
                ),
            ],
        ),
        Part(
            name="decoding",
            kind="SPEED",
            arms=["softmax", "softmax, no cache", "linear"],
            measure=decoding,
            sizes=SIZES,
            checks=[
                Equal(
                    claim="what is kept does not grow with the text",
                    arm="linear",
                    figure="growth",
                    value=1.0,
                ),
                Ratio(
                    claim="a token takes less time than with softmax that reads the whole text "
                    "again: the baseline of the paper's 4,000 times",
                    arm="linear",
                    to="softmax, no cache",
                    figure="longest",
                ),
                Ratio(
                    claim="a token takes less time than with softmax that keeps keys and values, "
                    "as everybody does",
                    arm="linear",
                    to="softmax",
                    figure="longest",
                ),
            ],
        ),
    ],
    panels=[
        Lines(
            part="decoding",
            x="tokens",
            y="seconds",
            x_label="tokens before",
            y_label="seconds for a token",
            log=("x", "y"),
        )
    ],
    bounds="The paper's 4,000 is against a decoder that reads the image again for each pixel, with "
    "many images side by side on a GPU. Against a cache of keys and values, what is left is "
    "the time to read that cache, which one row of a small model hardly notices.",
    expects="An exponent near 1; a large ratio against no cache, about 1 against a cache.",
)
