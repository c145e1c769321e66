//! The core of a tokenizer: a vocabulary, a pattern, added tokens, and their ids.
//!
//! A core is immutable, so one core serves any number of threads. Twin of
//! `pytok/reference/core.py`.

mod offsets;
mod reading;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::added::{AddedToken, Allowed, Segment};
use crate::cache::{Caches, PieceCache};
use crate::piece::{PieceEncoder, Unknown};
use crate::scan::Ends;
use crate::vocab::Vocab;
use crate::{memory, Budget, Error, Normalizer, Pattern, Split};

/// The parts of a tokenizer besides its tokens, their ids and its pattern. The default has none.
#[derive(Debug, Default)]
pub struct Parts {
    /// Texts with ids of their own. Two can have the same id, as in `o200k_harmony`; the id decodes
    /// to the first.
    pub added_tokens: Vec<AddedToken>,
    /// Further splits of the pieces that the pattern gives, in order.
    pub splits: Vec<Split>,
    /// What is done to text between added tokens before it is split.
    pub normalizer: Normalizer,
    /// Whether such text then gets a space in front if it does not start with one.
    pub prefix_space: bool,
    /// The text that tokens at the end of a piece end with, or nothing.
    pub end_of_word_suffix: String,
    /// Ids that only decode, and their bytes.
    pub decode_only: Vec<(u32, Vec<u8>)>,
    /// What becomes of bytes that are not tokens; an error if `None`.
    pub unknown: Option<Unknown>,
}

/// A vocabulary, a pattern and added tokens, with the ids that the tokens have outside of the
/// crate.
#[derive(Debug)]
pub struct Core {
    encoder: PieceEncoder,
    pub(crate) pattern: Pattern,
    parts: Parts,
    /// The added tokens that are found in every text.
    always: Allowed,
    /// The bytes of the ids that are not of ordinary tokens.
    further: FxHashMap<u32, Vec<u8>>,
    pub(crate) caches: Caches,
}

impl Core {
    /// Builds a core. *tokens* are in rank order; *ids* are the ids of the ranks, or the ranks
    /// themselves if `None`; *specials* are the texts of special tokens and their ids.
    ///
    /// # Errors
    /// Those of [`with_parts`](Self::with_parts).
    pub fn new<T: AsRef<[u8]>>(
        tokens: impl IntoIterator<Item = T>,
        ids: Option<Vec<u32>>,
        pattern: &str,
        specials: Vec<(String, u32)>,
    ) -> Result<Self, Error> {
        let special = |(text, id)| AddedToken { text, id, special: true, ..AddedToken::default() };
        let added_tokens = specials.into_iter().map(special).collect();
        let parts = Parts { added_tokens, ..Parts::default() };
        Self::with_parts(Vocab::new(tokens)?, ids, Pattern::new(pattern)?, parts)
    }

    /// Builds a core with all parts that a tokenizer can have.
    ///
    /// # Errors
    /// When two different texts have one id, and for an added token that is empty.
    pub fn with_parts(
        vocab: impl Into<Arc<Vocab>>,
        ids: Option<Vec<u32>>,
        pattern: Pattern,
        parts: Parts,
    ) -> Result<Self, Error> {
        let suffix = parts.end_of_word_suffix.as_bytes();
        let encoder = PieceEncoder::new(vocab.into(), ids, parts.unknown, suffix)?;
        let always = parts.added_tokens.iter().filter(|token| !token.special);
        let always = Allowed::new(always, &parts.normalizer)?;
        let mut core = Self {
            encoder,
            pattern,
            parts,
            always,
            further: FxHashMap::default(),
            caches: Caches::default(),
        };
        for token in &core.parts.added_tokens {
            if token.text.is_empty() {
                return Err(Error::EmptySpecial);
            }
            if core.encoder.token(token.id).is_some_and(|bytes| bytes != token.text.as_bytes()) {
                return Err(Error::DuplicateId { id: token.id });
            }
            // As in tokenizers, a token that is found in normalized text decodes to such a text.
            let text = if token.normalized {
                core.parts.normalizer.normalize(&token.text, &Budget::default())?
            } else {
                Cow::Borrowed(token.text.as_str())
            };
            core.further.entry(token.id).or_insert_with(|| text.as_bytes().to_vec());
        }
        for (id, bytes) in &core.parts.decode_only {
            if core.encoder.token(*id).is_some() || core.further.contains_key(id) {
                return Err(Error::DuplicateId { id: *id });
            }
            core.further.insert(*id, bytes.clone());
        }
        Ok(core)
    }

