"""Hypothesis strategies: texts that are likely to be split, merged or decoded wrongly."""

from hypothesis import strategies as st

SPACES = [
    " ",
    "  ",
    "\n",
    "\r\n",
    "\t",
    "\x0b",
    "\x85",
    "\xa0",
    "\u2028",
    "\u3000",
    "\x1c",
    "\u200b",
]
CONTRACTIONS = ["'s", "'S", "'ſ", "'ll", "'LL", "'ve", "'Re", "'d", "'t", "'M", "'x", "’s", "'"]
WORDS = [
    "a",
    "Hello",
    "hELLO",
    "the",
    "ẞ",
    "ǅ",
    "ʰ",
    "漢字",
    "かな",
    "naïve",
    "e\u0301",
    "\u0301",
    "Ⅷ",
]
NUMBERS = ["1", "12", "123", "1234", "٣", "½", "²"]
MARKS = ["!", "...", "/", "//", "$", "_", "<|", "|>", "😀", "👋🏽", "\u200d", "\x00", "\u0295"]
UNASSIGNED = ["\u0378", "\U0001f9ff", "\U000e0001", "\uffff", "\ue000", "\U0010ffff"]
SURROGATES = ["\ud800", "\udfff", "\ud83d\ude00"]


def texts(*, surrogates: bool = False) -> st.SearchStrategy[str]:
    """Any text, with many of the characters that decide a split."""
    pieces = SPACES + CONTRACTIONS + WORDS + NUMBERS + MARKS + UNASSIGNED
    pieces += SURROGATES if surrogates else []
    characters = st.characters() if surrogates else st.characters(exclude_categories=("Cs",))
    mixed = st.lists(st.one_of(st.sampled_from(pieces), characters), max_size=24).map("".join)
    return st.one_of(st.text(characters, max_size=24), mixed)


def corpora() -> st.SearchStrategy[list[str]]:
    """A few short documents over few letters, so that pairs repeat and ties are common."""
    document = st.text(st.sampled_from("aab bcé\n'1"), max_size=30)
    return st.lists(st.one_of(document, texts()), min_size=1, max_size=6)


def sizes() -> st.SearchStrategy[int]:
    """Vocabulary sizes from no merges to some dozens."""
    return st.integers(256, 300)


def with_specials(specials: list[str]) -> st.SearchStrategy[str]:
    """Texts that contain special tokens: complete, cut, and without text between them."""
    parts = (
        specials + [special[:-1] for special in specials] + [special[1:] for special in specials]
    )
    return st.lists(st.one_of(st.sampled_from(parts), texts()), max_size=8).map("".join)
