"""The options that several commands share, and what is made of the words given for them.

An option or a group of options is a decorator of a command. Those of a group reach the command as
the library takes them: a tokenizer that is open, keyword arguments to pass on.
"""

import functools
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypedDict, TypeVar, cast, get_args

import click

import pytok
from pytok.encodings import open_tokenizer
from pytok.engine import MAX_THREADS, EngineName
from pytok.merging import MergeRules, Ties
from pytok.patterns import PATTERNS

F = TypeVar("F", bound=Callable[..., Any])


def refuse_to_replace(sources: Iterable[Path | None], out: Path | None) -> None:
    """Raise UsageError if *out* is one of *sources*, which are only read; None is no file."""
    if out is not None and out.exists():
        for source in sources:
            if source is not None and source.exists() and out.samefile(source):
                raise click.UsageError(f"{out} is read here, and would be lost: name another file")


class Reading(TypedDict):
    """How a corpus is read: keyword arguments of all that read one."""

    field: str
    errors: str
    separator: str | None


class Counting(TypedDict):
    """Keyword arguments of `pytok.train` for counting pieces."""

    pattern: str | None
    special_tokens: tuple[str, ...] | None
    max_memory: int | None
    num_threads: int | None
    prune: int


engine_option = click.option(
    "--engine",
    type=click.Choice(get_args(EngineName)),
    default="native",
    show_default=True,
    help="The compiled engine, or its readable twin in Python: same answers, slower.",
)
threads_option = click.option(
    "--threads",
    "num_threads",
    type=click.IntRange(1, MAX_THREADS),
    help="How many threads to use.  [default: all cores]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def takes_tokenizer(*, named_by: Callable[[Any], Any]) -> Callable[[F], F]:
    """Give a command the `tokenizer` that *named_by*, an argument or option `name`, names."""

    def decorate(command: F) -> F:
        @named_by
        @click.option(
            "--pattern",
            help="How text is split, where the tokenizer is a .tiktoken file, which does not say.",
        )
        @click.option(
            "--special-token",
            "special_tokens",
            multiple=True,
            metavar="TOKEN=ID",
            help="A special token of a .tiktoken file; may be given several times.",
        )
        @engine_option
        @functools.wraps(command)
        def run(
            name: str,
            pattern: str | None,
            special_tokens: tuple[str, ...],
            engine: EngineName,
            **rest: Any,
        ) -> Any:
            specials = dict(map(_special_of, special_tokens)) or None
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
    named_by=click.option(
        "-t",
        "--tokenizer",
        "name",
        required=True,
        metavar="TOKENIZER",
        help="A tokenizer.json, a .tiktoken file, a folder with vocab.json and merges.txt, or an "
        "encoding's name such as cl100k_base.",
    )
)


def _special_of(option: str) -> tuple[str, int]:
    text, _, id = option.rpartition("=")
    if not text or not (id.isascii() and id.isdigit() and len(id) <= 10):
        raise click.BadParameter(f"{option!r} is not TOKEN=ID, e.g. '<|endoftext|>=50256'")
    return text, int(id)


def reading_options(command: F) -> F:
    """Give a command `reading`."""

    @click.option(
        "--field",
        default="text",
        show_default=True,
        help="The field of .jsonl, or the column of .parquet, that holds the text.",
    )
    @click.option(
        "--errors",
        type=click.Choice(["strict", "replace"]),
        default="strict",
        show_default=True,
        help="Invalid UTF-8: stop with its offset, or replace it by U+FFFD.",
    )
    @click.option(
        "--separator",
        metavar="TEXT",
        help="Split text files into documents at this, e.g. '<|endoftext|>'.",
    )
    @functools.wraps(command)
    def run(field: str, errors: str, separator: str | None, **rest: Any) -> Any:
        return command(reading=Reading(field=field, errors=errors, separator=separator), **rest)

    return cast(F, run)


def counting_options(command: F) -> F:
    """Give a command `counting`, and `from_counts`: whether its sources are counts already."""

    @click.option(
        "--pattern",
        help=f"Pattern that splits text before merging: {', '.join(PATTERNS)}, or a regex in "
        "Rust's syntax.  [default: cl100k, or that of the counts]",
    )
    @click.option(
        "--special",
        multiple=True,
        metavar="TOKEN",
        help="Special token, which is not counted in the text; can be given several times.  "
        "[default: <|endoftext|>, or those of the counts]",
    )
    @click.option("--no-special", is_flag=True, help="Use no special tokens.")
    @click.option(
        "--counts",
        "from_counts",
        is_flag=True,
        help="SOURCES are files of counts from `pytok count-pieces`, not text.",
    )
    @click.option(
        "--max-memory",
        metavar="SIZE",
        callback=_bytes_of,
        help="Memory for counts, e.g. 4GiB; more of them go to temporary files, with the same "
        "result.  [default: no limit]",
    )
    @click.option(
        "--prune",
        type=click.IntRange(0),
        default=0,
        metavar="N",
        show_default=True,
        help="Drop pieces that occur fewer than N times; this changes the result.",
    )
    @threads_option
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


def _bytes_of(context: click.Context, option: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    found = re.fullmatch(r"([0-9]{1,9}) ?(?:([KMGT])(i?B)?|B)?", value)
    if not found or not int(found[1]):
        raise click.BadParameter(f"{value!r} is not an amount of memory: use e.g. 4GiB or 500MB")
    thousand = 1000 if found[3] == "B" else 1024
    return int(found[1]) * int(thousand ** (" KMGT".index(found[2] or " ")))


def merging_options(command: F) -> F:
    """Give a command `rules`."""

    @click.option(
        "--ties",
        type=click.Choice(get_args(Ties)),
        default="hf",
        show_default=True,
        help="Order of equally frequent pairs: that of Hugging Face (hf), rustbpe, minbpe and "
        "tiktoken (first), or CS336.",
    )
    @click.option(
        "--min-frequency",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        metavar="N",
        help="Merge only pairs that occur at least N times.",
    )
    @click.option(
        "--max-token-length",
        type=click.IntRange(3),
        metavar="N",
        help="Make only tokens of fewer than N bytes.  [default: no limit]",
    )
    @click.option(
        "--limit-alphabet",
        type=click.IntRange(1),
        metavar="N",
        help="Merge only the N most frequent characters.  [default: all]",
    )
    @functools.wraps(command)
    def run(**options: Any) -> Any:
        rules = MergeRules(**{name: options.pop(name) for name in MergeRules._fields})
        return command(rules=rules, **options)

    return cast(F, run)
