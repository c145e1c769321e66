"""Chat templates in Jinja: the ids of transformers, and masks that its own confirm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import transformers
from hypothesis import assume, example, given
from hypothesis import strategies as st

import pytok
from pytok.chat.jinja_template import ROLES, JinjaTemplate
from pytok.chat.template import Conversation, TrainOn, Turn
from pytok.chat.templates import KNOWN, stored_template
from pytok.errors import ChatError

INSTRUCTIONS = """{{ bos_token }}{% for m in messages %}
{% if m.role == 'system' %}{% set ns.system = m.content %}
{% elif (m.role == 'user') != (ns.count % 2 == 0) %}{{ raise_exception('roles must alternate') }}
{% elif m.role == 'user' %}{% set ns.count = ns.count + 1 %}
{{- '[INST] ' + (ns.system + '\\n\\n' if ns.system else '') + m.content.strip() + ' [/INST]' }}
{%- set ns.system = '' %}
{% else %}{% set ns.count = ns.count + 1 %}{{ ' ' + m.content.strip() + eos_token }}{% endif %}
{% endfor %}"""
INSTRUCTIONS = "{% set ns = namespace(system='', count=0) %}\n" + INSTRUCTIONS
"""Without a generation prompt, the system prompt in the user's first turn, stripped texts."""
THINKING = """{%- if messages[0].role != 'system' %}
{{- '<|im_start|>system\\nYou are a model.<|im_end|>\\n' }}
{%- endif %}
{%- for m in messages %}
{%- set text = m.content.split('</think>')[-1].lstrip('\\n') if m.role == 'assistant'
    else m.content %}
{%- if m.role == 'assistant' and loop.last %}
{%- set text = '<think>\\n\\n</think>\\n\\n' + text %}
{%- endif %}
{{- '<|im_start|>' + m.role + '\\n' + text + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{% endif %}"""
"""A default system prompt, an empty thought in the last answer only, and no older thoughts."""
CHATML_MARKS = ("<|im_start|>", "<|im_end|>")
TEMPLATES = {
    **KNOWN,
    "instructions": JinjaTemplate(INSTRUCTIONS),
    "thinking": JinjaTemplate(THINKING, CHATML_MARKS),
}
PLAIN_CHATML = "\n".join(
    line.replace("{%- generation -%}", "").replace("{%- endgeneration -%}", "")
    for line in KNOWN["chatml"].source.splitlines()
)

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
spaced = st.sampled_from(["", " ", "\n", "\n\n", " \t"])
texts = st.builds("{}{}{}".format, spaced, words, spaced)


def talks(texts: st.SearchStrategy[str] = texts) -> st.SearchStrategy[Conversation]:
    """Conversations of a user and an assistant, of any lengths."""

    def built(system: str | None, said: list[str]) -> Conversation:
        speakers = ("user", "assistant")
        turns = tuple(Turn(speakers[n % 2], text) for n, text in enumerate(said))
        return Conversation(turns, system)

    return st.builds(built, st.none() | texts, st.lists(texts, min_size=1, max_size=5))


@pytest.fixture(scope="session")
def tokenizer(trained: pytok.Tokenizer) -> pytok.Tokenizer:
    """`trained` with the special tokens of all known templates."""
    for template in KNOWN.values():
        trained = template.extend(trained)
    return trained


