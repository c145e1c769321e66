"""Tuning on conversations: what it gains, what dependent questions need, and which mask to use."""

from __future__ import annotations

from gpt.lab.apparatus.probes import cache_error, random_model
from gpt.lab.apparatus.stories import base, chats_of, conversations, exact, f1, model
from gpt.lab.apparatus.turns import answers, in_memory, planned
from gpt.lab.checks import Above, Below, Equal, Greater, NotWorse, Within
from gpt.lab.experiment import TUNING_SEEDS, Bars, Experiment, Figures, Part, Setting, Sizes, Source
from gpt.spec.optimizer import Muon
from gpt.training.tasks.conversations import ChatData
from gpt.training.tasks.starting import starting_model
from gpt.training.tuning.planning import TuningPlan

BASE, SINGLE, MULTI = "base", "single-turn", "multi-turn"
UNMASKED, TEXTS = "multi-turn, all turns", "multi-turn, texts"
MASKS = {BASE: "mine", SINGLE: "mine", MULTI: "mine", UNMASKED: "all", TEXTS: "text"}
"""What counts in the loss: the answers, all turns, or all texts without template tokens."""
HELD_OUT_SEED = 2


def plan(setting: Setting) -> TuningPlan:
    """Plan the tuning of an arm; all have the same stories, questions and steps."""
    rate = setting.rate or Muon().lr
    count, single = setting.size["stories"], setting.arm == SINGLE
    return planned(
        base(setting),
        chats_of(3 + setting.seed, count, single=single),
        model(setting),
        steps=setting.size["steps"],
        rate=rate,
        seed=setting.seed,
        device=setting.device,
        changes={"optimizer": Muon(lr=rate)},
        train_on=MASKS[setting.arm],
        val=0.0,
        row_length=88,
    )


def masks(setting: Setting) -> Figures:
    """Read what a mask trains on, and decode a conversation with a cache."""
    made = plan(setting)
    assert isinstance(made.data, ChatData)
    chat = made.data.chat
    chats, stories = conversations(3, setting.size["stories"], single=False)
    special = set(chat.tokenizer.special_tokens.values())
    trained = chat.train.ids[chat.train.is_target].tolist()
    texts = chat.tokenizer.decode([id for id in trained if id not in special])
    spoken = {
        MULTI: [text for said in chats for text in said[1::2]],
        UNMASKED: [text for said in chats for text in said],
        TEXTS: [
            text for known, said in zip(stories, chats, strict=True) for text in (known, *said)
        ],
    }
    return {
        "texts": float(texts == "".join(spoken[setting.arm])),
        "template tokens": float(sum(id in special for id in trained)),
        "cache": cache_error(random_model(model(setting), 64, 0), 32),
        "EM off": abs(exact(["The  Owl!", "owl"], ["owl", "a fox"]) - 1 / 2),
        "F1 off": abs(f1(["big red owl", ""], ["red owl hen", "fox"]) - 1 / 3),
    }


def measure(setting: Setting) -> Figures:
    """Answer questions about stories not seen, with the answers before as they should be."""
    made = plan(setting)
    assert isinstance(made.data, ChatData)
    if setting.arm == BASE:
        gpt = starting_model(made.base, made.recipe, made.data.chat.tokenizer.n_vocab)
    elif (run := in_memory(made)) is None:
        return {"EM": 0.0, "F1": 0.0, "first": 0.0, "dependent": 0.0, "error": 1.0}
    else:
        gpt = run.model()
    gpt = gpt.to(setting.device)
    chats, stories = conversations(HELD_OUT_SEED, setting.size["asked"], single=False)
    first, dependent = (
        answers(gpt, made, [said[:turns] for said in chats], stories, max_tokens=8)
        for turns in (1, 3)
    )
    right = [[said[turn] for said in chats] for turn in (1, 3)]
    matches = exact(first + dependent, right[0] + right[1])
    return {
        "EM": matches,
        "F1": f1(first + dependent, right[0] + right[1]),
        "first": exact(first, right[0]),
        "dependent": exact(dependent, right[1]),
        "error": 1 - matches,
    }


SMOKE = {"layers": 1, "width": 16, "texts": 400, "base steps": 3}
SMOKE |= {"stories": 40, "steps": 3, "asked": 8}
CPU = {"layers": 2, "width": 64, "texts": 10_000, "base steps": 600}
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
            sizes=dict.fromkeys(SIZES, SMOKE),
            checks=[
                Above(claim="what should count does, as text", figure="texts", bound=1),
                Equal(claim="ends of answers count", arm=MULTI, figure="template tokens", value=80),
                Equal(claim="no template token", arm=TEXTS, figure="template tokens", value=0),
                Below(claim="cached turns equal all", figure="cache", bound=1e-9),
                Below(claim="EM is SQuAD's", figure="EM off", bound=1e-9),
                Below(claim="F1 too", figure="F1 off", bound=1e-9),
            ],
        ),
        Part(
            name="answers",
            kind="QUALITY",
            arms=list(MASKS),
            measure=measure,
            sizes=SIZES,
            rates=(5e-3, 1.5e-2),
            chosen_by="error",
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[
                Within(claim="the base matches hardly", arm=BASE, figure="EM", high=0.1),
                Within(claim="tuned, more than half", arm=MULTI, figure="EM", low=0.5),
                *(
                    Greater(claim=claim, arm=MULTI, than=than, figure=figure, by=by, tolerance=0.2)
                    for claim, than, figure, by in (
                        ("EM rises, by 0.577 in the article", BASE, "EM", 0.577),
                        ("F1 rises, by 0.548 in the article", BASE, "F1", 0.548),
                        ("dependent questions need several turns", SINGLE, "dependent", None),
                    )
                ),
                *(
                    NotWorse(claim=claim, arm=arm, than=MULTI, figure="error", margin=0.05)
                    for claim, arm in (
                        ("questions need not be masked: not worse, by 0.05", UNMASKED),
                        ("nor stories, if the template is: not worse, by 0.05", TEXTS),
                    )
                ),
            ],
        ),
    ],
    panels=[
        Bars(part="answers", figure="first", label="right answers to first questions, fraction"),
        Bars(part="answers", figure="dependent", label="to questions that depend on them"),
    ],
    bounds="The article tunes Llama 3.1 8B with LoRA on CoQA, whose answers are free; here a "
    "small model of generated stories, all weights, and answers of one word. Most tokens are of "
    "stories and questions: a small model in 200 steps learns less of answers if these count, "
    "where the article finds no harm. Pilots with another seed chose short sentences, "
    "convolutions over six tokens and Muon, with which a base learns single questions in 600 "
    "steps. Single turns are twice as many conversations, each with its story, in as many steps.",
    expects="EM from 0 to above 0.5; single turns near guessing on dependent questions; masks "
    "within noise.",
)
