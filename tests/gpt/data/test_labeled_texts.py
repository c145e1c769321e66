"""Texts with labels: their files, what is wrong with them, their splits, and their rows."""

from __future__ import annotations

import csv
import itertools
import json
from collections import Counter
from pathlib import Path

import pytest
import torch

from gpt.data.example_messages import HAM, SPAM, example_messages
from gpt.data.labeled_files import (
    TEST,
    TRAIN,
    VAL,
    Division,
    prepare_labeled,
    read_classes,
    split_file,
)
from gpt.data.labeled_rows import LABELS, LENGTHS, EncodedTexts, LabeledRows
from gpt.data.labeled_texts import (
    Columns,
    LabeledText,
    balanced,
    classes_of,
    read_labeled,
    stratified,
)
from gpt.errors import DataError
from pytok.tokenizer import Tokenizer

TEXTS = [
    ("ham", 'he said "hello, you"'),
    ("spam", "win £100"),
    ("ham", "a 'quote' and \\ more"),
]


@pytest.fixture(scope="module")
def byte_tokenizer() -> Tokenizer:
    """Ids 0 to 255 are bytes, 256 ends a text."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    return Tokenizer(
        "bytes", pat_str=r".", mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 256}
    )


def messages(count: int = 100) -> list[LabeledText]:
    return list(example_messages(count, spam=0.3))


def write_tabs(path: Path, texts: list[LabeledText] | None = None) -> Path:
    """A file like SMSSpamCollection."""
    texts = messages() if texts is None else texts
    path.write_text("".join(f"{each.label}\t{each.text}\n" for each in texts), encoding="utf-8")
    return path


def written(folder: Path, form: str) -> Path:
    """`TEXTS` in a file of *form*."""
    path = folder / f"texts.{form.partition(' ')[0]}"
    if form == "jsonl":
        lines = [json.dumps({"text": text, "label": label}) for label, text in TEXTS]
    elif form == "csv":
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            csv.writer(file).writerows([("Label", "Text"), *TEXTS])
        return path
    else:
        rows = [("Label", "id", "TEXT")] * (form == "tsv with a header")
        width = len(rows[0]) if rows else 2
        rows += [(label, "7", text) if width == 3 else (label, text) for label, text in TEXTS]  # type: ignore[misc]
        lines = ["\t".join(row) for row in rows]
    path.write_bytes("\r\n".join([*lines, ""]).encode())
    return path


@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv", "tsv with a header", "txt"])
def test_each_format_has_the_same_texts(tmp_path: Path, form: str) -> None:
    """Quotation marks are part of a text, except those around a value of a CSV."""
    found = read_labeled(written(tmp_path, form))

    assert [(each.label, each.text) for each in found] == TEXTS


def test_columns_can_be_named(tmp_path: Path) -> None:
    """As in the CSV of Kaggle; labels can be integers in JSON."""
    (tmp_path / "spam.csv").write_text("v1,v2,\nham,hello,\nspam,win,\n")
    (tmp_path / "a.jsonl").write_text('{"review": "good", "stars": 5}\n')

    table = read_labeled(tmp_path / "spam.csv", Columns("v2", "v1"))
    rows = read_labeled(tmp_path / "a.jsonl", Columns("review", "stars"))

    assert table == [("hello", "ham", 2), ("win", "spam", 3)]
    assert rows == [("good", "5", 1)]


WRONG = [
    ("a.tsv", "ham\thi\nspam win\n", "line 2: no tab in 'spam win'"),
    ("a.tsv", "ham\thi\n\nspam\twin\n", "line 2: an empty line"),
    ("a.tsv", "ham\thi\nspam\t\n", "line 2: the text is empty"),
    ("a.tsv", "ham\thi\n\twin\n", "line 2: the label is empty"),
    ("a.tsv", "text\tlabel\nhi\tham\tmore\n", "line 2: 3 values; the header has 2 columns"),
    ("a.csv", "text,label\nhi\n", "line 2: 1 values; the header has 2 columns"),
    ("a.csv", 'text,label\nhi,ham\n"hi "you,ham\n', "line 3: .*quotation marks"),
    ("a.csv", 'text,label\n"two\nlines",ham\nhi\n', "line 4: 1 values"),
    ("a.csv", "v1,v2\nham,hi\n", "line 1: no column 'text'; there are v1, v2: .*--text-column"),
    ("a.jsonl", '{"text": "a"}\n', "line 1: no field label; .*--label-column"),
    ("a.jsonl", '{"text": "a", "label": "x"}\n[1]\n', r"line 2: \[1\] is no object"),
    ("a.jsonl", '{"text": 3, "label": "x"}\n', "line 1: the text is 3, not text"),
    ("a.jsonl", '{"text": "a", "label": 0.5}\n', "line 1: the label is 0.5, not text"),
    ("a.jsonl", '{"text": "a", "label": "x"}\n{"te\n', "line 2: not JSON"),
    ("a.jsonl", '{"text": "\\ud800", "label": "x"}\n', "line 1: the text has half of a surrogate"),
    ("a.tsv", "", "empty"),
    ("a.csv", "text,label\n", "empty"),
]


@pytest.mark.parametrize(("name", "content", "words"), WRONG)
def test_what_is_wrong_is_named_by_file_and_line(
    tmp_path: Path, name: str, content: str, words: str
) -> None:
    """Nothing is skipped."""
    (tmp_path / name).write_text(content, encoding="utf-8")

    with pytest.raises(DataError, match=rf"{name}(, |: ){words}"):
        read_labeled(tmp_path / name)


def test_bytes_that_are_not_utf_8_are_named(tmp_path: Path) -> None:
    """Kaggle's spam.csv is of such."""
    (tmp_path / "a.csv").write_bytes(b"text,label\nhi,ham\n\xa3100,spam\n")

    with pytest.raises(DataError, match=r"line 3: byte 0xa3 is not UTF-8; .*iconv"):
        read_labeled(tmp_path / "a.csv")


