"""Postal addresses: a street with the number of a house, in the order and the words of a language.

Only both together are an address: "in our street" and "room 12" are none. A street without a word
for it (Ermou 12) looks like anything with a number, and is not found.
"""

import re
from collections.abc import Iterator

from pytok.chat.anonymize.numbers import Span

_NUMBER = (
    r"[0-9]{1,4}(?: ?[A-Za-z](?![^\W\d_]))?(?:[-/][0-9]{1,4}[a-z]?(?![^\W\d_])){0,3}"
    r"(?![0-9]|[.,:][0-9]|['%°])"
)
_NO = r"(?:(?i:no|nr|n[º°]|núm|num|č|br|д|дом|буд|бл|αρ|رقم|پلاک|מספר)[.:]{0,2} ?)?"
_ROOM = (
    r"(?:[,/ ]{1,2}(?i:кв|корп|стр|под|эт|byt|apt?|sc|et|daire|d|kat|piso|dpto|depto|flat|unit|top)"
    r"[.:]? ?[0-9]{1,4}[A-Za-z]?(?![^\W_])){0,3}"
)
_CAPITAL = "[A-ZÀ-ÖØ-ÞĀĂĄĆČĎĐĒĘĚĢĪĶŁĻŃŅŇŌŐŘŚŞŠŤŪŮŰŹŻŽİА-ЯЁІЇЄҐΑ-Ω]"
_NAME = rf"{_CAPITAL}[^\W_]{{0,29}}(?:[ '-]{{1,2}}{_CAPITAL}[^\W_]{{0,29}}){{0,4}}"
_OF = "(?:(?:de|du|des|la|le|les|l'|d'|del|della|dei|delle|di|da|do|dos|das|san|santa) ?){0,3}"
_WORD = "[^\\W\\d_][^\\W_]{0,29}"
_AT_END = r"(?= ?(?:[,;.)!?\n،]|\Z))"

