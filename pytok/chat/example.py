"""Synthetic chats with distinct authors and known sessions, for demonstrations and tests.

The content (`_TOPICS`) is the same for all authors: questions, matching answers, and replies to the
answers, with the same dish or town in all three. The wording (`Style`) differs by author.
"""

import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from pytok.chat.record import Message

LONGEST_PAUSE = timedelta(minutes=15)
"""Maximum time between two messages of a session."""

SHORTEST_GAP = timedelta(hours=2)
"""Minimum time between two sessions."""

START = datetime(2023, 1, 16, 7, 30)
"""Start of the first session. 16 is not a month, so even the shortest export has an unambiguous
date order."""

ENCRYPTED = "Messages and calls are end-to-end encrypted."


@dataclass(frozen=True)
class Style:
    """Writing style of an author, applied to sentences that are common to all authors."""

    lower: bool = False
    """Lower case, without a final period."""
    bursts: float = 0.0
    """Probability that a message is split at sentence ends, and likewise at commas."""
    emoji: tuple[str, ...] = ()
    emoji_rate: float = 0.0
    """Probability that a message ends with emoji."""
    openers: tuple[str, ...] = ()
    closers: tuple[str, ...] = ()
    phrase_rate: float = 0.0
    """Probability of an opener, and likewise of a closer."""
    words: tuple[tuple[str, str], ...] = ()
    """Replacements, as pairs of a regex and a string: ("because", "cuz")."""


STYLES: Mapping[str, Style] = {
    "Mara": Style(
        lower=True,
        bursts=0.6,
        emoji=("😂", "🥰", "✨", "🙈", "😭", "💛", "👩‍🍳", "🙌🏽"),
        emoji_rate=0.55,
        openers=("omg ", "haha ", "wait ", "okay but ", "aww "),
        closers=(" lol", " hahaha", " sooo much", " i can't", " pls"),
        phrase_rate=0.3,
        words=((r"\byou\b", "u"), (r"\bare\b", "r"), ("because", "cuz"), ("tomorrow", "tmrw")),
    ),
    "Jonas": Style(
        openers=("To be honest, ", "Well, ", "As far as I can tell, ", "Frankly, "),
        closers=(
            " That is my view, at least.",
            " But do correct me if I am wrong.",
            " As my grandmother used to say.",
            " Kind regards from the sofa.",
        ),
        phrase_rate=0.4,
        words=(("don't", "do not"), ("I'm", "I am"), ("it's", "it is"), ("can't", "cannot")),
    ),
    "Priya": Style(
        emoji=("🎉", "🎊", "🔥"),
        emoji_rate=0.2,
        openers=("YES! ", "Guys! ", "Listen! ", "Lovely! "),
        closers=(" So exciting!!", " Who is in?!", " Love it!!", " Let's GO!"),
        phrase_rate=0.5,
        words=((r"\.", "!"), (r"\bvery\b", "VERY"), (r"\bgood\b", "GREAT")),
    ),
    "Tom": Style(
        lower=True,
        openers=("hm. ", "dunno... ", "eh. ", "right. "),
        closers=("...", " mate", " i guess", " whatever"),
        phrase_rate=0.45,
        words=((",", ""), ("I think ", ""), ("!", ""), ("really ", "")),
    ),
}
"""The authors, in the order in which `example_chat` takes them."""


class _Exchange(NamedTuple):
    asks: tuple[str, ...]
    answers: tuple[str, ...]
    ends: tuple[str, ...]
    """Replies to an answer, by the person who asked."""


class _Topic(NamedTuple):
    slots: Mapping[str, tuple[str, ...]]
    exchanges: tuple[_Exchange, ...]


_DAYS = ("tonight", "tomorrow", "on Friday", "on Saturday", "on Sunday", "next week")
_HOURS = ("at six", "at half past seven", "at eight", "around nine", "at noon", "after work")

