"""Options that set the fields of a recipe: each field has one, and help shows the common ones.

    SETTINGS = Settings(Recipe, planned=PLANNED, ...)

    @click.command(cls=SettingsCommand, settings=SETTINGS, examples="gpt train --data corpus.txt")
    @SETTINGS.option("--width", "model.width", group="Model")
    @click.pass_context
    def train(context: click.Context) -> int:
        overrides = given_overrides(context, config=None)

`SettingsCommand` adds `--set NAME=VALUE`; a hidden option for each field by its own name, such as
`--model.width` and `--model.attention.kv-heads`; and `--help-all`, which documents all of them.
Types and documentation are those of the fields (`gpt.spec.fields`). Options do not change a recipe:
they record assignments in the context.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from gpt.errors import ConfigError
from gpt.spec.docs import summary_of
from gpt.spec.fields import KIND, Field, fields_of
from gpt.spec.overrides import Overrides
from gpt.spec.recipe import Recipe, read_toml
from gpt.spec.serialize import flatten, merge, nest
from pytok.commands.help import Command, Option

F = TypeVar("F", bound=Callable[..., Any])

ASSIGNMENTS = "gpt.settings"
"""Key in the context of the list of assignments."""
ALL_FIELDS = """All fields, for --set NAME=VALUE, --NAME VALUE, and NAME = VALUE in a TOML file. A
[planned] field is chosen for the data and the machine, and so is a planned mechanism with its
fields. The defaults below apply to a mechanism that is set."""


KNOWN_AS = {
    name: (f"model.mlp.activation={activation}", f"model.mlp.gated={gated}")
    for name, activation, gated in (
        ("swiglu", "silu", "true"),
        ("geglu", "gelu", "true"),
        ("reglu", "relu", "true"),
        ("gelu", "gelu", "false"),
        ("relu", "relu", "false"),
        ("silu", "silu", "false"),
    )
}
"""Fields that make an MLP of a name that other software uses for it."""


class OptionsError(ConfigError):
    """Options that do not fit together, or whose values are wrong: exit code 2."""


@dataclass(frozen=True)
class Assignment:
    """A field that an option sets, and its value."""

    name: str
    value: Any
    source: str
    """The option as it was typed."""


class Settings:
    """The fields of *recipe* as options.

    *planned* are fields that are planned if they are absent, with all below them. *hide*
    returns whether a field cannot be set by its name. *example* is shown in the help of `--set`.
    """

    def __init__(
        self,
        recipe: type[Recipe],
        *,
        planned: Collection[str],
        hide: Callable[[str], bool],
        example: str,
    ) -> None:
        self.all = fields_of(recipe)
        self.fields = self.all.without(hide)
        self.example = example
        self.planned = planned

    def option(self, option: str, name: str, **settings: Any) -> Callable[[F], F]:
        """Decorate a command with the *option* that sets the field *name*."""
        return click.option(option, cls=Setting, settings=self, field=name, **settings)

    def doc(self, name: str) -> str:
        """Return the documentation of the field *name*, also of one that is hidden."""
        return self.all.find(name)[0].doc

    def hidden(self, known: Collection[str]) -> Iterator[Setting]:
        """Yield the options by the fields' own names, except those that are *known*."""
        for name in self.fields.by_name:
            option = "--" + name.replace("_", "-")
            if option not in known:
                yield Setting([option], settings=self, field=name, hidden=True)

    def with_default(self, field: Field, doc: str) -> str:
        """Return *doc* with the default of *field*, or that it is planned."""
        if any(f"{field.name}.".startswith(f"{planned}.") for planned in self.planned):
            return f"{doc}  [planned]"
        return doc if field.default is None else f"{doc}  [default: {field.default}]"


class Setting(Option):
    """An option that sets a field of a recipe and has its documentation."""

    def __init__(self, names: list[str], *, settings: Settings, field: str, **options: Any) -> None:
        found = settings.fields.find(field)[0]
        if found.choices == ("true", "false"):  # the value can be omitted: --recompute
            options |= {"is_flag": False, "flag_value": "true"}
        options.setdefault("help", settings.with_default(found, found.summary))
        options.setdefault("metavar", found.metavar)
        super().__init__(
            [*names, names[0].strip("-").replace("-", "_").replace(".", "__")],
            type=_FieldType(settings, field),
            callback=_record,
            expose_value=False,
            show_default=False,
            **options,
        )


