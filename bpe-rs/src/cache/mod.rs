//! A cache of recent pieces and their ids.
//!
//! Text repeats itself: about nine pieces in ten are among a few thousand. A piece found here is
//! not merged again. Each encoding thread has its own cache, which grows with the pieces that it
//! sees, to 80 MiB at most (`ShortPieces::MAX_BITS` and `MAX_ROWS`, `LongPieces::MAX_BYTES` and
//! `MAX_PIECES`); then it is emptied.

mod long;
mod short;

use std::sync::{Mutex, TryLockError};

use long::LongPieces;
use short::{ShortPieces, Table};

use crate::key;
use crate::scan::Ends;
use crate::Error;

/// Caches that no thread is using.
///
/// The lock is never waited for: in a process that was forked while another thread had it, nobody
/// would release it.
#[derive(Debug, Default)]
#[allow(clippy::vec_box)] // a cache is too large to be moved for a short text
pub(crate) struct Caches {
    free: Mutex<Vec<Box<PieceCache>>>,
}

impl Caches {
    /// How often the lock is tried: another thread has it for some nanoseconds.
    const ATTEMPTS: usize = 16;

    /// Calls *work* with a cache that is free, or a new one.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut PieceCache) -> R) -> R {
        let mut cache =
            self.locked(Vec::pop).flatten().unwrap_or_else(|| Box::new(PieceCache::new()));
        let result = work(&mut cache);
        self.locked(|free| free.push(cache));
        result
    }

    fn locked<R>(&self, change: impl FnOnce(&mut Vec<Box<PieceCache>>) -> R) -> Option<R> {
        for _ in 0..Self::ATTEMPTS {
            match self.free.try_lock() {
                Ok(mut free) => return Some(change(&mut free)),
                Err(TryLockError::Poisoned(free)) => return Some(change(&mut free.into_inner())),
                Err(TryLockError::WouldBlock) => std::hint::spin_loop(),
            }
        }
        None
    }
}

/// The cached pieces of one encoding thread, and buffers for the pieces being encoded.
pub(crate) struct PieceCache {
    pub(crate) ends: Ends,
    short: ShortPieces,
    long: LongPieces,
    keys: Box<[u128; Ends::CAPACITY]>,
    homes: Box<[u32; Ends::CAPACITY]>,
    ids: Box<[u32; 2 * ShortPieces::ROW_LENGTH * Ends::CAPACITY]>,
    buffer: Vec<u32>,
}

impl PieceCache {
    pub(crate) fn new() -> Self {
        Self {
            ends: Ends::new(),
            short: ShortPieces::new(ShortPieces::MIN_BITS),
            long: LongPieces::new(),
            keys: Box::new([0; Ends::CAPACITY]),
            homes: Box::new([0; Ends::CAPACITY]),
            ids: Box::new([0; 2 * ShortPieces::ROW_LENGTH * Ends::CAPACITY]),
            buffer: Vec::new(),
        }
    }

    /// Calls *sink* with the ids of the pieces of *text* from *start* on that end at `self.ends`.
    /// *encode* appends the ids of a piece that is not cached.
    #[inline(always)]
    pub(crate) fn encode(
        &mut self,
        text: &str,
        start: usize,
        encode: impl Fn(&[u8], &mut Vec<u32>),
        mut sink: impl FnMut(&[u32]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let text = text.as_bytes();
        let Self { ends, short, long, keys, homes, ids: all, buffer } = self;
        let ends = ends.as_slice();
        short.reserve();
        let mut short = short.as_table();
        let (keys, homes) = (&mut keys[..ends.len()], &mut homes[..ends.len()]);
        hash_and_prefetch_all(text, start, ends, keys, homes, &short, long);
        let (mut done, mut count) = (0, 0);
        loop {
            // The fast path copies the ids of pieces up to the first that is not in its home line.
            let (pieces, ids) = short.find_many(&keys[done..], &homes[done..], &mut all[count..]);
            done += pieces;
            count += ids;
            let Some(&key) = keys.get(done) else { break };
            let from = done.checked_sub(1).map_or(start, |before| ends[before]);
            let piece = &text[from..ends[done]];
            done += 1;
            // The last byte of a key is the length of a short piece, and 0 for a long one.
            if key >> 120 != 0 {
                if let Some(ids) = short.find(key, &mut all[count..]) {
                    count += ids;
                    continue;
                }
                buffer.clear();
                encode(piece, buffer);
                short.insert(key, buffer);
            } else {
                buffer.clear();
                if !long.find(key, piece, buffer) {
                    encode(piece, buffer);
                    long.insert(key, piece, buffer);
                }
            }
            // Keep room for the remaining pieces; ids that do not fit go to the sink at once.
            let limit = all.len() - ShortPieces::ROW_LENGTH * (keys.len() - done);
            if let Some(free) = all[count..limit].get_mut(..buffer.len()) {
                free.copy_from_slice(buffer);
                count += free.len();
            } else {
                sink(&all[..count])?;
                sink(buffer)?;
                count = 0;
            }
        }
        sink(&all[..count])
    }
}

/// Computes the *keys* of the pieces of *text* from *from* on that end at *ends*, and prefetches
/// their cache entries.
#[inline(never)]
fn hash_and_prefetch_all(
    text: &[u8],
    mut from: usize,
    ends: &[usize],
    keys: &mut [u128],
    homes: &mut [u32],
    short: &Table<'_>,
    long: &LongPieces,
) {
    for ((key, home), &end) in keys.iter_mut().zip(homes).zip(ends) {
        let length = end - from;
        if length <= key::MAX_LENGTH {
            *key = key::key(text, from, length);
            *home = short.home(*key) as u32;
            prefetch(&short.lines[*home as usize]);
        } else {
            *key = long.hash_and_prefetch(&text[from..end]);
            *home = 0;
        }
        from = end;
    }
}

/// Prefetches the cache line of *target*: the tables are larger than the near caches.
#[inline(always)]
#[allow(unsafe_code)]
pub(crate) fn prefetch<T>(target: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which reads nothing, with the address of a reference.
    unsafe {
        use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T0};
        _mm_prefetch(std::ptr::from_ref(target).cast(), _MM_HINT_T0);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = target;
}

impl std::fmt::Debug for PieceCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PieceCache").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_nobody_releases_is_not_waited_for() {
        let caches = Caches::default();
        caches.with(|_| ());

        let _lock = caches.free.lock().unwrap();

        assert_eq!(caches.with(|cache| cache.ends.as_slice().len()), 0);
    }

    #[test]
    fn a_cache_is_used_again() {
        let caches = Caches::default();
        caches.with(|cache| cache.ends.push(7));

        assert_eq!(caches.with(|cache| cache.ends.as_slice().to_vec()), [7]);
    }
}
