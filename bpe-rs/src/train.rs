//! From counted pieces to a vocabulary: the byte pair encoding algorithm.
//!
//! Each step makes the most frequent pair of neighboring tokens a token (Sennrich et al. 2016,
//! arXiv:1508.07909); [`MergeRules`] say which pairs can be merged, and which of equally frequent
//! pairs comes first. Two things make it fast. The occurrences of a pair are listed once, by the
//! merge that creates its newer token, and recounted only when the pair seems to be the most
//! frequent one, so that a merge updates hardly any other pair. And pairs that are too rare for now
//! are not listed. Twin of `pytok/reference/train.py`, the plain implementation.

mod alphabet;
mod merge;
mod pairs;
mod rules;
mod words;

use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use rustc_hash::FxHashSet;

use crate::encode::merges;
use crate::vocab::{Rank, Vocab, BYTE_ORDER};
use crate::{Error, PieceCounts};
use pairs::Occurrences;
use rules::Key;
pub use rules::{MergeRules, Ties};
use words::{Symbol, Words};

type Pair = (Rank, Rank);

/// Trains a vocabulary of *size* tokens: those of *base*, the 256 bytes if `None`, then one token a
/// merge.
///
/// No merge makes one of [`ends_of_unmade`]. The vocabulary is smaller if the corpus runs out of
/// pairs. *progress* is called many times a second, from any thread, with the number of tokens so far; if it returns `Break`, training
/// stops.
///
/// # Errors
/// When *size* is below that of *base*, when the pieces are too many or too long for 32 bits or
/// their counts too large for 64, or when *progress* stops the training ([`Error::Interrupted`]).
///
/// ```
/// use std::ops::ControlFlow;
/// use pytok_bpe::{train, MergeRules, PieceCounts};
///
/// let mut counts = PieceCounts::new("gpt2", &[""; 0])?;
/// counts.add(&["aaabdaaabac"])?;
/// let rules = MergeRules::default();
/// let vocab = train(&counts, 259, None, &rules, &|_| ControlFlow::Continue(()))?;
/// let merged: Vec<_> = vocab.tokens().skip(256).collect();
/// assert_eq!(merged, [&b"aa"[..], b"ab", b"aaab"]);
/// # Ok::<(), pytok_bpe::Error>(())
/// ```
pub fn train(
    counts: &PieceCounts,
    size: usize,
    base: Option<&Vocab>,
    rules: &MergeRules,
    progress: &(dyn Fn(usize) -> ControlFlow<()> + Sync),
) -> Result<Vocab, Error> {
    if u16::try_from(size).is_ok() {
        train_in::<u16>(counts, size, base, rules, progress)
    } else {
        train_in::<u32>(counts, size, base, rules, progress)
    }
}

/// `train` with symbols of the smallest sufficient width: in half the memory, twice as many symbols
/// fit the caches.
fn train_in<S: Symbol>(
    counts: &PieceCounts,
    size: usize,
    base: Option<&Vocab>,
    rules: &MergeRules,
    progress: &(dyn Fn(usize) -> ControlFlow<()> + Sync),
) -> Result<Vocab, Error> {
    let mut tokens = first_tokens(size, base)?;
    let mut progress = Progress { callback: progress, tokens: tokens.len() };
    let mut words = Words::<S>::new(counts, base, rules, &progress)?;
    let excluded = base.map(ends_of_unmade).unwrap_or_default();
    let mut queue = Queue { heap: BinaryHeap::new(), floor: u64::MAX, excluded };
    while tokens.len() < size {
        let remaining = size - tokens.len();
        let Some(merge) = queue.next_merge(&mut words, &tokens, rules, remaining, &progress)?
        else {
            break;
        };
        let (left, right) = merge.pair;
        let rank = tokens.len() as Rank;
        tokens.push([&tokens[left as usize][..], &tokens[right as usize]].concat());
        progress.tokens = tokens.len();
        for new in words.merge(&merge, rank, queue.floor, &progress)? {
            queue.heap.push(Candidate::new(new, rules.ties, &tokens));
        }
    }
    Vocab::new(tokens)
}

/// The initial tokens, in rank order.
fn first_tokens(size: usize, base: Option<&Vocab>) -> Result<Vec<Vec<u8>>, Error> {
    let tokens: Vec<Vec<u8>> = match base {
        None => BYTE_ORDER.iter().map(|&byte| vec![byte]).collect(),
        Some(base) => base.tokens().map(<[u8]>::to_vec).collect(),
    };
    if size < tokens.len() {
        return Err(Error::SizeTooSmall { size, initial: tokens.len() });
    }
    Ok(tokens)
}

