"""Dates with the month in words, as in "5 January 2024", "Jan 5, 2024" and "5 de enero de 2024".

The table has the names and abbreviations of some twenty languages. A name that means different
months in two languages (Croatian "lip." is June, Polish "lip." July) is in it once.
"""

import re
import unicodedata
from datetime import date
from typing import NamedTuple

_NAMES = (
    "january jan januar janner januari janvier janv enero ene janeiro gennaio gen ianuarie ian"
    " styczeń stycznia sty leden ledna led január ocak oca tammikuu tammik január"
    " январь января янв січень січня січ ιανουάριος ιανουαρίου ιαν",
    "february feb februar feber februari fevrier fevr febrero fevereiro fev febbraio febr februarie"
    " luty lutego lut únor února úno február şubat şub helmikuu helmik"
    " февраль февраля фев февр лютий лютого лют φεβρουάριος φεβρουαρίου φεβ",
    "march mar marz maerz maart mrt mars marzo março marco martie marzec marca březen března bře"
    " március marc mart maaliskuu maalisk maret mac"
    " март марта мар березень березня бер μάρτιος μαρτίου μαρ",
    "april apr avril avr abril abr aprile aprilie kwiecień kwietnia kwi duben dubna dub április"
    " nisan nis huhtikuu huhtik"
    " апрель апреля апр квітень квітня квіт απρίλιος απριλίου απρ",
    "may mai mei mayo maio maggio mag maj maja květen května kvě május mayıs toukokuu toukok"
    " май мая травень травня трав μάιος μαΐου μαϊ",
    "june jun juni juin junio junho giugno giu iunie iun czerwiec czerwca cze červen června čvn"
    " június haziran haz kesäkuu kesäk jún"
    " июнь июня июн червень червня черв ιούνιος ιουνίου ιουν",
    "july jul juli juillet juil julio julho luglio lug iulie iul lipiec lipca lip červenec července"
    " čvc július temmuz tem heinäkuu heinäk júl"
    " июль июля июл липень липня лип ιούλιος ιουλίου ιουλ",
    "august aug augustus augusti août aout agosto ago sierpień sierpnia sie srpen srpna srp"
    " augusztus ağustos ağu elokuu elok agustus agu ogos"
    " август августа авг серпень серпня серп αύγουστος αυγούστου αυγ",
    "september sep sept septembre septiembre setembro set settembre septembrie wrzesień września"
    " wrz září zář szeptember szept eylül eyl syyskuu syysk septembar"
    " сентябрь сентября сен сент вересень вересня вер σεπτέμβριος σεπτεμβρίου σεπ",
    "october oct oktober okt octobre octubre outubro out ottobre ott octombrie październik"
    " października paź říjen října říj október ekim eki lokakuu lokak oktober"
    " октябрь октября окт жовтень жовтня жовт οκτώβριος οκτωβρίου οκτ",
    "november nov novembre noviembre novembro noiembrie noi listopad listopada lis listopadu kasım"
    " kas marraskuu marrask nóvember"
    " ноябрь ноября ноя нояб листопад листопада лист νοέμβριος νοεμβρίου νοε",
    "december dec dezember dez decembre diciembre dic dezembro dicembre decembrie grudzień grudnia"
    " gru prosinec prosince pro aralık ara joulukuu jouluk desember des disember dis"
    " декабрь декабря дек грудень грудня груд δεκέμβριος δεκεμβρίου δεκ",
)


def _plain(word: str) -> str:
    """Return *word* in lower case without marks above and below letters, and without a dot."""
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in decomposed if letter.isalpha())


_NUMBERS = {
    _plain(name): number for number, names in enumerate(_NAMES, start=1) for name in names.split()
}

_WORD = r"(?P<month>[^\W\d_][^\W\d_\u0300-\u036f]{2,15})\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th|er|º|\.)?"
_YEAR = r"(?P<year>\d{4})"
_GAP = r"(?:[ \u00a0-]|,? ?(?:de|of) )"
_PATTERNS = tuple(
    re.compile(r"(?:[^\W\d_]{2,15}\.?,? )?" + pattern)
    for pattern in (
        rf"{_DAY} ?{_GAP}? ?{_WORD},?{_GAP}{_YEAR}",
        rf"{_WORD}{_GAP}{_DAY},?{_GAP}{_YEAR}",
        rf"{_YEAR}{_GAP}{_WORD}{_GAP}{_DAY}",
    )
)


class Found(NamedTuple):
    """A date in a text, and where it ends."""

    date: date
    end: int


def find_date(text: str, start: int = 0) -> Found | None:
    """Return the date with a month in words at *start*, also after a day of the week, or None."""
    for pattern in _PATTERNS:
        match = pattern.match(text, start)
        month = None if match is None else _NUMBERS.get(_plain(match["month"]))
        if match is not None and month is not None:
            try:
                return Found(date(int(match["year"]), month, int(match["day"])), match.end())
            except ValueError:
                return None
    return None


_BEFORE = re.compile(r"[\u200e\u200f\ufeff]{0,3}\[?")
_CLOCK = re.compile(r"(?: г\.)?,? (?:at |à |um |a las )?(?=\d{1,2}[:.]\d\d)")


def with_numbers(line: str) -> str:
    """Return *line* with the date at its start in numbers, if a time of day follows."""
    before = _BEFORE.match(line)
    start = before.end() if before else 0
    found = find_date(line, start)
    clock = None if found is None else _CLOCK.match(line, found.end)
    if found is None or clock is None:
        return line
    return f"{line[:start]}{found.date.isoformat()}, {line[clock.end() :]}"
