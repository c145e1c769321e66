"""`gpt clone`: from an export to a model of one of its people, in stages that are made once."""

from __future__ import annotations

import dataclasses
import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from gpt.__main__ import main
from gpt.clone.pipeline import BASE, DATA, HISTORY, RUN, Cloned, Cloning, clone
from gpt.errors import ConfigError
from gpt.report.events import NullReporter
from gpt.runs.reading import read_checkpoint
from gpt.spec.adapter import LoRA
from pytok.__main__ import cli
from pytok.chat.example import example_chat, example_export
from pytok.chat.record import read_history
from pytok.chat.template import TEMPLATE_FILE, Template, read_conversations
from pytok.errors import ChatError


class Notes(NullReporter):
    """Keeps all that is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def notice(self, text: str) -> None:
        """Keep it."""
        self.lines.append(text)

    def __contains__(self, words: str) -> bool:
        return any(words in line for line in self.lines)


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "chat.txt"
    path.write_text(example_export(example_chat(200)), encoding="utf-8", newline="")
    return path


@pytest.fixture(scope="module")
def asked(export: Path, tmp_path_factory: pytest.TempPathFactory) -> Cloning:
    """What `done` has done."""
    out = tmp_path_factory.mktemp("cloned") / "clone"
    return Cloning(exports=(export,), me="Mara", out=out, seconds=0.5)


@pytest.fixture(scope="module")
def notes() -> Notes:
    """What was told as `done` was done."""
    return Notes()


@pytest.fixture(scope="module")
def done(asked: Cloning, notes: Notes) -> Cloned:
    return clone(asked, reporter=notes)


def test_the_model_has_learnt_the_turns_of_whom_it_was_to(done: Cloned) -> None:
    """Its checkpoint carries the template that says who that is."""
    checkpoint = read_checkpoint(done.run)

    assert done.finished
    assert Template.from_json(checkpoint.data_files[TEMPLATE_FILE]).me == "Mara"
    assert getattr(checkpoint.state.recipe, "train_on", None) == "mine"


def test_every_stage_leaves_its_files(done: Cloned, asked: Cloning) -> None:
    """The history with each message, conversations, a run of everybody, a run of one."""
    assert len(list(read_history(asked.out / HISTORY))) == 200
    assert list(read_conversations(asked.out / DATA / "train.jsonl"))
    assert read_checkpoint(asked.out / BASE).state.recipe.data == asked.out / DATA
    assert done.run == asked.out / RUN


def test_each_stage_tells_what_it_found(done: Cloned, notes: Notes) -> None:
    """What was left out, and that so little teaches little."""
    assert [line[:3] for line in notes.lines if line[1:3] == "/4"] == ["1/4", "2/4", "3/4", "4/4"]
    assert "senders: 2: Mara" in notes
    assert "left out: " in notes
    assert "that is little" in notes


def test_training_takes_no_longer_than_asked_for(done: Cloned, asked: Cloning) -> None:
    """The steps are counted by the clock before they begin, which the recipe keeps."""
    for run, share in ((BASE, 0.75), (RUN, 0.25)):
        recipe = read_checkpoint(asked.out / run).state.recipe
        assert recipe.max_seconds == share * asked.seconds


def test_a_second_call_repeats_nothing(done: Cloned, asked: Cloning) -> None:
    """Each stage says that it is kept, and no file is another."""
    before = {path: path.stat().st_mtime_ns for path in asked.out.rglob("*") if path.is_file()}
    notes = Notes()

    again = clone(asked, reporter=notes)

    assert again == done
    assert notes.lines.count("    kept, as it was made before") == 4
    after = {path: path.stat().st_mtime_ns for path in asked.out.rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize(
    ("field", "value"), [("me", "Jonas"), ("seconds", 9.0), ("adapter", LoRA()), ("seed", 1)]
)
def test_another_wish_in_the_same_folder_is_refused(
    done: Cloned, asked: Cloning, field: str, value: object
) -> None:
    """What is there may have taken hours."""
    with pytest.raises(ConfigError, match=rf"made with {field} = .*another --out"):
        clone(dataclasses.replace(asked, **{field: value}))  # type: ignore[arg-type]


def test_other_exports_in_the_same_folder_are_refused(
    done: Cloned, asked: Cloning, tmp_path: Path
) -> None:
    """A newer export is another file."""
    other = tmp_path / "chat.txt"
    other.write_bytes(asked.exports[0].read_bytes() + b"\n")

    with pytest.raises(ConfigError, match="made with exports"):
        clone(dataclasses.replace(asked, exports=(other,)))


@pytest.mark.parametrize("after", [2, 3, 12])
def test_a_stopped_call_goes_on_where_it_was(export: Path, tmp_path: Path, after: int) -> None:
    """Asked to stop between stages, and in the middle of a run."""
    asked = Cloning(exports=(export,), me="Mara", out=tmp_path / "clone", seconds=0.5)
    asks = iter(range(1_000_000))

    first = clone(asked, stop=lambda: next(asks) >= after)
    kept = (asked.out / HISTORY).stat().st_mtime_ns
    second = clone(asked)

    assert not first.finished
    assert second.finished
    assert (asked.out / HISTORY).stat().st_mtime_ns == kept


@pytest.mark.parametrize("name", [None, "Nobody", ""])
def test_without_a_sender_all_are_listed(export: Path, tmp_path: Path, name: str | None) -> None:
    """With how many messages each has; the history is kept for the next call."""
    notes = Notes()

    with pytest.raises(ChatError, match="--me NAME"):
        clone(Cloning(exports=(export,), me=name, out=tmp_path), reporter=notes)

    listed = [line.split() for line in notes.lines[-2:]]
    assert [name for _, name in listed] == ["Mara", "Jonas"]
    assert sum(int(count) for count, _ in listed) == 199  # and a notice, which nobody has sent
    assert (tmp_path / HISTORY).exists()


def test_a_base_is_tuned_with_adapters(done: Cloned, asked: Cloning, tmp_path: Path) -> None:
    """No model of everybody is trained then, and the base stays as it is."""
    out = tmp_path / "clone"
    arguments = ["clone", str(asked.exports[0]), "--me", "Jonas", "--base", str(done.run)]

    code = main([*arguments, "--out", str(out), "--seconds", "0.5", "--no-talk"])

    recipe = read_checkpoint(out / RUN).state.recipe
    assert code == 0
    assert getattr(recipe, "adapter", None) == LoRA(rank=8)
    assert not (out / BASE).exists()
    with pytest.raises(ConfigError, match=r"run was made with base = .*, and now it is None"):
        clone(dataclasses.replace(asked, me="Jonas", out=out))
    assert not (out / BASE).exists()


def test_a_chat_of_one_conversation_holds_nothing_out(tmp_path: Path) -> None:
    """And says so, instead of refusing it."""
    export = tmp_path / "chat.txt"
    export.write_text(
        "".join(
            f"[25/01/2023, 07:{minute:02}:00] {who}: This is message {minute}, and it is short.\r\n"
            for minute in range(60)
            for who in ("Ada", "Ben")
        )
    )
    notes = Notes()

    cloned = clone(
        Cloning(exports=(export,), me="Ada", out=tmp_path / "clone", seconds=0.5), reporter=notes
    )

    assert cloned.finished
    assert "none is held out" in notes


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"\x00\x01", "zero byte"), (b"no chat at all\n", "chat.txt")],
)
def test_a_bad_export_is_one_line(
    content: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which names it."""
    path = tmp_path / "chat.txt"
    path.write_bytes(content)

    code = main(["clone", str(path), "--me", "Ada", "--out", str(tmp_path / "clone")])

    (problem,) = [line for line in capsys.readouterr().err.splitlines() if line[:4] == "gpt:"]
    assert code == 1
    assert words in problem


