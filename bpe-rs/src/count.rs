//! Documents to counted pieces, on all cores.
//!
//! Each thread takes one span of text after another (`spans`), counts its pieces in a small table
//! that fits the near cache (`near`), and empties that into shards which all threads share
//! (`shard`). So memory grows with the distinct pieces, not with the corpus or the threads; and
//! where that is too much, shards go to disk (`spill`). Twin of `pytok/reference/count.py`.

mod first_seen;
mod near;
mod shard;
mod spans;
mod spill;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::scan::Ends;
use crate::{Error, Pattern};
use first_seen::FirstSeen;
use near::Near;
use shard::Shard;
use spans::{Cutter, Files, Span, Spans, Texts};
use spill::Spill;

/// How often each piece occurs in the documents seen so far.
#[derive(Debug)]
pub struct PieceCounts {
    cutter: Cutter,
    shards: Vec<Shard>,
    /// The pieces in the order in which they were first seen, if that was asked for.
    order: Option<FirstSeen>,
    spill: Option<Spill>,
}

impl PieceCounts {
    /// How many parts [`part`](Self::part) has, whatever was counted.
    pub const PARTS: usize = shard::SHARDS;

    /// No counts yet; documents will be split at *specials*, which are not counted, and what lies
    /// between them by *pattern*.
    ///
    /// # Errors
    /// When *pattern* does not compile, or a special token is empty.
    pub fn new<S: AsRef<str>>(pattern: &str, specials: &[S]) -> Result<Self, Error> {
        if specials.iter().any(|special| special.as_ref().is_empty()) {
            return Err(Error::EmptySpecial);
        }
        Ok(Self {
            cutter: Cutter::new(Pattern::new(pattern)?, specials),
            shards: (0..shard::SHARDS).map(|_| Shard::new()).collect(),
            order: None,
            spill: None,
        })
    }

    /// The same, but [`iter`](Self::iter) goes in the order in which the pieces were first seen.
    /// Counting then takes one thread, and each distinct piece is kept twice.
    #[must_use]
    pub fn in_order(mut self) -> Self {
        self.order = Some(FirstSeen::default());
        self
    }

    /// The same, but shards go to temporary files when they take more than *bytes* in memory;
    /// [`gather`](Self::gather) brings them back. Counts in order stay in memory, however much.
    #[must_use]
    pub fn within(mut self, bytes: usize) -> Self {
        self.spill = Some(Spill::new(bytes));
        self
    }

    /// Counts the pieces of *texts*, each a document by itself: no piece spans two of them.
    ///
    /// # Errors
    /// When the pattern fails on a text; then part of *texts* has been counted.
    ///
    /// ```
    /// let mut counts = pytok_bpe::PieceCounts::new("gpt2", &["<|end|>"])?;
    /// counts.add(&["hello hello<|end|>", " hello"])?;
    /// assert_eq!(counts.get(b" hello"), 2);
    /// assert_eq!(counts.len(), 2);
    /// # Ok::<(), pytok_bpe::Error>(())
    /// ```
    pub fn add<T: AsRef<str> + Sync>(&mut self, texts: &[T]) -> Result<(), Error> {
        self.add_unless(texts, |_| Ok(()))
    }

    /// Like [`add`](Self::add); *watch* is told now and then how many bytes were counted since,
    /// and its error breaks off.
    ///
    /// # Errors
    /// Those of `add`, and *watch*'s.
    pub fn add_unless<T: AsRef<str> + Sync>(
        &mut self,
        texts: &[T],
        watch: impl Fn(usize) -> Result<(), Error> + Sync,
    ) -> Result<(), Error> {
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        self.add_spans(Texts::new(&texts), &watch)
    }

    /// Counts the pieces of the text in each of the files at *paths*, each a document by itself.
    /// A file is read span by span, never whole, if the pattern is a known one. *watch* is that of
    /// [`add_unless`](Self::add_unless).
    ///
    /// # Errors
    /// Those of `add_unless`; and when a file cannot be read, or is not UTF-8.
    pub fn add_files<P: AsRef<Path> + Sync>(
        &mut self,
        paths: &[P],
        watch: impl Fn(usize) -> Result<(), Error> + Sync,
    ) -> Result<(), Error> {
        let paths: Vec<&Path> = paths.iter().map(AsRef::as_ref).collect();
        self.add_spans(Files::new(&paths), &watch)
    }

