//! The characters that take part in merges, where their number is limited.

use std::cmp::Reverse;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::PieceCounts;

/// The characters that take part in merges.
#[derive(Debug)]
pub(super) struct Alphabet(FxHashSet<char>);

impl Alphabet {
    /// The *limit* most frequent characters of *counts*; of equally frequent characters those of
    /// the smallest code points.
    pub(super) fn new(counts: &PieceCounts, limit: usize) -> Self {
        let mut found: FxHashMap<char, u64> = FxHashMap::default();
        for (piece, count) in counts.iter() {
            for character in piece.utf8_chunks().flat_map(|chunk| chunk.valid().chars()) {
                let sum = found.entry(character).or_default();
                *sum = sum.saturating_add(count);
            }
        }
        let mut by_frequency: Vec<(Reverse<u64>, char)> =
            found.into_iter().map(|(character, count)| (Reverse(count), character)).collect();
        by_frequency.sort_unstable();
        Self(by_frequency.into_iter().take(limit).map(|(_, character)| character).collect())
    }

    /// For each byte of *piece*, whether its character takes part.
    pub(super) fn takes_part(&self, piece: &[u8]) -> Vec<bool> {
        let mut takes_part = Vec::with_capacity(piece.len());
        for chunk in piece.utf8_chunks() {
            for character in chunk.valid().chars() {
                let bytes = takes_part.len() + character.len_utf8();
                takes_part.resize(bytes, self.0.contains(&character));
            }
            // Invalid UTF-8 is not among the most frequent characters.
            takes_part.resize(takes_part.len() + chunk.invalid().len(), false);
        }
        takes_part
    }
}
