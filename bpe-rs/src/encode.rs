//! A piece to ranks.
//!
//! A piece that is a token is that token; else its bytes are merged, at each step the two
//! neighbours that spell the token of lowest rank, leftmost first, until no two neighbours spell
//! one. This is tiktoken's rule, by bytes, for any vocabulary. Twin of `pytok/reference/encode.py`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::vocab::{Rank, Vocab};

/// Pieces below this many bytes are merged by scanning, which costs n² but touches one short
/// array; longer ones by a heap, which costs n log n. Nearly all pieces of real text are short.
const SHORT: usize = 64;

/// No merge: greater than every rank, since `Vocab` holds less than 2³² tokens.
const NONE: Rank = Rank::MAX;

/// Appends the ranks of *piece* to *ranks*.
///
/// ```
/// use pytok_bpe::{encode_piece, Vocab, BYTE_ORDER};
///
/// let tokens = BYTE_ORDER.iter().map(|&byte| vec![byte]);
/// let vocab = Vocab::new(tokens.chain([b"lo".to_vec(), b"hel".to_vec()]))?;
/// let mut ranks = Vec::new();
/// encode_piece(&vocab, b"hello", &mut ranks);
/// assert_eq!(ranks, [71, 68, 75, 256]); // h e l lo: nothing spells "he", so "hel" is not reached
/// ranks.clear();
/// encode_piece(&vocab, b"hel", &mut ranks);
/// assert_eq!(ranks, [257]);
/// # Ok::<(), pytok_bpe::Error>(())
/// ```
pub fn encode_piece(vocab: &Vocab, piece: &[u8], ranks: &mut Vec<Rank>) {
    match vocab.rank(piece) {
        Some(rank) => ranks.push(rank),
        None => merge(vocab, piece, NONE, ranks),
    }
}

/// For each token the two tokens whose merge makes it, or `None` for the 256 bytes and for a
/// token that no merge of lower-ranked ones makes (only a whole piece can be that token).
///
/// A vocabulary in which all others have one is encoded alike by this rule and by Hugging Face's,
/// which ranks pairs, not bytes: whatever spans a token's bytes at the time of its turn has been
/// merged just as those bytes are by themselves, so the pair that spells the token is this one.
#[must_use]
pub fn merges(vocab: &Vocab) -> Vec<Option<(Rank, Rank)>> {
    let mut parts = Vec::new();
    let mut merge_of = |(rank, token): (usize, &[u8])| {
        parts.clear();
        merge(vocab, token, rank as Rank, &mut parts);
        match parts[..] {
            [left, right] => Some((left, right)),
            _ => None,
        }
    };
    vocab.tokens().enumerate().map(&mut merge_of).collect()
}

/// Merges *piece* with the tokens of rank below *limit* only.
fn merge(vocab: &Vocab, piece: &[u8], limit: Rank, ranks: &mut Vec<Rank>) {
    if piece.len() < SHORT {
        merge_short(vocab, piece, limit, ranks);
    } else {
        merge_long(vocab, piece, limit, ranks);
    }
}

/// The rank that spells *token*, or `NONE` if none does, or none below *limit*.
fn rank_below(vocab: &Vocab, token: &[u8], limit: Rank) -> Rank {
    if token.len() > vocab.longest() {
        return NONE;
    }
    vocab.rank(token).filter(|&rank| rank < limit).unwrap_or(NONE)
}