class SettingsCommand(Command):
    """A command with an option for each of *settings*."""

    def __init__(self, *arguments: Any, settings: Settings, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.settings = settings
        known = {name for parameter in self.params for name in parameter.opts}
        self.params += [
            Option(
                ["--set", "assignments"],
                type=_AnyFieldType(settings),
                metavar="NAME=VALUE",
                multiple=True,
                callback=_record,
                expose_value=False,
                help=f"Set any field, such as {settings.example}. Repeatable.",
            ),
            Option(
                ["--help-all"],
                is_flag=True,
                is_eager=True,
                callback=_show_all,
                expose_value=False,
                show_default=False,
                help="Show all fields and exit.",
            ),
            *settings.hidden(known),
        ]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse *args*; underscores in the names of options are read as dashes."""
        known = {name for parameter in self.params for name in parameter.opts}
        words = [_dashed(word, known) for word in args]
        try:
            return super().parse_args(ctx, words)
        except click.NoSuchOption as error:
            name = error.option_name
            fields = [each for each in known if each.rpartition(".")[2] == name.lstrip("-")]
            near = sorted(fields) or difflib.get_close_matches(name, known, n=2, cutoff=0.8)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise click.NoSuchOption(name, f"No such option {name!r}.{hint}", ctx=ctx) from None

    def format_all(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help, and a section for each table of fields."""
        self.format_help(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text(ALL_FIELDS)
        sections: dict[tuple[str, type], list[Field]] = {}
        kinds: set[tuple[str, type]] = set()
        for entries in self.settings.fields.by_name.values():
            for field in entries:
                sections.setdefault((field.table, field.spec), []).append(field)
                for spec in field.specs:  # also those without fields
                    kinds.add((field.name, spec))
                    sections.setdefault((field.name, spec), [])
        for (table, spec), fields in sections.items():
            is_kind = (table, spec) in kinds
            with formatter.section(f"{table} = {spec.__name__}" if is_kind else table or "recipe"):
                formatter.write_text(summary_of(spec))
                if fields:
                    formatter.write_dl(
                        [(f"{each.name} {each.metavar}", self._all_of(each)) for each in fields]
                    )

    def _all_of(self, field: Field) -> str:
        """Return the documentation of *field*; a field of a kind has the default of the kind."""
        if field.of_kind and field.name not in self.settings.planned:
            return f"{field.doc}  [default: {field.default}]" if field.default else field.doc
        return self.settings.with_default(field, field.doc)


def _hint(name: str, value: str) -> str:
    """Return how to set what other software calls *value*, if that is no value of the field."""
    settings = KNOWN_AS.get(value.casefold())
    if settings is None or name.removesuffix(KIND).rpartition(".")[2] not in ("mlp", "activation"):
        return ""
    return f"; {value} is " + " ".join(f"--set {each}" for each in settings)


class _FieldType(click.ParamType):  # type: ignore[type-arg]
    """The type of the option that sets one field."""

    name = "value"

    def __init__(self, settings: Settings, field: str) -> None:
        self.settings, self.field = settings, field

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Assignment:
        """Return the assignment of the text *value*."""
        assert param is not None
        try:
            name, plain = self.settings.fields.parse(self.field, value)
        except ConfigError as error:
            message = str(error).removeprefix(f"{self.field}: ")
            self.fail(message + _hint(self.field, str(value)), param, ctx)
        return Assignment(name, plain, f"{param.opts[0]} {value}")

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the values that start with *incomplete*, if they can be listed."""
        choices = self.settings.fields.find(self.field)[0].choices
        return [CompletionItem(each) for each in choices if each.startswith(incomplete)]


class _AnyFieldType(click.ParamType):  # type: ignore[type-arg]
    """The type of `--set`: NAME=VALUE."""

    name = "assignment"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Assignment:
        """Return the assignment of the text *value*."""
        name, equals, text = (part.strip() for part in value.partition("="))
        if not equals:
            self.fail(f"{value!r} is not NAME=VALUE, such as model.mlp.hidden=512", param, ctx)
        try:
            return Assignment(*self.settings.fields.parse(name, text), f"--set {value}")
        except ConfigError as error:
            self.fail(f"{error}{_hint(name, text)}", param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the names that start with *incomplete*."""
        names = self.settings.fields.by_name
        return [CompletionItem(f"{each}=") for each in names if each.startswith(incomplete)]


def given_overrides(ctx: click.Context, config: Path | None) -> Overrides:
    """Return the fields that the TOML file *config* and the options set; options override the file.

    Raises OptionsError for a file that cannot be read, an unknown field or a value of a wrong type
    in it, and for options that contradict each other.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for each in ctx.meta.get(ASSIGNMENTS, []):
        if each.name in values and values[each.name] != each.value:
            raise OptionsError(
                f"{sources[each.name]} and {each.source} both set {each.name}; remove one"
            )
        values[each.name], sources[each.name] = each.value, each.source
    for name, value in values.items():
        inner = next((other for other in values if other.startswith(f"{name}.")), None)
        if value is None and inner is not None:
            raise OptionsError(
                f"{sources[name]} and {sources[inner]} exclude each other; remove one"
            )
    if config is None:
        return Overrides(values, sources)
    try:
        plain = read_toml(config)
    except ConfigError as error:
        raise OptionsError(str(error)) from error
    try:
        assert isinstance(ctx.command, SettingsCommand)
        ctx.command.settings.all.check(plain)
    except ConfigError as error:
        raise OptionsError(f"{config}: {error}") from error
    plain = ctx.command.settings.all.in_full(plain)
    merged = flatten(merge(plain, nest(values)))
    return Overrides(merged, dict.fromkeys(merged, str(config)) | sources)


def _record(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Record the assignments of an option in the context."""
    if value is not None:
        assignments = ctx.meta.setdefault(ASSIGNMENTS, [])
        assignments += value if isinstance(value, tuple) else [value]


def _show_all(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        formatter = ctx.make_formatter()
        assert isinstance(ctx.command, SettingsCommand)
        ctx.command.format_all(ctx, formatter)
        click.echo(formatter.getvalue().rstrip("\n"), color=ctx.color)
        ctx.exit()


def _dashed(word: str, known: Collection[str]) -> str:
    """Return *word*, an option, as one of the *known* options writes it."""
    name, equals, value = word.partition("=")
    dashed = name.replace("_", "-")
    return f"{dashed}{equals}{value}" if dashed in known else word
