"""The distribution that installs this package: its version, and the commands for its extras."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path  # imported when needed: `pytok --help` needs no path

NAME = "pytok-lm"
"""Its name, which `pip` and the metadata use; the name pytok on PyPI is another project's."""

EXTRAS = {
    "cryptography": "chat",
    "gguf": "gguf",
    "sacrebleu": "bleu",
    "scipy": "lab",
    "sklearn": "style",
    "tensorboard": "tensorboard",
}
"""The extra that installs a module which is imported where it is needed."""


def version() -> str:
    """Return the version: in a checkout that of Cargo.toml, otherwise that of the metadata."""
    root = _checkout()
    if root is None:
        from importlib.metadata import version as installed  # here, since it takes milliseconds

        return installed(NAME)
    import re

    manifest = root.joinpath("Cargo.toml").read_text(encoding="utf-8")
    found = re.search(r'^version = "(.+)"$', manifest, re.MULTILINE)
    assert found is not None, f"{root}/Cargo.toml has no version"
    return found[1]


def install(extra: str) -> str:
    """Return the command that installs *extra*, for errors: from PyPI or from the checkout."""
    root = _checkout()
    if root is None:
        return f"pip install '{NAME}[{extra}]'"
    return f"pip install '{'.' if root == root.cwd() else root}[{extra}]'"


def _checkout() -> Path | None:
    """Return the root of the repository, or None if this module was installed from a wheel."""
    from pathlib import Path

    root = Path(__file__).resolve().parent.parent
    return root if root.joinpath("bpe-rs", "Cargo.toml").is_file() else None
