"""New numbers for the ids of a tokenizer, wherever its definition names one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytok.definition import Definition, Settings
from pytok.errors import VocabError

Renumber = Callable[[int], int]


def named_ids(definition: Definition) -> set[int]:
    """Return the ids that *definition* names apart from those of its tokens.

    They are those of added tokens, decode-only ids, the token for unknown bytes, and those in
    `Definition.settings`: of templates, padding, and tokenizer_config.json.
    """
    found = {token.id for token in definition.added_tokens} | {*definition.decode_only}
    if definition.unknown is not None and definition.unknown.id is not None:
        found.add(definition.unknown.id)

    def note(id: int) -> int:
        found.add(id)
        return id

    _settings(definition.settings, note)
    return found


def renumbered(
    definition: Definition, ranks: Sequence[int], new_ids: Mapping[int, int]
) -> Definition:
    """Return *definition* with the tokens of *ranks* only, and with *new_ids* for all its ids.

    A number in the settings that is no id stays as it is.
    """
    unknown = definition.unknown
    if unknown is not None and unknown.id is not None:
        unknown = unknown._replace(id=new_ids.get(unknown.id, unknown.id))
    return replace(
        definition,
        tokens=[definition.tokens[rank] for rank in ranks],
        ids=[new_ids[definition.ids[rank]] for rank in ranks],
        added_tokens=tuple(
            token._replace(id=new_ids[token.id]) for token in definition.added_tokens
        ),
        decode_only={new_ids[id]: token for id, token in definition.decode_only.items()},
        unknown=unknown,
        settings=_settings(definition.settings, lambda id: new_ids.get(id, id)),
    )


def truncated(definition: Definition, size: int) -> Definition:
    """Return *size* ids: the first tokens and all added tokens; see `Tokenizer.truncated`."""
    added_ids = sorted({token.id for token in definition.added_tokens})
    if list(definition.ids) != list(range(len(definition.tokens))) or definition.decode_only:
        raise VocabError(
            "cannot truncate the vocabulary: the ids of the tokens are not 0, 1, 2, ... in the "
            "order of merging"
        )
    kept = size - len(added_ids)
    if not 256 <= kept <= len(definition.tokens):
        least, most = 256 + len(added_ids), len(definition.tokens) + len(added_ids)
        raise VocabError(
            f"cannot truncate the vocabulary to {size} ids: pass {least} to {most}, since the 256 "
            "bytes and the special tokens are kept"
        )
    new_ids = {id: id for id in range(kept)}
    new_ids |= {id: kept + index for index, id in enumerate(added_ids)}
    return renumbered(definition, range(kept), new_ids)


def _settings(settings: Settings, new_id: Renumber) -> Settings:
    """Return *settings* with *new_id* of each id in them."""
    return settings._replace(
        padding=settings.padding and _mapped(settings.padding, {"pad_id": new_id}),
        post_processor=settings.post_processor and _processor(settings.post_processor, new_id),
        config=_config(settings.config, new_id),
    )


def _processor(processor: Mapping[str, Any], new_id: Renumber) -> dict[str, Any]:
    """Renumber a post-processor of a tokenizer.json."""

    def pair(value: Any) -> Any:
        return [value[0], new_id(value[1])]

    def special(value: Any) -> Any:
        return {
            text: _mapped(token, {"ids": lambda ids: [*map(new_id, ids)]})
            for text, token in value.items()
        }

    fields: dict[str, dict[str, Callable[[Any], Any]]] = {
        "TemplateProcessing": {"special_tokens": special},
        "BertProcessing": {"sep": pair, "cls": pair},
        "RobertaProcessing": {"sep": pair, "cls": pair},
        "Sequence": {"processors": lambda all: [_processor(each, new_id) for each in all]},
    }
    return _mapped(processor, fields.get(processor.get("type", ""), {}))


def _config(config: Mapping[str, Any], new_id: Renumber) -> dict[str, Any]:
    """Renumber a tokenizer_config.json: the added tokens by id, and fields such as eos_token_id."""

    def decoder(value: Mapping[str, Any]) -> dict[str, Any]:
        return {str(new_id(int(id))): token for id, token in value.items()}

    def token_id(value: Any) -> Any:
        if isinstance(value, list):
            return [*map(token_id, value)]
        return new_id(value) if type(value) is int else value

    names = [name for name in config if name.endswith("_token_id")]
    return _mapped(config, {"added_tokens_decoder": decoder, **dict.fromkeys(names, token_id)})


def _mapped(
    fields: Mapping[str, Any], changes: Mapping[str, Callable[[Any], Any]]
) -> dict[str, Any]:
    """Return *fields* with *changes* applied to the values of those that are there."""
    return {
        name: changes[name](value) if name in changes and value is not None else value
        for name, value in fields.items()
    }