fn merge_short(vocab: &Vocab, piece: &[u8], limit: Rank, ranks: &mut Vec<Rank>) {
    // For each part: where it begins, and the rank of its merge with the part to its right.
    let mut parts = [(0, NONE); SHORT + 1];
    let mut length = piece.len();
    for (start, part) in parts[..=length].iter_mut().enumerate() {
        let pair = piece.get(start..start + 2);
        *part = (start, pair.map_or(NONE, |pair| rank_below(vocab, pair, limit)));
    }
    loop {
        let (mut at, mut lowest) = (0, NONE);
        for (place, &(_, rank)) in parts[..length].iter().enumerate() {
            if rank < lowest {
                (at, lowest) = (place, rank);
            }
        }
        if lowest == NONE {
            break;
        }
        parts.copy_within(at + 2..=length, at + 1);
        length -= 1;
        let rank_of_merge = |place: usize| match parts[..=length].get(place + 2) {
            Some(&(end, _)) => rank_below(vocab, &piece[parts[place].0..end], limit),
            None => NONE,
        };
        let here = rank_of_merge(at);
        let before = at.checked_sub(1).map(|before| (before, rank_of_merge(before)));
        parts[at].1 = here;
        if let Some((before, rank)) = before {
            parts[before].1 = rank;
        }
    }
    for ends in parts[..=length].windows(2) {
        ranks.extend(vocab.rank(&piece[ends[0].0..ends[1].0]));
    }
}

fn merge_long(vocab: &Vocab, piece: &[u8], limit: Rank, ranks: &mut Vec<Rank>) {
    const GONE: usize = 0;
    let length = piece.len();
    // A part is known by where it begins. `end[start]` is where it ends, `GONE` once a part to
    // its left has swallowed it; `before[start]` is where its left neighbour begins.
    let mut end: Vec<usize> = (1..=length).collect();
    let mut before: Vec<usize> = (0..length).map(|start| start.saturating_sub(1)).collect();
    let mut heap = BinaryHeap::with_capacity(length);
    let candidate = |start: usize, stop: usize| {
        let rank = rank_below(vocab, &piece[start..stop], limit);
        (rank != NONE).then_some(Reverse((rank, start, stop)))
    };
    heap.extend((0..length - 1).filter_map(|start| candidate(start, start + 2)));
    while let Some(Reverse((_, start, stop))) = heap.pop() {
        let middle = end[start];
        // Stale, if this part or its right neighbour has grown or gone since.
        if middle == GONE || middle >= length || end[middle] != stop {
            continue;
        }
        end[start] = stop;
        end[middle] = GONE;
        if stop < length {
            before[stop] = start;
            heap.extend(candidate(start, end[stop]));
        }
        if start > 0 {
            heap.extend(candidate(before[start], stop));
        }
    }
    let mut start = 0;
    while start < length {
        ranks.extend(vocab.rank(&piece[start..end[start]]));
        start = end[start];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BYTE_ORDER;
    use proptest::prelude::*;

    fn vocab(tokens: &[Vec<u8>]) -> Vocab {
        let bytes = BYTE_ORDER.iter().map(|&byte| vec![byte]);
        let mut seen = std::collections::HashSet::new();
        let longer = tokens.iter().filter(|token| token.len() > 1).cloned();
        Vocab::new(bytes.chain(longer.filter(|token| seen.insert(token.clone())))).unwrap()
    }

    proptest! {
        #[test]
        fn both_ways_to_merge_agree_on_any_vocabulary(
            tokens in prop::collection::vec("[ab]{2,5}".prop_map(String::into_bytes), 0..12),
            piece in "[ab]{1,63}",
        ) {
            let vocab = vocab(&tokens);
            let (mut short, mut long) = (Vec::new(), Vec::new());
            merge_short(&vocab, piece.as_bytes(), NONE, &mut short);
            merge_long(&vocab, piece.as_bytes(), NONE, &mut long);
            prop_assert_eq!(short, long);
        }
    }

    #[test]
    fn a_token_that_no_merge_makes_has_none() {
        let vocab = vocab(&[b"ab".to_vec(), b"xyz".to_vec(), b"abc".to_vec()]);

        let made = merges(&vocab);

        let rank = |token: &[u8]| vocab.rank(token).unwrap();
        assert_eq!(made[256], Some((rank(b"a"), rank(b"b"))));
        assert_eq!(made[257], None);
        assert_eq!(made[258], Some((256, rank(b"c"))));
    }

    #[test]
    fn a_megabyte_of_one_character_is_merged() {
        let vocab = vocab(&[b"aa".to_vec(), b"aaaa".to_vec()]);
        let mut ranks = Vec::new();

        encode_piece(&vocab, &b"a".repeat(1_000_003), &mut ranks);

        assert_eq!(ranks.len(), 250_002);
    }
}
