"""What the exercises' tests share: whose code they test, and what a failure says."""

import importlib.util
import inspect
import traceback
from collections.abc import Generator
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
EXERCISES = HERE / "exercises"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--solutions`."""
    parser.addoption(
        "--solutions",
        action="store_true",
        help="test docs/learn/solutions/ instead of your docs/learn/exercises/",
    )


@pytest.fixture
def chapter(request: pytest.FixtureRequest) -> ModuleType:
    """The functions of exercises/chapter_NN.py, or of solutions/, for the tests in test_NN.py."""
    folder = HERE / "solutions" if request.config.getoption("--solutions") else EXERCISES
    path = folder / f"chapter_{request.path.stem.removeprefix('test_')}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Do the same for a fixture that calls an exercise as for a test."""
    return (yield from pytest_runtest_call(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Where an exercise is still to be written, show what it asks for instead of a traceback."""
    try:
        return (yield)
    except NotImplementedError as error:
        message = task(error, item.config.rootpath)
        if message is None:
            raise
    return pytest.fail(message, pytrace=False)


def task(error: NotImplementedError, root: Path) -> str | None:
    """Return what the exercise that raised *error* asks for; None if no exercise did."""
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        path = Path(frame.f_code.co_filename)
        if path.parent == EXERCISES:
            name = frame.f_code.co_name
            asked = inspect.getdoc(frame.f_globals.get(name)) or ""
            return f"{path.relative_to(root)}:{line}: write {name}().\n\n{asked}"
    return None
