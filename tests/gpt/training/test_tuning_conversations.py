"""`gpt tune` on conversations of a user and an assistant, with the chat templates of all models."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from gpt.__main__ import main
from gpt.commands.following import next_command
from gpt.data.conversations import Conversations
from gpt.errors import DataError
from gpt.generation.conversation import open_session
from gpt.generation.sampling import Sampling
from gpt.interop.imported import write_imported
from gpt.runs.reading import Checkpoint, read_checkpoint
from gpt.training.tasks.conversations import ChatData
from gpt.training.tuning.planning import TuningPlan, plan_tuning
from gpt.training.tuning.run import tune
from pytok.chat.jinja_template import JinjaTemplate
from pytok.chat.template import Conversation, Turn
from pytok.chat.templates import KNOWN
from pytok.errors import ChatError
from pytok.tokenizer import Tokenizer
from tests.gpt.training.tuning import small_recipe, tune_until

SMALL = ["--epochs", "0.1", "--device", "cpu", "--dtype", "float32", "--compile", "False"]
QUICK = {"device": "cpu", "dtype": "float32", "compile": False, "threads": 1, "steps": 2}


def talk(number: int, turns: int = 2) -> dict[str, Any]:
    """A conversation in OpenAI's format, as long as *turns* says."""
    said = [
        {"role": "user", "content": f"what about the {number} owls?"},
        {"role": "assistant", "content": "the barn, the barn."},
    ]
    return {"messages": [{"role": "system", "content": "the cat"}, *(said * turns)[:turns]]}


def write(path: Path, many: list[Any]) -> Path:
    """Write *many* as JSON lines."""
    path.write_text("".join(json.dumps(each) + "\n" for each in many))
    return path


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    """Twenty conversations."""
    return write(tmp_path / "talks.jsonl", [talk(number) for number in range(20)])


def planned(base: Path, data: Path, out: Path, **fields: Any) -> TuningPlan:
    """A plan of two steps."""
    return plan_tuning(base, data=data, out=out, **fields).replace(**QUICK)


def chat_of(plan: TuningPlan) -> Any:
    """The rendered conversations of *plan*."""
    assert isinstance(plan.data, ChatData)
    return plan.data.chat


@pytest.fixture(scope="module")
def instruct(tmp_path_factory: pytest.TempPathFactory, bpe: Tokenizer) -> Path:
    """A random Llama with ChatML as transformers saves it, imported as a run."""
    folder = tmp_path_factory.mktemp("instruct")
    tokenizer = KNOWN["chatml"].extend(bpe)
    tokenizer.save(folder / "tokenizer.json")
    special = tokenizer.special_tokens
    theirs = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), eos_token="<|im_end|>"
    )
    theirs.chat_template = KNOWN["chatml"].source
    config = LlamaConfig(
        vocab_size=tokenizer.n_vocab,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=128,
        eos_token_id=special["<|im_end|>"],
        bos_token_id=None,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder / "model")
    theirs.save_pretrained(folder / "model")
    assert main(["import", str(folder / "model"), "--out", str(folder / "run")]) == 0
    return folder / "run"


@pytest.mark.parametrize("template", ["ours", "chatml", "llama3"])
def test_the_template_is_stored_and_used_to_chat(
    instruct: Path, talks: Path, tmp_path: Path, template: Any
) -> None:
    """The next command chats, and the assistant answers."""
    plan = planned(instruct, talks, tmp_path / "run", template=template)
    tune(plan)
    checkpoint = read_checkpoint(tmp_path / "run")
    session = open_session(checkpoint, sampling=Sampling(temperature=0), max_tokens=4)
    answer = [*session.reply("what about the 3 owls?")]
    assert {delta.speaker for delta in answer} == {"assistant"}

    assert next_command(tmp_path / "run") == f"gpt chat {tmp_path / 'run'}"
    stored = checkpoint.chat_template()
    assert stored is not None
    conversation = Conversation((Turn("user", "a"), Turn("assistant", "b")), "c")
    rendered = chat_of(plan).template.render(conversation, chat_of(plan).tokenizer)
    assert stored.render(conversation, checkpoint.tokenizer()) == rendered


