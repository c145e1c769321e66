//! One merge: two neighbours become one token wherever they are, and new pairs are born.

use super::pairs::{Places, Tally, SHARE};
use super::words::{Symbol, Words};
use super::{Pair, Watch};
use crate::vocab::Rank;
use crate::Error;

/// A merge under way, as its threads see it.
struct Merge<'a, S> {
    left: S,
    right: S,
    merged: S,
    /// How many bytes the left token has, and all of it.
    middle: usize,
    end: usize,
    lengths: &'a [u32],
    parts: &'a [usize],
    watch: &'a Watch<'a>,
}

/// Tokens beside those that were merged, each with the place of the pair that they now make.
#[derive(Default)]
struct Neighbours {
    left: Vec<(Rank, u32)>,
    right: Vec<(Rank, u32)>,
}

impl<S: Symbol> Merge<'_, S> {
    /// Merges at each of *places*, from the left; *slots* are those from the slot *first* on.
    ///
    /// Of many places, two threads take a half each: words lie in one of them, whole.
    fn replace(&self, slots: &mut [S], first: usize, places: &[u32]) -> Result<Neighbours, Error> {
        if places.len() > SHARE {
            let middle = places[places.len() / 2] as usize;
            let cut = self.parts[self.parts.partition_point(|&part| part <= middle) - 1];
            let (before, after) = places.split_at(places.partition_point(|&p| (p as usize) < cut));
            if !before.is_empty() {
                let (left, right) = slots.split_at_mut(cut - first);
                let (left, right) = rayon::join(
                    || self.replace(left, first, before),
                    || self.replace(right, cut, after),
                );
                let (mut left, right) = (left?, right?);
                left.left.extend(right.left);
                left.right.extend(right.right);
                return Ok(left);
            }
        }
        let mut neighbours = Neighbours::default();
        for chunk in places.chunks(SHARE) {
            self.watch.look()?;
            for &place in chunk {
                self.replace_one(slots, place as usize - first, place, &mut neighbours);
            }
        }
        Ok(neighbours)
    }

    fn replace_one(&self, slots: &mut [S], start: usize, place: u32, neighbours: &mut Neighbours) {
        let (middle, end) = (start + self.middle, start + self.end);
        // Of two places that overlap, as in a run, the left one has been merged.
        if slots[start] != self.left || slots[middle] != self.right {
            return;
        }
        slots[middle] = S::NONE;
        slots[start] = self.merged;
        slots[end - 1] = self.merged;
        let left = slots[start - 1];
        if left != S::NONE {
            let length = self.lengths[left.rank() as usize];
            neighbours.left.push((left.rank(), place - length));
        }
        // The slot after the last word of a share is the next one's, and has no rank.
        if let Some(&right) = slots.get(end).filter(|&&right| right != S::NONE) {
            neighbours.right.push((right.rank(), place));
        }
    }
}

impl<S: Symbol> Words<S> {
    /// Makes the token *rank* of the pair at each of *places*, from the left, and returns the
    /// pairs that are born, but for those that occur less than *floor* times.
    ///
    /// In a run such as "aaaa", counts of born pairs are too high until they are looked at again.
    pub(super) fn merge(
        &mut self,
        places: &Places,
        rank: Rank,
        floor: u64,
        watch: &Watch,
    ) -> Result<Vec<Places>, Error> {
        let (left, right) = places.pair;
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
            parts: &self.parts,
            watch,
        };
        let neighbours = merge.replace(&mut self.slots, 0, &places.list)?;
        let before = |neighbour, token| (neighbour, token);
        let mut born = self.born(&neighbours.left, before, left, floor, watch)?;
        let after = |neighbour, token| (token, neighbour);
        born.extend(self.born(&neighbours.right, after, right, floor, watch)?);
        Ok(born)
    }

    /// The pairs that *neighbours* make with the newest token, but for those that occur less than
    /// *floor* times; those that they made with *old* have lost as much.
    fn born(
        &mut self,
        neighbours: &[(Rank, u32)],
        pair: impl Fn(Rank, Rank) -> Pair,
        old: Rank,
        floor: u64,
        watch: &Watch,
    ) -> Result<Vec<Places>, Error> {
        let new = self.lengths.len() as Rank - 1;
        let mut tallies: Vec<(Rank, Tally)> = Vec::new();
        for chunk in neighbours.chunks(SHARE) {
            watch.look()?;
            for &(rank, place) in chunk {
                let count = self.count(place as usize);
                let number = &mut self.numbers[rank as usize];
                if *number == 0 {
                    tallies.push((rank, Tally::default()));
                    *number = tallies.len() as u32;
                }
                let (_, tally) = &mut tallies[*number as usize - 1];
                tally.count += count;
                tally.places += 1;
            }
        }
        if !self.losses.is_empty() {
            for &(rank, Tally { count, .. }) in &tallies {
                if let Some(lost) = self.losses.get_mut(&pair(rank, old)) {
                    *lost += count;
                }
            }
        }
        let mut born = Vec::new();
        for (rank, Tally { count, places }) in tallies {
            let kept = count >= floor && self.may_be(self.length(rank) + self.length(new));
            if kept {
                born.push(Places {
                    pair: pair(rank, new),
                    count,
                    list: Vec::with_capacity(places),
                    looks: 0,
                });
            }
            self.numbers[rank as usize] = if kept { born.len() as u32 } else { 0 };
        }
        for chunk in neighbours.chunks(SHARE) {
            watch.look()?;
            for &(rank, place) in chunk {
                if let Some(number) = self.numbers[rank as usize].checked_sub(1) {
                    born[number as usize].list.push(place);
                }
            }
        }
        for places in &born {
            let (left, right) = places.pair;
            self.numbers[left as usize] = 0;
            self.numbers[right as usize] = 0;
        }
        Ok(born)
    }
}
