//! One merge: two neighboring tokens become one token wherever they occur, which creates new pairs.

use super::pairs::{Occurrences, Tally, CHUNK};
use super::words::{Symbol, Words};
use super::{Pair, Progress};
use crate::vocab::Rank;
use crate::Error;

/// A merge in progress, as its threads see it.
struct Merge<'a, S> {
    left: S,
    right: S,
    merged: S,
    /// The length in bytes of the left token, and of the merged one.
    middle: usize,
    end: usize,
    lengths: &'a [u32],
    split_points: &'a [usize],
    progress: &'a Progress<'a>,
}

/// Tokens next to those that were merged, each with the start of the pair that the two now form.
#[derive(Default)]
struct Neighbors {
    left: Vec<(Rank, u32)>,
    right: Vec<(Rank, u32)>,
}

impl<S: Symbol> Merge<'_, S> {
    /// Merges the pair at each of *starts*, from the left; *slots* are those from index *offset*
    /// on.
    ///
    /// Two threads halve a long list: no word crosses a split point, so their slots are disjoint.
    fn apply(&self, slots: &mut [S], offset: usize, starts: &[u32]) -> Result<Neighbors, Error> {
        if starts.len() > CHUNK {
            let middle = starts[starts.len() / 2] as usize;
            let split = self.split_points.partition_point(|&point| point <= middle) - 1;
            let split = self.split_points[split];
            let (before, after) =
                starts.split_at(starts.partition_point(|&start| (start as usize) < split));
            if !before.is_empty() {
                let (left, right) = slots.split_at_mut(split - offset);
                let (left, right) = rayon::join(
                    || self.apply(left, offset, before),
                    || self.apply(right, split, after),
                );
                let (mut left, right) = (left?, right?);
                left.left.extend(right.left);
                left.right.extend(right.right);
                return Ok(left);
            }
        }
        let mut neighbors = Neighbors::default();
        for chunk in starts.chunks(CHUNK) {
            self.progress.check_interrupt()?;
            for &start in chunk {
                self.apply_one(slots, start as usize - offset, start, &mut neighbors);
            }
        }
        Ok(neighbors)
    }

    /// Merges the pair at *index* of *slots*, which is the slot *start* of all.
    fn apply_one(&self, slots: &mut [S], index: usize, start: u32, neighbors: &mut Neighbors) {
        let (middle, end) = (index + self.middle, index + self.end);
        // Of two overlapping occurrences, as in "aaa", the left one was merged before. Other
        // merges may have removed the pair.
        if slots[index] != self.left || slots[middle] != self.right {
            return;
        }
        // Only the first and the last slot of a token have its rank: three writes suffice.
        slots[middle] = S::NONE;
        slots[index] = self.merged;
        slots[end - 1] = self.merged;
        let left = slots[index - 1];
        if left != S::NONE {
            let length = self.lengths[left.rank() as usize];
            neighbors.left.push((left.rank(), start - length));
        }
        // The slot after the last word of these slots belongs to the other thread; it has no rank.
        if let Some(&right) = slots.get(end).filter(|&&right| right != S::NONE) {
            neighbors.right.push((right.rank(), start));
        }
    }
}

impl<S: Symbol> Words<S> {
    /// Merges the pair of *occurrences* into the token *rank*, from the left, and returns the new
    /// pairs that occur at least *floor* times.
    ///
    /// In a run such as "aaaa", counts of new pairs are too high until they are recounted.
    pub(super) fn merge(
        &mut self,
        occurrences: &Occurrences,
        rank: Rank,
        floor: u64,
        progress: &Progress,
    ) -> Result<Vec<Occurrences>, Error> {
        let (left, right) = occurrences.pair;
        let middle = self.length(left);
        let end = middle + self.length(right);
        self.lengths.push(end as u32);
        self.numbers.push(0);
        let merge = Merge {
            left: S::new(left),
            right: S::new(right),
            merged: S::new(rank),
            middle,
            end,
            lengths: &self.lengths,
            split_points: &self.split_points,
            progress,
        };
        let neighbors = merge.apply(&mut self.slots, 0, &occurrences.starts)?;
        let before = |neighbor, token| (neighbor, token);
        let mut new = self.new_pairs(&neighbors.left, before, left, floor, progress)?;
        let after = |neighbor, token| (token, neighbor);
        new.extend(self.new_pairs(&neighbors.right, after, right, floor, progress)?);
        Ok(new)
    }

    /// The pairs of *neighbors* with the newest token that occur at least *floor* times. The pairs
    /// of the same neighbors with *old*, the token that was merged, have lost as many occurrences.
    fn new_pairs(
        &mut self,
        neighbors: &[(Rank, u32)],
        pair: impl Fn(Rank, Rank) -> Pair,
        old: Rank,
        floor: u64,
        progress: &Progress,
    ) -> Result<Vec<Occurrences>, Error> {
        let token = self.lengths.len() as Rank - 1;
        // First pass: count the occurrences of each pair.
        let mut tallies: Vec<(Rank, Tally)> = Vec::new();
        for chunk in neighbors.chunks(CHUNK) {
            progress.check_interrupt()?;
            for &(rank, start) in chunk {
                let count = self.count(start as usize);
                let number = &mut self.numbers[rank as usize];
                if *number == 0 {
                    tallies.push((rank, Tally::default()));
                    *number = tallies.len() as u32;
                }
                let (_, tally) = &mut tallies[*number as usize - 1];
                tally.count += count;
                tally.starts += 1;
            }
        }
        if !self.losses.is_empty() {
            for &(rank, Tally { count, .. }) in &tallies {
                if let Some(lost) = self.losses.get_mut(&pair(rank, old)) {
                    *lost += count;
                }
            }
        }
        let mut new = Vec::new();
        for (rank, Tally { count, starts }) in tallies {
            let kept = count >= floor && self.fits(self.length(rank) + self.length(token));
            if kept {
                new.push(Occurrences {
                    pair: pair(rank, token),
                    count,
                    starts: Vec::with_capacity(starts),
                    recounts: 0,
                });
            }
            self.numbers[rank as usize] = if kept { new.len() as u32 } else { 0 };
        }
        // Second pass: list the occurrences of the pairs that are kept.
        for chunk in neighbors.chunks(CHUNK) {
            progress.check_interrupt()?;
            for &(rank, start) in chunk {
                if let Some(number) = self.numbers[rank as usize].checked_sub(1) {
                    new[number as usize].starts.push(start);
                }
            }
        }
        // Reset the numbers for the next merge.
        for occurrences in &new {
            let (left, right) = occurrences.pair;
            self.numbers[left as usize] = 0;
            self.numbers[right as usize] = 0;
        }
        Ok(new)
    }
}
