"""Tuning on conversations: what it gains, what dependent questions need, and which mask to use."""

from __future__ import annotations

import random
from pathlib import Path

from gpt.lab.apparatus.probes import cache_error, random_model
from gpt.lab.apparatus.stories import exact, f1, story
from gpt.lab.apparatus.texts import once, shards_of
from gpt.lab.apparatus.training import Run, small_model
from gpt.lab.apparatus.tuning import base_run
from gpt.lab.apparatus.turns import Said, answers, in_memory, planned, write_chats
from gpt.lab.checks import Below, Equal, Greater, NotWorse, Within
from gpt.lab.experiment import (
    TUNING_SEEDS,
    Experiment,
    Figures,
    Grid,
    Part,
    Setting,
    Sizes,
    Source,
)
from gpt.spec.architecture import Architecture
from gpt.training.tasks.conversations import ChatData
from gpt.training.tasks.starting import starting_model
from gpt.training.tuning.planning import TuningPlan

BASE, SINGLE, MULTI = "base", "single-turn", "multi-turn"
UNMASKED, TEXTS = "multi-turn, all turns", "multi-turn, texts"
MASKS = {BASE: "mine", SINGLE: "mine", MULTI: "mine", UNMASKED: "all", TEXTS: "text"}
"""What counts in the loss: the answers, all turns, or all texts without template tokens."""
HELD_OUT_SEED, VOCAB = 2, 380


def model(setting: Setting) -> Architecture:
    """Return the model of all arms."""
    return small_model(
        setting,
        context=64,
    )


def base(setting: Setting) -> Path:
    """Return a model of stories, each with a question that depends on no other, as plain text."""
    rng = random.Random(0)
    drawn = (story(rng) for _ in range(setting.size["texts"]))
    texts = [f"{text}\n{asked[0][0]} {asked[0][1]}\n" for text, asked in drawn]
    name = f"stories-{len(texts)}"
    data = shards_of(name, ["".join(texts[n : n + 100]) for n in range(0, len(texts), 100)], VOCAB)
    how = Run(steps=setting.size["base steps"], vocab=VOCAB, data=data, device=setting.device)
    return base_run(name, model(setting), how)


def conversations(seed: int, count: int, *, single: bool) -> tuple[list[Said], list[str]]:
    """Return conversations about stories, and the stories: their system prompts."""
    rng = random.Random(seed)
    chats: list[Said] = []
    stories = []
    for _ in range(count):
        text, asked = story(rng)
        said = [list(pair) for pair in asked]
        found = said if single else [[*said[0], *said[1]]]
        chats += found
        stories += [text] * len(found)
    return chats, stories


def plan(setting: Setting) -> TuningPlan:
    """Plan the tuning of an arm; all have the same stories, questions and steps."""
    single, count = setting.arm == SINGLE, setting.size["stories"]
    seed = 3 + setting.seed
    data = once(
        f"stories-{seed}-{count}-{single}",
        lambda it: write_chats(it / "train.jsonl", *conversations(seed, count, single=single)),
    )
    return planned(
        base(setting),
        data,
        model(setting),
        steps=setting.size["steps"],
        rows=16,
        rate=setting.rate or 1e-3,
        seed=setting.seed,
        device=setting.device,
        train_on=MASKS[setting.arm],
        val=0.0,
        row_length=64,
    )


def measure(setting: Setting) -> Figures:
    """Answer questions about stories not seen, with the answers before as they should be."""
    made = plan(setting)
    assert isinstance(made.data, ChatData)
    if setting.arm == BASE:
        gpt = starting_model(made.base, made.recipe, made.data.chat.tokenizer.n_vocab)
        gpt = gpt.to(setting.device)
    elif (run := in_memory(made)) is None:
        return dict.fromkeys(("EM", "F1", "first", "dependent"), 0.0) | {"error": 1.0}
    else:
        gpt = run.model(setting.device)
    chats, stories = conversations(HELD_OUT_SEED, setting.size["asked"], single=False)
    given: dict[str, list[str]] = {}
    right: dict[str, list[str]] = {}
    for name, turn in (("first", 0), ("dependent", 2)):
        asked = [said[: turn + 1] for said in chats]
        given[name] = answers(gpt, made, asked, stories, max_tokens=8)
        right[name] = [said[turn + 1] for said in chats]
    every = [[*each["first"], *each["dependent"]] for each in (given, right)]
    matches = exact(*every)
    return {
        "EM": matches,
        "F1": f1(*every),
        **{name: exact(given[name], right[name]) for name in given},
        "error": 1 - matches,
    }


