"""Parity with tiktoken on the published encodings: ids, errors, members."""

import hashlib
import os
import pickle
import pydoc_data.topics
import tempfile
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

import pytok
from pytok.encodings import ENCODINGS, RankFile, read_ranks
from pytok.engine import EngineName
from pytok.errors import FormatError
from tests.conftest import ENGINES
from tests.pytok.strategies import texts, with_specials

NAMES = ["r50k_base", "cl100k_base", "o200k_base", "o200k_harmony"]
pytestmark = pytest.mark.usefixtures("rank_files")


@pytest.mark.parametrize("name", NAMES)
@given(text=texts(surrogates=True))
def test_published_encodings_give_tiktokens_ids(name: str, text: str) -> None:
    """On both engines, also for lone surrogates."""
    expected = tiktoken.get_encoding(name).encode(text, disallowed_special=())

    for engine in ENGINES:
        assert pytok.get_encoding(name, engine).encode(text, disallowed_special=()) == expected


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_published_special_tokens_give_tiktokens_ids(name: str, data: st.DataObject) -> None:
    """Some of them are allowed; the others are text."""
    theirs = tiktoken.get_encoding(name)
    specials = sorted(theirs.special_tokens_set)
    text = data.draw(with_specials(specials))
    allowed = data.draw(st.sets(st.sampled_from(specials)))
    expected = theirs.encode(text, allowed_special=allowed, disallowed_special=())

    for engine in ENGINES:
        ours = pytok.get_encoding(name, engine)
        assert ours.encode(text, allowed_special=allowed, disallowed_special=()) == expected


@pytest.mark.parametrize("name", NAMES)
def test_every_character_gives_tiktokens_ids(name: str) -> None:
    """All 1,112,064, next to a letter, a digit, a space and an apostrophe."""
    theirs, ours = tiktoken.get_encoding(name), pytok.get_encoding(name)
    for start in range(0, 0x110000, 0x10000):
        points = (point for point in range(start, start + 0x10000) if not 0xD800 <= point < 0xE000)
        text = "".join(f"a{chr(point)}B {chr(point)}1'{chr(point)}" for point in points)
        assert ours.encode_ordinary(text) == theirs.encode_ordinary(text)


@pytest.mark.parametrize("name", NAMES)
def test_a_manual_gives_tiktokens_ids_and_offsets(name: str) -> None:
    """Half a megabyte of Python's documentation."""
    text = "\n".join(pydoc_data.topics.topics.values())
    theirs, ours = tiktoken.get_encoding(name), pytok.get_encoding(name)
    ids = theirs.encode_ordinary(text)

    assert ours.encode_ordinary(text) == ids
    assert ours.decode_with_offsets(ids[:5000]) == theirs.decode_with_offsets(ids[:5000])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["hello fanta", " \n", "a  ", "naïv", "\n\n", "don'", "é"])
def test_unstable_encodings_are_tiktokens(name: str, text: str) -> None:
    """Completions are compared in any order."""
    stable, completions = tiktoken.get_encoding(name).encode_with_unstable(text)

    for engine in ENGINES:
        ours = pytok.get_encoding(name, engine).encode_with_unstable(text)
        assert ours[0] == stable
        assert sorted(ours[1]) == sorted(map(list, completions))


@pytest.mark.parametrize("name", NAMES)
def test_definitions_are_tiktokens(name: str) -> None:
    """Pattern, special tokens, ranks, sizes."""
    theirs, ours = tiktoken.get_encoding(name), pytok.get_encoding(name)

    assert ours._pat_str == theirs._pat_str
    assert ours._special_tokens == theirs._special_tokens
    assert ours._mergeable_ranks == theirs._mergeable_ranks
    assert (ours.n_vocab, ours.eot_token) == (theirs.n_vocab, theirs.eot_token)
    assert ours.token_byte_values() == theirs.token_byte_values()


def test_models_have_tiktokens_encodings() -> None:
    """By name and by prefix."""
    from tiktoken.model import MODEL_PREFIX_TO_ENCODING, MODEL_TO_ENCODING

    for model in [*MODEL_TO_ENCODING, *(f"{prefix}x" for prefix in MODEL_PREFIX_TO_ENCODING)]:
        assert pytok.encoding_name_for_model(model) == tiktoken.encoding_name_for_model(model)
    with pytest.raises(KeyError, match="Could not automatically map no-model"):
        pytok.encoding_name_for_model("no-model")


