//! From documents to counted pieces, on all cores.
//!
//! Each thread takes one span of text after another (`spans`), counts its pieces in a small table
//! that fits a near cache (`local`), and moves these counts to shards that all threads share
//! (`shard`). Memory therefore grows with the distinct pieces, not with the corpus or the number of
//! threads. Where that is still too much, shards go to disk (`spill`). Twin of
//! `pytok/reference/count.py`.

mod first_seen;
mod local;
mod shard;
pub(crate) mod spans;
mod spill;
pub(crate) mod threads;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::scan::Ends;
use crate::{memory, Budget, Error, Pattern};
use first_seen::FirstSeen;
use local::LocalCounts;
use shard::Shard;
use spans::{Cutter, Files, Span, Spans, Texts};
use spill::Spill;

/// How often each piece occurs in the documents added so far.
#[derive(Debug)]
pub struct PieceCounts {
    cutter: Cutter,
    shards: Vec<Shard>,
    /// The pieces in the order of their first occurrence, if it is kept.
    order: Option<FirstSeen>,
    spill: Option<Spill>,
}

impl PieceCounts {
    /// Number of parts of [`part`](Self::part), whatever was counted.
    pub const PARTS: usize = shard::SHARDS;

    /// Creates empty counts. Documents will be split at *specials*, which are not counted, and
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

    /// Keeps the order: [`iter`](Self::iter) then returns the pieces in the order of their first
    /// occurrence. Counting then uses one thread, and each distinct piece is stored twice.
    #[must_use]
    pub fn in_order(mut self) -> Self {
        self.order = Some(FirstSeen::default());
        self
    }

    /// Limits the memory of the shards: beyond *bytes* they go to temporary files, and
    /// [`gather`](Self::gather) reads them back. Counts in order always stay in memory.
    #[must_use]
    pub fn with_max_memory(mut self, bytes: usize) -> Self {
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
        self.add_with_progress(texts, |_| Ok(()))
    }

    /// Like [`add`](Self::add); *progress* is called from time to time with the number of bytes
    /// counted since its last call, and an error it returns stops the counting.
    ///
    /// # Errors
    /// Those of `add`, and any error of *progress*.
    pub fn add_with_progress<T: AsRef<str> + Sync>(
        &mut self,
        texts: &[T],
        progress: impl Fn(usize) -> Result<(), Error> + Sync,
    ) -> Result<(), Error> {
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        self.add_spans(Texts::new(&texts), &progress)
    }

    /// Counts the pieces of the text in each of the files at *paths*, each a document by itself.
    /// With a known pattern, a file is read span by span, never completely. *progress* is that of
    /// [`add_with_progress`](Self::add_with_progress).
    ///
    /// # Errors
    /// Those of `add_with_progress`; and when a file cannot be read, or is not UTF-8.
    pub fn add_files<P: AsRef<Path> + Sync>(
        &mut self,
        paths: &[P],
        progress: impl Fn(usize) -> Result<(), Error> + Sync,
    ) -> Result<(), Error> {
        let paths: Vec<&Path> = paths.iter().map(AsRef::as_ref).collect();
        self.add_spans(Files::new(&paths), &progress)
    }

