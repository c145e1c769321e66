"""Example chats, made by rules: authors of clearly different style, sessions that are known.

For trying the whole road without a chat of one's own, and for tests, which need known answers.
What is talked about (`_TOPICS`) is one for all authors: questions, the answers that fit them, and
what may follow, with the same dish or town in all three. How it is said (`Style`) is each one's.
"""

import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from pytok.chat.record import Message

LONGEST_PAUSE = timedelta(minutes=15)
"""Within a session no message comes later than this after the one before."""

SHORTEST_GAP = timedelta(hours=2)
"""Between two sessions there is at least this."""

BEGIN = datetime(2023, 1, 16, 7, 30)
"""When the first session of every example begins: no month has the number 16, so even the shortest
export tells how it writes dates."""

ENCRYPTED = "Messages and calls are end-to-end encrypted."


@dataclass(frozen=True)
class Style:
    """How an author writes what any author might say."""

    lower: bool = False
    """Lower case, and no full stop at the end."""
    bursts: float = 0.0
    """How likely a new sentence is a message of its own, and a comma ends a message."""
    emoji: tuple[str, ...] = ()
    emoji_rate: float = 0.0
    """How likely a message ends with emoji."""
    openers: tuple[str, ...] = ()
    closers: tuple[str, ...] = ()
    phrase_rate: float = 0.0
    """How likely a message has one of the openers, and how likely one of the closers."""
    words: tuple[tuple[str, str], ...] = ()
    """What is written otherwise, a regex and what takes its place: ("because", "cuz")."""


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
    """What whoever asked may say to an answer."""


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
            "place": ("the corner place", "the new bistro", "my kitchen", "your balcony",
                      "the market hall", "the little Thai restaurant"),
            "thing": ("garlic", "rice", "lemons", "cheese", "bread", "coriander", "olive oil"),
        },
        (
            _Exchange(
                ("Do you want {dish} {day}?", "Shall we have {dish} {day}?",
                 "I'm hungry. What about {dish} {day}?"),
                ("Yes, {dish} is exactly what I need, {hour} would be good.",
                 "Not {dish} again, we had that last week.",
                 "Only if we eat at {place}, it's so nice there.",
                 "{day} is difficult, but I would love {dish} another time."),
                ("Good, then I will reserve at {place}.", "Deal, I will tell the others.",
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
            "place": ("the open air cinema", "my place", "the Rex", "the student cinema"),
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
                ("Shall we watch {film} at {place} {day}?", "There are tickets for {film} {day}!"),
                ("I'm in, {hour} at {place}?", "I can't {day}, I have to work.",
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
            "place": ("the sofa", "the washing machine", "the roof", "my backpack"),
        },
        (
            _Exchange(
                ("What is {animal} doing?", "How is {animal}?", "Is {animal} still {deed}?"),
                ("{animal} is {deed} again.", "Right now {animal} is {deed}, next to {place}.",
                 "{animal} was {deed} all night, and now it's quiet."),
                ("I miss {animal}.", "Poor {animal}, say hello from me.",
                 "At least {animal} is not on {place} today."),
            ),
            _Exchange(
                ("Can you look after {animal} {day}?", "Who feeds {animal} {day}?"),
                ("I can, but last time {animal} was {deed} for hours.",
                 "{day} is fine, I will come {hour}.", "Sorry, {animal} doesn't like me."),
                ("You are an angel, the key is under {place}.", "{animal} likes everybody."),
            ),
        ),
    ),
    _Topic(
        {
            "weather": ("rain", "snow", "thunder", "fog", "sun", "storm"),
            "sport": ("running", "climbing", "swimming", "football", "yoga", "cycling"),
            "place": ("the lake", "the park", "the hall", "the river", "the old stadium"),
        },
        (
            _Exchange(
                ("Are you going {sport} {day}?", "Shall we go {sport} at {place} {day}?"),
                ("With this {weather}? I don't think so.", "Yes, meet me at {place} {hour}.",
                 "My knee hurts, {sport} is not possible this week.",
                 "I'd rather look at the {weather} from my window."),
                ("A little {weather} never hurt anybody.", "Good, I will bring water to {place}.",
                 "Get well soon, then we go {sport} again."),
            ),
            _Exchange(
                ("What is the weather like at {place}?", "Do you have {weather} too?"),
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
    """A chat of *messages* messages between the first *authors* of `STYLES`, in time order.

    The same arguments give the same chat. Some of it is what real exports have as well: a notice
    at the beginning, pictures, deleted and edited messages.
    """
    if not 2 <= authors <= len(STYLES):
        raise ValueError(f"authors is {authors}; there are styles for 2 to {len(STYLES)}")
    chance = random.Random(seed)
    names = list(STYLES)[:authors]
    notice = Message(time=BEGIN, sender=None, kind="system", text=ENCRYPTED)
    chat = [notice][:messages]
    time = BEGIN
    while len(chat) < messages:
        for spoken in _session(names, chance):
            time += timedelta(seconds=min(900, int(chance.lognormvariate(3.3, 1.1)) + 1))
            chat.append(_varied(replace(spoken, time=time), chance))
        time += SHORTEST_GAP + timedelta(seconds=int(chance.expovariate(1 / 14_000)))
    return chat[:messages]


def _varied(message: Message, chance: random.Random) -> Message:
    """Now and then a picture, a deleted or an edited message instead."""
    dice = chance.random()
    if dice < 0.01:
        return replace(message, kind="media", text="", media="image")
    if dice < 0.013:
        return replace(message, kind="deleted", text="")
    return replace(message, edited=dice < 0.02)


def _session(names: Sequence[str], chance: random.Random) -> Iterator[Message]:
    """What is said in one session; the times are not set."""
    speakers = list(names)
    chance.shuffle(speakers)
    topics = chance.choices(_TOPICS, k=chance.randint(1, 4))
    exchanges = [(topic, chance.choice(topic.exchanges)) for topic in topics]
    everyday = _Topic({}, ())
    for topic, exchange in [
        *((everyday, each) for each in _GREETINGS if chance.random() < 0.4),
        *exchanges,
        *((everyday, each) for each in _FAREWELLS if chance.random() < 0.5),
    ]:
        fixed = {slot: chance.choice(values) for slot, values in topic.slots.items()}
        fixed |= {"day": chance.choice(_DAYS), "hour": chance.choice(_HOURS)}
        asking, *others = speakers
        answering = chance.choice(others)
        for speaker, phrases in (
            (asking, exchange.asks),
            (answering, exchange.answers),
            (asking, exchange.ends if chance.random() < 0.7 else ()),
        ):
            if phrases:
                said = chance.choice(phrases).format_map(fixed)
                said = said[0].upper() + said[1:]
                for text in in_style(said, STYLES[speaker], chance):
                    yield Message(time=BEGIN, sender=speaker, text=text)
        chance.shuffle(speakers)


def in_style(text: str, style: Style, chance: random.Random) -> list[str]:
    """*text* as an author of *style* writes it: the messages, one or more."""
    if chance.random() < style.phrase_rate:
        opener = chance.choice(style.openers)
        # "I" stays, and a new sentence after an opener that ends one.
        joined = opener.endswith((". ", "! ", "... ")) or text.startswith(("I ", "I'"))
        text = opener + (text if joined else text[0].lower() + text[1:])
    if chance.random() < style.phrase_rate:
        text = (text.rstrip(".") if style.lower else text) + chance.choice(style.closers)
    for usual, own in style.words:
        text = re.sub(usual, own, text)
    parts = [text]
    for mark in (". ", "? ", "! ", ", "):
        if chance.random() < style.bursts:
            parts = [piece for part in parts for piece in _split_after(part, mark)]
    if style.lower:
        parts = [part.lower().removesuffix(".") for part in parts]
    return [_with_emoji(part, style, chance) for part in parts]


def _split_after(text: str, mark: str) -> Iterable[str]:
    first, found, rest = text.partition(mark)
    return (first + found.strip(", "), rest) if found else (text,)


def _with_emoji(text: str, style: Style, chance: random.Random) -> str:
    if chance.random() >= style.emoji_rate:
        return text
    return f"{text} {chance.choice(style.emoji) * chance.choice((1, 1, 2, 3))}"


def example_export(messages: Iterable[Message]) -> str:
    """*messages* as WhatsApp on an iPhone set to English (UK) exports them: a ``_chat.txt``."""
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
