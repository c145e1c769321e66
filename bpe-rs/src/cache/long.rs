//! Pieces of sixteen bytes and more.

use std::hash::BuildHasher;

use rustc_hash::FxBuildHasher;

use super::prefetch;

/// Pieces that have no `key`, but for the longest.
pub(super) struct LongPieces {
    /// As many as a power of two, no more than half of them taken; a piece is at the place that its
    /// hash says, or after it.
    table: Vec<Known>,
    count: usize,
    /// The ids of each piece, and the piece.
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
#[repr(align(16))]
struct Known {
    hash: u32,
    /// Where its ids begin in `bytes`.
    start: u32,
    /// 0 where there is none.
    length: u16,
    /// How many ids, and `WIDE`.
    ids: u16,
}

impl Known {
    /// Set where an id takes four bytes, not two.
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
    /// All pieces and their ids together; when there is no room for another, all are forgotten.
    const MOST_BYTES: usize = 24 << 20;
    /// So many places of the table, and twice as many in all, take 16 MiB.
    const MOST_PIECES: usize = 1 << 19;
    /// So many places are looked at; what finds none free among them is not kept.
    const FARTHEST: usize = 64;
    /// A longer piece hardly comes again.
    const LONGEST: usize = 1 << 10;

    pub(super) fn new() -> Self {
        Self { table: vec![Known::default(); 1 << 8], count: 0, bytes: Vec::new() }
    }

    /// A number for *piece*, which is not the key of a short one, nor that of an empty place: its
    /// last byte is 0. Asks for the place in the table, ahead of its use.
    #[inline(never)]
    pub(super) fn expect(&self, piece: &[u8]) -> u128 {
        let key = u128::from(FxBuildHasher.hash_one(piece) | 1 << 63);
        prefetch(&self.table[Self::hash(key) as usize & (self.table.len() - 1)]);
        key
    }

    fn hash(key: u128) -> u32 {
        key as u32
    }

    /// Appends the ids of *piece* to *ids* if it is known.
    #[inline(never)]
    pub(super) fn find(&self, key: u128, piece: &[u8], ids: &mut Vec<u32>) -> bool {
        for place in self.places(Self::hash(key)) {
            let known = &self.table[place];
            if known.length == 0 {
                return false;
            }
            if known.hash == Self::hash(key) && usize::from(known.length) == piece.len() {
                let (found, rest) =
                    self.bytes[known.start as usize..].split_at(known.width() * known.count());
                if rest[..piece.len()] == *piece {
                    if known.width() == 2 {
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

    /// Where a piece with *hash* may be.
    fn places(&self, hash: u32) -> impl Iterator<Item = usize> {
        let (first, mask) = (hash as usize, self.table.len() - 1);
        (first..first + Self::FARTHEST).map(move |place| place & mask)
    }

    #[inline(never)]
    pub(super) fn insert(&mut self, key: u128, piece: &[u8], ids: &[u32]) {
        if piece.len() > Self::LONGEST {
            return;
        }
        let bytes = self.bytes.len() + 4 * ids.len() + piece.len();
        if bytes > Self::MOST_BYTES || self.count == Self::MOST_PIECES {
            *self = Self::new();
        }
        if self.count >= self.table.len() / 2 {
            let larger = vec![Known::default(); 2 * self.table.len()];
            let smaller = std::mem::replace(&mut self.table, larger);
            smaller.into_iter().filter(|known| known.length > 0).for_each(|known| self.put(known));
        }
        self.count += 1;
        let narrow = ids.iter().all(|&id| u16::try_from(id).is_ok());
        self.put(Known {
            hash: Self::hash(key),
            start: self.bytes.len() as u32,
            length: piece.len() as u16,
            ids: ids.len() as u16 | if narrow { 0 } else { Known::WIDE },
        });
        let width = if narrow { 2 } else { 4 };
        for id in ids {
            self.bytes.extend_from_slice(&id.to_le_bytes()[..width]);
        }
        self.bytes.extend_from_slice(piece);
    }

    fn put(&mut self, known: Known) {
        if let Some(place) = self.places(known.hash).find(|&place| self.table[place].length == 0) {
            self.table[place] = known;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_found_again_until_all_are_forgotten() {
        let mut pieces = LongPieces::new();
        let mut found = Vec::new();
        for number in 0..200_000_u32 {
            let piece = number.to_le_bytes().repeat(50);
            let key = pieces.expect(&piece);
            assert!(!pieces.find(key, &piece, &mut found));
            pieces.insert(key, &piece, &[number, 1]); // narrow at first, wide from 65,536 on
            found.clear();
            assert!(pieces.find(key, &piece, &mut found));
            assert_eq!(found, [number, 1]);
            assert!(pieces.bytes.len() <= LongPieces::MOST_BYTES);
            found.clear();
        }
    }

    #[test]
    fn a_piece_with_the_hash_of_another_is_not_taken_for_it() {
        let mut pieces = LongPieces::new();
        let (piece, other) = (b"a piece of some length", b"one as long as another");
        let key = pieces.expect(piece);
        pieces.insert(key, piece, &[1]);

        assert!(!pieces.find(key, other, &mut Vec::new()));
    }
}
