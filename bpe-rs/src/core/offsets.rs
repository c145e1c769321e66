//! Ids with the range of the text that each stands for.

use std::ops::Range;

use super::{part, Core};
use crate::added::Allowed;
use crate::{Budget, Error};

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
        let mut start = 0;
        for (id, found) in allowed.verbatim.find_all(text) {
            self.align_between(text, start..found.start, allowed, budget, &mut sink)?;
            start = found.end;
            sink(id, found)?;
        }
        self.align_between(text, start..text.len(), allowed, budget, &mut sink)
    }

    fn align_between(
        &self,
        text: &str,
        span: Range<usize>,
        allowed: &Allowed,
        budget: &Budget<'_>,
        sink: &mut impl FnMut(u32, Range<usize>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let first = span.start;
        let moved = |error: Error| error.moved_by(first);
        let aligned = self.parts.normalizer.align(part(text, span), budget).map_err(moved)?;
        let normal = &aligned.text;
        let source = |range: Range<usize>| {
            let Range { start, end } = aligned.source(range);
            first + start..first + end
        };
        let mut segments = Vec::new();
        let mut start = 0;
        for (id, found) in allowed.normalized.find_all(normal) {
            segments.push((None, start..found.start));
            start = found.end;
            segments.push((Some(id), found));
        }
        segments.push((None, start..normal.len()));
        for (id, segment) in segments {
            if let Some(id) = id {
                sink(id, source(segment))?;
                continue;
            }
            let start = segment.start;
            self.align_normal(part(normal, segment), budget, &mut |id, range| {
                sink(id, source(start + range.start..start + range.end))
            })
            .map_err(moved)?;
        }
        Ok(())
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
