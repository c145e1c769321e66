//! The counts of one thread, in front of the shards that all threads share.
//!
//! Text repeats itself: about nine pieces in ten are among a few thousand, which are counted here,
//! in the second-level cache. A piece that is evicted is sent to its shard with its count.

use hashbrown::hash_table::Entry;
use hashbrown::HashTable;

use super::shard::{self, SHARDS};
use super::Shared;
use crate::scan::Ends;
use crate::{key, Error};

/// Counts that have not been added to the shards yet.
pub(super) struct LocalCounts {
    lines: Vec<Line>,
    outboxes: Vec<Outbox>,
    keys: Box<[u128; Ends::CAPACITY]>,
    /// Number of pieces counted since the last flush: no count is larger.
    counted: u32,
    /// Pieces that have no key: their start in `bytes`, length, and count.
    long: HashTable<(u32, u16, u32)>,
    bytes: Vec<u8>,
}

/// In `keys`, marks a piece that has no key; no key has this value.
const LONG: u128 = u128::MAX;

/// Three pieces that have a key, in one cache line; the count of a free slot is 0.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Line {
    keys: [u128; 3],
    counts: [u32; 3],
}

/// Pieces on their way to a shard, in batches that amortize a lock and the latency of memory.
struct Outbox {
    keys: [u128; Self::CAPACITY],
    counts: [u32; Self::CAPACITY],
    count: usize,
}

impl Outbox {
    const CAPACITY: usize = 64;
}

impl LocalCounts {
    /// 2¹³ lines of 64 bytes: half of a common second-level cache.
    const BITS: u32 = 13;
    /// All counts are flushed beyond this, so that none overflows.
    const MAX_COUNTED: u32 = 1 << 31;
    /// Maximum number of pieces without a key that are kept here.
    const MAX_LONG: usize = 1 << 12;
    /// Maximum length of a piece that is kept here, in bytes: longer ones hardly recur.
    const MAX_LENGTH: usize = 1 << 10;

    pub(super) fn new() -> Self {
        let outbox =
            || Outbox { keys: [0; Outbox::CAPACITY], counts: [0; Outbox::CAPACITY], count: 0 };
        Self {
            lines: vec![Line::default(); 1 << Self::BITS],
            outboxes: (0..SHARDS).map(|_| outbox()).collect(),
            keys: Box::new([0; Ends::CAPACITY]),
            counted: 0,
            long: HashTable::new(),
            bytes: Vec::new(),
        }
    }

    /// Counts the pieces of *text* from *start* on that end at *ends*.
    pub(super) fn count(
        &mut self,
        text: &[u8],
        start: usize,
        ends: &[usize],
        shared: &Shared<'_>,
    ) -> Result<(), Error> {
        // Compute all keys first: these iterations do not depend on each other.
        let mut from = start;
        for (key, &end) in self.keys.iter_mut().zip(ends) {
            let length = end - from;
            *key = if length <= key::MAX_LENGTH { key::key(text, from, length) } else { LONG };
            from = end;
        }
        from = start;
        for (index, &end) in ends.iter().enumerate() {
            let key = self.keys[index];
            let line = &mut self.lines[key::bucket(key, Self::BITS)];
            // PERF: no branch on which of the three it is, since it would be mispredicted.
            let [first, second, third] = line.keys.map(|other| other == key);
            line.counts[usize::from(second) + 2 * usize::from(third)] +=
                u32::from(first | second | third);
            if !(first | second | third) {
                if key == LONG {
                    self.count_long(&text[from..end], shared)?;
                } else {
                    self.evict(key, shared)?;
                }
            }
            from = end;
        }
        self.counted += ends.len() as u32;
        if self.counted > Self::MAX_COUNTED {
            self.flush(shared)?;
        }
        Ok(())
    }

    /// Replaces the least counted piece in the line of *key* by the piece with *key*.
    #[inline(never)]
    fn evict(&mut self, key: u128, shared: &Shared<'_>) -> Result<(), Error> {
        let line = &mut self.lines[key::bucket(key, Self::BITS)];
        let [first, second, third] = line.counts;
        let rarest =
            if first <= second && first <= third { 0 } else { 1 + usize::from(third < second) };
        let (evicted, count) = (line.keys[rarest], line.counts[rarest]);
        (line.keys[rarest], line.counts[rarest]) = (key, 1);
        if count > 0 {
            self.send(evicted, count, shared)?;
        }
        Ok(())
    }

    /// Puts the *count* of the piece with *key* into the outbox of its shard.
    fn send(&mut self, key: u128, count: u32, shared: &Shared<'_>) -> Result<(), Error> {
        let number = shard::of_short(key);
        let outbox = &mut self.outboxes[number];
        (outbox.keys[outbox.count], outbox.counts[outbox.count]) = (key, count);
        outbox.count += 1;
        if outbox.count == Outbox::CAPACITY {
            self.deliver(number, shared)?;
        }
        Ok(())
    }

    /// Adds the contents of an outbox to its shard.
    fn deliver(&mut self, number: usize, shared: &Shared<'_>) -> Result<(), Error> {
        let outbox = &mut self.outboxes[number];
        let count = std::mem::take(&mut outbox.count);
        shared.with(number, |shard| shard.add_all(&outbox.keys[..count], &outbox.counts[..count]))
    }

    #[inline(never)]
    fn count_long(&mut self, piece: &[u8], shared: &Shared<'_>) -> Result<(), Error> {
        let hash = shard::hash(piece);
        if piece.len() > Self::MAX_LENGTH {
            let add = |shard: &mut shard::Shard| shard.add_long(hash, piece, 1).map(drop);
            return shared.with(shard::of_long(hash), add);
        }
        let bytes = &mut self.bytes;
        let range = |start: u32, length: u16| start as usize..start as usize + length as usize;
        let same = |&(start, length, _): &(u32, u16, u32)| bytes[range(start, length)] == *piece;
        let hash_of =
            |&(start, length, _): &(u32, u16, u32)| shard::hash(&bytes[range(start, length)]);
        match self.long.entry(hash, same, hash_of) {
            Entry::Occupied(mut entry) => entry.get_mut().2 += 1,
            Entry::Vacant(entry) => {
                entry.insert((bytes.len() as u32, piece.len() as u16, 1));
                bytes.extend_from_slice(piece);
                if self.long.len() == Self::MAX_LONG {
                    self.flush_long(shared)?;
                }
            }
        }
        Ok(())
    }

    fn flush_long(&mut self, shared: &Shared<'_>) -> Result<(), Error> {
        for (start, length, count) in self.long.drain() {
            let piece = &self.bytes[start as usize..start as usize + length as usize];
            let hash = shard::hash(piece);
            let add =
                |shard: &mut shard::Shard| shard.add_long(hash, piece, count.into()).map(drop);
            shared.with(shard::of_long(hash), add)?;
        }
        self.bytes.clear();
        Ok(())
    }

    /// Adds all counts to the shards.
    pub(super) fn flush(&mut self, shared: &Shared<'_>) -> Result<(), Error> {
        for index in 0..self.lines.len() {
            let Line { keys, counts } = std::mem::take(&mut self.lines[index]);
            for (key, count) in keys.into_iter().zip(counts).filter(|&(_, count)| count > 0) {
                self.send(key, count, shared)?;
            }
        }
        for number in 0..SHARDS {
            self.deliver(number, shared)?;
        }
        self.counted = 0;
        self.flush_long(shared)
    }
}
