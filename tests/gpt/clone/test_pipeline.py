"""`gpt clone`: the stages, what each reports, and how a stopped call resumes."""

from __future__ import annotations

import dataclasses
import io
import re
import shlex
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from gpt.__main__ import main
from gpt.clone.options import CloneOptions
from gpt.clone.pipeline import CloneResult, clone
from gpt.clone.record import BASE, DATA, HISTORY, RUN
from gpt.errors import CheckpointError, ConfigError
from gpt.runs.reading import read_checkpoint
from gpt.spec.adapter import LoRA
from gpt.training.clock import Limits
from pytok.__main__ import cli
from pytok.chat.example import example_chat, example_export
from pytok.chat.import_options import ImportOptions
from pytok.chat.record import read_history
from pytok.chat.template import TEMPLATE_FILE, Template, read_conversations
from pytok.errors import ChatError
from tests.gpt.training.interrupted import Notices


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "chat.txt"
    path.write_text(example_export(example_chat(200)), encoding="utf-8", newline="")
    return path


@pytest.fixture(scope="module")
def options(export: Path, tmp_path_factory: pytest.TempPathFactory) -> CloneOptions:
    """The options of `cloned`."""
    out = tmp_path_factory.mktemp("cloned") / "clone"
    return CloneOptions(exports=(export,), me="Mara", out=out, seconds=0.5)


@pytest.fixture(scope="module")
def notices() -> Notices:
    """The notices of `cloned`."""
    return Notices()


@pytest.fixture(scope="module")
def cloned(options: CloneOptions, notices: Notices) -> CloneResult:
    """A finished clone."""
    return clone(options, reporter=notices)


def test_a_clone_can_be_read_by_its_owner_only(cloned: CloneResult, options: CloneOptions) -> None:
    """Its models are the chat in another form."""
    assert not options.out.stat().st_mode & 0o077


def test_the_model_is_trained_on_the_turns_of_one_person(cloned: CloneResult) -> None:
    """The template in its checkpoint has the name."""
    checkpoint = read_checkpoint(cloned.run)

    assert cloned.finished
    assert Template.from_json(checkpoint.data_files[TEMPLATE_FILE]).me == "Mara"
    assert getattr(checkpoint.state.recipe.task, "train_on", None) == "mine"


def test_every_stage_writes_its_files(cloned: CloneResult, options: CloneOptions) -> None:
    """The history with each message, conversations, the base, and the tuned run."""
    assert len(list(read_history(options.out / HISTORY))) == 200
    assert list(read_conversations(options.out / DATA / "train.jsonl"))
    assert read_checkpoint(options.out / BASE).state.recipe.data == options.out / DATA
    assert cloned.run == options.out / RUN


def test_each_stage_reports_what_it_found(cloned: CloneResult, notices: Notices) -> None:
    """With omissions, and a warning that there are few turns."""
    assert [line[:3] for line in notices.lines if line[1:3] == "/4"] == ["1/4", "2/4", "3/4", "4/4"]
    assert "senders: 2: Mara" in notices
    assert "left out: " in notices
    assert "with fewer than 300 turns" in notices


def test_the_training_time_is_divided_among_the_runs(
    cloned: CloneResult, options: CloneOptions
) -> None:
    """The recipes record the limits; each run ends by its own."""
    for run, fraction in ((BASE, 0.75), (RUN, 0.25)):
        recipe = read_checkpoint(options.out / run).state.recipe
        assert Limits.of(recipe).seconds == fraction * options.seconds


def test_a_second_call_repeats_nothing(cloned: CloneResult, options: CloneOptions) -> None:
    """Each stage reports that it is complete, and no file changes."""
    before = {path: path.stat().st_mtime_ns for path in options.out.rglob("*") if path.is_file()}
    notices = Notices()

    again = clone(options, reporter=notices)

    assert again == dataclasses.replace(cloned, warnings=())
    assert notices.lines.count("    already complete") == 4
    after = {path: path.stat().st_mtime_ns for path in options.out.rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("me", "Jonas", "of Mara, not of Jonas"),
        ("gap", timedelta(days=1), "without --gap, not with --gap 86400s"),
        ("seconds", 9.0, "with --seconds 0.5, not with --seconds 9"),
        ("adapter", LoRA(), "with all weights tuned, not with LoRA of rank 8"),
        ("seed", 1, "with --seed 0, not with --seed 1"),
        (
            "import_options",
            ImportOptions(respect_deletions=True),
            "without --respect-deletions, not with --respect-deletions",
        ),
    ],
)
def test_other_options_in_the_same_folder_are_rejected(
    cloned: CloneResult, options: CloneOptions, field: str, value: object, why: str
) -> None:
    """The results in it may have taken hours; the error has what differs, and the remedies."""
    with pytest.raises(ConfigError, match=rf"already holds a model {why}; .*another --out"):
        clone(dataclasses.replace(options, **{field: value}))  # type: ignore[arg-type]


