//! Where pairs of neighbouring tokens are, and how often that is.

use std::ops::Range;

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::words::{Symbol, Words};
use super::{Pair, Watch};
use crate::Error;

/// Where a pair is.
#[derive(Debug)]
pub(super) struct Places {
    pub pair: Pair,
    /// How often that is: each place as often as its word.
    pub count: u64,
    /// The slots where the left one begins, ascending; the pair may have gone from some.
    pub list: Vec<u32>,
    /// How many times all of them were looked at again.
    pub looks: u32,
}

/// How often a pair is found, and in how many places.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub count: u64,
    pub places: usize,
}

/// What was found of each pair, numbered in the order of finding.
struct Tallies {
    found: Vec<(Pair, Tally)>,
    /// One more than the number of each pair of ranks below `NEAR`, which at first all are; 0 for
    /// none.
    near: Vec<u32>,
    far: FxHashMap<Pair, u32>,
}

/// Ranks whose pairs are found without a hash.
const NEAR: u32 = 256;

impl Tallies {
    fn new() -> Self {
        let near = vec![0; (NEAR * NEAR) as usize];
        Self { found: Vec::new(), near, far: FxHashMap::default() }
    }

    /// The tally of *pair*, a new one if it has none.
    fn of(&mut self, pair: Pair) -> &mut Tally {
        let number = match pair {
            (left, right) if left < NEAR && right < NEAR => {
                &mut self.near[(left * NEAR + right) as usize]
            }
            _ => self.far.entry(pair).or_default(),
        };
        if *number == 0 {
            self.found.push((pair, Tally::default()));
            *number = self.found.len() as u32;
        }
        &mut self.found[*number as usize - 1].1
    }

    fn number(&self, pair: Pair) -> Option<usize> {
        let number = match pair {
            (left, right) if left < NEAR && right < NEAR => {
                self.near[(left * NEAR + right) as usize]
            }
            _ => *self.far.get(&pair)?,
        };
        number.checked_sub(1).map(|number| number as usize)
    }
}

/// Places that are worth a thread's while, and few enough to be done in a moment.
pub(super) const SHARE: usize = 1 << 12;

/// How many times the floor is below the most frequent pair, at most. All pairs are counted anew
/// each time when the floor is reached, so that it should not be near; but the lower it is, the more
/// pairs are listed that are never merged.
const DEPTH: u64 = 512;

/// Pairs that are listed beyond those for the merges that are left: counting all of them anew for the
/// last few merges costs more.
const SPARE: usize = 1 << 10;

/// A floor that leaves about enough pairs for *merges*: they lower each other's counts, but some of
/// those that they make are merged, too.
fn floor(found: &[(Pair, Tally)], merges: usize) -> u64 {
    let mut counts: Vec<u64> = found.iter().map(|(_, tally)| tally.count).collect();
    let most = counts.iter().copied().max().unwrap_or(0);
    let enough = match counts.len().checked_sub(merges.saturating_add(SPARE)) {
        Some(fewer) if merges > 0 => *counts.select_nth_unstable(fewer).1,
        _ => 0,
    };
    enough.max(most / DEPTH)
}

impl<S: Symbol> Words<S> {
    /// Counts all pairs anew, overlapping ones too, chooses a floor from *least* to *ceiling* that
    /// may do for so many *merges*, and lists the places of the pairs that are as frequent or more.
    pub(super) fn count_pairs(
        &self,
        least: u64,
        ceiling: u64,
        merges: usize,
        watch: &Watch,
    ) -> Result<(u64, Vec<Places>), Error> {
        let mut tallies = Tallies::new();
        for (pair, tally) in self.on_shares(|slots| self.tally(slots, watch))?.into_iter().flatten()
        {
            let sum = tallies.of(pair);
            sum.count += tally.count;
            sum.places += tally.places;
        }
        let mut found = tallies.found;
        let floor = floor(&found, merges).clamp(least, ceiling);
        found.retain(|(_, tally)| tally.count >= floor);
        let mut listed = Tallies::new();
        let mut born = Vec::with_capacity(found.len());
        for (pair, tally) in found {
            *listed.of(pair) = tally;
            born.push(Places {
                pair,
                count: tally.count,
                list: Vec::with_capacity(tally.places),
                looks: 0,
            });
        }
        for lists in self.on_shares(|slots| self.list(slots, &listed, watch))? {
            for (places, list) in born.iter_mut().zip(lists) {
                places.list.extend(list);
            }
        }
        Ok((floor, born))
    }

