"""The parts of a tokenizer.json that do not concern the ids of a text: kept and written back.

These are the post-processor, which adds tokens around complete texts, the decoder, and the options
of calls that a file can keep: truncation and padding.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pytok.definition import Settings
from pytok.errors import FormatError
from pytok.formats.fields import Fields

Json = dict[str, Any]


def read_settings(reader: Fields, document: Json, ids: Mapping[str, int]) -> Settings:
    """Return what the file says beyond the ids of texts; *ids* are those of its tokens by text.

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
            if ids.get(text, id) != id:
                raise FormatError(
                    f"{reader.path}: {where}.{field} has the id {id} for {text!r}, whose id is "
                    f"{ids[text]}: correct it"
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


def write_settings(settings: Settings, ids: Mapping[str, int]) -> Json:
    """Return the fields of a tokenizer.json; tokens have their id in *ids*, which can be new."""

    def renumbered(value: Any) -> Any:
        match value:
            case {"ids": [*_], "tokens": [*texts]} if all(text in ids for text in texts):
                return {**value, "ids": [ids[text] for text in texts]}
            case {"type": "RobertaProcessing" | "BertProcessing"}:
                ends = {end: _renumbered_end(value.get(end), ids) for end in ("sep", "cls")}
                return {**value, **ends}
            case {"pad_token": str(text), "pad_id": _} if text in ids:
                return {**value, "pad_id": ids[text]}
            case dict():
                return {key: renumbered(inner) for key, inner in value.items()}
            case list():
                return [renumbered(inner) for inner in value]
        return value

    return {
        "truncation": settings.truncation,
        "padding": renumbered(settings.padding),
        "post_processor": renumbered(settings.post_processor),
        "decoder": settings.decoder or _BYTE_LEVEL,
    }


def _renumbered_end(end: Any, ids: Mapping[str, int]) -> Any:
    return [end[0], ids[end[0]]] if isinstance(end, list) and end[0] in ids else end


_BYTE_LEVEL = {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": False,
    "use_regex": False,
}
"""The decoder of a tokenizer that was not read from a file with another one."""
