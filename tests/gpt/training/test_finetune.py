"""Tuning: what is learnt of a chat, what a run keeps, and that it goes on as if never stopped."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pytok
from gpt.__main__ import main
from gpt.data.batch import IGNORED
from gpt.data.conversations import ConversationRows, Conversations
from gpt.errors import ConfigError, DataError, TrainingError
from gpt.generation.text import generate
from gpt.interop.imported import write_imported
from gpt.model.gpt import GPT
from gpt.model.growing import grow_vocabulary, token_tables
from gpt.report.events import NullReporter
from gpt.runs.metrics import Row, read_metrics
from gpt.runs.reading import Checkpoint, read_checkpoint
from gpt.spec.adapter import DoRA, LoRA
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.embedding import ValueEmbedding
from gpt.spec.optimizer import AdamW
from gpt.spec.position import Learned
from gpt.spec.recipe import Recipe, TuningRecipe, check_resumable
from gpt.training.finetune import Tuned, plan_tuning, tune
from gpt.training.loop import train
from pytok import shards
from pytok.chat.template import Conversation, Template, Turn, write_conversations
from pytok.tokenizer import Tokenizer
from tests.gpt.conftest import TEXT

KINDS = {"lora": LoRA(rank=2), "dora": DoRA(rank=2), "full": None}
TEMPLATE = Template(speakers=("Ann", "Bob"), me="Bob")


def conversation(number: int, turns: int = 4) -> Conversation:
    """Ann asks, and Bob answers with a word of his own."""
    said = ("Ann", f"what about the {number} owls?"), ("Bob", "the barn, the barn.")
    return Conversation(tuple(Turn(*said[turn % 2]) for turn in range(turns)))


@pytest.fixture(scope="module")
def bpe() -> Tokenizer:
    """A tokenizer without a chat's special tokens."""
    return pytok.train([TEXT], 280, special_tokens=("<|endoftext|>",))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, bpe: Tokenizer) -> Path:
    """A pretrained run, and the shards it learnt from beside it."""
    folder = tmp_path_factory.mktemp("base")
    (folder / "corpus.txt").write_text(TEXT, encoding="utf-8")
    shards.write(folder / "corpus.txt", bpe, folder / "data", val=0.2)
    recipe = Recipe(
        data=folder / "data",
        out=folder / "run",
        steps=30,
        batch_size=4,
        device="cpu",
        dtype="float32",
        compile=False,
        model=Architecture(
            context=32,
            layers=2,
            width=32,
            attention=GroupedQuery(heads=2, kv_heads=2),
            value_embedding=ValueEmbedding(),
            tie=False,
        ),
    )
    train(recipe)
    return recipe.out


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pytok chat build` writes, as far as tuning reads it."""
    folder = tmp_path_factory.mktemp("chat")
    TEMPLATE.save(folder / "chat.json")
    many = [conversation(number, turns=2 + number % 4) for number in range(24)]
    write_conversations(folder / "train.jsonl", many)
    write_conversations(folder / "val.jsonl", [conversation(77), conversation(78)])
    return folder


def planned(base: Path, data: Path, out: Path, kind: str = "lora", **changes: Any) -> TuningRecipe:
    """A run of a second, with evaluations and checkpoints that do not coincide."""
    recipe = plan_tuning(base, data=data, out=out, adapter=KINDS[kind])
    small: dict[str, Any] = {
        "steps": 10,
        "batch_size": 2,
        "eval_every": 3,
        "checkpoint_every": 4,
        "device": "cpu",
        "dtype": "float32",
        "compile": False,
        "threads": 1,
    }
    return dataclasses.replace(recipe, **{**small, **changes})


def tuned_until(recipe: TuningRecipe, step: int) -> Tuned:
    """Tune, but stop after *step* steps."""

    class Until(NullReporter):
        """A reporter that wants an end after the step."""

        asked = False

        def row(self, row: Row, steps: int) -> None:
            self.asked = row.step >= step

    until = Until()
    return tune(recipe, reporter=until, stop=lambda: until.asked)


def history(run: Path) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl but for their times."""
    rows = [dataclasses.asdict(row) for row in read_metrics(run / "metrics.jsonl")]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def same(here: Checkpoint, there: Checkpoint) -> bool:
    return all(
        ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
        for ours, theirs in (
            (here.weights, there.weights),
            (here.optimizer_state, there.optimizer_state),
        )
    )


# Rows of conversations.


def rows_of(
    tmp_path: Path, bpe: Tokenizer, many: list[Conversation], length: int, train_on: Any = "mine"
) -> Conversations:
    write_conversations(tmp_path / "some.jsonl", many)
    tokenizer = TEMPLATE.extend(bpe)
    return Conversations(
        tmp_path / "some.jsonl", TEMPLATE, tokenizer, train_on=train_on, length=length
    )


@pytest.mark.parametrize("train_on", ["mine", "all", "last"])
@pytest.mark.parametrize("length", [6, 16, 64, 400])
def test_every_learnt_token_is_a_target_once(
    tmp_path: Path, bpe: Tokenizer, train_on: Any, length: int
) -> None:
    """Cut into windows or packed together, whatever the mask; nothing else is a target."""
    many = [conversation(number, turns=1 + number % 7) for number in range(9)]
    rows = rows_of(tmp_path, bpe, many, length, train_on)
    rendered = [TEMPLATE.render(each, TEMPLATE.extend(bpe), train_on=train_on) for each in many]
    wanted = [id for each in rendered for id, learnt in zip(*each, strict=True) if learnt]
    batch = rows.batch(range(len(rows.rows)))

    assert sorted(batch.targets[batch.targets != IGNORED].tolist()) == sorted(wanted)
    assert batch.num_targets == rows.num_targets == len(wanted)


@pytest.mark.parametrize("length", [6, 16, 64])
def test_target_follows_its_input_in_the_same_document(
    tmp_path: Path, bpe: Tokenizer, length: int
) -> None:
    """What is read before it came before it in its conversation; it is half a row at least."""
    many = [conversation(number, turns=6) for number in range(4)]
    rows = rows_of(tmp_path, bpe, many, length)
    texts = [TEMPLATE.render(each, TEMPLATE.extend(bpe)).ids for each in many]
    batch = rows.batch(range(len(rows.rows)))
    for inputs, targets, documents in zip(*map(np.asarray, batch), strict=True):
        assert (np.diff(documents) >= 0).all()
        for place in np.flatnonzero(targets != IGNORED):
            own = np.flatnonzero(documents == documents[place])[0]
            read = [*inputs[own : place + 1].tolist(), int(targets[place])]
            found = [
                text[start : start + len(read)] == read
                for text in texts
                for start in range(len(text))
            ]
            assert any(found)
            assert len(read) - 1 >= length // 2 or any(text[: len(read)] == read for text in texts)


def test_rows_are_packed_tightly(tmp_path: Path, bpe: Tokenizer) -> None:
    """Best-fit decreasing needs at most 11/9 of the fewest rows, and one (Johnson 1973)."""
    many = [conversation(number, turns=1 + number % 5) for number in range(60)]
    rows = rows_of(tmp_path, bpe, many, 100, "all")
    fewest = sum(size - 1 for size in rows.sizes) / 100

    assert len(rows.rows) <= 11 / 9 * fewest + 1


def test_bytes_are_those_of_the_turns_learnt(tmp_path: Path, bpe: Tokenizer) -> None:
    """Special tokens have none."""
    rows = rows_of(tmp_path, bpe, [conversation(5, turns=4)], 64)

    assert rows.bytes == 2 * len("the barn, the barn.")


def test_rows_are_a_function_of_seed_and_number(tmp_path: Path, bpe: Tokenizer) -> None:
    """Each epoch has every row once, in an order of its own."""
    many = [conversation(number, turns=4) for number in range(30)]
    rows = rows_of(tmp_path, bpe, many, 64)
    count = len(rows.rows)
    first, again, other = (ConversationRows(rows, seed) for seed in (0, 0, 1))
    epoch = first.batch(0, count).inputs
    order = {tuple(row) for row in epoch.tolist()}

    assert torch.equal(again.batch(3, 4).inputs, epoch[3:7])
    assert not torch.equal(other.batch(0, count).inputs, epoch)
    following = first.batch(count, count).inputs
    assert not torch.equal(following, epoch)
    assert {tuple(row) for row in following.tolist()} == order


@pytest.mark.parametrize("position", [Learned(), None], ids=["learned", "rope"])
def test_packed_conversations_are_read_as_if_alone(
    tmp_path: Path, bpe: Tokenizer, position: Any
) -> None:
    """The loss of packed rows is that of the conversations one by one."""
    many = [conversation(number, turns=2) for number in range(5)]
    rows = rows_of(tmp_path, bpe, many, 128)
    spec = {} if position is None else {"position": position}
    config = GPTConfig(
        vocab_size=320,
        context=128,
        layers=2,
        width=16,
        **spec,
        attention=GroupedQuery(heads=2, kv_heads=2),
    )
    model = GPT(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape)
    batch = rows.batch(range(len(rows.rows)))
    packed = (
        model(batch.inputs, batch.targets, document_ids=batch.document_ids).loss * batch.num_targets
    )
    alone = 0.0
    for each in many:
        ids, mask = TEMPLATE.render(each, TEMPLATE.extend(bpe))
        inputs, targets = torch.tensor([ids[:-1]]), torch.tensor([ids[1:]])
        targets[~torch.tensor([mask[1:]])] = IGNORED
        alone += model(inputs, targets).loss * sum(mask)

    assert len(rows.rows) < len(many)
    torch.testing.assert_close(packed, alone, rtol=1e-5, atol=1e-4)


# The vocabulary.


def test_grown_model_keeps_what_it_knew(base: Path) -> None:
    """Logits of the base's tokens are equal; new rows are near the mean, and differ."""
    model = read_checkpoint(base).model()
    config = dataclasses.replace(model.config, vocab_size=290)
    new = grow_vocabulary(model, config, seed=0).eval()
    ids = torch.arange(20)[None]

    torch.testing.assert_close(new(ids).logits[..., :280], model(ids).logits)
    tables = dict(new.named_modules())
    for name in token_tables(new):
        rows: Any = tables[name].weight
        spread = rows[:280].std(0)
        assert ((rows[280:290] - rows[:280].mean(0)).abs() < 0.6 * spread).all()
        assert len(rows[280:290].unique(dim=0)) == 10
        assert not rows[290:].any()


# Runs.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stop_at", [1, 5])
def test_stopped_run_goes_on_bit_for_bit(
    base: Path, chat: Path, tmp_path: Path, kind: str, stop_at: int
) -> None:
    """Adapters, rows of new tokens, optimizer state, and what the checkpoint's readers see."""
    whole, broken = (planned(base, chat, tmp_path / name, kind) for name in ("whole", "broken"))
    tune(whole)
    stopped = tuned_until(broken, stop_at)
    resumed = tune(broken)

    assert (stopped.outcome.finished, resumed.outcome.finished) == (False, True)
    assert stopped.val is None
    assert history(broken.out) == history(whole.out)
    assert same(read_checkpoint(broken.out), read_checkpoint(whole.out))


@pytest.mark.parametrize("kind", KINDS)
def test_tuned_run_is_a_whole_model(base: Path, chat: Path, tmp_path: Path, kind: str) -> None:
    """Better on the turns held out, equal to what was measured, read and sampled as any other."""
    recipe = planned(base, chat, tmp_path / "run", kind, steps=40, eval_every=10)
    tuned = tune(recipe)
    found = read_checkpoint(recipe.out)
    model, tokenizer = found.model(), found.tokenizer()
    plain = read_checkpoint(base).model()

    assert tuned.val is not None
    assert tuned.val.after < 0.8 * tuned.val.before
    assert tuned.val.after == pytest.approx(tuned.outcome.state.best_val_bpb)
    assert found.weights.keys() == dict(plain.named_parameters()).keys()
    assert found.data_files["chat.json"] == (chat / "chat.json").read_bytes()
    assert tokenizer.special_tokens["<|speaker_1|>"] == 283
    assert len("".join(generate(model, tokenizer, "the", max_tokens=5))) > 0


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_adapters_leave_the_base_where_it_was(
    base: Path, chat: Path, tmp_path: Path, kind: str
) -> None:
    """Rows of its tokens, norms and residual weights; only linears and new rows are others."""
    tune(planned(base, chat, tmp_path / "run", kind))
    before, now = read_checkpoint(base).weights, read_checkpoint(tmp_path / "run").weights
    for name, weight in before.items():
        adapted = ".attention." in name or ".mlp." in name
        kept = torch.equal(weight[:280], now[name][:280])
        assert kept is not adapted, name
    optimizer_state = read_checkpoint(tmp_path / "run").optimizer_state
    kept = {name for name in optimizer_state if name.endswith(":exp_avg")}
    assert all("down" in name or "up" in name or "rows" in name or "magn" in name for name in kept)


def test_full_tuning_moves_all_weights(base: Path, chat: Path, tmp_path: Path) -> None:
    """Nothing is frozen."""
    tune(planned(base, chat, tmp_path / "run", "full"))
    before, now = read_checkpoint(base).weights, read_checkpoint(tmp_path / "run").weights

    assert not any(torch.equal(weight[:280], now[name][:280]) for name, weight in before.items())


def test_base_is_not_written_to(base: Path, chat: Path, tmp_path: Path) -> None:
    """Its folder is as it was."""
    before = {path: path.read_bytes() for path in base.rglob("*") if path.is_file()}
    tune(planned(base, chat, tmp_path / "run"))

    assert {path: path.read_bytes() for path in base.rglob("*") if path.is_file()} == before


def test_run_ends_when_patience_does_and_keeps_the_best(
    base: Path, chat: Path, tmp_path: Path
) -> None:
    """Given again it has ended, and with more patience it goes on."""
    recipe = planned(
        base,
        chat,
        tmp_path / "run",
        "full",
        steps=60,
        eval_every=2,
        patience=2,
        optimizer=AdamW(lr=0.02),
    )
    tuned = tune(recipe)
    state = tuned.outcome.state
    rows = [row for row in read_metrics(recipe.out / "metrics.jsonl") if row.val_bpb is not None]
    best = min(rows, key=lambda row: row.val_bpb or 0)

    assert state.step == best.step + 4 < 60
    assert (state.best_step, tuned.outcome.finished) == (best.step, True)
    assert tuned.val is not None
    assert tuned.val.after == pytest.approx(best.val_bpb)
    assert tune(recipe).outcome.state.step == state.step
    assert tune(dataclasses.replace(recipe, patience=3)).outcome.state.step > state.step


def test_base_is_kept_where_nothing_is_better(
    base: Path,
    tmp_path: Path,
    bpe: Tokenizer,
    measure: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is measured once, as the first of all evaluations; the last lines say what to try."""
    measure(1.0, 3.0, 2.0, 1.0)  # the base, two steps, and what is kept
    run = tmp_path / "run"
    command = ["tune", str(base), "--data", str(base.parent / "data"), "--out", str(run)]
    command += ["--full", "--lr", "0.01", "--eval-every", "1", "--patience", "2"]
    code = main([*command, "--device", "cpu", "--dtype", "float32", "--compile", "False"])
    best, before = read_checkpoint(run / "best"), read_checkpoint(base).weights
    printed = capsys.readouterr().err

    assert code == 0
    assert (best.state.step, best.state.best_step) == (2, 0)
    for name, weight in best.weights.items():  # tables have rows beyond the vocabulary, too
        assert torch.equal(weight[: bpe.n_vocab], before[name][: bpe.n_vocab]), name
    assert f"nothing was better than the base, so {run} has the base's weights" in printed
    assert "a lower --lr than 0.01, or fewer --epochs" in printed
    assert "1.0000 -> 1.0000 bits per byte" in printed


def test_what_is_forgotten_is_told(base: Path, chat: Path, tmp_path: Path) -> None:
    """On the base's own validation split; the summary has it, too."""
    recipe = planned(base, chat, tmp_path / "run", "full", optimizer=AdamW(lr=0.01))
    tuned = tune(recipe)
    summary = json.loads((recipe.out / "tuning.json").read_text())

    assert tuned.base is not None
    assert tuned.base.before == pytest.approx(read_checkpoint(base).state.val_bpb)
    assert tuned.base.after > tuned.base.before
    assert summary["base_bpb"] == dataclasses.asdict(tuned.base)
    assert summary["val_bpb"]["after"] < summary["val_bpb"]["before"]


def test_base_data_that_is_gone_is_said(
    base: Path, chat: Path, tmp_path: Path, bpe: Tokenizer
) -> None:
    """An imported base has none; --base-data names it, and is refused where it does not fit."""
    run = tmp_path / "imported"
    write_imported(run, read_checkpoint(base).model(), bpe)
    notices: list[str] = []

    class Listener(NullReporter):
        def notice(self, text: str) -> None:
            notices.append(text)

    recipe = planned(run, chat, tmp_path / "run", steps=1)
    without = tune(recipe, reporter=Listener())
    named = tune(recipe, base_data=base.parent / "data")

    assert without.base is None
    assert any("what is forgotten is not measured" in text for text in notices)
    assert named.base is not None
    with pytest.raises(DataError, match="not found"):
        tune(recipe, base_data=tmp_path / "nowhere")


def test_turns_are_chosen_of_a_chat_only(base: Path, tmp_path: Path) -> None:
    """Of text all is learnt, whatever somebody asks for."""
    data = base.parent / "data"
    with pytest.raises(ConfigError, match=r"\(--train-on\) is of a chat's turns, .* leave it away"):
        plan_tuning(base, data=data, out=tmp_path / "run", train_on="last")


def test_text_is_learnt_by_its_own_tokenizer(base: Path, tmp_path: Path, bpe: Tokenizer) -> None:
    """Continued pretraining: all tokens; the shards of another tokenizer are refused."""
    (tmp_path / "more.txt").write_text("the owl sleeps in the barn. " * 60, encoding="utf-8")
    shards.write(tmp_path / "more.txt", bpe, tmp_path / "data", val=0.2)
    recipe = planned(base, tmp_path / "data", tmp_path / "run")
    tuned = tune(recipe)

    assert tuned.val is not None
    assert tuned.val.after < tuned.val.before
    assert read_checkpoint(recipe.out).state.fingerprint == bpe.fingerprint
    other = pytok.train([TEXT], 270)
    shards.write(tmp_path / "more.txt", other, tmp_path / "other", val=0.2)
    with pytest.raises(DataError, match="was written with the tokenizer"):
        planned(base, tmp_path / "other", tmp_path / "run")


def test_diverged_run_keeps_its_last_checkpoint(base: Path, chat: Path, tmp_path: Path) -> None:
    """And says so, as in training."""
    optimizer = AdamW(lr=1e25, weight_decay=0.0)
    recipe = planned(
        base, chat, tmp_path / "run", "full", checkpoint_every=1, eval_every=99, optimizer=optimizer
    )
    with pytest.raises(TrainingError, match=r"step-0000000\d is kept"):
        tune(recipe)

    assert read_checkpoint(recipe.out).state.step >= 1


def test_chat_can_be_tuned_again(base: Path, chat: Path, tmp_path: Path) -> None:
    """A tuned run is a base as any other; its special tokens are there already."""
    tune(planned(base, chat, tmp_path / "first"))
    again = planned(tmp_path / "first", chat, tmp_path / "second")
    tuned = tune(again)

    assert tuned.outcome.finished
    config = read_checkpoint(again.out).state.config
    assert config.vocab_size == read_checkpoint(tmp_path / "first").state.config.vocab_size


def test_recipe_goes_through_json(base: Path, chat: Path, tmp_path: Path) -> None:
    """As a checkpoint keeps it."""
    recipe = planned(base, chat, tmp_path / "run", "dora")

    assert TuningRecipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_other_run_in_the_folder_is_refused(base: Path, chat: Path, tmp_path: Path) -> None:
    """A pretraining one, or one with other adapters."""
    recipe = planned(base, chat, tmp_path / "run")

    with pytest.raises(ConfigError, match="a run of another kind"):
        check_resumable(read_checkpoint(base).state.recipe, recipe)
    with pytest.raises(ConfigError, match=r"adapter\.rank = 2, and this recipe has 4"):
        check_resumable(recipe, dataclasses.replace(recipe, adapter=LoRA(rank=4)))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("chat.json", "{", "chat.json: not JSON"),
        ("train.jsonl", "", "none of the 0 conversations has a turn to learn"),
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
    """Which file, and what to do."""
    data = tmp_path / "data"
    shutil.copytree(chat, data)
    (data / file).unlink()
    if content is not None:
        (data / file).write_text(content, encoding="utf-8")
    code = main(["tune", str(base), "--data", str(data), "--out", str(tmp_path / "run")])
    printed = capsys.readouterr().err

    assert code == 1
    assert message in printed
    assert printed.count("\n") == 1


def test_command_tunes_says_so_and_goes_on(
    base: Path, chat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its plan, what it made better, and what it made worse; given again, it has nothing to do."""
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
    ):
        assert part in printed, part
    assert read_checkpoint(tmp_path / "run").state.recipe.adapter == LoRA(rank=4)  # type: ignore[union-attr]
    report = (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
    for part in (
        "A chat of ",
        "; learnt of its turns: ",
        "What `gpt tune` made it",
        r"`<\|end\|>`",
    ):
        assert part in report, part


@pytest.mark.parametrize(
    ("option", "value"),
    [("epochs", "0"), ("epochs", "nan"), ("epochs", "inf"), ("batch-size", "0"), ("lr", "0")],
)
def test_command_refuses_numbers_that_cannot_be(
    base: Path,
    chat: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
    value: str,
) -> None:
    """None of them stands for the default."""
    command = ["tune", str(base), "--data", str(chat), "--out", str(tmp_path / "run")]

    assert main([*command, f"--{option}", value]) == 1
    assert re.match(rf"gpt: {option.replace('-', '_')} must be .*\n$", capsys.readouterr().err)


def test_command_knows_one_way_at_a_time(
    base: Path, chat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of three."""
    command = ["tune", str(base), "--data", str(chat), "--out", str(tmp_path / "run")]

    assert main([*command, "--lora", "4", "--full"]) == 1
    assert "--lora, --dora and --full are three ways; choose one" in capsys.readouterr().err


def test_command_refuses_fields_of_adapters_without_them(
    base: Path, chat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By name, and nothing is trained."""
    command = ["tune", str(base), "--data", str(chat), "--out", str(tmp_path / "run")]

    assert main([*command, "--full", "--alpha", "3"]) == 1
    assert capsys.readouterr().err == (
        "gpt: alpha is a field of adapters, and --full has none; leave one away\n"
    )
    assert not (tmp_path / "run").exists()
