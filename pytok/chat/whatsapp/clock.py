"""Which half of the day an hour is of: by a word beside it, in whatever language.

The words of most locales are in the table (from Unicode's locale data, CLDR 47). Any other two are
told apart by which comes first on the days that have both; a single other word ("klo", "Uhr") says
nothing, and is passed over.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Literal, TypeAlias

from pytok.errors import ChatError

Half: TypeAlias = Literal["am", "pm", "noon", "night", ""]

_WORDS: dict[Half, str] = {
    "am": """
        am 上午 凌晨 清晨 早上 早晨 午前 오전 ص صباحا صباحًا ق.ظ قبل‌ازظهر صبح öö pg dop dopoldne
        dopołudnia π.μ fm f.h дп ap de vorm vormittags morgens vm пр.об претпл p.d
        e.paradites paradites முற்பகல் ಪೂರ್ವಾಹ್ನ पूर्वाह्न म.पू ਪੂ.ਦੁ පෙ.ව ก่อนเที่ยง ກ່ອນທ່ຽງ နံနက် לפנה״צ sa gh sf
        ጥዋት ቅ.ቀ тң ү.ө to эи r.n yb atm priešpiet pr.p priekšp priekšpusdienā prijepodne пријеподне
        преподне matin manhã da.manhã mañana de.la.mañana পূর্বাহ্ণ সকাল ভোর सकाळ सुबह ପୂର୍ବାହ୍ନ
        ఉదయం പൂർവാഹ്നം સવારે ਸਵੇਰੇ
    """,
    "pm": """
        pm 下午 晚上 傍晚 午後 오후 م مساء مساءً ب.ظ بعدازظهر عصر ös ptg odp pop popoldne popołudniu
        μ.μ em e.h пп ip du nachm nachmittags abends nm сл.об попл m.d e.pasdites pasdites
        பிற்பகல் ಅಪರಾಹ್ನ अपराह्न म.उ ਬਾ.ਦੁ ප.ව หลังเที่ยง ຫຼັງທ່ຽງ ညနေ אחה״צ ch gd ym ከሰዓት
        ድ.ቀ тк ү.х tk эк i.n yh ptm popiet pēcp pēcpusdienā popodne послијеподне
        поподне soir tarde da.tarde de.la.tarde অপরাহ্ণ বিকাল সন্ধ্যা संध्याकाळ शाम ଅପରାହ୍ନ
        సాయంత్రం അപരാഹ്നം સાંજે ਸ਼ਾਮ
    """,
    "noon": "中午 正午 দুপুর दोपहर दुपार",
    "night": "半夜 午夜 深夜 夜 夜中 রাত रात रात्री",
}
"""Where two languages contradict each other ("a" is before noon in Spanish, after noon in Basque)
the word is left to the evidence."""

_NO_LETTER = re.compile(r"[\W\d_]+")


def plain(words: str) -> str:
    """The letters of *words* in lower case: " p.\u202fm." is "pm"."""
    return _NO_LETTER.sub("", words).casefold()


HALVES = {plain(word): half for half, words in _WORDS.items() for word in words.split()}


def halves(
    hours: Sequence[int], words: Sequence[str], dates: Sequence[date | None], *, name: str
) -> dict[str, Half]:
    """What each of *words* says; parallel to it are *hours* and *dates* of a file's messages.

    All say nothing where an hour is above 12. Raises ChatError where two cannot be told apart.
    """
    distinct = Counter(words)
    if max(hours) > 12:
        return dict.fromkeys(distinct, "")
    found: dict[str, Half] = {word: HALVES.get(word, "") for word in distinct}
    unknown = [word for word in found if word and not found[word]]
    known = {half for half in found.values() if half}
    if len(unknown) == 1 and known in ({"am"}, {"pm"}) and "" not in distinct:
        found[unknown[0]] = "pm" if known == {"am"} else "am"
    if len(unknown) == 2 and not known:
        earlier = _which_comes_first(zip(dates, words, strict=True), unknown)
        if earlier is None:
            raise ChatError(
                f"{name}: the hours are followed by {unknown[0]!r} and {unknown[1]!r}, and nothing "
                "in the file tells which is before noon; write AM and PM in their place"
            )
        found |= {word: "am" if word == earlier else "pm" for word in unknown}
    return found


def _which_comes_first(
    dated: Iterable[tuple[date | None, str]], words: Sequence[str]
) -> str | None:
    votes: Counter[str] = Counter()
    before: tuple[date | None, str] = (None, "")
    for now in dated:
        if now[0] == before[0] and now[1] != before[1]:
            votes[before[1]] += 1
        before = now
    first, second = (votes[word] for word in words)
    if first == second:
        return None
    return words[0] if first > second else words[1]


def hour_of_day(hour: int, half: Half) -> int:
    """*hour* of a clock with twelve hours as one of 24; 0 and 12 are the same there."""
    if half == "am":
        return hour % 12
    if half == "pm":
        return hour % 12 + 12
    if half == "noon":
        return hour + 12 if hour < 6 else hour
    if half == "night":
        return hour + 12 if 6 <= hour < 12 else hour % 12
    return hour
