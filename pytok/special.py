"""Special tokens as tiktoken's callers ask for them: which to recognise, which to refuse."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Set
from typing import Any, Literal

from pytok.errors import SpecialTokenError

AllowedSpecial = Literal["all"] | Set[str]
DisallowedSpecial = Literal["all"] | Collection[str]

NOTHING: frozenset[str] = frozenset()

_MOST_WAYS = 64
"""Ways to ask that are kept prepared; programs ask in a few."""


class SpecialTokens:
    """A tokenizer's special tokens; prepares each way to ask for them once.

    *prepare* is an engine's: from those to recognise and those to refuse to what its core takes.
    """

    def __init__(
        self, ids: Mapping[str, int], prepare: Callable[[list[str], list[str]], Any]
    ) -> None:
        self._known = ids.keys()
        self._prepare = prepare
        self._prepared: dict[Any, Any] = {}

    def specials(self, allowed: AllowedSpecial, disallowed: DisallowedSpecial) -> Any:
        """What the engine's core takes; ``None`` where there is nothing to look for."""
        key = (
            allowed if isinstance(allowed, str) else frozenset(allowed),
            disallowed if isinstance(disallowed, str) else frozenset(disallowed),
        )
        try:
            return self._prepared[key]
        except KeyError:
            pass
        recognised = self._recognised(allowed)
        refused = self._known - set(recognised) if disallowed == "all" else set(disallowed)
        prepared = self._prepare(recognised, sorted(refused)) if recognised or refused else None
        if len(self._prepared) >= _MOST_WAYS:
            self._prepared.clear()
        self._prepared[key] = prepared
        return prepared

    def places(self, text: str, allowed: AllowedSpecial) -> Iterator[re.Match[str]]:
        """Where the engines find the *allowed* special tokens: the leftmost, and the longest."""
        longest_first = sorted(self._recognised(allowed), key=len, reverse=True)
        pattern = "|".join(map(re.escape, longest_first))
        return re.finditer(pattern, text) if longest_first else iter(())

    def _recognised(self, allowed: AllowedSpecial) -> list[str]:
        if isinstance(allowed, str) and allowed != "all":
            raise TypeError(f"allowed_special is 'all' or a set of texts, not {allowed!r}")
        return [name for name in self._known if allowed == "all" or name in allowed]


def refusal(token: str) -> SpecialTokenError:
    """The error for the disallowed *token* in a text, in tiktoken's words."""
    return SpecialTokenError(
        f"Encountered text corresponding to disallowed special token {token!r}.\n"
        "If you want this text to be encoded as a special token, "
        f"pass it to `allowed_special`, e.g. `allowed_special={{{token!r}, ...}}`.\n"
        "If you want this text to be encoded as normal text, disable the check for this token "
        f"by passing `disallowed_special=(enc.special_tokens_set - {{{token!r}}})`.\n"
        "To disable this check for all special tokens, pass `disallowed_special=()`.\n"
    )
