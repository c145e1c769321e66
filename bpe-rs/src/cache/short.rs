//! Short pieces and few ids, in a table of cache lines.

use crate::key;
use crate::scan::Ends;

/// Up to three ids and how many they are; or up to six in `PACKED_BITS` each, and `PACKED`; or the
/// row that holds them, how many they are, and `IN_A_ROW`.
type Packed = [u32; 4];

/// From here on the last of the four says that there are more than three ids.
const IN_A_ROW: u32 = 4;
const PACKED: u32 = 1 << 31;
const PACKED_BITS: u32 = 21;
/// No id: one that is as great is not packed.
const PACKED_NONE: u128 = (1 << PACKED_BITS) - 1;

/// As many ids as a piece with a key has bytes, and one more to copy them at once.
type Row = [u32; key::MOST + 1];

/// *ids* in the place of four, or in a new one of *rows*.
fn pack(ids: &[u32], rows: &mut Vec<Row>) -> Packed {
    let mut packed = [0, 0, 0, ids.len() as u32];
    if let Some(room) = packed[..3].get_mut(..ids.len()) {
        room.copy_from_slice(ids);
        return packed;
    }
    if ids.len() > 6 || ids.iter().any(|&id| u128::from(id) >= PACKED_NONE) {
        let mut row = Row::default();
        row[..ids.len()].copy_from_slice(ids);
        rows.push(row);
        return [rows.len() as u32 - 1, ids.len() as u32, 0, IN_A_ROW];
    }
    let mut bits = u128::from(PACKED) << 96;
    for place in 0..6 {
        let id = ids.get(place).map_or(PACKED_NONE, |&id| u128::from(id));
        bits |= id << (PACKED_BITS * place as u32);
    }
    [0, 1, 2, 3].map(|place| (bits >> (32 * place)) as u32)
}

/// Puts the ids that `pack` made *packed* of into *ids*, which has room for a row; how many?
#[inline(always)]
fn unpack(packed: &Packed, rows: &[Row], ids: &mut [u32]) -> usize {
    if packed[3] < IN_A_ROW {
        // All four at once: the next piece overwrites what this one does not have.
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
    for (place, room) in ids[..6].iter_mut().enumerate() {
        let id = bits >> (PACKED_BITS * place as u32) & PACKED_NONE;
        *room = id as u32;
        count += usize::from(id != PACKED_NONE);
    }
    count
}

/// Pieces that have a `key`: most by far.
///
/// Two pieces share a cache line. A piece is at home, in the line that its key says, or in a later
/// one where all lines between are full.
pub(super) struct ShortPieces {
    /// `Pair`s, and one more to begin where a cache line does.
    memory: Vec<u64>,
    bits: u32,
    count: usize,
    rows: Vec<Row>,
}

#[repr(C, align(64))]
pub(super) struct Pair {
    /// 0 where there is none; the first is taken before the second.
    keys: [u128; 2],
    ids: [Packed; 2],
}

impl ShortPieces {
    pub(super) const LEAST_BITS: u32 = 10;
    /// So many lines are looked at; what finds no room in them is not kept. Chance fills a few in a
    /// row, and only a text that was written to have its pieces share a home fills more.
    const FARTHEST: usize = 32;
    /// 2¹⁹ lines, 32 MiB.
    const MOST_BITS: u32 = 19;
    /// 8 MiB.
    const MOST_ROWS: usize = 1 << 17;
    /// The most ids of a piece, and those that are written with them.
    pub(super) const ROOM: usize = size_of::<Row>() / size_of::<u32>();

    pub(super) fn new(bits: u32) -> Self {
        let words = ((1 << bits) + 1) * size_of::<Pair>() / size_of::<u64>();
        Self { memory: vec![0; words], bits, count: 0, rows: Vec::new() }
    }

    #[inline]
    #[allow(unsafe_code)]
    pub(super) fn as_pairs(&mut self) -> Pairs<'_> {
        // SAFETY: a `Pair` is integers without padding, so any bits are one.
        let (_, pairs, _) = unsafe { self.memory.align_to_mut() };
        let pairs = &mut pairs[..1 << self.bits];
        Pairs { lines: pairs, bits: self.bits, count: &mut self.count, rows: &mut self.rows }
    }

    /// Makes room for a chunk of pieces more, and leaves a quarter of the places free.
    #[inline]
    pub(super) fn reserve(&mut self) {
        if self.count + Ends::MOST > 3 << (self.bits - 1)
            || self.rows.len() + Ends::MOST > Self::MOST_ROWS
        {
            self.grow();
        }
    }

    /// Twice the lines, or none of the pieces.
    #[cold]
    fn grow(&mut self) {
        if self.bits == Self::MOST_BITS || self.rows.len() + Ends::MOST > Self::MOST_ROWS {
            *self = Self::new(Self::LEAST_BITS);
            return;
        }
        let mut larger = Self::new(self.bits + 1);
        let mut pairs = larger.as_pairs();
        for pair in &*self.as_pairs().lines {
            for (&key, &ids) in pair.keys.iter().zip(&pair.ids).filter(|(&key, _)| key != 0) {
                pairs.insert_packed(key, ids);
            }
        }
        larger.rows = std::mem::take(&mut self.rows);
        *self = larger;
    }
}