    /// Returns the vocabulary, without the added tokens.
    #[must_use]
    pub fn vocab(&self) -> &Vocab {
        self.encoder.vocab()
    }

    /// Returns the largest id.
    #[must_use]
    pub fn max_id(&self) -> u32 {
        self.further.keys().copied().fold(self.encoder.max_id(), u32::max)
    }

    /// Returns the bytes of *id*, whatever it is the id of.
    #[must_use]
    pub fn token(&self, id: u32) -> Option<&[u8]> {
        self.encoder.token(id).or_else(|| self.further.get(&id).map(Vec::as_slice))
    }

    /// The token of *id* if it is ordinary and has at most sixteen bytes: sixteen bytes from its
    /// start, and the length of the token.
    #[inline]
    pub(crate) fn token_in_sixteen(&self, id: u32) -> Option<(&[u8; 16], usize)> {
        self.encoder.token_in_sixteen(id)
    }

    /// Returns the id of *token*; ordinary tokens come before added ones.
    #[must_use]
    pub fn id(&self, token: &[u8]) -> Option<u32> {
        let added = || self.parts.added_tokens.iter().find(|added| added.text.as_bytes() == token);
        self.encoder.id(token).or_else(|| added().map(|added| added.id))
    }

    /// Prepares the search for the special tokens in *names*, and the added tokens that are found
    /// in every text; names that are not special tokens of this core are ignored.
    ///
    /// # Errors
    /// When the normalizer fails on the text of a token.
    ///
    /// # Panics
    /// When their texts exceed 2 GiB in total.
    pub fn allow<S: AsRef<str>>(&self, names: &[S]) -> Result<Allowed, Error> {
        let names: FxHashSet<&str> = names.iter().map(AsRef::as_ref).collect();
        let is_allowed =
            |token: &&AddedToken| !token.special || names.contains(token.text.as_str());
        let tokens = self.parts.added_tokens.iter().filter(is_allowed);
        Allowed::new(tokens, &self.parts.normalizer)
    }