/// The beginnings and ends of the tokens of *base* that no merge of lower ranks makes.
///
/// Only as a complete piece is a text such a token. Two new neighbors that spell it would make it a
/// second time, under the rank of the base, before merges that training has made first. The
/// neighbors are a beginning and an end of the token, so if merges make none of these, nothing ever
/// spells it.
fn ends_of_unmade(base: &Vocab) -> FxHashSet<Vec<u8>> {
    let unmade = merges(base).into_iter().zip(base.tokens()).filter(|(merge, _)| merge.is_none());
    unmade
        .flat_map(|(_, token)| (1..token.len()).map(|middle| token.split_at(middle)))
        .flat_map(|(start, end)| [start.to_vec(), end.to_vec()])
        .collect()
}

/// A possible next merge, with the count and the key of its last recount. Both can only have
/// decreased since.
#[derive(Debug)]
struct Candidate {
    count: u64,
    key: Key,
    occurrences: Occurrences,
}

impl Candidate {
    fn new(occurrences: Occurrences, ties: Ties, tokens: &[Vec<u8>]) -> Self {
        Self { count: occurrences.count, key: ties.key(&occurrences, tokens), occurrences }
    }
}

/// After this many recounts of a pair, each merge records what the pair loses (`Words::losses`).
/// Whatever the counts, all recounts together then take time for at most this many passes over the
/// lists of occurrences; except for ties by the rule `first`, where a key can change without its
/// count.
const MAX_RECOUNTS: u32 = if cfg!(test) { 1 } else { 16 };

/// The candidates for the next merge, the most frequent on top.
///
/// A pair is queued once: a pair that contains rank `r` first occurs in the merge that creates `r`,
/// and later merges only remove occurrences. So queued counts are upper bounds, and a candidate
/// that is still on top after a recount is the next merge.
#[derive(Debug)]
struct Queue {
    heap: BinaryHeap<Candidate>,
    /// Pairs of lower counts are not queued: most pairs are rare, and most of these are never
    /// merged. When the queue is empty, all pairs are counted from scratch and the floor decreases.
    floor: u64,
    /// Tokens that no merge may make.
    excluded: FxHashSet<Vec<u8>>,
}

impl Queue {
    /// The next merge, if there is one; *remaining* is how many merges are needed at most.
    fn next_merge<S: Symbol>(
        &mut self,
        words: &mut Words<S>,
        tokens: &[Vec<u8>],
        rules: &MergeRules,
        remaining: usize,
        progress: &Progress,
    ) -> Result<Option<Occurrences>, Error> {
        loop {
            let Some(Candidate { mut occurrences, key, .. }) = self.heap.pop() else {
                let min_count = rules.min_frequency.max(1);
                if self.floor <= min_count {
                    return Ok(None);
                }
                let may_be_merged = |pair| !self.excludes(pair, tokens);
                let range = min_count..=self.floor;
                let (floor, listed) =
                    words.count_pairs(range, remaining, may_be_merged, progress)?;
                self.floor = floor;
                let candidate = |occurrences| Candidate::new(occurrences, rules.ties, tokens);
                self.heap = listed.into_iter().map(candidate).collect();
                continue;
            };
            if self.excludes(occurrences.pair, tokens) {
                words.losses.remove(&occurrences.pair);
                continue;
            }
            // Recorded losses lower the count without a recount.
            if let Some(lost @ 1..) = words.losses.get_mut(&occurrences.pair) {
                occurrences.count -= std::mem::take(lost);
                self.heap.push(Candidate { count: occurrences.count, key, occurrences });
                continue;
            }
            words.recount(&mut occurrences, progress)?;
            if occurrences.count < self.floor {
                words.losses.remove(&occurrences.pair);
                continue;
            }
            let candidate = Candidate::new(occurrences, rules.ties, tokens);
            if self.heap.peek().is_none_or(|next| candidate > *next) {
                words.losses.remove(&candidate.occurrences.pair);
                return Ok(Some(candidate.occurrences));
            }
            if candidate.occurrences.recounts == MAX_RECOUNTS {
                words.losses.insert(candidate.occurrences.pair, 0);
            }
            self.heap.push(candidate);
        }
    }

    fn excludes(&self, (left, right): Pair, tokens: &[Vec<u8>]) -> bool {
        let merged = || [&tokens[left as usize][..], &tokens[right as usize]].concat();
        !self.excluded.is_empty() && self.excluded.contains(&merged())
    }
}

/// The callback for progress, and the number of tokens to call it with.
struct Progress<'a> {
    callback: &'a (dyn Fn(usize) -> ControlFlow<()> + Sync),
    tokens: usize,
}