    fn add_spans<'s>(
        &mut self,
        spans: impl Spans<'s>,
        progress: &(impl Fn(usize) -> Result<(), Error> + Sync),
    ) -> Result<(), Error> {
        let Self { cutter, shards, order, spill } = self;
        if let Some(order) = order {
            return order.add_spans(cutter, spans, shards, progress);
        }
        let shared = Shared::new(shards, spill.as_mut());
        let check = || progress(0);
        let start = || Counter {
            local: LocalCounts::new(),
            ends: Ends::new(),
            budget: Budget::new(&check),
            cutter,
            progress,
        };
        threads::on_all_threads(
            spans,
            cutter,
            progress,
            start,
            |counter, span| counter.count(span, &shared),
            |mut counter| counter.local.flush(&shared),
        )
    }

    /// Adds *count* to the count of *piece*.
    ///
    /// # Errors
    /// When the sum exceeds 63 bits (sums with counts on disk are checked when these are read), or
    /// a temporary file cannot be written.
    pub fn add_counted(&mut self, piece: &[u8], count: u64) -> Result<(), Error> {
        if count == 0 {
            return Ok(());
        }
        let shard = &mut self.shards[shard::of(piece)];
        let before = shard.memory();
        shard.check(piece, count)?;
        if shard.add(piece, count)? {
            if let Some(order) = &mut self.order {
                order.push(piece)?;
            }
        }
        if shard.memory() > before && self.order.is_none() {
            Shared::new(&mut self.shards, self.spill.as_mut()).enforce_limit()?;
        }
        Ok(())
    }

    /// Reads back what went to disk, and drops the pieces that occurred fewer than *`min_count`*
    /// times. Returns how many pieces were dropped, and how often they occurred in total.
    ///
    /// # Errors
    /// When the remaining pieces exceed the memory limit or the memory, a temporary file cannot be read, or
    /// *progress* returns an error.
    pub fn gather(
        &mut self,
        min_count: u64,
        progress: impl Fn(usize) -> Result<(), Error> + Sync,
    ) -> Result<(u64, u128), Error> {
        let (mut pieces, mut occurrences) = (0, 0);
        // Spill all shards first: each is then complete in its file, and reading can be repeated
        // after an error.
        let mut spilled = self.spill.as_mut().filter(|spill| spill.is_used());
        if let Some(spill) = &mut spilled {
            Shared::new(&mut self.shards, Some(spill)).spill_all()?;
        }
        for number in 0..self.shards.len() {
            if let Some(spill) = &mut spilled {
                self.shards[number] = spill.restore(number, &progress)?;
            }
            let (dropped, times) = self.shards[number].prune(min_count)?;
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
            self.order = Some(order.pruned(|piece| self.get(piece) > 0)?);
        }
        Ok((pieces, occurrences))
    }

    /// Returns one part of the distinct pieces, ordered by bytes, with their counts; *number* is
    /// below [`PARTS`](Self::PARTS). Of what went to disk, only this part is read.
    ///
    /// # Errors
    /// When a temporary file cannot be read, or there is no memory for the part.
    pub fn part(&mut self, number: usize) -> Result<Vec<(Vec<u8>, u64)>, Error> {
        let mut whole = Shard::new();
        let mut shard = &self.shards[number];
        if let Some(spill) = self.spill.as_mut().filter(|spill| spill.is_used()) {
            shard.iter().try_for_each(|(piece, count)| whole.add(piece, count).map(drop))?;
            spill.read(number, &mut whole, &|_| Ok(()))?;
            shard = &whole;
        }
        let mut part = memory::with_capacity(shard.len())?;
        for (piece, count) in shard.iter() {
            let mut copy = memory::with_capacity(piece.len())?;
            copy.extend_from_slice(piece);
            part.push((copy, count));
        }
        part.sort_unstable();
        Ok(part)
    }

    /// Returns how often *piece* occurred.
    #[must_use]
    pub fn get(&self, piece: &[u8]) -> u64 {
        self.shards[shard::of(piece)].get(piece)
    }

    /// Returns the number of distinct pieces.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(Shard::len).sum()
    }

    /// Returns whether no piece has been counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns each distinct piece and its count, in no order unless it is kept.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        let unordered = self.shards.iter().filter(|_| self.order.is_none()).flat_map(Shard::iter);
        let ordered = self.order.iter().flat_map(FirstSeen::iter);
        unordered.chain(ordered.map(|piece| (piece, self.get(piece))))
    }
}

/// The memory of *shards* in bytes.
fn memory(shards: &[Shard]) -> usize {
    shards.iter().map(Shard::memory).sum()
}

/// Locks *mutex*. A poisoned lock is taken too: the panic of its thread ends the whole call anyway.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The state that the counting threads share.
struct Shared<'a> {
    shards: Vec<Mutex<&'a mut Shard>>,
    /// Memory of all shards in bytes.
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

    /// Applies *change* to a shard, and spills if the shards then exceed the limit.
    fn with(
        &self,
        number: usize,
        change: impl FnOnce(&mut Shard) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut shard = lock(&self.shards[number]);
        let before = shard.memory();
        change(&mut shard)?;
        let more = shard.memory() - before;
        if more == 0 {
            return Ok(());
        }
        // Before the shard is unlocked: another thread may then spill it and subtract all of its
        // memory.
        self.memory.fetch_add(more, Ordering::Relaxed);
        drop(shard);
        self.enforce_limit()
    }

    /// Spills all shards if they exceed the limit.
    fn enforce_limit(&self) -> Result<(), Error> {
        if self.memory.load(Ordering::Relaxed) > self.limit {
            self.spill_all()?;
        }
        Ok(())
    }

    fn spill_all(&self) -> Result<(), Error> {
        let Some(spill) = &self.spill else { return Ok(()) };
        // One thread spills at a time; the others continue to count.
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

/// The state of one counting thread.
struct Counter<'a, W> {
    local: LocalCounts,
    ends: Ends,
    budget: Budget<'a>,
    cutter: &'a Cutter,
    progress: &'a W,
}

impl<W: Fn(usize) -> Result<(), Error>> Counter<'_, W> {
    fn count(&mut self, span: &Span<'_>, shared: &Shared<'_>) -> Result<(), Error> {
        let Self { local, ends, budget, cutter, progress } = self;
        cutter.windows(span, ends, budget, progress, |text, start, ends| {
            local.count(text, start, ends, shared)
        })
    }
}

#[cfg(test)]
mod tests;
