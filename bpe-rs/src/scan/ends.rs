//! Pieces by where they end.

use super::block::WIDTH;

/// Ends of consecutive pieces.
pub(crate) struct Ends {
    pub(super) places: [usize; Self::MOST],
    pub(super) count: usize,
}

impl Ends {
    /// Once there are so many, no further window is looked at.
    pub(crate) const ENOUGH: usize = 64;
    /// How many there can be: those of one window more.
    pub(crate) const MOST: usize = Self::ENOUGH + WIDTH;

    pub(crate) fn new() -> Self {
        Self { places: [0; Self::MOST], count: 0 }
    }

    pub(crate) fn clear(&mut self) {
        self.count = 0;
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, end: usize) {
        self.places[self.count] = end;
        self.count += 1;
    }

    /// Adds *at* plus the place of each of *bits*.
    #[inline(always)]
    pub(super) fn push_all(&mut self, at: usize, mut bits: u64) {
        let room = &mut self.places[self.count..self.count + WIDTH];
        self.count += bits.count_ones() as usize;
        for some in room.as_chunks_mut::<8>().0 {
            // Past the last bit this writes what the next window overwrites: eight without a
            // branch between them are quicker than as many as there are.
            for place in some {
                *place = at + bits.trailing_zeros() as usize;
                bits &= bits.wrapping_sub(1);
            }
            if bits == 0 {
                break;
            }
        }
    }

    pub(crate) fn as_slice(&self) -> &[usize] {
        &self.places[..self.count]
    }
}
