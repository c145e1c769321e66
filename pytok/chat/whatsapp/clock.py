"""Conversion of 12-hour clocks: the word next to an hour gives its period of the day.

A table has the words of most locales (from Unicode's locale data, CLDR 47). Two unknown words are
distinguished by their order on days that have both. A single unknown word ("klo", "Uhr") has no
meaning and is ignored.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Literal, TypeAlias

from pytok.errors import ChatError

DayPeriod: TypeAlias = Literal["am", "pm", "noon", "night", ""]

_WORDS: dict[DayPeriod, str] = {
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
"""Words by period. A word with different meanings in two languages is not included ("a" is before
noon in Spanish, after noon in Basque)."""

_NOT_LETTERS = re.compile(r"[\W\d_]+")


def letters_of(words: str) -> str:
    """Return the letters of *words* in lower case: "pm" for " p.\u202fm."."""
    return _NOT_LETTERS.sub("", words).casefold()


PERIOD_OF_WORD = {
    letters_of(word): period for period, words in _WORDS.items() for word in words.split()
}


def find_day_periods(
    hours: Sequence[int], words: Sequence[str], dates: Sequence[date | None], *, name: str
) -> dict[str, DayPeriod]:
    """Map each of *words* to its period; *hours* and *dates* are parallel to *words*.

    If an hour is above 12, the clock has 24 hours, and all periods are "". Raises ChatError for the
    file *name* if two words cannot be distinguished.
    """
    distinct = Counter(words)
    if max(hours) > 12:
        return dict.fromkeys(distinct, "")
    periods: dict[str, DayPeriod] = {word: PERIOD_OF_WORD.get(word, "") for word in distinct}
    unknown = [word for word in periods if word and not periods[word]]
    known = {period for period in periods.values() if period}
    if len(unknown) == 1 and known in ({"am"}, {"pm"}) and "" not in distinct:
        periods[unknown[0]] = "pm" if known == {"am"} else "am"
    if len(unknown) == 2 and not known:
        earlier = _which_comes_first(zip(dates, words, strict=True), unknown)
        if earlier is None:
            raise ChatError(
                f"{name}: the hours are followed by {unknown[0]!r} and {unknown[1]!r}, and nothing "
                "in the file shows which is before noon; replace them by AM and PM"
            )
        periods |= {word: "am" if word == earlier else "pm" for word in unknown}
    return periods


def _which_comes_first(
    dated: Iterable[tuple[date | None, str]], words: Sequence[str]
) -> str | None:
    """Return the one of two *words* that more often precedes the other on the same day."""
    votes: Counter[str] = Counter()
    previous: tuple[date | None, str] = (None, "")
    for current in dated:
        if current[0] == previous[0] and current[1] != previous[1]:
            votes[previous[1]] += 1
        previous = current
    first, second = (votes[word] for word in words)
    if first == second:
        return None
    return words[0] if first > second else words[1]


def hour_of_day(hour: int, period: DayPeriod) -> int:
    """Convert *hour* of a 12-hour clock, in which 0 and 12 are the same, to a 24-hour clock."""
    if period == "am":
        return hour % 12
    if period == "pm":
        return hour % 12 + 12
    if period == "noon":
        return hour + 12 if hour < 6 else hour
    if period == "night":
        return hour + 12 if 6 <= hour < 12 else hour % 12
    return hour