def test_classes_are_sorted() -> None:
    """Integers by value."""
    assert classes_of(messages(), "x") == (HAM, SPAM)
    numbers = [LabeledText("a", label) for label in ("10", "2", "10", "2", "-1", "-1")]
    assert classes_of(numbers, "x") == ("-1", "2", "10")


@pytest.mark.parametrize(
    ("labels", "words"),
    [(["ham", "ham"], "all texts have the label 'ham'"), (list("abcdef"), "column of labels?")],
)
def test_labels_that_are_no_classes_are_an_error(labels: list[str], words: str) -> None:
    """One class, or a class for each text."""
    with pytest.raises(DataError, match=words):
        classes_of([LabeledText("x", label) for label in labels], "file")


def test_balanced_classes_have_as_many_texts_as_the_smallest() -> None:
    """Chosen by the seed, in the order of the file."""
    texts = [LabeledText(str(n), "spam" if n % 10 == 0 else "ham") for n in range(200)]

    kept = balanced(texts, seed=1)

    assert Counter(each.label for each in kept) == {"ham": 20, "spam": 20}
    assert [int(each.text) for each in kept] == sorted(int(each.text) for each in kept)
    assert kept == balanced(texts, seed=1)
    assert kept != balanced(texts, seed=2)


def test_a_split_has_its_fraction_of_each_class() -> None:
    """Each text is in one part, and all classes are in the first, even the rarest."""
    texts = [LabeledText(str(n), "abc"[(n % 10 == 0) + (n == 0)]) for n in range(200)]

    parts = stratified(texts, (0.1, 0.2), seed=3)

    counts = [Counter(each.label for each in part) for part in parts]
    assert counts == [{"a": 126, "b": 13, "c": 1}, {"a": 18, "b": 2}, {"a": 36, "b": 4}]
    assert sorted(int(each.text) for each in itertools.chain(*parts)) == list(range(200))
    assert parts == stratified(texts, (0.1, 0.2), seed=3)


def test_a_file_becomes_a_folder_of_splits(tmp_path: Path) -> None:
    """Once: it is used again for the same file and options, and is an error for others."""
    file, out, lines = write_tabs(tmp_path / "sms.txt"), tmp_path / "run", list[str]()

    folder = prepare_labeled(file, out, notice=lines.append)

    assert folder == out / "data"
    assert read_classes(folder) == (HAM, SPAM)
    sizes = [len(read_labeled(split_file(folder, name))) for name in (TRAIN, VAL, TEST)]
    assert sizes == [70, 10, 20]
    assert lines[0] == f"{file}: 100 texts"
    said = len(lines)
    assert prepare_labeled(file, out, notice=lines.append) == folder
    assert len(lines) == said
    assert prepare_labeled(folder, tmp_path / "other") == folder
    with pytest.raises(DataError, match="divided in another way"):
        prepare_labeled(file, out, Division(balance=True))
    with pytest.raises(DataError, match="has its own splits"):
        prepare_labeled(folder, out, Division(balance=True))


