"""Solutions of chapter 3."""

import regex


def split_words(text: str) -> list[str]:
    r"""Return the pieces of *text*: joined, they are *text*.

    A word is a run of letters of any script, with at most one space (" ") directly before it. What
    is between two words is one piece.

    "the cat, 2\n sat" gives ["the", " cat", ", 2\n", " sat"].
    """
    return regex.findall(r"(?s) ?\p{L}+|(?:(?! ?\p{L}).)+", text)


def group_digits(digits: str) -> list[str]:
    """Return *digits* in groups of three, counted from the right; the first can be shorter.

    "1234567" gives ["1", "234", "567"].
    """
    first = len(digits) % 3
    groups = [digits[start : start + 3] for start in range(first, len(digits), 3)]
    return [digits[:first], *groups] if first else groups


def last_cut(text: str) -> int:
    r"""Return the last index at which *text* can be cut without changing its pieces, or 0.

    Such an index follows a newline ("\n") that has a character on each side that is no white space.
    For "one\ntwo\nthree" it is 8, the index of "t" in "three"; for "one\n\ntwo" 0.
    """
    newline = len(text)
    while (newline := text.rfind("\n", 0, newline)) > 0:
        before, after = text[newline - 1], text[newline + 1 : newline + 2]
        if after and not before.isspace() and not after.isspace():
            return newline + 1
    return 0
