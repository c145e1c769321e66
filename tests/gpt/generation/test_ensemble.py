"""Ensembles: averages of probabilities, for everything that a single model can do."""

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
from gpt.generation.decoder import Decoder, inference_copy
from gpt.generation.ensemble import Ensemble
from gpt.interop.imported import write_imported
from gpt.model.gpt import GPT
from gpt.parallel.runtime import Runtime
from gpt.runs.reading import read_checkpoint
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.embedding import TokenShift
from tests.gpt.interop.exportable import make_tokenizer
from tests.gpt.models import measured_loss, perturbed

VOCAB, CONTEXT = 50, 8
CPU = Runtime.choose("cpu", "float32")


def member(seed: int, layers: int = 1, vocab: int = VOCAB, context: int = CONTEXT) -> GPT:
    """A model with noise in all weights, which depends on *seed*."""
    config = GPTConfig(
        vocab_size=vocab,
        context=context,
        layers=layers,
        width=16,
        attention=GroupedQuery(heads=2, kv_heads=2),
        shift=TokenShift(),
    )
    return perturbed(config, 0.3, seed)


@pytest.fixture
def members() -> list[GPT]:
    """Models of different depths."""
    return [member(1), member(2, layers=2)]


IDS = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])


def test_an_ensemble_averages_its_members_probabilities(members: list[GPT]) -> None:
    """For each token at each position."""
    expected = torch.stack([each(IDS).softmax(-1) for each in members]).mean(0)

    torch.testing.assert_close(Ensemble(members)(IDS).exp(), expected)


def test_loss_is_that_of_the_average_probabilities(members: list[GPT]) -> None:
    """Ignored targets do not count."""
    targets = IDS.roll(-1, 1)
    targets[0, :2] = IGNORED
    ensemble = Ensemble(members)
    expected = F.nll_loss(ensemble(IDS).flatten(0, 1), targets.flatten())

    torch.testing.assert_close(measured_loss(ensemble, IDS, targets), expected)


def test_loss_is_zero_if_all_targets_are_ignored(members: list[GPT]) -> None:
    """As for a single model."""
    assert measured_loss(Ensemble(members), IDS, torch.full_like(IDS, IGNORED)) == 0


def test_members_mask_documents(members: list[GPT]) -> None:
    """The loss of two packed documents is that of separate ones."""
    ensemble, document_ids = Ensemble(members), torch.tensor([[0, 0, 1, 1, 1]])
    packed = measured_loss(ensemble, IDS[:1], IDS[1:], document_ids)
    first = measured_loss(ensemble, IDS[:1, :2], IDS[1:, :2])
    second = measured_loss(ensemble, IDS[:1, 2:], IDS[1:, 2:])

    torch.testing.assert_close(packed, 0.4 * first + 0.6 * second)


def test_cached_predictions_equal_uncached(members: list[GPT]) -> None:
    """Also past the context, and with fused layers."""
    ensemble = Ensemble(members)
    decoder, window = Decoder(inference_copy(ensemble, torch.float32), [[7, 7], [1]]), [7, 7]
    for _ in range(12):
        expected = ensemble(torch.tensor([window]))[0, -1]

        torch.testing.assert_close(decoder.logits[0], expected)
        chosen = decoder.logits.argmax(-1).tolist()
        decoder.append(chosen)
        window = [*window, chosen[0]]
        window = window if len(window) <= CONTEXT else window[-(CONTEXT // 2) :]


@pytest.mark.parametrize("other", [{"vocab": 51}, {"context": 9}])
def test_models_that_do_not_fit_together_are_rejected(other: dict[str, int]) -> None:
    """The message names the difference."""
    with pytest.raises(ConfigError, match=f"the same {next(iter(other))}"):
        Ensemble([member(1), member(2, **other)])


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Two runs with the same tokenizer, and one with another."""
    folders = [tmp_path / name for name in ("first", "second", "other")]
    for seed, folder in enumerate(folders):
        tokenizer = make_tokenizer("llama3" if folder.name == "other" else "gpt2")
        write_imported(folder, member(seed, vocab=tokenizer.n_vocab), tokenizer)
    (tmp_path / "text.txt").write_text("The cat sat on the mat. " * 20)
    return folders


def test_eval_command_takes_an_ensemble(
    runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The bits per byte are those of the average probabilities."""
    first, second, _ = (read_checkpoint(run) for run in runs)
    text = runs[0].parent / "text.txt"
    given = ["eval", str(runs[0]), "--data", str(text), "--dtype", "float32", "--json"]
    assert main([*given, "--ensemble", str(runs[1])]) == 0
    found = json.loads(capsys.readouterr().out)
    with open_split_or_text(text, "train", first.tokenizer, first.state.fingerprint) as split:
        expected = evaluate(Ensemble([first.model(), second.model()]), split, runtime=CPU)

    assert found["bits_per_byte"] == pytest.approx(expected.bits_per_byte)


def test_sample_command_takes_an_ensemble(
    runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A model twice generates the same text as once; two models generate another."""
    texts = []
    for others in ([], [runs[0]], [runs[1]]):
        given = ["sample", str(runs[0]), "--prompt", "The", "--tokens", "20", "--dtype", "float32"]
        assert main([*given, *(["--ensemble", *map(str, others)] if others else [])]) == 0
        texts.append(capsys.readouterr().out)

    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize("command", ["eval", "sample"])
def test_runs_with_different_tokenizers_are_rejected(
    command: str, runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the other run."""
    data = ["--data", str(runs[0].parent / "text.txt")] if command == "eval" else ["--prompt", "T"]

    assert main([command, str(runs[0]), *data, "--ensemble", str(runs[2])]) == 1
    assert f"{runs[2]}" in capsys.readouterr().err
