"""The `gpt` command: arguments, output, exit codes."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import pytest

from gpt.__main__ import cli, main
from gpt.runs.metrics import read_metrics
from gpt.runs.reading import read_checkpoint
from gpt.spec.mlp import MLP
from gpt.spec.optimizer import AdamW
from gpt.spec.presets import llama
from gpt.spec.recipe import Recipe
from gpt.spec.serialize import flatten
from pytok.chat.building import build
from pytok.commands.help import LazyCommand
from pytok.distribution import install, version
from tests.pytok.chat.histories import long_history

SMALL = """
batch_size = 2
eval_every = 1000
checkpoint_every = 1000
device = "cpu"
dtype = "float32"
compile = false
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
    """A checkpoint, metrics and a plot; nothing on stdout, and the next command on stderr."""
    code = main(arguments(config, data, "--steps", "3"))
    run = config.parent / "run"
    printed = capsys.readouterr()

    assert code == 0
    assert len(read_metrics(run / "metrics.jsonl")) == 3
    assert (run / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert printed.out == ""
    assert f"next: gpt sample {run}" in printed.err
    assert "validation" in printed.err


def test_training_on_a_chat_ends_with_the_command_to_talk(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which works as it is, also in a group."""
    build(long_history(30), tmp_path / "chat", vocab=300)
    code = main(arguments(config, tmp_path / "chat", "--steps", "1"))

    assert code == 0
    assert f"next: gpt chat {tmp_path / 'run'}" in capsys.readouterr().err


def test_one_step_is_counted_in_the_singular(
    config: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the last line."""
    main(arguments(config, data, "--steps", "1"))

    assert "\n1 step in" in capsys.readouterr().err


def test_options_override_the_config_file(config: Path, data: Path) -> None:
    """Nested fields and mechanisms, too; what neither sets is planned."""
    given = ["--steps", "1", "--batch-size", "3", "--model.width", "48"]
    given += ["--set", "optimizer=AdamW", "--lr", "0.01", "--set", "model.mlp.activation=gelu"]
    assert main(arguments(config, data, *given)) == 0
    recipe = read_checkpoint(config.parent / "run").state.recipe

    assert (recipe.batch_size, recipe.model.width, recipe.model.mlp) == (
        3,
        48,
        MLP(activation="gelu"),
    )
    assert recipe.optimizer == AdamW(lr=0.01)
    assert recipe.model.context == 16


def test_data_alone_is_enough(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rest is planned, printed and saved: the same command resumes the same run."""
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


def test_a_run_is_replayed(config: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its recipe and the times that its clock recorded, into another folder."""
    assert main(arguments(config, data, "--seconds", "0.5", "--dropout", "0.1")) == 0
    first, again = config.parent / "run", config.parent / "again"
    given = ["train", "--data", str(data), "--out", str(again)]
    assert main([*given, "--replay", str(first)]) == 0
    rows = [read_metrics(run / "metrics.jsonl") for run in (first, again)]

    assert rows[0] == rows[1]
    assert rows[0][-1].fraction == 1
    assert main([*given[:3], "--out", str(data / "no"), "--replay", str(config.parent)]) == 2
    assert "holds no run; pass a run folder" in capsys.readouterr().err


def test_preset_and_depth_make_the_model(config: Path, data: Path) -> None:
    """The file overrides them, and options override the file."""
    config.write_text("steps = 1\nbatch_size = 1\n[model]\ncontext = 16\n")
    given = arguments(config, data, "--preset", "llama", "--depth", "1", "--batch-size", "2")
    code = main(given)
    recipe = read_checkpoint(config.parent / "run").state.recipe

    assert code == 0
    assert recipe.model == dataclasses.replace(llama(1, 16), dropout=recipe.model.dropout)
    assert (recipe.steps, recipe.batch_size) == (1, 2)


def test_none_is_an_absent_option(config: Path, data: Path) -> None:
    """For options that are no fields of the recipe, too."""
    config.write_text("clip = 1.0\n" + SMALL)
    given = ["--depth", "None", "--tokenizer", "None", "--clip", "none", "--steps", "1"]

    assert main(arguments(config, data, *given)) == 0
    assert read_checkpoint(config.parent / "run").state.recipe.clip is None


def test_another_depth_is_another_run(
    config: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line has the depth of the run."""
    config.write_text("steps = 1\nbatch_size = 1\n[model]\ncontext = 16\n")
    main(arguments(config, data, "--depth", "1"))
    capsys.readouterr()

    assert main(arguments(config, data, "--depth", "2")) == 1
    assert "with model.layers = 1, and this recipe has 2" in capsys.readouterr().err


def test_config_file_error_names_file_and_field(
    config: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here a field that does not exist. The data is not read."""
    config.write_text(SMALL + "depth = 4\n")

    assert main(arguments(config, data)) == 2
    assert f"{config}: model.depth: no such field; there are context" in capsys.readouterr().err


def test_evaluation_prints_json(
    config: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The numbers of the run's last evaluation, alone on stdout."""
    main(arguments(config, data, "--steps", "2"))
    capsys.readouterr()
    run = config.parent / "run"
    code = main(["eval", str(run), "--json", "--device", "cpu", "--dtype", "float32"])
    result = json.loads(capsys.readouterr().out)

    assert code == 0
    assert result["step"] == 2
    for name in ("bits_per_byte", "token_accuracy"):
        assert result[name] == pytest.approx(read_metrics(run / "metrics.jsonl")[-1].val[name])


def test_evaluation_prints_the_score_of_any_run(
    config: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bits per byte and token accuracy; the last line of training has the score of the run."""
    main(arguments(config, data, "--steps", "2", "--set", "score=TokenAccuracy"))
    trained = capsys.readouterr().err
    main(["eval", str(config.parent / "run"), "--device", "cpu", "--dtype", "float32"])
    shown = capsys.readouterr().out

    assert re.search(r"\n2 steps in .*: validation 0\.\d{4} token accuracy\n", trained)
    assert re.search(r"^  \d\.\d{4} bits per byte", shown, re.M)
    assert re.search(r"^  0\.\d{4} token accuracy$", shown, re.M)


def test_training_refuses_a_file_for_tuning(
    config: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its base would be ignored."""
    config.write_text('[task]\nkind = "Tuning"\nbase = "runs/base"\n')

    assert main(arguments(config, data)) == 2
    assert f"{config}: task.kind = Tuning, and `gpt train` is for" in capsys.readouterr().err


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
            "--model.width 33: model: position.fraction 1.0 of head_width 33 is 33, and rotation",
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
    """It names what failed, without a traceback; nothing is written. 2 is for wrong arguments."""
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
        (["train", "--data", "d", "--out", "o", "--steps", "many"], "'many' is not an integer"),
        (["train", "--data", "d", "--out", "o", "--stepz", "1"], "Did you mean --steps?"),
        (["train", "--data", "d", "--model.layer", "1"], "Did you mean --model.layers?"),
        (["train", "--data", "d", "--kv-heads=1"], "Did you mean --model.attention.kv-heads?"),
        (["train", "--data", "d", "--set", "width=8"], "did you mean model.width?"),
        (["train", "--data", "d", "--set", "model.norm=GLU"], "not one of LayerNorm, RMSNorm"),
        (["train", "--data", "d", "--set", "model.width"], "is not NAME=VALUE"),
        (["train", "--data", "d", "--val", "1"], "'--val': 1.0 is not in the range 0<=x<1"),
        (["train"], "--data"),
        (["fly"], "fly"),
        (["trian"], "Did you mean 'train'?"),
    ],
)
def test_usage_error_is_exit_code_2(
    given: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It names the argument and the nearest correct one; nothing is written."""
    monkeypatch.chdir(tmp_path)

    assert main(given) == 2
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", ["--stepz=3", "--steps=0", "--width=33", "--config=c.toml"])
def test_wrong_options_are_refused_before_the_data_is_read(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No tokenizer is trained, nothing is written, and torch is not even imported."""
    (tmp_path / "corpus.txt").write_text("a cat and a dog " * 1000)
    (tmp_path / "c.toml").write_text("stepps = 3\n")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    script = "import sys; from gpt.__main__ import main; print(main(), 'torch' in sys.modules)"
    given = [sys.executable, "-c", script, "train", "--data", "corpus.txt", wrong]
    done = subprocess.run(given, capture_output=True, text=True, cwd=tmp_path)

    assert done.stdout == "2 False\n"
    assert wrong.split("=")[0] in done.stderr or "c.toml: stepps: no such field" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"corpus.txt", "c.toml"}


def test_clone_lists_the_people_before_torch_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without ``--me``; the history is kept for the next call."""
    lines = ("31.01.24, 10:00 - Ada: hi", "31.01.24, 10:01 - Ben: ho", "31.01.24, 10:02 - Ada: !")
    (tmp_path / "chat.txt").write_text("\n".join(lines))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    script = "import sys; from gpt.__main__ import main; print(main(), 'torch' in sys.modules)"
    given = [sys.executable, "-c", script, "clone", "chat.txt"]
    done = subprocess.run(given, capture_output=True, text=True, cwd=tmp_path)

    assert done.stdout == "1 False\n"
    assert done.stderr.splitlines()[-3:] == [
        "        2  Ada",
        "        1  Ben",
        "gpt: whom is the model to imitate? Repeat the command with one of the names above, as in "
        "--me Ada",
    ]
    assert {path.name for path in (tmp_path / "clone").iterdir()} == {"chat.jsonl", "clone.json"}


def test_run_that_cannot_be_written_is_one_line(
    config: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here because a file has the run's name."""
    (config.parent / "run").write_text("in the way")
    code = main(arguments(config, data))

    assert code == 1
    assert capsys.readouterr().err.endswith(
        f"gpt: {config.parent / 'run'}: cannot create the folder of the run: File exists; "
        "choose another --out\n"
    )


@pytest.mark.parametrize("name", ["", *cli.commands])
def test_help_loads_neither_torch_nor_matplotlib(name: str) -> None:
    """It appears at once, fits 100 columns, and ends with examples."""
    script = (
        "import sys\nfrom gpt.__main__ import main\nmain([*sys.argv[1:], '--help'])\n"
        "print(sorted({'torch', 'matplotlib', 'numpy'} & set(sys.modules)))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script, *name.split()],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "COLUMNS": "100"},
    ).stdout.splitlines()

    assert shown[-1] == "[]"
    assert max(map(len, shown)) <= 100
    assert f"  gpt {name}".rstrip() in "\n".join(shown[shown.index("Examples:") :])


def test_every_option_has_help() -> None:
    """Those that only --help-all shows, too."""
    for lazy in cli.commands.values():
        assert isinstance(lazy, LazyCommand)
        command = lazy.load()
        assert (command.help or "").splitlines()[0] == lazy.help
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help, parameter.name


def test_help_of_training_starts_with_what_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--data alone is required; planned fields have no default; two screens hold it all."""
    monkeypatch.setenv("COLUMNS", "80")
    main(["train", "--help"])
    shown = capsys.readouterr().out
    options = re.findall(r"^  (--\S+) ", shown[shown.index("Data:") :], re.M)

    assert options[:2] == ["--data", "--out"]
    assert shown.count("[required]") == 1
    assert "runs/DATA" in shown
    assert "Optimizer steps in total.  [planned]" in shown
    assert "[default: 600]" not in shown
    assert len(shown.splitlines()) <= 80


def test_only_data_must_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    """The error names no other option."""
    assert main(["train"]) == 2
    printed = capsys.readouterr()

    assert "--data" in printed.err
    assert "--out" not in printed.err


def test_bare_command_shows_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Each command has one line; the exit code is that of wrong arguments."""
    assert main([]) == 2
    shown = capsys.readouterr().err

    for name, command in cli.commands.items():
        assert re.search(rf"^  {name} +{re.escape(command.help or '')}$", shown, re.M), name


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    """Both commands come in one package."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"gpt, version {version()}\n"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_interrupted_command_resumes(
    config: Path, data: Path, number: signal.Signals, code: int
) -> None:
    """A signal in the middle: a checkpoint, the exit code, and the command that resumes the run."""
    run = config.parent / "run"
    process = spawn(arguments(config, data, "--steps", str(10**9), "--eval-every", "1"))
    assert process.stderr is not None
    lines = iter(process.stderr.readline, "")
    made = next((line for line in lines if line.startswith("step 1/")), None)
    # However slow the machine is, nothing but the signal ends the run.
    process.send_signal(number)
    _, error = process.communicate()
    step = read_checkpoint(run).state.step

    assert made
    assert process.returncode == code
    assert f"stopped at step {step} of {10**9}" in error
    assert "to resume: gpt train --config" in error
    assert read_metrics(run / "metrics.jsonl")[-1].step == step
    assert main(arguments(config, data, "--steps", str(step + 2))) == 0
    assert read_checkpoint(run).state.step == step + 2


@pytest.mark.parametrize("missing", ["safetensors", "torch"])
def test_missing_package_is_named(missing: str) -> None:
    """The tokenizer is installed without the trainer's packages; one line has the command."""
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
    assert install("gpt") in result.stderr


class Started(BaseException):
    """Raised instead of a training run."""


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        (["--optimizer.lr", "0.01"], {"optimizer.lr": 0.01}),
        (["--schedule.decay", "0.5"], {"schedule.decay": 0.5}),
        (["--model.position.theta", "5000"], {"model.position.theta": 5000.0}),
        (["--width", "64"], {"model.width": 64, "model.attention.heads": 1}),
        (["--preset", "gpt2", "--width", "192"], {"model.attention.kv_heads": 3}),
        (["--heads", "2"], {"model.attention.heads": 2, "model.attention.kv_heads": 2}),
        (["--seconds", "0.01"], {"steps": None, "seconds": 0.01, "model.dropout.rate": 0.0}),
        (["--steps", "40"], {"steps": 40, "eval_every": 4}),
    ],
    ids=str,
)
def test_one_option_is_enough(
    given: list[str],
    fields: dict[str, object],
    config: Path,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The plan is made around it."""
    started: list[Recipe] = []

    def train(recipe: Recipe, **options: object) -> None:
        started.append(recipe)
        raise Started

    monkeypatch.setattr("gpt.training.loop.train", train)
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    with pytest.raises(Started):
        main(["train", "--data", str(data), "--out", str(config.parent / "run"), *given])
    recipe = flatten(started[0].to_dict())

    assert {name: recipe[name] for name in fields} == fields
