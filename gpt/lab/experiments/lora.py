"""Low-rank adapters against training all weights: what they cost, learn and forget."""

from __future__ import annotations

from gpt.lab.apparatus.adapters import ADAPTERS, ALL, IDENTITIES, algebra, gpt3
from gpt.lab.apparatus.domains import FORGOTTEN, code_part, tuned_on_code
from gpt.lab.apparatus.training import BITS
from gpt.lab.checks import Above, Equal, Less, NotWorse
from gpt.lab.experiment import Bars, Experiment, Figures, Part, Points, Setting, Sizes, Source
from gpt.spec.adapter import DoRA, LoRA

METHODS: dict[str, LoRA | None] = {
    "all weights": None,
    "LoRA, r=1": LoRA(rank=1, targets=ALL),
    "LoRA, r=4": LoRA(rank=4, targets=ALL),
    "LoRA, r=16": LoRA(rank=16, targets=ALL),
    "DoRA, r=1": DoRA(rank=1, targets=ALL),
    "rsLoRA, r=16": LoRA(rank=16, targets=ALL, scaling="root"),
}
COUNTS = {"r=1": 4_718_592, "r=4": 18_874_368, "r=8": 37_748_736}
"""Weights of adapters of GPT-3 on queries and values: 2 x 96 layers x r x (12,288 + 12,288)."""


def count(setting: Setting) -> Figures:
    """Count what an arm trains of GPT-3."""
    return gpt3(int(setting.arm.removeprefix("r=")))


def tuning(setting: Setting) -> Figures:
    """Tune the base on code, by an arm."""
    return tuned_on_code(setting, adapter=METHODS[setting.arm])


NONE: Sizes = {"smoke": {}, "cpu": {}, "gpu": {}}

EXPERIMENT = Experiment(
    id="lora",
    question="Do low-rank adapters learn what training all weights does, and at what cost?",
    source=Source(
        paper="Hu 2021, LoRA; Liu 2024, DoRA; Kalajdzievski 2023, rsLoRA",
        link="arXiv:2106.09685",
        where="sections 1 and 4.2, tables 4 and 6; arXiv:2402.09353; arXiv:2312.03732",
    ),
    claim="LoRA is as good as training all weights, with 10,000 times fewer trained weights and a "
    "third of the memory in GPT-3; rank 1 suffices. DoRA is better, most of all at low rank.",
    parts=[
        Part(
            name="algebra",
            kind="EXACT",
            arms=list(ADAPTERS),
            measure=algebra,
            sizes=NONE,
            checks=[
                *IDENTITIES,
                Equal(
                    claim="LoRA has r (inputs + outputs) weights, no more",
                    arm="LoRA",
                    figure="surplus",
                    value=0.0,
                ),
                Equal(
                    claim="Adam keeps 8 bytes for each of these, and nothing for others",
                    arm="LoRA",
                    figure="state",
                    value=8.0,
                ),
            ],
        ),
        Part(
            name="GPT-3",
            kind="EXACT",
            arms=list(COUNTS),
            measure=count,
            sizes=NONE,
            checks=[
                *(
                    Equal(claim=f"{weights:,} weights", arm=arm, figure="trained", value=weights)
                    for arm, weights in COUNTS.items()
                ),
                Equal(
                    claim="10,000 times fewer, with rank 4: the checkpoint of 35 MB",
                    arm="r=4",
                    figure="fewer",
                    value=10_000,
                    tolerance=1_000,
                ),
                Equal(
                    claim="37,000 times fewer, with rank 1: the 4.7 million weights of table 4",
                    arm="r=1",
                    figure="fewer",
                    value=37_000,
                    tolerance=100,
                ),
                Above(
                    claim="weights, gradients and Adam's state in float32 take a third, or less",
                    arm="r=4",
                    figure="memory",
                    bound=3.0,
                ),
            ],
        ),
        code_part(
            arms=list(METHODS),
            measure=tuning,
            rates=(1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
            checks=[
                NotWorse(
                    claim="LoRA of rank 16 is as good as all weights",
                    arm="LoRA, r=16",
                    than="all weights",
                    figure=BITS,
                    margin=0.02,
                ),
                NotWorse(
                    claim="rank 1 is as good as rank 16",
                    arm="LoRA, r=1",
                    than="LoRA, r=16",
                    figure=BITS,
                    margin=0.02,
                ),
                Less(
                    claim="DoRA is better than LoRA at rank 1",
                    arm="DoRA, r=1",
                    than="LoRA, r=1",
                    figure=BITS,
                ),
                Less(
                    claim="rsLoRA is better than LoRA at rank 16",
                    arm="rsLoRA, r=16",
                    than="LoRA, r=16",
                    figure=BITS,
                ),
                Less(
                    claim="LoRA forgets less of the base's text (Biderman 2024, arXiv:2405.09673)",
                    arm="LoRA, r=16",
                    than="all weights",
                    figure=FORGOTTEN,
                ),
            ],
        ),
    ],
    panels=[
        Bars(part="tuning", figure=BITS, label="bits per byte of code, held out"),
        Points(
            part="tuning",
            x=FORGOTTEN,
            y=BITS,
            x_label="forgotten: bits per byte of English",
            y_label="bits per byte of code, held out",
        ),
    ],
    bounds="The paper adapts models of up to 175 billion weights to tasks near to what they have "
    "read; here a model of 400,000 that knows English learns Python's source, which is far. All "
    "seeds have one base, so intervals are of tuning alone. The factor of 10,000 counts rank 4, "
    "while table 4 has rank 1 and 8: 37,000 and 4,600. The memory here has no activations.",
    expects="All weights better than rank 16 by some hundredths of a bit, rank 1 clearly worse, "
    "DoRA a little better at rank 1; rsLoRA the same as LoRA, as its scale acts like the learning "
    "rate, which each arm has at its best.",
)
