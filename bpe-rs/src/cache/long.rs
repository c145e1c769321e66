//! Cached pieces of sixteen bytes and more.

use std::hash::BuildHasher;

use rustc_hash::FxBuildHasher;

use super::prefetch;

/// Pieces that have no `key`, except the longest.
pub(super) struct LongPieces {
    /// A power of two in size, at most half of it taken; a piece is in the slot of its hash, or one
    /// after it.
    table: Vec<Entry>,
    count: usize,
    /// The ids of each piece, followed by its bytes.
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
#[repr(align(16))]
struct Entry {
    hash: u32,
    /// Start of its ids in `bytes`.
    start: u32,
    /// Length of the piece; 0 in a free slot.
    length: u16,
    /// Number of ids, and `WIDE`.
    ids: u16,
}

impl Entry {
    /// Flag: the ids take four bytes each, not two.
    const WIDE: u16 = 1 << 15;

    fn width(self) -> usize {
        if self.ids & Self::WIDE == 0 {
            2
        } else {
            4
        }
    }

    fn count(self) -> usize {
        usize::from(self.ids & !Self::WIDE)
    }
}

impl LongPieces {
    /// Maximum size of all pieces and their ids in bytes; beyond it, the cache is emptied.
    const MAX_BYTES: usize = 24 << 20;
    /// Maximum number of pieces. The table has twice as many slots, of 16 bytes: 16 MiB.
    const MAX_PIECES: usize = 1 << 19;
    /// Maximum number of slots that are probed; a piece that finds none free among them is not
    /// cached.
    const MAX_PROBES: usize = 64;
    /// Maximum length of a cached piece in bytes: longer ones hardly recur.
    const MAX_LENGTH: usize = 1 << 10;

    pub(super) fn new() -> Self {
        Self { table: vec![Entry::default(); 1 << 8], count: 0, bytes: Vec::new() }
    }

    /// Returns a key for *piece* that no short piece has, since its last byte is 0, and that is not
    /// 0. Prefetches the slot of *piece*.
    #[inline(never)]
    pub(super) fn hash_and_prefetch(&self, piece: &[u8]) -> u128 {
        let key = u128::from(FxBuildHasher.hash_one(piece) | 1 << 63);
        prefetch(&self.table[Self::hash(key) as usize & (self.table.len() - 1)]);
        key
    }

    fn hash(key: u128) -> u32 {
        key as u32
    }

    /// Appends the ids of *piece* to *ids* if it is cached, and returns whether it is.
    #[inline(never)]
    pub(super) fn find(&self, key: u128, piece: &[u8], ids: &mut Vec<u32>) -> bool {
        for slot in self.slots(Self::hash(key)) {
            let entry = &self.table[slot];
            if entry.length == 0 {
                return false;
            }
            if entry.hash == Self::hash(key) && usize::from(entry.length) == piece.len() {
                let (found, rest) =
                    self.bytes[entry.start as usize..].split_at(entry.width() * entry.count());
                if rest[..piece.len()] == *piece {
                    if entry.width() == 2 {
                        let narrow = found.as_chunks().0.iter();
                        ids.extend(narrow.map(|&id| u32::from(u16::from_le_bytes(id))));
                    } else {
                        ids.extend(found.as_chunks().0.iter().map(|&id| u32::from_le_bytes(id)));
                    }
                    return true;
                }
            }
        }
        false
    }

    /// The slots where a piece with *hash* can be.
    fn slots(&self, hash: u32) -> impl Iterator<Item = usize> {
        let (first, mask) = (hash as usize, self.table.len() - 1);
        (first..first + Self::MAX_PROBES).map(move |slot| slot & mask)
    }

    #[inline(never)]
    pub(super) fn insert(&mut self, key: u128, piece: &[u8], ids: &[u32]) {
        if piece.len() > Self::MAX_LENGTH {
            return;
        }
        let bytes = self.bytes.len() + 4 * ids.len() + piece.len();
        if bytes > Self::MAX_BYTES || self.count == Self::MAX_PIECES {
            *self = Self::new();
        }
        if self.count >= self.table.len() / 2 {
            let larger = vec![Entry::default(); 2 * self.table.len()];
            let smaller = std::mem::replace(&mut self.table, larger);
            smaller.into_iter().filter(|entry| entry.length > 0).for_each(|entry| self.put(entry));
        }
        self.count += 1;
        let narrow = ids.iter().all(|&id| u16::try_from(id).is_ok());
        self.put(Entry {
            hash: Self::hash(key),
            start: self.bytes.len() as u32,
            length: piece.len() as u16,
            ids: ids.len() as u16 | if narrow { 0 } else { Entry::WIDE },
        });
        let width = if narrow { 2 } else { 4 };
        for id in ids {
            self.bytes.extend_from_slice(&id.to_le_bytes()[..width]);
        }
        self.bytes.extend_from_slice(piece);
    }

    fn put(&mut self, entry: Entry) {
        if let Some(slot) = self.slots(entry.hash).find(|&slot| self.table[slot].length == 0) {
            self.table[slot] = entry;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_found_until_the_cache_is_emptied() {
        let mut pieces = LongPieces::new();
        let mut found = Vec::new();
        for number in 0..200_000_u32 {
            let piece = number.to_le_bytes().repeat(50);
            let key = pieces.hash_and_prefetch(&piece);
            assert!(!pieces.find(key, &piece, &mut found));
            pieces.insert(key, &piece, &[number, 1]); // two bytes each at first, four from 65,536 on
            found.clear();
            assert!(pieces.find(key, &piece, &mut found));
            assert_eq!(found, [number, 1]);
            assert!(pieces.bytes.len() <= LongPieces::MAX_BYTES);
            found.clear();
        }
    }

    #[test]
    fn a_piece_with_the_hash_of_another_is_not_confused_with_it() {
        let mut pieces = LongPieces::new();
        let (piece, other) = (b"a piece of some length", b"one as long as another");
        let key = pieces.hash_and_prefetch(piece);
        pieces.insert(key, piece, &[1]);

        assert!(!pieces.find(key, other, &mut Vec::new()));
    }
}
