//! Counted pieces to a vocabulary: the byte pair encoding algorithm.
//!
//! Again and again, the most frequent pair of neighbouring tokens becomes a token; among equals,
//! the pair of smallest ranks (Sennrich et al. 2016, arXiv:1508.07909, with Hugging Face's rule
//! for ties). Pair counts are kept up to date where a merge changes them, never taken again.
//! Twin of `pytok/reference/train.py`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use rustc_hash::FxHashMap;

use crate::vocab::{Rank, Vocab, BYTE_ORDER};
use crate::{Error, PieceCounts};

type Pair = (Rank, Rank);

/// How many merges may pass between two looks at the watcher: a millisecond's worth or so.
const MERGES_BETWEEN_LOOKS: usize = 64;

/// Learns a vocabulary of *size* tokens: the 256 bytes, then one token a merge.
///
/// The vocabulary is smaller if the corpus runs out of pairs. *watch* is told now and then how
/// many tokens there are, and may break the training off.
///
/// # Errors
/// When *size* is below 256, when there are more pieces than 32 bits can number, or when *watch*
/// breaks it off ([`Error::Interrupted`]).
///
/// ```
/// use std::ops::ControlFlow;
///
/// let mut counts = pytok_bpe::PieceCounts::new("gpt2", &[""; 0])?;
/// counts.add(&["aaabdaaabac"])?;
/// let vocab = pytok_bpe::train(&counts, 259, &mut |_| ControlFlow::Continue(()))?;
/// let learnt: Vec<_> = vocab.tokens().skip(256).collect();
/// assert_eq!(learnt, [&b"aa"[..], b"ab", b"aaab"]);
/// # Ok::<(), pytok_bpe::Error>(())
/// ```
pub fn train(
    counts: &PieceCounts,
    size: usize,
    watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Vocab, Error> {
    let mut tokens: Vec<Vec<u8>> = BYTE_ORDER.iter().map(|&byte| vec![byte]).collect();
    if size < tokens.len() {
        return Err(Error::SizeTooSmall { size });
    }
    let mut words = Words::new(counts)?;
    let mut pairs = words.count_pairs();
    let mut heap: BinaryHeap<Candidate> =
        pairs.iter().map(|(&pair, found)| Candidate::new(pair, found)).collect();
    while tokens.len() < size {
        if tokens.len().is_multiple_of(MERGES_BETWEEN_LOOKS) && watch(tokens.len()).is_break() {
            return Err(Error::Interrupted);
        }
        let Some(pair) = next_merge(&mut heap, &pairs) else { break };
        let rank = tokens.len() as Rank;
        tokens.push([&tokens[pair.0 as usize][..], &tokens[pair.1 as usize]].concat());
        for pair in words.merge(pair, rank, &mut pairs) {
            heap.push(Candidate::new(pair, &pairs[&pair]));
        }
    }
    Vocab::new(tokens)
}

/// Where a pair occurs, and how often.
#[derive(Debug, Default)]
struct Found {
    count: i64,
    /// The words that hold the pair, or held it once: a superset, each listed once.
    words: Vec<u32>,
}

impl Found {
    fn add(&mut self, word: u32, count: i64) {
        self.count += count;
        if self.words.last() != Some(&word) {
            self.words.push(word);
        }
    }
}

/// A merge that may come next.
///
/// The derived order *is* the tie-break: most frequent first, then the smallest pair. A pair is
/// queued once: every pair that contains rank `r` is born in the merge that minted `r`, so later
/// merges can only lower its count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    count: i64,
    pair: Reverse<Pair>,
}

impl Candidate {
    fn new(pair: Pair, found: &Found) -> Self {
        Self { count: found.count, pair: Reverse(pair) }
    }
}

/// The most frequent pair; among equals the smallest.
fn next_merge(heap: &mut BinaryHeap<Candidate>, pairs: &FxHashMap<Pair, Found>) -> Option<Pair> {
    while let Some(top) = heap.pop() {
        let Reverse(pair) = top.pair;
        match pairs[&pair].count {
            0 => {}
            count if count == top.count => return Some(pair),
            // The count fell since this candidate was queued: back to its true height.
            count => heap.push(Candidate { count, ..top }),
        }
    }
    None
}

/// The distinct pieces as ranks, end to end in one store; merging shortens them in place.
#[derive(Debug)]
struct Words {
    symbols: Vec<Rank>,
    /// Where each word begins in `symbols`, and one more for the end of the last.
    starts: Vec<usize>,
    lengths: Vec<u32>,
    counts: Vec<i64>,
}

impl Words {
    fn new(counted: &PieceCounts) -> Result<Self, Error> {
        let mut rank_of_byte = [0; 256];
        for (rank, &byte) in BYTE_ORDER.iter().enumerate() {
            rank_of_byte[byte as usize] = rank as Rank;
        }
        let mut words = Self {
            symbols: Vec::new(),
            starts: Vec::new(),
            lengths: Vec::new(),
            counts: Vec::new(),
        };
        for (piece, count) in counted.iter() {
            let length = u32::try_from(piece.len()).map_err(|_| Error::TooManyPieces)?;
            words.starts.push(words.symbols.len());
            words.lengths.push(length);
            words.counts.push(i64::try_from(count).unwrap_or(i64::MAX));
            words.symbols.extend(piece.iter().map(|&byte| rank_of_byte[byte as usize]));
        }
        u32::try_from(words.starts.len()).map_err(|_| Error::TooManyPieces)?;
        Ok(words)
    }