    /// Calls *sink* with the ids of *text*, those of about a hundred pieces at a time. Added tokens
    /// in *allowed* are found first, the leftmost and longest; the text between them is normalized
    /// and split.
    ///
    /// # Errors
    /// When a pattern fails on the text, when it has a byte that is not in the vocabulary, and any
    /// error of *sink*.
    pub fn encode_each(
        &self,
        text: &str,
        allowed: Option<&Allowed>,
        budget: &Budget<'_>,
        mut sink: impl FnMut(&[u32]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let allowed = self.or_always(allowed);
        budget.start(text.len());
        self.caches.with(|cache| {
            let mut segments = allowed.verbatim.segments(text);
            segments.try_for_each(|segment| {
                self.encode_segment(&segment, allowed, budget, cache, &mut sink)
            })
        })
    }

    pub(crate) fn or_always<'a>(&'a self, allowed: Option<&'a Allowed>) -> &'a Allowed {
        allowed.unwrap_or(&self.always)
    }

    /// Whether a text between added tokens can be cut where the pattern can be cut.
    pub(crate) fn can_cut(&self, allowed: &Allowed) -> bool {
        self.parts.normalizer.can_cut() && !self.parts.prefix_space && allowed.normalized.is_empty()
    }

    /// Encodes one of the segments of `allowed.verbatim`.
    pub(crate) fn encode_segment(
        &self,
        segment: &Segment<'_>,
        allowed: &Allowed,
        budget: &Budget<'_>,
        cache: &mut PieceCache,
        sink: &mut impl FnMut(&[u32]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut encode_between = || {
            if !self.can_cut(allowed) {
                memory::check(segment.text.len(), memory::NORMALIZING)?;
            }
            let text = self.parts.normalizer.normalize(segment.text, budget)?;
            let mut segments = allowed.normalized.segments(&text);
            segments.try_for_each(|Segment { id, start, text }| match id {
                Some(id) => sink(&[id]),
                None => {
                    self.encode_normal(text, budget, cache, sink).map_err(|e| e.moved_by(start))
                }
            })
        };
        match segment.id {
            Some(id) => sink(&[id]),
            None => encode_between().map_err(|error| error.moved_by(segment.start)),
        }
    }

    /// Encodes normalized text.
    fn encode_normal(
        &self,
        text: &str,
        budget: &Budget<'_>,
        cache: &mut PieceCache,
        sink: &mut impl FnMut(&[u32]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let text = self.prefixed(text);
        self.encoder.check_text(&text)?;
        let mut start = 0;
        while start < text.len() {
            self.pattern.fill(&text, start, &mut cache.ends, budget)?;
            let next = cache.ends.as_slice().last().copied().unwrap_or(text.len());
            memory::check(next - start, memory::MERGING)?;
            let encode = |piece: &[u8], ids: &mut Vec<u32>| self.encoder.encode_known(piece, ids);
            if self.parts.splits.is_empty() {
                cache.encode(&text, start, encode, &mut *sink)?;
            } else {
                let pieces = self.split_further(&text, start, cache.ends.as_slice(), budget)?;
                for run in pieces.chunk_by(|piece, next| piece.end == next.start) {
                    for pieces in run.chunks(Ends::ENOUGH) {
                        cache.ends.clear();
                        for piece in pieces {
                            cache.ends.push(piece.end);
                        }
                        cache.encode(&text, pieces[0].start, encode, &mut *sink)?;
                    }
                }
            }
            start = next;
        }
        Ok(())
    }

    fn prefixed<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.parts.prefix_space && !text.is_empty() && !text.starts_with(' ') {
            Cow::Owned(format!(" {text}"))
        } else {
            Cow::Borrowed(text)
        }
    }

    /// Applies the further splits to the pieces of *text* from *start* on that end at *ends*.
    fn split_further(
        &self,
        text: &str,
        mut start: usize,
        ends: &[usize],
        budget: &Budget<'_>,
    ) -> Result<Vec<Range<usize>>, Error> {
        let mut pieces = Vec::with_capacity(ends.len());
        for &end in ends {
            pieces.push(start..end);
            start = end;
        }
        for split in &self.parts.splits {
            let mut smaller = Vec::with_capacity(pieces.len());
            for piece in pieces {
                split.apply(text, piece, budget, &mut smaller)?;
            }
            pieces = smaller;
        }
        Ok(pieces)
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
    /// assert_eq!(core.encode("hi<|end|>", Some(&core.allow(&["<|end|>"])?))?, [71, 72, 256]);
    /// assert_eq!(core.encode("hi<|end|>", None)?.len(), 9);
    /// # Ok::<(), pytok_bpe::Error>(())
    /// ```
    pub fn encode(&self, text: &str, allowed: Option<&Allowed>) -> Result<Vec<u32>, Error> {
        let mut all = memory::with_capacity(text.len() / 3)?;
        self.encode_each(text, allowed, &Budget::default(), |ids| {
            all.extend_from_slice(ids);
            Ok(())
        })?;
        Ok(all)
    }

    /// Appends the ids of *piece*, which is not split, to *ids*.
    ///
    /// # Errors
    /// When it has a byte that is not in the vocabulary, and nothing is said about those.
    pub fn encode_piece(&self, piece: &[u8], ids: &mut Vec<u32>) -> Result<(), Error> {
        self.encoder.encode_piece(piece, ids)
    }

    /// Calls *sink* with the pieces of *text*, which is normalized first. Added tokens in it are
    /// text. A part of a character, where a split sees letters of bytes, is U+FFFD.
    ///
    /// # Errors
    /// When a pattern fails on the text, and any error of *sink*.
    pub fn pieces(
        &self,
        text: &str,
        budget: &Budget<'_>,
        mut sink: impl FnMut(&str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        budget.start(text.len());
        let text = self.parts.normalizer.normalize(text, budget)?;
        let text = self.prefixed(&text);
        let text = text.as_ref();
        self.each_piece(text, budget, |piece| {
            sink(&String::from_utf8_lossy(&text.as_bytes()[piece]))
        })
    }

    fn each_piece(
        &self,
        text: &str,
        budget: &Budget<'_>,
        mut sink: impl FnMut(Range<usize>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut ends = Ends::new();
        let mut start = 0;
        while start < text.len() {
            self.pattern.fill(text, start, &mut ends, budget)?;
            let next = ends.as_slice().last().copied().unwrap_or(text.len());
            self.split_further(text, start, ends.as_slice(), budget)?
                .into_iter()
                .try_for_each(&mut sink)?;
            start = next;
        }
        Ok(())
    }

    /// Returns *text* as it is before it is split, as far as no added token is in it.
    ///
    /// # Errors
    /// When a replacement fails on the text.
    pub fn normalize<'t>(&self, text: &'t str, budget: &Budget<'_>) -> Result<Cow<'t, str>, Error> {
        budget.start(text.len());
        self.parts.normalizer.normalize(text, budget)
    }
}

#[cfg(test)]
mod tests;
