"""Tests of the exercises of chapter 2."""

from types import ModuleType

import pytest

import pytok

TEXT = "the cat sat on the mat; the rat sat on the hat"
BYTES = [bytes([byte]) for byte in range(256)]
A, B = 97, 98


def tokens_of(merges: dict[tuple[int, int], int]) -> list[bytes]:
    """The bytes of the tokens that *merges* make."""
    tokens = list(BYTES)
    for left, right in merges:
        tokens.append(tokens[left] + tokens[right])
    return tokens[256:]


def test_2a_the_first_merge_is_the_most_frequent_pair(chapter: ModuleType) -> None:
    """Of the video's string, with three merges of two or more occurrences."""
    merges = chapter.train_until("aaabdaaabac", 2)

    assert next(iter(merges), None) == (A, A), "(97, 97) occurs four times, more than any other."
    assert list(merges.values()) == list(range(256, 256 + len(merges))), "Ids follow 256, in order."
    assert len(merges) == 3, (
        "At each of the first three merges, the best pair occurs twice or more."
    )
    assert tokens_of(merges) == [b"aa", b"aaa", b"aaab"], (
        "(256, 97) and (97, 98) are equally frequent then: take the one that occurs first."
    )


def test_2a_training_stops_at_the_least_count(chapter: ModuleType) -> None:
    """A higher one gives the beginning of the same merges."""
    all_merges = list(chapter.train_until(TEXT, 2))
    frequent = list(chapter.train_until(TEXT, 4))

    assert len(frequent) < len(all_merges), "A higher min_count must stop earlier."
    assert frequent == all_merges[: len(frequent)], "It decides when to stop, not what to merge."
    assert chapter.train_until(TEXT, 1000) == {}, "No pair occurs so often: nothing is merged."


@pytest.mark.filterwarnings("ignore:the corpus has no more pairs")
def test_2a_merges_are_those_of_pytok(chapter: ModuleType) -> None:
    """Which has the same rule as --min-frequency."""
    ours = tokens_of(chapter.train_until(TEXT, 3))
    theirs = pytok.train(
        [TEXT], 10_000, pattern="(?s).+", ties="first", min_frequency=3, special_tokens=()
    )

    assert ours == [theirs.decode_single_token_bytes(id) for id in range(256, theirs.n_vocab)], (
        "Of equally frequent pairs, merge the one that occurs first."
    )


def test_2a_a_text_without_pairs_has_no_merges(chapter: ModuleType) -> None:
    """Nor does one that has become a single token."""
    assert chapter.train_until("", 1) == {}
    assert chapter.train_until("a", 1) == {}
    assert len(chapter.train_until("ab", 1)) == 1, "After one merge, no pair is left: stop."


@pytest.mark.parametrize(
    ("ids", "count"),
    [([A, A, A, A], 2), ([A, A, A], 1), ([A, A], 1), ([A], 0), ([], 0), ([A, A, B, A, A], 2)],
)
def test_2b_a_merge_takes_two_ids(chapter: ModuleType, ids: list[int], count: int) -> None:
    """And none of them again."""
    assert chapter.count_merges(ids, (A, A)) == count, (
        f"{ids}: an id that was merged cannot be merged with its other neighbor, too."
    )


def test_2b_pairs_of_two_different_ids_cannot_overlap(chapter: ModuleType) -> None:
    """There, all are merged."""
    assert chapter.count_merges(list(b"abcabab"), (A, B)) == 3


def test_2c_ids_become_text(chapter: ModuleType) -> None:
    """Also characters that two tokens spell together, and bytes that are no text."""
    tokens = [*BYTES, b"h\xc3", b"\xa9llo"]

    assert chapter.decode_checked([256, 257], tokens) == "héllo", (
        "Join the bytes first, then decode: é is spelled by two tokens."
    )
    assert chapter.decode_checked([256], tokens) == "h�", 'decode(errors="replace")'


@pytest.mark.parametrize("wrong", [300, 256, -1])
def test_2c_unknown_ids_are_named(chapter: ModuleType, wrong: int) -> None:
    """With their position."""
    try:
        text = chapter.decode_checked([72, 105, wrong], BYTES)
    except ValueError as error:
        message = str(error)
    else:
        pytest.fail(f"there are 256 tokens, and id {wrong} became {text!r}: raise a ValueError")

    assert str(wrong) in message, f"The message must name the id {wrong}: {message}"
    assert "2" in message, f"The message must name the position, 2: {message}"


def test_2d_the_order_of_training_gives_the_same_ids(chapter: ModuleType) -> None:
    """On text of training, and on new text."""
    merges = {(A, A): 256, (256, A): 257, (257, B): 258}

    assert chapter.encode_in_order("aaabac", merges) == [258, A, 99]
    assert chapter.encode_in_order("aaaa", merges) == [256, 256], (
        "All of (97, 97) are merged before (256, 97) is tried."
    )
    assert chapter.encode_in_order("é", merges) == [195, 169], "Begin with the bytes."
