//! The class of each byte of a window, characters beyond ASCII included, and arithmetic on the
//! masks.

use super::block::{Ascii, WIDTH};
use super::classes::{class_number, decode, length_of};

/// The classes of up to 64 bytes, characters beyond ASCII included: each byte has the class of its
/// character. The window starts at the start of a character; bits past `valid` are zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub letter: u64,
    pub upper: u64,
    pub lower: u64,
    pub mark: u64,
    pub number: u64,
    pub white: u64,
    pub space: u64,
    pub newline: u64,
    pub apostrophe: u64,
    pub slash: u64,
    pub other: u64,
    /// The first bytes of characters.
    pub lead: u64,
    /// The bytes of the text whose characters lie completely in the window.
    pub valid: u64,
}

/// All bits below *count*, which is at most 64.
#[inline(always)]
pub(super) fn below(count: usize) -> u64 {
    if count < WIDTH {
        (1 << count) - 1
    } else {
        u64::MAX
    }
}

impl Window {
    /// The window of *ascii*, where all bytes that are *valid* are ASCII.
    #[inline(always)]
    pub(super) fn of_ascii(ascii: Ascii, valid: u64) -> Self {
        Self {
            letter: ascii.letter,
            upper: ascii.upper,
            lower: ascii.letter & !ascii.upper,
            mark: 0,
            number: ascii.digit,
            white: ascii.white,
            space: ascii.space,
            newline: ascii.newline,
            apostrophe: ascii.apostrophe,
            slash: ascii.slash,
            other: valid & !(ascii.letter | ascii.digit | ascii.white),
            lead: valid,
            valid,
        }
    }

    /// The window of *text* from *at* on, whose ASCII bytes are in *ascii* and which has others.
    #[inline(always)]
    pub(super) fn of_text(ascii: Ascii, text: &[u8], at: usize) -> Self {
        let all = below((text.len() - at).min(WIDTH));
        let known = Self::of_ascii(ascii, all);
        let mut valid = all;
        let mut leads = ascii.beyond & !ascii.rest;
        // The end of the window may cut the last character; the end of the text cuts none.
        let last = 63 - leads.leading_zeros() as usize;
        if last + length_of(text[at + last]) > valid.count_ones() as usize {
            valid = below(last);
            leads &= valid;
        }
        // One word for each of the three bits of a class number: setting them takes no branch on
        // the class.
        let mut planes = [0; 3];
        while leads != 0 {
            let index = leads.trailing_zeros() as usize;
            leads &= leads - 1;
            let (point, length) = decode(text, at + index);
            let bytes = below(length) << index;
            let class = class_number(point) as u64;
            for (bit, plane) in planes.iter_mut().enumerate() {
                *plane |= bytes & (class >> bit & 1).wrapping_neg();
            }
        }
        let [one, two, four] = planes;
        // The class numbers in binary; 0 is `Other`, and 7 is no class.
        let upper = one & !two & !four;
        let lower = !one & two & !four;
        let caseless = one & two;
        let mark = !one & !two & four;
        let number = one & four;
        let white = two & four;
        let letter = upper | lower | caseless;
        Self {
            letter: (known.letter | letter) & valid,
            upper: (known.upper | upper) & valid,
            lower: (known.lower | lower) & valid,
            mark,
            number: (known.number | number) & valid,
            white: (known.white | white) & valid,
            space: known.space & valid,
            newline: known.newline & valid,
            apostrophe: known.apostrophe & valid,
            slash: known.slash & valid,
            other: known.other & !(letter | mark | number | white) & valid,
            lead: valid & !ascii.rest,
            valid,
        }
    }

    /// The first bytes of the runs in *bits*.
    #[inline(always)]
    pub(super) fn first(bits: u64) -> u64 {
        bits & !(bits << 1)
    }

    /// *starts*, each the first byte of a character, extended to all bytes of that character.
    #[inline(always)]
    pub(super) fn whole(&self, starts: u64) -> u64 {
        let rest = self.valid & !self.lead;
        if rest == 0 {
            return starts;
        }
        let two = starts | starts << 1 & rest;
        let three = two | two << 1 & rest;
        three | three << 1 & rest
    }

    /// The first bytes of the characters whose last bytes are *ends*.
    #[inline(always)]
    pub(super) fn leads(&self, ends: u64) -> u64 {
        let mut found = ends & self.lead;
        let mut rest = ends & !self.lead;
        while rest != 0 {
            rest >>= 1;
            found |= rest & self.lead;
            rest &= !self.lead;
        }
        found
    }

    /// The last valid byte of the window.
    #[inline(always)]
    pub(super) fn last(&self) -> u64 {
        self.valid & !(self.valid >> 1)
    }
}

/// The bits of *through* that are in *from* or follow such a bit without a gap.
///
/// This is `MatchStar` of Parabix (Cameron et al., 2014): a carry propagates through a run of ones.
#[inline(always)]
pub(super) fn spread(from: u64, through: u64) -> u64 {
    let carried = (from & through).wrapping_add(through);
    ((carried ^ through) | from) & through
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn spreading_extends_every_bit_through_the_rest_of_its_run(
            from in any::<u64>(), through in any::<u64>(),
        ) {
            let mut expected = 0;
            for index in 0..64 {
                let reached = from >> index & 1 == 1 || (index > 0 && expected >> (index - 1) & 1 == 1);
                expected |= u64::from(reached && through >> index & 1 == 1) << index;
            }
            prop_assert_eq!(spread(from & through, through), expected);
        }
    }
}
