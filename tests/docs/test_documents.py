"""What the documents show is true: their Python runs, their links, files and commands exist."""

import re
from collections.abc import Mapping
from pathlib import Path

import click
import pytest

from gpt.__main__ import COMMANDS as GPT
from gpt.nn import build
from gpt.spec.mlp import MLP
from gpt.spec.recipe import Recipe, read_toml
from pytok.__main__ import COMMANDS as PYTOK
from pytok.commands.help import CONTEXT, LazyCommand
from tests.docs.documents import DOCUMENTS, ROOT, blocks, name_of, prose

PYTOK_COMMANDS = {str(lazy.name): lazy.load() for lazy in PYTOK}
GPT_COMMANDS = {str(lazy.name): lazy.load() for lazy in GPT}
PROGRAMS = {"pytok": PYTOK_COMMANDS, "gpt": GPT_COMMANDS}

REPOSITORY = re.compile(r"https://github\.com/pytok-lm/pytok/(?:blob|raw|tree)/main/")
"""Of links that also lead somewhere from PyPI's page of the package, which is the README."""
README = ROOT / "README.md"
FOREIGN = {
    "--extra-index-url": "pip",
    "--force": "pipx",
    "--gpus-per-task": "SLURM",
    "--nproc-per-node": "torchrun",
    "--torch-backend": "uv",
}
"""Options of other software, in the text of guides."""
PAGES = [path for path in DOCUMENTS if path.parent.name != "learn"]
"""The documents whose code is tested here; tests/test_learn.py runs the chapters of docs/learn."""


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_python_in_documents_runs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its assertions."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(build, "MECHANISMS", dict(build.MECHANISMS))
    for block in blocks(path, "python"):
        exec(compile(block.text, path.name, "exec"), {})


@pytest.mark.parametrize("name", ["README.md", "docs/python.md"])
def test_python_is_shown(name: str) -> None:
    """Else the test above would test nothing."""
    assert "assert" in "".join(block.text for block in blocks(ROOT / name, "python"))


def test_the_recipe_in_the_guide_is_one(tmp_path: Path) -> None:
    """With fields and mechanisms that there are."""
    (block,) = blocks(ROOT / "docs/training.md", "toml")
    (tmp_path / "recipe.toml").write_text(block.text)

    recipe = Recipe.from_dict(read_toml(tmp_path / "recipe.toml") | {"data": "d", "out": "o"})

    assert recipe.steps == 1000
    assert recipe.model.mlp == MLP(activation="silu", gated=True)


def links(path: Path) -> list[str]:
    """Return the targets of the links and images of a document, of Markdown and of HTML."""
    found = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"", prose(path))
    return [markdown or html for markdown, html in found]


def anchors(path: Path) -> set[str]:
    """Return the anchors of the headings of a document, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_in_documents_lead_somewhere(path: Path) -> None:
    """Those to files of the repository, also by its address, and to headings in documents."""
    for link in links(path):
        inside = REPOSITORY.match(link)
        if inside is None and re.match(r"\w+:", link):
            continue
        target, _, anchor = link[inside.end() if inside else 0 :].partition("#")
        found = (ROOT if inside else path.parent) / target if target else path
        assert found.exists(), link
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found), link


def test_links_of_the_readme_are_absolute() -> None:
    """They also have to lead somewhere from the page of the package."""
    assert links(README)
    assert not [link for link in links(README) if not link.startswith("https://")]


def test_the_readme_lists_every_page() -> None:
    """And so it is the index of docs/."""
    listed = {REPOSITORY.sub("", link).partition("#")[0] for link in links(README)}
    pages = {name_of(path) for path in (ROOT / "docs").glob("*.md")}

    assert pages - listed == {"docs/404.md", "docs/index.md"}  # of the site


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_no_line_of_code_is_cut_off(path: Path) -> None:
    """GitHub shows about a hundred columns; lines of JSON cannot be broken."""
    code = blocks(path, "sh", "python", "toml", "text")
    wide = [line for block in code for line in block.text.splitlines() if len(line) > 100]

    assert not wide


def command_lines(program: str) -> list[list[str]]:
    """Return the words after *program*, in lines of code and in the README's tables."""
    lines = [line for path in PAGES for block in blocks(path, "sh") for line in block.lines]
    lines += re.findall(r"`(.+?)`", "\n".join(re.findall(r"^\|.*\|$", README.read_text(), re.M)))
    found = [re.search(rf"(?:^|\| |-m ){program} (.*)", line) for line in lines]
    return [re.sub(r" # .*", "", match[1]).split() for match in found if match]


def loaded(command: click.Command) -> click.Command:
    """Return the command itself, if *command* stands for one that is imported when it runs."""
    return command.load() if isinstance(command, LazyCommand) else command


@pytest.mark.parametrize(("program", "commands"), PROGRAMS.items())
def test_commands_in_documents_exist_with_their_options(
    program: str, commands: Mapping[str, click.Command]
) -> None:
    """Each line names a subcommand, and options that it has."""
    lines = command_lines(program)
    assert lines
    for name, *words in lines:
        if name.startswith("-"):
            continue
        command = commands[name]
        if isinstance(command, click.Group):
            command = loaded(command.commands[words[0]])
        parameters = command.get_params(click.Context(command, **CONTEXT))  # with --help
        known = {option for parameter in parameters for option in parameter.opts}
        used = {word for word in words if word.startswith("-") and len(word) > 1}
        assert used <= known, [name, *words]


def all_options(command: click.Command) -> set[str]:
    """Return the options of *command* and of the commands in it."""
    command = loaded(command)
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    own = {
        option
        for parameter in command.get_params(click.Context(command, **CONTEXT))
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    return own.union(*map(all_options, inner))


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_options_in_the_text_exist(path: Path) -> None:
    """Those of our commands; the pages on the code and its history name others."""
    if path.name in ("architecture.md", "benchmarks.md", "CHANGELOG.md"):
        return
    commands = [command for each in PROGRAMS.values() for command in each.values()]
    known = {*FOREIGN, "--version"}.union(*map(all_options, commands))
    named = [
        option
        for code in re.findall(r"`([^`\n]+)`", prose(path))
        for option in re.findall(r"(?:^| )(--[a-z][\w-]*)", code)
    ]

    assert not [option for option in named if option not in known]


@pytest.mark.parametrize(("program", "commands"), PROGRAMS.items())
def test_the_readme_has_every_command(program: str, commands: Mapping[str, click.Command]) -> None:
    """In its tables, those of groups included."""
    text = README.read_text(encoding="utf-8")
    names = [
        f"{name} {inner}".strip()
        for name, command in commands.items()
        for inner in (command.commands if isinstance(command, click.Group) else [""])
    ]

    assert not [name for name in names if f"`{program} {name}" not in text]


def test_every_command_has_help_that_teaches() -> None:
    """A sentence for each command and each option."""
    commands = [*PYTOK_COMMANDS.values(), *GPT_COMMANDS.values()]
    groups = [each for each in commands if isinstance(each, click.Group)]
    within = [loaded(command) for group in groups for command in group.commands.values()]
    for command in [*commands, *within]:
        assert command.help
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help, parameter.name
