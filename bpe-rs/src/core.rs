//! The core of a tokenizer: a vocabulary, a pattern, added tokens, and their ids.
//!
//! A core is immutable, so one core serves any number of threads. Twin of
//! `pytok/reference/core.py`.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::added::{AddedToken, Allowed};
use crate::cache::PieceCache;
use crate::encode::{encode_piece, merge_all};
use crate::scan::Ends;
use crate::vocab::{Rank, Vocab};
use crate::{Error, Normalizer, Pattern, Split};

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
    /// Ids that only decode, and their bytes.
    pub decode_only: Vec<(u32, Vec<u8>)>,
    /// What becomes of bytes that are not tokens; an error if `None`.
    pub unknown: Option<Unknown>,
}

/// What becomes of bytes that are not tokens.
#[derive(Clone, Copy, Debug)]
pub struct Unknown {
    /// The id that they get, or `None` to omit them.
    pub id: Option<u32>,
    /// Whether consecutive ones get one id.
    pub fuse: bool,
}

/// A vocabulary, a pattern and added tokens, with the ids that the tokens have outside of the
/// crate.
#[derive(Debug)]
pub struct Core {
    vocab: Vocab,
    pub(crate) pattern: Pattern,
    /// The id of each rank, if ids are not the ranks themselves.
    ids: Option<Vec<u32>>,
    /// The rank of each id, if ids are not the ranks themselves.
    ranks: FxHashMap<u32, Rank>,
    parts: Parts,
    /// The added tokens that are found in every text.
    always: Allowed,
    /// The bytes of the ids that are not of ordinary tokens.
    further: FxHashMap<u32, Vec<u8>>,
    /// For each byte whether it is missing in the vocabulary; `None` if none is.
    missing: Option<Box<[bool; 256]>>,
    /// Whether a text can have one of the missing bytes: 13 of the 256 are never in UTF-8.
    misses_text: bool,
    /// Caches that no thread is using.
    caches: Mutex<Vec<PieceCache>>,
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
        vocab: Vocab,
        ids: Option<Vec<u32>>,
        pattern: Pattern,
        parts: Parts,
    ) -> Result<Self, Error> {
        let mut ranks = FxHashMap::default();
        if let Some(ids) = &ids {
            if ids.len() != vocab.len() {
                return Err(Error::IdCount { tokens: vocab.len(), ids: ids.len() });
            }
            ranks.reserve(ids.len());
            for (rank, &id) in ids.iter().enumerate() {
                if ranks.insert(id, rank as Rank).is_some() {
                    return Err(Error::DuplicateId { id });
                }
            }
        }
        let mut missing = Box::new([false; 256]);
        for byte in vocab.missing_bytes() {
            missing[usize::from(byte)] = true;
        }
        let always = parts.added_tokens.iter().filter(|token| !token.special);
        let always = Allowed::new(always, &parts.normalizer)?;
        let mut core = Self {
            vocab,
            pattern,
            ids,
            ranks,
            parts,
            always,
            further: FxHashMap::default(),
            misses_text: (0..=255_u8)
                .any(|byte| missing[usize::from(byte)] && !never_in_utf8(byte)),
            missing: missing.contains(&true).then_some(missing),
            caches: Mutex::default(),
        };
        for token in &core.parts.added_tokens {
            if token.text.is_empty() {
                return Err(Error::EmptySpecial);
            }
            if core.ordinary(token.id).is_some_and(|bytes| bytes != token.text.as_bytes()) {
                return Err(Error::DuplicateId { id: token.id });
            }
            // As in tokenizers, a token that is found in normalized text decodes to such a text.
            let text = if token.normalized {
                core.parts.normalizer.normalize(&token.text)?
            } else {
                Cow::Borrowed(token.text.as_str())
            };
            core.further.entry(token.id).or_insert_with(|| text.as_bytes().to_vec());
        }
        for (id, bytes) in &core.parts.decode_only {
            if core.ordinary(*id).is_some() || core.further.contains_key(id) {
                return Err(Error::DuplicateId { id: *id });
            }
            core.further.insert(*id, bytes.clone());
        }
        Ok(core)
    }

    /// Returns the vocabulary, without the added tokens.
    #[must_use]
    pub fn vocab(&self) -> &Vocab {
        &self.vocab
    }

    /// Returns the largest id.
    #[must_use]
    pub fn max_id(&self) -> u32 {
        let ordinary = match &self.ids {
            Some(ids) => ids.iter().copied().max().unwrap_or(0),
            None => (self.vocab.len() as u32).saturating_sub(1),
        };
        self.further.keys().copied().fold(ordinary, u32::max)
    }

    /// Returns the bytes of *id*, whatever it is the id of.
    #[must_use]
    pub fn token(&self, id: u32) -> Option<&[u8]> {
        self.ordinary(id).or_else(|| self.further.get(&id).map(Vec::as_slice))
    }

    fn ordinary(&self, id: u32) -> Option<&[u8]> {
        self.vocab.token(self.rank(id)?)
    }

    /// The token of *id* if it is ordinary and has at most sixteen bytes: sixteen bytes from its
    /// start, and the length of the token.
    #[inline]
    pub(crate) fn token_in_sixteen(&self, id: u32) -> Option<(&[u8; 16], usize)> {
        self.vocab.token_in_sixteen(self.rank(id)?)
    }

    /// Returns the id of *token*; ordinary tokens come before added ones.
    #[must_use]
    pub fn id(&self, token: &[u8]) -> Option<u32> {
        let added = || self.parts.added_tokens.iter().find(|added| added.text.as_bytes() == token);
        self.vocab
            .rank(token)
            .map(|rank| self.id_of_rank(rank))
            .or_else(|| added().map(|added| added.id))
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
        mut sink: impl FnMut(&[u32]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let allowed = self.or_always(allowed);
        let mut start = 0;
        self.with_cache(|cache| {
            for (id, found) in allowed.verbatim.find_all(text) {
                self.encode_between(text, start..found.start, allowed, cache, &mut sink)?;
                sink(&[id])?;
                start = found.end;
            }
            self.encode_between(text, start..text.len(), allowed, cache, &mut sink)
        })
    }

    /// Calls *sink* with the ids of *text*, a part of a text that has been searched for the tokens
    /// of `allowed.verbatim`.
    pub(crate) fn encode_part(
        &self,
        text: &str,
        allowed: Option<&Allowed>,
        mut sink: impl FnMut(&[u32]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let allowed = self.or_always(allowed);
        self.with_cache(|cache| self.encode_between(text, 0..text.len(), allowed, cache, &mut sink))
    }

    pub(crate) fn or_always<'a>(&'a self, allowed: Option<&'a Allowed>) -> &'a Allowed {
        allowed.unwrap_or(&self.always)
    }

    /// Whether a text between added tokens can be cut where the pattern can be cut.
    pub(crate) fn can_cut(&self, allowed: &Allowed) -> bool {
        self.parts.normalizer.can_cut() && !self.parts.prefix_space && allowed.normalized.is_empty()
    }

    fn with_cache<R>(&self, work: impl FnOnce(&mut PieceCache) -> R) -> R {
        let lock = || self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cache = lock().pop().unwrap_or_else(PieceCache::new);
        let result = work(&mut cache);
        lock().push(cache);
        result
    }

    /// Encodes text between added tokens: *span* of *text*.
    fn encode_between(
        &self,
        text: &str,
        span: Range<usize>,
        allowed: &Allowed,
        cache: &mut PieceCache,
        sink: &mut impl FnMut(&[u32]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let first = span.start;
        let text = part(text, span);
        let moved = |error: Error| error.moved_by(first);
        if self.parts.normalizer.is_empty() && allowed.normalized.is_empty() {
            return self.encode_normal(text, cache, sink).map_err(moved);
        }
        let text = self.parts.normalizer.normalize(text).map_err(moved)?;
        let mut start = 0;
        for (id, found) in allowed.normalized.find_all(&text) {
            self.encode_normal(part(&text, start..found.start), cache, sink)
                .map_err(|error| moved(error.moved_by(start)))?;
            sink(&[id])?;
            start = found.end;
        }
        self.encode_normal(&text[start..], cache, sink)
            .map_err(|error| moved(error.moved_by(start)))
    }

    /// Encodes normalized text.
    fn encode_normal(
        &self,
        text: &str,
        cache: &mut PieceCache,
        sink: &mut impl FnMut(&[u32]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let text = self.prefixed(text);
        if self.misses_text {
            self.check_bytes(text.as_bytes())?;
        }
        let mut start = 0;
        while start < text.len() {
            self.pattern.fill(&text, start, &mut cache.ends)?;
            let next = cache.ends.as_slice().last().copied().unwrap_or(text.len());
            let encode = |piece: &[u8], ids: &mut Vec<u32>| self.encode_known(piece, ids);
            if self.parts.splits.is_empty() {
                cache.encode(&text, start, encode, &mut *sink)?;
            } else {
                let pieces = self.split_further(&text, start, cache.ends.as_slice())?;
                for run in pieces.chunk_by(|piece, next| piece.end == next.start) {
                    for pieces in run.chunks(Ends::ENOUGH) {
                        cache.ends.clear();
                        pieces.iter().for_each(|piece| cache.ends.push(piece.end));
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
    ) -> Result<Vec<Range<usize>>, Error> {
        let mut pieces = Vec::with_capacity(ends.len());
        for &end in ends {
            pieces.push(start..end);
            start = end;
        }
        for split in &self.parts.splits {
            let mut smaller = Vec::with_capacity(pieces.len());
            for piece in pieces {
                split.apply(text, piece, &mut smaller)?;
            }
            pieces = smaller;
        }
        Ok(pieces)
    }

    /// Returns *text* as it is before it is split, as far as no added token is in it.
    ///
    /// # Errors
    /// When a replacement fails on the text.
    pub fn normalize<'t>(&self, text: &'t str) -> Result<Cow<'t, str>, Error> {
        self.parts.normalizer.normalize(text)
    }

    /// Calls *sink* with the pieces of *text*, which is normalized first. Added tokens in it are
    /// text.
    ///
    /// # Errors
    /// When a pattern fails on the text, and any error of *sink*.
    pub fn pieces(
        &self,
        text: &str,
        mut sink: impl FnMut(&str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let text = self.parts.normalizer.normalize(text)?;
        let text = self.prefixed(&text);
        self.each_piece(&text, |piece| sink(&text[piece]))
    }

    fn each_piece(
        &self,
        text: &str,
        mut sink: impl FnMut(Range<usize>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut ends = Ends::new();
        let mut start = 0;
        while start < text.len() {
            self.pattern.fill(text, start, &mut ends)?;
            let next = ends.as_slice().last().copied().unwrap_or(text.len());
            self.split_further(text, start, ends.as_slice())?
                .into_iter()
                .try_for_each(&mut sink)?;
            start = next;
        }
        Ok(())
    }

    /// Calls *sink* with each id of *text* and the range of bytes in it that the id stands for: for
    /// a part of a character, or of what was normalized together, the range of the whole.
    ///
    /// # Errors
    /// Those of [`encode_each`](Self::encode_each).
    pub fn encode_with_offsets(
        &self,
        text: &str,
        allowed: Option<&Allowed>,
        mut sink: impl FnMut(u32, Range<usize>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let allowed = self.or_always(allowed);
        let mut start = 0;
        for (id, found) in allowed.verbatim.find_all(text) {
            self.align_between(text, start..found.start, allowed, &mut sink)?;
            start = found.end;
            sink(id, found)?;
        }
        self.align_between(text, start..text.len(), allowed, &mut sink)
    }

    fn align_between(
        &self,
        text: &str,
        span: Range<usize>,
        allowed: &Allowed,
        sink: &mut impl FnMut(u32, Range<usize>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let first = span.start;
        let moved = |error: Error| error.moved_by(first);
        let aligned = self.parts.normalizer.align(part(text, span)).map_err(moved)?;
        let normal = &aligned.text;
        let source = |range: Range<usize>| {
            let Range { start, end } = aligned.source(range);
            first + start..first + end
        };
        let mut segments = Vec::new();
        let mut start = 0;
        for (id, found) in allowed.normalized.find_all(normal) {
            segments.push((None, start..found.start));
            start = found.end;
            segments.push((Some(id), found));
        }
        segments.push((None, start..normal.len()));
        for (id, segment) in segments {
            if let Some(id) = id {
                sink(id, source(segment))?;
                continue;
            }
            let start = segment.start;
            self.align_normal(part(normal, segment), &mut |id, range| {
                sink(id, source(start + range.start..start + range.end))
            })
            .map_err(moved)?;
        }
        Ok(())
    }

    /// Calls *sink* with the ids of normalized text, and the range of each.
    fn align_normal(
        &self,
        text: &str,
        sink: &mut dyn FnMut(u32, Range<usize>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let prefixed = self.prefixed(text);
        let shift = prefixed.len() - text.len();
        self.check_bytes(prefixed.as_bytes())?;
        let mut ids = Vec::new();
        self.each_piece(&prefixed, |piece| {
            ids.clear();
            self.encode_ranges(prefixed[piece.clone()].as_bytes(), &mut ids);
            ids.iter().try_for_each(|(id, range)| {
                // A space that was put in front stands for the first character.
                let start = (piece.start + range.start).saturating_sub(shift);
                let end = (piece.start + range.end).saturating_sub(shift).max(start + 1);
                sink(*id, start..end)
            })
        })
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
        let mut all = Vec::with_capacity(text.len() / 3);
        self.encode_each(text, allowed, |ids| {
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
        self.check_bytes(piece)?;
        self.encode_known(piece, ids);
        Ok(())
    }

    /// `encode_piece` for a piece whose bytes have been checked.
    fn encode_known(&self, piece: &[u8], ids: &mut Vec<u32>) {
        if self.lacks(piece) {
            let mut ranges = Vec::new();
            self.encode_ranges(piece, &mut ranges);
            ids.extend(ranges.into_iter().map(|(id, _)| id));
            return;
        }
        let from = ids.len();
        encode_piece(&self.vocab, piece, ids);
        if let Some(id_of_rank) = &self.ids {
            for id in &mut ids[from..] {
                *id = id_of_rank[*id as usize];
            }
        }
    }

    /// Appends the ids of *piece*, and the range of each, to *found*.
    fn encode_ranges(&self, piece: &[u8], found: &mut Vec<(u32, Range<usize>)>) {
        let mut ranks = Vec::new();
        if !self.lacks(piece) || self.vocab.rank(piece).is_some() {
            encode_piece(&self.vocab, piece, &mut ranks);
            return self.append(&ranks, &(0..=piece.len()).collect::<Vec<_>>(), found);
        }
        let is_missing = |byte: u8| self.missing.as_ref().is_some_and(|m| m[usize::from(byte)]);
        let Some(unknown) =
            self.parts.unknown.and_then(|unknown| Some((unknown.id?, unknown.fuse)))
        else {
            // What is omitted makes neighbors of the bytes around it.
            let known = || (0..piece.len()).filter(|&index| !is_missing(piece[index]));
            let bytes: Vec<u8> = known().map(|index| piece[index]).collect();
            merge_all(&self.vocab, &bytes, &mut ranks);
            let starts: Vec<usize> = known().chain([piece.len()]).collect();
            return self.append(&ranks, &starts, found);
        };
        let mut start = 0;
        for run in piece.chunk_by(|&byte, &next| is_missing(byte) == is_missing(next)) {
            let end = start + run.len();
            match unknown {
                _ if !is_missing(run[0]) => {
                    ranks.clear();
                    merge_all(&self.vocab, run, &mut ranks);
                    self.append(&ranks, &(start..=end).collect::<Vec<_>>(), found);
                }
                (id, true) => found.push((id, start..end)),
                (id, false) => found.extend((start..end).map(|at| (id, at..at + 1))),
            }
            start = end;
        }
    }

    /// Appends the ids of *ranks* to *found*; *starts* are the offsets of their bytes.
    fn append(&self, ranks: &[Rank], starts: &[usize], found: &mut Vec<(u32, Range<usize>)>) {
        let mut at = 0;
        for &rank in ranks {
            let length = self.vocab.token(rank).map_or(0, <[u8]>::len);
            found.push((self.id_of_rank(rank), starts[at]..starts[at + length - 1] + 1));
            at += length;
        }
    }

    fn lacks(&self, bytes: &[u8]) -> bool {
        self.first_missing(bytes).is_some()
    }

    #[inline]
    fn first_missing(&self, bytes: &[u8]) -> Option<usize> {
        let missing = self.missing.as_ref()?;
        bytes.iter().position(|&byte| missing[usize::from(byte)])
    }

    /// Checks that *bytes* can be encoded.
    fn check_bytes(&self, bytes: &[u8]) -> Result<(), Error> {
        match self.first_missing(bytes) {
            Some(offset) if self.parts.unknown.is_none() => {
                Err(Error::MissingByte { offset, byte: bytes[offset] })
            }
            _ => Ok(()),
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

fn never_in_utf8(byte: u8) -> bool {
    matches!(byte, 0xc0 | 0xc1 | 0xf5..)
}

/// A part of *text*, empty where the ranges of two added tokens overlap.
fn part(text: &str, range: Range<usize>) -> &str {
    text.get(range).unwrap_or("")
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

        let allowed = core.allow(&["<a>", "<a>b"]).unwrap();

        assert_eq!(core.encode("<a>b<a>", Some(&allowed)).unwrap(), [257, 256]);
    }

    #[test]
    fn a_special_token_that_is_not_allowed_is_text() {
        let core = core(None, &[("<a>", 256), ("a", 257)]).unwrap();

        let ids = core.encode("<a>", Some(&core.allow(&["a"]).unwrap())).unwrap();

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

        assert_eq!(core.encode("<b>", Some(&core.allow(&["<a>", "<b>"]).unwrap())).unwrap(), [256]);
        assert_eq!(core.token(256), Some(&b"<a>"[..]));
    }

    #[test]
    fn an_empty_special_token_is_rejected() {
        assert_eq!(core(None, &[("", 256)]).unwrap_err(), Error::EmptySpecial);
    }
}
