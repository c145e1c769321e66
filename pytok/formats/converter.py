"""The tokenizer.json that transformers makes of a vocabulary, merges and a tokenizer class."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pytok.definition import AddedToken
from pytok.errors import FormatError
from pytok.formats.beside import Beside, added_token
from pytok.formats.classes import CLASSES, NAMED_TOKENS, Class, byte_level
from pytok.formats.fields import Fields, json_type
from pytok.formats.gpt2 import TwoFiles


def document(beside: Beside, files: TwoFiles) -> dict[str, Any]:
    """Return the content of the tokenizer.json of *files*; `Beside.class_name` is in `CLASSES`."""
    known = CLASSES[beside.class_name or ""]
    prefix_space = beside.config.get("add_prefix_space")
    if not isinstance(prefix_space, bool):
        prefix_space = known.prefix_space
    for where, (left, right) in files.pairs.items():
        for part in (left, right, left + right):
            if part not in files.vocab:
                raise FormatError(
                    f"{files.merges_path}: {where}: {part!r} is not in the vocabulary"
                )
    named = named_tokens(beside)
    special = [*named.values(), *_further(beside)]
    added = _with_ids(beside.decoder() or _listed(beside, special), special, files.vocab)
    if known.drops_flags:
        exact = {token.text for token in special}
        added = [AddedToken(t.text, t.id) if t.text in exact else t for t in added]
    return {
        "version": "1.0",
        "added_tokens": [_as_json(token) for token in added],
        "normalizer": {"type": "Sequence", "normalizers": list(known.normalizers)},
        "pre_tokenizer": known.pre_tokenizer(prefix_space),
        "post_processor": _post_processor(
            beside, known, named, {token.text: token.id for token in added}
        ),
        "decoder": byte_level(),
        "model": {
            "type": "BPE",
            "unk_token": named["unk_token"].text if known.suffix and "unk_token" in named else None,
            "end_of_word_suffix": known.suffix,
            "vocab": files.vocab,
            "merges": [list(pair) for pair in files.pairs.values()],
        },
    }


def named_tokens(beside: Beside) -> dict[str, AddedToken]:
    """Return the tokens of `NAMED_TOKENS` that there are, with the id 0.

    special_tokens_map.json counts only where tokenizer_config.json has no added_tokens_decoder.
    """
    known = CLASSES[beside.class_name or ""]
    fields = {**known.tokens, **beside.config}
    if "added_tokens_decoder" not in beside.config:
        fields |= beside.special_tokens_map
    path = beside.path / "tokenizer_config.json"
    named = {
        name: added_token(path, name, value, 0)._replace(special=True)
        for name in NAMED_TOKENS
        if (value := fields.get(name)) is not None
    }
    if known.strips_mask and isinstance(fields["mask_token"], str):
        named["mask_token"] = named["mask_token"]._replace(lstrip=True)
    return named


def _further(beside: Beside) -> Iterator[AddedToken]:
    """Yield the special tokens of other names, and those of lists."""
    path = beside.path / "tokenizer_config.json"
    fields = dict(beside.config)
    if "added_tokens_decoder" not in fields:
        fields |= beside.special_tokens_map
    for name, value in fields.items():
        if name.endswith("_token") and name not in NAMED_TOKENS and isinstance(value, str | dict):
            yield added_token(path, name, value, 0)._replace(special=True)
    for name in ("extra_special_tokens", "additional_special_tokens"):
        listed = fields.get(name) or []
        if not isinstance(listed, list | dict):
            raise FormatError(f"{path}: {name} is {json_type(listed)}, not array")
        for value in listed.values() if isinstance(listed, dict) else listed:
            yield added_token(path, name, value, 0)._replace(special=True)


def _listed(beside: Beside, special: Iterable[AddedToken]) -> list[AddedToken]:
    """Return the tokens of added_tokens.json, of which those in *special* are special, by id."""
    specials = {token.text for token in special}
    path = beside.path / "added_tokens.json"
    found = []
    for text in beside.added_tokens:
        id = Fields(path).get(beside.added_tokens, text, int)
        is_special = text in specials
        found.append(AddedToken(text, id, special=is_special, normalized=not is_special))
    return sorted(found, key=lambda token: token.id)


def _with_ids(
    decoder: list[AddedToken], named: Iterable[AddedToken], vocab: Mapping[str, int]
) -> list[AddedToken]:
    """Return the tokens of *decoder* and of *named*, each text once.

    A named token has the id of the vocabulary, or else the next after all others. Of several with
    the same text the flags of the last count.
    """
    found = {token.text: token for token in decoder if token.text}
    next_id = len(vocab) + sum(text not in vocab for text in found)
    for token in {token.text: token for token in named}.values():
        if token.text and token.text not in found:
            found[token.text] = token._replace(id=vocab.get(token.text, next_id))
            next_id += token.text not in vocab
    return list(found.values())


def _as_json(token: AddedToken) -> dict[str, Any]:
    fields = token._asdict()
    return {"content": fields.pop("text"), **fields}


def _post_processor(
    beside: Beside,
    known: Class,
    named: Mapping[str, AddedToken],
    ids: Mapping[str, int],
) -> dict[str, Any] | None:
    """Return the post-processor, which adds special tokens to a text; ``None`` if it adds none.

    *ids* are those of all special tokens.
    """
    cls, sep = (named.get(name) for name in known.around)
    if known.processor == "RobertaProcessing" and cls and sep:
        pair = {"sep": [sep.text, ids[sep.text]], "cls": [cls.text, ids[cls.text]]}
        return {"type": known.processor, **pair, "trim_offsets": True, "add_prefix_space": False}
    if known.processor == "TemplateProcessing" and cls and sep:
        end = [(sep.text, 0)]
        single = [(cls.text, 0), (_TEXT, 0), *end]
        return _template(single, [*single, *end, (_SECOND, 0), *end], ids)
    eos = named.get("eos_token")
    if known.prefix and eos and ids.keys() >= set(known.prefix):
        prefix = [(text, 0) for text in known.prefix]
        single = [*prefix, (_TEXT, 0), (eos.text, 0)]
        return _template(single, [*prefix, (_TEXT, 0), (_SECOND, 1), (eos.text, 1)], ids)
    starts, ends = (
        [named[name].text] if beside.config.get(f"add_{name}") is True and name in named else []
        for name in ("bos_token", "eos_token")
    )
    single = [(text, 0) for text in (*starts, _TEXT, *ends)]
    pair_end = [(text, 1) for text in (*starts, _SECOND, *ends)]
    return _template(single, [*single, *pair_end], ids) if starts or ends else None


_TEXT, _SECOND = "$A", "$B"
"""The text of a template, and the second of a pair."""


def _template(
    single: list[tuple[str, int]], pair: list[tuple[str, int]], ids: Mapping[str, int]
) -> dict[str, Any]:
    """Return a TemplateProcessing of texts and their type ids."""

    def items(parts: list[tuple[str, int]]) -> list[dict[str, Any]]:
        return [
            {"Sequence": {"id": text[1:], "type_id": type_id}}
            if text in (_TEXT, _SECOND)
            else {"SpecialToken": {"id": text, "type_id": type_id}}
            for text, type_id in parts
        ]

    texts = {text for text, _ in pair} - {_TEXT, _SECOND}
    return {
        "type": "TemplateProcessing",
        "single": items(single),
        "pair": items(pair),
        "special_tokens": {
            text: {"id": text, "ids": [ids[text]], "tokens": [text]} for text in sorted(texts)
        },
    }
