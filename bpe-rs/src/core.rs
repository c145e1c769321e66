//! A tokenizer's core: a vocabulary, a pattern, special tokens, and their ids.
//!
//! All of it is frozen, so one core serves any number of threads. Twin of
//! `pytok/reference/core.py`.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::cache::PieceCache;
use crate::vocab::{Rank, Vocab};
use crate::{encode_piece, Error, Pattern, Search};

/// Vocabulary, pattern and special tokens under their external ids.
#[derive(Debug)]
pub struct Core {
    vocab: Vocab,
    pub(crate) pattern: Pattern,
    /// The id of each rank, where ids are not the ranks themselves.
    ids: Option<Vec<u32>>,
    /// The rank of each id, likewise.
    ranks: FxHashMap<u32, Rank>,
    specials: Vec<(String, u32)>,
    special_of_id: FxHashMap<u32, usize>,
    /// Those that no thread encodes with just now.
    caches: Mutex<Vec<PieceCache>>,
}

/// Which special tokens are recognised in a text; the others are ordinary text in it.
#[derive(Debug)]
pub struct Allowed {
    search: Search,
    pub(crate) ids: Vec<u32>,
}

impl Core {
    /// Assembles a core. *tokens* come in rank order; *ids* gives the id of each rank, the ranks
    /// themselves if `None`; *specials* are texts and their ids. Two special
    /// tokens may have one id, as in `o200k_harmony`; it decodes to the first.
    ///
    /// # Errors
    /// When the tokens make no vocabulary, the pattern does not compile, two ids are the same, or
    /// a special token is empty.
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
        for (place, (text, id)) in core.specials.iter().enumerate() {
            if text.is_empty() {
                return Err(Error::EmptySpecial);
            }
            if core.rank(*id).is_some() {
                return Err(Error::DuplicateId { id: *id });
            }
            core.special_of_id.entry(*id).or_insert(place);
        }
        Ok(core)
    }

    /// The vocabulary, without the special tokens.
    #[must_use]
    pub fn vocab(&self) -> &Vocab {
        &self.vocab
    }

    /// The pattern that splits text into pieces.
    #[must_use]
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// The greatest id, ordinary or special.
    #[must_use]
    pub fn greatest_id(&self) -> u32 {
        let ordinary = match &self.ids {
            Some(ids) => ids.iter().copied().max().unwrap_or(0),
            None => self.vocab.len() as u32 - 1,
        };
        self.specials.iter().fold(ordinary, |greatest, &(_, id)| greatest.max(id))
    }

    /// The bytes of *id*, ordinary or special.
    #[must_use]
    pub fn token(&self, id: u32) -> Option<&[u8]> {
        match self.rank(id) {
            Some(rank) => self.vocab.token(rank),
            None => self.special_of_id.get(&id).map(|&place| self.specials[place].0.as_bytes()),
        }
    }

    /// An ordinary token of at most sixteen bytes, with what lies after it up to sixteen, and how
    /// many are the token's.
    #[inline]
    pub(crate) fn token_in_sixteen(&self, id: u32) -> Option<(&[u8; 16], usize)> {
        self.vocab.token_in_sixteen(self.rank(id)?)
    }

    /// The id that spells *token*, ordinary before special.
    #[must_use]
    pub fn id(&self, token: &[u8]) -> Option<u32> {
        let special = || self.specials.iter().find(|(text, _)| text.as_bytes() == token);
        self.vocab
            .rank(token)
            .map(|rank| self.id_of_rank(rank))
            .or_else(|| special().map(|&(_, id)| id))
    }

    /// Those special tokens of *names* that the core has, ready to be searched for.
    ///
    /// # Panics
    /// When their texts together pass 2 GiB.
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

    /// Hands the ids of *text* to *sink*, those of some hundred pieces at a time. Special tokens in *allowed* are found
    /// first, the leftmost and longest; what lies between is split by the pattern.
    ///
    /// # Errors
    /// When the pattern fails on the text, and whatever *sink* returns.
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

    /// The ids of *text*; special tokens in *allowed* become their ids, others are text.
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

    /// Appends the ids of *piece*, which is not split.
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

/// The special tokens of *allowed* that *text* has: which, and where.
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
    fn of_two_special_tokens_the_longer_is_found() {
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
    fn a_special_token_may_not_take_a_tokens_id() {
        assert_eq!(core(None, &[("<a>", 7)]).unwrap_err(), Error::DuplicateId { id: 7 });
    }

    #[test]
    fn of_two_special_tokens_with_one_id_the_first_is_decoded() {
        let core = core(None, &[("<a>", 256), ("<b>", 256)]).unwrap();

        assert_eq!(core.encode("<b>", Some(&core.allow(&["<a>", "<b>"]))).unwrap(), [256]);
        assert_eq!(core.token(256), Some(&b"<a>"[..]));
    }

    #[test]
    fn an_empty_special_token_is_refused() {
        assert_eq!(core(None, &[("", 256)]).unwrap_err(), Error::EmptySpecial);
    }
}
