"""Adapters that are switched while chatting: each has its own tokenizer and chat template."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gpt.commands.chat_adapters import BASE, ChatAdapters
from gpt.generation.conversation import ChatSession, Roles
from gpt.model.gpt import GPT
from pytok.chat.jinja_template import JinjaTemplate
from pytok.chat.template import ChatTemplate, Template
from pytok.chat.templates import KNOWN
from pytok.errors import ChatError
from pytok.tokenizer import Tokenizer
from tests.gpt.talks import GREEDY, TWO, chat_tokenizer, lively, said

CHATML = KNOWN["chatml"].source
WITHOUT_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no rules') }}{% endif %}"


def tokenizer_of(source: str, **settings: str) -> Tokenizer:
    """A tokenizer with the marks of all templates here, *source* as its own, and *settings*."""
    tokenizer = KNOWN["llama3"].extend(KNOWN["chatml"].extend(chat_tokenizer()))
    definition = tokenizer.definition
    kept = definition.settings._replace(config={"chat_template": source, **settings})
    return Tokenizer.from_definition(replace(definition, settings=kept), tokenizer.engine)


def session_of(template: ChatTemplate, tokenizer: Tokenizer, model: GPT, **options: Any) -> Any:
    """A session that takes the likeliest tokens."""
    options = {"sampling": GREEDY, "max_tokens": 6, **options}
    return ChatSession(model, tokenizer, template, Roles.of(template), **options)


def switch(session: ChatSession, template: ChatTemplate, tokenizer: Tokenizer, model: GPT) -> None:
    """Switch to a checkpoint that has these."""
    checkpoint = SimpleNamespace(chat_template=lambda: template, tokenizer=lambda: tokenizer)
    options = SimpleNamespace(model=lambda checkpoint: model)
    ChatAdapters(cast(Any, checkpoint), {}, cast(Any, options)).switch(session, BASE)


@pytest.mark.parametrize(
    ("source", "settings"),
    [
        (CHATML + "{# as TRL writes it #}\n", {}),
        (KNOWN["llama3"].source, {"bos_token": "<|speaker3|>"}),
        (CHATML, {"eos_token": "<|speaker3|>"}),
    ],
    ids=["written otherwise", "another template", "another EOS"],
)
def test_an_adapter_continues_by_its_own_template(source: str, settings: dict[str, str]) -> None:
    """As a session that had it from the beginning: in prompts, and in what ends an answer."""
    first, second = tokenizer_of(CHATML), tokenizer_of(source, **settings)
    model = lively(first.n_vocab, context=128)
    session = session_of(JinjaTemplate(CHATML), first, model)
    said(session.reply("the cat"))
    switch(session, JinjaTemplate(source), second, model)
    fresh = session_of(JinjaTemplate(source), second, model)
    fresh.load(session.conversation)

    assert session._prompt("assistant") == fresh._prompt("assistant")
    assert session.template.end_ids(session.tokenizer) == fresh.template.end_ids(fresh.tokenizer)
    assert said(session.reply("the owl")) == said(fresh.reply("the owl"))


@pytest.mark.parametrize(
    "template", [Template(("Bo", "Ada"), "Ada"), Template(("Ada", "Bo", "Cy"))]
)
def test_speakers_are_found_by_their_names(template: Template) -> None:
    """In another order, with others, or if the adapter was tuned to be everyone."""
    bpe = chat_tokenizer()
    model = lively(bpe.n_vocab)
    session = session_of(TWO, bpe, model)
    said(session.reply("the cat"))
    switch(session, template, bpe, model)

    assert session._prompt("Ada") == template.prompt(session.conversation, bpe, "Ada")


@pytest.mark.parametrize("template", [Template(("Ada", "Bo"), "Bo"), Template(("Ada", "Cy"))])
def test_an_adapter_of_another_chat_is_refused(template: Template) -> None:
    """It was tuned to be you, or does not know you."""
    bpe = chat_tokenizer()
    session = session_of(TWO, bpe, lively(bpe.n_vocab))

    with pytest.raises(ChatError, match="base was tuned on another chat than base"):
        switch(session, template, bpe, lively(bpe.n_vocab))
    assert session.template == TWO


def test_a_template_that_rejects_the_conversation_changes_nothing() -> None:
    """Here instructions; the session continues as it was."""
    bpe, other = tokenizer_of(CHATML), tokenizer_of(WITHOUT_SYSTEM + CHATML)
    model = lively(bpe.n_vocab, context=128)
    session = session_of(JinjaTemplate(CHATML), bpe, model, system="be brief")
    said(session.reply("the cat"))
    before = session._prompt("assistant")

    with pytest.raises(ChatError, match="no rules"):
        switch(session, JinjaTemplate(WITHOUT_SYSTEM + CHATML), other, model)
    assert session._prompt("assistant") == before
