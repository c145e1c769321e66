//! From a piece to ranks.
//!
//! A piece that is a token is encoded as that token. Otherwise its bytes are merged: at each step
//! the two neighbors that spell the token of lowest rank, the leftmost first, until no two
//! neighbors spell a token. This is tiktoken's rule, on bytes, for any vocabulary. Twin of
//! `pytok/reference/encode.py`.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

use crate::vocab::{Rank, Vocab};

/// Pieces of fewer bytes are merged by scanning, which takes n² steps but touches one short array;
/// longer pieces with rows of candidates, which take n log n steps at most. Nearly all pieces of
/// real text are short.
const SHORT: usize = 64;

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
        None => merge(vocab, piece, every, ranks),
    }
}

/// Returns for each token the two tokens whose merge makes it, or `None` for the 256 bytes and for
/// a token that no merge of lower-ranked tokens makes (only a whole piece can be encoded as such a
/// token).
///
/// If every token longer than a byte has such a pair, this rule and Hugging Face's, which ranks
/// pairs instead of bytes, encode every text identically: whatever spans the bytes of a token when
/// it is merged has been merged as these bytes are by themselves, so the pair that spells the token
/// is this one.
#[must_use]
pub fn merges(vocab: &Vocab) -> Vec<Option<(Rank, Rank)>> {
    let mut parts = Vec::new();
    let ranked = (0..).zip(vocab.tokens());
    ranked.map(|(rank, token)| merge_of(vocab, token, |part| part < rank, &mut parts)).collect()
}

/// Returns for each token the only merge that can make it, or `None`. Other than `merges`, this has
/// those of tokens that come before their parts.
pub(crate) fn implied_merges(vocab: &Vocab) -> Vec<Option<(Rank, Rank)>> {
    let (mut implied, mut parts) = (merges(vocab), Vec::new());
    for (rank, (token, merge)) in (0..).zip(vocab.tokens().zip(&mut implied)) {
        if merge.is_none() && token.len() > 1 {
            // With a vocabulary that lacks the token, merging stops at the parts that make it.
            *merge = merge_of(vocab, token, |part| part != rank, &mut parts);
        }
    }
    implied
}

/// The two tokens whose merge makes *token*, of those whose rank *can* be used. *parts* is memory.
fn merge_of(
    vocab: &Vocab,
    token: &[u8],
    can: impl Fn(Rank) -> bool,
    parts: &mut Vec<Rank>,
) -> Option<(Rank, Rank)> {
    parts.clear();
    merge(vocab, token, can, parts);
    let length = |rank: Rank| vocab.token(rank).map_or(0, <[u8]>::len);
    match parts[..] {
        // A byte that is no token would be missing.
        [left, right] if length(left) + length(right) == token.len() => Some((left, right)),
        _ => None,
    }
}

/// Merges *piece*, without a look-up of the whole.
///
/// A byte that is not a token, and that no merge takes, is omitted from *ranks*.
pub(crate) fn merge_all(vocab: &Vocab, piece: &[u8], ranks: &mut Vec<Rank>) {
    merge(vocab, piece, every, ranks);
}

fn every(_: Rank) -> bool {
    true
}

/// Merges *piece* with only the tokens whose rank *can* be used.
fn merge(vocab: &Vocab, piece: &[u8], can: impl Fn(Rank) -> bool, ranks: &mut Vec<Rank>) {
    if piece.len() < SHORT {
        merge_short(vocab, piece, can, ranks);
    } else {
        match u32::try_from(piece.len()) {
            Ok(_) => merge_long::<u32>(vocab, piece, can, ranks),
            Err(_) => merge_long::<usize>(vocab, piece, can, ranks),
        }
    }
}

/// `merge` by scanning, for pieces of fewer than `SHORT` bytes.
fn merge_short(vocab: &Vocab, piece: &[u8], can: impl Fn(Rank) -> bool, ranks: &mut Vec<Rank>) {
    const NEVER: u64 = u64::MAX;
    let length = piece.len();
    // Padded with zeros, so that every look-up can load sixteen bytes.
    let mut padded = [0; SHORT + 16];
    padded[..length].copy_from_slice(piece);
    // A part is identified by its start; `after[start]` is the start of the next part, and
    // `before[start]` that of the previous one. After the last part comes `length`, and after that
    // again `length`.
    let mut after = [length as u8; SHORT + 1];
    let mut before = [0_u8; SHORT + 1];
    // For each part the rank of its merge with the next one, and below it, in the low byte, the
    // start of the part: the minimum is the lowest rank, and of equal ranks the leftmost. The
    // minimum of each eight is kept, so that a merge recomputes only a few of them.
    let mut merges = [[NEVER; 8]; SHORT / 8];
    let mut minima = [NEVER; SHORT / 8];
    let merge_at = |start: usize, end: usize| {
        let rank = vocab.rank_within(&padded, start, end).filter(|&rank| can(rank));
        rank.map_or(NEVER, |rank| u64::from(rank) << 8 | start as u64)
    };
    for start in 0..length {
        after[start] = start as u8 + 1;
        before[start + 1] = start as u8;
        if start + 2 <= length {
            merges[start / 8][start % 8] = merge_at(start, start + 2);
        }
    }
    let minimum = |eight: &[u64; 8]| eight.iter().copied().fold(NEVER, u64::min);
    for (least, eight) in minima.iter_mut().zip(&merges) {
        *least = minimum(eight);
    }
    loop {
        // Merge the best pair, then look up the two pairs that its token now forms.
        let lowest = minimum(&minima);
        if lowest == NEVER {
            break;
        }
        let start = lowest as usize % 256;
        let middle = usize::from(after[start]);
        let end = usize::from(after[middle]);
        after[start] = end as u8;
        before[end] = start as u8;
        let mut set = |index: usize, merge: u64| {
            merges[index / 8][index % 8] = merge;
            minima[index / 8] = minimum(&merges[index / 8]);
        };
        set(middle, NEVER);
        set(start, if end < length { merge_at(start, after[end].into()) } else { NEVER });
        if start > 0 {
            let left = usize::from(before[start]);
            set(left, merge_at(left, end));
        }
    }
    let mut start = 0;
    while start < length {
        let end = after[start].into();
        ranks.extend(vocab.rank_within(&padded, start, end));
        start = end;
    }
}