_TOPICS = (
    _Topic(
        {
            "dish": ("lasagne", "ramen", "pumpkin soup", "tacos", "dumplings", "a big salad",
                     "fried rice", "pizza", "mushroom risotto", "lentil curry"),
            "venue": ("the corner place", "the new bistro", "my kitchen", "your balcony",
                      "the market hall", "the little Thai restaurant"),
            "thing": ("garlic", "rice", "lemons", "cheese", "bread", "coriander", "olive oil"),
        },
        (
            _Exchange(
                ("Do you want {dish} {day}?", "Shall we have {dish} {day}?",
                 "I'm hungry. What about {dish} {day}?"),
                ("Yes, {dish} is exactly what I need, {hour} would be good.",
                 "Not {dish} again, we had that last week.",
                 "Only if we eat at {venue}, it's so nice there.",
                 "{day} is difficult, but I would love {dish} another time."),
                ("Good, then I will reserve at {venue}.", "Deal, I will tell the others.",
                 "Fair enough, let us think of something else."),
            ),
            _Exchange(
                ("Can you bring {thing} when you come {day}?", "Is there still {thing} at yours?"),
                ("Sure, I will buy {thing} on the way.", "I think the {thing} is gone, sorry.",
                 "There is plenty of {thing}, don't worry."),
                ("Thank you, without {thing} the {dish} would be sad.", "Perfect, see you {hour}."),
            ),
            _Exchange(
                ("I tried to cook {dish} and burnt it.", "My {dish} turned out really well!"),
                ("What happened, did you forget the {thing}?", "Please send a photo of the {dish}.",
                 "You always say that, I want to taste it."),
                ("The {thing} was the problem, next time I will take less.",
                 "Come over {day} and I will make {dish} again."),
            ),
        ),
    ),
    _Topic(
        {
            "film": ("the one with the lighthouse", "that Korean thriller", "the old western",
                     "the cartoon about the whale", "the film about the chess player",
                     "the new space opera"),
            "venue": ("the open air cinema", "my place", "the Rex", "the student cinema"),
            "view": ("too long", "very funny", "a bit sad", "beautiful", "confusing", "boring"),
        },
        (
            _Exchange(
                ("Have you seen {film}?", "What did you think of {film}?"),
                ("Yes, it was {view}, but the ending is good.",
                 "No, everybody says it's {view}.", "I fell asleep halfway, it's {view}."),
                ("I found it {view} too, because the music never stops.",
                 "Then watch it again with me {day}."),
            ),
            _Exchange(
                ("Shall we watch {film} at {venue} {day}?", "There are tickets for {film} {day}!"),
                ("I'm in, {hour} at {venue}?", "I can't {day}, I have to work.",
                 "Only if you buy the popcorn."),
                ("Great, {hour} it is.", "What a pity, maybe next time.",
                 "You drive a hard bargain."),
            ),
        ),
    ),
    _Topic(
        {
            "town": ("Lisbon", "Oslo", "Naples", "Kyoto", "Marrakech", "Edinburgh", "Kraków",
                     "the islands", "the mountains"),
            "way": ("by train", "by night bus", "with the old car", "by ferry"),
            "thing": ("the map", "sunscreen", "a good book", "the tent", "the first aid kit"),
        },
        (
            _Exchange(
                ("Do you want to go to {town} {way} in the summer?",
                 "I keep dreaming of {town}, are you coming along?"),
                ("{town} sounds wonderful, but is it cheap {way}?",
                 "I was in {town} last year, the food is very good there.",
                 "Only if we take a whole week, a weekend is too short for {town}."),
                ("It's cheaper than you think, I looked it up.",
                 "Then you can be our guide in {town}.", "A whole week it is."),
            ),
            _Exchange(
                ("Where are you now?", "How is {town}?", "Have you arrived in {town}?"),
                ("We are sitting in a café in {town} and it's raining.",
                 "We are {way} somewhere before {town}.",
                 "{town} is beautiful, I never want to come home."),
                ("Send me a postcard from {town}!", "Enjoy it, here nothing happens."),
            ),
            _Exchange(
                ("Did you pack {thing}?", "You didn't forget {thing}, did you?"),
                ("I forgot {thing} at home, of course.", "Yes, {thing} is in the blue bag.",
                 "Do I really need {thing} in {town}?"),
                ("That is so typical of you.", "Then we are ready for {town}."),
            ),
        ),
    ),
    _Topic(
        {
            "task": ("the report", "the budget", "the application", "the essay", "the translation",
                     "the presentation", "the tax form"),
            "person": ("my boss", "the new colleague", "the professor", "the landlord", "Anna"),
            "mood": ("tired", "annoyed", "proud", "nervous", "relieved", "bored"),
        },
        (
            _Exchange(
                ("How is {task} going?", "Are you done with {task}?",
                 "Did {person} like {task}?"),
                ("{person} changed everything in {task}, I'm so {mood}.",
                 "Almost, I will finish {task} {day}.", "It went really well, I'm {mood}."),
                ("You have earned a break.", "I told you that {person} is difficult.",
                 "I never doubted it, you are good at {task}."),
            ),
            _Exchange(
                ("Can you help me with {task} {day}?", "Would you read {task} before I send it?"),
                ("Of course, send it to me {hour}.", "I'm {mood} myself, but I will try.",
                 "Ask {person}, they know more about {task}."),
                ("You are the best, I owe you a coffee.", "Okay, I will ask {person}."),
            ),
        ),
    ),
    _Topic(
        {
            "animal": ("the cat", "the neighbour's dog", "the parrot", "our old horse",
                       "the hamster"),
            "deed": ("sleeping on the keyboard", "eating the houseplants", "stealing socks",
                     "singing at four in the morning", "hiding under the bed",
                     "staring at the wall"),
            "venue": ("the sofa", "the washing machine", "the roof", "my backpack"),
        },
        (
            _Exchange(
                ("What is {animal} doing?", "How is {animal}?", "Is {animal} still {deed}?"),
                ("{animal} is {deed} again.", "Right now {animal} is {deed}, next to {venue}.",
                 "{animal} was {deed} all night, and now it's quiet."),
                ("I miss {animal}.", "Poor {animal}, say hello from me.",
                 "At least {animal} is not on {venue} today."),
            ),
            _Exchange(
                ("Can you look after {animal} {day}?", "Who feeds {animal} {day}?"),
                ("I can, but last time {animal} was {deed} for hours.",
                 "{day} is fine, I will come {hour}.", "Sorry, {animal} doesn't like me."),
                ("You are an angel, the key is under {venue}.", "{animal} likes everybody."),
            ),
        ),
    ),
    _Topic(
        {
            "weather": ("rain", "snow", "thunder", "fog", "sun", "storm"),
            "sport": ("running", "climbing", "swimming", "football", "yoga", "cycling"),
            "venue": ("the lake", "the park", "the hall", "the river", "the old stadium"),
        },
        (
            _Exchange(
                ("Are you going {sport} {day}?", "Shall we go {sport} at {venue} {day}?"),
                ("With this {weather}? I don't think so.", "Yes, meet me at {venue} {hour}.",
                 "My knee hurts, {sport} is not possible this week.",
                 "I'd rather look at the {weather} from my window."),
                ("A little {weather} never hurt anybody.", "Good, I will bring water to {venue}.",
                 "Get well soon, then we go {sport} again."),
            ),
            _Exchange(
                ("What is the weather like at {venue}?", "Do you have {weather} too?"),
                ("Only {weather} since this morning.", "No {weather} here, it's warm and bright.",
                 "First {weather}, then everything at once."),
                ("Here too, so no {sport} {day}.", "You are lucky, I'm wet to the bones."),
            ),
        ),
    ),
)  # fmt: skip

