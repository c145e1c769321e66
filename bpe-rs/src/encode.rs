//! A piece to ranks.
//!
//! A piece that is a token is that token; else its bytes are merged, at each step the two
//! neighbours that spell the token of lowest rank, leftmost first, until no two neighbours spell
//! one. This is tiktoken's rule, by bytes, for any vocabulary. Twin of `pytok/reference/encode.py`.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

use crate::vocab::{Rank, Vocab};

/// Pieces below this many bytes are merged by scanning, which costs n² but touches one short
/// array; longer ones by rows of candidates, which cost n log n at most. Nearly all pieces of real text are short.
const SHORT: usize = 64;

/// Greater than every rank, since `Vocab` holds less than 2³² tokens.
const NO_LIMIT: Rank = Rank::MAX;

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
        None => merge(vocab, piece, NO_LIMIT, ranks),
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
        match u32::try_from(piece.len()) {
            Ok(_) => merge_long::<u32>(vocab, piece, limit, ranks),
            Err(_) => merge_long::<usize>(vocab, piece, limit, ranks),
        }
    }
}

fn merge_short(vocab: &Vocab, piece: &[u8], limit: Rank, ranks: &mut Vec<Rank>) {
    const NEVER: u64 = u64::MAX;
    let length = piece.len();
    // Zeros after it, so that every look-up has sixteen bytes to load.
    let mut padded = [0; SHORT + 16];
    padded[..length].copy_from_slice(piece);
    // A part is known by where it begins; `after` is where the next one does, and `before` where
    // the last one does. What follows the last part is the end, and so is what follows that.
    let mut after = [length as u8; SHORT + 1];
    let mut before = [0_u8; SHORT + 1];
    // For each part the rank of its merge with the next one, and, below that, where it begins: the
    // least of them is the lowest rank, and of equal ranks the leftmost. The least of each eight is
    // kept, so that a merge looks at a few of them only.
    let mut merges = [[NEVER; 8]; SHORT / 8];
    let mut least = [NEVER; SHORT / 8];
    let merge_at = |start: usize, end: usize| {
        let rank = vocab.rank_within(&padded, start, end).filter(|&rank| rank < limit);
        rank.map_or(NEVER, |rank| u64::from(rank) << 8 | start as u64)
    };
    for start in 0..length {
        after[start] = start as u8 + 1;
        before[start + 1] = start as u8;
        if start + 2 <= length {
            merges[start / 8][start % 8] = merge_at(start, start + 2);
        }
    }
    let least_of = |eight: &[u64; 8]| eight.iter().copied().fold(NEVER, u64::min);
    for (least, eight) in least.iter_mut().zip(&merges) {
        *least = least_of(eight);
    }
    loop {
        let lowest = least_of(&least);
        if lowest == NEVER {
            break;
        }
        let start = lowest as usize % 256;
        let middle = usize::from(after[start]);
        let end = usize::from(after[middle]);
        after[start] = end as u8;
        before[end] = start as u8;
        let mut set = |place: usize, merge: u64| {
            merges[place / 8][place % 8] = merge;
            least[place / 8] = least_of(&merges[place / 8]);
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

/// A place in a piece: 32 bits where they suffice, since memory is what a long one waits for.
trait Place: Copy + Ord {
    fn new(place: usize) -> Self;
    fn get(self) -> usize;
}

impl Place for u32 {
    fn new(place: usize) -> Self {
        place as Self
    }

    fn get(self) -> usize {
        self as usize
    }
}

impl Place for usize {
    fn new(place: usize) -> Self {
        place
    }

    fn get(self) -> usize {
        self
    }
}

fn merge_long<P: Place>(vocab: &Vocab, piece: &[u8], limit: Rank, ranks: &mut Vec<Rank>) {
    const GONE: usize = 0;
    let length = piece.len();
    // A part is known by where it begins. `end[start]` is where it ends, `GONE` once a part to
    // its left has swallowed it; `before[start]` is where its left neighbour begins.
    let mut end: Vec<P> = (1..=length).map(P::new).collect();
    let mut before: Vec<P> = (0..length).map(|start| P::new(start.saturating_sub(1))).collect();
    let mut candidates = Candidates::new();
    let rank_of = |start, stop| vocab.rank_within(piece, start, stop).filter(|&rank| rank < limit);
    for start in 0..length - 1 {
        if let Some(rank) = rank_of(start, start + 2) {
            candidates.push(rank, (P::new(start), P::new(start + 2)));
        }
    }
    while let Some((rank, row)) = candidates.pop() {
        // All of the lowest rank, from the left, until one makes way for a lower rank: then those
        // that are left wait for their turn.
        let mut row = row.into_iter();
        for (first, last) in row.by_ref() {
            let (start, stop) = (first.get(), last.get());
            let middle = end[start].get();
            // Stale, if this part or its right neighbour has grown or gone since.
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

/// Where two neighbours begin and end that spell a token, by its rank.
///
/// PERF: one heap of all of them takes ten times as long on ten million letters, since each step of
/// a search through it misses the caches; rows are read and written from end to end.
struct Candidates<P> {
    rows: FxHashMap<Rank, Vec<(P, P)>>,
    /// The ranks that have rows.
    ranks: BinaryHeap<Reverse<Rank>>,
}

impl<P: Place> Candidates<P> {
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

    /// All of the lowest rank, from the left.
    fn pop(&mut self) -> Option<(Rank, Vec<(P, P)>)> {
        let Reverse(rank) = self.ranks.pop()?;
        let mut row = self.rows.remove(&rank)?;
        // Each sweep through a piece adds in order, so few runs are merged here.
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
        fn both_ways_to_merge_agree_on_any_vocabulary(
            tokens in prop::collection::vec("[ab]{2,5}".prop_map(String::into_bytes), 0..12),
            piece in "[ab]{1,63}",
        ) {
            let vocab = vocab(&tokens);
            let (mut short, mut long) = (Vec::new(), Vec::new());
            merge_short(&vocab, piece.as_bytes(), NO_LIMIT, &mut short);
            merge_long::<u32>(&vocab, piece.as_bytes(), NO_LIMIT, &mut long);
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
