//! Pairs of neighboring tokens: how often they occur, and in which slots.

use std::ops::{Range, RangeInclusive};

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::words::{Symbol, Words};
use super::{Pair, Progress};
use crate::Error;

/// The occurrences of a pair.
#[derive(Debug)]
pub(super) struct Occurrences {
    pub pair: Pair,
    /// How often the pair occurs: the sum of the counts of the words, once for each occurrence.
    pub count: u64,
    /// The slots where the left token starts, ascending; merges may have removed the pair from some
    /// of them.
    pub starts: Vec<u32>,
    /// How often `starts` was recounted.
    pub recounts: u32,
}

/// How often a pair occurs, and in how many slots it starts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub count: u64,
    pub starts: usize,
}

/// The tally of each pair, numbered in the order of first occurrence.
struct Tallies {
    found: Vec<(Pair, Tally)>,
    /// One more than the number of each pair of ranks below `DENSE`, which covers all pairs of
    /// bytes; 0 for pairs that were not found.
    dense: Vec<u32>,
    /// The same for all other pairs.
    sparse: FxHashMap<Pair, u32>,
}

/// Pairs of ranks below this are found without hashing.
const DENSE: u32 = 256;

impl Tallies {
    fn new() -> Self {
        let dense = vec![0; (DENSE * DENSE) as usize];
        Self { found: Vec::new(), dense, sparse: FxHashMap::default() }
    }

    /// The tally of *pair*, which is added if it is new.
    fn entry(&mut self, pair: Pair) -> &mut Tally {
        let number = match pair {
            (left, right) if left < DENSE && right < DENSE => {
                &mut self.dense[(left * DENSE + right) as usize]
            }
            _ => self.sparse.entry(pair).or_default(),
        };
        if *number == 0 {
            self.found.push((pair, Tally::default()));
            *number = self.found.len() as u32;
        }
        &mut self.found[*number as usize - 1].1
    }

    fn number(&self, pair: Pair) -> Option<usize> {
        let number = match pair {
            (left, right) if left < DENSE && right < DENSE => {
                self.dense[(left * DENSE + right) as usize]
            }
            _ => *self.sparse.get(&pair)?,
        };
        number.checked_sub(1).map(|number| number as usize)
    }
}

/// Occurrences in one task of a thread: enough to be worth it, and few enough that interruptions
/// are noticed at once.
pub(super) const CHUNK: usize = 1 << 12;

/// The floor is at least the highest count divided by this. All pairs are counted again each time
/// the floor is reached, so a high floor costs time; but the lower it is, the more pairs are listed
/// that are never merged.
const MAX_DEPTH: u64 = 512;

/// Pairs that are listed in addition to those for the remaining merges, since counting all pairs
/// again for the last few merges costs more.
const SPARE: usize = 1 << 10;

/// A floor that leaves approximately enough pairs for *merges*: merges lower the counts of other
/// pairs, but some of the pairs that they create are merged, too.
fn floor(found: &[(Pair, Tally)], merges: usize) -> u64 {
    let mut counts: Vec<u64> = found.iter().map(|(_, tally)| tally.count).collect();
    let highest = counts.iter().copied().max().unwrap_or(0);
    let enough = match counts.len().checked_sub(merges.saturating_add(SPARE)) {
        Some(fewer) if merges > 0 => *counts.select_nth_unstable(fewer).1,
        _ => 0,
    };
    enough.max(highest / MAX_DEPTH)
}

impl<S: Symbol> Words<S> {
    /// Counts all pairs from scratch, overlapping ones included, chooses a floor in *range* that
    /// should suffice for *merges*, and lists the occurrences of the pairs that *`may_be_merged`*
    /// with at least that count.
    pub(super) fn count_pairs(
        &self,
        range: RangeInclusive<u64>,
        merges: usize,
        may_be_merged: impl Fn(Pair) -> bool,
        progress: &Progress,
    ) -> Result<(u64, Vec<Occurrences>), Error> {
        // Two passes over the slots: the first one counts, so that the second one lists only the
        // pairs above the floor, in lists of the right capacity.
        let mut tallies = Tallies::new();
        let counted = self.map_ranges(|slots| self.tally(slots, progress))?;
        for (pair, tally) in counted.into_iter().flatten() {
            let sum = tallies.entry(pair);
            sum.count += tally.count;
            sum.starts += tally.starts;
        }
        let mut found = tallies.found;
        found.retain(|&(pair, _)| may_be_merged(pair));
        let floor = floor(&found, merges).clamp(*range.start(), *range.end());
        found.retain(|(_, tally)| tally.count >= floor);
        let mut numbered = Tallies::new();
        let mut listed = Vec::with_capacity(found.len());
        for (pair, tally) in found {
            *numbered.entry(pair) = tally;
            listed.push(Occurrences {
                pair,
                count: tally.count,
                starts: Vec::with_capacity(tally.starts),
                recounts: 0,
            });
        }
        for lists in self.map_ranges(|slots| self.list(slots, &numbered, progress))? {
            for (occurrences, starts) in listed.iter_mut().zip(lists) {
                occurrences.starts.extend(starts);
            }
        }
        Ok((floor, listed))
    }

