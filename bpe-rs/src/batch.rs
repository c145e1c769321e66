//! Encoding of many texts, and of long ones, on all cores.

use std::ops::Range;

use rayon::prelude::*;

use crate::added::Segment;
use crate::cache::PieceCache;
use crate::{memory, Allowed, Budget, Core, Error};

impl Core {
    /// Returns the concatenated ids of *texts*, and the offset at which the ids of each text start,
    /// followed by their total number. Runs on the threads of the current rayon pool; long texts
    /// are divided among the threads. *progress* is called from time to time with the number of
    /// bytes encoded since its last call, and an error it returns stops the encoding.
    ///
    /// # Errors
    /// When the pattern fails on a text, and any error of *progress*.
    ///
    /// ```
    /// use pytok_bpe::{Core, BYTE_ORDER};
    ///
    /// let core = Core::new(BYTE_ORDER.map(|byte| [byte]), None, "gpt2", vec![])?;
    /// assert_eq!(core.encode_flat(&["hi", "", "!"], None, |_| Ok(()))?, (vec![71, 72, 0], vec![0, 2, 2, 3]));
    /// # Ok::<(), pytok_bpe::Error>(())
    /// ```
    pub fn encode_flat<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
        allowed: Option<&Allowed>,
        progress: impl Fn(usize) -> Result<(), Error> + Sync,
    ) -> Result<(Vec<u32>, Vec<usize>), Error> {
        let allowed = self.or_always(allowed);
        let spans = self.spans(texts, allowed);
        let encode = |spans: &[Span<'_>]| {
            let bytes: usize = spans.iter().map(|span| span.segment.text.len()).sum();
            let (mut ids, mut counts) = (memory::with_capacity(bytes / 3 + 1)?, Vec::new());
            let check = || progress(0);
            let budget = Budget::new(&check);
            self.caches.with(|cache| {
                for Span { segment, .. } in spans {
                    budget.start(segment.text.len());
                    let before = ids.len();
                    self.encode_segment(segment, allowed, &budget, cache, &mut |chunk| {
                        ids.extend_from_slice(chunk);
                        progress(0)
                    })?;
                    progress(segment.text.len())?;
                    counts.push(ids.len() - before);
                }
                Ok((ids, counts))
            })
        };
        let mut ids = Vec::new();
        let mut counts = Vec::with_capacity(spans.len());
        let chunks = chunks_of(&spans);
        let rounds = chunks.chunks(CHUNKS_PER_THREAD * rayon::current_num_threads());
        let count = rounds.len();
        for (before, round) in rounds.enumerate() {
            let encoded: Vec<(Vec<u32>, Vec<usize>)> =
                round.par_iter().map(|spans| encode(spans)).collect::<Result<_, Error>>()?;
            let more = encoded.iter().map(|(ids, _)| ids.len()).sum();
            if ids.capacity() - ids.len() < more {
                // The remaining rounds are no longer than this one, and will have about as many ids
                // each.
                let each = (ids.len() + more) / (before + 1);
                reserve(&mut ids, more, (each + each / 16) * (count - before - 1));
            }
            append_all(&mut ids, encoded.iter().map(|(ids, _)| ids.as_slice()));
            counts.extend(encoded.into_iter().flat_map(|(_, counts)| counts));
        }
        let mut offsets = vec![0; texts.len() + 1];
        for (span, count) in spans.iter().zip(counts) {
            offsets[span.index + 1] += count;
        }
        for index in 0..texts.len() {
            offsets[index + 1] += offsets[index];
        }
        ids.shrink_to_fit();
        Ok((ids, offsets))
    }

    /// Like [`encode_flat`](Self::encode_flat), on the calling thread: for texts too short to
    /// divide.
    ///
    /// # Errors
    /// When the pattern fails on a text, and any error of the check of *budget*.
    pub fn encode_flat_serial<T: AsRef<str>>(
        &self,
        texts: &[T],
        allowed: Option<&Allowed>,
        budget: &Budget<'_>,
    ) -> Result<(Vec<u32>, Vec<usize>), Error> {
        let (mut ids, mut offsets) = (Vec::new(), vec![0]);
        for text in texts {
            self.encode_each(text.as_ref(), allowed, budget, |chunk| {
                ids.extend_from_slice(chunk);
                Ok(())
            })?;
            offsets.push(ids.len());
        }
        Ok((ids, offsets))
    }

    /// Returns the number of ids of each of *texts*. Threads, *progress* and errors are those of
    /// [`encode_flat`](Self::encode_flat); memory does not grow with the texts.
    ///
    /// # Errors
    /// Those of [`encode_flat`](Self::encode_flat).
    pub fn count_each<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
        allowed: Option<&Allowed>,
        progress: impl Fn(usize) -> Result<(), Error> + Sync,
    ) -> Result<Vec<usize>, Error> {
        let allowed = self.or_always(allowed);
        let spans = self.spans(texts, allowed);
        let check = || progress(0);
        let count =
            |Span { index, segment }: &Span<'_>, budget: &Budget<'_>, cache: &mut PieceCache| {
                let mut count = 0;
                budget.start(segment.text.len());
                self.encode_segment(segment, allowed, budget, cache, &mut |ids| {
                    count += ids.len();
                    progress(0)
                })?;
                progress(segment.text.len())?;
                Ok((*index, count))
            };
        let count_all = |spans: &&[Span<'_>]| {
            let budget = Budget::new(&check);
            self.caches.with(|cache| spans.iter().map(|span| count(span, &budget, cache)).collect())
        };
        let counted: Vec<Vec<_>> =
            chunks_of(&spans).par_iter().map(count_all).collect::<Result<_, Error>>()?;
        let mut counts = vec![0; texts.len()];
        for (index, count) in counted.into_iter().flatten() {
            counts[index] += count;
        }
        Ok(counts)
    }

    /// Like [`count_each`](Self::count_each), on the calling thread: for texts too short to divide.
    ///
    /// # Errors
    /// When the pattern fails on a text, and any error of the check of *budget*.
    pub fn count_each_serial<T: AsRef<str>>(
        &self,
        texts: &[T],
        allowed: Option<&Allowed>,
        budget: &Budget<'_>,
    ) -> Result<Vec<usize>, Error> {
        let count = |text: &T| {
            let mut count = 0;
            self.encode_each(text.as_ref(), allowed, budget, |ids| {
                count += ids.len();
                Ok(())
            })?;
            Ok(count)
        };
        texts.iter().map(count).collect()
    }

    /// Divides *texts* into spans that can be encoded separately.
    fn spans<'t, T: AsRef<str> + Sync>(
        &self,
        texts: &'t [T],
        allowed: &'t Allowed,
    ) -> Vec<Span<'t>> {
        let can_cut = self.can_cut(allowed);
        let mut spans = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            for Segment { id, mut start, mut text } in allowed.verbatim.segments(text.as_ref()) {
                while id.is_none() && can_cut && text.len() > SPAN {
                    let Some(cut) = self.pattern.cut(text, SPAN) else { break };
                    let (first, rest) = text.split_at(cut);
                    spans.push(Span { index, segment: Segment { id, start, text: first } });
                    (start, text) = (start + cut, rest);
                }
                spans.push(Span { index, segment: Segment { id, start, text } });
            }
        }
        spans
    }
}

