//! Many texts, and long ones, on all cores.

use std::ops::Range;

use rayon::prelude::*;

use crate::core::{specials, Allowed, Core};
use crate::Error;

impl Core {
    /// The ids of each of *texts*, one after another, and where those of each begin; one more
    /// place says where the last end. Runs on the threads of the current rayon pool, which share
    /// long texts, too; *watch* is told now and then how many bytes were encoded since, and its error
    /// breaks off.
    ///
    /// # Errors
    /// When the pattern fails on a text, and *watch*'s.
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
        watch: impl Fn(usize) -> Result<(), Error> + Sync,
    ) -> Result<(Vec<u32>, Vec<usize>), Error> {
        let spans = self.spans(texts, allowed);
        let encode = |spans: &[Span<'_>]| {
            let bytes: usize = spans.iter().map(|span| span.text.len()).sum();
            let (mut ids, mut counts) = (Vec::with_capacity(bytes / 3 + 1), Vec::new());
            for span in spans {
                let before = ids.len();
                self.encode_each(span.text, None, |some| {
                    ids.extend_from_slice(some);
                    watch(0)
                })
                .map_err(|error| error.moved_by(span.start))?;
                watch(span.text.len())?;
                ids.extend(span.special);
                counts.push(ids.len() - before);
            }
            Ok((ids, counts))
        };
        let mut ids = Vec::new();
        let mut counts = Vec::with_capacity(spans.len());
        let shares = share_out(&spans);
        let rounds = shares.chunks(SHARES * rayon::current_num_threads());
        let count = rounds.len();
        for (before, round) in rounds.enumerate() {
            let encoded: Vec<(Vec<u32>, Vec<usize>)> =
                round.par_iter().map(|spans| encode(spans)).collect::<Result<_, Error>>()?;
            let more = encoded.iter().map(|(ids, _)| ids.len()).sum();
            if ids.capacity() - ids.len() < more {
                // The rounds to come, which are no longer than this, will have about as many each.
                let each = (ids.len() + more) / (before + 1);
                make_room(&mut ids, more, (each + each / 16) * (count - before - 1));
            }
            append_all(&mut ids, encoded.iter().map(|(ids, _)| ids.as_slice()));
            counts.extend(encoded.into_iter().flat_map(|(_, counts)| counts));
        }
        let mut offsets = vec![0; texts.len() + 1];
        for (span, count) in spans.iter().zip(counts) {
            offsets[span.place + 1] += count;
        }
        for place in 0..texts.len() {
            offsets[place + 1] += offsets[place];
        }
        ids.shrink_to_fit();
        Ok((ids, offsets))
    }

    /// What `encode_flat` does, on this thread: for texts too short to share.
    ///
    /// # Errors
    /// When the pattern fails on a text.
    pub fn encode_flat_here<T: AsRef<str>>(
        &self,
        texts: &[T],
        allowed: Option<&Allowed>,
    ) -> Result<(Vec<u32>, Vec<usize>), Error> {
        let (mut ids, mut offsets) = (Vec::new(), vec![0]);
        for text in texts {
            self.encode_each(text.as_ref(), allowed, |some| {
                ids.extend_from_slice(some);
                Ok(())
            })?;
            offsets.push(ids.len());
        }
        Ok((ids, offsets))
    }

    /// How many ids each of *texts* has. Threads, *watch* and errors are those of `encode_flat`;
    /// memory does not grow with the texts.
    ///
    /// # Errors
    /// Those of `encode_flat`.
    pub fn count_each<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
        allowed: Option<&Allowed>,
        watch: impl Fn(usize) -> Result<(), Error> + Sync,
    ) -> Result<Vec<usize>, Error> {
        let spans = self.spans(texts, allowed);
        let count = |span: &Span<'_>| {
            let mut count = usize::from(span.special.is_some());
            self.encode_each(span.text, None, |ids| {
                count += ids.len();
                watch(0)
            })
            .map_err(|error| error.moved_by(span.start))?;
            watch(span.text.len())?;
            Ok((span.place, count))
        };
        let counted: Vec<_> = share_out(&spans)
            .par_iter()
            .map(|spans| spans.iter().map(count).collect::<Result<Vec<_>, Error>>())
            .collect::<Result<_, Error>>()?;
        let mut counts = vec![0; texts.len()];
        for (place, count) in counted.into_iter().flatten() {
            counts[place] += count;
        }
        Ok(counts)
    }

    /// What `count_each` does, on this thread: for texts too short to share.
    ///
    /// # Errors
    /// When the pattern fails on a text.
    pub fn count_each_here<T: AsRef<str>>(
        &self,
        texts: &[T],
        allowed: Option<&Allowed>,
    ) -> Result<Vec<usize>, Error> {
        let count = |text: &T| {
            let mut count = 0;
            self.encode_each(text.as_ref(), allowed, |ids| {
                count += ids.len();
                Ok(())
            })?;
            Ok(count)
        };
        texts.iter().map(count).collect()
    }

    /// *texts* in stretches that are encoded by themselves, with the special tokens between them.
    fn spans<'t, T: AsRef<str> + Sync>(
        &self,
        texts: &'t [T],
        allowed: Option<&Allowed>,
    ) -> Vec<Span<'t>> {
        let mut spans = Vec::with_capacity(texts.len());
        for (place, text) in texts.iter().enumerate() {
            let text = text.as_ref();
            let mut start = 0;
            let mut push = |stretch: Range<usize>, special| {
                let mut from = stretch.start;
                while stretch.end - from > SPAN {
                    let Some(cut) = self.pattern().cut(&text[from..stretch.end], SPAN) else {
                        break;
                    };
                    spans.push(Span {
                        place,
                        start: from,
                        text: &text[from..from + cut],
                        special: None,
                    });
                    from += cut;
                }
                spans.push(Span { place, start: from, text: &text[from..stretch.end], special });
            };
            for (which, Allowed { ids, .. }, found) in specials(allowed, text) {
                push(start..found.start, Some(ids[which]));
                start = found.end;
            }
            push(start..text.len(), None);
        }
        spans
    }
}