    fn add_spans<'s>(
        &mut self,
        spans: impl Spans<'s>,
        watch: &(impl Fn(usize) -> Result<(), Error> + Sync),
    ) -> Result<(), Error> {
        let Self { cutter, shards, order, spill } = self;
        if let Some(order) = order {
            return order.add_spans(cutter, spans, shards, watch);
        }
        let spans = Mutex::new(spans);
        let shared = Shared::new(shards, spill.as_mut());
        // Where a span fails, those before it are finished, and none after it are begun: so the
        // first error in the corpus is the one that is reported, whatever the threads did.
        let failed = AtomicBool::new(false);
        let count = || {
            let mut counter = Counter { near: Near::new(), ends: Ends::new(), cutter, watch };
            let mut room = Vec::new();
            while !failed.load(Ordering::Relaxed) {
                let next = lock(&spans).next(cutter, &mut room, watch);
                let result = match next {
                    Ok(None) => break,
                    Ok(Some(span)) => {
                        counter.count(&span, &shared).map_err(|error| (span.place(), error))
                    }
                    Err(error) => Err(((usize::MAX, u64::MAX), error)),
                };
                if result.is_err() {
                    failed.store(true, Ordering::Relaxed);
                    return result;
                }
            }
            counter.near.empty(&shared).map_err(|error| ((usize::MAX, u64::MAX), error))
        };
        let results = rayon::broadcast(|_| count());
        let first = results.into_iter().filter_map(Result::err).min_by_key(|(place, _)| *place);
        first.map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Counts *piece* so many times more.
    ///
    /// # Errors
    /// When *piece* has then occurred more often than 63 bits can say (what went to disk is added
    /// up, and refused, when it is asked for), or a temporary file cannot be written.
    pub fn add_counted(&mut self, piece: &[u8], count: u64) -> Result<(), Error> {
        if count == 0 {
            return Ok(());
        }
        let home = &mut self.shards[shard::of(piece)];
        let before = home.memory();
        home.check(piece, count)?;
        if home.add(piece, count) {
            if let Some(order) = &mut self.order {
                order.push(piece);
            }
        }
        if home.memory() > before && self.order.is_none() {
            Shared::new(&mut self.shards, self.spill.as_mut()).keep_within()?;
        }
        Ok(())
    }

    /// Brings back what went to disk, and drops the pieces that occurred fewer than *least* times.
    /// Says how many pieces that were, and how often they occurred in all.
    ///
    /// # Errors
    /// When what is left does not fit the memory that was given, a temporary file cannot be read,
    /// or *watch* breaks it off.
    pub fn gather(
        &mut self,
        least: u64,
        watch: impl Fn(usize) -> Result<(), Error> + Sync,
    ) -> Result<(u64, u128), Error> {
        let (mut pieces, mut occurrences) = (0, 0);
        // All of them: then each is whole in its file, even where a reading was broken off.
        let mut spilled = self.spill.as_mut().filter(|spill| spill.is_used());
        if let Some(spill) = &mut spilled {
            Shared::new(&mut self.shards, Some(spill)).spill_all()?;
        }
        for number in 0..self.shards.len() {
            if let Some(spill) = &mut spilled {
                self.shards[number] = spill.restore(number, &watch)?;
            }
            let (dropped, times) = self.shards[number].prune(least);
            pieces += dropped;
            occurrences += times;
            if let Some(spill) = &spilled {
                let (bytes, limit) = (memory(&self.shards), spill.limit());
                if bytes > limit {
                    let estimate = bytes / (number + 1) * self.shards.len();
                    return Err(Error::TooLargeForMemory { bytes: estimate, limit });
                }
            }
        }
        if let Some(order) = self.order.take() {
            self.order = Some(order.pruned(|piece| self.get(piece) > 0));
        }
        Ok((pieces, occurrences))
    }

    /// A share of the distinct pieces and their counts, ordered by bytes; *number* is below
    /// [`PARTS`](Self::PARTS). What went to disk is read for the occasion, and no more than this part of it.
    ///
    /// # Errors
    /// When a temporary file cannot be read.
    pub fn part(&mut self, number: usize) -> Result<Vec<(Vec<u8>, u64)>, Error> {
        let mut whole = Shard::new();
        let mut shard = &self.shards[number];
        if let Some(spill) = self.spill.as_mut().filter(|spill| spill.is_used()) {
            shard.iter().for_each(|(piece, count)| _ = whole.add(piece, count));
            spill.read(number, &mut whole, &|_| Ok(()))?;
            shard = &whole;
        }
        let mut part: Vec<_> = shard.iter().map(|(piece, count)| (piece.to_vec(), count)).collect();
        part.sort_unstable();
        Ok(part)
    }

    /// How often *piece* occurred.
    #[must_use]
    pub fn get(&self, piece: &[u8]) -> u64 {
        self.shards[shard::of(piece)].get(piece)
    }

    /// How many distinct pieces there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(Shard::len).sum()
    }

    /// True until a piece is counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each distinct piece and its count, in no order unless one was asked for.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        let unordered = self.shards.iter().filter(|_| self.order.is_none()).flat_map(Shard::iter);
        let ordered = self.order.iter().flat_map(FirstSeen::iter);
        unordered.chain(ordered.map(|piece| (piece, self.get(piece))))
    }
}