/// A part of the text with the given index that is encoded separately.
struct Span<'t> {
    index: usize,
    segment: Segment<'t>,
}

/// Approximate length of a span in bytes: long enough to amortize a task, short enough that all
/// threads are busy to the end.
const SPAN: usize = 1 << 18;

/// Groups consecutive *spans* into chunks of about `SPAN` bytes.
fn chunks_of<'s, 't>(mut spans: &'s [Span<'t>]) -> Vec<&'s [Span<'t>]> {
    let mut chunks = Vec::new();
    while !spans.is_empty() {
        let mut bytes = 0;
        let enough = |span: &Span<'_>| {
            bytes += span.segment.text.len() + 64;
            bytes >= SPAN
        };
        let last = spans.iter().position(enough).unwrap_or(spans.len() - 1);
        let (chunk, rest) = spans.split_at(last + 1);
        chunks.push(chunk);
        spans = rest;
    }
    chunks
}

/// How many chunks each thread encodes before the results of all are concatenated: their memory is
/// then reused instead of requested again.
const CHUNKS_PER_THREAD: usize = 32;

/// Appends *chunks*, on all threads: the first write to a page of memory is slow.
#[allow(unsafe_code)]
fn append_all<'s>(all: &mut Vec<u32>, chunks: impl Iterator<Item = &'s [u32]>) {
    let chunks: Vec<&[u32]> = chunks.collect();
    let more: usize = chunks.iter().map(|chunk| chunk.len()).sum();
    all.reserve(more);
    let mut free = &mut all.spare_capacity_mut()[..more];
    let mut targets = Vec::with_capacity(chunks.len());
    for chunk in &chunks {
        let (target, rest) = free.split_at_mut(chunk.len());
        targets.push(target);
        free = rest;
    }
    targets.into_par_iter().zip(chunks).for_each(|(target, chunk)| {
        for (slot, &id) in target.iter_mut().zip(chunk) {
            slot.write(id);
        }
    });
    // SAFETY: the targets are as long as the chunks, *more* in total; each was written.
    unsafe { all.set_len(all.len() + more) };
}

