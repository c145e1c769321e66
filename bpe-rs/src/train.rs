//! Counted pieces to a vocabulary: the byte pair encoding algorithm.
//!
//! Again and again, the most frequent pair of neighbouring tokens becomes a token (Sennrich et al.
//! 2016, arXiv:1508.07909); [`MergeRules`] say which pairs can be
//! merged, and which of equally frequent ones first. What keeps it fast: a pair's places are
//! listed once, when it is born, and counted again only when it seems to be the most frequent one,
//! so a merge updates hardly any other pair; and pairs that are too rare for now are not listed.
//! Twin of `pytok/reference/train.py`, which takes the plain way.

mod alphabet;
mod merge;
mod pairs;
mod rules;
mod words;

use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use crate::encode::merges;
use crate::vocab::{Rank, Vocab, BYTE_ORDER};
use crate::{Error, PieceCounts};
use pairs::Places;
use rules::Key;
pub use rules::{MergeRules, Ties};
use words::{Symbol, Words};

type Pair = (Rank, Rank);

/// Trains a vocabulary of *size* tokens: those of *base*, the 256 bytes if `None`, then one token a
/// merge.
///
/// The vocabulary is smaller if the corpus runs out of pairs. *progress* is called many times a
/// second, from any thread, with the number of tokens so far; if it returns `Break`, training stops.
///
/// # Errors
/// When *size* is below that of *base*, when *base* has a token that no merge makes, when the
/// pieces are too many or too long for 32 bits or their counts too great for 64, or when *progress*
/// stops the training ([`Error::Interrupted`]).
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

/// `train` with symbols of the smallest sufficient width: 16 bits halve the memory, so twice as many
/// symbols fit the caches.
fn train_in<S: Symbol>(
    counts: &PieceCounts,
    size: usize,
    base: Option<&Vocab>,
    rules: &MergeRules,
    progress: &(dyn Fn(usize) -> ControlFlow<()> + Sync),
) -> Result<Vocab, Error> {
    let mut tokens = first_tokens(size, base)?;
    let mut watch = Watch { watch: progress, learnt: tokens.len() };
    let mut words = Words::<S>::new(counts, base, rules, &watch)?;
    let mut queue = Queue { heap: BinaryHeap::new(), floor: u64::MAX };
    while tokens.len() < size {
        let remaining = size - tokens.len();
        let Some(merge) = queue.next_merge(&mut words, &tokens, rules, remaining, &watch)? else {
            break;
        };
        let (left, right) = merge.pair;
        let rank = tokens.len() as Rank;
        tokens.push([&tokens[left as usize][..], &tokens[right as usize]].concat());
        watch.learnt = tokens.len();
        for born in words.merge(&merge, rank, queue.floor, &watch)? {
            queue.heap.push(Candidate::new(born, rules.ties, &tokens));
        }
    }
    Vocab::new(tokens)
}

/// The tokens to begin with, in rank order.
fn first_tokens(size: usize, base: Option<&Vocab>) -> Result<Vec<Vec<u8>>, Error> {
    let tokens: Vec<Vec<u8>> = match base {
        None => BYTE_ORDER.iter().map(|&byte| vec![byte]).collect(),
        Some(base) => base.tokens().map(<[u8]>::to_vec).collect(),
    };
    if size < tokens.len() {
        return Err(Error::SizeTooSmall { size, least: tokens.len() });
    }
    if let Some(base) = base {
        // New merges could make such a token, which would then have two ways to be made.
        let unmade =
            |&(rank, merge): &(usize, Option<Pair>)| merge.is_none() && tokens[rank].len() > 1;
        if let Some((rank, _)) = merges(base).into_iter().enumerate().find(unmade) {
            return Err(Error::UnmadeToken { token: tokens[rank].clone(), rank });
        }
    }
    Ok(tokens)
}

/// A merge that may come next: the count and the key of its places when they were last looked at.
/// Both can only have sunk since.
#[derive(Debug)]
struct Candidate {
    count: u64,
    key: Key,
    places: Places,
}

impl Candidate {
    fn new(places: Places, ties: Ties, tokens: &[Vec<u8>]) -> Self {
        Self { count: places.count, key: ties.key(&places, tokens), places }
    }
}

/// A pair whose places were looked at again so many times is told by each merge what it loses: then
/// no counts make all looks together take longer than so many times the lists, but for ties by the
/// rule `first`.
const LOOKS: u32 = if cfg!(test) { 1 } else { 16 };

/// The merges that may come next, the most frequent on top.
///
/// A pair is queued once, when it is born: a pair that contains rank `r` is born in the merge that
/// minted `r`, and later merges can only take places from it. So what is queued is never too low,
/// and a candidate that is still on top when its places have been looked at is the next merge.
#[derive(Debug)]
struct Queue {
    heap: BinaryHeap<Candidate>,
    /// Pairs of lower counts are not queued. When no others are left, all pairs are counted anew
    /// and the floor sinks; most pairs are rare, and most of these are never merged.
    floor: u64,
}

