//! Distinct pieces in the order of their first occurrence, for the rule of ties that needs it.

use super::shard::{self, Shard};
use super::spans::{Cutter, Spans};
use crate::scan::Ends;
use crate::{memory, Budget, Error};

/// Concatenated pieces, and the end of each.
#[derive(Debug, Default)]
pub(super) struct FirstSeen {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl FirstSeen {
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Error> {
        memory::extend(&mut self.bytes, piece)?;
        self.ends.push(self.bytes.len());
        Ok(())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }

    pub(super) fn pruned(&self, keep: impl Fn(&[u8]) -> bool) -> Result<Self, Error> {
        let mut kept = Self::default();
        self.iter().filter(|piece| keep(piece)).try_for_each(|piece| kept.push(piece))?;
        Ok(kept)
    }

    /// Counts the pieces of *spans* on the calling thread.
    pub(super) fn add_spans<'s>(
        &mut self,
        cutter: &Cutter,
        mut spans: impl Spans<'s>,
        shards: &mut [Shard],
        progress: &impl Fn(usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (mut ends, mut buffer) = (Ends::new(), Vec::new());
        let check = || progress(0);
        let budget = Budget::new(&check);
        while let Some(span) = spans.next(cutter, &mut buffer, progress)? {
            cutter.windows(&span, &mut ends, &budget, progress, |text, mut start, ends| {
                for &end in ends {
                    let piece = &text[start..end];
                    if shards[shard::of(piece)].add(piece, 1)? {
                        self.push(piece)?;
                    }
                    start = end;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}
