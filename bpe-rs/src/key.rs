//! Short byte strings as integers, which compare and hash in a few instructions.

/// Length of the longest byte string that has a key.
pub(crate) const MAX_LENGTH: usize = 15;

/// Masks of the first 0 to 15 bytes of a key, by how many bytes they keep.
const FIRST_BYTES: [u128; 16] = {
    let mut masks = [0; 16];
    let mut bytes = 1;
    while bytes < 16 {
        masks[bytes] = (1 << (8 * bytes)) - 1;
        bytes += 1;
    }
    masks
};

/// The sixteen bytes of *text* from *at* on, padded with zeros past its end.
#[inline(always)]
pub(crate) fn sixteen_bytes(text: &[u8], at: usize) -> u128 {
    if let Some(bytes) = text.get(at..at + 16) {
        return u128::from_le_bytes(bytes.try_into().expect("sixteen bytes"));
    }
    let mut bytes = [0; 16];
    let rest = &text[at..];
    bytes[..rest.len()].copy_from_slice(rest);
    u128::from_le_bytes(bytes)
}

/// The key of the *length* bytes of *text* from *at* on: these bytes, zeros, and the length in the
/// last byte. *length* is at most `MAX_LENGTH`. A key is 0 only if *length* is 0.
#[inline(always)]
pub(crate) fn key(text: &[u8], at: usize, length: usize) -> u128 {
    sixteen_bytes(text, at) & FIRST_BYTES[length % 16] | (length as u128) << 120
}

/// A hash of *key*, best in its upper bits.
#[inline(always)]
pub(crate) fn hash(key: u128) -> u64 {
    // Multiplication carries every bit of a half upward. The odd constants are from the golden
    // ratio and from pi.
    let low = (key as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let high = ((key >> 64) as u64).wrapping_mul(0x2436_A88A_85A3_08D3);
    low ^ high
}

/// The bucket of *key* among 2 to the *bits* buckets.
#[inline(always)]
pub(crate) fn bucket(key: u128, bits: u32) -> usize {
    (hash(key) >> (64 - bits)) as usize
}
