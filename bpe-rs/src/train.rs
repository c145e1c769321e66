//! Counted pieces to a vocabulary: the byte pair encoding algorithm.
//!
//! Again and again, the most frequent pair of neighbouring tokens becomes a token (Sennrich et al.
//! 2016, arXiv:1508.07909); [`Ties`] says which of equals. What keeps it fast: a pair's places are
//! listed once, when it is born, and counted again only when it seems to be the most frequent one,
//! so a merge updates hardly any other pair; and pairs that are too rare for now are not listed.
//! Twin of `pytok/reference/train.py`, which takes the plain way.

mod alphabet;
mod merge;
mod pairs;
mod ties;
mod words;

use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use crate::encode::merges;
use crate::vocab::{Rank, Vocab, BYTE_ORDER};
use crate::{Error, PieceCounts};
use pairs::Places;
use ties::Key;
pub use ties::Ties;
use words::{Symbol, Words};

type Pair = (Rank, Rank);

/// What is asked of a training, besides the counted pieces.
#[derive(Clone, Copy, Debug)]
pub struct Training<'a> {
    /// How many tokens there are to be: those of `base`, then one a merge.
    pub size: usize,
    /// The vocabulary to go on from; the 256 bytes if `None`.
    pub base: Option<&'a Vocab>,
    /// Which of equally frequent pairs is merged first.
    pub ties: Ties,
    /// A pair that occurs less often is never merged.
    pub min_frequency: u64,
    /// Merges make tokens of fewer bytes than this only: Hugging Face's `max_token_length`.
    pub max_token_length: Option<usize>,
    /// Only so many characters, the most frequent, take part in merges; of equals those of the
    /// smallest code points. The bytes of the others stay as `base` has them.
    pub limit_alphabet: Option<usize>,
}

impl Training<'_> {
    /// Plain byte pair encoding to *size* tokens.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self {
            size,
            base: None,
            ties: Ties::HuggingFace,
            min_frequency: 0,
            max_token_length: None,
            limit_alphabet: None,
        }
    }
}

/// Learns a vocabulary.
///
/// It is smaller than asked if the corpus runs out of pairs. *watch* is told many times a second, by
/// any thread, how many tokens there are, and may break the training off.
///
/// # Errors
/// When the size is below that of the base, when the base has a token that no merge makes, when
/// the pieces are too many or too long for 32 bits or their counts too great for 64, or when
/// *watch* breaks it off ([`Error::Interrupted`]).
///
/// ```
/// use std::ops::ControlFlow;
/// use pytok_bpe::{train, PieceCounts, Training};
///
/// let mut counts = PieceCounts::new("gpt2", &[""; 0])?;
/// counts.add(&["aaabdaaabac"])?;
/// let vocab = train(&counts, &Training::new(259), &|_| ControlFlow::Continue(()))?;
/// let learnt: Vec<_> = vocab.tokens().skip(256).collect();
/// assert_eq!(learnt, [&b"aa"[..], b"ab", b"aaab"]);
/// # Ok::<(), pytok_bpe::Error>(())
/// ```
pub fn train(
    counts: &PieceCounts,
    training: &Training,
    watch: &(dyn Fn(usize) -> ControlFlow<()> + Sync),
) -> Result<Vocab, Error> {
    let mut watch = Watch { watch, learnt: 0 };
    if u16::try_from(training.size).is_ok() {
        learn::<u16>(counts, training, &mut watch)
    } else {
        learn::<u32>(counts, training, &mut watch)
    }
}

/// `train`, with symbols just wide enough: in half the memory, twice as many are near.
fn learn<S: Symbol>(
    counts: &PieceCounts,
    training: &Training,
    watch: &mut Watch,
) -> Result<Vocab, Error> {
    let mut tokens = first_tokens(training)?;
    watch.learnt = tokens.len();
    let mut words = Words::<S>::new(counts, training, watch)?;
    let mut queue = Queue { heap: BinaryHeap::new(), floor: u64::MAX };
    while tokens.len() < training.size {
        let Some(merge) = queue.next_merge(&mut words, &tokens, training, watch)? else { break };
        let (left, right) = merge.pair;
        let rank = tokens.len() as Rank;
        tokens.push([&tokens[left as usize][..], &tokens[right as usize]].concat());
        watch.learnt = tokens.len();
        for born in words.merge(&merge, rank, queue.floor, watch)? {
            queue.heap.push(Candidate::new(born, training.ties, &tokens));
        }
    }
    Vocab::new(tokens)
}