def test_splits_can_be_given(tmp_path: Path) -> None:
    """Their labels must be those of the training data; the line is named."""
    train = write_tabs(tmp_path / "train.tsv")
    val = write_tabs(tmp_path / "val.tsv", messages(30)[-10:])
    wrong = write_tabs(tmp_path / "wrong.tsv", [LabeledText("a", "ham"), LabeledText("b", "egg")])

    folder = prepare_labeled(train, tmp_path / "run", Division(val_data=val, test=0.0))

    assert len(read_labeled(split_file(folder, TRAIN))) == 100
    assert len(read_labeled(split_file(folder, VAL))) == 10
    assert not split_file(folder, TEST).exists()
    with pytest.raises(DataError, match=r"wrong\.tsv, line 2: unknown label 'egg'; the"):
        prepare_labeled(train, tmp_path / "other", Division(val_data=wrong))
    assert not (tmp_path / "other").exists()
    with pytest.raises(DataError, match="--val and --val-data"):
        prepare_labeled(train, tmp_path / "other", Division(val_data=val, val=0.1))


def test_rows_are_padded_to_the_longest_of_a_batch(byte_tokenizer: Tokenizer) -> None:
    """With what ends a text; longer texts are cut, and counted."""
    texts = [LabeledText("ab", "y"), LabeledText("abcdef", "x"), LabeledText("<|endoftext|>", "z")]

    encoded = EncodedTexts.of(texts, ("x", "y"), byte_tokenizer, context=5)

    assert encoded.truncated == 2  # a special token in a text is ordinary text
    batch = encoded.batch([0, 1])
    assert batch.inputs.tolist() == [[97, 98, 256, 256, 256], [97, 98, 99, 100, 101]]
    assert batch.given[LENGTHS].tolist() == [2, 5]
    assert batch.given[LABELS].tolist() == [1, 0]
    assert encoded.labels.tolist() == [1, 0, -1]


def test_filled_rows_have_one_length(byte_tokenizer: Tokenizer) -> None:
    """The tokens that fill a row are read as text (Raschka 2024, chapter 6)."""
    texts = [LabeledText("ab", "x"), LabeledText("abcdef", "x")]

    batch = EncodedTexts.of(texts, ("x",), byte_tokenizer, context=9, pad_to=4).batch([0, 1])

    assert batch.inputs.tolist() == [[97, 98, 256, 256], [97, 98, 99, 100]]
    assert batch.given[LENGTHS].tolist() == [4, 4]


def test_an_epoch_has_each_text_once(byte_tokenizer: Tokenizer) -> None:
    """In another order than the epoch before; a row is a function of its number."""
    texts = [LabeledText(chr(65 + n), "x") for n in range(10)]
    rows = LabeledRows(EncodedTexts.of(texts, ("x",), byte_tokenizer, context=4), seed=5)

    first, second = (rows.batch(start, 10).inputs.flatten() for start in (0, 10))

    assert first.sort().values.tolist() == list(range(65, 75)) == second.sort().values.tolist()
    assert not torch.equal(first, second)
    assert torch.equal(rows.batch(7, 6).inputs.flatten(), torch.cat((first[7:], second[:3])))


def test_example_messages_share_their_vocabulary() -> None:
    """Each word of one class occurs in the other, and the same seed gives the same messages."""
    texts = list(example_messages(3000, seed=4, spam=0.5))
    words = {
        label: Counter(w for each in texts if each.label == label for w in each.text.split())
        for label in (HAM, SPAM)
    }

    common = {word for word, count in (words[HAM] + words[SPAM]).items() if count > 100}

    assert len(common) > 50
    assert all(words[HAM][word] and words[SPAM][word] for word in common)
    assert texts == list(example_messages(3000, seed=4, spam=0.5))
    assert texts != list(example_messages(3000, seed=5, spam=0.5))
