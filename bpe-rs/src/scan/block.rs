//! The ASCII classes of 64 bytes of text at a time, as one word of 64 bits per class.
//!
//! All bytes are classified at once, with the widest instructions that the processor has.

/// How many bytes are classified together.
pub(super) const WIDTH: usize = 64;

/// The ASCII classes of 64 bytes; the lowest bit is the first byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ascii {
    pub letter: u64,
    pub upper: u64,
    pub digit: u64,
    pub white: u64,
    pub space: u64,
    pub newline: u64,
    pub apostrophe: u64,
    pub slash: u64,
    /// Bytes of characters beyond ASCII.
    pub beyond: u64,
    /// Bytes of such characters other than the first.
    pub rest: u64,
}

impl Ascii {
    /// The classes without the first *count* bytes.
    #[inline(always)]
    pub(super) fn skip(self, count: usize) -> Self {
        Self {
            letter: self.letter >> count,
            upper: self.upper >> count,
            digit: self.digit >> count,
            white: self.white >> count,
            space: self.space >> count,
            newline: self.newline >> count,
            apostrophe: self.apostrophe >> count,
            slash: self.slash >> count,
            beyond: self.beyond >> count,
            rest: self.rest >> count,
        }
    }
}

/// For any processor: eight bytes to a word.
pub(super) fn portable(bytes: &[u8; WIDTH]) -> Ascii {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES * 128;
    // For each byte of a word without high bits: whether it is from `low` to `high`.
    let within = |word: u64, low: u8, high: u8| {
        let at_least = word + ONES * u64::from(128 - low);
        let beyond = word + ONES * u64::from(127 - high);
        at_least & !beyond & HIGH
    };
    // Gathers the high bits of the eight bytes in one byte.
    let gather = |bits: u64| (bits >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    let mut found = Ascii::default();
    for (index, bytes) in bytes.as_chunks::<8>().0.iter().enumerate() {
        let word = u64::from_le_bytes(*bytes);
        let beyond = word & HIGH;
        let word = word & !HIGH;
        let put = |bits: u64| gather(bits & !beyond) << (8 * index);
        let upper = within(word, b'A', b'Z');
        let newline = within(word, b'\n', b'\n') | within(word, b'\r', b'\r');
        let space = within(word, b' ', b' ');
        found.letter |= put(upper | within(word, b'a', b'z'));
        found.upper |= put(upper);
        found.digit |= put(within(word, b'0', b'9'));
        found.white |= put(space | within(word, b'\t', b'\r'));
        found.space |= put(space);
        found.newline |= put(newline);
        found.apostrophe |= put(within(word, b'\'', b'\''));
        found.slash |= put(within(word, b'/', b'/'));
        found.beyond |= gather(beyond) << (8 * index);
        found.rest |= gather(beyond & !(word << 1)) << (8 * index);
    }
    found
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, clippy::cast_sign_loss, clippy::wildcard_imports)]
mod x86 {
    use super::{Ascii, WIDTH};
    use std::arch::x86_64::*;
    use std::mem::transmute;

    /// The indices of the set bits of *bits*, in order, then zeros.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
    #[inline]
    pub(in super::super) fn indices(bits: u64) -> [u8; WIDTH] {
        const ALL: [u8; WIDTH] = {
            let mut indices = [0; WIDTH];
            let mut index = 0;
            while index < WIDTH {
                indices[index] = index as u8;
                index += 1;
            }
            indices
        };
        // SAFETY: both types have 64 bytes, and every bit pattern is a valid byte.
        unsafe { transmute(_mm512_maskz_compress_epi8(bits, transmute::<[u8; 64], __m512i>(ALL))) }
    }

