"""Check digits: which numbers are those of cards, bank accounts and books.

Sources: ISO/IEC 7812-1 (cards), ISO 13616 and the SWIFT IBAN registry (accounts), ISO 2108 (books).
"""

_LENGTHS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22"
    " DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28"
    " HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25"
    " MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29"
    " RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29"
    " VA22 VG24 XK20 YE30"
)
IBAN_LENGTHS = {each[:2]: int(each[2:]) for each in _LENGTHS.split()}
"""Characters of a bank account number by country, without spaces."""


def is_card(digits: str) -> bool:
    """Return whether *digits* are the number of a payment card, by length and Luhn's check."""
    if not 13 <= len(digits) <= 19 or digits[0] not in "23456":
        return False
    doubled = sum(int(digit) * 2 - 9 * (digit > "4") for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + doubled) % 10 == 0


def is_iban(account: str) -> bool:
    """Return whether *account*, capitals and digits, is an IBAN by its remainder modulo 97."""
    return int("".join(str(int(c, 36)) for c in account[4:] + account[:4])) % 97 == 1


def is_isbn(number: str) -> bool:
    """Return whether *number*, digits or a last X, has the check digit of an ISBN-13 or ISBN-10."""
    if len(number) == 13 and number.isdigit():
        total = sum(int(digit) * (1 + 2 * (i % 2)) for i, digit in enumerate(number))
        return number.startswith(("978", "979")) and total % 10 == 0
    if len(number) == 10 and number[:9].isdigit():
        values = [10 if c == "X" else int(c) for c in number.upper()]
        return sum(value * (10 - i) for i, value in enumerate(values)) % 11 == 0
    return False
