"""Whether LoRA on the messages of one author makes a model write like that author."""

from __future__ import annotations

from pathlib import Path

from gpt.generation.sampling import Sampling
from gpt.lab.apparatus.authors import A, B, base, chats, classifier, model
from gpt.lab.apparatus.texts import once
from gpt.lab.apparatus.training import DIVERGED
from gpt.lab.apparatus.turns import answers, in_memory, planned, write_chats
from gpt.lab.checks import Above, Below, Greater, Less, NotWorse, Within
from gpt.lab.experiment import TUNING_SEEDS, Bars, Experiment, Figures, Part, Setting, Sizes, Source
from gpt.spec.adapter import LoRA
from gpt.training.tuning.planning import TuningPlan

BEFORE, ALL_TURNS = "before", "A, all turns"
HELD_OUT_SEED = 2


def real(setting: Setting) -> Figures:
    """Classify held-out turns of the authors themselves, and compare the styles."""
    turns = [text for _, text in chats(setting.arm, HELD_OUT_SEED, setting.size["asked"])]
    found = classifier(setting.size["known"]).authors(turns)
    return {
        "right": sum(by == setting.arm for by in found) / len(turns),
        "lower case": sum(text == text.lower() for text in turns) / len(turns),
        "same": float(chats(setting.arm, 1, 20) == chats(setting.arm, 1, 20)),
    }


def plan(setting: Setting) -> TuningPlan:
    """Plan LoRA of the base on the turns of an author."""
    author, count, seed = B if setting.arm == B else A, setting.size["turns"], 10 + setting.seed

    def write(folder: Path) -> None:
        write_chats(folder / "train.jsonl", chats(author, seed, count))
        write_chats(folder / "val.jsonl", chats(author, HELD_OUT_SEED, 100))

    return planned(
        base(setting),
        once(f"authors-{author}-{seed}-{count}", write),
        model(setting),
        steps=setting.size["steps"],
        rate=setting.rate or 1e-3,
        seed=setting.seed,
        device=setting.device,
        adapter=LoRA(rank=8),
        train_on="all" if setting.arm == ALL_TURNS else "mine",
        row_length=64,
    )


def measure(setting: Setting) -> Figures:
    """Answer questions, sampled at temperature 1, and count answers that the classifier gives A."""
    made = plan(setting)
    run = in_memory(made)
    if run is None:
        return {"as A": 0.0, "not A": 1.0, "loss": DIVERGED}
    if setting.arm == BEFORE:
        gpt, loss = made.base.model(setting.device), run.state.first_score
    else:
        gpt, loss = run.model(setting.device), run.state.score
    assert loss is not None
    asked = [(question,) for question, _ in chats(A, HELD_OUT_SEED, setting.size["asked"])]
    sampling = Sampling(temperature=1.0, seed=1000 * setting.seed)
    written = answers(gpt, made, asked, max_tokens=40, sampling=sampling)
    found = classifier(setting.size["known"]).authors(written)
    # An empty answer has no style.
    right = sum(bool(text) and by == A for text, by in zip(written, found, strict=True))
    return {"as A": right / len(asked), "not A": 1 - right / len(asked), "loss": loss}


SMOKE = {"known": 100, "mixed": 300, "base steps": 3, "turns": 60, "steps": 2}
SMOKE |= {"width": 16, "asked": 20}
CPU = {"known": 400, "mixed": 4_000, "base steps": 250, "turns": 1_000, "steps": 80}
CPU |= {"width": 64, "asked": 200}
GPU = {**CPU, "width": 512, "mixed": 100_000, "base steps": 2_000, "asked": 1_000}
SIZES: Sizes = {"smoke": SMOKE, "cpu": CPU, "gpu": GPU}

EXPERIMENT = Experiment(
    id="clone",
    question="Does LoRA on the messages of one author make a model write like that author?",
    source=Source(
        paper="kinggongzilla 2024, ai-clone-whatsapp",
        link="https://github.com/kinggongzilla/ai-clone-whatsapp",
        where="README: a clone of a person from chats, with QLoRA; no figure of quality",
    ),
    claim="A language model tuned with LoRA on a person's messages answers in that person's style.",
    parts=[
        Part(
            name="authors",
            kind="EXACT",
            arms=[A, B],
            measure=real,
            sizes=dict.fromkeys(("smoke", "cpu", "gpu"), SMOKE),
            checks=[
                Above(claim="real turns are their author's", figure="right", bound=0.95),
                Above(claim="A writes in lower case", arm=A, figure="lower case", bound=1),
                Below(claim="B does not", arm=B, figure="lower case", bound=0),
                Above(claim="turns are a function of the seed", figure="same", bound=1),
            ],
        ),
        Part(
            name="style",
            kind="QUALITY",
            arms=[BEFORE, A, ALL_TURNS, B],
            measure=measure,
            sizes=SIZES,
            rates=(1e-3, 3e-3, 1e-2, 3e-2),
            chosen_by="loss",
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[
                Within(claim="half before", arm=BEFORE, figure="as A", low=0.35, high=0.65),
                Within(claim="above nine of ten after", arm=A, figure="as A", low=0.9),
                Greater(claim="more answers are A's", arm=A, than=BEFORE, figure="as A"),
                Less(claim="fewer are, after tuning on B", arm=B, than=BEFORE, figure="as A"),
                Less(claim="A's held-out turns are likelier", arm=A, than=BEFORE, figure="loss"),
                NotWorse(
                    claim="a mask of the questions makes it no worse, by 0.05",
                    arm=A,
                    than=ALL_TURNS,
                    figure="not A",
                    margin=0.05,
                ),
            ],
        ),
    ],
    panels=[
        Bars(part="style", figure="as A", label="answers that the classifier gives A, fraction"),
        Bars(
            part="style", arms=[BEFORE, A], figure="loss", label="bits per byte, A's held-out turns"
        ),
    ],
    bounds="Two generated authors with clear habits, and a base that knows both; people differ "
    "less, and their messages have content. The classifier measures style alone. The base is the "
    "same for all seeds. After 80 steps with answers alone one answer in five is still the other "
    "author's; more is learned of all turns.",
    expects="From 0.5 to above 0.9 after 80 steps; the mask makes no difference.",
)
