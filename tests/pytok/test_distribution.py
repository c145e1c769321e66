"""The version, and the commands that install extras, in a checkout and from a wheel."""

import re
import sys
from pathlib import Path
from random import Random

import pytest

from pytok import distribution
from tests.pytok.chat import phones
from tests.pytok.test_cli import check_failure, command

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT.joinpath("pyproject.toml").read_text(encoding="utf-8")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that has the module."""
    root = tmp_path / "somewhere"
    (root / "bpe-rs").mkdir(parents=True)
    (root / "bpe-rs/Cargo.toml").touch()
    (root / "Cargo.toml").write_text('[workspace.package]\nversion = "7.8.9"\n')
    monkeypatch.setattr(distribution, "__file__", str(root / "pytok/distribution.py"))
    return root


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A site-packages folder, in which another package has left a manifest."""
    (tmp_path / "Cargo.toml").touch()
    monkeypatch.setattr(distribution, "__file__", str(tmp_path / "pytok/distribution.py"))


def test_the_name_is_that_of_the_distribution() -> None:
    """A pip command with another name would install another project."""
    assert f'\nname = "{distribution.NAME}"\n' in PROJECT


def test_each_extra_of_a_module_exists() -> None:
    """The advice is a command that works."""
    assert set(distribution.EXTRAS.values()) <= set(re.findall(r"^(\w+) = \[$", PROJECT, re.M))


def test_an_extra_of_a_wheel_comes_from_the_index(wheel: None) -> None:
    """By the name of the distribution, not of the package."""
    assert distribution.install("gpt") == "pip install 'pytok-lm[gpt]'"


def test_an_extra_of_a_checkout_comes_from_the_checkout(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any working folder: `.` would be another project, or none."""
    assert distribution.install("gpt") == f"pip install '{checkout}[gpt]'"

    monkeypatch.chdir(checkout)
    assert distribution.install("gpt") == "pip install '.[gpt]'"


def test_a_checkout_has_the_version_of_its_manifest(checkout: Path) -> None:
    """The metadata of an editable installation is as old as the installation."""
    assert distribution.version() == "7.8.9"


def test_a_wheel_has_the_version_of_its_metadata(
    wheel: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the name of the distribution."""
    monkeypatch.setattr("importlib.metadata.version", {"pytok-lm": "4.5.6"}.__getitem__)

    assert distribution.version() == "4.5.6"


def test_a_missing_library_of_a_command_has_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Encrypted backups need a library that nothing else does."""
    path = tmp_path / "msgstore.db.crypt15"
    path.write_bytes(phones.encrypt(Random(0).randbytes(999), 15, bytes(32)))
    key = phones.root_key_file(tmp_path / "encrypted_backup.key", bytes(32))
    for name in [name for name in sys.modules if name.startswith("cryptography")]:
        monkeypatch.setitem(sys.modules, name, None)

    result = command("chat", "import", path, "--key", key, "-o", tmp_path / "chat.jsonl")

    check_failure(result, distribution.install("chat"))
