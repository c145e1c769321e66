"""Extension of a vocabulary: which tokens a tokenizer has more than another, and their spelling."""

from pytok.errors import VocabError
from pytok.growing import bytes_by_id
from pytok.tokenizer import Tokenizer

KEPT = ("pattern", "splits", "normalizer", "prefix_space", "end_of_word_suffix", "unknown")
"""Parts of a definition that an extension leaves as they are."""


def spelling(extended: Tokenizer, base: Tokenizer) -> dict[int, list[int]]:
    """Return the new ids of *extended*, each with the ids of *base* that spell its token.

    Special tokens, which are no text, have none. Raises VocabError if *extended* does not extend
    *base*: if an id of it stands for something else, or text is split in another way.

    >>> from pytok.training import train
    >>> base = train(["the theme of the thesis", "then and there"], 260)
    >>> more = train(["then and there"], 262, base=base)
    >>> [base.decode(ids) for ids in spelling(more, base).values()]
    ['an', 're']
    """
    theirs, ours = base.definition, extended.definition
    ids, known = bytes_by_id(ours), bytes_by_id(theirs)
    other = next((id for id, token in known.items() if ids.get(id) != token), None)
    problems = {
        f"its {part.replace('_', ' ')} differs": getattr(ours, part) != getattr(theirs, part)
        for part in KEPT
    }
    if other is not None:
        here = repr(ids[other]) if other in ids else "no token"
        problems[f"the id {other} is {here} in it, and {known[other]!r} in the other"] = True
    merges = [*ours.tokens[: len(theirs.tokens)]]
    problems["it merges their tokens in another order"] = merges != [*theirs.tokens]
    for problem, is_there in problems.items():
        if is_there:
            raise VocabError(f"{extended.name} does not extend {base.name}: {problem}")
    special = set(ours.special_tokens.values())
    encode = base._core.encode_piece
    return {
        id: [] if id in special else encode(token) for id, token in ids.items() if id not in known
    }
