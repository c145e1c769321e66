"""Made-up short messages, ham and spam, with one vocabulary, to try a classifier with.

A message has some sentences. They say that somebody has an offer (has won a prize, is to call a
number) or does something else (has been to a shop), and that somebody is the reader, the writer or
a third person. A message is spam if a sentence has an offer for the reader. Ham has offers for
others, and sentences about the reader, also in one message: so no single word decides, and the
first one says nothing. The same seed gives the same messages.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

from gpt.data.labeled_texts import LabeledText

HAM, SPAM = "ham", "spam"
SPAM_FRACTION = 747 / 5574
"""Fraction of the messages that are spam: that of the SMS Spam Collection (Almeida 2011)."""

_SLOTS: Mapping[str, tuple[str, ...]] = {
    "name": ("Ana", "Ben", "Chloe", "Dev", "Ed", "Fay", "mum", "dad", "the boss", "gran"),
    "time": ("tonight", "tomorrow", "at 6", "after work", "on Friday", "this week", "today", "now"),
    "prize": (
        *("a holiday", "£500 cash", "two tickets", "a new phone", "a free lunch", "£100"),
        *("the big prize", "a voucher", "a weekend in Spain", "a bonus"),
    ),
    "shop": ("the shop", "the bank", "the station", "Tesco", "the office", "the gym", "the club"),
    "thing": ("my account", "the order", "the ticket", "your phone", "the card", "the offer"),
}
_OPENERS = (
    *(
        "hi {name},",
        "hello,",
        "hey,",
        "good news,",
        "sorry to bother you,",
        "ok",
        "just a reminder,",
    ),
    *("morning,", "please read this,", "dear friend,", "hope you are well,", "quick one,"),
)
_SMALL_TALK = (
    *("have a nice day", "thanks a lot", "see you {time}", "hope all is good", "take care"),
    *("it is so cold {time}", "what a week", "let me know", "no rush", "speak soon"),
)
_READER = ("you have", "you two have", "you now have", "you both have", "do you know you have")
_OTHERS = (
    *("I have", "{name} has", "we have", "my sister has", "they have", "I think {name} has"),
    *("{name} and I have", "nobody here has", "my friend at {shop} has"),
)
_OFFERS = (
    *("won {prize}", "been chosen for {prize}", "{prize} to collect {time}", "free entry {time}"),
    *("an offer for {thing}", "to call {number} {time}", "to text {code} to {number}"),
    *("{money} to claim {time}", "to reply yes to the offer", "a free ticket to {shop}"),
    *("to update {thing} {time}", "a last call for {prize}", "to pay {money} to keep {thing}"),
)
_EVERYDAY = (
    *("left {thing} at {shop}", "been to {shop} {time}", "seen {name} {time}", "a bad cold"),
    *("lost the keys", "to stop at {shop} {time}", "no time {time}", "a table for six {time}"),
    *("to feed the cat", "some food for {name}", "to work {time}", "the wrong bus", "a new cat"),
)
_SHORT = (("you", "u"), ("have", "hav"), ("to", "2"), ("for", "4"), ("and", "&"))


def example_messages(
    count: int, *, seed: int = 0, spam: float = SPAM_FRACTION
) -> Iterator[LabeledText]:
    """Yield *count* messages, of which the fraction *spam* is spam."""
    rng = random.Random(f"messages {seed}")
    for _ in range(count):
        label = SPAM if rng.random() < spam else HAM
        yield LabeledText(_message(rng, label), label)


def _message(rng: random.Random, label: str) -> str:
    """Return a message: an opener, and sentences in any order."""
    kinds = [(_OTHERS, _OFFERS), (_READER, _EVERYDAY), (_OTHERS, _EVERYDAY)]
    sentences = [rng.choice(kinds) for _ in range(rng.randrange(1, 4))]
    if label == SPAM:
        sentences[0] = _READER, _OFFERS
    texts = [f"{rng.choice(subjects)} {rng.choice(rest)}" for subjects, rest in sentences]
    texts += rng.sample(_SMALL_TALK, rng.randrange(2))
    rng.shuffle(texts)
    opener = [_filled(rng, rng.choice(_OPENERS))] if rng.random() < 0.7 else []
    separator = rng.choice((". ", ", ", "! ", " and "))
    return _spelled(rng, " ".join([*opener, separator.join(_filled(rng, each) for each in texts)]))


def _filled(rng: random.Random, sentence: str) -> str:
    """Return *sentence* with something in each slot."""
    slots = {name: rng.choice(values) for name, values in _SLOTS.items()}
    return sentence.format(
        **slots,
        number=f"0{rng.randrange(10**9, 10**10)}",
        code=f"{rng.randrange(1000, 10000)}",
        money=f"£{rng.randrange(1, 50)}",
    )


def _spelled(rng: random.Random, text: str) -> str:
    """Return *text* as somebody may type it: short, in capitals or small letters, or as it is."""
    words: Sequence[str] = text.split(" ")
    if rng.random() < 0.5:
        short = {long: one for long, one in _SHORT if rng.random() < 0.6}
        words = [short.get(word, word) for word in words]
    style = rng.random()
    text = " ".join(words)
    if style < 0.15:
        return text.upper()
    return text if style < 0.5 else text[0].upper() + text[1:]
