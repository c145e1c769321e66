//! The core of a tokenizer: a vocabulary, a pattern, special tokens, and their ids.
//!
//! A core is immutable, so one core serves any number of threads. Twin of
//! `pytok/reference/core.py`.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::cache::PieceCache;
use crate::vocab::{Rank, Vocab};
use crate::{encode_piece, Error, Pattern, Search};

/// A vocabulary, a pattern and special tokens, with the ids that the tokens have outside of the
/// crate.
#[derive(Debug)]
pub struct Core {
    vocab: Vocab,
    pub(crate) pattern: Pattern,
    /// The id of each rank, if ids are not the ranks themselves.
    ids: Option<Vec<u32>>,
    /// The rank of each id, if ids are not the ranks themselves.
    ranks: FxHashMap<u32, Rank>,
    specials: Vec<(String, u32)>,
    special_of_id: FxHashMap<u32, usize>,
    /// Caches that no thread is using.
    caches: Mutex<Vec<PieceCache>>,
}

/// The special tokens that are recognized in a text; all others are ordinary text.
#[derive(Debug)]
pub struct Allowed {
    search: Search,
    pub(crate) ids: Vec<u32>,
}

impl Core {
    /// Builds a core. *tokens* are in rank order; *ids* are the ids of the ranks, or the ranks
    /// themselves if `None`; *specials* are the texts of special tokens and their ids. Two special
    /// tokens can have the same id, as in `o200k_harmony`; the id decodes to the first.
    ///
    /// # Errors
    /// When the tokens do not form a vocabulary, the pattern does not compile, two ids are the
    /// same, or a special token is empty.
    pub fn new<T: AsRef<[u8]>>(
        tokens: impl IntoIterator<Item = T>,
        ids: Option<Vec<u32>>,
        pattern: &str,
        specials: Vec<(String, u32)>,
    ) -> Result<Self, Error> {
        let vocab = Vocab::new(tokens)?;
        let pattern = Pattern::new(pattern)?;
        let mut ranks = FxHashMap::default();
        if let Some(ids) = &ids {
            if ids.len() != vocab.len() {
                return Err(Error::IdCount { tokens: vocab.len(), ids: ids.len() });
            }
            for (rank, &id) in ids.iter().enumerate() {
                if ranks.insert(id, rank as Rank).is_some() {
                    return Err(Error::DuplicateId { id });
                }
            }
        }
        let mut core = Self {
            vocab,
            pattern,
            ids,
            ranks,
            specials,
            special_of_id: FxHashMap::default(),
            caches: Mutex::default(),
        };
        for (index, (text, id)) in core.specials.iter().enumerate() {
            if text.is_empty() {
                return Err(Error::EmptySpecial);
            }
            if core.rank(*id).is_some() {
                return Err(Error::DuplicateId { id: *id });
            }
            core.special_of_id.entry(*id).or_insert(index);
        }
        Ok(core)
    }

    /// Returns the vocabulary, without the special tokens.
    #[must_use]
    pub fn vocab(&self) -> &Vocab {
        &self.vocab
    }

    /// Returns the pattern that splits text into pieces.
    #[must_use]
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Returns the largest id, ordinary or special.
    #[must_use]
    pub fn max_id(&self) -> u32 {
        let ordinary = match &self.ids {
            Some(ids) => ids.iter().copied().max().unwrap_or(0),
            None => self.vocab.len() as u32 - 1,
        };
        self.specials.iter().fold(ordinary, |max, &(_, id)| max.max(id))
    }

    /// Returns the bytes of *id*, ordinary or special.
    #[must_use]
    pub fn token(&self, id: u32) -> Option<&[u8]> {
        match self.rank(id) {
            Some(rank) => self.vocab.token(rank),
            None => self.special_of_id.get(&id).map(|&index| self.specials[index].0.as_bytes()),
        }
    }

    /// The token of *id* if it is ordinary and has at most sixteen bytes: sixteen bytes from its
    /// start, and the length of the token.
    #[inline]
    pub(crate) fn token_in_sixteen(&self, id: u32) -> Option<(&[u8; 16], usize)> {
        self.vocab.token_in_sixteen(self.rank(id)?)
    }

    /// Returns the id of *token*; ordinary tokens come before special ones.
    #[must_use]
    pub fn id(&self, token: &[u8]) -> Option<u32> {
        let special = || self.specials.iter().find(|(text, _)| text.as_bytes() == token);
        self.vocab
            .rank(token)
            .map(|rank| self.id_of_rank(rank))
            .or_else(|| special().map(|&(_, id)| id))
    }

    /// Prepares the search for the special tokens in *names*; names that are not special tokens of
    /// this core are ignored.
    ///
    /// # Panics
    /// When their texts exceed 2 GiB in total.
    #[must_use]
    pub fn allow<S: AsRef<str>>(&self, names: &[S]) -> Allowed {
        let names: FxHashSet<&str> = names.iter().map(AsRef::as_ref).collect();
        let (texts, ids): (Vec<&str>, Vec<u32>) = self
            .specials
            .iter()
            .filter(|(text, _)| names.contains(text.as_str()))
            .map(|(text, id)| (text.as_str(), *id))
            .unzip();
        Allowed { search: Search::new(&texts), ids }
    }