    fn count_pairs(&self) -> FxHashMap<Pair, Found> {
        let mut pairs: FxHashMap<Pair, Found> = FxHashMap::default();
        for (word, (&start, &length)) in self.starts.iter().zip(&self.lengths).enumerate() {
            let symbols = &self.symbols[start..start + length as usize];
            for pair in symbols.windows(2) {
                let found = pairs.entry((pair[0], pair[1])).or_default();
                found.add(word as u32, self.counts[word]);
            }
        }
        pairs
    }

    /// Replaces *pair* by *rank* wherever it occurs, from the left, and returns the pairs that
    /// were born. *pairs* is up to date afterwards, and *pair* itself gone from it.
    fn merge(&mut self, pair: Pair, rank: Rank, pairs: &mut FxHashMap<Pair, Found>) -> Vec<Pair> {
        let (left, right) = pair;
        let found = pairs.remove(&pair).unwrap_or_default();
        let mut born = Vec::new();
        for word in found.words {
            let (start, count) = (self.starts[word as usize], self.counts[word as usize]);
            let length = self.lengths[word as usize] as usize;
            let symbols = &mut self.symbols[start..start + length];
            // A neighbour that is the merged pair itself has no entry any more: nothing to lower.
            let mut change = |old: Pair, new: Pair| {
                if let Some(found) = pairs.get_mut(&old) {
                    found.count -= count;
                }
                let found = pairs.entry(new).or_insert_with(|| {
                    born.push(new);
                    Found::default()
                });
                found.add(word, count);
            };
            let (mut from, mut to) = (0, 0);
            while from < length {
                if from + 1 < length && symbols[from] == left && symbols[from + 1] == right {
                    if to > 0 {
                        change((symbols[to - 1], left), (symbols[to - 1], rank));
                    }
                    if from + 2 < length {
                        change((right, symbols[from + 2]), (rank, symbols[from + 2]));
                    }
                    symbols[to] = rank;
                    from += 2;
                } else {
                    symbols[to] = symbols[from];
                    from += 1;
                }
                to += 1;
            }
            self.lengths[word as usize] = to as u32;
        }
        born
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    fn learn(texts: &[&str], size: usize) -> Vec<Vec<u8>> {
        let mut counts = PieceCounts::new("gpt2", &[""; 0]).unwrap();
        counts.add(texts).unwrap();
        let vocab = train(&counts, size, &mut |_| ControlFlow::Continue(())).unwrap();
        vocab.tokens().skip(256).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn among_equals_the_smallest_pair_wins() {
        assert_eq!(learn(&["ba", "ab"], 257), [b"ab"]);
    }

    #[test]
    fn a_run_merges_from_the_left() {
        assert_eq!(learn(&["aaaaa"], 300), [&b"aa"[..], b"aaa", b"aaaaa"]);
    }

    #[test]
    fn training_stops_where_the_pairs_run_out() {
        assert_eq!(learn(&["ab"], 1000), [b"ab"]);
    }

    #[test]
    fn a_size_without_room_for_the_bytes_is_refused() {
        let counts = PieceCounts::new("gpt2", &[""; 0]).unwrap();

        let error = train(&counts, 255, &mut |_| ControlFlow::Continue(())).unwrap_err();

        assert_eq!(error, Error::SizeTooSmall { size: 255 });
    }

    #[test]
    fn a_watcher_can_break_the_training_off() {
        let mut counts = PieceCounts::new("gpt2", &[""; 0]).unwrap();
        counts.add(&["some text"]).unwrap();

        let result = train(&counts, 300, &mut |_| ControlFlow::Break(()));

        assert_eq!(result.unwrap_err(), Error::Interrupted);
    }

    proptest! {
        #[test]
        fn pair_counts_stay_those_of_a_recount(texts in prop::collection::vec("[ab ]{0,12}", 1..6)) {
            let mut counts = PieceCounts::new("gpt2", &[""; 0])?;
            counts.add(&texts)?;
            let mut words = Words::new(&counts)?;
            let mut pairs = words.count_pairs();
            for rank in 256..260 {
                let Some(&pair) = pairs.iter().max_by_key(|(_, found)| found.count).map(|(pair, _)| pair)
                else { break };
                words.merge(pair, rank, &mut pairs);
                pairs.retain(|_, found| found.count != 0);
                let recount = words.count_pairs();
                let counts = |pairs: &FxHashMap<Pair, Found>| {
                    pairs.iter().map(|(&pair, found)| (pair, found.count)).collect::<BTreeMap<_, _>>()
                };
                prop_assert_eq!(counts(&pairs), counts(&recount));
            }
        }

        #[test]
        fn the_order_of_documents_does_not_matter(mut texts in prop::collection::vec("\\PC{0,12}", 1..6)) {
            let forth: Vec<&str> = texts.iter().map(String::as_str).collect();
            let learnt = learn(&forth, 280);
            texts.reverse();
            let back: Vec<&str> = texts.iter().map(String::as_str).collect();
            prop_assert_eq!(learnt, learn(&back, 280));
        }
    }
}