impl Progress<'_> {
    /// Calls the callback, and returns an error if it stops the training.
    fn check_interrupt(&self) -> Result<(), Error> {
        match (self.callback)(self.tokens) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Interrupted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: MergeRules = MergeRules {
        ties: Ties::HuggingFace,
        min_frequency: 0,
        max_token_length: None,
        limit_alphabet: None,
    };

    fn counted(texts: &[&str]) -> PieceCounts {
        let mut counts = PieceCounts::new("gpt2", &[""; 0]).unwrap();
        counts.add(texts).unwrap();
        counts
    }

    fn merged(texts: &[&str], size: usize, rules: &MergeRules) -> Vec<Vec<u8>> {
        let go = |_| ControlFlow::Continue(());
        let vocab = train(&counted(texts), size, None, rules, &go).unwrap();
        vocab.tokens().skip(256).map(<[u8]>::to_vec).collect()
    }

    fn error(size: usize, base: Option<&Vocab>) -> Error {
        let go = |_| ControlFlow::Continue(());
        train(&counted(&[]), size, base, &PLAIN, &go).unwrap_err()
    }

    #[test]
    fn of_equally_frequent_pairs_the_smallest_is_merged() {
        assert_eq!(merged(&["ba", "ab"], 257, &PLAIN), [b"ab"]);
    }

    #[test]
    fn a_run_merges_from_the_left() {
        assert_eq!(merged(&["aaaaa"], 300, &PLAIN), [&b"aa"[..], b"aaa", b"aaaaa"]);
    }

    #[test]
    fn training_stops_when_the_pairs_run_out() {
        assert_eq!(merged(&["ab"], 1000, &PLAIN), [b"ab"]);
    }

    #[test]
    fn a_pair_that_is_too_rare_is_not_merged() {
        let rules = MergeRules { min_frequency: 2, ..PLAIN };

        assert_eq!(merged(&["ab", "ab", "cd"], 300, &rules), [b"ab"]);
    }

    #[test]
    fn a_size_below_the_256_bytes_is_rejected() {
        assert_eq!(error(255, None), Error::SizeTooSmall { size: 255, initial: 256 });
    }

    #[test]
    fn no_merge_makes_an_end_of_a_token_that_no_merge_makes() {
        let tokens = BYTE_ORDER.iter().map(|&byte| vec![byte]).chain([b"abc".to_vec()]);
        let base = Vocab::new(tokens).unwrap();
        let go = |_| ControlFlow::Continue(());
        let vocab = train(&counted(&["zabcd zabcd"]), 300, Some(&base), &PLAIN, &go).unwrap();
        let new: Vec<_> = vocab.tokens().skip(257).collect();

        assert_eq!(new, [&b"cd"[..], b"bcd", b"abcd", b"zabcd", b" zabcd"]);
    }

    #[test]
    fn progress_can_stop_the_training() {
        let stop = |_| ControlFlow::Break(());

        let result = train(&counted(&["some text"]), 300, None, &PLAIN, &stop);

        assert_eq!(result.unwrap_err(), Error::Interrupted);
    }

    proptest! {
        #[test]
        fn listed_occurrences_equal_those_of_a_count_from_scratch(
            texts in prop::collection::vec("[ab ]{0,12}", 1..6),
        ) {
            let mut counts = PieceCounts::new("gpt2", &[""; 0])?;
            counts.add(&texts)?;
            let progress = Progress { callback: &|_| ControlFlow::Continue(()), tokens: 0 };
            let mut words = Words::<u16>::new(&counts, None, &PLAIN, &progress)?;
            let (_, mut queued) = words.count_pairs(1..=u64::MAX, usize::MAX, |_| true, &progress)?;
            for rank in 256..262 {
                let order = |pair: &&Occurrences| (pair.count, std::cmp::Reverse(pair.pair));
                let Some(best) = queued.iter().max_by_key(order).map(|best| best.pair)
                else { break };
                let best = queued.iter().position(|other| other.pair == best).unwrap();
                let merge = queued.swap_remove(best);
                queued.extend(words.merge(&merge, rank, 1, &progress)?);
                for occurrences in &mut queued {
                    words.recount(occurrences, &progress)?;
                }
                queued.retain(|occurrences| occurrences.count > 0);
                let (_, recount) = words.count_pairs(1..=u64::MAX, usize::MAX, |_| true, &progress)?;
                let sorted = |all: &[Occurrences]| {
                    let mut all: Vec<_> = all
                        .iter()
                        .map(|pair| (pair.pair, pair.count, pair.starts.clone()))
                        .collect();
                    all.sort_unstable();
                    all
                };
                prop_assert_eq!(sorted(&queued), sorted(&recount));
            }
        }
    }
}
