"""The documentation site: every module, command and field has an entry, and links lead somewhere.

None of this needs Sphinx, except the slow test, which builds the site.
"""

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from generate import commands, fields, markdown, modules, project, recipe
from generate.links import resolved

from gpt.spec.fields import fields_of
from gpt.spec.recipe import Recipe
from pytok.commands.help import CONTEXT, LazyCommand

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
GITHUB = "https://github.com/pytok-lm/pytok"
PAGES = modules.pages() | commands.pages() | recipe.pages()
DOCUMENTS = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *DOCS.glob("learn/*.md")])


@pytest.mark.parametrize("package", ["pytok", "gpt"])
def test_every_module_has_one_entry(package: str) -> None:
    """Except private ones, and those of the commands, which have pages of another kind."""
    root = importlib.import_module(package).__path__
    names = [package, *(each.name for each in pkgutil.walk_packages(root, f"{package}."))]
    public = {
        name
        for name in names
        if ".commands" not in name and not name.rpartition(".")[2].startswith("_")
    }

    text = "\n".join(page for name, page in PAGES.items() if name.endswith(".rst"))
    entries = re.findall(r"^\.\. automodule:: (\S+)", text, re.M)

    assert sorted(each for each in entries if each.split(".")[0] == package) == sorted(public)


@pytest.mark.parametrize("package", ["pytok", "gpt"])
def test_every_public_name_has_an_entry(package: str) -> None:
    """Or it is another name of one that has."""
    page = PAGES[f"{package}.rst"]
    for name in importlib.import_module(package).__all__:
        title = page.index(f"\n{name}\n{'-' * len(name)}\n")
        entry = page[title:].splitlines()[4]
        assert re.match(rf"\.\. auto(class|function):: {package}\.{name}$|Another name", entry)


def leaves(group: click.Group, name: str) -> list[tuple[str, click.Command]]:
    """The commands of *group* and its groups, with their full names."""
    found = []
    for short, command in group.commands.items():
        loaded = command.load() if isinstance(command, LazyCommand) else command
        full = f"{name} {short}"
        found += leaves(loaded, full) if isinstance(loaded, click.Group) else [(full, loaded)]
    return found


COMMANDS = [each for name, group in commands.PROGRAMS.items() for each in leaves(group, name)]


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_a_command_has_a_page_with_its_options_and_examples(
    name: str, command: click.Command
) -> None:
    """All options that its help shows, and the page is listed."""
    page = PAGES[f"commands/{name.replace(' ', '-')}.md"]
    entries = re.findall(r"^```\{option\} (.*)$", page, re.M)

    shown = [
        parameter
        for parameter in command.get_params(click.Context(command, **CONTEXT))
        if isinstance(parameter, click.Option) and not parameter.hidden
    ]

    assert len(entries) == len(shown)
    assert all(any(each.opts[0] in entry for entry in entries) for each in shown)
    assert all(line in page for line in getattr(command, "examples", "").splitlines())
    program = name.split()[0]
    assert f"(commands/{name.replace(' ', '-')}.md)" in PAGES[f"{program}-commands.md"]


def test_every_field_of_a_recipe_has_an_entry() -> None:
    """With its documentation."""
    page = PAGES["recipe.md"]
    for name, entries in fields_of(Recipe).by_name.items():
        for field in entries:
            documentation = markdown.escaped(field.doc, emphasis=True)
            assert re.search(rf"^`{re.escape(name)}`: .*\n: {re.escape(documentation)}", page, re.M)


def test_fields_of_files_have_entries_with_their_types() -> None:
    """The page of file formats shows them for the dataclasses that are written."""
    text = fields.entries("gpt.runs.metrics.Row")

    assert (
        "`loss`: `float`\n: Mean over the step's rows, before its update, in nats per token."
        in text
    )


def test_each_page_is_in_one_group_that_the_front_page_shows() -> None:
    """A new guide needs no entry in a list."""
    files = [
        *project.pages_of_repository().values(),
        *(DOCS / "reference" / name for name in PAGES),
    ]
    listed = {path.relative_to(DOCS).with_suffix("").as_posix() for path in files}
    inside = re.compile("reference/(modules|commands)/")  # listed by the page of their package
    known = {name for name in listed if not inside.match(name)} | {"new-guide", "learn/99-new"}
    front = (DOCS / "index.md").read_text(encoding="utf-8")

    found = [page for group in project.GROUPS for page in project.members(group, known)]

    assert sorted(found) == sorted(known - project.NO_GROUP)
    assert all(f"\n:hidden:\n{group}\n" in front for group in project.GROUPS)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_to_pages_or_to_files_on_github(path: Path) -> None:
    """In every document that is a page of the site."""
    pages = project.pages_of_repository()

    text, lost = resolved(path.read_text(encoding="utf-8"), path, pages[path], ROOT, pages)

    assert not lost
    assert "](../pytok/" not in text


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("[a](families.md#x)", "[a](families.md#x)"),
        ("[a](../CONTRIBUTING.md)", "[a](project/contributing.md)"),
        ("[a](../README.md)", "[a](index.md)"),
        ("[`a`](../pytok/text.py)", f"[`a`]({GITHUB}/blob/main/pytok/text.py)"),
        ("[a](../gpt/nn)", f"[a]({GITHUB}/tree/main/gpt/nn)"),
        ("![a](report.png)", "![a](report.png)"),
        ("`[a](../gpt/nn)`", "`[a](../gpt/nn)`"),
        ("```sh\n[a](../gpt/nn)\n```\n", "```sh\n[a](../gpt/nn)\n```\n"),
        ("[a](https://example.org/a.md)", "[a](https://example.org/a.md)"),
        (f"[a]({GITHUB}/blob/main/docs/report.md#x)", "[a](report.md#x)"),
        (f"[a]({GITHUB}/blob/main/gpt/errors.py)", f"[a]({GITHUB}/blob/main/gpt/errors.py)"),
    ],
)
def test_a_link_of_a_guide_on_the_site(link: str, expected: str) -> None:
    """To a page if there is one, else to the repository; code is not changed."""
    guide = DOCS / "corpora.md"

    assert resolved(link, guide, guide, ROOT, project.pages_of_repository()) == (expected, [])


def test_a_link_to_nothing_is_reported() -> None:
    """Also one that leaves the repository."""
    guide = DOCS / "corpora.md"

    _, lost = resolved("[a](gone.md) [b](../../etc/)", guide, guide, ROOT, {})

    assert lost == ["gone.md", "../../etc/"]


def test_help_in_markdown_reads_as_on_a_terminal() -> None:
    """Neither HTML nor emphasis."""
    assert markdown.escaped("<|end|> *.txt [default: *val*]") == (
        r"\<\|end\|\> \*.txt \[default: \*val\*\]"
    )


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """All public members have entries, and nothing is loaded from other hosts."""
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going"]

    done = subprocess.run(
        [*command, "--nitpicky", "docs", str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "searchindex.js").is_file()
    assert '<base href="/' in (tmp_path / "404.html").read_text(encoding="utf-8")