impl Queue {
    /// The next merge, if there is one; at most *remaining* more are needed.
    fn next_merge<S: Symbol>(
        &mut self,
        words: &mut Words<S>,
        tokens: &[Vec<u8>],
        rules: &MergeRules,
        remaining: usize,
        watch: &Watch,
    ) -> Result<Option<Places>, Error> {
        loop {
            let Some(Candidate { mut places, key, .. }) = self.heap.pop() else {
                let least = rules.min_frequency.max(1);
                if self.floor <= least {
                    return Ok(None);
                }
                let (floor, born) = words.count_pairs(least, self.floor, remaining, watch)?;
                self.floor = floor;
                let candidate = |places| Candidate::new(places, rules.ties, tokens);
                self.heap = born.into_iter().map(candidate).collect();
                continue;
            };
            if let Some(lost @ 1..) = words.losses.get_mut(&places.pair) {
                places.count -= std::mem::take(lost);
                self.heap.push(Candidate { count: places.count, key, places });
                continue;
            }
            words.look_again(&mut places, watch)?;
            if places.count < self.floor {
                words.losses.remove(&places.pair);
                continue;
            }
            let candidate = Candidate::new(places, rules.ties, tokens);
            if self.heap.peek().is_none_or(|next| candidate > *next) {
                words.losses.remove(&candidate.places.pair);
                return Ok(Some(candidate.places));
            }
            if candidate.places.looks == LOOKS {
                words.losses.insert(candidate.places.pair, 0);
            }
            self.heap.push(candidate);
        }
    }
}

/// The caller's watcher, and what to tell it.
struct Watch<'a> {
    watch: &'a (dyn Fn(usize) -> ControlFlow<()> + Sync),
    learnt: usize,
}

impl Watch<'_> {
    /// An error if the training is to be broken off.
    fn look(&self) -> Result<(), Error> {
        match (self.watch)(self.learnt) {
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
    fn among_equals_the_smallest_pair_wins() {
        assert_eq!(merged(&["ba", "ab"], 257, &PLAIN), [b"ab"]);
    }

    #[test]
    fn a_run_merges_from_the_left() {
        assert_eq!(merged(&["aaaaa"], 300, &PLAIN), [&b"aa"[..], b"aaa", b"aaaaa"]);
    }

    #[test]
    fn training_stops_where_the_pairs_run_out() {
        assert_eq!(merged(&["ab"], 1000, &PLAIN), [b"ab"]);
    }

    #[test]
    fn a_pair_that_is_too_rare_is_not_merged() {
        let rules = MergeRules { min_frequency: 2, ..PLAIN };

        assert_eq!(merged(&["ab", "ab", "cd"], 300, &rules), [b"ab"]);
    }

    #[test]
    fn a_size_without_room_for_the_bytes_is_refused() {
        assert_eq!(error(255, None), Error::SizeTooSmall { size: 255, least: 256 });
    }

    #[test]
    fn a_base_with_a_token_that_no_merge_makes_is_refused() {
        let tokens = BYTE_ORDER.iter().map(|&byte| vec![byte]).chain([b"abc".to_vec()]);
        let base = Vocab::new(tokens).unwrap();

        assert_eq!(
            error(300, Some(&base)),
            Error::UnmadeToken { token: b"abc".to_vec(), rank: 256 }
        );
    }

    #[test]
    fn a_watcher_can_break_the_training_off() {
        let stop = |_| ControlFlow::Break(());

        let result = train(&counted(&["some text"]), 300, None, &PLAIN, &stop);

        assert_eq!(result.unwrap_err(), Error::Interrupted);
    }

    proptest! {
        #[test]
        fn what_was_listed_at_birth_leads_where_a_recount_does(
            texts in prop::collection::vec("[ab ]{0,12}", 1..6),
        ) {
            let mut counts = PieceCounts::new("gpt2", &[""; 0])?;
            counts.add(&texts)?;
            let watch = Watch { watch: &|_| ControlFlow::Continue(()), learnt: 0 };
            let mut words = Words::<u16>::new(&counts, None, &PLAIN, &watch)?;
            let (_, mut queued) = words.count_pairs(1, u64::MAX, usize::MAX, &watch)?;
            for rank in 256..262 {
                let most = |places: &&Places| (places.count, std::cmp::Reverse(places.pair));
                let Some(at) = queued.iter().max_by_key(most).map(|places| places.pair)
                else { break };
                let at = queued.iter().position(|places| places.pair == at).unwrap();
                let merge = queued.swap_remove(at);
                queued.extend(words.merge(&merge, rank, 1, &watch)?);
                for places in &mut queued {
                    words.look_again(places, &watch)?;
                }
                queued.retain(|places| places.count > 0);
                let (_, recount) = words.count_pairs(1, u64::MAX, usize::MAX, &watch)?;
                let sorted = |all: &[Places]| {
                    let mut all: Vec<_> = all
                        .iter()
                        .map(|places| (places.pair, places.count, places.list.clone()))
                        .collect();
                    all.sort_unstable();
                    all
                };
                prop_assert_eq!(sorted(&queued), sorted(&recount));
            }
        }
    }
}
