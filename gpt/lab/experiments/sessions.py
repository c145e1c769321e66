"""Where a chat is cut into conversations: by pauses, by a count of messages, or nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from gpt.lab.apparatus.chats import begun, chat_shards, overlapping, text_chat
from gpt.lab.apparatus.texts import once
from gpt.lab.apparatus.training import BITS, Run, Training, training_part
from gpt.lab.checks import Equal, Greater, Less
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
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from pytok.chat.conversations import ConversationOptions, Split, split_into_sessions
from pytok.chat.example import SHORTEST_GAP
from pytok.chat.record import Message

MINUTES = {"5 min": 5, "15 min": 15, "1 h": 60, "2 h": 120, "6 h": 360, "1 day": 1440}
GAPS = {name: timedelta(minutes=minutes) for name, minutes in MINUTES.items()}
RULES: dict[str, Split] = {**GAPS, "40 messages": 40}
CUTS: dict[str, Split] = {"1 h": GAPS["1 h"], "40 turns": 40, "nowhere": timedelta(days=9999)}
SMALL, LARGE = {"messages": 500}, {"messages": 20_000}
EXACT = (
    (tuple(RULES), "the cuts are those of a plain loop", "unlike plain"),
    (("15 min", "1 h"), "right everywhere, where pauses divide the sessions", "wrong"),
)


def cut(chat: Sequence[Message], split: Split) -> list[datetime]:
    """Return the times at which conversations begin by a rule, but for the first."""
    options = ConversationOptions(split=split, merge=False, min_turns=1)
    sessions, _ = split_into_sessions(chat, options)
    return [session.times[0] for session in sessions[1:]]


def known(setting: Setting) -> Figures:
    """Cut a chat whose sessions any pause from 15 minutes to 2 hours divides."""
    chat = text_chat(setting.size["messages"], setting.seed)
    return compared(chat, begun(chat, SHORTEST_GAP - timedelta(seconds=1)), RULES[setting.arm])


def overlap(setting: Setting) -> Figures:
    """Cut a chat in which no length of a pause divides the sessions."""
    chat, starts = overlapping(text_chat(setting.size["messages"], setting.seed), setting.seed)
    return compared(chat, starts, RULES[setting.arm])


def compared(chat: Sequence[Message], starts: Sequence[datetime], split: Split) -> Figures:
    """Cut *chat* by a rule, and compare with a plain loop and with the sessions it was made of."""
    gap = split if isinstance(split, timedelta) else None
    plain = begun(chat, gap) if gap else [message.time for message in chat[40::40]]
    ours = cut(chat, split)
    right = len(set(ours) & set(starts))
    return {
        "unlike plain": float(ours != plain),
        "wrong": float(len(set(ours) ^ set(starts))),
        "precision": right / max(1, len(ours)),
        "recall": right / len(starts),
        "F1": 2 * right / (len(ours) + len(starts)),
    }


def data_of(arm: str, messages: int, vocab: int) -> Path:
    """Return shards of a chat: the first nine tenths cut as in *arm*, the rest by an hour."""

    def make(folder: Path) -> None:
        chat, starts = overlapping(text_chat(messages, 0), 0)
        border = chat.index(next(m for m in chat if m.time == starts[len(starts) * 9 // 10]))
        parts = {"train": (chat[:border], CUTS[arm]), "val": (chat[border:], GAPS["1 h"])}
        chat_shards(folder / "shards", parts, vocab)

    return once(f"sessions-{arm}-{messages}-{vocab}", make) / "shards"


def model(setting: Setting) -> Architecture:
    """Return the model, the same for all arms."""
    layers, width = setting.size["layers"], setting.size["width"]
    heads = GroupedQuery(heads=4, kv_heads=4)
    return Architecture(context=64, layers=layers, width=width, attention=heads)


def how(setting: Setting) -> Run:
    """Return how a model is trained: on conversations that it sees one at a time."""
    size = setting.size
    data = partial(data_of, setting.arm, size["messages"], size["vocab"])
    vocab, device = size["vocab"], setting.device
    return Run(steps=size["steps"], vocab=vocab, data=data, document_mask=True, device=device)


EXPERIMENT = Experiment(
    id="sessions",
    question="Where does one conversation of a chat end and the next begin?",
    source=Source(
        paper="Savvov 2023, Unleash your digital twin; kinggongzilla, ai-clone-whatsapp",
        link="https://github.com/kinggongzilla/ai-clone-whatsapp",
        where="Savvov: a pause ends a conversation, 1 h in siblings of the recipe; "
        "preprocess.py: each 40 messages are one",
    ),
    claim="Chats are cut into conversations by a pause, of an hour for example, or after every 40 "
    "messages. Neither source compares them.",
    parts=[
        Part(
            name="known",
            kind="EXACT",
            arms=list(RULES),
            measure=known,
            sizes={"smoke": SMALL, "cpu": LARGE, "gpu": LARGE},
            checks=[
                Equal(claim=f"{rule}: {claim}", arm=rule, figure=figure, value=0)
                for rules, claim, figure in EXACT
                for rule in rules
            ],
        ),
        Part(
            name="boundaries",
            kind="QUALITY",
            arms=list(RULES),
            measure=overlap,
            sizes={"smoke": SMALL, "cpu": LARGE, "gpu": LARGE},
            checks=[
                Greater(claim=f"1 h is better than {arm}", arm="1 h", than=arm, figure="F1")
                for arm in ("5 min", "1 day", "40 messages")
            ],
        ),
        training_part(
            arms=list(CUTS),
            training=Training(model=model, how=how),
            sizes={
                "smoke": {"layers": 1, "width": 32, "steps": 3, "messages": 500, "vocab": 300},
                "cpu": {"layers": 2, "width": 96, "steps": 250, "messages": 20_000, "vocab": 512},
                "gpu": {
                    "layers": 6,
                    "width": 384,
                    "steps": 5000,
                    "messages": 100_000,
                    "vocab": 512,
                },
            },
            rates=(3e-3, 1e-2, 3e-2),
            tuning_seeds=TUNING_SEEDS[:1],
            checks=[
                Less(claim=f"1 h is better than {arm}", arm="1 h", than=arm, figure=BITS)
                for arm in ("40 turns", "nowhere")
            ],
        ),
    ],
    panels=[
        Points(part="boundaries", x="recall", y="precision", x_label="recall", y_label="precision"),
        Bars(part="loss", figure=BITS, label="bits per byte, later conversations"),
    ],
    bounds="The chat is generated, so its sessions are known; how its pauses overlap is a choice: "
    "3% of the answers are late, after 40 minutes by the median, and sessions are 5.5 hours apart "
    "on average. Small models are trained from scratch, on all turns, instead of tuning one of "
    "billions. They read later conversations one at a time, as a model in use does.",
    expects="Right from 15 minutes to 2 hours where pauses divide sessions. Where they overlap, "
    "the best is 1 to 2 hours, and a count is right only by accident. The losses differ little: "
    "without cuts a model never sees how conversations begin.",
)