def test_a_chat_of_a_few_words_is_rejected(tmp_path: Path) -> None:
    """No context fits it."""
    export = tmp_path / "chat.txt"
    export.write_text("31.01.24, 10:00 - Ada: hi\n31.01.24, 10:01 - Ben: ho\n")

    with pytest.raises(ChatError, match="far too short to learn from"):
        clone(CloneOptions(exports=(export,), me="Ada", out=tmp_path / "clone"))


def test_a_name_cannot_control_the_terminal(tmp_path: Path) -> None:
    """Names are from the chat, and not to be trusted."""
    export = tmp_path / "chat.txt"
    export.write_text("31.01.24, 10:00 - \x1b[31mAda: hi\n31.01.24, 10:01 - Ben: ho\n")
    notices = Notices()

    with pytest.raises(ChatError):
        clone(CloneOptions(exports=(export,), me=None, out=tmp_path / "x"), reporter=notices)
    assert r"\x1b[31mAda" in notices
    assert "\x1b" not in notices


def test_few_steps_are_warned_of(
    cloned: CloneResult, notices: Notices, options: CloneOptions
) -> None:
    """Before the training, and in the result; with a time that is enough."""
    (warning,) = cloned.warnings

    assert re.match(r"only \d+ training steps? fits? into 0\.4 seconds: .*--seconds 600", warning)
    assert f"    warning: {warning}" in notices.lines


def test_figures_are_for_a_verbose_call_only(cloned: CloneResult, notices: Notices) -> None:
    """Others are for everyone."""
    for figure in ("nats", "bits", "weight decay", "MFU", "token", "split", "validation"):
        assert figure not in notices


@pytest.mark.parametrize(("verbose", "shown"), [(False, False), (True, True)])
def test_the_command_shows_figures_if_asked(
    export: Path, tmp_path: Path, verbose: bool, shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as the weight decay, and losses in nats."""
    arguments = ["clone", str(export), "--me", "Mara", "--out", str(tmp_path), "--seconds", "0.5"]
    code = main([*arguments, *["--verbose"] * verbose])

    err = capsys.readouterr().err
    assert code == 0
    assert {word in err for word in ("weight decay", "nats/token", "bits/byte")} == {shown}
    assert f"to talk with it again: gpt chat {tmp_path / 'run'}\n" in err


def test_the_last_line_is_a_command_that_works_in_a_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names you, since there are several whom you can be."""
    export = tmp_path / "chat.txt"
    export.write_text(example_export(example_chat(200, authors=3)), encoding="utf-8", newline="")
    out = tmp_path / "out"
    arguments = ["clone", str(export), "--me", "Priya", "--out", str(out), "--seconds", "0.5"]
    assert main(arguments) == 0
    *_, last = capsys.readouterr().err.splitlines()
    command = last.removeprefix("to talk with it again: ")
    monkeypatch.setattr("sys.stdin", io.StringIO("Hello!\n"))

    assert shlex.split(command)[:4] == ["gpt", "chat", str(out / "run"), "--as"]
    assert main(shlex.split(command)[1:]) == 0
    assert capsys.readouterr().out.startswith("Priya: ")


def test_other_exports_in_the_same_folder_are_rejected(
    cloned: CloneResult, options: CloneOptions, tmp_path: Path
) -> None:
    """Such as a newer export of the same name."""
    other = tmp_path / "chat.txt"
    other.write_bytes(options.exports[0].read_bytes() + b"\n")

    with pytest.raises(ConfigError, match=r"a model of chat\.txt, not of the changed file"):
        clone(dataclasses.replace(options, exports=(other,)))


def test_an_export_can_be_a_folder(export: Path, tmp_path: Path) -> None:
    """A file that is added to it makes it another export; results in it are rejected."""
    folder = tmp_path / "export"
    folder.mkdir()
    shutil.copy(export, folder / "_chat.txt")
    options = CloneOptions(exports=(folder,), me="Nobody", out=tmp_path / "clone")
    with pytest.raises(ChatError, match="nobody in this chat"):
        clone(options)
    (folder / "photo.jpg").write_bytes(b"")

    with pytest.raises(ConfigError, match="a model of export, not of the changed"):
        clone(options)
    with pytest.raises(ConfigError, match="give an --out elsewhere"):
        dataclasses.replace(options, out=folder / "clone")


def test_a_base_that_is_no_run_is_rejected(export: Path, tmp_path: Path) -> None:
    """Before the first stage."""
    with pytest.raises(CheckpointError, match="nowhere: no checkpoint found"):
        clone(CloneOptions(exports=(export,), me="Mara", out=tmp_path / "x", base=Path("nowhere")))
    assert not (tmp_path / "x").exists()


def test_an_unknown_preset_is_rejected(export: Path, tmp_path: Path) -> None:
    """Before the first stage."""
    with pytest.raises(ConfigError, match="unknown preset 'gpt5'; use one of fast, gpt2"):
        CloneOptions(exports=(export,), me="Mara", out=tmp_path, preset="gpt5")


@pytest.mark.parametrize("after", [2, 3, 12])
def test_a_stopped_call_resumes(export: Path, tmp_path: Path, after: int) -> None:
    """After a stop between stages, or in the middle of a run."""
    options = CloneOptions(exports=(export,), me="Mara", out=tmp_path / "clone", seconds=0.5)
    calls = iter(range(1_000_000))

    first = clone(options, stop=lambda: next(calls) >= after)
    written = (options.out / HISTORY).stat().st_mtime_ns
    second = clone(options)

    assert not first.finished
    assert second.finished
    assert (options.out / HISTORY).stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (None, "whom is the model to imitate?"),
        ("Nobody", "nobody in this chat is called 'Nobody'."),
        ("", "nobody in this chat is called ''."),
    ],
)
def test_without_a_known_sender_all_are_listed(
    export: Path, tmp_path: Path, name: str | None, why: str
) -> None:
    """With their numbers of messages; the history is kept for the next call."""
    notices = Notices()

    with pytest.raises(ChatError, match=rf"{re.escape(why)} .* as in --me Mara"):
        clone(CloneOptions(exports=(export,), me=name, out=tmp_path), reporter=notices)

    listed = [line.split() for line in notices.lines[-2:]]
    assert [name for _, name in listed] == ["Mara", "Jonas"]
    assert sum(int(count) for count, _ in listed) == 199  # and a notice without a sender
    assert (tmp_path / HISTORY).exists()


