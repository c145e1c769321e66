//! The distinct pieces as sequences of tokens, in one row of slots.

use std::cmp::Reverse;

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::alphabet::Alphabet;
use super::{MergeRules, Pair, Progress, Ties};
use crate::encode::encode_piece;
use crate::vocab::{Rank, Vocab, BYTE_ORDER};
use crate::{memory, Error, PieceCounts};

/// A rank as it is stored in a slot.
pub(super) trait Symbol: Copy + PartialEq + Send + Sync {
    /// Marks a slot without a rank.
    const NONE: Self;
    fn new(rank: Rank) -> Self;
    fn rank(self) -> Rank;
}

impl Symbol for u16 {
    const NONE: Self = Self::MAX;
    fn new(rank: Rank) -> Self {
        rank as Self
    }
    fn rank(self) -> Rank {
        self.into()
    }
}

impl Symbol for u32 {
    const NONE: Self = Self::MAX;
    fn new(rank: Rank) -> Self {
        rank
    }
    fn rank(self) -> Rank {
        self
    }
}

/// The distinct pieces, with one slot for each byte.
///
/// The first and the last slot of a token have its rank, so both of its neighbors are found without
/// a search. A slot between them has no rank, or the rank of an earlier token that ended there, but
/// never that of one that started there. So a token that once started at a slot is still there if
/// the slot has its rank. A slot without a rank precedes each word and follows the last one.
#[derive(Debug)]
pub(super) struct Words<S> {
    pub slots: Vec<S>,
    /// Starts of words, about `PART` slots apart, at which the slots can be divided among threads.
    pub split_points: Vec<usize>,
    /// The count of the words in each block of slots; words of different counts do not share a
    /// block.
    counts: Vec<u64>,
    /// The length of each token in bytes.
    pub lengths: Vec<u32>,
    /// Merges only make tokens of fewer bytes than this.
    length_limit: u64,
    /// One zero per token; `merge` numbers tokens here, and resets the numbers.
    pub numbers: Vec<u32>,
    /// The occurrences that frequently recounted pairs have lost since their last recount; see
    /// `MAX_RECOUNTS`.
    pub losses: FxHashMap<Pair, u64>,
}

/// Slots with a common count. Most words have a count that many words have.
const BLOCK: usize = 16;

/// Slots between two split points, so that a thread has enough work.
const PART: usize = 1 << 14;

impl<S: Symbol> Words<S> {
    pub(super) fn new(
        counts: &PieceCounts,
        base: Option<&Vocab>,
        rules: &MergeRules,
        progress: &Progress,
    ) -> Result<Self, Error> {
        let mut pieces: Vec<(&[u8], u64)> = counts.iter().collect();
        let mut total = 0_u64;
        for &(piece, count) in &pieces {
            let weight = count.checked_mul(piece.len() as u64).ok_or(Error::CountsTooLarge)?;
            total = total.checked_add(weight).ok_or(Error::CountsTooLarge)?;
        }
        // Words of equal counts share blocks, so sort by count; the rule `first` needs the order of
        // the corpus.
        if rules.ties != Ties::First {
            pieces.par_sort_unstable_by_key(|&(_, count)| Reverse(count));
        }
        let lengths: Vec<u32> = match base {
            None => vec![1; 256],
            Some(base) => base.tokens().map(|token| token.len() as u32).collect(),
        };
        let bytes: usize = pieces.iter().map(|(piece, _)| piece.len() + 1).sum();
        let long = pieces.iter().map(|(piece, _)| piece.len()).filter(|&n| n >= memory::LONG).sum();
        memory::check(long, memory::TRAINING)?;
        let mut words = Self {
            slots: memory::with_capacity(bytes + 1)?,
            split_points: vec![0],
            counts: memory::with_capacity(bytes / BLOCK + 1)?,
            numbers: vec![0; lengths.len()],
            losses: FxHashMap::default(),
            lengths,
            length_limit: rules.max_token_length.map_or(u64::MAX, |length| length as u64),
        };
        let alphabet = rules.limit_alphabet.map(|limit| Alphabet::new(counts, limit));
        let mut rank_of_byte = [0; 256];
        for (rank, &byte) in BYTE_ORDER.iter().enumerate() {
            rank_of_byte[byte as usize] = rank as Rank;
        }
        let mut ranks = Vec::new();
        for (piece, count) in pieces {
            progress.check_interrupt()?;
            ranks.clear();
            match base {
                None => ranks.extend(piece.iter().map(|&byte| rank_of_byte[byte as usize])),
                Some(base) => encode_piece(base, piece, &mut ranks),
            }
            match &alphabet {
                None => words.push(&ranks, count),
                Some(alphabet) => words.push_segments(&ranks, &alphabet.takes_part(piece), count),
            }
        }
        words.slots.push(S::NONE);
        u32::try_from(words.slots.len()).map_err(|_| Error::TooManyPieces)?;
        Ok(words)
    }

    /// Adds a word, unless it is a single token, which has no pairs.
    fn push(&mut self, ranks: &[Rank], count: u64) {
        if ranks.len() < 2 {
            return;
        }
        // A word with another count starts a new block.
        if self.counts.last().is_some_and(|&last| last != count) {
            self.slots.resize(self.counts.len() * BLOCK, S::NONE);
        }
        if self.slots.len() >= self.split_points.len() * PART {
            self.split_points.push(self.slots.len());
        }
        self.slots.push(S::NONE);
        for &rank in ranks {
            self.slots.push(S::new(rank));
            let between = self.length(rank).saturating_sub(2);
            self.slots.extend(std::iter::repeat_n(S::NONE, between));
            if self.length(rank) > 1 {
                self.slots.push(S::new(rank));
            }
        }
        self.counts.resize(self.slots.len().div_ceil(BLOCK), count);
    }

    /// Adds the segments of *ranks* between the tokens with a byte that does not take part.
    fn push_segments(&mut self, ranks: &[Rank], takes_part: &[bool], count: u64) {
        let (mut first, mut start) = (0, 0);
        for (index, &rank) in ranks.iter().enumerate() {
            let end = start + self.length(rank);
            if takes_part[start..end].contains(&false) {
                self.push(&ranks[first..index], count);
                first = index + 1;
            }
            start = end;
        }
        self.push(&ranks[first..], count);
    }

    /// The length of the token *rank* in bytes.
    pub(super) fn length(&self, rank: Rank) -> usize {
        self.lengths[rank as usize] as usize
    }

    /// Whether a token of *length* bytes can be made.
    pub(super) fn fits(&self, length: usize) -> bool {
        (length as u64) < self.length_limit
    }

    /// The count of the word at *slot*.
    pub(super) fn count(&self, slot: usize) -> u64 {
        self.counts[slot / BLOCK]
    }
}