/// The tokens to begin with, in rank order.
fn first_tokens(training: &Training) -> Result<Vec<Vec<u8>>, Error> {
    let tokens: Vec<Vec<u8>> = match training.base {
        None => BYTE_ORDER.iter().map(|&byte| vec![byte]).collect(),
        Some(base) => base.tokens().map(<[u8]>::to_vec).collect(),
    };
    if training.size < tokens.len() {
        return Err(Error::SizeTooSmall { size: training.size, least: tokens.len() });
    }
    if let Some(base) = training.base {
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
    /// The next merge, if there is one.
    fn next_merge<S: Symbol>(
        &mut self,
        words: &mut Words<S>,
        tokens: &[Vec<u8>],
        training: &Training,
        watch: &Watch,
    ) -> Result<Option<Places>, Error> {
        loop {
            let Some(Candidate { mut places, key, .. }) = self.heap.pop() else {
                let least = training.min_frequency.max(1);
                if self.floor <= least {
                    return Ok(None);
                }
                let (floor, born) =
                    words.count_pairs(least, self.floor, training.size - tokens.len(), watch)?;
                self.floor = floor;
                let candidate = |places| Candidate::new(places, training.ties, tokens);
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
            let candidate = Candidate::new(places, training.ties, tokens);
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

    fn learn(texts: &[&str], training: &Training) -> Vec<Vec<u8>> {
        let mut counts = PieceCounts::new("gpt2", &[""; 0]).unwrap();
        counts.add(texts).unwrap();
        let vocab = train(&counts, training, &|_| ControlFlow::Continue(())).unwrap();
        vocab.tokens().skip(256).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn among_equals_the_smallest_pair_wins() {
        assert_eq!(learn(&["ba", "ab"], &Training::new(257)), [b"ab"]);
    }

    #[test]
    fn a_run_merges_from_the_left() {
        assert_eq!(learn(&["aaaaa"], &Training::new(300)), [&b"aa"[..], b"aaa", b"aaaaa"]);
    }

    #[test]
    fn training_stops_where_the_pairs_run_out() {
        assert_eq!(learn(&["ab"], &Training::new(1000)), [b"ab"]);
    }

    #[test]
    fn a_pair_that_is_too_rare_is_not_merged() {
        let training = Training { min_frequency: 2, ..Training::new(300) };

        assert_eq!(learn(&["ab", "ab", "cd"], &training), [b"ab"]);
    }

    #[test]
    fn a_size_without_room_for_the_bytes_is_refused() {
        let counts = PieceCounts::new("gpt2", &[""; 0]).unwrap();

        let error =
            train(&counts, &Training::new(255), &|_| ControlFlow::Continue(())).unwrap_err();

        assert_eq!(error, Error::SizeTooSmall { size: 255, least: 256 });
    }

    #[test]
    fn a_base_with_a_token_that_no_merge_makes_is_refused() {
        let counts = PieceCounts::new("gpt2", &[""; 0]).unwrap();
        let tokens = BYTE_ORDER.iter().map(|&byte| vec![byte]).chain([b"abc".to_vec()]);
        let base = Vocab::new(tokens).unwrap();
        let training = Training { base: Some(&base), ..Training::new(300) };

        let error = train(&counts, &training, &|_| ControlFlow::Continue(())).unwrap_err();

        assert_eq!(error, Error::UnmadeToken { token: b"abc".to_vec(), rank: 256 });
    }

    #[test]
    fn a_watcher_can_break_the_training_off() {
        let mut counts = PieceCounts::new("gpt2", &[""; 0]).unwrap();
        counts.add(&["some text"]).unwrap();

        let result = train(&counts, &Training::new(300), &|_| ControlFlow::Break(()));

        assert_eq!(result.unwrap_err(), Error::Interrupted);
    }

    proptest! {
        #[test]
        fn what_was_listed_at_birth_leads_where_a_recount_does(
            texts in prop::collection::vec("[ab ]{0,12}", 1..6),
        ) {
            let mut counts = PieceCounts::new("gpt2", &[""; 0])?;
            counts.add(&texts)?;
            let (training, watch) = (Training::new(300), |_| ControlFlow::Continue(()));
            let watch = Watch { watch: &watch, learnt: 0 };
            let mut words = Words::<u16>::new(&counts, &training, &watch)?;
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
