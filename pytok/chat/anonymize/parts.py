"""The parts of a name by which texts refer to a person: Schmidt of Anna Schmidt-Huber."""

from collections.abc import Iterator

import regex

from pytok.chat.anonymize.scripts import WORD, fold

Part = tuple[str, ...]
"""Folded words that follow each other."""

MAX_WORDS = 8
"""Words of a name that are compared at most."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.casefold().split())


TITLES = _words(
    "dr prof mag ing dipl dott dra ddr msc bsc phd med jr sr herr frau fräulein mr mrs ms miss"
    " mister sir madam lady lord mme mlle monsieur madame mademoiselle señor señora señorita"
    " senhor senhora sra srta signor signora sig pan pani pán paní hr fr doña dona bay bey hanım"
    " herrn dhr mevr mw uncle aunt auntie tante onkel tía tío opa oma mama papa mom mum dad"
    " grandma grandpa mamma abuela abuelo mutti vati captain father sister brother rabbi imam"
    " sheikh haji доктор профессор господин госпожа пан пани κύριος κύριε κυρία κ δρ דר מר גב"
    " פרופ الدكتور دكتور الدكتورة د السيد السيدة الأستاذ الاستاذ أستاذ استاذ الحاج الشيخ خانم"
    " آقا श्री श्रीमती जी डॉ 씨 님 선생님 교수님 박사 선배 대리 과장 부장 さん ちゃん くん 君 様"
    " 先生 氏 老师 老師 小姐 女士 医生 醫生 总 經理 经理 教授 博士 阿姨 叔叔 คุณ นาย นาง นางสาว"
    " ดร พี่ น้อง"
)
"""They are not replaced alone, unless a name has nothing else."""
PARTICLES = _words(
    "van von vom der den dem de del della dello degli dei di da do dos das du la le les los las"
    " el al bin ibn bint abu ben bat bar ter ten zu zum zur af av y e i und and et the of from"
    " at aus bei mit with work home office handy mobil mobile cell phone privat private business"
    " whatsapp neu new alt old uni schule school arbeit büro gmbh ltd inc ag co kg für for my"
    " mein meine meu mi văn thị san santa saint st o d mac mc no nr vs via по от из на אל בן בת"
    " אבן בר الله الدين الرحمن الرحيم عبد أبو ابو أم ام بن ابن بنت ال آل من مع"
)
"""Words that many names and texts have. They are no names, or only as the first word of one."""
_FIRST_NAMES = _words("ben bat bar mac san văn")
"""Particles that are first names, too."""
_UMLAUTS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "å": "aa", "Å": "Aa"}
)
_DIGRAPH = regex.compile(r"(?<=\pL)([aou])e(?=[b-df-hj-np-tv-z]\pL)", regex.IGNORECASE)
"""ä, ö or ü as two letters, in Mueller."""
_SURNAMES_OF_TWO = ("남궁", "황보", "제갈", "사공", "선우", "서문", "독고", "동방")
_RUN = regex.compile(r"[\p{Han}々]+|[\p{Hiragana}ー]+|[\p{Katakana}ー]+|\p{Hangul}+")
_HYPHENATED = regex.compile(r"(?<![\p{L}\p{M}])[\p{L}\p{M}]++(?:[-\u2010\u2011][\p{L}\p{M}]++)+")
_THAI_TITLE = regex.compile("คุณ|นางสาว|นาง|นาย|พี่|น้อง")
_DECORATION = "~\u2068\u2069\u202a\u202c\u202f\xa0 "

_NO_WORD = regex.compile(r"[^\p{L}\p{M}'’ʼ`]+")
_SPACE = regex.compile(r"\s")
_SYLLABLE = regex.compile(r"\p{Han}|\p{Hangul}")
_HANGUL_NAME = regex.compile(r"\p{Hangul}{3,4}")
_HAN_NAME = regex.compile(r"\p{Han}[\p{Han}々]{1,5}")
_HIRAGANA_NAME = regex.compile(r"[\p{Hiragana}ー]{6,8}")


def parts(name: str) -> Iterator[tuple[Part, bool]]:
    """Yield the parts of the full *name*, and of each whether it is one in capitals only.

    These are the whole name, its words without titles and particles, both halves of double names,
    and all words in one. Of "Anna from work" that is Anna: a later word in small letters is one of
    a sentence, unless all are small.
    """
    spellings = (name, name.translate(_UMLAUTS), _DIGRAPH.sub(r"\1", name))
    for spelling in dict.fromkeys(spellings):
        yield from _parts(spelling.strip(_DECORATION))


def _parts(name: str) -> Iterator[tuple[Part, bool]]:
    units = [[match[0] for match in WORD.finditer(unit)] for unit in _NO_WORD.split(name)]
    units = [unit[:-1] if unit[-1:] in (["s"], ["S"]) else unit for unit in units]  # Anna's phone
    while ["عبد"] in units[:-1]:  # عبد الله is one name, and its second word none
        at = units.index(["عبد"])
        units[at : at + 2] = [units[at] + units[at + 1]]
    written = [word for unit in units for word in unit][:MAX_WORDS]
    whole = tuple(filter(None, map(fold, written)))
    if not whole:
        return
    yield whole, len(whole) == 1 and len(whole[0]) <= 2 and written[0] != written[0].lower()
    can_be_small = name == name.lower() or _SPACE.search(name) is None
    kept: list[str] = []
    particles: list[str] = []
    for unit in filter(None, units[:MAX_WORDS]):
        folded = tuple(map(fold, unit))
        if len(unit) > 1:  # O'Brien
            kept.append("".join(folded))
            yield from ((folded, False), ((kept[-1],), False))
            if len(folded[-1]) > 3 and unit[-1] not in PARTICLES:
                yield folded[-1:], False
        elif folded[0] and _is_name(
            unit[0], first=not kept, small=can_be_small, alone=len(whole) == 1
        ):
            kept.append(folded[0])
            yield folded, len(folded[0]) <= 2 and unit[0] != unit[0].lower()
            if particles:  # van der Meer
                yield (*particles, folded[0]), False
            yield from (((piece,), False) for piece in _pieces(folded[0]))
        particles = [*particles, folded[0]] if unit[0].casefold() in PARTICLES else []
    yield from _hyphenated(name)
    if len(kept) > 1 and len(kept[-1]) > 3:
        yield (kept[0][0] + kept[-1],), False  # aschmidt
    for joined in dict.fromkeys(((*kept[:2],), (*kept[:1], *kept[-1:]), (*kept,))):
        if len(joined) > 1:  # annaschmidt
            yield ("".join(joined),), False


def _hyphenated(name: str) -> Iterator[tuple[Part, bool]]:
    """Yield the compounds in *name*, also with small letters: Ji-young, al-Rashid."""
    for compound in _HYPHENATED.findall(name):
        words = tuple(fold(match[0]) for match in WORD.finditer(compound))[:MAX_WORDS]
        if len(words) > 1:
            yield from ((words, False), (("".join(words),), False))


def _is_name(word: str, *, first: bool, small: bool, alone: bool) -> bool:
    """Return whether *word* is a name, as the first or a later word of one, or *alone*."""
    if word[0].islower() and not (small or first):
        return False
    common = word.casefold()
    if not alone and common in TITLES:
        return False
    if not alone and common in PARTICLES and not (first and common in _FIRST_NAMES):
        return False
    return len(word) >= 2 or _is_syllable(word)


def _is_syllable(word: str) -> bool:
    return _SYLLABLE.fullmatch(word) is not None


def _pieces(word: str) -> Iterator[str]:
    """Yield the given name and surname of *word*, which has no space between them.

    Which characters are the surname is not decided: 山田太郎 is 山田 and 太郎, 王小明 小明.
    """
    runs = [match[0] for match in _RUN.finditer(word)]
    if len(runs) > 1:  # 伊藤さゆり
        for run in runs:
            if run not in TITLES and (len(run) > 1 or _is_syllable(run)):
                yield run
                yield from _pieces(run)
    elif _HANGUL_NAME.fullmatch(word):
        surname = 2 if word.startswith(_SURNAMES_OF_TWO) else 1
        if len(word) - surname >= 2:
            yield word[surname:]
        yield word[:surname]
    elif _HAN_NAME.fullmatch(word):
        yield from _halves(word, 1)
    elif _HIRAGANA_NAME.fullmatch(word):
        yield from _halves(word, 3)
    elif title := _THAI_TITLE.match(word):
        yield word[title.end() :]


def _halves(word: str, shortest: int) -> Iterator[str]:
    for cut in range(shortest, len(word) - shortest + 1):
        yield from (word[:cut], word[cut:])