    /// Calls *sink* with the ids of *text*, those of about a hundred pieces at a time. Special
    /// tokens in *allowed* are found first, the leftmost and longest; the text between them is
    /// split by the pattern.
    ///
    /// # Errors
    /// When the pattern fails on the text, and any error of *sink*.
    pub fn encode_each(
        &self,
        text: &str,
        allowed: Option<&Allowed>,
        mut sink: impl FnMut(&[u32]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let lock = || self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cache = lock().pop().unwrap_or_else(PieceCache::new);
        let mut start = 0;
        let mut encode = || {
            for (which, Allowed { ids, .. }, found) in specials(allowed, text) {
                self.encode_span(text, start..found.start, &mut cache, &mut sink)?;
                sink(&[ids[which]])?;
                start = found.end;
            }
            self.encode_span(text, start..text.len(), &mut cache, &mut sink)
        };
        let result = encode();
        lock().push(cache);
        result
    }

    fn encode_span(
        &self,
        text: &str,
        span: Range<usize>,
        cache: &mut PieceCache,
        sink: &mut impl FnMut(&[u32]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (first, text) = (span.start, &text[span]);
        let mut start = 0;
        while start < text.len() {
            self.pattern
                .fill(text, start, &mut cache.ends)
                .map_err(|error| error.moved_by(first))?;
            let encode = |piece: &[u8], ids: &mut Vec<u32>| self.encode_piece(piece, ids);
            cache.encode(text, start, encode, &mut *sink)?;
            start = cache.ends.as_slice().last().copied().unwrap_or(text.len());
        }
        Ok(())
    }

    /// Returns the ids of *text*. Special tokens in *allowed* are encoded as their ids, all others
    /// as text.
    ///
    /// # Errors
    /// When the pattern fails on the text.
    ///
    /// ```
    /// use pytok_bpe::{Core, BYTE_ORDER};
    ///
    /// let core = Core::new(BYTE_ORDER.map(|byte| [byte]), None, "gpt2", vec![("<|end|>".into(), 256)])?;
    /// assert_eq!(core.encode("hi<|end|>", Some(&core.allow(&["<|end|>"])))?, [71, 72, 256]);
    /// assert_eq!(core.encode("hi<|end|>", None)?.len(), 9);
    /// # Ok::<(), pytok_bpe::Error>(())
    /// ```
    pub fn encode(&self, text: &str, allowed: Option<&Allowed>) -> Result<Vec<u32>, Error> {
        let mut all = Vec::with_capacity(text.len() / 3);
        self.encode_each(text, allowed, |ids| {
            all.extend_from_slice(ids);
            Ok(())
        })?;
        Ok(all)
    }

    /// Appends the ids of *piece*, which is not split, to *ids*.
    pub fn encode_piece(&self, piece: &[u8], ids: &mut Vec<u32>) {
        let from = ids.len();
        encode_piece(&self.vocab, piece, ids);
        if let Some(id_of_rank) = &self.ids {
            for id in &mut ids[from..] {
                *id = id_of_rank[*id as usize];
            }
        }
    }

    fn id_of_rank(&self, rank: Rank) -> u32 {
        self.ids.as_ref().map_or(rank, |ids| ids[rank as usize])
    }

    fn rank(&self, id: u32) -> Option<Rank> {
        match &self.ids {
            None => ((id as usize) < self.vocab.len()).then_some(id),
            Some(_) => self.ranks.get(&id).copied(),
        }
    }
}

/// The occurrences in *text* of the special tokens in *allowed*: index in *allowed*, and range.
pub(crate) fn specials<'a>(
    allowed: Option<&'a Allowed>,
    text: &'a str,
) -> impl Iterator<Item = (usize, &'a Allowed, Range<usize>)> + 'a {
    allowed.into_iter().flat_map(move |allowed| {
        allowed.search.find_all(text).map(move |(which, found)| (which, allowed, found))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BYTE_ORDER;

    fn core(ids: Option<Vec<u32>>, specials: &[(&str, u32)]) -> Result<Core, Error> {
        let specials = specials.iter().map(|&(text, id)| (text.to_owned(), id)).collect();
        Core::new(BYTE_ORDER.map(|byte| [byte]), ids, "gpt2", specials)
    }

    #[test]
    fn of_two_special_tokens_at_one_start_the_longer_is_found() {
        let core = core(None, &[("<a>", 256), ("<a>b", 257)]).unwrap();

        let allowed = core.allow(&["<a>", "<a>b"]);

        assert_eq!(core.encode("<a>b<a>", Some(&allowed)).unwrap(), [257, 256]);
    }

    #[test]
    fn a_special_token_that_is_not_allowed_is_text() {
        let core = core(None, &[("<a>", 256), ("a", 257)]).unwrap();

        let ids = core.encode("<a>", Some(&core.allow(&["a"]))).unwrap();

        assert_eq!(ids, [27, 257, 29]);
    }

    #[test]
    fn ids_need_not_be_ranks() {
        let core = core(Some((1000..1256).collect()), &[]).unwrap();

        assert_eq!(core.encode("!", None).unwrap(), [1000]);
        assert_eq!(core.token(1000), Some(&b"!"[..]));
        assert_eq!(core.token(0), None);
    }

    #[test]
    fn a_special_token_with_the_id_of_a_token_is_rejected() {
        assert_eq!(core(None, &[("<a>", 7)]).unwrap_err(), Error::DuplicateId { id: 7 });
    }

    #[test]
    fn of_two_special_tokens_with_one_id_the_first_is_decoded() {
        let core = core(None, &[("<a>", 256), ("<b>", 256)]).unwrap();

        assert_eq!(core.encode("<b>", Some(&core.allow(&["<a>", "<b>"]))).unwrap(), [256]);
        assert_eq!(core.token(256), Some(&b"<a>"[..]));
    }

    #[test]
    fn an_empty_special_token_is_rejected() {
        assert_eq!(core(None, &[("", 256)]).unwrap_err(), Error::EmptySpecial);
    }
}
