"""Preferences: what is read, what is held out, and how it becomes pairs of rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gpt.data.batch import IGNORED
from gpt.data.completions import chat_renderer, plain_renderer
from gpt.data.contents import Message
from gpt.data.preference_files import Preference, read_preferences
from gpt.data.preferences import (
    DESIRABLE,
    REFERENCE,
    PreferenceRows,
    batches_of,
    encode,
    hold_out,
    lay_out,
    mismatched,
)
from gpt.errors import ConfigError, DataError
from pytok.chat.template import Conversation, Template, Turn
from pytok.tokenizer import Tokenizer

PATH = Path("pairs.jsonl")
PAIR = {"prompt": "a", "chosen": "b", "rejected": "c"}
LABELED = {"prompt": "a", "completion": "b", "label": True}
HELLO = {"role": "user", "content": "Hi"}


def reply(content: str) -> dict[str, str]:
    """A message of the model."""
    return {"role": "assistant", "content": content}


def write(path: Path, *lines: Any) -> Path:
    """A file with *lines*: bytes, or what is written as JSON."""
    encoded = (each if isinstance(each, bytes) else json.dumps(each).encode() for each in lines)
    path.write_bytes(b"".join(line + b"\n" for line in encoded))
    return path


@pytest.fixture(scope="module")
def byte_tokenizer() -> Tokenizer:
    """Ids 0 to 255 are bytes, 256 is "ab", 257 ends a text."""
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"ab": 256}
    return Tokenizer(
        "bytes", pat_str=r"[^ ]+| ", mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 257}
    )


def pairs(*texts: Sequence[str]) -> list[Preference]:
    """Pairs of a prompt, a chosen and a rejected completion."""
    return [Preference(line, text[0], tuple(text[1:])) for line, text in enumerate(texts, 1)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ([1], r"\[1\] is no object; expected"),
        ({"prompt": "a", "chosen": "b"}, "no field rejected"),
        ({"chosen": "b", "rejected": "c"}, "no field prompt"),
        ({**PAIR, "chosen": ""}, "field chosen is empty"),
        ({**PAIR, "rejected": []}, "field rejected is empty"),
        ({**PAIR, "chosen": 3}, "field chosen is 3, not text"),
        ({**PAIR, "prompt": None}, "field prompt is None, not text"),
        ({**PAIR, "chosen": [reply("b")]}, "one of chosen and rejected is text, the other a list"),
        ({**PAIR, "prompt": [HELLO]}, "field prompt is a list of messages, and the completion is"),
        ({**PAIR, "chosen": ["b"], "rejected": ["c"]}, "field chosen, message 1: 'b'; expected"),
        (
            {"prompt": [HELLO], "chosen": [{"role": "user"}], "rejected": [reply("c")]},
            "field chosen, message 1: content is None, not text",
        ),
        (
            {"chosen": [reply("b")], "rejected": [reply("c")]},
            "no field prompt, and chosen and rejected have no message in common",
        ),
        (
            {"chosen": [HELLO], "rejected": [HELLO, reply("c")]},
            "no field prompt, and chosen and rejected have nothing but messages in common",
        ),
        (
            {"prompt": "Bye", "chosen": [HELLO, reply("b")], "rejected": [HELLO, reply("c")]},
            "field prompt is 'Bye', and chosen and rejected are lists of messages that do not",
        ),
        (b"", "an empty line"),
        (b'{"prompt": "a", ', "not JSON"),
        (b"\xff", "not JSON: byte 0 is not UTF-8"),
        (b'{"prompt": "a", "chosen": "\\ud800", "rejected": "c"}', "field chosen has half of a s"),
        (b"[" * 100_000, "not JSON: nested too deeply"),
    ],
)
def test_what_is_no_pair_is_named(line: Any, words: str, tmp_path: Path) -> None:
    """By file, line and field."""
    path = write(tmp_path / "pairs.jsonl", PAIR, line)

    with pytest.raises(DataError, match=rf"pairs\.jsonl, line 2: {words}"):
        read_preferences(path, paired=True)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"prompt": "a", "label": True}, "no field completion"),
        ({"prompt": "a", "completion": "b"}, "no field label; it is true for a good"),
        ({**LABELED, "label": 1}, "field label is 1; it is true for a good completion"),
        ({**LABELED, "completion": ""}, "field completion is empty"),
    ],
)
def test_what_is_not_labeled_is_named(line: Any, words: str, tmp_path: Path) -> None:
    """By file, line and field."""
    path = write(tmp_path / "labeled.jsonl", LABELED, line)

    with pytest.raises(DataError, match=rf"labeled\.jsonl, line 2: {words}"):
        read_preferences(path, paired=False)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """With what to pass."""
    with pytest.raises(DataError, match=r"none\.jsonl: No such file or directory; pass a file of"):
        read_preferences(tmp_path / "none.jsonl", paired=True)


def test_pairs_of_equal_completions_are_omitted_and_counted(tmp_path: Path) -> None:
    """They prefer nothing; a file of nothing else is an error."""
    same = {**PAIR, "chosen": "c"}
    read = read_preferences(write(tmp_path / "pairs.jsonl", same, PAIR, same), paired=True)

    assert [each.line for each in read.preferences] == [2]
    assert read.omitted == "2 pairs omitted, of two equal completions: line 1 first"
    with pytest.raises(DataError, match="both completions of every pair are equal"):
        read_preferences(write(tmp_path / "same.jsonl", same), paired=True)


def test_the_prompt_can_be_implicit(tmp_path: Path) -> None:
    """It is the messages that both begin with, also if a field repeats their text."""
    begun = [{"role": "system", "content": "Be brief."}, HELLO]
    line = {"chosen": [*begun, reply("b")], "rejected": [*begun, reply("c"), HELLO]}
    path = write(tmp_path / "pairs.jsonl", line, {**line, "prompt": "Hi"})
    first, second = read_preferences(path, paired=True).preferences

    assert first[1:] == second[1:]
    assert first.prompt == (Message("system", "Be brief."), Message("user", "Hi"))
    assert first.completions == (
        (Message("assistant", "b"),),
        (Message("assistant", "c"), Message("user", "Hi")),
    )


def test_a_pair_is_two_labeled_completions(tmp_path: Path) -> None:
    """Where these are read."""
    path = write(tmp_path / "labeled.jsonl", LABELED, PAIR)

    assert [each[1:] for each in read_preferences(path, paired=False).preferences] == [
        ("a", ("b",), True),
        ("a", ("b",), True),
        ("a", ("c",), False),
    ]


def test_prompts_are_held_out_with_all_of_their_preferences() -> None:
    """By seed; a single prompt is divided."""
    prompts = [str(index // 3) for index in range(30)]
    train, val = hold_out(prompts, 0.2, seed=1)

    assert sorted((*train, *val)) == list(range(30))
    assert len({prompts[index] for index in val}) == 2
    assert not {prompts[index] for index in val} & {prompts[index] for index in train}
    assert hold_out(prompts, 0.2, seed=1) == (train, val)
    assert any(hold_out(prompts, 0.2, seed=seed)[1] != val for seed in range(2, 6))
    assert len(hold_out([""] * 10, 0.2, seed=1)[1]) == 2
    assert hold_out(prompts, 0, seed=1) == (list(range(30)), [])
    with pytest.raises(ConfigError, match=r"holding out 0.2 of 1 prompt leaves nothing to train"):
        hold_out(["a"], 0.2, seed=1)


def test_a_pair_is_two_rows_of_which_only_completions_count(byte_tokenizer: Tokenizer) -> None:
    """The chosen first; shorter rows are padded at the end."""
    given = encode(PATH, pairs(("x", "yz", "w")), plain_renderer(byte_tokenizer))
    laid = lay_out(given, 8).with_reference(np.array([[-1.0, -2.0]], np.float32))
    batch = laid.batch([0])

    assert batch.inputs.tolist() == [[120, 121, 122], [120, 119, 0]]
    assert batch.targets.tolist() == [[121, 122, 257], [119, 257, IGNORED]]
    assert batch.given[REFERENCE].tolist() == [-1, -2]
    assert laid.num_targets == 5


def test_completions_start_where_their_ids_leave_those_of_the_prompt(
    byte_tokenizer: Tokenizer,
) -> None:
    """A token across the boundary belongs to the completion, in both rows; a text can be empty."""
    first, empty = encode(
        PATH, pairs(("x a", "b", "c"), ("", "ab", "c")), plain_renderer(byte_tokenizer)
    )

    assert (first.prompt, first.completions) == ([120, 32], [[256, 257], [97, 99, 257]])
    assert (empty.prompt, empty.completions) == ([257], [[256, 257], [99, 257]])


def test_messages_are_rendered_by_the_chat_template(byte_tokenizer: Tokenizer) -> None:
    """The prompt ends where the model speaks; "assistant" is the speaker whom it plays."""
    template = Template(speakers=("Ann", "Bob"), me="Bob")
    tokenizer = template.extend(byte_tokenizer)
    prompt = (Message("system", "s"), Message("user", "u"))
    replies = tuple((Message("assistant", text),) for text in ("x", "yz"))
    (given,) = encode(PATH, [Preference(1, prompt, replies)], chat_renderer(template, tokenizer))
    turns = (Turn("Ann", "u"), Turn("Bob", "x"))
    whole = template.render(Conversation(turns, "s"), tokenizer, train_on="last")
    end = tokenizer.special_tokens["<|end|>"]

    assert given.prompt + given.completions[0] == whole.ids
    assert given.completions[0] == [120, end]
    assert given.completions[1] == [121, 122, end]
    assert given.bytes == 3
    assert len(given.prompt) == whole.loss_mask.index(True)


def test_a_role_that_the_template_does_not_know_is_named(byte_tokenizer: Tokenizer) -> None:
    """With the line of the file."""
    template = Template(speakers=("Ann", "Bob"), me="Bob")
    render = chat_renderer(template, template.extend(byte_tokenizer))
    wrong = Preference(7, (Message("tool", "t"),), ((Message("assistant", "x"),),) * 2)

    with pytest.raises(DataError, match=r"pairs\.jsonl, line 7: 'tool' is not one of the speakers"):
        encode(PATH, [wrong], render)


def test_long_rows_lose_the_beginning_of_their_prompt(byte_tokenizer: Tokenizer) -> None:
    """Up to half a row, then the end of their completions: the same prompt for both."""
    render = plain_renderer(byte_tokenizer)
    short = lay_out(encode(PATH, pairs(("stuvwxyz", "cde", "f")), render), 8)
    long = lay_out(encode(PATH, pairs(("stuvwxyz", "c" * 20, "f")), render), 8)

    assert [bytes(row.ids[:-1].tolist()) for row in short.rows[0]] == [b"vwxyzcde", b"vwxyzf"]
    assert [bytes(row.ids.tolist()[:9]) for row in long.rows[0][:1]] == [b"wxyzccccc"]
    assert bytes(long.rows[0][1].ids.tolist()[:5]) == b"wxyzf"
    assert (short.cut_prompts, short.cut_completions) == (1, 0)
    assert (long.cut_prompts, long.cut_completions) == (1, 1)


def test_labeled_completions_have_one_of_another_prompt_beside_them(
    byte_tokenizer: Tokenizer,
) -> None:
    """Each completion once, after the prompt of another one."""
    given = [
        Preference(line, prompt, (completion,), line % 2 == 0)
        for line, (prompt, completion) in enumerate(
            [("p", "a"), ("p", "b"), ("q", "c"), ("r", "d")]
        )
    ]
    laid = lay_out(encode(PATH, given, plain_renderer(byte_tokenizer)), 8)
    batch = laid.batch([0, 1, 3])

    assert batch.given[DESIRABLE].tolist() == [True, False, False]
    assert batch.inputs.tolist() == [[112, 97], [112, 98], [114, 100]]
    assert [bytes(pair[0].ids.tolist()[:2]) for pair in laid.rows] == [b"pa", b"pb", b"qc", b"rd"]
    assert [bytes(pair[1].ids.tolist()[:2]) for pair in laid.rows] == [b"pc", b"pd", b"qa", b"rb"]
    assert laid.num_targets == 8


def test_mismatched_prompts_differ_unless_most_are_equal() -> None:
    """Each prompt is another one's once."""
    rng = np.random.default_rng(0)
    for count in range(1, 40):
        prompts = [str(each) for each in rng.integers(1 + count // 3, size=count)]
        others = mismatched(prompts)

        assert sorted(others) == list(range(count))
        if max(map(prompts.count, prompts)) * 2 <= count:
            assert all(prompts[a] != prompts[b] for a, b in enumerate(others))


def test_an_epoch_has_every_pair_once(byte_tokenizer: Tokenizer) -> None:
    """In an order that follows from the seed and the epoch, whichever rows are asked for first."""
    texts = pairs(*((chr(97 + n), "x", "y") for n in range(20)))
    laid = lay_out(encode(PATH, texts, plain_renderer(byte_tokenizer)), 8)
    first, second = PreferenceRows(laid, seed=3), PreferenceRows(laid, seed=3)
    epochs = [first.batch(start, 20).inputs[::2, 0] for start in (0, 20)]

    assert all(epoch.sort().values.tolist() == list(range(97, 117)) for epoch in epochs)
    assert not torch.equal(*epochs)
    assert torch.equal(second.batch(25, 3).inputs[::2, 0], epochs[1][5:8])


def test_evaluation_has_every_row_once_within_a_budget(byte_tokenizer: Tokenizer) -> None:
    """The shortest first."""
    texts = pairs(*(("p" * (1 + n % 5), "x" * (1 + n % 7), "y") for n in range(40)))
    laid = lay_out(encode(PATH, texts, plain_renderer(byte_tokenizer)), 16)
    batches = list(batches_of([row for pair in laid.rows for row in pair], 64))

    assert sorted(index for indices, _ in batches for index in indices) == list(range(80))
    assert all(batch.inputs.numel() <= 64 for _, batch in batches)