/// An offset in a piece, in 32 bits where they suffice: merging a long piece is bound by memory.
trait Offset: Copy + Ord {
    fn new(offset: usize) -> Self;
    fn get(self) -> usize;
}

impl Offset for u32 {
    fn new(offset: usize) -> Self {
        offset as Self
    }

    fn get(self) -> usize {
        self as usize
    }
}

impl Offset for usize {
    fn new(offset: usize) -> Self {
        offset
    }

    fn get(self) -> usize {
        self
    }
}

/// `merge` with rows of candidates, for longer pieces.
fn merge_long<P: Offset>(
    vocab: &Vocab,
    piece: &[u8],
    can: impl Fn(Rank) -> bool,
    ranks: &mut Vec<Rank>,
) {
    const GONE: usize = 0;
    let length = piece.len();
    // A part is identified by its start. `end[start]` is its end, `GONE` once it was merged into a
    // part to its left; `before[start]` is the start of its left neighbor.
    let mut end: Vec<P> = (1..=length).map(P::new).collect();
    let mut before: Vec<P> = (0..length).map(|start| P::new(start.saturating_sub(1))).collect();
    let mut candidates = Candidates::new();
    let rank_of = |start, stop| vocab.rank_within(piece, start, stop).filter(|&rank| can(rank));
    for start in 0..length - 1 {
        if let Some(rank) = rank_of(start, start + 2) {
            candidates.push(rank, (P::new(start), P::new(start + 2)));
        }
    }
    while let Some((rank, row)) = candidates.pop() {
        // Merge the candidates of the lowest rank from the left, until a merge creates a candidate
        // of a lower rank: the remaining ones then wait for their turn.
        let mut row = row.into_iter();
        for (first, last) in row.by_ref() {
            let (start, stop) = (first.get(), last.get());
            let middle = end[start].get();
            // Stale if this part or its right neighbor has been merged since.
            if middle == GONE || middle >= length || end[middle] != last {
                continue;
            }
            end[start] = last;
            end[middle] = P::new(GONE);
            let mut lower = false;
            let mut push = |start, stop| {
                if let Some(new) = rank_of(start, stop) {
                    candidates.push(new, (P::new(start), P::new(stop)));
                    lower |= new < rank;
                }
            };
            if start > 0 {
                push(before[start].get(), stop);
            }
            if stop < length {
                before[stop] = first;
                push(start, end[stop].get());
            }
            if lower {
                break;
            }
        }
        for waiting in row {
            candidates.push(rank, waiting);
        }
    }
    let mut start = 0;
    while start < length {
        ranks.extend(vocab.rank_within(piece, start, end[start].get()));
        start = end[start].get();
    }
}

/// Candidates for a merge by the rank of the token: start and end of two neighbors that spell it.
///
/// PERF: a single heap of all candidates takes ten times as long on ten million letters, since each
/// step down the heap misses the caches; rows are read and written sequentially.
struct Candidates<P> {
    rows: FxHashMap<Rank, Vec<(P, P)>>,
    /// The ranks in `rows`.
    ranks: BinaryHeap<Reverse<Rank>>,
}

impl<P: Offset> Candidates<P> {
    fn new() -> Self {
        Self { rows: FxHashMap::default(), ranks: BinaryHeap::new() }
    }

    fn push(&mut self, rank: Rank, candidate: (P, P)) {
        match self.rows.entry(rank) {
            Entry::Occupied(mut row) => row.get_mut().push(candidate),
            Entry::Vacant(row) => {
                row.insert(vec![candidate]);
                self.ranks.push(Reverse(rank));
            }
        }
    }

    /// Removes the row of the lowest rank, and returns it sorted from left to right.
    fn pop(&mut self) -> Option<(Rank, Vec<(P, P)>)> {
        let Reverse(rank) = self.ranks.pop()?;
        let mut row = self.rows.remove(&rank)?;
        // Candidates were added in a few ascending runs, which the sort merges.
        row.sort();
        Some((rank, row))
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
        fn scanning_and_rows_of_candidates_agree_on_any_vocabulary(
            tokens in prop::collection::vec("[ab]{2,5}".prop_map(String::into_bytes), 0..12),
            piece in "[ab]{1,63}",
        ) {
            let vocab = vocab(&tokens);
            let (mut short, mut long) = (Vec::new(), Vec::new());
            merge_short(&vocab, piece.as_bytes(), every, &mut short);
            merge_long::<u32>(&vocab, piece.as_bytes(), every, &mut long);
            prop_assert_eq!(short, long);
        }
    }

    #[test]
    fn a_token_that_no_merge_makes_has_no_pair() {
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