_ONE_WORD = (
    "straße|strasse|gasse|allee|damm|chaussee|(?<!ä)ufer|straat|laan|gracht|singel|plein|gatan"
    "|vägen|veien|vegen|gata|gaten|vej|(?<!bri)gade|katu|kuja|polku|iela|gatvė|tänav"
)
"""Ends of the names of streets in Germanic and Baltic languages: Hauptstraße."""
_OTHER_WAYS = (
    "Heim|Rück|Hin|Um|Aus|Schul|Arbeits|Park|Spiel|Sitz|Steh|Start|Tabellen|Zelt|Stell|Sport|Lade"
    "|Wander|Rad|Feld|Mittel|Fahr|Flug|Studien|Schlaf|Treff"
)
"""What makes no street of "Weg" and "Platz"."""
_BEFORE_NAME = (
    r"calle|c/|avda\.?|avenida|av\.|plaza|pza\.|paseo|carrer|rua|r\.|travessa|alameda|praça"
    r"|viale|piazza|corso|vicolo|largo|strada|str\.|bulevardul|ul\.|ulic[aeiyą]|alej[ai]|al\.|os\.|pl\."
    r"|ул\.?|улиц[аеы]|вул\.|вулиц[яі]|пр\.|пр-т|проспекте?|пер\.|переулок|бульвар|шоссе|наб\.|бул\."
    r"|jl\.?|jln\.?|jalan|lorong|οδό[ςυ]|οδού|οδ\.|λεωφόρος|λεωφ\."
)
"""Words for a street that its name and number follow: calle Mayor 5."""
_AFTER_NAME = (
    "[Uu]tca|u\\.|[Úú]t|[Úú]tja|[Tt]ér|[Kk]örút|krt\\.|Sokak|Sokağı|Sok\\.|Sk\\.|Cadde|Caddesi|Cad\\."
    "|Bulvarı|Mahallesi|Mah\\."
)
"""Words for a street that follow its name, before the number: Kossuth utca 5."""
_ENGLISH = (
    "Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Court|Ct|Boulevard|Blvd|Way|Place|Pl|Square|Sq"
    "|Close|Crescent|Cres|Terrace|Gardens|Grove|Highway|Hwy|Parkway|Pkwy"
)
_FRENCH = "rue|avenue|av\\.|boulevard|bd|chemin|impasse|allée|quai|place|cours|passage|route"
_ADDRESS = re.compile(
    "|".join(
        (
            rf"(?i:(?<![\w-])[^\W\d_][\w-]{{1,39}}(?:str\.|{_ONE_WORD})) ?{_NUMBER}{_ROOM}",
            rf"(?<![\w-])(?:{_CAPITAL}[^\W_]{{1,30}}[ -]){{1,3}}"
            rf"(?:[Ss]tr(?:\.|aße|asse)|Allee|Gasse|Damm|Ufer) ?{_NUMBER}{_ROOM}",
            rf"(?<![\w-])(?!(?:{_OTHER_WAYS})(?:weg|platz)){_CAPITAL}[\w-]{{2,39}}"
            rf"(?:weg|platz) {_NUMBER}",
            rf"(?<!\w)(?i:{_BEFORE_NAME}) ?{_OF}{_NAME},? {_NO}{_NUMBER}{_ROOM}",
            rf"(?<!\w)[Vv]ia {_OF}{_NAME},? {_NUMBER}{_AT_END}",
            rf"(?<![\w-]){_NAME} (?:{_AFTER_NAME}),? ?{_NO}{_NUMBER}{_ROOM}",
            rf"(?<![\w.,:/-]){_NUMBER},? ?(?:bis |ter )?(?i:{_FRENCH}|bulevardul) {_OF}{_NAME}",
            rf"(?<![\w.,:/-])[0-9]{{1,5}}[A-Za-z]? (?!(?:{_ENGLISH})\b)"
            rf"(?:{_CAPITAL}[^\W_]{{0,29}}[.']? ){{1,4}}(?:{_ENGLISH})\b",
            # Colombia: calle 45 # 12-34
            r"(?<!\w)(?i:calle|cll?|cra|carrera|kr|diagonal|transversal)\.? ?[0-9]{1,3} ?[A-Za-z]?"
            r" ?(?:#|[Nn]o\.?) ?[0-9]{1,3}[A-Za-z]? ?- ?[0-9]{1,3}",
            r"(?<!\w)(?i:flat|house|door|plot|h)\.? ?[Nn]o\.? ?:? ?[0-9][\w/-]{0,12}",
            # scripts without capitals
            rf"(?<!\w)(?:ב?(?:רחוב|רח'|שדרות|שד')|(?:ب|في )?شارع|خیابان|کوچه)(?: {_WORD}){{1,4}}"
            rf",? (?:(?:رقم|پلاک|מספר) ?{_NUMBER}|{_NUMBER}{_AT_END})",
            rf"(?<!\w)[0-9]{{1,4}} ?شارع {_WORD}(?: ال{_WORD})?",
            r"(?:บ้านเลขที่|เลขที่) ?[0-9]{1,4}(?:/[0-9]{1,4})?",
            # Vietnam
            rf"(?<![\w.])(?:số (?:nhà )?)?{_NUMBER} (?:đường|phố|ngõ) {_WORD}(?: {_WORD}){{0,2}}",
            # East Asia, from the large to the small
            r"[\u4e00-\u9fff]{1,6}(?:路|街|巷|弄|大道|胡同)[0-9]{1,5}(?:弄[0-9]{1,4})?[号號]"
            r"(?:[0-9]{1,4}(?:号楼|楼|樓|室|单元|單元|栋|棟)){0,4}",
            r"[\u4e00-\u9fff]{1,4}[都道府県市区町村][\u3040-\u30ff\u4e00-\u9fff]{0,8}[0-9]{1,3}"
            r"(?:丁目|-)[0-9]{1,3}(?:番地?(?:[0-9]{1,3}号?)?|-[0-9]{1,3}号?)?",
            r"[가-힣]{1,6}[시군구] (?:[가-힣]{1,6}[구동읍면] )?[가-힣]{1,8}(?:로|길) ?[0-9]{1,4}"
            r"(?:번길 ?[0-9]{1,4})?(?:-[0-9]{1,4})?",
        )
    )
)


def postal_addresses(plain: str) -> Iterator[Span]:
    """Yield the streets with a number in the *plain* text; not the town after them."""
    for match in _ADDRESS.finditer(plain):
        yield Span(*match.span(), "address", match[0].casefold())
