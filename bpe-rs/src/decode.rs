//! Ids to bytes. Twin of `pytok/reference/decode.py`.

use crate::{Core, Error};

/// Returns the bytes of *ids*, concatenated; not necessarily UTF-8.
///
/// # Errors
/// When *core* does not have one of the ids.
///
/// ```
/// use pytok_bpe::{decode, Core, BYTE_ORDER};
///
/// let core = Core::new(BYTE_ORDER.map(|byte| [byte]), None, "gpt2", vec![("<|end|>".into(), 256)])?;
/// assert_eq!(decode(&core, &[71, 72, 256])?, b"hi<|end|>");
/// # Ok::<(), pytok_bpe::Error>(())
/// ```
pub fn decode(core: &Core, ids: &[u32]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(ids.len() * 5 + 16);
    for &id in ids {
        if let Some((sixteen, length)) = core.token_in_sixteen(id) {
            // Copying a fixed number of bytes costs less than copying the exact length.
            let end = bytes.len() + length;
            bytes.extend_from_slice(sixteen);
            bytes.truncate(end);
        } else {
            bytes.extend_from_slice(core.token(id).ok_or(Error::UnknownId { id })?);
        }
    }
    Ok(bytes)
}