/// How many bytes *shards* take.
fn memory(shards: &[Shard]) -> usize {
    shards.iter().map(Shard::memory).sum()
}

/// The value behind a lock; a thread that panicked with it takes the whole work down anyway.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the threads share while they count.
struct Shared<'a> {
    shards: Vec<Mutex<&'a mut Shard>>,
    /// What the shards take in all; kept only where there is a limit.
    memory: AtomicUsize,
    limit: usize,
    spill: Option<Mutex<&'a mut Spill>>,
}

impl<'a> Shared<'a> {
    fn new(shards: &'a mut [Shard], spill: Option<&'a mut Spill>) -> Self {
        Self {
            memory: AtomicUsize::new(memory(shards)),
            limit: spill.as_ref().map_or(usize::MAX, |spill| spill.limit()),
            shards: shards.iter_mut().map(Mutex::new).collect(),
            spill: spill.map(Mutex::new),
        }
    }

    /// Lets *change* work on a shard.
    fn with(&self, number: usize, change: impl FnOnce(&mut Shard)) -> Result<(), Error> {
        let mut shard = lock(&self.shards[number]);
        let before = shard.memory();
        change(&mut shard);
        let more = shard.memory() - before;
        if more == 0 {
            return Ok(());
        }
        // While the shard is locked: another thread may spill it at once, and subtract all of it.
        self.memory.fetch_add(more, Ordering::Relaxed);
        drop(shard);
        self.keep_within()
    }

    /// Spills all shards if they take more than they may.
    fn keep_within(&self) -> Result<(), Error> {
        if self.memory.load(Ordering::Relaxed) > self.limit {
            self.spill_all()?;
        }
        Ok(())
    }

    fn spill_all(&self) -> Result<(), Error> {
        let Some(spill) = &self.spill else { return Ok(()) };
        // One thread spills; another that finds the lock taken goes on counting.
        let Ok(mut spill) = spill.try_lock() else { return Ok(()) };
        for (number, shard) in self.shards.iter().enumerate() {
            let mut shard = lock(shard);
            let bytes = shard.memory();
            spill.write(number, &mut shard)?;
            self.memory.fetch_sub(bytes - shard.memory(), Ordering::Relaxed);
        }
        Ok(())
    }
}

/// What one thread counts with.
struct Counter<'a, W> {
    near: Near,
    ends: Ends,
    cutter: &'a Cutter,
    watch: &'a W,
}

impl<W: Fn(usize) -> Result<(), Error>> Counter<'_, W> {
    fn count(&mut self, span: &Span<'_>, shared: &Shared<'_>) -> Result<(), Error> {
        let Self { near, ends, cutter, watch } = self;
        cutter.windows(span, ends, watch, |text, start, ends| near.count(text, start, ends, shared))
    }
}

#[cfg(test)]
mod tests;