_GREETINGS = (
    _Exchange(
        ("Good morning, did you sleep well?", "Hello, are you there?", "How are you today?"),
        ("Good morning, I slept very well, and you?", "I'm here, what is new?",
         "I'm fine, just a bit tired."),
        ("All good here.", "I have so much to tell you."),
    ),
)  # fmt: skip
_FAREWELLS = (
    _Exchange(
        ("I have to go now, see you {day}.", "Good night, sleep well.", "Let us talk {day}."),
        ("See you {day}, take care.", "Good night!", "Yes, talk to you {day}."),
        (),
    ),
)  # fmt: skip


def example_chat(messages: int = 20_000, *, authors: int = 2, seed: int = 0) -> list[Message]:
    """Generate *messages* messages between the first *authors* of `STYLES`, sorted by time.

    The result is deterministic. As in real exports, there is a notice at the start, and there are
    pictures, deleted and edited messages.
    """
    if not 2 <= authors <= len(STYLES):
        raise ValueError(f"authors is {authors}; give 2 to {len(STYLES)}, one for each style")
    rng = random.Random(seed)
    names = list(STYLES)[:authors]
    notice = Message(time=START, sender=None, kind="system", text=ENCRYPTED)
    chat = [notice][:messages]
    time = START
    while len(chat) < messages:
        for message in _session(names, rng):
            time += timedelta(seconds=min(900, int(rng.lognormvariate(3.3, 1.1)) + 1))
            chat.append(_with_random_kind(replace(message, time=time), rng))
        time += SHORTEST_GAP + timedelta(seconds=int(rng.expovariate(1 / 14_000)))
    return chat[:messages]


