"""The files beside a tokenizer: what transformers writes of settings, classes and added tokens."""

from pathlib import Path
from typing import Any

from pytok.definition import AddedToken
from pytok.errors import FormatError
from pytok.formats import detect
from pytok.formats.classes import class_name
from pytok.formats.fields import Fields, parse_json_text, read_text

FLAGS = ("lstrip", "rstrip", "single_word")


class Beside:
    """The files in the folder *path* that describe its tokenizer; those that are missing are {}."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = self._json("tokenizer_config.json")
        self.special_tokens_map = self._json("special_tokens_map.json")
        self.added_tokens = self._json("added_tokens.json")
        self.class_name = class_name(self.config, self._json("config.json"))

    def _json(self, name: str) -> dict[str, Any]:
        if not (self.path / name).is_file():
            return {}
        # Editors of Windows put a byte order mark first.
        text = read_text(self.path / name).removeprefix("\ufeff")
        document = parse_json_text(self.path / name, text)
        if not isinstance(document, dict):
            raise FormatError(f"{self.path / name}: not an object of fields and values")
        return document

    def settings(self) -> dict[str, Any]:
        """Return tokenizer_config.json as transformers reads it: with the files beside it.

        special_tokens_map.json counts only where there is no added_tokens_decoder.
        """
        found = dict(self.config)
        if "added_tokens_decoder" not in found:
            found |= self.special_tokens_map
        found.pop("added_tokens_decoder", None)  # the added tokens of the definition
        templates = self._templates()
        if templates:
            only = len(templates) == 1 and "default" in templates
            listed = [{"name": name, "template": text} for name, text in templates.items()]
            found["chat_template"] = templates["default"] if only else listed
        return found

    def _templates(self) -> dict[str, str]:
        paths = {"default": self.path / "chat_template.jinja"}
        further = sorted((self.path / "additional_chat_templates").glob("*.jinja"))
        paths |= {path.stem: path for path in further}
        found = {}
        for name, path in paths.items():
            if path.is_file():
                try:
                    found[name] = detect.read(path).decode()
                except UnicodeDecodeError as error:
                    raise FormatError(f"{path}: byte {error.start} is not UTF-8") from None
        return found

    def decoder(self) -> list[AddedToken]:
        """Return the added tokens with the ids that ``added_tokens_decoder`` states, by id."""
        path = self.path / "tokenizer_config.json"
        listed = self.config.get("added_tokens_decoder", {})
        if not isinstance(listed, dict):
            raise FormatError(f"{path}: added_tokens_decoder is not an object")
        found = []
        for id, token in listed.items():
            where = f"added_tokens_decoder[{id!r}]"
            if not (id.isascii() and id.isdigit()):
                raise FormatError(f"{path}: {where}: the key is not an id")
            found.append(added_token(path, where, token, int(id)))
        return sorted(found, key=lambda token: token.id)


def added_token(path: Path, where: str, value: Any, id: int) -> AddedToken:
    """Return *value*, a text or an object with flags, as an added token; *where* is its field.

    A text is special. An object is as its flags say, which default to those of transformers.
    """
    if isinstance(value, str):
        return AddedToken(value, id)
    reader = Fields(path)
    text = reader.get(value, "content", str, f"{where}.")
    flags = {flag: value.get(flag, False) for flag in (*FLAGS, "special")}
    flags["normalized"] = value.get("normalized", not flags["special"])
    if any(type(flag) is not bool for flag in flags.values()):
        raise FormatError(f"{path}: {where}: a flag is neither true nor false")
    return AddedToken(text, id, **flags)
