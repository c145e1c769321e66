"""Weights of 4 bits: what they take, their error, and adapters trained beside them."""

from __future__ import annotations

from gpt.lab.apparatus.adapters import ALL
from gpt.lab.apparatus.domains import SIZES, code_part, tuned_on_code
from gpt.lab.apparatus.quantizing import FORMATS, SPECS, exact, rounded
from gpt.lab.apparatus.training import BITS
from gpt.lab.checks import Below, Equal, Less, NotWorse, Ranked
from gpt.lab.experiment import Bars, Experiment, Figures, Part, Setting, Sizes, Source
from gpt.spec.adapter import LoRA

PERPLEXITY = {"Int4": 34.34, "FP4, E2M1": 31.07, "FP4, E3M0": 29.48, "NF4": 27.41}
"""Mean on the Pile of models of 125 million to 13 billion weights: table 2."""
TUNED = ("float32", "NF4", "FP4", "Int4")
BASE = {"layers": 1, "width": 128, "context": 16, "base_steps": 1, "characters": 20_000}
EXACT: Sizes = {"smoke": BASE, "cpu": BASE, "gpu": BASE}
SHORTER: Sizes = {**SIZES, "cpu": {**SIZES["cpu"], "base_steps": 150}}


def tuning(setting: Setting) -> Figures:
    """Tune a base of an arm's format on code, with adapters."""
    adapter = LoRA(rank=16, targets=ALL)
    return tuned_on_code(setting, adapter=adapter, quantize=SPECS.get(setting.arm))


EXPERIMENT = Experiment(
    id="qlora",
    question="What do 4 bits lose, by format, and do adapters make up for it?",
    source=Source(
        paper="Dettmers 2023, QLoRA",
        link="arXiv:2305.14314",
        where="section 3; table 2: Int4 34.34, FP4 31.07 (E2M1) and 29.48 (E3M0), NF4 with double "
        "quantization 27.41; table 3; appendix E",
    ),
    claim="With double quantization an NF4 weight takes 4.127 bits instead of 4.5. NF4 is better "
    "than FP4, FP4 than Int4, and adapters beside NF4 learn what they learn beside 16 bits.",
    parts=[
        Part(
            name="bits",
            kind="EXACT",
            arms=list(SPECS),
            measure=exact,
            sizes=EXACT,
            checks=[
                Equal(
                    claim="4.127 bits for a weight",
                    arm="NF4",
                    figure="bits",
                    value=4.127,
                    tolerance=0.001,
                ),
                Equal(
                    claim="4.5 without double quantization",
                    arm="NF4, float absmax",
                    figure="bits",
                    value=4.5,
                ),
                Equal(
                    claim="a base that is tuned has 7.75 times fewer than in float32",
                    arm="NF4",
                    figure="base",
                    value=32 / 7.75,
                    tolerance=0.01,
                ),
                Below(
                    claim="levels of NF4 are quantiles of the normal distribution",
                    arm="NF4",
                    figure="levels",
                    bound=1e-6,
                ),
                Below(
                    claim="a weight of any format is the nearest level, times the absmax of 64",
                    figure="definition",
                    bound=1e-6,
                ),
            ],
        ),
        Part(
            name="rounding",
            kind="QUALITY",
            arms=list(FORMATS),
            measure=rounded,
            sizes=SHORTER,
            checks=[
                *(
                    Less(
                        claim=f"NF4 has a smaller error than {arm}",
                        arm="NF4",
                        than=arm,
                        figure="error",
                    )
                    for arm in FORMATS
                    if arm != "NF4"
                ),
                *(
                    Less(
                        claim=f"{arm} has a smaller error than Int4",
                        arm=arm,
                        than="Int4",
                        figure="error",
                    )
                    for arm in FORMATS
                    if arm.startswith("FP4")
                ),
                Ranked(
                    claim="losses after rounding are ordered as the perplexities of table 2",
                    figure="rise",
                    paper=PERPLEXITY,
                    least=0.8,
                ),
            ],
        ),
        code_part(
            arms=TUNED,
            measure=tuning,
            rates=(3e-3, 1e-2, 3e-2),
            checks=[
                NotWorse(
                    claim="adapters beside NF4 are as good as beside float32",
                    arm="NF4",
                    than="float32",
                    figure=BITS,
                    margin=0.01,
                ),
                Less(
                    claim="they are better beside NF4 than beside Int4",
                    arm="NF4",
                    than="Int4",
                    figure=BITS,
                ),
            ],
        ),
    ],
    panels=[
        Bars(part="rounding", figure="error", label="squared error of the weights, %"),
        Bars(part="rounding", figure="rise", label="rise of the loss by rounding, bits per byte"),
        Bars(part="tuning", figure=BITS, label="bits per byte of code, after tuning"),
    ],
    bounds="The paper's perplexities are those of models up to 13 billion weights, which have "
    "outliers that small ones lack; Int4 and E3M0 differ in how they treat these. The error is "
    "that of blocks of 64 with exact absmax values. The FP4 of bitsandbytes is no E2M1: it has "
    "1/192 where E2M1 has 1/12, so that nothing is near 1/12.",
    expects="4.127 bits. NF4 has the smallest error, 8 to 9 tenths of a percent; FP4 a larger one "
    "than Int4, against the order of the perplexities. After tuning no difference above noise.",
)