def _with_random_kind(message: Message, rng: random.Random) -> Message:
    """Turn 2% of the messages into a picture, or a deleted or edited message."""
    draw = rng.random()
    if draw < 0.01:
        return replace(message, kind="media", text="", media="image")
    if draw < 0.013:
        return replace(message, kind="deleted", text="")
    return replace(message, edited=draw < 0.02)


def _session(names: Sequence[str], rng: random.Random) -> Iterator[Message]:
    """Yield the messages of one session, without times."""
    speakers = list(names)
    rng.shuffle(speakers)
    topics = rng.choices(_TOPICS, k=rng.randint(1, 4))
    exchanges = [(topic, rng.choice(topic.exchanges)) for topic in topics]
    no_topic = _Topic({}, ())
    for topic, exchange in [
        *((no_topic, each) for each in _GREETINGS if rng.random() < 0.4),
        *exchanges,
        *((no_topic, each) for each in _FAREWELLS if rng.random() < 0.5),
    ]:
        # One value per slot, so that question, answer and reply are about the same thing.
        values = {slot: rng.choice(choices) for slot, choices in topic.slots.items()}
        values |= {"day": rng.choice(_DAYS), "hour": rng.choice(_HOURS)}
        asking, *others = speakers
        answering = rng.choice(others)
        for speaker, phrases in (
            (asking, exchange.asks),
            (answering, exchange.answers),
            (asking, exchange.ends if rng.random() < 0.7 else ()),
        ):
            if phrases:
                sentence = rng.choice(phrases).format_map(values)
                sentence = sentence[0].upper() + sentence[1:]
                for text in in_style(sentence, STYLES[speaker], rng):
                    yield Message(time=START, sender=speaker, text=text)
        rng.shuffle(speakers)


def in_style(text: str, style: Style, rng: random.Random) -> list[str]:
    """Rewrite *text* in *style*, as one or more messages."""
    if rng.random() < style.phrase_rate:
        opener = rng.choice(style.openers)
        # Upper case is kept for "I", and after an opener that is a sentence.
        keep_case = opener.endswith((". ", "! ", "... ")) or text.startswith(("I ", "I'"))
        text = opener + (text if keep_case else text[0].lower() + text[1:])
    if rng.random() < style.phrase_rate:
        text = (text.rstrip(".") if style.lower else text) + rng.choice(style.closers)
    for pattern, replacement in style.words:
        text = re.sub(pattern, replacement, text)
    parts = [text]
    for mark in (". ", "? ", "! ", ", "):
        if rng.random() < style.bursts:
            parts = [split for part in parts for split in _split_after(part, mark)]
    if style.lower:
        parts = [part.lower().removesuffix(".") for part in parts]
    return [_with_emoji(part, style, rng) for part in parts]


def _split_after(text: str, mark: str) -> Iterable[str]:
    first, found, rest = text.partition(mark)
    return (first + found.strip(", "), rest) if found else (text,)


def _with_emoji(text: str, style: Style, rng: random.Random) -> str:
    if rng.random() >= style.emoji_rate:
        return text
    return f"{text} {rng.choice(style.emoji) * rng.choice((1, 1, 2, 3))}"


def example_export(messages: Iterable[Message]) -> str:
    """Write *messages* as a ``_chat.txt`` of WhatsApp on an iPhone set to English (UK)."""
    return "".join(
        f"[{message.time:%d/%m/%Y, %H:%M:%S}] {message.author or 'Mara & Jonas'}: "
        f"{_body(message)}\r\n"
        for message in messages
    )


def _body(message: Message) -> str:
    if message.kind == "system":
        return f"\u200e{message.text}"
    if message.kind == "media":
        return f"{message.text} \u200e{message.media} omitted".lstrip()
    if message.kind == "deleted":
        return "\u200eThis message was deleted."
    return message.text + (" \u200e<This message was edited>" if message.edited else "")
