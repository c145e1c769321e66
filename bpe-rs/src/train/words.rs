//! The distinct pieces, cut into tokens, in one row of slots.

use std::cmp::Reverse;

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::alphabet::Alphabet;
use super::{MergeRules, Pair, Ties, Watch};
use crate::encode::encode_piece;
use crate::vocab::{Rank, Vocab, BYTE_ORDER};
use crate::{Error, PieceCounts};

/// A rank as it is stored.
pub(super) trait Symbol: Copy + PartialEq + Send + Sync {
    /// No rank.
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

/// The distinct pieces, a slot for each byte.
///
/// A token's first and last slots have its rank, so both of its neighbours are found without a
/// search. Between them a slot has no rank, or that of a token that ended there; none has the rank
/// of a token that began there, unless it begins there still. A slot without a rank lies before
/// each word and after the last.
#[derive(Debug)]
pub(super) struct Words<S> {
    pub slots: Vec<S>,
    /// Where words begin, the first one in about each `PART` slots.
    pub parts: Vec<usize>,
    /// How often the words in each block of slots occur; words of different counts share none.
    counts: Vec<u64>,
    /// How many bytes each token has.
    pub lengths: Vec<u32>,
    /// Tokens of so many bytes or more are not made.
    too_long: u64,
    /// Zeros, one a token, for `merge` to number tokens with.
    pub numbers: Vec<u32>,
    /// What the pairs that are asked after have lost since they were last counted; see `Queue`.
    pub losses: FxHashMap<Pair, u64>,
}

/// Slots that have their count in common. Most words have one that many words have.
const BLOCK: usize = 16;

/// Slots that are worth a thread's while.
const PART: usize = 1 << 14;

impl<S: Symbol> Words<S> {
    pub(super) fn new(
        counts: &PieceCounts,
        base: Option<&Vocab>,
        rules: &MergeRules,
        watch: &Watch,
    ) -> Result<Self, Error> {
        let mut pieces: Vec<(&[u8], u64)> = counts.iter().collect();
        let mut total = 0_u64;
        for &(piece, count) in &pieces {
            let weight = count.checked_mul(piece.len() as u64).ok_or(Error::CountsTooLarge)?;
            total = total.checked_add(weight).ok_or(Error::CountsTooLarge)?;
        }
        if rules.ties != Ties::First {
            pieces.par_sort_unstable_by_key(|&(_, count)| Reverse(count));
        }
        let lengths: Vec<u32> = match base {
            None => vec![1; 256],
            Some(base) => base.tokens().map(|token| token.len() as u32).collect(),
        };
        let bytes: usize = pieces.iter().map(|(piece, _)| piece.len() + 1).sum();
        let mut words = Self {
            slots: Vec::with_capacity(bytes + 1),
            parts: vec![0],
            counts: Vec::with_capacity(bytes / BLOCK + 1),
            numbers: vec![0; lengths.len()],
            losses: FxHashMap::default(),
            lengths,
            too_long: rules.max_token_length.map_or(u64::MAX, |length| length as u64),
        };
        let alphabet = rules.limit_alphabet.map(|limit| Alphabet::new(counts, limit));
        let mut rank_of_byte = [0; 256];
        for (rank, &byte) in BYTE_ORDER.iter().enumerate() {
            rank_of_byte[byte as usize] = rank as Rank;
        }
        let mut ranks = Vec::new();
        for (piece, count) in pieces {
            watch.look()?;
            ranks.clear();
            match base {
                None => ranks.extend(piece.iter().map(|&byte| rank_of_byte[byte as usize])),
                Some(base) => encode_piece(base, piece, &mut ranks),
            }
            match &alphabet {
                None => words.push(&ranks, count),
                Some(alphabet) => words.push_runs(&ranks, &alphabet.takes_part(piece), count),
            }
        }
        words.slots.push(S::NONE);
        u32::try_from(words.slots.len()).map_err(|_| Error::TooManyPieces)?;
        Ok(words)
    }

    /// Adds a word, unless it is a single token, which never has a neighbour.
    fn push(&mut self, ranks: &[Rank], count: u64) {
        if ranks.len() < 2 {
            return;
        }
        if self.counts.last().is_some_and(|&last| last != count) {
            self.slots.resize(self.counts.len() * BLOCK, S::NONE);
        }
        if self.slots.len() >= self.parts.len() * PART {
            self.parts.push(self.slots.len());
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

    /// Adds what is between those of *ranks* of which not each byte takes part.
    fn push_runs(&mut self, ranks: &[Rank], takes_part: &[bool], count: u64) {
        let (mut first, mut at) = (0, 0);
        for (place, &rank) in ranks.iter().enumerate() {
            let end = at + self.length(rank);
            if takes_part[at..end].contains(&false) {
                self.push(&ranks[first..place], count);
                first = place + 1;
            }
            at = end;
        }
        self.push(&ranks[first..], count);
    }

    /// How many bytes the token *rank* has.
    pub(super) fn length(&self, rank: Rank) -> usize {
        self.lengths[rank as usize] as usize
    }

    /// True if a token of *length* bytes may be made.
    pub(super) fn may_be(&self, length: usize) -> bool {
        (length as u64) < self.too_long
    }

    /// How often the word at *place* occurs.
    pub(super) fn count(&self, place: usize) -> u64 {
        self.counts[place / BLOCK]
    }
}
