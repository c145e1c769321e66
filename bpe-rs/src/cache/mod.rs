//! The pieces seen lately and their ids.
//!
//! Text repeats itself: nine pieces in ten are among a few thousand. A piece that is found here
//! costs no merge. Each encoding thread has a cache of its own, which grows with the pieces that
//! it sees, to 80 MiB at most (`ShortPieces::MOST_BITS` and `MOST_ROWS`, `LongPieces::MOST_BYTES` and
//! `MOST_PIECES`); then it begins anew.

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
    ids: Box<[u32; 2 * ShortPieces::ROOM * Ends::MOST]>,
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
            ids: Box::new([0; 2 * ShortPieces::ROOM * Ends::MOST]),
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
            if key >> 120 != 0 {
                if let Some(ids) = short.find(key, &mut all[count..]) {
                    count += ids;
                    continue;
                }
                some.clear();
                encode(piece, some);
                short.insert(key, some);
            } else {
                some.clear();
                if !long.find(key, piece, some) {
                    encode(piece, some);
                    long.insert(key, piece, some);
                }
            }
            let room = all.len() - ShortPieces::ROOM * (keys.len() - done);
            if let Some(room) = all[count..room].get_mut(..some.len()) {
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
