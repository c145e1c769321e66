"""The options that several commands have in common, as decorators.

A group of options is passed to the command in the form that the library takes: an open tokenizer,
or keyword arguments.
"""

import functools
import itertools
import re
import shlex
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypedDict, TypeVar, cast, get_args

import click

import pytok
from pytok.commands.help import option
from pytok.commands.paths import Input
from pytok.corpus import Format, Missing, Skipped, SkippedWarning
from pytok.encodings import open_tokenizer
from pytok.engine import MAX_THREADS, EngineName
from pytok.merging import MergeRules, Ties
from pytok.patterns import PATTERNS, pattern_name
from pytok.terminal import say
from pytok.tokenizer import Tokenizer

F = TypeVar("F", bound=Callable[..., Any])

MAX_SPECIALS = 8
"""Most special tokens that a command is printed with: some vocabularies reserve hundreds."""
SENTENCE = "How is this split?"
"""Text of the commands that show how a tokenizer splits text."""


@contextmanager
def saying_warnings() -> Iterator[None]:
    """Return a context that says the warnings of the library at its end.

    What was skipped in several reads is added up.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    skipped = Skipped()
    for message in (warning.message for warning in caught):
        if isinstance(message, SkippedWarning):
            skipped.add(message.skipped)
        else:
            say(str(message))
    if skipped:
        say(str(skipped))


class Reading(TypedDict):
    """Keyword arguments of the functions that read a corpus."""

    field: str
    errors: str
    separator: str | None
    missing: Missing
    format: Format | None


class Counting(TypedDict):
    """Keyword arguments of `pytok.train` for counting pieces."""

    pattern: str | None
    special_tokens: tuple[str, ...] | None
    max_memory: int | None
    num_threads: int | None
    prune: int


engine_option = option(
    "--engine",
    type=click.Choice(get_args(EngineName)),
    default="native",
    help="Compiled engine, or the one in Python, slow and readable.",
)
threads_option = option(
    "--threads",
    "num_threads",
    metavar="N",
    type=click.IntRange(1, MAX_THREADS),
    show_default="all cores",
    help="Number of threads.",
)
json_option = option("--json", "as_json", is_flag=True, help="Print JSON.")


def takes_tokenizer(*, named_by: Callable[[Any], Any]) -> Callable[[F], F]:
    """Pass a command the `tokenizer` named by the parameter `name`, which *named_by* adds."""

    def decorate(command: F) -> F:
        @named_by
        @engine_option
        @option(
            "--pattern",
            group="For files without a pattern",
            help="Pattern that splits text, e.g. cl100k, for a list of ranks or vocab.json alone.",
        )
        @option(
            "--special-token",
            "special_tokens",
            group="For files without a pattern",
            multiple=True,
            metavar="TOKEN=ID",
            help="Special token and its id; can be repeated.",
        )
        @functools.wraps(command)
        def run(
            name: str,
            pattern: str | None,
            special_tokens: tuple[str, ...],
            engine: EngineName,
            **rest: Any,
        ) -> Any:
            specials = dict(map(_special_of, special_tokens)) or None
            with saying_warnings():
                if pattern is None and specials is None:
                    tokenizer = open_tokenizer(name, engine)
                else:
                    tokenizer = pytok.load(
                        name, pattern=pattern, special_tokens=specials, engine=engine
                    )
            return command(tokenizer=tokenizer, **rest)

        return cast(F, run)

    return decorate


tokenizer_option = takes_tokenizer(
    named_by=option(
        "-t",
        "--tokenizer",
        "name",
        type=Input(),
        required=True,
        metavar="TOKENIZER",
        help="Tokenizer: a file (tokenizer.json, tekken.json, *.tiktoken, tokenizer.model), the "
        "folder of a model, or a name such as gpt2 or cl100k_base.",
    )
)


def named(path: str, tokenizer: Tokenizer) -> list[str]:
    """Return the arguments of `takes_tokenizer` that name *tokenizer*, written to *path*.

    A list of ranks has neither its pattern nor its special tokens, of which the first are returned.
    """
    if not path.endswith(".tiktoken"):
        return [path]
    specials = list(tokenizer.special_tokens.items())[:MAX_SPECIALS]
    tokens = (("--special-token", f"{text}={id}") for text, id in specials)
    pattern = pattern_name(tokenizer.pattern) or tokenizer.pattern
    return [path, "--pattern", pattern, *itertools.chain.from_iterable(tokens)]


def suggest_show(path: str, tokenizer: Tokenizer) -> None:
    """Say the next command, which shows how *tokenizer*, written to *path*, splits a text."""
    say(f"next: {shlex.join(['pytok', 'show', *named(path, tokenizer), '--text', SENTENCE])}")


def _special_of(argument: str) -> tuple[str, int]:
    text, _, id = argument.rpartition("=")
    if not text or not (id.isascii() and id.isdigit() and len(id) <= 10):
        raise click.BadParameter(f"{argument!r} is not TOKEN=ID, e.g. '<|endoftext|>=50256'")
    return text, int(id)


def reading_options(command: F) -> F:
    """Pass a command `reading`."""

    @option(
        "--field",
        group="Reading",
        metavar="NAME",
        default="text",
        help="Field of .jsonl, or column of .parquet, with the text; messages.content is nested.",
    )
    @option(
        "--errors",
        group="Reading",
        type=click.Choice(["strict", "replace"]),
        default="strict",
        help="Invalid UTF-8: stop with an error, or replace it by U+FFFD.",
    )
    @option(
        "--separator",
        group="Reading",
        metavar="TEXT",
        help="Split text files into documents at this text.",
    )
    @option(
        "--missing",
        group="Reading",
        type=click.Choice(get_args(Missing)),
        default="error",
        help="Rows whose field is null or absent: stop with an error, or skip and count them.",
    )
    @option(
        "--format",
        group="Reading",
        type=click.Choice(get_args(Format)),
        show_default="by suffix; of pipes by content",
        help="Format of the documents.",
    )
    @functools.wraps(command)
    def run(**options: Any) -> Any:
        reading = {name: options.pop(name) for name in Reading.__annotations__}
        return command(reading=reading, **options)

    return cast(F, run)


def counting_options(command: F) -> F:
    """Pass a command `counting`, and `from_counts`: whether its sources are counts already."""

    @threads_option
    @option(
        "--pattern",
        group="Splitting",
        show_default="cl100k, or that of the counts",
        help=f"Pattern that splits text before merging: {', '.join(PATTERNS)}, or a regex in "
        "Rust's syntax.",
    )
    @option(
        "--special",
        group="Splitting",
        multiple=True,
        metavar="TOKEN",
        show_default="<|endoftext|>, or those of the counts",
        help="Special token, not counted in the text; can be repeated.",
    )
    @option("--no-special", group="Splitting", is_flag=True, help="Use no special tokens.")
    @option(
        "--counts",
        "from_counts",
        group="Counting",
        is_flag=True,
        help="SOURCES are count files from `pytok count-pieces`, not text.",
    )
    @option(
        "--max-memory",
        group="Counting",
        metavar="SIZE",
        callback=_bytes_of,
        show_default="no limit",
        help="Memory for counts, e.g. 4GiB; the rest goes to temporary files, with the same "
        "result.",
    )
    @option(
        "--prune",
        group="Counting",
        type=click.IntRange(0),
        default=0,
        metavar="N",
        help="Drop pieces that occur fewer than N times; this changes the result.",
    )
    @functools.wraps(command)
    def run(
        pattern: str | None,
        special: tuple[str, ...],
        no_special: bool,
        max_memory: int | None,
        prune: int,
        num_threads: int | None,
        **rest: Any,
    ) -> Any:
        if special and no_special:
            raise click.UsageError("--special and --no-special contradict each other: remove one")
        counting = Counting(
            pattern=pattern,
            special_tokens=() if no_special else special or None,
            max_memory=max_memory,
            num_threads=num_threads,
            prune=prune,
        )
        return command(counting=counting, **rest)

    return cast(F, run)


def _bytes_of(context: object, parameter: object, value: str | None) -> int | None:
    if value is None:
        return None
    found = re.fullmatch(r"([0-9]{1,9}) ?(?:([KMGT])(i?B)?|B)?", value)
    if not found or not int(found[1]):
        raise click.BadParameter(f"{value!r} is not an amount of memory: use e.g. 4GiB or 500MB")
    thousand = 1000 if found[3] == "B" else 1024
    return int(found[1]) * int(thousand ** (" KMGT".index(found[2] or " ")))


def merging_options(command: F) -> F:
    """Pass a command `rules`."""

    @option(
        "--ties",
        group="Merging",
        type=click.Choice(get_args(Ties)),
        default="hf",
        metavar="RULE",
        help="Order of equally frequent pairs: hf (Hugging Face), rustbpe, first (minbpe, "
        "tiktoken) or cs336.",
    )
    @option(
        "--min-frequency",
        group="Merging",
        type=click.IntRange(0),
        default=0,
        metavar="N",
        help="Merge only pairs that occur at least N times.",
    )
    @option(
        "--max-token-length",
        group="Merging",
        type=click.IntRange(3),
        metavar="N",
        show_default="no limit",
        help="Make only tokens of fewer than N bytes.",
    )
    @option(
        "--limit-alphabet",
        group="Merging",
        type=click.IntRange(1),
        metavar="N",
        show_default="all characters",
        help="Merge only the N most frequent characters.",
    )
    @functools.wraps(command)
    def run(**options: Any) -> Any:
        rules = MergeRules(**{name: options.pop(name) for name in MergeRules._fields})
        return command(rules=rules, **options)

    return cast(F, run)
