//! Consecutive pieces, by their ends.

use super::block::WIDTH;

/// Ends of consecutive pieces, as byte offsets into the text.
pub(crate) struct Ends {
    pub(super) offsets: [usize; Self::CAPACITY],
    pub(super) count: usize,
}

impl Ends {
    /// Once there are this many, no further window is scanned.
    pub(crate) const ENOUGH: usize = 64;
    /// The capacity: one window more than `ENOUGH`.
    pub(crate) const CAPACITY: usize = Self::ENOUGH + WIDTH;

    pub(crate) fn new() -> Self {
        Self { offsets: [0; Self::CAPACITY], count: 0 }
    }

    pub(crate) fn clear(&mut self) {
        self.count = 0;
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, end: usize) {
        self.offsets[self.count] = end;
        self.count += 1;
    }

    /// Adds *at* plus the index of each set bit.
    #[inline(always)]
    pub(super) fn push_all(&mut self, at: usize, mut bits: u64) {
        let free = &mut self.offsets[self.count..self.count + WIDTH];
        self.count += bits.count_ones() as usize;
        for eight in free.as_chunks_mut::<8>().0 {
            // Offsets past the last bit are overwritten by the next window. PERF: eight without a
            // branch between them are faster than the exact number.
            for offset in eight {
                *offset = at + bits.trailing_zeros() as usize;
                bits &= bits.wrapping_sub(1);
            }
            if bits == 0 {
                break;
            }
        }
    }

    pub(crate) fn as_slice(&self) -> &[usize] {
        &self.offsets[..self.count]
    }
}