def test_a_base_is_tuned_with_adapters(
    cloned: CloneResult, options: CloneOptions, tmp_path: Path
) -> None:
    """Then no model is trained on all turns."""
    out = tmp_path / "clone"
    arguments = ["clone", str(options.exports[0]), "--me", "Jonas", "--base", str(cloned.run)]

    code = main([*arguments, "--out", str(out), "--seconds", "0.5", "--no-talk"])

    recipe = read_checkpoint(out / RUN).state.recipe
    assert code == 0
    assert getattr(recipe.task, "adapter", None) == LoRA(rank=8)
    assert not (out / BASE).exists()
    with pytest.raises(ConfigError, match=r"a model with --base .*, not without --base"):
        clone(dataclasses.replace(options, me="Jonas", out=out))
    assert not (out / BASE).exists()


def test_a_chat_of_one_conversation_has_no_validation_split(tmp_path: Path) -> None:
    """A notice says so, and training works."""
    export = tmp_path / "chat.txt"
    export.write_text(
        "".join(
            f"[25/01/2023, 07:{minute:02}:00] {who}: This is message {minute}, and it is short.\r\n"
            for minute in range(60)
            for who in ("Ada", "Ben")
        )
    )
    notices = Notices()

    result = clone(
        CloneOptions(exports=(export,), me="Ada", out=tmp_path / "clone", seconds=0.5),
        reporter=notices,
    )

    assert result.finished
    assert "none is left to check what was learned" in notices


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"\x00\x01", "zero byte"), (b"no chat at all\n", "chat.txt")],
)
def test_a_bad_export_is_one_line(
    content: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names the file."""
    path = tmp_path / "chat.txt"
    path.write_bytes(content)

    code = main(["clone", str(path), "--me", "Ada", "--out", str(tmp_path / "clone")])

    (problem,) = [line for line in capsys.readouterr().err.splitlines() if line[:4] == "gpt:"]
    assert code == 1
    assert words in problem


def test_the_commands_of_the_tutorial_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, except those that install packages or need a third-party model."""
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
    exit_codes = []
    for program, *words in commands:
        if program == "pytok":
            small = ["200" if word == "5000" else word for word in words]
            assert CliRunner().invoke(cli, small).exit_code == 0
        elif program == "gpt" and "--help" not in words:
            quick = [word for word in words if word not in ("--seconds", "120")]
            exit_codes.append(main([*quick, "--seconds", "0.5"]))

    assert exit_codes == [0, 1, 0, 0, 1]  # without --me, all senders are listed


@pytest.mark.parametrize("damage", ["{", "[" * 100_000, "[]", '{"chat.jsonl": 1}'])
def test_a_damaged_record_is_rejected(
    cloned: CloneResult, options: CloneOptions, damage: str, tmp_path: Path
) -> None:
    """The options of the folder are then unknown."""
    out = tmp_path / "clone"
    shutil.copytree(options.out, out)
    (out / "clone.json").write_text(damage)

    with pytest.raises(ConfigError, match=r"clone\.json is damaged"):
        clone(dataclasses.replace(options, out=out))
