"""The Sphinx extension of the site: generated pages, links, references, and groups of pages."""

from __future__ import annotations

import functools
import inspect
import sys
from collections import defaultdict
from pathlib import Path
from types import MethodType
from typing import Any
from urllib.parse import urlsplit

from docutils import nodes
from docutils.statemachine import StringList
from pygments.lexers.special import TextLexer
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.directives.other import TocTree
from sphinx.errors import PycodeError
from sphinx.pycode import ModuleAnalyzer
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import find_pending_xref_condition

from generate import commands, fields, modules, project, recipe
from generate.checks import missing_members, resources_of_others
from generate.links import REPOSITORY, resolved
from generate.references import full_name, is_builtin, is_type_variable

OWN = tuple(f"{package}." for package in modules.PACKAGES)
logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the events and add the directive of groups."""
    app.connect("builder-inited", write_pages)
    app.connect("source-read", resolve_links)
    app.connect("autodoc-skip-member", skip_members_of_others)
    app.connect("html-page-context", root_of_error_page)
    app.connect("build-finished", check)
    app.connect("autodoc-before-process-signature", forget_signature, priority=1000)
    app.add_post_transform(References)
    app.add_directive("pages", Pages)
    app.add_directive("fields", Fields)
    app.add_lexer("csv", TextLexer)  # of which Pygments has none
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class Pages(TocTree):
    """A toctree of the group of pages that its content names."""

    def run(self) -> list[nodes.Node]:
        """Return the nodes of the toctree."""
        (group,) = self.content
        self.env.note_reread()  # since other pages come and go
        self.options["caption"] = group
        names = project.members(group, set(self.env.found_docs))
        self.content = StringList(names, self.env.docname)
        return super().run()


class Fields(SphinxDirective):
    """The fields of the dataclass that its argument names."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the nodes of a definition list."""
        return self.parse_text_to_nodes(fields.entries(self.arguments[0]))


def write_pages(app: Sphinx) -> None:
    """Write the generated pages that have changed, and remove those that are no longer made."""
    made = modules.pages() | commands.pages() | recipe.pages()
    pages = {project.DOCS / "reference" / name: text for name, text in made.items()}
    for source, page in project.root_pages().items():
        if source != project.README:
            pages[page] = source.read_text(encoding="utf-8")
    for path, text in pages.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for folder in {page.parent for page in pages} - {project.DOCS}:
        for path in folder.glob("*.*"):
            if path not in pages:
                path.unlink()


def resolve_links(app: Sphinx, name: str, content: list[str]) -> None:
    """Replace links of the page *name* to files of the repository; warn of those to nothing."""
    page = Path(app.env.doc2path(name))
    sources = {file: source for source, file in project.pages_of_repository().items()}
    source = page if name == "index" else sources.get(page, page)
    if page.suffix == ".md" and page in sources:
        content[0], lost = resolved(
            content[0], source, page, project.ROOT, project.pages_of_repository()
        )
        for target in lost:
            logger.warning("the link to %s leads nowhere", target, location=name)


def skip_members_of_others(
    app: Sphinx, what: str, name: str, member: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out what a class inherits from a class of other software."""
    if isinstance(member, functools.cached_property) or not inspect.isroutine(member):
        return None
    home = getattr(inspect.unwrap(member), "__module__", None)
    return True if home and not f"{home}.".startswith(OWN) else None


def forget_signature(app: Sphinx, member: Any, bound: bool) -> None:
    """Remove the signature that `autodoc_preserve_defaults` has left on a class method.

    It lacks the class already, and Python removes one more parameter.
    """
    if isinstance(member, MethodType):
        member.__func__.__dict__.pop("__signature__", None)


class References(SphinxPostTransform):
    """Gives references to the code their full names, and removes those to what has no entry."""

    default_priority = 5  # before Sphinx resolves them

    def run(self, **kwargs: Any) -> None:
        """Change the references of a page."""
        documented = self.env.domains.python_domain.objects
        for node in list(self.document.findall(pending_xref)):
            if node.get("refdomain") != "py":
                continue
            target, module = node["reftarget"], node.get("py:module") or ""
            scope = node.get("py:class") or ""
            if found := full_name(target, module, scope, documented):
                node["reftarget"] = found
                node["refspecific"] = False
                continue
            known = _by_short_name(self.app)[target.rpartition(".")[2]]
            alike = [name for name in known if f".{name}".endswith(f".{target}")]
            if len(alike) == 1 and not is_builtin(target):
                node["reftarget"] = alike[0]
                node["refspecific"] = False
            elif alike or is_type_variable(target):
                node.replace_self(_content(node))  # of several names, or a type variable


def _content(node: pending_xref) -> list[nodes.Node]:
    """Return what a reference shows."""
    return (find_pending_xref_condition(node, "resolved") or node).children


@functools.cache
def _by_short_name(app: Sphinx) -> defaultdict[str, list[str]]:
    """Return the full names of all objects by the last parts of their names.

    It is called when all pages have been read.
    """
    names: defaultdict[str, list[str]] = defaultdict(list)
    for name, entry in app.env.domains.python_domain.objects.items():
        if not entry.aliased:
            names[name.rpartition(".")[2]].append(name)
    return names


def linkcode_resolve(domain: str, info: dict[str, str]) -> str | None:
    """Return the address of the source of an object: what `sphinx.ext.linkcode` asks for."""
    module, name = modules.origin(info["module"], info["fullname"])
    try:
        _, first, last = ModuleAnalyzer.for_module(module).find_tags()[name]
    except (KeyError, PycodeError):  # a constant, or of other software
        return None
    path = Path(sys.modules[module].__file__ or "").relative_to(project.ROOT)
    return f"{REPOSITORY}/blob/main/{path.as_posix()}#L{first}-L{last}"


def root_of_error_page(app: Sphinx, name: str, template: str, context: Any, tree: Any) -> None:
    """Give the page 404, which a host shows at any address, the root of the site as its base."""
    if name == "404":
        root = urlsplit(app.config.html_baseurl).path
        context["metatags"] = f'<base href="{root}">' + context.get("metatags", "")


def check(app: Sphinx, error: Exception | None) -> None:
    """Warn of public members without an entry, and of what is loaded from other hosts."""
    if error is not None or app.builder.name != "html":
        return
    for name in missing_members(app.env.domains.python_domain.objects):
        logger.warning("%s has no entry: does it have a docstring?", name)
    for resource in resources_of_others(Path(app.outdir)):
        logger.warning("%s, and all that a page needs is to be in the site", resource)
