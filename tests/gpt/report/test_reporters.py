"""What reporters write for a run: samples, sessions, TensorBoard events, the report."""

from __future__ import annotations

import dataclasses
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import pytok
from gpt.__main__ import main
from gpt.errors import DataError
from gpt.interop.imported import write_imported
from gpt.model.gpt import GPT
from gpt.report.events import NullReporter, Reporter, Reporters, Start
from gpt.report.page import Report, write_report
from gpt.report.samples import Sample as WrittenSample
from gpt.report.samples import Sampler, quoted, read_samples
from gpt.report.sessions import Sessions, read_sessions
from gpt.runs.metrics import read_metrics
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.dropout import Dropout
from gpt.spec.recipe import Recipe, read_toml
from gpt.spec.serialize import from_dict
from gpt.training.loop import train
from pytok import shards
from pytok.distribution import install

TEXT = "".join(f"The {n}th line says that {n * n} is the square of {n}.\n" for n in range(99))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of `TEXT`, with a tokenizer trained on it."""
    folder = tmp_path_factory.mktemp("text")
    (folder / "corpus.txt").write_text(TEXT)
    tokenizer = pytok.train(TEXT.splitlines(keepends=True), vocab_size=300)
    shards.write(folder / "corpus.txt", tokenizer, folder / "data", val=0.1)
    return folder / "data"


@pytest.fixture
def recipe(data: Path, tmp_path: Path) -> Recipe:
    """A run of ten steps with evaluations at steps 4, 8 and 10."""
    return Recipe(
        data=data,
        out=tmp_path / "run",
        steps=10,
        batch_size=2,
        eval_every=4,
        checkpoint_every=4,
        device="cpu",
        dtype="float32",
        threads=1,
        compile=False,
        average=0.5,
        model=Architecture(
            context=16,
            layers=1,
            width=32,
            attention=GroupedQuery(heads=2, kv_heads=1),
            dropout=Dropout(rate=0.1),
        ),
    )


def silent_sampler(**options: Any) -> Sampler:
    return Sampler(lambda text: None, tokens=8, **options)


def train_until(step: int, recipe: Recipe, reporter: Reporter) -> None:
    """Train *recipe* and stop after *step* steps."""
    steps = list[int]()

    class Count(NullReporter):
        def row(self, row: Any, total: int) -> None:
            steps.append(row.step)

    train(recipe, reporter=Reporters([reporter, Count()]), stop=lambda: step in steps)


def history(run: Path) -> list[dict[str, Any]]:
    rows = [dataclasses.asdict(row) for row in read_metrics(run / "metrics.jsonl")]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_samples_are_written_at_evaluations(recipe: Recipe) -> None:
    """They are shown with their step, and the prompt is always the same."""
    lines: list[str] = []
    train(recipe, reporter=Sampler(lines.append, prompt="The 7", tokens=8))

    assert [(sample.step, sample.prompt) for sample in read_samples(recipe.out)] == [
        (4, "The 7"),
        (8, "The 7"),
        (10, "The 7"),
    ]
    assert lines[0].startswith("sample at step 4:\n  │ The 7")


@pytest.mark.parametrize(("every", "steps"), [(3, [3, 6, 9]), (0, [])])
def test_samples_are_written_every_few_steps(recipe: Recipe, every: int, steps: list[int]) -> None:
    """0 disables them."""
    train(recipe, reporter=silent_sampler(every=every))

    assert [sample.step for sample in read_samples(recipe.out)] == steps


def test_sampling_does_not_change_the_run(recipe: Recipe) -> None:
    """The metrics and weights of a run with dropout and averages are bit-identical with it."""
    sampled = dataclasses.replace(recipe, out=recipe.out.with_name("sampled"))
    train(recipe)
    train(sampled, reporter=silent_sampler(every=1))
    weights, sampled_weights = (
        (run / "checkpoints/step-00000010/model.safetensors").read_bytes()
        for run in (recipe.out, sampled.out)
    )

    assert history(recipe.out) == history(sampled.out)
    assert weights == sampled_weights
    assert len(read_samples(sampled.out)) == 10


def test_sampling_does_not_use_the_random_state_of_torch(recipe: Recipe) -> None:
    """It is the same before and after a sample."""
    sampler = silent_sampler(every=1)
    unchanged: list[bool] = []

    class Watch(NullReporter):
        def began(self, start: Start) -> None:
            sampler.began(start)

        def row(self, row: Any, steps: int) -> None:
            before = torch.get_rng_state()
            sampler.row(row, steps)
            unchanged.append(torch.equal(before, torch.get_rng_state()))

    train(recipe, reporter=Watch())

    assert unchanged == [True] * 10


def test_a_resumed_run_has_the_samples_of_an_uninterrupted_one(recipe: Recipe) -> None:
    """None twice, although steps are repeated after a kill."""
    uninterrupted = dataclasses.replace(recipe, out=recipe.out.with_name("uninterrupted"))
    train(uninterrupted, reporter=silent_sampler(every=1))

    class Killed(Exception):
        """Stands for a kill of the process."""

    class Killer(NullReporter):
        def row(self, row: Any, steps: int) -> None:
            if row.step == 6:
                raise Killed

    with pytest.raises(Killed):
        train(recipe, reporter=Reporters([silent_sampler(every=1), Killer()]))
    train(recipe, reporter=silent_sampler(every=1))

    assert read_samples(recipe.out) == read_samples(uninterrupted.out)


def test_a_vocabulary_without_end_of_text_needs_a_prompt_for_samples(
    recipe: Recipe, tmp_path: Path
) -> None:
    """A notice says so, and training continues without samples."""
    (tmp_path / "corpus.txt").write_text(TEXT)
    tokenizer = pytok.train([TEXT], vocab_size=300, special_tokens=())
    shards.write(tmp_path / "corpus.txt", tokenizer, tmp_path / "data", val=0.1)
    recipe = dataclasses.replace(recipe, data=tmp_path / "data")
    lines: list[str] = []
    train(recipe, reporter=Sampler(lines.append))

    assert lines == [
        "no samples during training: the vocabulary has no <|endoftext|> to start with; pass "
        "--sample-prompt"
    ]
    prompted = dataclasses.replace(recipe, out=recipe.out.with_name("prompted"))
    train(prompted, reporter=silent_sampler(prompt="The"))
    assert len(read_samples(prompted.out)) == 3


def test_control_characters_of_samples_are_escaped() -> None:
    """Except line feeds."""
    assert quoted(WrittenSample(step=1, prompt="a\n", text="b\x1b[2J")) == "  │ a\n  │ b\\x1b[2J"


def test_each_process_of_a_run_is_a_session(recipe: Recipe) -> None:
    """A run that was stopped and resumed has two, each with its peak memory."""
    train_until(3, recipe, Sessions())
    train(recipe, reporter=Sessions())
    sessions = read_sessions(recipe.out)

    assert [session.after for session in sessions] == [0, 3]
    assert {session.torch for session in sessions} == {torch.__version__}
    assert all(session.dtype == "float32" and session.threads == 1 for session in sessions)
    assert all((session.peak_memory or 0) > 2**20 for session in sessions)


def test_a_session_whose_steps_were_lost_is_dropped(recipe: Recipe) -> None:
    """A process killed before the first checkpoint contributed nothing."""

    class Killed(Exception):
        """Stands for a kill of the process."""

    class Killer(NullReporter):
        def row(self, row: Any, steps: int) -> None:
            raise Killed

    with pytest.raises(Killed):
        train(recipe, reporter=Reporters([Sessions(), Killer()]))
    assert [session.peak_memory for session in read_sessions(recipe.out)] == [None]
    train(recipe, reporter=Sessions())

    assert [session.after for session in read_sessions(recipe.out)] == [0]


def events(run: Path) -> dict[str, list[tuple[int, float]]]:
    """Return all scalars of *run*, read by TensorBoard."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulator.EventAccumulator(str(run / "tensorboard"))
    found.Reload()
    return {
        tag: [(event.step, event.value) for event in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }


def train_with_tensorboard(recipe: Recipe, *more: Any, **options: Any) -> None:
    pytest.importorskip("tensorboard")
    from gpt.report.tensorboard import TensorBoard

    with TensorBoard() as board:
        train(recipe, reporter=Reporters([board, *more]), **options)


def test_tensorboard_has_every_step(recipe: Recipe) -> None:
    """The figures are those of metrics.jsonl."""
    train_with_tensorboard(recipe)
    scalars, rows = events(recipe.out), read_metrics(recipe.out / "metrics.jsonl")

    assert [step for step, _ in scalars["loss/train"]] == list(range(1, 11))
    assert [value for _, value in scalars["loss/train"]] == pytest.approx([r.loss for r in rows])
    assert [step for step, _ in scalars["bits per byte/validation"]] == [4, 8, 10]
    assert {"learning rate", "gradient norm", "tokens per second"} < set(scalars)


def test_tensorboard_has_no_step_twice(recipe: Recipe) -> None:
    """Steps that are repeated after a kill replace the earlier ones."""

    class Killed(Exception):
        """Stands for a kill of the process."""

    class Killer(NullReporter):
        def row(self, row: Any, steps: int) -> None:
            if row.step == 7:
                raise Killed

    with pytest.raises(Killed):
        train_with_tensorboard(recipe, Killer())
    train_with_tensorboard(recipe)

    assert [step for step, _ in events(recipe.out)["loss/train"]] == list(range(1, 11))


def test_missing_tensorboard_is_an_error(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the run starts, with what to install."""
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    for name in ("torch.utils.tensorboard", "gpt.report.tensorboard"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    code = main(["train", "--data", str(recipe.data), "--out", str(recipe.out), "--tensorboard"])

    assert code == 1
    assert install("tensorboard") in capsys.readouterr().err
    assert not recipe.out.exists()


@pytest.fixture
def report(recipe: Recipe) -> str:
    """The report of a complete run."""
    train(
        recipe,
        reporter=Reporters([silent_sampler(prompt="`````\nThe"), Sessions(), Report()]),
    )
    return (recipe.out / "report.md").read_text()


def block(report: str, language: str) -> str:
    """Return the content of the first fenced block of *language*."""
    return report.split(f"```{language}\n")[1].split("\n```")[0]


def test_the_report_has_the_recipe(report: str, recipe: Recipe, tmp_path: Path) -> None:
    """As TOML that `gpt train --config` reads."""
    (tmp_path / "recipe.toml").write_text(block(report, "toml"))

    assert from_dict(Recipe, read_toml(tmp_path / "recipe.toml")) == recipe


def test_the_report_has_results_plot_and_samples(report: str, recipe: Recipe) -> None:
    """The last evaluation, a link to an existing file, the last sample."""
    rows = read_metrics(recipe.out / "metrics.jsonl")

    assert f"**{rows[-1].val['bits_per_byte']:.4f} bits per byte** at step 10" in report
    assert "| steps | 10 of 10 |" in report
    assert "(loss.png)" in report
    assert (recipe.out / "loss.png").is_file()
    assert f"``````\n`````\nThe{read_samples(recipe.out)[-1].text}\n``````" in report


def test_the_report_has_data_tokenizer_and_machine(report: str, recipe: Recipe) -> None:
    """Tokens, bytes and documents; the fingerprint; torch and peak memory."""
    manifest = json.loads((recipe.data / "shards.json").read_text())
    split = shards.open_shards(recipe.data).splits["train"]

    assert f"| train | 1 | {len(split):,} | {split.bytes:,} | {split.documents} |" in report
    assert f"320 tokens seen, {320 / len(split):.2f} epochs." in report
    assert f"`{manifest['fingerprint']}`" in report
    assert r"`<\|endoftext\|>`" in report
    assert f"{split.bytes / len(split):.3f} bytes per token" in report
    assert torch.__version__ in report
    assert "MiB" in report


def test_the_report_counts_parameters_and_flops(report: str, recipe: Recipe) -> None:
    """For each part and in total."""
    from gpt import load

    model = load(recipe.out).model()
    total = sum(parameter.numel() for parameter in model.parameters())

    assert f"| total | {total:,} |" in report
    assert "| mlp | 8,192 |" in report


def test_the_report_can_be_written_again(report: str, recipe: Recipe) -> None:
    """`gpt report` writes the same page."""
    path = recipe.out / "report.md"
    path.unlink()

    assert main(["report", str(recipe.out)]) == 0
    assert path.read_text() == report
    assert not [name for name in recipe.out.iterdir() if name.name.startswith(".report")]


def test_the_report_of_a_run_without_its_data(report: str, recipe: Recipe, data: Path) -> None:
    """It says so, and the other sections are complete."""
    moved = data.with_name("moved")
    data.rename(moved)
    try:
        again = write_report(recipe.out).read_text()
    finally:
        moved.rename(data)

    assert "No longer available" in again
    assert "320 tokens seen" in again
    assert "bytes per token" not in again


def test_the_report_of_an_imported_run(tmp_path: Path, recipe: Recipe, data: Path) -> None:
    """It has a model and a tokenizer, but no data and no metrics."""
    from gpt.spec.architecture import GPTConfig

    tokenizer = pytok.load(data / "tokenizer.json")
    write_imported(tmp_path / "in", GPT(GPTConfig.over(recipe.model, tokenizer.n_vocab)), tokenizer)
    text = write_report(tmp_path / "in").read_text()

    assert "There are no metrics" in text
    assert "## Data" not in text
    assert "loss.png" not in text


def test_a_run_stopped_before_its_first_step_has_no_report(recipe: Recipe) -> None:
    """There is no checkpoint to report on."""
    train(recipe, reporter=Report(), stop=lambda: True)

    assert not (recipe.out / "report.md").exists()


def test_damaged_samples_are_rejected(recipe: Recipe) -> None:
    """Before the run resumes; the error has the file and the line."""
    train_until(4, recipe, silent_sampler())
    path = recipe.out / "samples.jsonl"
    path.write_text("nonsense\n" + path.read_text())

    with pytest.raises(DataError, match=r"samples\.jsonl:1: not a sample of a run"):
        train(recipe, reporter=silent_sampler())
