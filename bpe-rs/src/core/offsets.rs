//! Ids with the range of the text that each stands for.

use std::ops::Range;

use super::Core;
use crate::added::{Allowed, Segment};
use crate::{memory, Budget, Error};

impl Core {
    /// Calls *sink* with each id of *text* and the range of bytes in it that the id stands for: for
    /// a part of a character, or of what was normalized together, the range of the whole.
    ///
    /// # Errors
    /// Those of [`encode_each`](Self::encode_each).
    pub fn encode_with_offsets(
        &self,
        text: &str,
        allowed: Option<&Allowed>,
        budget: &Budget<'_>,
        mut sink: impl FnMut(u32, Range<usize>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let allowed = self.or_always(allowed);
        budget.start(text.len());
        allowed.verbatim.segments(text).try_for_each(|Segment { id, start, text }| match id {
            Some(id) => sink(id, start..start + text.len()),
            None => self
                .align_between(text, allowed, budget, &mut |id, range: Range<usize>| {
                    sink(id, start + range.start..start + range.end)
                })
                .map_err(|error| error.moved_by(start)),
        })
    }

    /// Calls *sink* with the ids of text between added tokens, and the range of each.
    fn align_between(
        &self,
        text: &str,
        allowed: &Allowed,
        budget: &Budget<'_>,
        sink: &mut dyn FnMut(u32, Range<usize>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let aligned = self.parts.normalizer.align(text, budget)?;
        let mut segments = allowed.normalized.segments(&aligned.text);
        segments.try_for_each(|Segment { id, start, text }| match id {
            Some(id) => sink(id, aligned.source(start..start + text.len())),
            None => self
                .align_normal(text, budget, &mut |id, range| {
                    sink(id, aligned.source(start + range.start..start + range.end))
                })
                .map_err(|error| error.moved_by(start)),
        })
    }

    /// Calls *sink* with the ids of normalized text, and the range of each.
    fn align_normal(
        &self,
        text: &str,
        budget: &Budget<'_>,
        sink: &mut dyn FnMut(u32, Range<usize>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let prefixed = self.prefixed(text);
        let shift = prefixed.len() - text.len();
        self.encoder.check_text(&prefixed)?;
        let mut ids = Vec::new();
        self.each_piece(&prefixed, budget, |piece| {
            ids.clear();
            memory::check(piece.len(), memory::ALIGNING)?;
            self.encoder.encode_ranges(&prefixed.as_bytes()[piece.clone()], &mut ids);
            ids.iter().try_for_each(|(id, range)| {
                // A space that was put in front stands for the first character.
                let start = (piece.start + range.start).saturating_sub(shift);
                let end = (piece.start + range.end).saturating_sub(shift).max(start + 1);
                sink(*id, start..end)
            })
        })
    }
}
