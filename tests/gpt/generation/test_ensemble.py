"""Ensembles: the mean of probabilities, wherever one model predicts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from gpt.__main__ import main
from gpt.data.batch import IGNORED
from gpt.data.shards import open_split_or_text
from gpt.errors import ConfigError
from gpt.evaluation.bits_per_byte import evaluate
from gpt.generation.decoder import Decoder, with_linears_in
from gpt.generation.ensemble import Ensemble
from gpt.interop.imported import write_imported
from gpt.model.gpt import GPT
from gpt.parallel.runtime import Runtime
from gpt.runs.reading import read_checkpoint
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.embedding import TokenShift
from tests.gpt.interop.exportable import make_tokenizer

VOCAB, CONTEXT = 50, 8
CPU = Runtime.choose("cpu", "float32")


def lively(seed: int, layers: int = 1, vocab: int = VOCAB, context: int = CONTEXT) -> GPT:
    """A model that is sure of something, and of another thing than that of another seed."""
    attention = GroupedQuery(heads=2, kv_heads=2)
    model = GPT(
        GPTConfig(
            vocab_size=vocab,
            context=context,
            layers=layers,
            width=16,
            attention=attention,
            shift=TokenShift(),
        ),
        seed,
    )
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=noise)
    return model.eval()


@pytest.fixture
def members() -> list[GPT]:
    """Models of different depth."""
    return [lively(1), lively(2, layers=2)]


IDS = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])


def test_chances_are_the_mean_of_those_of_the_models(members: list[GPT]) -> None:
    """Of each token, at each place."""
    expected = torch.stack([member(IDS).logits.softmax(-1) for member in members]).mean(0)

    torch.testing.assert_close(Ensemble(members)(IDS).logits.exp(), expected)


def test_loss_is_that_of_the_mean_chances(members: list[GPT]) -> None:
    """Over the targets that count."""
    targets = IDS.roll(-1, 1)
    targets[0, :2] = IGNORED
    ensemble = Ensemble(members)
    expected = F.nll_loss(ensemble(IDS).logits.flatten(0, 1), targets.flatten())

    torch.testing.assert_close(ensemble(IDS, targets).loss, expected)


def test_loss_is_zero_where_no_target_counts(members: list[GPT]) -> None:
    """As one model's is."""
    assert Ensemble(members)(IDS, torch.full_like(IDS, IGNORED)).loss == 0


def test_documents_are_kept_apart_in_each_model(members: list[GPT]) -> None:
    """A row of two documents is as each of them alone."""
    ensemble, documents = Ensemble(members), torch.tensor([[0, 0, 1, 1, 1]])
    both = ensemble(IDS[:1], IDS[1:], document_ids=documents).loss
    first = ensemble(IDS[:1, :2], IDS[1:, :2]).loss
    second = ensemble(IDS[:1, 2:], IDS[1:, 2:]).loss

    torch.testing.assert_close(both, 0.4 * first + 0.6 * second)


def test_ensemble_writes_with_caches_what_it_does_without(members: list[GPT]) -> None:
    """Also past the context, and with linears in another type."""
    ensemble = Ensemble(members)
    decoder, window = Decoder(with_linears_in(ensemble, torch.float32), [[7, 7], [1]]), [7, 7]
    for _ in range(12):
        expected = ensemble(torch.tensor([window])).logits[0, -1]

        torch.testing.assert_close(decoder.logits[0], expected)
        chosen = decoder.logits.argmax(-1).tolist()
        decoder.append(chosen)
        window = [*window, chosen[0]]
        window = window if len(window) <= CONTEXT else window[-(CONTEXT // 2) :]


@pytest.mark.parametrize("other", [{"vocab": 51}, {"context": 9}])
def test_models_that_do_not_fit_together_are_refused(other: dict[str, int]) -> None:
    """What differs is named."""
    with pytest.raises(ConfigError, match=f"one {next(iter(other))}"):
        Ensemble([lively(1), lively(2, **other)])


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Two runs of one tokenizer, and one of another."""
    folders = [tmp_path / name for name in ("first", "second", "stranger")]
    for seed, folder in enumerate(folders):
        tokenizer = make_tokenizer("llama3" if folder.name == "stranger" else "gpt2")
        write_imported(folder, lively(seed, vocab=tokenizer.n_vocab), tokenizer)
    (tmp_path / "text.txt").write_text("The cat sat on the mat. " * 20)
    return folders


def test_command_measures_several_runs_as_one(
    runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """What the mean of probabilities has in bits per byte."""
    first, second, _ = (read_checkpoint(run) for run in runs)
    text = runs[0].parent / "text.txt"
    given = ["eval", str(runs[0]), "--data", str(text), "--dtype", "float32", "--json"]
    assert main([*given, "--ensemble", str(runs[1])]) == 0
    found = json.loads(capsys.readouterr().out)
    with open_split_or_text(text, "train", first.tokenizer, first.state.fingerprint) as split:
        expected = evaluate(Ensemble([first.model(), second.model()]), split, runtime=CPU)

    assert found["bits_per_byte"] == pytest.approx(expected.bits_per_byte)


def test_command_writes_with_several_runs(
    runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of one model twice, what that one writes; of two, something else."""
    written = []
    for others in ([], [runs[0]], [runs[1]]):
        given = ["sample", str(runs[0]), "--prompt", "The", "--tokens", "20", "--dtype", "float32"]
        assert main([*given, *(["--ensemble", *map(str, others)] if others else [])]) == 0
        written.append(capsys.readouterr().out)

    assert written[0] == written[1] != written[2]


@pytest.mark.parametrize("command", ["eval", "sample"])
def test_runs_of_two_tokenizers_are_refused(
    command: str, runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """By one line that names the other run."""
    data = ["--data", str(runs[0].parent / "text.txt")] if command == "eval" else ["--prompt", "T"]

    assert main([command, str(runs[0]), *data, "--ensemble", str(runs[2])]) == 1
    assert f"{runs[2]}" in capsys.readouterr().err
