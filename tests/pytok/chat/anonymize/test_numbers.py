"""Numbers of people among the numbers of a text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytok.chat.anonymize.checks import is_card, is_iban, is_isbn
from pytok.chat.anonymize.numbers import numbers
from pytok.chat.anonymize.plain import plain


def left_of(text: str) -> str:
    """*text* without its numbers of people."""
    shown = plain(text)
    for span in sorted(numbers(shown), reverse=True):
        text = text[: span.start] + text[span.end :]
    return text


@pytest.mark.parametrize(
    "around", ["{}", "ring {} now", "nr.{}!", "call{}please", "({})", "\u2068{}\u2069"]
)
def test_numbers_of_all_regions_are_found(around: str) -> None:
    """Libphonenumber's own examples of at least seven digits, in its four formats."""
    phonenumbers = pytest.importorskip("phonenumbers")
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in (phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE):
            example = phonenumbers.example_number_for_type(region, kind)
            for form in range(4) if example else ():
                written = phonenumbers.format_number(example, form).removeprefix("tel:")
                if len(re.sub(r"\D", "", written)) >= 7:
                    text = around.format(written)
                    assert not re.search(r"\d", left_of(text)), (region, text)


separators = st.sampled_from(["", " ", "-", "/", "_", ") ", " - ", "\u2011", "\uff0d", "\u30fc"])


@given(st.text("0123456789", min_size=8, max_size=30), st.lists(separators, min_size=29))
def test_a_number_to_call_is_found_with_any_signs_between_its_digits(
    digits: str, signs: list[str]
) -> None:
    """After a plus sign only an amount is harmless."""
    text = "+9" + "".join(digit + sign for digit, sign in zip(digits, signs, strict=False)) + "7"

    assert not re.search(r"\d", left_of(text))


@given(st.text("0123456789", min_size=20, max_size=200))
def test_no_number_is_too_long(digits: str) -> None:
    assert "9" not in left_of(f"9{digits}9")


@pytest.mark.parametrize("digit", ["٣", "۳", "३", "৩", "๓", "３", "𝟑", "③", "³"])
def test_digits_of_all_kinds_are_digits(digit: str) -> None:
    assert left_of(f"tel {digit * 9}!") == "tel !"


def test_check_digits_are_those_of_the_standards() -> None:
    """Published examples, and each with one digit changed."""
    assert is_card("4111111111111111")
    assert not is_card("4111111111111112")
    assert is_iban("GB29NWBK60161331926819")
    assert not is_iban("GB29NWBK60161331926818")
    assert is_isbn("9783161484100")
    assert not is_isbn("9783161484101")
    assert is_isbn("316148410X")
    assert not is_isbn("3161484109")