/// Reserves capacity for *more* ids, and, if there is memory, for the ids *expected* after them.
///
/// PERF: faults on pages of 4 KiB would take an eighth of the time for large files, so the memory
/// is requested in pages of 2 MiB, and all at once, since large blocks are slow to move.
#[allow(unsafe_code)]
fn reserve(ids: &mut Vec<u32>, more: usize, expected: usize) {
    if ids.try_reserve_exact(more + expected).is_err() {
        ids.reserve(more);
    }
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4 << 10;
        const HUGE_PAGE: usize = 2 << 20;
        let Range { start, end } = ids.spare_capacity_mut().as_ptr_range();
        let start = (start as usize).next_multiple_of(PAGE);
        let length = (end as usize).saturating_sub(start) / PAGE * PAGE;
        if length >= 2 * HUGE_PAGE {
            // SAFETY: whole pages of unused capacity that *ids* owns. A kernel without such pages,
            // or with another page size, returns an error and changes nothing.
            unsafe { libc::madvise(start as *mut libc::c_void, length, libc::MADV_HUGEPAGE) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BYTE_ORDER;

    fn core(pattern: &str) -> Core {
        let tokens = BYTE_ORDER.iter().map(|&byte| vec![byte]).chain([b" it".to_vec()]);
        Core::new(tokens, None, pattern, vec![("<|end|>".into(), 300)]).unwrap()
    }

    #[test]
    fn long_texts_that_are_divided_encode_as_they_do_whole() {
        let long = "It's 12345 of them,\n\n  isn't it?\r\n/日本語。".repeat(30_000) + "<|end|>x";
        let texts = [long.as_str(), "", "short", &long[7..]];
        for pattern in ["gpt2", "cl100k", "o200k", r"\w+"] {
            let core = core(pattern);
            let allowed = core.allow(&["<|end|>"]).unwrap();
            let (ids, offsets) = core.encode_flat(&texts, Some(&allowed), |_| Ok(())).unwrap();
            for (text, ends) in texts.iter().zip(offsets.windows(2)) {
                let expected = core.encode(text, Some(&allowed)).unwrap();
                assert_eq!(ids[ends[0]..ends[1]], expected, "{pattern}");
            }
            let counts: Vec<_> = offsets.windows(2).map(|ends| ends[1] - ends[0]).collect();
            assert_eq!(core.count_each(&texts, Some(&allowed), |_| Ok(())).unwrap(), counts);
            assert_eq!(
                core.count_each_serial(&texts, Some(&allowed), &Budget::default()).unwrap(),
                counts
            );
            let serial =
                core.encode_flat_serial(&texts, Some(&allowed), &Budget::default()).unwrap();
            assert_eq!(serial, (ids, offsets));
        }
    }

    #[test]
    fn progress_can_stop_a_batch() {
        let stopped = core("gpt2").encode_flat(&["a b"], None, |_| Err(Error::Interrupted));

        assert_eq!(stopped.unwrap_err(), Error::Interrupted);
    }
}