def test_a_tuned_run_keeps_its_template(base: Path, talks: Path, tmp_path: Path) -> None:
    """Tuning it again without --template continues with the same tokens."""
    tune(planned(base, talks, tmp_path / "first", template="chatml"))
    again = chat_of(planned(tmp_path / "first", talks, tmp_path / "second"))
    ours = chat_of(planned(tmp_path / "first", talks, tmp_path / "third", template="ours"))

    assert again.template.source == KNOWN["chatml"].source
    assert again.tokenizer.n_vocab == read_checkpoint(tmp_path / "first").tokenizer().n_vocab
    assert ours.template.speakers == ("user", "assistant")


def test_the_fraction_held_out_is_a_fixed_choice(base: Path, talks: Path, tmp_path: Path) -> None:
    """The same with every seed, so that runs can be compared; 0 holds out nothing."""
    sizes = []
    for seed, fields in ((0, {}), (5, {}), (0, {"val": 0.5}), (0, {"val": 0.0})):
        chat = chat_of(planned(base, talks, tmp_path / "run", seed=seed, **fields))
        sizes.append((len(chat.train.sizes), len(chat.val.sizes), chat.val.ids.tolist()))

    assert [size[:2] for size in sizes] == [(18, 2), (18, 2), (10, 10), (20, 0)]
    assert sizes[0] == sizes[1]


def test_a_folder_has_its_own_validation_split(base: Path, talks: Path, tmp_path: Path) -> None:
    """Of which a fraction cannot be chosen."""
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(talks, folder / "train.jsonl")
    assert chat_of(planned(base, folder, tmp_path / "run")).val.sizes
    write(folder / "val.jsonl", [talk(77)])
    chat = chat_of(planned(base, folder, tmp_path / "run"))

    assert (len(chat.train.sizes), len(chat.val.sizes)) == (20, 1)
    with pytest.raises(DataError, match=r"val.jsonl is what is held out; remove --val 0.3"):
        planned(base, folder, tmp_path / "run", val=0.3)


def test_one_conversation_has_no_validation_split(base: Path, tmp_path: Path) -> None:
    """Which is said, with conversations that are cut, and fields that are not read."""
    long = {**talk(1, turns=40), "source": "me"}
    plan = planned(base, write(tmp_path / "one.jsonl", [long]), tmp_path / "run")
    summary = plan.task().summary

    assert "1 conversation (1 of them cut into windows)" in summary
    assert "; no validation split; fields that are not read: source" in summary
    assert tune(plan).val is None


@pytest.mark.parametrize("template", ["ours", "chatml"])
def test_what_is_trained_on_can_be_chosen(base: Path, tmp_path: Path, template: Any) -> None:
    """Outputs of tools never are, instructions only with "text"."""
    messages = [*talk(1)["messages"], {"role": "tool", "content": "dog"}]
    data = write(tmp_path / "some.jsonl", [{"messages": messages}])
    texts = {}
    for train_on in ("mine", "last", "all", "text"):
        fields = {"train_on": train_on, "template": template}
        chat = chat_of(planned(base, data, tmp_path / "run", **fields))
        texts[train_on] = chat.tokenizer.decode(chat.train.ids[chat.train.is_target].tolist())

    assert "barn" in texts["mine"] == texts["last"]
    assert "owls" not in texts["mine"]
    assert "owls" in texts["all"]
    assert texts["text"] == "the catwhat about the 1 owls?the barn, the barn."
    assert not any("dog" in text for text in texts.values())
    assert "the cat" not in texts["mine"] + texts["all"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "talks.jsonl, line 2: not JSON"),
        ('{"messages": [{"role": "user"}]}', "line 2: messages[0].content is null, not a string"),
        ('{"prompt": "x"}', "line 2: the object has none of the fields conversations, messages"),
        (
            '{"messages": [{"role": "user", "content": "x"}]}',
            "line 2: no turn that --train-on mine trains on, which are those of the assistant",
        ),
    ],
)
def test_a_wrong_line_is_one_line_of_error(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    """It names the file, the line and the field, and nothing is written."""
    data = tmp_path / "talks.jsonl"
    data.write_text(json.dumps(talk(1)) + "\n" + line + "\n")
    command = ["tune", str(base), "--data", str(data), "--out", str(tmp_path / "run")]

    assert main(command) == 1
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 2  # the first says that a run is to be tuned
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "source", ["{% if %}", "{% for m in messages %}{{ m.content }}{% endfor %}"]
)
def test_a_base_whose_template_does_not_fit_needs_another(
    instruct: Path, talks: Path, tmp_path: Path, source: str
) -> None:
    """The error names the base, and says so; its model can be exported as it is."""
    run = tmp_path / "base"
    checkpoint = read_checkpoint(instruct)
    broken = JinjaTemplate(source)
    definition = checkpoint.tokenizer().definition
    settings = definition.settings._replace(config={"chat_template": source})
    tokenizer = Tokenizer.from_definition(dataclasses.replace(definition, settings=settings))
    write_imported(run, checkpoint.model(), tokenizer)

    assert JinjaTemplate.of(tokenizer) == broken
    with pytest.raises(ChatError, match=rf"{run}.*: the chat template .*; choose another --templ"):
        planned(run, talks, tmp_path / "run")
    assert chat_of(planned(run, talks, tmp_path / "run", template="chatml")).train.sizes
    assert next_command(run).startswith("gpt sample")
    assert main(["export", str(run), str(tmp_path / "out"), "--to", "hf"]) == 0