    /// What *work* makes of each thread's share of the slots, in their order.
    fn on_shares<T: Send>(
        &self,
        work: impl Fn(Range<usize>) -> Result<T, Error> + Sync,
    ) -> Result<Vec<T>, Error> {
        let parts = self.parts.len().div_ceil(rayon::current_num_threads());
        let first: Vec<usize> = self.parts.iter().step_by(parts).copied().collect();
        let share = |(number, &start): (usize, &usize)| {
            work(start..first.get(number + 1).copied().unwrap_or(self.slots.len()))
        };
        first.par_iter().enumerate().map(share).collect()
    }

    fn tally(&self, slots: Range<usize>, watch: &Watch) -> Result<Vec<(Pair, Tally)>, Error> {
        let mut tallies = Tallies::new();
        self.each_pair(slots, watch, |pair, place| {
            let tally = tallies.of(pair);
            tally.count += self.count(place);
            tally.places += 1;
        })?;
        Ok(tallies.found)
    }

    /// The places of each pair in *listed*, by its number there.
    fn list(
        &self,
        slots: Range<usize>,
        listed: &Tallies,
        watch: &Watch,
    ) -> Result<Vec<Vec<u32>>, Error> {
        let mut lists = vec![Vec::new(); listed.found.len()];
        self.each_pair(slots, watch, |pair, place| {
            if let Some(number) = listed.number(pair) {
                lists[number].push(place as u32);
            }
        })?;
        Ok(lists)
    }

    /// Hands each pair in *slots* that may be merged, and its place, to *sink*, in their order.
    fn each_pair(
        &self,
        slots: Range<usize>,
        watch: &Watch,
        mut sink: impl FnMut(Pair, usize),
    ) -> Result<(), Error> {
        let (mut before, mut last) = (slots.start, S::NONE);
        let mut start = slots.start;
        let mut looked = start;
        while start < slots.end {
            let symbol = self.slots[start];
            let length = if symbol == S::NONE { 1 } else { self.length(symbol.rank()) };
            if last != S::NONE && symbol != S::NONE && self.may_be(start + length - before) {
                sink((last.rank(), symbol.rank()), before);
            }
            (before, last) = (start, symbol);
            start += length;
            if start - looked > SHARE {
                watch.look()?;
                looked = start;
            }
        }
        Ok(())
    }

    /// Takes the places out of *places* from which the pair has gone, and counts what is left.
    pub(super) fn look_again(&self, places: &mut Places, watch: &Watch) -> Result<(), Error> {
        let (left, right) = (S::new(places.pair.0), S::new(places.pair.1));
        let length = self.length(places.pair.0);
        let still = |list: &mut Vec<u32>| {
            watch.look()?;
            let mut count = 0;
            list.retain(|&place| {
                let start = place as usize;
                let there = self.slots[start] == left && self.slots[start + length] == right;
                if there {
                    count += self.count(start);
                }
                there
            });
            Ok(count)
        };
        if places.list.len() <= SHARE {
            places.count = still(&mut places.list)?;
        } else {
            let share = |chunk: &[u32]| {
                let mut chunk = chunk.to_vec();
                still(&mut chunk).map(|count| (count, chunk))
            };
            let shares: Vec<(u64, Vec<u32>)> =
                places.list.par_chunks(SHARE).map(share).collect::<Result<_, Error>>()?;
            places.count = shares.iter().map(|(count, _)| count).sum();
            places.list.clear();
            places.list.extend(shares.iter().flat_map(|(_, list)| list));
        }
        places.list.shrink_to(2 * places.list.len());
        places.looks += 1;
        Ok(())
    }
}
