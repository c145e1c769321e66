//! Cached pieces of up to fifteen bytes, in a table of cache lines.

use crate::key;
use crate::scan::Ends;

/// The ids of a piece in 16 bytes, in one of three forms: up to three ids and their number; up to
/// six ids of `PACKED_BITS` each, and the flag `PACKED`; or the index of a row that holds the ids,
/// their number, and `IN_A_ROW`.
type Packed = [u32; 4];

/// Values of the last word from here on mean more than three ids.
const IN_A_ROW: u32 = 4;
const PACKED: u32 = 1 << 31;
const PACKED_BITS: u32 = 21;
/// Marks the absence of an id; ids from this value on are not packed.
const PACKED_NONE: u128 = (1 << PACKED_BITS) - 1;

/// Ids of one piece: as many as its bytes, and one more, so that a row is copied at once.
type Row = [u32; key::MAX_LENGTH + 1];

/// Packs *ids* into four words, or into a new row of *rows*.
fn pack(ids: &[u32], rows: &mut Vec<Row>) -> Packed {
    let mut packed = [0, 0, 0, ids.len() as u32];
    if let Some(words) = packed[..3].get_mut(..ids.len()) {
        words.copy_from_slice(ids);
        return packed;
    }
    if ids.len() > 6 || ids.iter().any(|&id| u128::from(id) >= PACKED_NONE) {
        let mut row = Row::default();
        row[..ids.len()].copy_from_slice(ids);
        rows.push(row);
        return [rows.len() as u32 - 1, ids.len() as u32, 0, IN_A_ROW];
    }
    let mut bits = u128::from(PACKED) << 96;
    for index in 0..6 {
        let id = ids.get(index).map_or(PACKED_NONE, |&id| u128::from(id));
        bits |= id << (PACKED_BITS * index as u32);
    }
    [0, 1, 2, 3].map(|word| (bits >> (32 * word)) as u32)
}

/// Writes the ids of *packed* to *ids*, which must have room for a row, and returns their number.
#[inline(always)]
fn unpack(packed: &Packed, rows: &[Row], ids: &mut [u32]) -> usize {
    if packed[3] < IN_A_ROW {
        // Copy all four words: the next piece overwrites those that are not ids.
        ids[..4].copy_from_slice(packed);
        return packed[3] as usize;
    }
    if packed[3] == IN_A_ROW {
        let row = &rows[packed[0] as usize];
        ids[..row.len()].copy_from_slice(row);
        return packed[1] as usize;
    }
    let bits = packed.iter().rev().fold(0, |bits, &word| bits << 32 | u128::from(word));
    let mut count = 0;
    for (index, target) in ids[..6].iter_mut().enumerate() {
        let id = bits >> (PACKED_BITS * index as u32) & PACKED_NONE;
        *target = id as u32;
        count += usize::from(id != PACKED_NONE);
    }
    count
}

/// Pieces that have a `key`: the great majority.
///
/// Two pieces share a cache line. The home of a piece is the line that its key selects; where that
/// line is full, the piece is in the next line with a free slot.
pub(super) struct ShortPieces {
    /// The lines, and space for one more, so that the first can be aligned to a cache line.
    memory: Vec<u64>,
    bits: u32,
    count: usize,
    rows: Vec<Row>,
}

#[repr(C, align(64))]
pub(super) struct CacheLine {
    /// 0 in a free slot; the first slot is filled before the second.
    keys: [u128; 2],
    ids: [Packed; 2],
}

impl ShortPieces {
    pub(super) const MIN_BITS: u32 = 10;
    /// Maximum number of lines that are probed; a piece that finds no free slot in them is not
    /// cached. Random collisions fill a few consecutive lines; only a text constructed to have its
    /// pieces collide fills more.
    const MAX_PROBES: usize = 32;
    /// Maximum size: 2¹⁹ lines, 32 MiB.
    const MAX_BITS: u32 = 19;
    /// Maximum number of rows: 8 MiB.
    const MAX_ROWS: usize = 1 << 17;
    /// Length of a row: the maximum number of ids of a piece, and the number of ids that are
    /// written for it.
    pub(super) const ROW_LENGTH: usize = size_of::<Row>() / size_of::<u32>();

    pub(super) fn new(bits: u32) -> Self {
        let words = ((1 << bits) + 1) * size_of::<CacheLine>() / size_of::<u64>();
        Self { memory: vec![0; words], bits, count: 0, rows: Vec::new() }
    }

    #[inline]
    #[allow(unsafe_code)]
    pub(super) fn as_table(&mut self) -> Table<'_> {
        // SAFETY: a `CacheLine` consists of integers without padding, so every bit pattern is
        // valid.
        let (_, lines, _) = unsafe { self.memory.align_to_mut() };
        let lines = &mut lines[..1 << self.bits];
        Table { lines, bits: self.bits, count: &mut self.count, rows: &mut self.rows }
    }

    /// Makes room for the pieces of one call, and keeps a quarter of the slots free.
    #[inline]
    pub(super) fn reserve(&mut self) {
        if self.count + Ends::CAPACITY > 3 << (self.bits - 1)
            || self.rows.len() + Ends::CAPACITY > Self::MAX_ROWS
        {
            self.grow();
        }
    }

    /// Doubles the table, or empties it once it has its largest size.
    #[cold]
    fn grow(&mut self) {
        if self.bits == Self::MAX_BITS || self.rows.len() + Ends::CAPACITY > Self::MAX_ROWS {
            *self = Self::new(Self::MIN_BITS);
            return;
        }
        let mut larger = Self::new(self.bits + 1);
        let mut table = larger.as_table();
        // Rows are moved, not copied: their indices in the packed ids stay valid.
        for line in &*self.as_table().lines {
            for (&key, &ids) in line.keys.iter().zip(&line.ids).filter(|(&key, _)| key != 0) {
                table.insert_packed(key, ids);
            }
        }
        larger.rows = std::mem::take(&mut self.rows);
        *self = larger;
    }
}

