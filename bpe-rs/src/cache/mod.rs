//! The pieces seen lately and their ids.
//!
//! Text repeats itself: nine pieces in ten are among a few thousand. A piece that is found here
//! costs no merge. Each encoding thread has a cache of its own, which grows with the pieces that
//! it sees, to 72 MiB at most (`ShortPieces::MOST_BITS`, `LongPieces::MOST_BYTES` and `MOST_PIECES`); then it
//! begins anew.

mod long;
mod short;

use long::LongPieces;
use short::{Pairs, ShortPieces};

use crate::key;
use crate::scan::Ends;
use crate::Error;

/// What one thread needs to encode: the pieces that it knows, and room for those at hand.
pub(crate) struct PieceCache {
    pub(crate) ends: Ends,
    short: ShortPieces,
    long: LongPieces,
    keys: Box<[u128; Ends::MOST]>,
    homes: Box<[u32; Ends::MOST]>,
    ids: Box<[u32; 4 * Ends::MOST + 4]>,
    some: Vec<u32>,
}

impl PieceCache {
    pub(crate) fn new() -> Self {
        Self {
            ends: Ends::new(),
            short: ShortPieces::new(ShortPieces::LEAST_BITS),
            long: LongPieces::new(),
            keys: Box::new([0; Ends::MOST]),
            homes: Box::new([0; Ends::MOST]),
            ids: Box::new([0; 4 * Ends::MOST + 4]),
            some: Vec::new(),
        }
    }

    /// Hands the ids of the pieces of *text* from *start* on that end at `self.ends` to *sink*.
    /// *encode* appends those of a piece that is not known yet.
    #[inline(always)]
    pub(crate) fn encode(
        &mut self,
        text: &str,
        start: usize,
        encode: impl Fn(&[u8], &mut Vec<u32>),
        mut sink: impl FnMut(&[u32]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let text = text.as_bytes();
        let Self { ends, short, long, keys, homes, ids: all, some } = self;
        let ends = ends.as_slice();
        short.reserve();
        let mut short = short.as_pairs();
        let (keys, homes) = (&mut keys[..ends.len()], &mut homes[..ends.len()]);
        expect(text, start, ends, keys, homes, &short, long);
        let (mut done, mut count) = (0, 0);
        loop {
            let (pieces, ids) = short.find_many(&keys[done..], &homes[done..], &mut all[count..]);
            done += pieces;
            count += ids;
            let Some(&key) = keys.get(done) else { break };
            let from = done.checked_sub(1).map_or(start, |before| ends[before]);
            let piece = &text[from..ends[done]];
            done += 1;
            some.clear();
            let is_long = key >> 120 == 0;
            if is_long || !short.find(key, some) {
                // A short piece with many ids is kept with the long ones.
                let key_there = if is_long { key } else { long.expect(piece) };
                if !long.find(key_there, piece, some) {
                    encode(piece, some);
                    if is_long || !short.insert(key, some) {
                        long.insert(key_there, piece, some);
                    }
                }
            }
            if let Some(room) = all[count..].get_mut(..some.len()).filter(|_| some.len() <= 4) {
                room.copy_from_slice(some);
                count += room.len();
            } else {
                sink(&all[..count])?;
                sink(some)?;
                count = 0;
            }
        }
        sink(&all[..count])
    }
}

/// Finds the *keys* of the pieces of *text* from *from* on that end at *ends*, and asks for what is
/// known of each.
#[inline(never)]
fn expect(
    text: &[u8],
    mut from: usize,
    ends: &[usize],
    keys: &mut [u128],
    homes: &mut [u32],
    short: &Pairs<'_>,
    long: &LongPieces,
) {
    for ((key, home), &end) in keys.iter_mut().zip(homes).zip(ends) {
        let length = end - from;
        if length <= key::MOST {
            *key = key::key(text, from, length);
            *home = short.home(*key) as u32;
            prefetch(&short.lines[*home as usize]);
        } else {
            *key = long.expect(&text[from..end]);
            *home = 0;
        }
        from = end;
    }
}

/// Asks for the cache line of *place* ahead of its use: the tables are larger than the near caches.
#[inline(always)]
#[allow(unsafe_code)]
pub(crate) fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which reads nothing; and the address is a reference's.
    unsafe {
        use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T0};
        _mm_prefetch(std::ptr::from_ref(place).cast(), _MM_HINT_T0);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

impl std::fmt::Debug for PieceCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PieceCache").finish_non_exhaustive()
    }
}