def test_without_an_assistant_all_turns_can_be_trained_on(base: Path, tmp_path: Path) -> None:
    """As the error says."""
    data = write(tmp_path / "some.jsonl", [{"messages": [{"role": "user", "content": "owl"}]}])

    assert chat_of(planned(base, data, tmp_path / "run", train_on="all")).train.bytes == 3


def test_conversations_that_a_template_rejects_are_named(instruct: Path, tmp_path: Path) -> None:
    """With the template's reason, and the line."""
    data = write(tmp_path / "some.jsonl", [{"turns": [{"speaker": "Ada", "text": "x"}]}])

    with pytest.raises(ChatError, match=r"some.jsonl, line 1: 'Ada' is not a role of this chat"):
        planned(instruct, data, tmp_path / "run")


def test_the_command_tunes_on_a_file(
    base: Path, talks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And again: it has nothing to do; the report says what the data is."""
    command = ["tune", str(base), "--data", str(talks), "--out", str(tmp_path / "run"), *SMALL]
    command += ["--val", "0.25", "--template", "llama3", "--train-on", "text"]

    assert [main(command), main(command)] == [0, 0]
    printed = capsys.readouterr().err
    assert "15 conversations" in printed
    task = read_checkpoint(tmp_path / "run").state.recipe.task
    assert (task.val, task.template, task.train_on) == (0.25, "llama3", "text")
    assert "A chat of " in (tmp_path / "run" / "report.md").read_text()


def test_a_resumed_run_is_that_without_a_stop(base: Path, talks: Path, tmp_path: Path) -> None:
    """Bit for bit: what is held out and how rows are packed follow from the recipe."""
    recipes = [small_recipe(base, talks, tmp_path / name) for name in ("stopped", "whole")]
    tune_until(recipes[0], 5)
    for recipe in recipes:
        tune(recipe)
    stopped, whole = (read_checkpoint(recipe.out) for recipe in recipes)

    assert stopped.state.step == whole.state.step == 10
    assert stopped.state.first_score is not None
    for name, weight in whole.weights.items():
        assert torch.equal(stopped.weights[name], weight), name


def packed(chat: Any, length: int) -> Iterator[tuple[list[int], int, int]]:
    """Yield each packed window: its ids, its row, and where it begins there."""
    rows = Conversations(chat.train, length)
    batch = rows.batch(range(len(rows.rows)))
    for row, windows in enumerate(rows.rows):
        begin = 0
        for window in windows:
            size = window.stop - window.start
            yield batch.inputs[row, begin : begin + size].tolist(), row, begin
            begin += size


@pytest.mark.parametrize("template", ["ours", "chatml", "llama3"])
def test_packed_conversations_have_the_logits_of_each_alone(
    instruct: Path, tmp_path: Path, template: Any
) -> None:
    """In float64: no position attends to another conversation of its row."""
    data = write(tmp_path / "some.jsonl", [talk(n, turns=2 + n % 3) for n in range(6)])
    chat = chat_of(planned(instruct, data, tmp_path / "run", template=template, val=0.0))
    rows = Conversations(chat.train, 128)
    batch = rows.batch(range(len(rows.rows)))
    model = read_checkpoint(instruct).model().double()
    known = model.config.vocab_size
    inputs = batch.inputs % known  # tokens of a template that the model does not have yet
    with torch.no_grad():
        together = model(inputs, document_ids=batch.document_ids)
    assert any(len(windows) > 1 for windows in rows.rows)
    for ids, row, begin in packed(chat, 128):
        with torch.no_grad():
            alone = model(torch.tensor([ids]) % known)
        found = together[row, begin : begin + len(ids)]
        torch.testing.assert_close(found, alone[0], rtol=1e-9, atol=1e-9)


def test_an_imported_model_chats_with_its_own_template(instruct: Path) -> None:
    """Without any tuning; the template is that of its tokenizer_config.json."""
    checkpoint = read_checkpoint(instruct)
    session = open_session(checkpoint, sampling=Sampling(temperature=0), max_tokens=3)

    assert next_command(instruct) == f"gpt chat {instruct}"
    assert {delta.speaker for delta in session.reply("the owl?")} == {"assistant"}
    assert session.roles.you == "user"


def test_an_imported_model_is_tuned_and_exported_with_its_template(
    instruct: Path, talks: Path, tmp_path: Path
) -> None:
    """In transformers it renders the same ids, has the same logits, and stops where a turn ends."""
    tune(planned(instruct, talks, tmp_path / "run"))
    assert main(["export", str(tmp_path / "run"), str(tmp_path / "out"), "--to", "hf"]) == 0
    checkpoint = read_checkpoint(tmp_path / "run")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "out")
    model = LlamaForCausalLM.from_pretrained(tmp_path / "out")
    messages = talk(3, turns=3)["messages"]
    ids = theirs.apply_chat_template(
        messages, tokenize=True, return_dict=True, add_generation_prompt=True
    )["input_ids"]

    assert ids == prompt_of(checkpoint, messages)
    ends = model.generation_config.eos_token_id
    assert checkpoint.tokenizer().special_tokens["<|im_end|>"] in (
        ends if isinstance(ends, list) else [ends]
    )
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits[0, -1]
        found = checkpoint.model()(torch.tensor([ids]))[0, -1]
    torch.testing.assert_close(found[: len(expected)], expected, rtol=1e-4, atol=1e-4)


def prompt_of(checkpoint: Checkpoint, messages: list[dict[str, str]]) -> list[int]:
    """The ids of *messages* and of what begins an answer, by the template of *checkpoint*."""
    template = checkpoint.chat_template()
    assert template is not None
    system, *said = messages
    turns = tuple(Turn(each["role"], each["content"]) for each in said)
    conversation = Conversation(turns, system["content"])
    return template.prompt(conversation, checkpoint.tokenizer(), "assistant")


@pytest.mark.parametrize("template", ["ours", "chatml", "llama3"])
def test_a_chosen_template_is_exported(
    instruct: Path, talks: Path, tmp_path: Path, template: Any
) -> None:
    """With the ids at which a turn ends, besides those of the base."""
    tune(planned(instruct, talks, tmp_path / "run", template=template))
    assert main(["export", str(tmp_path / "run"), str(tmp_path / "out"), "--to", "hf"]) == 0
    checkpoint = read_checkpoint(tmp_path / "run")
    stored, tokenizer = checkpoint.chat_template(), checkpoint.tokenizer()
    assert stored is not None
    config, generation = (
        json.loads((tmp_path / "out" / f"{name}_config.json").read_text())
        for name in ("tokenizer", "generation")
    )

    assert config["chat_template"] == stored.jinja()
    ends = generation["eos_token_id"]
    stops = set(ends) if isinstance(ends, list) else {ends}
    assert stops >= {tokenizer.special_tokens["<|im_end|>"], *stored.end_ids(tokenizer)}