def test_known_names_are_tiktokens() -> None:
    """In the same order."""
    import tiktoken_ext.openai_public

    constructors = tiktoken_ext.openai_public.ENCODING_CONSTRUCTORS
    assert pytok.list_encoding_names() == list(constructors)


def test_a_named_encoding_is_built_once_and_pickled_by_name(engine: EngineName) -> None:
    """The pickle is small, and unpickling returns the same object."""
    encoding = pytok.get_encoding("r50k_base", engine)

    data = pickle.dumps(encoding)

    assert pytok.get_encoding("r50k_base", engine) is encoding
    assert pickle.loads(data) is encoding
    assert len(data) < 200


def test_an_unknown_name_is_rejected() -> None:
    """With a ValueError that lists the known names."""
    with pytest.raises(ValueError, match=r"(?s)Unknown encoding nope\..*cl100k_base"):
        pytok.get_encoding("nope")
    with pytest.raises(ValueError, match="Expected a string in get_encoding, got <class 'int'>"):
        pytok.get_encoding(1)  # type: ignore[arg-type]


def test_a_failed_download_reports_where_to_save_the_rank_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its name in the cache; a damaged copy in the cache is not used."""
    ranks = RankFile((tmp_path / "no-such-file").as_uri(), ENCODINGS["r50k_base"].ranks.sha256)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    (tmp_path / ranks.cache_name).write_bytes(b"damaged")

    with pytest.raises(FormatError, match=f"and save it as .*{ranks.cache_name}"):
        read_ranks(ranks)


def test_a_download_with_another_hash_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is not written to the cache."""
    (tmp_path / "ranks").write_bytes(b"IQ== 0\n")
    cache = tmp_path / "cache"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(cache))

    with pytest.raises(FormatError, match="SHA-256 of the download is"):
        read_ranks(RankFile((tmp_path / "ranks").as_uri(), "0" * 64))
    assert not cache.exists()


def test_a_download_is_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under tiktoken's file name, and is read from there the next time."""
    source = tmp_path / "ranks"
    source.write_bytes(b"IQ== 0\n")
    ranks = RankFile(source.as_uri(), hashlib.sha256(b"IQ== 0\n").hexdigest())
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "cache"))

    first = read_ranks(ranks)
    source.unlink()

    assert read_ranks(ranks) == first == b"IQ== 0\n"


@pytest.fixture
def published(tmp_path: Path) -> RankFile:
    """A small rank file at a URL of its own."""
    (tmp_path / "published").write_bytes(b"IQ== 0\n")
    return RankFile((tmp_path / "published").as_uri(), hashlib.sha256(b"IQ== 0\n").hexdigest())


@pytest.fixture
def without_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home and a temporary folder, both empty, and no folder chosen for the cache."""
    for name in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


@pytest.mark.usefixtures("without_settings")
def test_a_download_is_saved_where_nobody_else_can_write(
    published: RankFile, tmp_path: Path
) -> None:
    """Not in the temporary folder, from which it is read if another program has put it there."""
    read_ranks(published)

    own = tmp_path / "home/.cache/pytok"
    assert [path.name for path in own.iterdir()] == [published.cache_name]
    assert own.stat().st_mode & 0o777 == 0o700
    assert not list((tmp_path / "tmp").iterdir())

    (tmp_path / "tmp/data-gym-cache").mkdir()
    (own / published.cache_name).rename(tmp_path / "tmp/data-gym-cache" / published.cache_name)
    (tmp_path / "published").unlink()
    assert read_ranks(published) == b"IQ== 0\n"


def test_a_link_in_the_cache_is_replaced(
    published: RankFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody can have planted it in a shared folder, to have another file overwritten."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / published.cache_name).symlink_to("precious")
    read_ranks(published)

    assert not (tmp_path / published.cache_name).is_symlink()
    assert (tmp_path / "precious").read_bytes() == b"precious"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names")
def test_a_pipe_in_the_cache_is_not_read(
    published: RankFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be waited for."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    os.mkfifo(tmp_path / published.cache_name)

    assert read_ranks(published) == b"IQ== 0\n"


def test_a_download_is_bounded(
    published: RankFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server could send bytes for ever."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("pytok.encodings.MAX_BYTES", 6)

    with pytest.raises(FormatError, match="the download has more than 6 bytes"):
        read_ranks(published)
    assert not (tmp_path / "cache").exists()