    /// Widens eight numbers of one byte each, and adds *base* to each.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(in super::super) fn widen(bytes: [u8; 8], base: usize) -> [u64; 8] {
        let numbers = _mm512_cvtepu8_epi64(_mm_cvtsi64_si128(i64::from_le_bytes(bytes)));
        // SAFETY: both types have 64 bytes, and every bit pattern is a valid integer.
        unsafe { transmute(_mm512_add_epi64(numbers, _mm512_set1_epi64(base as i64))) }
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub(in super::super) fn avx512(bytes: &[u8; WIDTH]) -> Ascii {
        // SAFETY: an unaligned load of the 64 bytes of the array.
        let bytes = unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
        let is = |byte: u8| _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(byte as i8));
        let within = |bytes: __m512i, low: u8, high: u8| {
            let above = _mm512_sub_epi8(bytes, _mm512_set1_epi8(low as i8));
            _mm512_cmple_epu8_mask(above, _mm512_set1_epi8((high - low) as i8))
        };
        let lowered = _mm512_or_si512(bytes, _mm512_set1_epi8(0x20));
        let space = is(b' ');
        Ascii {
            letter: within(lowered, b'a', b'z'),
            upper: within(bytes, b'A', b'Z'),
            digit: within(bytes, b'0', b'9'),
            white: space | within(bytes, b'\t', b'\r'),
            space,
            newline: is(b'\n') | is(b'\r'),
            apostrophe: is(b'\''),
            slash: is(b'/'),
            beyond: _mm512_movepi8_mask(bytes),
            // 0x80 to 0xBF: the lowest as signed integers.
            rest: _mm512_cmplt_epi8_mask(bytes, _mm512_set1_epi8(0xC0_u8 as i8)),
        }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn mask(halves: [__m256i; 2], test: impl Fn(__m256i) -> __m256i) -> u64 {
        let bits = |half: __m256i| u64::from(_mm256_movemask_epi8(test(half)) as u32);
        bits(halves[0]) | bits(halves[1]) << 32
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(in super::super) fn avx2(bytes: &[u8; WIDTH]) -> Ascii {
        let (low, high) = bytes.split_at(32);
        // SAFETY: unaligned loads of the 32 bytes of each half.
        let halves = unsafe {
            [_mm256_loadu_si256(low.as_ptr().cast()), _mm256_loadu_si256(high.as_ptr().cast())]
        };
        let is =
            |byte: u8| mask(halves, |half| _mm256_cmpeq_epi8(half, _mm256_set1_epi8(byte as i8)));
        let between = |half: __m256i, low: u8, high: u8| {
            let above = _mm256_sub_epi8(half, _mm256_set1_epi8(low as i8));
            // AVX2 has no unsigned comparison: a saturating subtraction of the width leaves 0 for
            // all bytes in the range.
            let excess = _mm256_subs_epu8(above, _mm256_set1_epi8((high - low) as i8));
            _mm256_cmpeq_epi8(excess, _mm256_setzero_si256())
        };
        let within = |low: u8, high: u8| mask(halves, |half| between(half, low, high));
        let lowered = |half: __m256i| _mm256_or_si256(half, _mm256_set1_epi8(0x20));
        let space = is(b' ');
        Ascii {
            letter: mask(halves, |half| between(lowered(half), b'a', b'z')),
            upper: within(b'A', b'Z'),
            digit: within(b'0', b'9'),
            white: space | within(b'\t', b'\r'),
            space,
            newline: is(b'\n') | is(b'\r'),
            apostrophe: is(b'\''),
            slash: is(b'/'),
            beyond: mask(halves, |half| half),
            // 0x80 to 0xBF: the lowest as signed integers.
            rest: mask(halves, |half| _mm256_cmpgt_epi8(_mm256_set1_epi8(0xC0_u8 as i8), half)),
        }
    }
}
#[cfg(target_arch = "x86_64")]
pub(super) use x86::{avx2, avx512, indices, widen};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one_by_one(bytes: &[u8; WIDTH]) -> Ascii {
        let mut found = Ascii::default();
        for (index, &byte) in bytes.iter().enumerate() {
            let bit = |is: bool| u64::from(is) << index;
            found.letter |= bit(byte.is_ascii_alphabetic());
            found.upper |= bit(byte.is_ascii_uppercase());
            found.digit |= bit(byte.is_ascii_digit());
            found.white |= bit(matches!(byte, b' ' | 9..=13));
            found.space |= bit(byte == b' ');
            found.newline |= bit(matches!(byte, b'\r' | b'\n'));
            found.apostrophe |= bit(byte == b'\'');
            found.slash |= bit(byte == b'/');
            found.beyond |= bit(!byte.is_ascii());
            found.rest |= bit((0x80..0xC0).contains(&byte));
        }
        found
    }

    #[allow(unsafe_code)]
    fn with_all_instructions(bytes: &[u8; WIDTH]) -> Vec<Ascii> {
        let mut all = vec![portable(bytes)];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the processor supports it.
                all.push(unsafe { avx2(bytes) });
            }
            if is_x86_feature_detected!("avx512bw") {
                // SAFETY: the processor supports it.
                all.push(unsafe { avx512(bytes) });
            }
        }
        all
    }

    #[test]
    fn every_byte_at_every_index_has_the_same_classes_with_all_instructions() {
        for byte in 0..=255 {
            for index in 0..WIDTH {
                let mut bytes = [b'a'; WIDTH];
                bytes[index] = byte;
                for found in with_all_instructions(&bytes) {
                    assert_eq!(found, one_by_one(&bytes), "{byte:#x} at {index}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_have_the_same_classes_with_all_instructions(
            bytes in prop::collection::vec(any::<u8>(), WIDTH),
        ) {
            let bytes = bytes.try_into().unwrap();
            for found in with_all_instructions(&bytes) {
                prop_assert_eq!(found, one_by_one(&bytes));
            }
        }
    }
}
