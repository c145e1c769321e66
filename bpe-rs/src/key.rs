//! Short byte strings as integers, to be compared and hashed at once.

/// The longest byte string that has a key.
pub(crate) const MOST: usize = 15;

/// All bits of the first so many bytes.
const FIRST_BYTES: [u128; 16] = {
    let mut masks = [0; 16];
    let mut bytes = 1;
    while bytes < 16 {
        masks[bytes] = (1 << (8 * bytes)) - 1;
        bytes += 1;
    }
    masks
};

/// The sixteen bytes of *text* from *at* on, zeros past its end.
#[inline(always)]
pub(crate) fn sixteen(text: &[u8], at: usize) -> u128 {
    if let Some(bytes) = text.get(at..at + 16) {
        return u128::from_le_bytes(bytes.try_into().expect("sixteen"));
    }
    let mut bytes = [0; 16];
    let rest = &text[at..];
    bytes[..rest.len()].copy_from_slice(rest);
    u128::from_le_bytes(bytes)
}

/// The key of the *length* bytes of *text* from *at* on, at most `MOST`: these bytes, zeros, and
/// in the last byte the length. Never 0 unless *length* is.
#[inline(always)]
pub(crate) fn key(text: &[u8], at: usize, length: usize) -> u128 {
    sixteen(text, at) & FIRST_BYTES[length % 16] | (length as u128) << 120
}

/// A hash of *key*, best in its upper bits.
#[inline(always)]
pub(crate) fn hash(key: u128) -> u64 {
    // Multiplication carries every bit of a half upwards; odd constants from the golden ratio and
    // from pi.
    let low = (key as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let high = ((key >> 64) as u64).wrapping_mul(0x2436_A88A_85A3_08D3);
    low ^ high
}

/// Where *key* belongs among 2 to the *bits* places.
#[inline(always)]
pub(crate) fn place(key: u128, bits: u32) -> usize {
    (hash(key) >> (64 - bits)) as usize
}
