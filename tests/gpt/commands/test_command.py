"""The `gpt` command: what it takes, what it prints, how it exits."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from gpt.__main__ import main
from gpt.runs.metrics import read_metrics
from gpt.runs.reading import read_checkpoint
from gpt.spec.mlp import Relu2
from gpt.spec.optimizer import AdamW
from gpt.spec.presets import llama

SMALL = """
batch_size = 2
eval_every = 1000
checkpoint_every = 1000
device = "cpu"
dtype = "float32"
threads = 1

[model]
context = 16
layers = 1
width = 32
attention = {heads = 2, kv_heads = 2}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A recipe.toml without data, out and steps."""
    path = tmp_path / "recipe.toml"
    path.write_text(SMALL)
    return path


def arguments(config: Path, data: Path, *more: str) -> list[str]:
    out = config.parent / "run"
    return ["train", "--config", str(config), "--data", str(data), "--out", str(out), *more]


def spawn(given: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gpt", *given],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )


def test_training_writes_a_run(
    config: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A checkpoint, metrics, a picture; nothing on stdout, and the next command on stderr."""
    code = main(arguments(config, data, "--steps", "3"))
    run = config.parent / "run"
    printed = capsys.readouterr()

    assert code == 0
    assert len(read_metrics(run / "metrics.jsonl")) == 3
    assert (run / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert printed.out == ""
    assert f"next: gpt sample {run}" in printed.err
    assert "validation" in printed.err


def test_one_step_is_said_to_be_one(
    config: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the last line."""
    main(arguments(config, data, "--steps", "1"))

    assert "\n1 step in" in capsys.readouterr().err


def test_options_come_before_the_config_file(config: Path, data: Path) -> None:
    """Nested fields and axes too."""
    main(
        arguments(
            config,
            data,
            "--steps",
            "1",
            "--batch-size",
            "3",
            "--model.width",
            "48",
            "optimizer:adam-w",
            "--optimizer.lr",
            "0.01",
            "model.mlp:relu2",
        )
    )
    recipe = read_checkpoint(config.parent / "run").state.recipe

    assert (recipe.batch_size, recipe.model.width, recipe.model.mlp) == (3, 48, Relu2())
    assert recipe.optimizer == AdamW(lr=0.01)
    assert recipe.model.context == 16


def test_data_alone_is_enough(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All else is planned, printed, and kept: the same words go on with the same run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gpt.spec.planning.EPOCHS", 0.5)
    code = main(["train", "--data", str(data)])
    run = tmp_path / "runs" / data.name
    kept = read_checkpoint(run).state.recipe
    printed = capsys.readouterr().err

    assert code == 0
    assert f"layers {kept.model.layers}, width {kept.model.width}" in printed
    monkeypatch.setattr("torch.get_num_threads", lambda: 64)
    assert main(["train", "--data", str(data)]) == 0
    assert "resuming" in capsys.readouterr().err
    assert read_checkpoint(run).state.recipe == kept


def test_preset_and_depth_make_the_model(config: Path, data: Path) -> None:
    """The file comes over them, and options over the file."""
    config.write_text("steps = 1\nbatch_size = 1\n[model]\ncontext = 16\n")
    given = arguments(config, data, "--preset", "llama", "--depth", "1", "--batch-size", "2")
    code = main(given)
    recipe = read_checkpoint(config.parent / "run").state.recipe

    assert code == 0
    assert recipe.model == dataclasses.replace(llama(1, 16), dropout=recipe.model.dropout)
    assert (recipe.steps, recipe.batch_size) == (1, 2)


def test_none_is_as_if_an_option_had_not_been_given(config: Path, data: Path) -> None:
    """Also of those that are looked for before all others."""
    given = arguments(config, data, "--depth", "None", "--tokenizer", "None")

    assert main(given) == 0


def test_another_depth_is_another_run(
    config: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says what the run has."""
    config.write_text("steps = 1\nbatch_size = 1\n[model]\ncontext = 16\n")
    main(arguments(config, data, "--depth", "1"))
    capsys.readouterr()

    assert main(arguments(config, data, "--depth", "2")) == 1
    assert "with model.layers = 1, and this recipe has 2" in capsys.readouterr().err


def test_config_file_error_names_file_and_field(
    config: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here a field that does not exist."""
    config.write_text(SMALL + "depth = 4\n")

    assert main(arguments(config, data)) == 2
    assert f"{config}: model.depth: no such field; there are context" in capsys.readouterr().err


def test_evaluation_prints_json(
    config: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The numbers that the run's last evaluation had, alone on stdout."""
    main(arguments(config, data, "--steps", "2"))
    capsys.readouterr()
    run = config.parent / "run"
    code = main(["eval", str(run), "--json", "--device", "cpu", "--dtype", "float32"])
    result = json.loads(capsys.readouterr().out)

    assert code == 0
    assert result["step"] == 2
    assert result["bits_per_byte"] == pytest.approx(read_metrics(run / "metrics.jsonl")[-1].val_bpb)


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (["eval", "nowhere"], 1, "nowhere: no checkpoint found"),
        (["sample", "nowhere"], 1, "nowhere: no checkpoint found"),
        (["sample", "nowhere", "--samples", "0"], 1, "samples must be at least 1"),
        (["train", "--data", "nowhere", "--out", "run"], 1, "nowhere"),
        (["train", "--config", "nowhere.toml"], 2, "nowhere.toml: No such file"),
        (["train", "--data", "d", "--out", "o", "--steps", "0"], 2, "steps must be at least 1"),
        (
            ["train", "--data", "d", "--out", "o", "--model.width", "33"],
            2,
            "width 33 does not divide into 4 heads",
        ),
    ],
)
def test_failure_is_one_line(
    given: list[str],
    code: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What failed, without a traceback and without a trace on the disk; 2 for bad arguments."""
    monkeypatch.chdir(tmp_path)
    returned = main(given)
    printed = capsys.readouterr()

    assert returned == code
    assert list(tmp_path.iterdir()) == []
    assert printed.out == ""
    assert printed.err.startswith("gpt: ")
    assert words in printed.err
    assert printed.err.count("\n") == 1


def test_unknown_device_is_named(
    config: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is written."""
    code = main(arguments(config, data, "--device", "gpu"))

    assert code == 1
    assert "unknown device 'gpu'" in capsys.readouterr().err
    assert not (config.parent / "run").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["train", "--data", "d", "--out", "o", "--steps", "many"], "many"),
        (["train", "--data", "d", "--out", "o", "--stepz", "1"], "--stepz"),
        (["train"], "--data"),
        (["fly"], "fly"),
    ],
)
def test_usage_error_is_exit_code_2(
    given: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names the argument."""
    with pytest.raises(SystemExit) as caught:
        main(given)

    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_run_that_cannot_be_written_is_one_line(
    config: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here, because a file has the run's name."""
    (config.parent / "run").write_text("in the way")
    code = main(arguments(config, data))

    assert code == 1
    assert capsys.readouterr().err == (
        f"gpt: {config.parent / 'run'}: cannot create the folder of the run: File exists; "
        "choose another --out\n"
    )


def test_help_loads_neither_torch_nor_matplotlib() -> None:
    """It is there at once, and teaches the units."""
    script = (
        "import sys\nfrom gpt.__main__ import main\n"
        "try:\n    main(['train', '--help'])\n"
        "except SystemExit:\n    print(sorted({'torch', 'matplotlib', 'numpy'} & set(sys.modules)))"
    )
    given = [sys.executable, "-c", script]
    root = str(Path(__file__).parents[3])
    printed = subprocess.run(given, capture_output=True, text=True, check=True, cwd=root).stdout

    assert printed.endswith("[]\n")
    assert "Updates of the weights" in printed


def test_only_data_must_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    """And only that is said to be; --help says what the run's folder is called."""
    with pytest.raises(SystemExit):
        main(["train"])
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    printed = capsys.readouterr()

    assert "--data" in printed.err
    assert "--out" not in printed.err
    assert printed.out.count("(required)") == 1
    assert "runs/DATA" in printed.out


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_interrupted_command_goes_on(
    config: Path, data: Path, number: signal.Signals, code: int
) -> None:
    """A signal in the middle: a checkpoint, the exit code, and how to go on; then it does."""
    run = config.parent / "run"
    process = spawn(arguments(config, data, "--steps", "100000"))
    end = time.monotonic() + 120
    while not (run / "metrics.jsonl").exists() or not (run / "metrics.jsonl").stat().st_size:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, "it has made no step in two minutes"
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    step = read_checkpoint(run).state.step

    assert process.returncode == code
    assert f"stopped at step {step} of 100000" in error
    assert "to resume: gpt train --config" in error
    assert read_metrics(run / "metrics.jsonl")[-1].step == step
    assert main(arguments(config, data, "--steps", str(step + 2))) == 0
    assert read_checkpoint(run).state.step == step + 2


@pytest.mark.parametrize("missing", ["tyro", "torch"])
def test_what_is_not_installed_is_named(missing: str) -> None:
    """The tokenizer comes without the trainer's packages; one line says how to get them."""
    code = f"""
import sys

class Missing:
    def find_spec(self, name, path, target=None):
        if name == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}")

sys.meta_path.insert(0, Missing())
sys.argv = ["gpt", "sample", "run"]
from gpt.__main__ import main
sys.exit(main())
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "pip install 'pytok[gpt]'" in result.stderr
