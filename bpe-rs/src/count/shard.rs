//! One shard of the distinct pieces, with their counts.

use std::hash::BuildHasher;

use hashbrown::hash_table::Entry;
use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use crate::cache::prefetch;
use crate::{key, memory, Error};

/// Number of shards: enough that threads seldom wait for the same one, and that one shard takes
/// little memory.
pub(super) const SHARDS: usize = 1 << SHARD_BITS;
const SHARD_BITS: u32 = 6;

/// The shard of *piece*.
pub(super) fn of(piece: &[u8]) -> usize {
    if piece.len() <= key::MAX_LENGTH {
        of_short(key::key(piece, 0, piece.len()))
    } else {
        of_long(hash(piece))
    }
}

/// The shard of the piece with *key*.
#[inline(always)]
pub(super) fn of_short(key: u128) -> usize {
    key::bucket(key, SHARD_BITS)
}

/// The shard of a longer piece with *hash*, by other bits than those that its table uses.
pub(super) fn of_long(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

/// The hash of a piece that has no key.
pub(super) fn hash(piece: &[u8]) -> u64 {
    FxBuildHasher.hash_one(piece)
}

/// The pieces of one shard, chosen by hash; the bytes of each are stored once.
#[derive(Debug)]
pub(super) struct Shard {
    /// Pieces that have a key, by open addressing with linear probing.
    slots: Vec<Slot>,
    taken: usize,
    /// The longer pieces; their bytes are in `bytes`.
    long: HashTable<Long>,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// The bytes of the key, all 0 in a free slot: the piece, zeros, and its length.
    key: [u8; 16],
    count: u64,
}

#[derive(Clone, Copy, Debug)]
struct Long {
    start: usize,
    length: usize,
    count: u64,
}

impl Long {
    fn piece(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start..self.start + self.length]
    }
}

impl Shard {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), taken: 0, long: HashTable::new(), bytes: Vec::new() }
    }

    /// Returns an error if the sum of the count of *piece* and *count* exceeds 63 bits.
    pub(super) fn check(&self, piece: &[u8], count: u64) -> Result<(), Error> {
        match self.get(piece).checked_add(count) {
            Some(sum) if i64::try_from(sum).is_ok() => Ok(()),
            _ => Err(Error::CountOverflow { piece: piece.to_vec() }),
        }
    }

    /// Adds *count* to the count of *piece*, and returns whether the piece is new.
    pub(super) fn add(&mut self, piece: &[u8], count: u64) -> Result<bool, Error> {
        if piece.len() > key::MAX_LENGTH {
            return self.add_long(hash(piece), piece, count);
        }
        self.reserve(1)?;
        Ok(self.add_short(key::key(piece, 0, piece.len()), count))
    }

    /// Adds *counts* to the counts of the pieces with *keys*.
    pub(super) fn add_all(&mut self, keys: &[u128], counts: &[u32]) -> Result<(), Error> {
        self.reserve(keys.len())?;
        // The table is larger than the near caches: prefetch all slots before using the first.
        for &key in keys {
            prefetch(&self.slots[self.home(key)]);
        }
        for (&key, &count) in keys.iter().zip(counts) {
            self.add_short(key, count.into());
        }
        Ok(())
    }

    pub(super) fn add_long(&mut self, hash: u64, piece: &[u8], count: u64) -> Result<bool, Error> {
        let Self { long, bytes, .. } = self;
        let same = |other: &Long| other.length == piece.len() && other.piece(bytes) == piece;
        let hash_of = |other: &Long| self::hash(other.piece(bytes));
        match long.entry(hash, same, hash_of) {
            Entry::Occupied(mut entry) => {
                entry.get_mut().count += count;
                Ok(false)
            }
            Entry::Vacant(entry) => {
                let start = bytes.len();
                memory::extend(bytes, piece)?;
                entry.insert(Long { start, length: piece.len(), count });
                Ok(true)
            }
        }
    }

    pub(super) fn get(&self, piece: &[u8]) -> u64 {
        if piece.len() > key::MAX_LENGTH {
            let same = |other: &Long| other.piece(&self.bytes) == piece;
            return self.long.find(hash(piece), same).map_or(0, |found| found.count);
        }
        if self.slots.is_empty() {
            return 0;
        }
        self.slots[self.find(key::key(piece, 0, piece.len()))].count
    }

    pub(super) fn len(&self) -> usize {
        self.taken + self.long.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        let short = self.slots.iter().filter(|slot| slot.count > 0);
        let short = short.map(|slot| (&slot.key[..slot.key[15].into()], slot.count));
        short.chain(self.long.iter().map(|long| (long.piece(&self.bytes), long.count)))
    }

    /// Drops the pieces that occurred fewer than *`min_count`* times, and returns how many they are
    /// and how often they occurred in total.
    pub(super) fn prune(&mut self, min_count: u64) -> Result<(u64, u128), Error> {
        if min_count <= 1 {
            return Ok((0, 0)); // every piece has occurred at least once
        }
        let rare = self.iter().filter(|&(_, count)| count < min_count);
        let dropped = rare
            .fold((0, 0), |(pieces, times), (_, count)| (pieces + 1, times + u128::from(count)));
        if dropped.0 > 0 {
            let mut kept = Self::new();
            for (piece, count) in self.iter().filter(|&(_, count)| count >= min_count) {
                kept.add(piece, count)?;
            }
            *self = kept;
        }
        Ok(dropped)
    }

    /// Its memory in bytes.
    pub(super) fn memory(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
            + self.long.allocation_size()
            + self.bytes.capacity()
    }

    #[inline(always)]
    fn home(&self, key: u128) -> usize {
        // The bits below those that select the shard, as a fraction of the slots.
        let fraction = key::hash(key) << SHARD_BITS;
        ((u128::from(fraction) * self.slots.len() as u128) >> 64) as usize
    }

    /// The index of the slot of the piece with *key*, or of the free slot where it belongs.
    #[inline(always)]
    fn find(&self, key: u128) -> usize {
        let mut index = self.home(key);
        loop {
            let slot = &self.slots[index];
            if slot.count == 0 || u128::from_le_bytes(slot.key) == key {
                return index;
            }
            index += 1;
            if index == self.slots.len() {
                index = 0;
            }
        }
    }

    #[inline(always)]
    fn add_short(&mut self, key: u128, count: u64) -> bool {
        let index = self.find(key);
        let slot = &mut self.slots[index];
        let new = slot.count == 0;
        slot.key = key.to_le_bytes();
        slot.count += count;
        self.taken += usize::from(new);
        new
    }

    /// Makes room for *more* short pieces, and keeps a fifth of the slots free.
    fn reserve(&mut self, more: usize) -> Result<(), Error> {
        let needed = (self.taken + more) * 5 / 4 + 1;
        if needed <= self.slots.len() {
            return Ok(());
        }
        // PERF: grow by half instead of doubling, since all shards grow at about the same time.
        let size = needed.max(self.slots.len() + self.slots.len() / 2);
        let mut slots = memory::with_capacity(size)?;
        slots.resize(size, Slot::default());
        let slots = std::mem::replace(&mut self.slots, slots);
        for slot in slots.into_iter().filter(|slot| slot.count > 0) {
            let index = self.find(u128::from_le_bytes(slot.key));
            self.slots[index] = slot;
        }
        Ok(())
    }
}