/// A stretch of a text that is encoded by itself, and the special token after it.
struct Span<'t> {
    /// Which text it is of, and where in that it begins.
    place: usize,
    start: usize,
    text: &'t str,
    special: Option<u32>,
}

/// About how long a span is, in bytes: long enough to amortise a task, short enough that all
/// threads are busy to the end.
const SPAN: usize = 1 << 18;

/// *spans* in shares of about as many bytes.
fn share_out<'s, 't>(mut spans: &'s [Span<'t>]) -> Vec<&'s [Span<'t>]> {
    let mut shares = Vec::new();
    while !spans.is_empty() {
        let mut bytes = 0;
        let enough = |span: &Span<'_>| {
            bytes += span.text.len() + 64;
            bytes >= SPAN
        };
        let last = spans.iter().position(enough).unwrap_or(spans.len() - 1);
        let (share, rest) = spans.split_at(last + 1);
        shares.push(share);
        spans = rest;
    }
    shares
}

/// How many shares each thread encodes before what all have is put together: the memory that it
/// takes until then is used again, and need not be asked for.
const SHARES: usize = 32;

/// Appends *shares*, on all threads: memory that is touched for the first time is slow.
#[allow(unsafe_code)]
fn append_all<'s>(all: &mut Vec<u32>, shares: impl Iterator<Item = &'s [u32]>) {
    let shares: Vec<&[u32]> = shares.collect();
    let more: usize = shares.iter().map(|share| share.len()).sum();
    all.reserve(more);
    let mut room = &mut all.spare_capacity_mut()[..more];
    let mut places = Vec::with_capacity(shares.len());
    for share in &shares {
        let (place, rest) = room.split_at_mut(share.len());
        places.push(place);
        room = rest;
    }
    places.into_par_iter().zip(shares).for_each(|(place, share)| {
        for (place, &id) in place.iter_mut().zip(share) {
            place.write(id);
        }
    });
    // SAFETY: the places are as long as the shares, and *more* in all; each was written.
    unsafe { all.set_len(all.len() + more) };
}

/// Makes room for *more* ids, and, if there is memory, for those that are *expected* after them.
///
/// A fault for each page of 4 KiB that is touched for the first time would take an eighth of the
/// time that large files take, so the memory is asked for in pages of 2 MiB; and at once, because
/// they are slow to move.
#[allow(unsafe_code)]
fn make_room(ids: &mut Vec<u32>, more: usize, expected: usize) {
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
            // SAFETY: whole pages of room that *ids* alone has, and that nothing is in yet. A kernel
            // that does not know such pages, or has another size of page, refuses.
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
    fn long_texts_that_are_shared_out_encode_as_they_do_whole() {
        let long = "It's 12345 of them,\n\n  isn't it?\r\n/日本語。".repeat(30_000) + "<|end|>x";
        let texts = [long.as_str(), "", "short", &long[7..]];
        for pattern in ["gpt2", "cl100k", "o200k", r"\w+"] {
            let core = core(pattern);
            let allowed = core.allow(&["<|end|>"]);
            let (ids, offsets) = core.encode_flat(&texts, Some(&allowed), |_| Ok(())).unwrap();
            for (text, ends) in texts.iter().zip(offsets.windows(2)) {
                let expected = core.encode(text, Some(&allowed)).unwrap();
                assert_eq!(ids[ends[0]..ends[1]], expected, "{pattern}");
            }
            let counts: Vec<_> = offsets.windows(2).map(|ends| ends[1] - ends[0]).collect();
            assert_eq!(core.count_each(&texts, Some(&allowed), |_| Ok(())).unwrap(), counts);
            assert_eq!(core.count_each_here(&texts, Some(&allowed)).unwrap(), counts);
            let here = core.encode_flat_here(&texts, Some(&allowed)).unwrap();
            assert_eq!(here, (ids, offsets));
        }
    }

    #[test]
    fn a_watcher_can_break_a_batch_off() {
        let stopped = core("gpt2").encode_flat(&["a b"], None, |_| Err(Error::Interrupted));

        assert_eq!(stopped.unwrap_err(), Error::Interrupted);
    }
}
