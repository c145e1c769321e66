//! `pytok.definition.Definition` for the crate.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::{AddedToken, Core, Error, Normalizer, Parts, Pattern, Split, Unknown, Vocab};

/// `pytok.definition.Definition`, as far as the core needs it.
#[derive(FromPyObject)]
pub(super) struct Definition {
    tokens: Vec<PyBackedBytes>,
    ids: Vec<u32>,
    pattern: String,
    added_tokens: Vec<(String, u32, bool, bool, bool, bool, bool)>,
    splits: Vec<(String, String, bool)>,
    normalizer: Vec<Vec<String>>,
    prefix_space: bool,
    decode_only: HashMap<u32, Vec<u8>>,
    unknown: Option<(Option<u32>, bool)>,
}

impl Definition {
    /// Builds the core.
    pub(super) fn build(self) -> Result<Core, Error> {
        let added = |(text, id, special, lstrip, rstrip, single_word, normalized)| AddedToken {
            text,
            id,
            special,
            lstrip,
            rstrip,
            single_word,
            normalized,
        };
        let split = |(pattern, behavior, invert): &(String, String, bool)| {
            Split::new(pattern, behavior, *invert)
        };
        let mut decode_only: Vec<_> = self.decode_only.into_iter().collect();
        decode_only.sort_unstable();
        let parts = Parts {
            added_tokens: self.added_tokens.into_iter().map(added).collect(),
            splits: self.splits.iter().map(split).collect::<Result<_, _>>()?,
            normalizer: Normalizer::new(&self.normalizer)?,
            prefix_space: self.prefix_space,
            decode_only,
            unknown: self.unknown.map(|(id, fuse)| Unknown { id, fuse }),
        };
        let are_ranks = self.ids.iter().zip(0..).all(|(&id, rank)| id == rank);
        let ids = (!are_ranks || self.ids.len() != self.tokens.len()).then_some(self.ids);
        Core::with_parts(Vocab::new(self.tokens)?, ids, Pattern::new(&self.pattern)?, parts)
    }
}