/// A view of the table as cache lines.
pub(super) struct Table<'a> {
    pub(super) lines: &'a mut [CacheLine],
    bits: u32,
    count: &'a mut usize,
    rows: &'a mut Vec<Row>,
}

impl Table<'_> {
    #[inline(always)]
    pub(super) fn home(&self, key: u128) -> usize {
        key::bucket(key, self.bits) & (self.lines.len() - 1)
    }

    /// Writes the ids of the pieces with *keys* to *ids*, which must have `ROW_LENGTH` for each, up
    /// to the first piece that is not in its home line. Returns the number of pieces and of ids.
    #[inline(never)]
    pub(super) fn find_many(
        &self,
        keys: &[u128],
        homes: &[u32],
        ids: &mut [u32],
    ) -> (usize, usize) {
        let mut count = 0;
        for (done, (&key, &home)) in keys.iter().zip(homes).enumerate() {
            let line = &self.lines[home as usize];
            // PERF: no branch on which of the two it is, since it would be mispredicted half the
            // time.
            let slot = usize::from(line.keys[1] == key);
            if line.keys[slot] != key {
                return (done, count);
            }
            count += unpack(&line.ids[slot], self.rows, &mut ids[count..]);
        }
        (keys.len(), count)
    }

    /// Writes the ids of the piece with *key* to *ids*, which must have `ROW_LENGTH`, and returns
    /// their number, or `None` if the piece is not cached. Moves the piece to its home line.
    #[inline(never)]
    pub(super) fn find(&mut self, key: u128, ids: &mut [u32]) -> Option<usize> {
        let home = self.home(key);
        for index in self.lines_from(home) {
            let line = &mut self.lines[index];
            if let Some(slot) = line.keys.iter().position(|&other| other == key) {
                let found = line.ids[slot];
                if index != home {
                    // Swap with the second piece of the home line. Probing still reaches that
                    // piece: all lines from its own home to its new one are full.
                    let CacheLine { keys, ids } = &mut self.lines[home];
                    let other = (keys[1], ids[1]);
                    (keys[1], ids[1]) = (key, found);
                    let line = &mut self.lines[index];
                    (line.keys[slot], line.ids[slot]) = other;
                }
                return Some(unpack(&found, self.rows, ids));
            }
            if line.keys[1] == 0 {
                return None;
            }
        }
        None
    }

    /// The lines where a piece with home *home* can be.
    fn lines_from(&self, home: usize) -> impl Iterator<Item = usize> {
        let mask = self.lines.len() - 1;
        (home..home + ShortPieces::MAX_PROBES).map(move |line| line & mask)
    }

    /// Caches the *ids* of the piece with *key*, if there is a free slot near its home.
    #[inline(never)]
    pub(super) fn insert(&mut self, key: u128, ids: &[u32]) {
        let packed = pack(ids, self.rows);
        self.insert_packed(key, packed);
    }

    fn insert_packed(&mut self, key: u128, ids: Packed) {
        let has_free_slot = |index: &usize| self.lines[*index].keys[1] == 0;
        let Some(index) = self.lines_from(self.home(key)).find(has_free_slot) else { return };
        let line = &mut self.lines[index];
        let slot = usize::from(line.keys[0] != 0);
        (line.keys[slot], line.ids[slot]) = (key, ids);
        *self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn unpacking_restores_what_was_packed(
            ids in prop::collection::vec(prop_oneof![0..300_000_u32, any::<u32>()], 1..16),
        ) {
            let (mut rows, mut unpacked) = (vec![Row::default()], Row::default());
            let count = unpack(&pack(&ids, &mut rows), &rows, &mut unpacked);
            prop_assert_eq!(&unpacked[..count], ids);
        }
    }

    #[test]
    fn pieces_are_found_while_the_table_grows_and_after_it_is_emptied() {
        let mut pieces = ShortPieces::new(ShortPieces::MIN_BITS);
        let key_of = |number: u32| key::key(&number.to_le_bytes(), 0, 4);
        let ids_of = |number: u32| vec![number; 1 + number as usize % 15];
        let mut found = Row::default();
        for number in 0..3_000_000 {
            pieces.reserve();
            pieces.as_table().insert(key_of(number), &ids_of(number));
            for before in [number, number - number.min(500)] {
                let count = pieces.as_table().find(key_of(before), &mut found);
                assert!(count.is_some() || before < number, "{before} of {number}");
                assert!(count.is_none_or(|count| found[..count] == ids_of(before)), "{before}");
            }
        }
    }
}