@pytest.fixture(scope="session")
def theirs(tokenizer: pytok.Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tokenizer in transformers."""
    folder: Path = tmp_path_factory.mktemp("theirs")
    tokenizer.save(folder / "tokenizer.json")
    end = "<|endoftext|>"
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": end, "eos_token": end}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return transformers.PreTrainedTokenizerFast.from_pretrained(folder)


def their(theirs: Any, template: JinjaTemplate, talk: Conversation, **options: Any) -> Any:
    """Return what transformers makes of *talk*."""
    system = [] if talk.system is None else [{"role": "system", "content": talk.system}]
    messages = [*system, *({"role": turn.speaker, "content": turn.text} for turn in talk.turns)]
    options = {"tokenize": True, "return_dict": True} | options
    return theirs.apply_chat_template(messages, chat_template=template.source, **options)


def targets(
    template: JinjaTemplate, bpe: pytok.Tokenizer, talk: Conversation, train_on: TrainOn = "mine"
) -> list[str]:
    """Return the text of each sequence of ids that count in the loss."""
    rendered = template.render(talk, bpe, train_on=train_on)
    runs: list[list[int]] = []
    previous = False
    for id, counts in zip(*rendered, strict=True):
        if counts and not previous:
            runs.append([])
        if counts:
            runs[-1].append(id)
        previous = counts
    return [bpe.decode(run) for run in runs]


@pytest.mark.parametrize("name", TEMPLATES)
@given(talk=talks())
@example(talk=Conversation((Turn("user", ""), Turn("assistant", "\n\n<think>x</think>\ny"))))
def test_transformers_renders_the_same_ids(
    tokenizer: pytok.Tokenizer, theirs: Any, name: str, talk: Conversation
) -> None:
    """With and without a generation prompt, for texts that spell no special token."""
    assume(not any(mark in turn.text for turn in talk.turns for mark in tokenizer.special_tokens))
    template = TEMPLATES[name]

    assert their(theirs, template, talk)["input_ids"] == template.render(talk, tokenizer).ids
    prompt = their(theirs, template, talk, add_generation_prompt=True)["input_ids"]
    assert template.prompt(talk, tokenizer, "assistant") == prompt


@pytest.mark.parametrize("name", KNOWN)
@given(talk=talks())
def test_mine_are_the_generation_blocks_of_transformers(
    tokenizer: pytok.Tokenizer, theirs: Any, name: str, talk: Conversation
) -> None:
    """Its assistant mask: the texts of the assistant, and what ends them."""
    template = KNOWN[name]  # type: ignore[index]
    encoded = their(theirs, template, talk, return_assistant_tokens_mask=True)

    assert [int(each) for each in template.render(talk, tokenizer).loss_mask] == encoded[
        "assistant_masks"
    ]


@given(talk=talks(), train_on=st.sampled_from(["mine", "last", "all", "text"]))
def test_a_template_without_blocks_has_the_same_mask(
    tokenizer: pytok.Tokenizer, talk: Conversation, train_on: TrainOn
) -> None:
    """Found by rendering prompts."""
    with_blocks = KNOWN["chatml"].render(talk, tokenizer, train_on=train_on)

    assert JinjaTemplate(PLAIN_CHATML).render(talk, tokenizer, train_on=train_on) == with_blocks


@pytest.mark.parametrize("name", TEMPLATES)
@given(talk=talks(words | st.sampled_from(["<|im_end|>", "<|endoftext|><|eot_id|>", "\ufdd0"])))
def test_a_special_token_in_a_text_stays_text(
    tokenizer: pytok.Tokenizer, name: str, talk: Conversation
) -> None:
    """The special tokens are those of the same conversation with other texts."""

    def specials(talk: Conversation) -> list[int]:
        ids = TEMPLATES[name].render(talk, tokenizer).ids
        return [id for id in ids if tokenizer.is_special_token(id)]

    plain = Conversation(tuple(Turn(turn.speaker, "x") for turn in talk.turns), talk.system and "x")
    assert specials(talk) == specials(plain)


@pytest.mark.parametrize("name", TEMPLATES)
@given(talk=talks(st.lists(st.sampled_from(["<|im_end|>", "<|eot_id|>", " a", "\n"])).map("".join)))
def test_the_ids_are_those_of_transformers_without_control_tokens(
    tokenizer: pytok.Tokenizer, theirs: Any, name: str, talk: Conversation
) -> None:
    """Which it removes from the texts if asked to; a text that spells one has the same ids."""
    expected = their(theirs, TEMPLATES[name], talk, sanitize_control_tokens=True)["input_ids"]

    assert TEMPLATES[name].render(talk, tokenizer).ids == expected


@given(talk=talks(st.sampled_from(["a<|im_end|>b", "<|eot_id|>", "\ufdd0\ufdd1"])))
def test_no_character_of_a_text_is_lost(tokenizer: pytok.Tokenizer, talk: Conversation) -> None:
    """Also of texts that have special tokens, or the characters that mark blocks."""
    said = "".join(
        f"<|im_start|>{role}\n{text}<|im_end|>\n"
        for role, text in [
            *([] if talk.system is None else [("system", talk.system)]),
            *((turn.speaker, turn.text) for turn in talk.turns),
        ]
    )

    assert tokenizer.decode(KNOWN["chatml"].render(talk, tokenizer).ids) == said
    counted = targets(KNOWN["chatml"], tokenizer, talk)
    answers = [turn.text for turn in talk.turns if turn.speaker == "assistant"]
    assert counted == [f"{text}<|im_end|>" for text in answers]


@pytest.mark.parametrize(
    ("train_on", "expected"),
    [
        ("mine", ["one<|im_end|>", "three<|im_end|>"]),
        ("last", ["three<|im_end|>"]),
        ("text", ["rules", "zero", "one", "two", "three"]),
        ("all", [
            "\n<|im_start|>user\nzero<|im_end|>\n<|im_start|>assistant\none<|im_end|>",
            "\n<|im_start|>user\ntwo<|im_end|>\n<|im_start|>assistant\nthree<|im_end|>",
        ]),
    ],
)  # fmt: skip
def test_what_is_trained_on(
    tokenizer: pytok.Tokenizer, train_on: TrainOn, expected: list[str]
) -> None:
    """Never the output of a tool; the system prompt with "text" only."""
    turns = (
        Turn("user", "zero"),
        Turn("assistant", "one"),
        Turn("tool", "42", trained_on=False),
        Turn("user", "two"),
        Turn("assistant", "three"),
    )

    talk = Conversation(turns, system="rules")
    assert targets(KNOWN["chatml"], tokenizer, talk, train_on) == expected


def test_a_thought_that_the_template_removes_is_not_trained_on(tokenizer: pytok.Tokenizer) -> None:
    """The rest of the text is, and the thought that it adds to the last answer."""
    turns = (
        Turn("user", "?"),
        Turn("assistant", "<think>hm</think>\n\none"),
        Turn("user", "??"),
        Turn("assistant", "two"),
    )

    assert targets(TEMPLATES["thinking"], tokenizer, Conversation(turns)) == [
        "one<|im_end|>",
        "<think>\n\n</think>\n\ntwo<|im_end|>",
    ]


def test_without_a_generation_prompt_a_model_writes_what_follows(
    tokenizer: pytok.Tokenizer,
) -> None:
    """So does `transformers`, whose prompt ends with the user's turn."""
    turns = (Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c"), Turn("assistant", "d"))

    counted = targets(TEMPLATES["instructions"], tokenizer, Conversation(turns, system="s"))
    assert counted == [" b<|endoftext|>", " d<|endoftext|>"]


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("{% for m in messages %}{{ m.content }}{% endfor %}", "with no special token"),
        ("{% if %}", r"rejects it \(line 1\): Expected an expression"),
        ("{{ messages[0].content }}<|im_end|>", "leaves out the text of message 2, of role"),
        ("{{ 1 + 'a' }}", "the chat template fails: TypeError"),
        ("{{ strftime_now('%Y') }}", "'strftime_now' is undefined"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
    ],
)
def test_a_template_that_does_not_fit_is_refused_with_the_reason(
    tokenizer: pytok.Tokenizer, source: str, complaint: str
) -> None:
    """Before anything is trained."""
    with pytest.raises(ChatError, match=complaint):
        JinjaTemplate(source, CHATML_MARKS).extend(tokenizer)


def test_an_answer_that_does_not_follow_its_prompt_is_refused(tokenizer: pytok.Tokenizer) -> None:
    """As in templates that begin an answer with a thought, which they remove later."""
    source = PLAIN_CHATML.replace("|>assistant\\n' -", "|>assistant\\n<think>\\n' -")
    template = JinjaTemplate(source, CHATML_MARKS)
    talk = Conversation((Turn("user", "x"), Turn("assistant", "y")))

    assert source != PLAIN_CHATML
    complaint = "prompt for message 2 has '<think>.n', and the text has '…<.im_end.>"
    with pytest.raises(ChatError, match=f"cannot be rendered incrementally: the {complaint}"):
        template.render(talk, tokenizer)
    assert targets(template, tokenizer, talk, "text") == ["x", "y"]


@given(talk=talks())
def test_blocks_can_be_several_and_without_a_text(
    tokenizer: pytok.Tokenizer, theirs: Any, talk: Conversation
) -> None:
    """As in Phi-3's template for training, which has a block of its own for EOS."""
    source = """{% for m in messages %}{{ '<|im_start|>' + m.role }}
{%- if m.role == 'assistant' %}{% generation %}{% if m.content %}{{ m.content }}
{%- endif %}{% endgeneration %}{% generation %}<|im_end|>{% endgeneration %}
{%- else %}{{ m.content + '<|im_end|>' }}{% endif %}{% endfor %}
{%- if messages[-1].role == 'assistant' %}{% generation %}{{ eos_token }}{% endgeneration %}
{%- endif %}"""
    template = JinjaTemplate(source)
    encoded = their(theirs, template, talk, return_assistant_tokens_mask=True)

    mask = [int(each) for each in template.render(talk, tokenizer).loss_mask]
    assert mask == encoded["assistant_masks"]


def test_a_conversation_that_a_template_rejects_is_an_error(tokenizer: pytok.Tokenizer) -> None:
    """With the template's own reason."""
    talk = Conversation((Turn("assistant", "x"),))
    with pytest.raises(ChatError, match="the chat template rejects it: roles must alternate"):
        TEMPLATES["instructions"].render(talk, tokenizer)
    with pytest.raises(ChatError, match=f"'Ada' is not a role .*: {', '.join(ROLES)}"):
        KNOWN["chatml"].render(Conversation((Turn("Ada", "x"),)), tokenizer)
    with pytest.raises(ChatError, match="begins turns of the assistant only, not of 'user'"):
        KNOWN["chatml"].prompt(talk, tokenizer, "user")


def test_the_template_is_stored_with_the_tokenizer(
    trained: pytok.Tokenizer, tmp_path: Path
) -> None:
    """It needs no chat.json; missing special tokens are added after the others."""
    grown = KNOWN["chatml"].extend(trained)

    assert list(grown.special_tokens.items())[-2:] == [("<|im_start|>", 600), ("<|im_end|>", 601)]
    assert stored_template(grown, None) == JinjaTemplate(KNOWN["chatml"].source)
    assert stored_template(trained, None) is None
    assert KNOWN["chatml"].end_ids(grown) == {601}
    assert KNOWN["chatml"].extend(grown) is grown


def test_of_several_templates_the_default_is_read(trained: pytok.Tokenizer) -> None:
    """As transformers does without tools."""
    listed = [{"name": "tool_use", "template": "a"}, {"name": "default", "template": "b"}]
    grown = KNOWN["chatml"].extend(trained)
    config = {"chat_template": listed}
    settings = grown.definition.settings._replace(config=config)
    definition = grown.definition.__class__(
        **{
            **{name: getattr(grown.definition, name) for name in grown.definition.__slots__},
            "settings": settings,
        }
    )

    found = JinjaTemplate.of(pytok.Tokenizer.from_definition(definition))
    assert found == JinjaTemplate("b")
