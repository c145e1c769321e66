//! Memory for texts that cannot be cut: one that is missing is an error.
//!
//! Where an allocation fails, Rust ends the process. Most memory is for a bounded part of a text;
//! that of a piece grows with the piece, which can be a whole file. Such memory is requested
//! before work on a long piece begins, or by functions that can fail.

use crate::Error;

/// Pieces of fewer bytes, 2 MiB, are not checked: their memory is bounded already.
pub(crate) const LONG: usize = 1 << 21;

/// Bytes for each byte of a piece that merging takes at most, measured: offsets, candidates of all
/// ranks, and the ids.
pub(crate) const MERGING: usize = 20;

/// Bytes for each byte of a piece that merging takes if the range of each id is asked for.
pub(crate) const ALIGNING: usize = MERGING + 60;

/// Bytes for each byte of a piece that training takes at most, measured.
pub(crate) const TRAINING: usize = 24;

/// Bytes for each id of a list of Python: the pointer, and an integer of its own.
#[cfg(feature = "python")]
pub(crate) const LISTING: usize = 40;

/// Bytes for each byte of a text that its normalization takes: the result, and half of it while
/// it grows.
pub(crate) const NORMALIZING: usize = 3;

/// Returns an error if *length*, of a piece or a text, is long and there is no memory for *times*
/// as many bytes.
///
/// The memory is returned at once: other threads can take it, so this is no guarantee.
pub(crate) fn check(length: usize, times: usize) -> Result<(), Error> {
    if length < LONG {
        return Ok(());
    }
    with_capacity::<u8>(length.saturating_mul(times)).map(drop)
}

/// `Vec::with_capacity` that can fail.
pub(crate) fn with_capacity<T>(capacity: usize) -> Result<Vec<T>, Error> {
    let mut vector = Vec::new();
    vector.try_reserve_exact(capacity).map_err(|_| Error::OutOfMemory)?;
    Ok(vector)
}

/// `Vec::extend_from_slice` that can fail.
pub(crate) fn extend(vector: &mut Vec<u8>, more: &[u8]) -> Result<(), Error> {
    vector.try_reserve(more.len()).map_err(|_| Error::OutOfMemory)?;
    vector.extend_from_slice(more);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_does_not_exist_is_an_error() {
        assert_eq!(check(LONG, usize::MAX), Err(Error::OutOfMemory));
        assert_eq!(with_capacity::<u64>(usize::MAX / 16), Err(Error::OutOfMemory));
    }

    #[test]
    fn a_short_piece_is_not_checked() {
        assert_eq!(check(LONG - 1, usize::MAX), Ok(()));
    }
}
