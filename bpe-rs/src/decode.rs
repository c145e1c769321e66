//! Ids to bytes. Twin of `pytok/reference/decode.py`.

use crate::{Core, Error};

/// What *ids* spell, end to end; not necessarily UTF-8.
///
/// # Errors
/// When *core* has no such id.
///
/// ```
/// use pytok_bpe::{decode, Core, BYTE_ORDER};
///
/// let core = Core::new(BYTE_ORDER.map(|byte| [byte]), None, "gpt2", vec![("<|end|>".into(), 256)])?;
/// assert_eq!(decode(&core, &[71, 72, 256])?, b"hi<|end|>");
/// # Ok::<(), pytok_bpe::Error>(())
/// ```
pub fn decode(core: &Core, ids: &[u32]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(ids.len() * 4);
    for &id in ids {
        bytes.extend_from_slice(core.token(id).ok_or(Error::UnknownId { id })?);
    }
    Ok(bytes)
}