    /// Divides the slots into one range per thread, and returns the results of *work*, in order.
    fn map_ranges<T: Send>(
        &self,
        work: impl Fn(Range<usize>) -> Result<T, Error> + Sync,
    ) -> Result<Vec<T>, Error> {
        let step = self.split_points.len().div_ceil(rayon::current_num_threads());
        let starts: Vec<usize> = self.split_points.iter().step_by(step).copied().collect();
        let range = |(number, &start): (usize, &usize)| {
            work(start..starts.get(number + 1).copied().unwrap_or(self.slots.len()))
        };
        starts.par_iter().enumerate().map(range).collect()
    }

    /// The tally of each pair in *slots*.
    fn tally(&self, slots: Range<usize>, progress: &Progress) -> Result<Vec<(Pair, Tally)>, Error> {
        let mut tallies = Tallies::new();
        self.each_pair(slots, progress, |pair, start| {
            let tally = tallies.entry(pair);
            tally.count += self.count(start);
            tally.starts += 1;
        })?;
        Ok(tallies.found)
    }

    /// The starts in *slots* of each pair in *numbered*, by its number there.
    fn list(
        &self,
        slots: Range<usize>,
        numbered: &Tallies,
        progress: &Progress,
    ) -> Result<Vec<Vec<u32>>, Error> {
        let mut lists = vec![Vec::new(); numbered.found.len()];
        self.each_pair(slots, progress, |pair, start| {
            if let Some(number) = numbered.number(pair) {
                lists[number].push(start as u32);
            }
        })?;
        Ok(lists)
    }

    /// Calls *sink* with each pair in *slots* that is short enough to be merged, and its start, in
    /// order.
    fn each_pair(
        &self,
        slots: Range<usize>,
        progress: &Progress,
        mut sink: impl FnMut(Pair, usize),
    ) -> Result<(), Error> {
        let (mut before, mut last) = (slots.start, S::NONE);
        let mut start = slots.start;
        let mut checked = start;
        while start < slots.end {
            let symbol = self.slots[start];
            let length = if symbol == S::NONE { 1 } else { self.length(symbol.rank()) };
            if last != S::NONE && symbol != S::NONE && self.fits(start + length - before) {
                sink((last.rank(), symbol.rank()), before);
            }
            (before, last) = (start, symbol);
            start += length;
            if start - checked > CHUNK {
                progress.check_interrupt()?;
                checked = start;
            }
        }
        Ok(())
    }

    /// Removes the starts from which the pair has disappeared, and recounts the others.
    pub(super) fn recount(
        &self,
        occurrences: &mut Occurrences,
        progress: &Progress,
    ) -> Result<(), Error> {
        let (left, right) = (S::new(occurrences.pair.0), S::new(occurrences.pair.1));
        let length = self.length(occurrences.pair.0);
        let recount = |starts: &mut Vec<u32>| {
            progress.check_interrupt()?;
            let mut count = 0;
            starts.retain(|&start| {
                let start = start as usize;
                let occurs = self.slots[start] == left && self.slots[start + length] == right;
                if occurs {
                    count += self.count(start);
                }
                occurs
            });
            Ok(count)
        };
        if occurrences.starts.len() <= CHUNK {
            occurrences.count = recount(&mut occurrences.starts)?;
        } else {
            let copy = |chunk: &[u32]| {
                let mut chunk = chunk.to_vec();
                recount(&mut chunk).map(|count| (count, chunk))
            };
            let chunks: Vec<(u64, Vec<u32>)> =
                occurrences.starts.par_chunks(CHUNK).map(copy).collect::<Result<_, Error>>()?;
            occurrences.count = chunks.iter().map(|(count, _)| count).sum();
            occurrences.starts.clear();
            occurrences.starts.extend(chunks.iter().flat_map(|(_, chunk)| chunk));
        }
        occurrences.starts.shrink_to(2 * occurrences.starts.len());
        occurrences.recounts += 1;
        Ok(())
    }
}
