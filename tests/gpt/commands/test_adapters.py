"""Adapters in commands: exported, sampled with, tuned further, and switched while chatting."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt.__main__ import main
from gpt.commands.chat_adapters import named_paths
from gpt.errors import ConfigError, FormatError
from gpt.generation.conversation import ChatSession, Roles
from gpt.interop.adapters import open_adapter
from gpt.interop.peft import export_adapter
from gpt.runs.adapters import adapter_of
from gpt.runs.reading import read_checkpoint
from gpt.spec.adapter import DoRA, LoRA
from gpt.training.tuning.planning import plan_tuning
from gpt.training.tuning.run import tune
from pytok.chat.template import write_conversations
from tests.gpt.interop.exportable import SHAPES, make_run, make_tokenizer
from tests.gpt.talks import GREEDY, GROUP, TWO, chat_tokenizer, lively, said, talk_of
from tests.gpt.training.interrupted import StopAfter, tensors
from tests.gpt.training.tuning import TEMPLATE, conversation, small_recipe

CPU = ["--device", "cpu", "--dtype", "float32"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, a chat, and the runs `lora` and `dora`, tuned on it; `peft` is `lora` exported."""
    folder = tmp_path_factory.mktemp("adapters")
    make_run(folder / "base", SHAPES["llama"], make_tokenizer())
    chat = folder / "chat"
    chat.mkdir()
    TEMPLATE.save(chat / "chat.json")
    write_conversations(chat / "train.jsonl", [conversation(number) for number in range(8)])
    write_conversations(chat / "val.jsonl", [conversation(77)])
    for name, adapter in (("lora", LoRA(rank=2, scaling="root")), ("dora", DoRA(rank=3))):
        recipe = small_recipe(folder / "base", chat, folder / name, steps=3, patience=None)
        task: Any = dataclasses.replace(recipe.task, adapter=adapter)
        optimizer = dataclasses.replace(recipe.optimizer, lr=0.05)
        tune(dataclasses.replace(recipe, task=task, optimizer=optimizer))
    assert main(["export", str(folder / "lora"), str(folder / "peft"), "--to", "peft"]) == 0
    return folder


def run_of(folder: Path, out: Path, adapter: Path, until: int = 3) -> Path:
    """Tune *adapter* further on the chat, in three steps, and stop after the step *until*."""
    plan = plan_tuning(
        folder / "base", data=folder / "chat", out=out, initial_adapter=adapter, batch_size=2
    )
    recipe = dataclasses.replace(
        plan.recipe,
        **{"steps": 3, "eval_every": 1, "checkpoint_every": 1, "patience": None},
        **{"device": "cpu", "dtype": "float32", "compile": False},
    )
    stop = StopAfter(until)
    tune(plan.with_recipe(recipe), reporter=stop, stop=stop)
    return out


@pytest.mark.parametrize("name", ["lora", "dora", "peft"])
def test_a_run_starts_from_an_adapter(folder: Path, tmp_path: Path, name: str) -> None:
    """Its first evaluation is that of the tuned run, whose method, rank and alpha it has."""
    run = read_checkpoint(run_of(folder, tmp_path / "run", folder / name))
    source = read_checkpoint(folder / ("lora" if name == "peft" else name))
    theirs = open_adapter(folder / name, read_checkpoint(folder / "base"))
    spec: Any = run.state.recipe.task.adapter
    found = run.state.first_score
    tokens = run.config.vocab_size

    assert found == pytest.approx(source.state.score, abs=1e-5)
    assert (type(spec), spec.rank) == (type(theirs.spec), theirs.spec.rank)
    assert spec.scale == pytest.approx(theirs.spec.scale)
    assert tokens == source.config.vocab_size
    assert set(adapter_of(run).rows) == set(adapter_of(source).rows)
    before, after = (adapter_of(each).rows["embedding"].values for each in (source, run))
    assert not torch.equal(before, after)


