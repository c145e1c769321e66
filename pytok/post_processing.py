"""The tokens that a model expects around a text, such as BOS and EOS: a file's post-processor."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pytok.errors import VocabError

Json = Mapping[str, Any]


class Part(NamedTuple):
    """A part of a template: the text of this index, or, if it is ``None``, these *ids*."""

    type_id: int
    text: int | None = None
    ids: tuple[int, ...] = ()


class Template(NamedTuple):
    """What becomes of the ids of one text, and of those of two."""

    single: tuple[Part, ...] = (Part(0, text=0),)
    pair: tuple[Part, ...] = (Part(0, text=0), Part(1, text=1))

    def apply(self, texts: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
        """Return the ids of one or two *texts* with those around them, and the type of each.

        >>> bos = Template((Part(0, ids=(1,)), Part(0, text=0)))
        >>> bos.apply([[7, 8]]), bos.apply([[7], [8]])
        (([1, 7, 8], [0, 0, 0]), ([7, 8], [0, 1]))
        """
        ids, types = list[int](), list[int]()
        for type_id, text, added in self.single if len(texts) == 1 else self.pair:
            part = added if text is None else texts[text]
            ids += part
            types += [type_id] * len(part)
        return ids, types


def template(post_processor: Json | None) -> Template:
    """Return the template of the *post_processor* of a tokenizer.json.

    Raises VocabError for one that is no template, or that has two of them.
    """
    templates = []
    for step in _steps(post_processor):
        kind = step.get("type")
        if kind != "ByteLevel":  # it changes the offsets in tokenizers, and no ids
            if kind not in _TEMPLATES:
                raise VocabError(
                    f"the post_processor is a {kind}, which pytok does not know: it knows "
                    f"{', '.join(_TEMPLATES)}"
                )
            templates.append(_read(kind, step))
    if len(templates) > 1:
        raise VocabError("the post_processor has several templates: pytok applies only one")
    return templates[0] if templates else Template()


def _read(kind: str, step: Json) -> Template:
    try:
        return _TEMPLATES[kind](step)
    except (KeyError, TypeError, ValueError) as error:
        raise VocabError(f"the post_processor, a {kind}, is malformed: {error!r}") from None


def _steps(post_processor: Json | None) -> Iterator[Json]:
    if post_processor is None:
        return
    if post_processor.get("type") == "Sequence":
        for step in post_processor["processors"]:
            yield from _steps(step)
    else:
        yield post_processor


def _template_processing(step: Json) -> Template:
    listed = step["special_tokens"]
    tokens = listed.values() if isinstance(listed, dict) else listed
    ids = {token["id"]: tuple(token["ids"]) for token in tokens}

    def part(piece: Json) -> Part:
        ((kind, value),) = piece.items()
        if kind == "Sequence":
            return Part(value["type_id"], text="AB".index(value["id"]))
        return Part(value["type_id"], ids=ids[value["id"]])

    return Template(tuple(map(part, step["single"])), tuple(map(part, step["pair"])))


def _bert(step: Json, second: int = 1) -> Template:
    cls, sep = (Part(0, ids=(step[name][1],)) for name in ("cls", "sep"))
    first = (cls, Part(0, text=0), sep)
    return Template(first, (*first, Part(second, text=1), sep._replace(type_id=second)))


def _roberta(step: Json) -> Template:
    first, (_, _, sep, text, _) = _bert(step, second=0)
    return Template(first, (*first, sep, text, sep))


_TEMPLATES: dict[str, Callable[[Json], Template]] = {
    "TemplateProcessing": _template_processing,
    "BertProcessing": _bert,
    "RobertaProcessing": _roberta,
}
