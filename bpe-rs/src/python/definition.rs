//! `pytok.definition.Definition` for the crate.

use std::collections::HashMap;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use super::convert::ids_of;
use super::files::PyTokens;
use crate::{AddedToken, Core, Error, Normalizer, Parts, Pattern, Split, Unknown, Vocab};

/// The tokens of a definition: those that this crate has read from a file, or any others.
#[derive(FromPyObject)]
enum Tokens {
    Read(Py<PyTokens>),
    Listed(Vec<PyBackedBytes>),
}

impl Tokens {
    fn vocab(self) -> Result<Arc<Vocab>, Error> {
        match self {
            Self::Read(tokens) => Ok(Arc::clone(&tokens.get().0)),
            Self::Listed(tokens) => Vocab::new(tokens).map(Arc::new),
        }
    }
}

/// `pytok.definition.Definition`, as far as the core needs it.
#[derive(FromPyObject)]
pub(super) struct Definition {
    tokens: Tokens,
    #[pyo3(from_py_with = ids_of)]
    ids: Vec<u32>,
    pattern: String,
    added_tokens: Vec<(String, u32, bool, bool, bool, bool, bool)>,
    splits: Vec<(String, String, bool, bool)>,
    normalizer: Vec<Vec<String>>,
    prefix_space: bool,
    end_of_word_suffix: String,
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
        let split = |(pattern, behavior, invert, letters): &(String, String, bool, bool)| {
            Split::new(pattern, behavior, *invert, *letters)
        };
        let mut decode_only: Vec<_> = self.decode_only.into_iter().collect();
        decode_only.sort_unstable();
        let parts = Parts {
            added_tokens: self.added_tokens.into_iter().map(added).collect(),
            splits: self.splits.iter().map(split).collect::<Result<_, _>>()?,
            normalizer: Normalizer::new(&self.normalizer)?,
            prefix_space: self.prefix_space,
            end_of_word_suffix: self.end_of_word_suffix,
            decode_only,
            unknown: self.unknown.map(|(id, fuse)| Unknown { id, fuse }),
        };
        let are_ranks = self.ids.iter().zip(0..).all(|(&id, rank)| id == rank);
        let vocab = self.tokens.vocab()?;
        let ids = (!are_ranks || self.ids.len() != vocab.len()).then_some(self.ids);
        Core::with_parts(vocab, ids, Pattern::new(&self.pattern)?, parts)
    }
}