/// The lines of `ShortPieces`.
pub(super) struct Pairs<'a> {
    pub(super) lines: &'a mut [Pair],
    bits: u32,
    count: &'a mut usize,
    rows: &'a mut Vec<Row>,
}

impl Pairs<'_> {
    #[inline(always)]
    pub(super) fn home(&self, key: u128) -> usize {
        key::place(key, self.bits) & (self.lines.len() - 1)
    }

    /// Puts the ids of the pieces with *keys* into *ids*, which has `ROOM` for each, up to the first
    /// that is not at home. Says how many pieces, and how many ids.
    #[inline(never)]
    pub(super) fn find_many(
        &self,
        keys: &[u128],
        homes: &[u32],
        ids: &mut [u32],
    ) -> (usize, usize) {
        let mut count = 0;
        for (done, (&key, &home)) in keys.iter().zip(homes).enumerate() {
            let pair = &self.lines[home as usize];
            // Which of the two it is would be guessed wrong half the time: no branch.
            let place = usize::from(pair.keys[1] == key);
            if pair.keys[place] != key {
                return (done, count);
            }
            count += unpack(&pair.ids[place], self.rows, &mut ids[count..]);
        }
        (keys.len(), count)
    }

    /// Puts the ids of the piece with *key* into *ids*, which has `ROOM` for them, if it is there,
    /// and says how many; from then on it is at home.
    #[inline(never)]
    pub(super) fn find(&mut self, key: u128, ids: &mut [u32]) -> Option<usize> {
        let home = self.home(key);
        for line in self.lines_from(home) {
            let pair = &mut self.lines[line];
            if let Some(place) = pair.keys.iter().position(|&other| other == key) {
                let found = pair.ids[place];
                if line != home {
                    // The one that gives way stays in the row of full lines that began at its home.
                    let Pair { keys, ids } = &mut self.lines[home];
                    let other = (keys[1], ids[1]);
                    (keys[1], ids[1]) = (key, found);
                    let pair = &mut self.lines[line];
                    (pair.keys[place], pair.ids[place]) = other;
                }
                return Some(unpack(&found, self.rows, ids));
            }
            if pair.keys[1] == 0 {
                return None;
            }
        }
        None
    }

    /// Where a piece may be whose home is *home*.
    fn lines_from(&self, home: usize) -> impl Iterator<Item = usize> {
        let mask = self.lines.len() - 1;
        (home..home + ShortPieces::FARTHEST).map(move |line| line & mask)
    }

    /// Keeps the *ids* of the piece with *key*, if there is room near its home.
    #[inline(never)]
    pub(super) fn insert(&mut self, key: u128, ids: &[u32]) {
        let packed = pack(ids, self.rows);
        self.insert_packed(key, packed);
    }

    fn insert_packed(&mut self, key: u128, ids: Packed) {
        let free = |line: &usize| self.lines[*line].keys[1] == 0;
        let Some(line) = self.lines_from(self.home(key)).find(free) else { return };
        let pair = &mut self.lines[line];
        let place = usize::from(pair.keys[0] != 0);
        (pair.keys[place], pair.ids[place]) = (key, ids);
        *self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_out_as_it_went_in(
            ids in prop::collection::vec(prop_oneof![0..300_000_u32, any::<u32>()], 1..16),
        ) {
            let (mut rows, mut unpacked) = (vec![Row::default()], Row::default());
            let count = unpack(&pack(&ids, &mut rows), &rows, &mut unpacked);
            prop_assert_eq!(&unpacked[..count], ids);
        }
    }

    #[test]
    fn pieces_are_found_again_while_the_table_grows_and_after_it_began_anew() {
        let mut pieces = ShortPieces::new(ShortPieces::LEAST_BITS);
        let key_of = |number: u32| key::key(&number.to_le_bytes(), 0, 4);
        let ids_of = |number: u32| vec![number; 1 + number as usize % 15];
        let mut found = Row::default();
        for number in 0..3_000_000 {
            pieces.reserve();
            pieces.as_pairs().insert(key_of(number), &ids_of(number));
            for before in [number, number - number.min(500)] {
                let count = pieces.as_pairs().find(key_of(before), &mut found);
                assert!(count.is_some() || before < number, "{before} of {number}");
                assert!(count.is_none_or(|count| found[..count] == ids_of(before)), "{before}");
            }
        }
    }
}