def masks(setting: Setting) -> Figures:
    """Read what a mask trains on, and decode a conversation with a cache."""
    made = plan(setting)
    assert isinstance(made.data, ChatData)
    chat = made.data.chat
    chats, stories = conversations(3, setting.size["stories"], single=setting.arm == SINGLE)
    encoder = chat.tokenizer
    special = set(encoder.special_tokens.values())
    trained = chat.train.ids[chat.train.is_target].tolist()
    texts = encoder.decode([id for id in trained if id not in special])
    spoken = {
        "mine": "".join("".join(said[1::2]) for said in chats),
        "all": "".join(text + "".join(said) for said, text in zip(chats, stories, strict=True)),
    }
    spoken["text"] = spoken["all"]
    return {
        "texts": float(texts == spoken[MASKS[setting.arm]]),
        "template tokens": float(sum(id in special for id in trained)),
        "cache": cache_error(random_model(model(setting), 64, 0), 32),
        "EM": exact(["The  Owl!", "owl"], ["owl", "a fox"]),
        "F1": f1(["big red owl", ""], ["red owl hen", "fox"]),
    }


SMOKE = {"layers": 1, "width": 16, "texts": 400, "base steps": 3}
SMOKE |= {"stories": 40, "steps": 3, "asked": 8}
CPU = {"layers": 3, "width": 96, "texts": 12_000, "base steps": 800}
CPU |= {"stories": 2_000, "steps": 200, "asked": 150}
GPU = {**CPU, "width": 512, "layers": 8, "texts": 100_000, "base steps": 5_000, "steps": 1_000}
SIZES: Sizes = {"smoke": SMOKE, "cpu": CPU, "gpu": GPU}

EXPERIMENT = Experiment(
    id="multiturn",
    question="What does tuning on conversations gain, of several turns and with which mask?",
    source=Source(
        paper="Together AI 2024, Fine-tuning LLMs for multi-turn conversations",
        link="https://www.together.ai/blog/fine-tuning-llms-for-multi-turn-conversations-a-"
        "technical-deep-dive",
        where="CoQA: EM from 0.043 to 0.62, F1 from 0.232 to 0.78; masks without numbers",
    ),
    claim="Tuning on conversations raises exact matches on questions about a story from 0.043 to "
    "0.62; instructions need not be masked.",
    parts=[
        Part(
            name="masks",
            kind="EXACT",
            arms=[MULTI, UNMASKED, TEXTS],
            measure=masks,
            sizes=dict.fromkeys(("smoke", "cpu", "gpu"), SMOKE),
            checks=[
                *(
                    Equal(claim=f"{arm}: these count", arm=arm, figure="texts", value=1)
                    for arm in (MULTI, TEXTS)
                ),
                Equal(claim="ends of answers count", arm=MULTI, figure="template tokens", value=80),
                Equal(claim="no template token", arm=TEXTS, figure="template tokens", value=0),
                Below(claim="cached turns equal all", arm=MULTI, figure="cache", bound=1e-9),
                Equal(claim="EM is SQuAD's", arm=MULTI, figure="EM", value=0.5),
                Equal(claim="F1 too", arm=MULTI, figure="F1", value=1 / 3, tolerance=1e-9),
            ],
        ),
        Part(
            name="answers",
            kind="QUALITY",
            arms=list(MASKS),
            measure=measure,
            sizes=SIZES,
            rates=(1e-3, 3e-3),
            chosen_by="error",
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[
                Within(claim="the base matches hardly", arm=BASE, figure="EM", high=0.1),
                Within(claim="tuned, more than half", arm=MULTI, figure="EM", low=0.5),
                Greater(
                    claim="EM rises (by 0.58 in the article)",
                    arm=MULTI,
                    than=BASE,
                    figure="EM",
                    by=0.577,
                    tolerance=0.2,
                ),
                Greater(
                    claim="F1 rises (by 0.55 in the article)",
                    arm=MULTI,
                    than=BASE,
                    figure="F1",
                    by=0.548,
                    tolerance=0.2,
                ),
                Greater(
                    claim="dependent questions need several turns in training",
                    arm=MULTI,
                    than=SINGLE,
                    figure="dependent",
                ),
                *(
                    NotWorse(
                        claim=f"{arm}: not worse than a mask of all but the answers, by 0.05",
                        arm=arm,
                        than=MULTI,
                        figure="error",
                        margin=0.05,
                    )
                    for arm in (UNMASKED, TEXTS)
                ),
            ],
        ),
    ],
    panels=[
        Grid(
            part="answers",
            figures={"first": "first", "dependent": "dependent", "EM": "EM", "F1": "F1"},
            label="right answers, fraction",
        )
    ],
    bounds="The article tunes Llama 3.1 8B with LoRA on CoQA, whose answers are free; here a small "
    "model of generated stories, all weights, and answers of one word. Single turns are twice as "
    "many conversations, each with its story, in as many steps.",
    expects="EM from 0 to above 0.5; single turns near guessing on dependent questions; masks "
    "within noise.",
)
