"""`gpt` on pairs: train, resume, translate, measure, average, report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpt.__main__ import main
from gpt.runs.reading import read_checkpoint
from gpt.spec.encoder_decoder import EncoderDecoder
from gpt.spec.recurrent import Recurrent
from tests.gpt.data.test_pairs import write

SMALL = ("--width", "16", "--layers", "1", "--device", "cpu", "--dtype", "float32")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the preset transformer, of six steps."""
    folder = tmp_path_factory.mktemp("translation")
    write(folder / "pairs.jsonl")
    arguments = ("--data", str(folder / "pairs.jsonl"), "--out", str(folder / "run"))
    code = main(
        [
            *("train", *arguments, "--preset", "transformer", "--steps", "6", *SMALL),
            *("--heads", "2", "--eval-every", "3", "--set", "checkpoint_every=3"),
        ]
    )

    assert code == 0
    return folder / "run"


def test_a_run_has_all_files_of_a_run(run: Path) -> None:
    """Metrics, translations, a plot and a report; its recipe is that of the paper."""
    recipe = read_checkpoint(run).state.recipe
    samples = [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]
    report = (run / "report.md").read_text()

    assert isinstance(recipe.model, EncoderDecoder)
    assert (recipe.schedule.__class__.__name__, recipe.keep) == ("Noam", 5)
    assert [sample["step"] for sample in samples] == [3, 6]
    assert samples[0]["text"].startswith(" -> ")
    assert "| train.jsonl | 54 |" in report
    assert "validation exact match" in report
    assert (run / "loss.png").exists()


def test_the_same_command_resumes(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With more steps; the preset and the tokenizer are those of the run."""
    data = run.parent / "pairs.jsonl"

    assert main(["train", "--data", str(data), "--out", str(run), "--steps", "8"]) == 0
    assert "resuming" in capsys.readouterr().err
    assert read_checkpoint(run).state.step == 8


def test_a_source_is_translated(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Greedily or with beams; what is for texts only is refused."""
    assert main(["sample", str(run), "--prompt", "abab"]) == 0
    assert main(["sample", str(run), "--prompt", "abab", "--beams", "3", "--tokens", "4"]) == 0
    capsys.readouterr()
    assert main(["sample", str(run), "--prompt", "abab", "--temperature", "1"]) == 1
    assert "remove --temperature: it does not apply to a model that translates" in (
        capsys.readouterr().err
    )
    assert main(["sample", str(run)]) == 1
    assert "the source is empty" in capsys.readouterr().err


def test_a_run_is_measured(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On its own held-out pairs, or others."""
    assert main(["eval", str(run), "--json", "--beams", "2"]) == 0
    figures = json.loads(capsys.readouterr().out)

    assert 0 <= figures["exact_match"] <= 1
    assert figures["nats_per_token"] > 0
    assert main(["eval", str(run), "--data", str(run.parent / "pairs.jsonl")]) == 0
    assert "60 pairs" in capsys.readouterr().out
    assert main(["eval", str(run), "--stride", "2"]) == 1
    assert "remove --stride: it does not apply to pairs" in capsys.readouterr().err


def test_checkpoints_are_averaged(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a run that is measured like any other."""
    out = run.parent / "average"

    assert main(["average", str(run), "--out", str(out), "--last", "2"]) == 0
    assert "the average of steps" in capsys.readouterr().err
    assert main(["eval", str(out)]) == 0


@pytest.mark.parametrize("command", ["chat", "export"])
def test_commands_of_models_of_texts_refuse(
    command: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And say what can be done with the run."""
    arguments = ["--to", "hf"] if command == "export" else []

    assert main([command, str(run), *([str(run.parent / "x")] if arguments else []), *arguments])
    assert capsys.readouterr().err.count("\n") == 1


def test_the_recurrent_model_is_a_preset(tmp_path: Path) -> None:
    """With Luong's attention, of which each part can be set."""
    path = write(tmp_path / "pairs.jsonl")
    code = main(
        [
            *("train", "--data", str(path), "--out", str(tmp_path / "run"), "--preset", "luong"),
            *("--steps", "2", *SMALL, "--set", "model.alignment.score=Location"),
            *("--set", "model.alignment.normalizer=LocalP", "--set", "model.reverse=true"),
        ]
    )
    model = read_checkpoint(tmp_path / "run").state.recipe.model

    assert code == 0
    assert isinstance(model, Recurrent)
    assert model.alignment is not None
    assert type(model.alignment.score).__name__ == "Location"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--preset", "transformer", "--set", "model.wiring=Parallel"], "no branch for cross"),
        (["--preset", "transformer", "--val-data", "x"], "--val-data applies to token files only"),
        (["--preset", "luong", "--heads", "2"], "model.attention: no such field"),
        (["--set", "objective=MaskedLM"], "--set model.attention.pattern=Full"),
    ],
)
def test_wrong_options_fail_before_anything_is_read(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code 2, and without a folder."""
    missing = str(tmp_path / "no.jsonl")

    assert main(["train", "--data", missing, "--out", str(tmp_path / "run"), *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_bad_line_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With exit code 1."""
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"source": "a", "target": "b"}\n{"source": "a"}\n')

    assert main(["train", "--data", str(path), "--preset", "transformer", "--out", "r"]) == 1
    assert "pairs.jsonl, line 2: no field target" in capsys.readouterr().err


def test_masked_tokens_are_trained_measured_and_filled_in(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the preset bert."""
    run = str(tmp_path / "run")
    code = main(
        [
            *("train", "--data", str(data), "--out", run, "--preset", "bert", "--steps", "2"),
            *("--batch-size", "2", "--context", "16", "--heads", "2", *SMALL),
        ]
    )

    assert code == 0
    capsys.readouterr()
    assert main(["eval", run, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tokens"] > 0
    assert main(["sample", run, "--prompt", "cat <|mask|>"]) == 0
    assert capsys.readouterr().out.startswith("cat ")
    assert main(["sample", run, "--prompt", "cat"]) == 1
