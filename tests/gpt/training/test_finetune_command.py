"""`gpt tune`: what it prints, and which options it rejects."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gpt.__main__ import main
from gpt.interop.imported import write_imported
from gpt.model.gpt import GPT
from gpt.runs.reading import read_checkpoint
from gpt.spec.adapter import LoRA
from pytok.tokenizer import Tokenizer


def test_the_base_is_kept_if_no_step_is_better(
    base: Path,
    tmp_path: Path,
    bpe: Tokenizer,
    measure: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is evaluated once, before the first step; the last lines say what to try."""
    measure(1.0, 3.0, 2.0, 1.0)  # the base, two steps, and the result
    run = tmp_path / "run"
    command = ["tune", str(base), "--data", str(base.parent / "data"), "--out", str(run)]
    command += ["--full", "--lr", "0.01", "--eval-every", "1", "--patience", "2"]
    code = main([*command, "--device", "cpu", "--dtype", "float32", "--compile", "False"])
    best, before = read_checkpoint(run / "best"), read_checkpoint(base).weights
    printed = capsys.readouterr().err

    assert code == 0
    assert (best.state.step, best.state.best_step) == (2, 0)
    for name, weight in best.weights.items():  # embeddings have rows beyond the vocabulary
        assert torch.equal(weight[: bpe.n_vocab], before[name][: bpe.n_vocab]), name
    assert f"nothing was better than the base, so {run} has the base's weights" in printed
    assert "a lower --lr than 0.01, or fewer --epochs" in printed
    assert "1.0000 -> 1.0000 bits per byte" in printed


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("chat.json", "{", "chat.json: not JSON"),
        ("train.jsonl", "", "none of the 0 conversations has a turn to train on"),
        ("train.jsonl", "{}\n", "line 1"),
        ("train.jsonl", None, "train.jsonl: not found; `pytok chat build` writes it"),
    ],
)
def test_bad_data_is_one_line(
    base: Path,
    chat: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    file: str,
    content: str | None,
    message: str,
) -> None:
    """It names the file and says what to do."""
    data = tmp_path / "data"
    shutil.copytree(chat, data)
    (data / file).unlink()
    if content is not None:
        (data / file).write_text(content, encoding="utf-8")
    code = main(["tune", str(base), "--data", str(data), "--out", str(tmp_path / "run")])
    printed = capsys.readouterr().err

    assert code == 1
    assert message in printed
    assert printed.count("\n") == 2  # the first says that a run is to be tuned


def test_the_command_plans_tunes_and_reports(
    base: Path, chat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same command again has nothing to do."""
    command = ["tune", str(base), "--data", str(chat), "--out", str(tmp_path / "run")]
    command += ["--lora", "4", "--epochs", "2", "--device", "cpu", "--dtype", "float32"]
    codes = [main(command)]
    printed = capsys.readouterr().err
    codes.append(main(command))

    assert codes == [0, 0]
    for part in (
        "24 conversations",
        "4 new tokens",
        "steps 96",
        "the data's validation split: ",
        "the base's validation split: ",
        f"next: gpt chat {tmp_path / 'run'}",
    ):
        assert part in printed, part
    assert read_checkpoint(tmp_path / "run").state.recipe.task.adapter == LoRA(rank=4)
    report = (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
    for part in (
        "A chat of ",
        "; targets trained on: ",
        "As planned by `gpt tune`.",
        r"`<\|end\|>`",
    ):
        assert part in report, part


@pytest.mark.parametrize(
    ("option", "value"),
    [("epochs", "0"), ("epochs", "nan"), ("epochs", "inf"), ("batch-size", "0"), ("lr", "0")],
)
def test_the_command_rejects_numbers_out_of_range(
    base: Path,
    chat: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
    value: str,
) -> None:
    """None of them means the default."""
    command = ["tune", str(base), "--data", str(chat), "--out", str(tmp_path / "run")]

    assert main([*command, f"--{option}", value]) == 1
    source = "" if option == "epochs" else f"--{option} {value}: (optimizer: )?"
    name = option.replace("-", "_")
    assert re.search(rf"^gpt: {source}{name} must be .*\n\Z", capsys.readouterr().err, re.M)


def test_the_command_rejects_two_kinds_of_tuning(
    base: Path, chat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message lists all three."""
    command = ["tune", str(base), "--data", str(chat), "--out", str(tmp_path / "run")]

    assert main([*command, "--lora", "4", "--full"]) == 1
    assert "--lora, --dora and --full are three methods; choose one" in capsys.readouterr().err


def test_the_command_rejects_fields_of_adapters_with_full(
    base: Path, chat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the option, and nothing is trained."""
    command = ["tune", str(base), "--data", str(chat), "--out", str(tmp_path / "run")]

    assert main([*command, "--full", "--alpha", "3"]) == 1
    assert capsys.readouterr().err == (
        "gpt: --alpha 3 sets up an adapter, and --full trains without one; remove one of them\n"
    )
    assert not (tmp_path / "run").exists()


def test_a_base_of_a_long_context_is_tuned_on_a_short_text(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rows are shorter than the context; the tokenizer is that of the base."""
    checkpoint = read_checkpoint(base)
    config = dataclasses.replace(checkpoint.state.config, context=1 << 20)
    long = tmp_path / "long"
    write_imported(long, GPT(config), checkpoint.tokenizer())
    (tmp_path / "text.txt").write_text("the cat and the dog saw the owl\n" * 100)
    command = ["tune", str(long), "--data", str(tmp_path / "text.txt"), "--epochs", "0.5"]
    command += ["--out", str(tmp_path / "run"), "--device", "cpu", "--dtype", "float32"]

    assert main(command) == 0, capsys.readouterr().err
    assert read_checkpoint(tmp_path / "run").state.recipe.task.row_length <= 1024


def test_rows_of_a_text_can_be_given(base: Path, tmp_path: Path) -> None:
    """As those of a chat."""
    (tmp_path / "text.txt").write_text("the cat and the dog saw the owl\n" * 30)
    command = ["tune", str(base), "--data", str(tmp_path / "text.txt"), "--epochs", "0.1"]
    command += ["--out", str(tmp_path / "run"), "--device", "cpu", "--row-length", "8"]

    assert main([*command, "--val", "0.2"]) == 0
    assert read_checkpoint(tmp_path / "run").state.recipe.task.row_length == 8