def test_a_run_from_an_adapter_resumes_bit_for_bit(folder: Path, tmp_path: Path) -> None:
    """The adapter is only where it starts."""
    whole = read_checkpoint(run_of(folder, tmp_path / "whole", folder / "peft"))
    run_of(folder, tmp_path / "parts", folder / "peft", until=1)
    parts = read_checkpoint(run_of(folder, tmp_path / "parts", folder / "peft"))
    ours, theirs = tensors(parts), tensors(whole)

    assert parts.state.step == 3
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("name", ["lora", "peft"])
def test_sampling_with_an_adapter_is_sampling_from_the_tuned_run(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Greedy text of the base with the adapter."""
    options = ["--prompt", "The cat", "--tokens", "12", "--temperature", "0", *CPU]
    texts = []
    for arguments in (["lora"], ["base", "--adapter", name], ["base"]):
        paths = [each if each == "--adapter" else str(folder / each) for each in arguments]
        assert main(["sample", *paths, *options]) == 0
        texts.append(capsys.readouterr().out)

    assert texts[0] == texts[1] != texts[2]


def test_adapters_are_switched_in_a_chat(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By name, with a list of them; what cannot be used is one line, and the chat continues."""
    lines = ["hi", "/adapter", "/adapter dora", "/adapter none", "/adapter base", "hi"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    adapters = ["--adapter", f"mine={folder / 'peft'}", "--adapter", str(folder / "dora")]
    code = main(["chat", str(folder / "base"), *adapters, "--tokens", "4", *CPU])
    out, err = capsys.readouterr()

    assert code == 0
    assert "mine answers; there are mine, dora, base\n" in out
    assert "dora answers; there are mine, dora, base\n" in out
    assert out.count("Bob: ") == 2
    assert "no adapter 'none'; there are mine, dora, base\n" in err
    assert "this model was not trained on a chat" in err


def test_after_a_switch_the_conversation_is_read_again() -> None:
    """The answers are those of a session that had the other model from the beginning.

    Also if that has another tokenizer and another template.
    """
    bpe = chat_tokenizer()
    other = bpe.with_special_tokens(["<|more|>"])
    first, second = lively(bpe.n_vocab), lively(other.n_vocab, width=48)
    session = talk_of(first, bpe)
    said(session.reply("the cat"))
    session.switch(second, other, GROUP)
    fresh = ChatSession(second, other, GROUP, Roles.of(TWO), sampling=GREEDY, max_tokens=8)
    fresh.load(session.conversation)
    prompt = session._prompt("Ada")

    assert torch.equal(session._reader.read(prompt), fresh._reader.read(prompt))
    assert said(session.reply("the owl")) == said(fresh.reply("the owl"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["a=x", "a=y"], "'a' is no name for it"),
        (["=x"], "'' is no name"),
        (["base=x"], "'base' is no name"),
    ],
)
def test_names_of_adapters_are_distinct(options: list[str], words: str) -> None:
    """The base has a name, too."""
    with pytest.raises(ConfigError, match=words):
        named_paths(options)


def test_an_adapter_of_another_base_is_rejected(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tuned run knows the weights that it was trained on; shapes show it of one of peft."""
    make_run(tmp_path / "wider", {**SHAPES["llama"], "width": 128}, make_tokenizer())

    assert main(["sample", str(folder / "dora"), "--adapter", str(folder / "lora")]) == 1
    assert "trained on other weights than those of" in capsys.readouterr().err
    assert main(["sample", str(tmp_path / "wider"), "--adapter", str(folder / "peft")]) == 1
    assert (
        "has a tensor of shape (64, 2), but the base requires (128, 2)" in capsys.readouterr().err
    )


def test_a_run_without_an_adapter_is_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is nothing to write for peft, and nothing to add to another model."""
    for command in (
        ["export", str(folder / "base"), str(tmp_path / "out"), "--to", "peft"],
        ["sample", str(folder / "base"), "--adapter", str(folder / "base")],
    ):
        assert main(command) == 1
        assert "has no adapter" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"peft_type": "IA3"}, "peft_type is 'IA3'; supported: LORA"),
        ({"bias": "all"}, "bias is 'all', which gpt does not support"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights is 'pissa', which changes the weights"),
        ({"lora_alpha": "x"}, "lora_alpha is 'x', not a number"),
        ({"lora_alpha": float("nan")}, "lora_alpha is nan, not a number above 0"),
        ({"alpha_pattern": {"(a+)+$": 3}}, "supported: names of modules"),
        ({"trainable_token_indices": [-1]}, "other than ids of tokens"),
        ({"use_dora": True}, "no tensor lora_magnitude_vector"),
        ({"layer_replication": [[0, 1]]}, "layer_replication"),
    ],
    ids=str,
)
def test_what_gpt_does_not_compute_is_named(
    folder: Path,
    tmp_path: Path,
    change: dict[str, Any],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The field of the config, with its file."""
    shutil.copytree(folder / "peft", tmp_path / "peft")
    path = tmp_path / "peft" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    assert main(["sample", str(folder / "base"), "--adapter", str(tmp_path / "peft")]) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"\x00" * 20, None])
def test_a_damaged_file_is_named(
    folder: Path, tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing, empty or not safetensors."""
    shutil.copytree(folder / "peft", tmp_path / "peft")
    path = tmp_path / "peft" / "adapter_model.safetensors"
    path.unlink()
    if content is not None:
        path.write_bytes(content)

    assert main(["sample", str(folder / "base"), "--adapter", str(tmp_path / "peft")]) == 1
    assert str(path) in capsys.readouterr().err


def test_dora_by_inputs_is_not_written(folder: Path, tmp_path: Path) -> None:
    """Magnitudes of peft are one per output."""
    run = read_checkpoint(folder / "dora")
    task: Any = dataclasses.replace(run.state.recipe.task, adapter=DoRA(axis="in"))
    recipe = dataclasses.replace(run.state.recipe, task=task)
    run = dataclasses.replace(run, state=dataclasses.replace(run.state, recipe=recipe))

    with pytest.raises(FormatError, match=r"task\.adapter\.axis is in"):
        export_adapter(run, tmp_path / "out")


def test_an_adapter_excludes_another_method(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its rank and its targets are its own."""
    command = ["tune", str(folder / "base"), "--data", str(folder / "chat")]
    command += ["--out", str(tmp_path / "run"), "--adapter", str(folder / "peft"), "--lora", "4"]

    assert main(command) == 1
    assert "has its own method, rank, alpha and targets" in capsys.readouterr().err
