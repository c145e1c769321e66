"""The parts of a tokenizer.json that do not concern the ids of a text: kept and written back.

These are the post-processor, which adds tokens around complete texts, the decoder, and the options
of calls that a file can keep: truncation and padding.
"""

from collections.abc import Callable, Iterator
from typing import Any

from pytok.definition import Settings
from pytok.errors import FormatError
from pytok.formats.fields import Fields

Json = dict[str, Any]


def read_settings(reader: Fields, document: Json, id_of: Callable[[str], int | None]) -> Settings:
    """Return what the file says beyond the ids of texts; *id_of* returns that of a token's text.

    Raises FormatError for a post-processor that changes the ids of a text instead of adding some
    around them or that has other ids than the vocabulary, and for a decoder other than ByteLevel.
    """
    for where, step in reader.steps(document, "post_processor", "processors"):
        if step["type"] not in _PROCESSORS:
            raise FormatError(
                f"{reader.path}: {where}.type is {step['type']!r}, which pytok does not know: it "
                f"reads {', '.join(_PROCESSORS)}"
            )
        for field, text, id in _PROCESSORS[step["type"]](reader, step, f"{where}."):
            if (known := id_of(text)) not in (None, id):
                raise FormatError(
                    f"{reader.path}: {where}.{field} has the id {id} for {text!r}, whose id is "
                    f"{known}: correct it"
                )
    _check_decoder(reader, document)
    for field in ("truncation", "padding"):
        if document.get(field) is not None:
            reader.get(document, field, dict)
    return Settings(
        truncation=document.get("truncation"),
        padding=document.get("padding"),
        post_processor=document.get("post_processor"),
        decoder=document.get("decoder"),
    )


def _check_decoder(reader: Fields, document: Json) -> None:
    types = [step["type"] for _, step in reader.steps(document, "decoder", "decoders")]
    # ByteLevel returns a single string, so that Fuse after it has no effect.
    if types[:1] != ["ByteLevel"] or set(types[1:]) - {"Fuse"}:
        raise FormatError(
            f"{reader.path}: decoder is {' then '.join(types) or 'null'}, not ByteLevel: pytok "
            "would decode differently"
        )


Named = Iterator[tuple[str, str, int]]
"""The tokens that a post-processor adds: field, text and id."""


def _template(reader: Fields, step: Json, where: str) -> Named:
    pieces = reader.get(step, "single", list, where)
    times = sum(isinstance(piece, dict) and "Sequence" in piece for piece in pieces)
    if times != 1:
        raise FormatError(f"{reader.path}: {where}single has the text {times} times, not once")
    for name, token in _template_tokens(reader, step, where):
        inside = f"{where}special_tokens[{name!r}]."
        ids = reader.get(token, "ids", list, inside)
        texts = reader.get(token, "tokens", list, inside)
        if len(ids) != len(texts) or not all(type(id) is int for id in ids):
            raise FormatError(f"{reader.path}: {inside}ids is not a list of one id for each token")
        for text, id in zip(texts, ids, strict=True):
            yield f"special_tokens[{name!r}].ids", str(text), id


def _template_tokens(reader: Fields, step: Json, where: str) -> list[tuple[str, Json]]:
    """Return the special tokens of a template, by name; tokenizers also reads a list of them."""
    listed = step.get("special_tokens")
    if isinstance(listed, list):
        return [(str(index), token) for index, token in enumerate(listed)]
    return [] if listed is None else [*reader.get(step, "special_tokens", dict, where).items()]


def _ends(reader: Fields, step: Json, where: str) -> Named:
    for field in ("sep", "cls"):
        match reader.get(step, field, list, where):
            case [str(text), int(id)]:
                yield field, text, id
            case _:
                raise FormatError(f"{reader.path}: {where}{field} is not a token and its id")


_PROCESSORS: dict[str, Callable[[Fields, Json, str], Named]] = {
    "ByteLevel": lambda *_: iter(()),
    "TemplateProcessing": _template,
    "RobertaProcessing": _ends,
    "BertProcessing": _ends,
}
"""For each type of post-processor, a function that checks it and returns the tokens it adds."""


def write_settings(settings: Settings, id_of: Callable[[str], int | None]) -> Json:
    """Return the fields of a tokenizer.json; *id_of* returns the id of a token, if it has one.

    Ids can differ from those in *settings*: a vocabulary can have been cut or pruned since.
    """

    def renumbered_id(text: Any, id: Any) -> Any:
        known = id_of(text)
        return id if known is None else known

    def renumbered(value: Any) -> Any:
        match value:
            case {"ids": [*ids], "tokens": [*texts]}:
                return {**value, "ids": list(map(renumbered_id, texts, ids))}
            case {"sep": [sep, sep_id], "cls": [cls, cls_id]}:
                ends = {"sep": [sep, renumbered_id(sep, sep_id)]}
                return {**value, **ends, "cls": [cls, renumbered_id(cls, cls_id)]}
            case {"type": "ByteLevel"}:
                return {**_BYTE_LEVEL, **value}
            case {"pad_token": text, "pad_id": id}:
                return {**value, "pad_id": renumbered_id(text, id)}
            case dict():
                return {key: renumbered(inner) for key, inner in value.items()}
            case list():
                return [renumbered(inner) for inner in value]
        return value

    return {
        "truncation": settings.truncation,
        "padding": renumbered(settings.padding),
        "post_processor": renumbered(settings.post_processor),
        "decoder": renumbered(settings.decoder or _BYTE_LEVEL),
    }


_BYTE_LEVEL = {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": False,
    "use_regex": False,
}
"""The usual decoder, with all the fields that tokenizers requires."""
