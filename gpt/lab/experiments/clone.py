"""Whether LoRA on the messages of one author makes a model write like that author."""

from __future__ import annotations

import random
from pathlib import Path

from gpt.evaluation.style import Classifier
from gpt.generation.sampling import Sampling
from gpt.lab.apparatus.texts import once, shards_of
from gpt.lab.apparatus.training import DIVERGED, Run
from gpt.lab.apparatus.tuning import base_run
from gpt.lab.apparatus.turns import answers, in_memory, planned, tuned_base, write_chats
from gpt.lab.checks import Above, Below, Equal, Greater, Less, NotWorse, Within
from gpt.lab.experiment import (
    TUNING_SEEDS,
    Bars,
    Experiment,
    Figures,
    Part,
    Setting,
    Sizes,
    Source,
)
from gpt.spec.adapter import LoRA
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.training.tasks.conversations import ChatData
from gpt.training.tuning.planning import TuningPlan
from pytok.chat.template import Turn

A, B, BEFORE, ALL_TURNS = "A", "B", "before", "A, all turns"
VOCAB, KNOWN_SEED, HELD_OUT_SEED = 400, 1, 2
THINGS = ["the train", "game", "soup", "film", "dog", "exam", "rain", "party"]
THINGS = [thing.removeprefix("the ") for thing in THINGS]
VERDICTS = ["good", "bad", "late", "over", "great", "boring", "short", "long"]


def said_by(author: str, thing: str, verdict: str, rng: random.Random) -> str:
    """Return an answer in the style of *author*, of random length and with random phrases.

    A writes briefly, in lower case, with emoji and without periods; B in whole sentences.
    """
    if author == A:
        begin = rng.choice(["haha ", "lol ", "nah ", ""])
        end = rng.choice([" 😂", " 👍", " ...", "", " 😂😂"])
        return f"{begin}{thing} was {rng.choice(['so ', 'rly ', ''])}{verdict}{end}"
    begin = rng.choice(["Well, ", "I think that ", "Honestly, ", "To be fair, "])
    end = rng.choice([" indeed", ", I must say", ", all in all", ""])
    return f"{begin}the {thing} was {rng.choice(['rather ', 'quite ', ''])}{verdict}{end}."


def chats(author: str | None, seed: int, count: int) -> list[tuple[str, str]]:
    """Return questions and answers of *author*, or of either."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        thing, verdict = rng.choice(THINGS), rng.choice(VERDICTS)
        by = author or rng.choice([A, B])
        found.append((f"how was the {thing}?", said_by(by, thing, verdict, rng)))
    return found


def classifier(setting: Setting) -> Classifier:
    """Return a classifier of both authors' turns: n-grams of characters, logistic regression."""
    count = setting.size["known"]
    return Classifier([Turn(by, text) for by in (A, B) for _, text in chats(by, KNOWN_SEED, count)])


def model(setting: Setting) -> Architecture:
    """Return the model of all arms."""
    return Architecture(
        context=64,
        layers=2,
        width=setting.size["width"],
        attention=GroupedQuery(heads=4, kv_heads=4),
    )


def base(setting: Setting) -> Path:
    """Return a model of chats in which either author answers."""
    count, steps = setting.size["mixed"], setting.size["base steps"]
    mixed = chats(None, 3, count)
    texts = [
        "\n".join("\n".join(pair) for pair in mixed[n : n + 100]) for n in range(0, count, 100)
    ]
    data = shards_of(f"authors-{count}", texts, VOCAB)
    first = base_run(f"authors-{count}", model(setting), Run(steps=steps, vocab=VOCAB, data=data))
    answered = once(f"authors-chats-{count}", lambda it: write_chats(it / "train.jsonl", mixed))
    return tuned_base(
        f"authors-tuned-{count}-{steps}",
        first,
        answered,
        model(setting),
        steps=steps,
        rows=16,
        rate=3e-3,
        seed=0,
        row_length=64,
    )


def plan(setting: Setting) -> TuningPlan:
    """Plan LoRA of the base on the turns of an author."""
    author, count = setting.arm[0] if setting.arm != BEFORE else A, setting.size["turns"]
    seed = 10 + setting.seed

    def write(folder: Path) -> None:
        write_chats(folder / "train.jsonl", chats(author, seed, count))
        write_chats(folder / "val.jsonl", chats(author, HELD_OUT_SEED, 100))

    return planned(
        base(setting),
        once(f"authors-{author}-{seed}-{count}", write),
        model(setting),
        steps=setting.size["steps"],
        rows=16,
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
    assert isinstance(made.data, ChatData)
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
    found = classifier(setting).authors(written)
    # An empty answer has no style.
    right = sum(bool(text) and by == A for text, by in zip(written, found, strict=True))
    return {"as A": right / len(asked), "not A": 1 - right / len(asked), "loss": loss}


def real(setting: Setting) -> Figures:
    """Classify held-out turns of the authors themselves, and compare the styles."""
    turns = [text for _, text in chats(setting.arm, HELD_OUT_SEED, setting.size["asked"])]
    found = classifier(setting).authors(turns)
    return {
        "right": sum(by == setting.arm for by in found) / len(turns),
        "lower case": sum(text == text.lower() for text in turns) / len(turns),
        "same": float(chats(setting.arm, 1, 20) == chats(setting.arm, 1, 20)),
    }


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
                Above(claim="real turns of A are A's", arm=A, figure="right", bound=0.95),
                Above(claim="real turns of B are B's", arm=B, figure="right", bound=0.95),
                Equal(claim="A writes in lower case", arm=A, figure="lower case", value=1),
                Below(claim="B does not", arm=B, figure="lower case", bound=0.0),
                Equal(claim="turns are a function of the seed", arm=A, figure="same", value=1),
            ],
        ),
        Part(
            name="style",
            kind="QUALITY",
            arms=[BEFORE, A, ALL_TURNS, B],
            measure=measure,
            sizes=SIZES,
            rates=(1e-3, 3e-3, 1e-2),
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
            part="style",
            arms=[BEFORE, A],
            figure="loss",
            label="bits per byte, A's held-out turns",
        ),
    ],
    bounds="Two generated authors with clear habits, and a base that knows both; people differ "
    "less, and their messages have content. The classifier measures style alone. The base is "
    "the same for all seeds.",
    expects="From 0.5 to above 0.9 after 80 steps; the mask makes no difference.",
)