def test_the_guide_for_newcomers_works_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All its commands but those that install or need another's model, one after another."""
    monkeypatch.chdir(tmp_path)
    named = example_export(example_chat(1000)).replace("] Mara: ", "] Ada: ")
    half = named.index("\r\n[", len(named) // 2) + 2
    for name, text in (
        ("WhatsApp Chat with Ada.txt", named),
        ("old.txt", named[:half]),
        ("new.txt", named[half:]),
    ):
        Path(name).write_text(text, encoding="utf-8", newline="")
    guide = Path(__file__).parents[3] / "docs" / "your-own-chat.md"
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", guide.read_text("utf-8"), re.M | re.S)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    commands = [shlex.split(line, comments=True) for line in lines if "gpt2" not in line]
    made = []
    for program, *words in commands:
        if program == "pytok":
            small = ["200" if word == "5000" else word for word in words]
            assert CliRunner().invoke(cli, small).exit_code == 0
        elif program == "gpt" and "--help" not in words:
            quick = [word for word in words if word not in ("--seconds", "120")]
            made.append(main([*quick, "--seconds", "0.5"]))

    assert made == [0, 1, 0, 0, 1]  # without --me everyone is listed


def test_a_damaged_record_is_refused(done: Cloned, asked: Cloning, tmp_path: Path) -> None:
    """It cannot say any more what the folder was made from."""
    out = tmp_path / "clone"
    shutil.copytree(asked.out, out)
    (out / "clone.json").write_text("{")

    with pytest.raises(ConfigError, match=r"clone\.json: damaged"):
        clone(dataclasses.replace(asked, out=out))
