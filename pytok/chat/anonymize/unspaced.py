"""Names in scripts without spaces, in which it is unknown which letters are a word."""

import unicodedata
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import TypeAlias

import regex

_TITLE = (
    "先生|女士|小姐|太太|老师|老師|同学|同學|总|總|经理|經理|医生|醫生|哥|姐|叔|伯|姨|爷爷|奶奶"
    "|さん|くん|君|ちゃん|様|さま|氏|先輩|部長|課長|社長"
)
"""After a name, and what makes one of a single letter: 王老师."""
_PREFIX = "[小阿老]"
_PARTICLE = "[はがをにともの]"
_VARIANTS = str.maketrans(
    "髙﨑濵濱邊邉辺澤齋齊斉廣國惠榮眞德櫻瀨嶋龍曾關學實榎淺"
    "陳張黃劉楊趙吳孫馬羅鄭謝許鄧馮葉蘇蔣盧賈陸譚鄒韓偉麗華強東軍麥莊鍾錢湯嚴溫顧閻賀萬龔湯聶倫傑鳳蘭慶貴寶"
    "歐陽顏龐鮑竇饒賴駱喬鄔紀聞項儲婁單蕭範蓋諸滕瑪嬌瑩潔鵬飛濤鋒剛軒澤翔穎夢雲艷瓊寧靜曉",
    "高崎浜浜辺辺辺沢斎斉斉広国恵栄真徳桜瀬島竜曽関学実榎浅"
    "陈张黄刘杨赵吴孙马罗郑谢许邓冯叶苏蒋卢贾陆谭邹韩伟丽华强东军麦庄钟钱汤严温顾阎贺万龚汤聂伦杰凤兰庆贵宝"
    "欧阳颜庞鲍窦饶赖骆乔邬纪闻项储娄单萧范盖诸滕玛娇莹洁鹏飞涛锋刚轩沢翔颖梦云艳琼宁静晓",
)
"""Forms of the same character in names: of registers, and traditional and simplified."""
_KANA = {code: code + 0x60 for code in range(0x3041, 0x3097)}
"""Hiragana to Katakana."""

_HAN = regex.compile(r"\p{Han}")
_HIRAGANA = regex.compile(r"\p{Hiragana}")
_KATAKANA = regex.compile(r"[\p{Katakana}ー]+")

Pattern: TypeAlias = "regex.Pattern[str]"
Found = tuple[int, int, str, str, str]
"""Start, end, substitute, and what is kept before and after it, of a run of letters."""


class Unspaced:
    """Names in scripts without spaces, each with its substitute."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._substitutes: dict[str, str] = {}
        for name, substitute in names.items():
            for spelling in (name, name.translate(_KANA)):
                self._substitutes.setdefault(spelling.translate(_VARIANTS), substitute)
        by_first = groupby(sorted(self._substitutes), key=lambda name: name[0])
        self._names = {first: sorted(names, key=len, reverse=True) for first, names in by_first}
        """By their first letter, by which they are found; the longest ones first."""
        self._patterns: dict[str, Pattern] = {}
        """Those of the letters that were seen in a text: compiling takes longer than a search."""

    def find(self, run: str) -> list[Found]:
        """Return the names in *run*, letters of scripts without spaces."""
        normal = unicodedata.normalize("NFKC", run)
        hits = [(*span, self._substitutes[name]) for span, name in self._matches(normal)]
        if normal == run or not hits:
            return [(start, end, substitute, "", "") for start, end, substitute in hits]
        # Positions differ: the run is replaced as a whole, and normalized.
        *others, (last, end, substitute) = hits
        before = []
        position = 0
        for start, stop, name in others:
            before += [normal[position:start], name]
            position = stop
        before.append(normal[position:last])
        return [(0, len(run), substitute, "".join(before), normal[end:])]

    def _matches(self, normal: str) -> Iterator[tuple[tuple[int, int], str]]:
        """Yield position and spelling of the names in *normal*, without overlaps."""
        letters = normal.translate(_VARIANTS)
        end = 0
        for position, letter in enumerate(letters):
            if letter in self._names and position >= end:
                match = self._pattern(letter).match(letters, position)
                if match is not None:
                    end = match.end()
                    yield match.span(), match[0]

    def _pattern(self, first: str) -> Pattern:
        if first not in self._patterns:
            rests = "|".join(map(_rest, self._names[first]))
            self._patterns[first] = regex.compile(f"{first}(?:{rests})")
        return self._patterns[first]


def _rest(name: str) -> str:
    """Return a pattern for *name* after its first letter, with what must be around it."""
    rest: str = regex.escape(name[1:])
    if _HAN.fullmatch(name):
        return f"(?:(?<={_PREFIX}.)|(?={_TITLE}))"
    if _KATAKANA.fullmatch(name):
        return rf"(?<![\p{{Katakana}}ー].){rest}(?![\p{{Katakana}}ー])"
    if len(name) <= 2 and not _HAN.match(name):
        script = r"\p{Hiragana}" if _HIRAGANA.match(name) else r"[\p{L}\p{M}]"
        return f"(?<!{script}.){rest}(?:(?!{script})|(?={_TITLE}|{_PARTICLE}))"
    return rest
