"""`gpt prune`: the rows of a pruned tokenizer, compared with the model before."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

import pytok
from gpt.__main__ import main
from gpt.data.batch import Batch
from gpt.errors import DataError
from gpt.evaluation.bits_per_byte import evaluate_batches
from gpt.interop.huggingface import export_folder
from gpt.interop.pruned import write_pruned
from gpt.parallel.runtime import Runtime
from gpt.runs.reading import Checkpoint, read_checkpoint
from gpt.spec.embedding import ValueEmbedding
from gpt.spec.head import SoftCap
from pytok.pruning import Pruned, prune
from tests.gpt.interop.exportable import SHAPES, TEXTS, make_run, make_tokenizer

MODELS: dict[str, dict[str, Any]] = {
    "tied": SHAPES["gpt2"],
    "untied": SHAPES["llama"],
    "value embeddings, capped": {
        **SHAPES["llama"],
        "value_embedding": ValueEmbedding(),
        "cap": SoftCap(limit=5.0),
    },
}


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> Pruned:
    """A tokenizer with what the first of the texts needs, and the ids that it has kept."""
    corpus = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    corpus.write_text(TEXTS[0], encoding="utf-8", newline="")
    return prune(make_tokenizer(), corpus)


def runs(tmp_path: Path, fields: dict[str, Any], pruned: Pruned) -> tuple[Checkpoint, Checkpoint]:
    """Write a run and the one pruned from it."""
    before = make_run(tmp_path / "before", fields, make_tokenizer())
    pruned.tokenizer.save(tmp_path / "pruned.json")
    arguments = ["prune", str(before.folder), "--tokenizer", str(tmp_path / "pruned.json")]
    assert main([*arguments, "--out", str(tmp_path / "after")]) == 0
    return before, read_checkpoint(tmp_path / "after")


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_those_of_the_kept_tokens(name: str, pruned: Pruned, tmp_path: Path) -> None:
    before, after = runs(tmp_path, MODELS[name], pruned)
    ids = torch.arange(40)[None] * 7 % len(pruned.ids)
    kept = torch.from_numpy(pruned.ids)
    with torch.inference_mode():
        old, new = before.model()(kept[ids])[..., kept], after.model()(ids)

    assert new.shape == (1, 40, len(pruned.ids))
    torch.testing.assert_close(new, old, rtol=1e-5, atol=1e-5)
    assert after.tokenizer().fingerprint == pruned.tokenizer.fingerprint


def test_the_loss_of_kept_tokens_is_lower_by_what_the_others_had(
    pruned: Pruned, tmp_path: Path
) -> None:
    """By the negative logarithm of the probability of all kept tokens, at each position."""
    before, after = runs(tmp_path, MODELS["untied"], pruned)
    new = torch.tensor(pruned.tokenizer.encode(TEXTS[0]))
    old = torch.tensor(make_tokenizer().encode(TEXTS[0]))
    kept = torch.from_numpy(pruned.ids)
    with torch.inference_mode():
        log_probabilities = before.model()(old[None, :-1])[0].log_softmax(-1)
        logits = after.model()(new[None, :-1])[0]
        evaluation = evaluate_batches(
            after.model(),
            [Batch(new[None, :-1], new[None, 1:])],
            targets=len(new) - 1,
            bytes=len(TEXTS[0].encode()),
            runtime=Runtime.choose("cpu", "float32"),
        )
    remaining = log_probabilities[:, kept].logsumexp(-1)
    expected = F.nll_loss(log_probabilities, old[1:], reduction="none") + remaining

    assert kept[new].tolist() == old.tolist()
    assert (remaining < 0).all()
    losses = F.cross_entropy(logits, new[1:], reduction="none")
    torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-4)
    bits = float(expected.sum()) / math.log(2) / len(TEXTS[0].encode())
    assert evaluation.bits_per_byte == pytest.approx(bits, rel=1e-4)


def test_a_pruned_run_samples_evaluates_tunes_and_exports(
    pruned: Pruned, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As an imported one does."""
    runs(tmp_path, MODELS["untied"], pruned)
    text, data, run = tmp_path / "text.txt", tmp_path / "data", tmp_path / "after"
    text.write_text(TEXTS[0] * 20, encoding="utf-8", newline="")
    pytok.shards.write(text, pytok.load(tmp_path / "pruned.json"), data)
    capsys.readouterr()

    assert main(["sample", str(run), "--prompt", "The cat", "--tokens", "3"]) == 0
    assert capsys.readouterr().out.startswith("The cat")
    assert main(["eval", str(run), "--data", str(text)]) == 0
    tuned = ["tune", str(run), "--data", str(data), "--out", str(tmp_path / "tuned"), "--full"]
    assert main([*tuned, "--set", "steps=2"]) == 0
    assert read_checkpoint(tmp_path / "tuned").state.config.vocab_size == len(pruned.ids)
    assert export_folder(read_checkpoint(run), tmp_path / "hf").name == "llama"


def test_the_chat_template_is_kept(pruned: Pruned, tmp_path: Path) -> None:
    before, _ = runs(tmp_path, MODELS["tied"], pruned)
    before.data_files["chat.json"] = b"{}"

    write_pruned(tmp_path / "chat", before, pruned.tokenizer)

    assert read_checkpoint(tmp_path / "chat").data_files["chat.json"] == b"{}"


def test_another_tokenizer_is_rejected(tmp_path: Path) -> None:
    before = make_run(tmp_path / "run", SHAPES["gpt2"], make_tokenizer())
    other = pytok.train(["other words"], 262)

    with pytest.raises(DataError, match=r"not pruned from this vocabulary.*`pytok prune .*json`$"):
        write_pruned(tmp_path / "out", before, other)
    assert not (tmp_path / "out").exists()
