"""Words and signs beside a number that say what it is: one to call, an amount, a version, a book.

These lists decide only where the shape of a number does not.
"""

import re

WIDTH = 24
"""Characters before and after a number that are looked at."""

_END = r"[.:#]? ?\(?\Z"


WORD = re.compile(rf"(?:[^\W\d_]|[\u0300-\u1cff☎-✆📞-📲]){_END}")
"""Before a number: a word or a sign, without which none of the patterns below can match."""


def _before(words: str) -> "re.Pattern[str]":
    return re.compile(rf"(?:{words}){_END}", re.IGNORECASE)


PHONE = _before(
    r"\b(?:tel|fon|phone|fax|mobile?|cell?|handy|hotline|móvil|celular|tlf|tfno?|gsm|моб|тел)"
    r"|\b(?:telef|telep|téléph|телеф|τηλ|phone ?n|mobil)\w{0,8}"
    r"|\b(?:nummer|number|numero|número|numéro|номер|numer)"
    r"|電話|电话|電話番号|手机|手機|전화|번호|هاتف|رقم|جوال|موبايل|تلفن|טלפון|फोन|फ़ोन|โทร|[☎☏✆📞📱📲📠]"
)
"""Before a number to call."""
IDENTITY = _before(
    r"\b(?:dni|rut|run|nif|nie|nit|cuit|cpf|cnpj|rg|curp|ci|cc|id|ssn|bsn|pesel|tckn?|passport|pass"
    r"|svnr|konto|account|iban|imei|iccid)|c\.i|\b(?:cédula|cedula|ausweis|паспорт|инн|снилс|aadhaar)"
    r"\w{0,8}|身份证|身份證|주민번호"
)
"""Before the number of a document or an account."""
BOOK = _before(
    r"\b(?:isbn|issn|ean|gtin|doi|arxiv|barcode|pmid|oclc)(?:-1[03])?|10\.[0-9]{4,9}/\S{0,12}"
)
"""Before the number of a publication or a product."""
DECIMAL = re.compile(r"(?<![0-9.,])[0-9]{1,2},\Z")
"""Before the decimals of a number."""
VERSION = _before(
    r"\bv|(?:versi|wersj|verz|sürüm|верси|έκδοση|גרסה|إصدار|バージョン|版本|버전)\w{0,4}"
    r"|\b(?:release|build|patch|update|firmware|driver|kernel|android|ios|ipados|macos|windows|linux"
    r"|chrome|firefox|safari|whatsapp|telegram|signal|python|java|node|docker|app|oid)"
)

_SYMBOLS = r"\$|%|[円元원₫万萬億亿만억]"
_CODES = (
    "eur|euros?|usd|gbp|chf|sfr|sek|nok|dkk|isk|pln|zł|zl|czk|kč|huf|ron|rsd|uah|грн|руб(?:лей|ля)?"
    "|inr|idr|vnd|krw|jpy|cny|rmb|sgd|hkd|twd|thb|aud|cad|nzd|mxn|brl|cop|clp|ars|ngn|kes|zar|aed"
    "|sar|egp|irr|тенге|тг|сум|сом|манат|драм|лари|so'm|som|sum|manat|تومان|دينار|جنيه|درهم|ريال|บาท|đồng"
)
_COINS = "fr|kr|ft|rs|rp|rm|tl|лв|din|lei|lira|yen|rand|naira|pesos?|reais|dollars?|pounds?|rupees?"
_UNITS = (
    "km²?|m[²2]?|cm|mm|mi|miles|met(?:er|re)s?|kg|g|mg|t|tonnen|tons?|ml|l|lit(?:er|re)s?|bytes?"
    "|[kmgt]i?b|k?wh|mw|[kmg]?hz|px|pixels?|steps|schritte|pasos|views|aufrufe|vues|visitas|followers"
    "|likes|abonnenten|subscribers|einwohner|inhabitants|habitant(?:s|es|i)|people|menschen|users"
    "|personen|persons|человек|просмотров|mio|mrd|million\\w*|milliard\\w*|billion\\w*|prozent|percent"
    "|points?|punkte|xp|years|jahre"
)
_NO_LETTER = r"(?![^\W\d_]|')"
STRONG_UNIT = re.compile(rf" ?(?:{_SYMBOLS}|(?:{_CODES}){_NO_LETTER})", re.IGNORECASE)
"""After an amount, even of eight digits without marks."""
UNIT = re.compile(
    rf" ?(?:{_SYMBOLS}|[人歩步명회]|(?:{_CODES}|{_COINS}|{_UNITS}){_NO_LETTER})", re.IGNORECASE
)
"""After an amount that is short, or has marks of thousands."""
CURRENCY = re.compile(rf"(?:{_SYMBOLS}|(?<![^\W\d_])(?:{_CODES}|{_COINS}))\.? ?\Z", re.IGNORECASE)
"""Before an amount."""
CENTS = re.compile(r",(?:[0-9]{2}|-{1,2})(?![0-9])")
"""After an amount."""
