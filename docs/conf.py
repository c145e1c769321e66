"""The configuration of the documentation site: `make docs` builds it in docs/_build/html."""

import os
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS), str(DOCS.parent)]

from generate.extension import linkcode_resolve as linkcode_resolve  # noqa: E402
from generate.links import REPOSITORY  # noqa: E402

project = "pytok"
html_title = "pytok"
author = "the pytok authors"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.linkcode",
    "generate.extension",
]
exclude_patterns = ["_build", "generate", "learn/figures", "learn/exercises", "learn/solutions"]
smartquotes = False
highlight_language = "text"

# Markdown.
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4

# The API: docstrings are reST, in which `name` refers to an object if there is one.
default_role = "py:obj"
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!(pytok|gpt)\.).*"),  # code in backticks, and objects of other software
    (r"py:obj", r"(pytok|gpt)\.(commands|_native)\b.*"),  # no part of the API
]
add_module_names = False
autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
maximum_signature_line_length = 80
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

# HTML: nothing is loaded from other hosts.
html_theme = "furo"
html_baseurl = os.environ.get("READTHEDOCS_CANONICAL_URL", "https://pytok-lm.github.io/pytok/")
html_static_path = ["_static"]
html_css_files = ["pytok.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {
    "source_repository": REPOSITORY,
    "source_branch": "main",
    "source_directory": "docs/",
    "top_of_page_buttons": [],
}
