"""Special tokens in tiktoken's arguments: which to recognize, which to reject."""

from collections.abc import Callable, Collection, Iterable, Set
from typing import Any, Literal, TypeVar

from pytok.definition import AddedToken
from pytok.errors import SpecialTokenError
from pytok.text import repair

AllowedSpecial = Literal["all"] | Set[str]
DisallowedSpecial = Literal["all"] | Collection[str] | None

NOTHING: frozenset[str] = frozenset()
_ALL: Literal["all"] = "all"

_MAX_PREPARED = 64
"""Combinations of arguments that are kept prepared; a program uses few."""

Text = TypeVar("Text", str, list[str])
Result = TypeVar("Result")


class SpecialTokens:
    """A tokenizer's special tokens, prepared once for each combination of arguments.

    *added* are all added tokens. *prepare* is an engine's: it takes the special tokens to recognize
    and the texts to reject, and returns what the methods of its core take
    (`pytok.engine.Core.specials`).
    """

    def __init__(
        self, added: Iterable[AddedToken], prepare: Callable[[list[str], list[str]], Any]
    ) -> None:
        self._added = tuple(added)
        self._known = {token.text: token.id for token in self._added if token.special}.keys()
        self._prepare = prepare
        self._prepared: dict[Any, Any] = {}
        self._default = self._build(NOTHING, _ALL)

    def call(
        self,
        method: Callable[[Text, Any], Result],
        text: Text,
        allowed: AllowedSpecial,
        disallowed: DisallowedSpecial,
        repairs: bool = True,
    ) -> Result:
        """Call a core's *method* with *text*, a string or a list, and the prepared special tokens.

        Raises SpecialTokenError, in tiktoken's words, for a disallowed special token, and TypeError
        for a string instead of a set. Lone surrogates, which UTF-8 cannot hold, become U+FFFD, or
        raise UnicodeEncodeError if *repairs* is false.
        """
        if allowed is NOTHING and disallowed is _ALL:  # the defaults: no key to build
            specials = self._default
        else:
            key = (
                allowed if isinstance(allowed, str) else frozenset(allowed),
                disallowed if isinstance(disallowed, str) else frozenset(disallowed or ()),
            )
            try:
                specials = self._prepared[key]
            except KeyError:
                specials = self._prepared[key] = self._build(*key)
        try:
            return method(text, specials)
        except SpecialTokenError as error:
            raise _disallowed(error.message) from None
        except UnicodeEncodeError:
            if not repairs:
                raise
        repaired = repair(text) if isinstance(text, str) else [repair(each) for each in text]
        return self.call(method, repaired, allowed, disallowed)

    def _build(self, allowed: AllowedSpecial, disallowed: DisallowedSpecial) -> Any:
        """Return what the core's methods take; ``None`` if there is nothing to find."""
        for name, choice in (("allowed_special", allowed), ("disallowed_special", disallowed)):
            if isinstance(choice, str) and choice != _ALL:
                raise TypeError(f"{name} is 'all' or a set of texts, not the text {choice!r}")
        if len(self._prepared) >= _MAX_PREPARED:
            self._prepared.clear()
        recognized = [name for name in self._known if allowed == _ALL or name in allowed]
        rejected = self._known - set(recognized) if disallowed == _ALL else set(disallowed or ())
        return self._prepare(recognized, sorted(rejected)) if recognized or rejected else None

    def recognized_ids(self, allowed: AllowedSpecial) -> set[int]:
        """Return the ids of the added tokens that are recognized: *allowed*, or in every text."""
        return {
            token.id
            for token in self._added
            if not token.special or allowed == _ALL or token.text in allowed
        }


def _disallowed(token: str) -> SpecialTokenError:
    """Return the error for the disallowed *token* in a text, in tiktoken's words."""
    return SpecialTokenError(
        f"Encountered text corresponding to disallowed special token {token!r}.\n"
        "If you want this text to be encoded as a special token, "
        f"pass it to `allowed_special`, e.g. `allowed_special={{{token!r}, ...}}`.\n"
        "If you want this text to be encoded as normal text, disable the check for this token "
        f"by passing `disallowed_special=(enc.special_tokens_set - {{{token!r}}})`.\n"
        "To disable this check for all special tokens, pass `disallowed_special=()`.\n"
    )
