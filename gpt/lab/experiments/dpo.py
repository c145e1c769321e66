"""Learning from preferences without a reward model: the loss, and short answers that win."""

from __future__ import annotations

from gpt.lab.apparatus.replies import SWAPPED, answers, base_of, loss, tuned, well_formed, wins
from gpt.lab.apparatus.training import DIVERGED
from gpt.lab.checks import Above, Below, Equal, Greater, Less, Within
from gpt.lab.experiment import (
    TUNING_SEEDS,
    Bars,
    Experiment,
    Figures,
    Part,
    Points,
    Setting,
    Source,
)
from gpt.runs.reading import read_checkpoint


def preference(setting: Setting) -> Figures:
    """Tune the base, and compare its answers to fresh questions with those of the base.

    A win is an answer that is shorter than that of the base; with swapped labels a longer one.
    """
    assert setting.rate is not None
    found, fresh = tuned(setting, setting.size["steps"], setting.rate), setting.size["fresh"]
    if found is None:
        names = ("lost", "wins", "characters", "formed", "forgotten", "margin", "accuracy")
        return dict.fromkeys(names, DIVERGED) | {"wins": 0.0, "margin": 0.0}
    theirs = answers(read_checkpoint(base_of(setting)), fresh, setting.seed, device=setting.device)
    ours = answers(found.checkpoint, fresh, setting.seed, device=setting.device)
    won = wins(ours, theirs, longer=setting.arm == SWAPPED)
    figures = found.figures
    return {
        "lost": 100 - won,
        "wins": won,
        "characters": sum(map(len, ours)) / fresh,
        "formed": well_formed(ours),
        "forgotten": found.base.after - found.base.before,
        "margin": figures.get("reward_chosen", 0.0) - figures.get("reward_rejected", 0.0),
        "accuracy": 100 * figures.get("preference_accuracy", 0.5),
    }


ARMS = ["DPO", "SFT", SWAPPED]
SMALL = {"layers": 1, "width": 32, "base_steps": 3, "pairs": 24}
EXPERIMENT = Experiment(
    id="dpo",
    question="Does a model learn a preference from pairs alone, without a reward model?",
    source=Source(
        paper="Rafailov 2023, Direct Preference Optimization",
        link="arXiv:2305.18290",
        where="equation 7; section 6, figures 2 and 3: better than fine-tuning on preferred"
        " answers",
    ),
    claim="The loss of pairs raises the margin between chosen and rejected answers, and what the "
    "model then writes is preferred to that of its base, more often than after fine-tuning on the "
    "chosen answers.",
    parts=[
        Part(
            name="loss",
            kind="EXACT",
            arms=["DPO"],
            measure=loss,
            sizes={"smoke": SMALL, "cpu": SMALL, "gpu": SMALL},
            checks=[
                Equal(
                    claim="the first loss is ln 2, as the model is its base",
                    arm="DPO",
                    figure="first",
                    value=0.0,
                    tolerance=1e-5,
                ),
                Below(
                    claim="the held-out loss is equation 7, of log-probabilities token by token",
                    arm="DPO",
                    figure="definition",
                    bound=1e-5,
                ),
                Above(
                    claim="two steps make it smaller",
                    arm="DPO",
                    figure="learned",
                    bound=0.0,
                ),
            ],
        ),
        Part(
            name="preference",
            kind="QUALITY",
            arms=ARMS,
            measure=preference,
            sizes={
                "smoke": {**SMALL, "steps": 2, "fresh": 8},
                "cpu": {
                    **{"layers": 2, "width": 96, "base_steps": 250},
                    **{"pairs": 320, "steps": 50, "fresh": 200},
                },
                "gpu": {
                    **{"layers": 6, "width": 384, "base_steps": 1_000},
                    **{"pairs": 2_000, "steps": 300, "fresh": 1_000},
                },
            },
            rates=(1e-4, 3e-4, 5e-4, 1e-3, 3e-3, 1e-2),
            tuning_seeds=TUNING_SEEDS[:1],
            chosen_by="lost",
            noise_of="lost",
            checks=[
                Within(
                    claim="answers after DPO win against those of the base",
                    arm="DPO",
                    figure="wins",
                    low=50.0,
                ),
                Within(
                    claim="the chosen of held-out pairs has the larger reward",
                    arm="DPO",
                    figure="margin",
                    low=0.0,
                ),
                Greater(
                    claim="they win more often than after fine-tuning on the chosen answers",
                    arm="DPO",
                    than="SFT",
                    figure="wins",
                ),
                Less(
                    claim="they are shorter than with the labels swapped",
                    arm="DPO",
                    than=SWAPPED,
                    figure="characters",
                ),
            ],
        ),
    ],
    panels=[
        Bars(part="preference", figure="characters", label="characters of an answer"),
        Points(
            part="preference",
            x="forgotten",
            y="wins",
            x_label="forgotten: bits per byte of the base's text",
            y_label="wins against the base, %",
        ),
    ],
    bounds="The paper has human preferences of summaries and dialogs, judged by GPT-4; here short "
    "answers are preferred, as a program judges, and the base is a model of 250,000 weights. A "
    "tie is half a win; the base wins 50% against itself, since both sample with the same "
    "numbers. Text that is no answer loses: high rates make it short, and broken. The rate is the "
    "one with the most wins on another seed: the held-out accuracy is 100% at every rate. A first "
    "judge accepted any short text, and broken answers won three of four comparisons.",
    expects="DPO wins 80 to 90%, fine-tuning 60 to 70%; swapped labels make answers longer.",
)
