//! From a piece to ids, also where the vocabulary lacks bytes. Twin of
//! `pytok/reference/piece.py`.

use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::encode::{encode_piece, merge_all};
use crate::vocab::{Rank, Vocab};
use crate::{memory, Error};

/// What becomes of bytes that are not tokens.
#[derive(Clone, Copy, Debug)]
pub struct Unknown {
    /// The id that they get, or `None` to omit them.
    pub id: Option<u32>,
    /// Whether consecutive ones get one id.
    pub fuse: bool,
}

/// After a piece: the end-of-word suffix. UTF-8 never has this byte, nor the next.
const END_OF_WORD: u8 = 0xff;
/// Instead of a last byte that no token with the suffix stands for.
const UNKNOWN_END: u8 = 0xfe;

/// A vocabulary with the ids that its tokens have outside of the crate.
#[derive(Debug)]
pub(crate) struct PieceEncoder {
    vocab: Arc<Vocab>,
    /// The vocabulary that is merged, if tokens that end a piece have a suffix.
    marked: Option<Box<Vocab>>,
    /// The id of each rank, if ids are not the ranks themselves.
    ids: Option<Vec<u32>>,
    /// The rank of each id, if ids are not the ranks themselves.
    ranks: FxHashMap<u32, Rank>,
    unknown: Option<Unknown>,
    /// For each byte whether it is missing in the vocabulary; `None` if none is.
    missing: Option<Box<[bool; 256]>>,
    /// Whether a text can have one of the missing bytes: 13 of the 256 are never in UTF-8.
    misses_text: bool,
}

impl PieceEncoder {
    /// Prepares *vocab*; *ids* are those of its ranks, or the ranks themselves if `None`. With a
    /// *suffix*, the tokens that end with it are those of the last bytes of a piece.
    ///
    /// # Errors
    /// When two tokens have one id, or not every token has one.
    pub(crate) fn new(
        vocab: Arc<Vocab>,
        ids: Option<Vec<u32>>,
        unknown: Option<Unknown>,
        suffix: &[u8],
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
        // Tokens that end a piece end with a byte that no text has, which so is merged first.
        let marked = match suffix {
            [] => None,
            suffix => Some(Box::new(marked_vocab(&vocab, suffix)?)),
        };
        let mut missing = Box::new([false; 256]);
        for byte in vocab.missing_bytes() {
            missing[usize::from(byte)] = marked.is_none() || byte != END_OF_WORD;
        }
        let misses_text =
            (0..=255_u8).any(|byte| missing[usize::from(byte)] && !never_in_utf8(byte));
        let missing = missing.contains(&true).then_some(missing);
        Ok(Self { vocab, marked, ids, ranks, unknown, missing, misses_text })
    }

    /// The vocabulary that is merged.
    pub(crate) fn vocab(&self) -> &Vocab {
        self.marked.as_deref().unwrap_or(&self.vocab)
    }

    /// The largest id of a token, 0 if there is none.
    pub(crate) fn max_id(&self) -> u32 {
        match &self.ids {
            Some(ids) => ids.iter().copied().max().unwrap_or(0),
            None => (self.vocab.len() as u32).saturating_sub(1),
        }
    }

    /// The id of *token*.
    pub(crate) fn id(&self, token: &[u8]) -> Option<u32> {
        self.vocab.rank(token).map(|rank| self.id_of_rank(rank))
    }

    /// The bytes of *id*.
    pub(crate) fn token(&self, id: u32) -> Option<&[u8]> {
        self.vocab.token(self.rank(id)?)
    }

    /// The token of *id* if it has at most sixteen bytes: sixteen bytes from its start, and the
    /// length of the token.
    #[inline]
    pub(crate) fn token_in_sixteen(&self, id: u32) -> Option<(&[u8; 16], usize)> {
        self.vocab.token_in_sixteen(self.rank(id)?)
    }

    /// Appends the ids of *piece*, which is not split, to *ids*.
    ///
    /// # Errors
    /// When it has a byte that is not in the vocabulary, and nothing is said about those.
    pub fn encode_piece(&self, piece: &[u8], ids: &mut Vec<u32>) -> Result<(), Error> {
        self.check_bytes(piece)?;
        memory::check(piece.len(), memory::MERGING)?;
        self.encode_known(piece, ids);
        Ok(())
    }

    /// `encode_piece` for a piece whose bytes have been checked.
    pub(crate) fn encode_known(&self, piece: &[u8], ids: &mut Vec<u32>) {
        if self.marked.is_some() || self.lacks(piece) {
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
    pub(crate) fn encode_ranges(&self, piece: &[u8], found: &mut Vec<(u32, Range<usize>)>) {
        let (from, length) = (found.len(), piece.len());
        let Some(vocab) = &self.marked else { return self.encode_with(&self.vocab, piece, found) };
        self.encode_with(vocab, &ended(vocab, piece), found);
        for (_, range) in &mut found[from..] {
            range.end = range.end.min(length);
        }
    }

    fn encode_with(&self, vocab: &Vocab, piece: &[u8], found: &mut Vec<(u32, Range<usize>)>) {
        let mut ranks = Vec::new();
        if !self.lacks(piece) || vocab.rank(piece).is_some() {
            encode_piece(vocab, piece, &mut ranks);
            return self.append(&ranks, &(0..=piece.len()).collect::<Vec<_>>(), found);
        }
        let is_missing = |byte: u8| self.missing.as_ref().is_some_and(|m| m[usize::from(byte)]);
        let Some(unknown) = self.unknown.and_then(|unknown| Some((unknown.id?, unknown.fuse)))
        else {
            // What is omitted makes neighbors of the bytes around it.
            let known = || (0..piece.len()).filter(|&index| !is_missing(piece[index]));
            let bytes: Vec<u8> = known().map(|index| piece[index]).collect();
            merge_all(vocab, &bytes, &mut ranks);
            let starts: Vec<usize> = known().chain([piece.len()]).collect();
            return self.append(&ranks, &starts, found);
        };
        let mut start = 0;
        for run in piece.chunk_by(|&byte, &next| is_missing(byte) == is_missing(next)) {
            let end = start + run.len();
            match unknown {
                _ if !is_missing(run[0]) => {
                    ranks.clear();
                    merge_all(vocab, run, &mut ranks);
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
            let length = self.vocab().token(rank).map_or(0, <[u8]>::len);
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
    pub(crate) fn check_bytes(&self, bytes: &[u8]) -> Result<(), Error> {
        match self.first_missing(bytes) {
            Some(offset) if self.unknown.is_none() => {
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

    /// `check_bytes` for text.
    #[inline]
    pub(crate) fn check_text(&self, text: &str) -> Result<(), Error> {
        if self.misses_text {
            self.check_bytes(text.as_bytes())?;
        }
        Ok(())
    }
}

/// *vocab* with a byte that no text has instead of *suffix*, where a token ends with it.
fn marked_vocab(vocab: &Vocab, suffix: &[u8]) -> Result<Vocab, Error> {
    Vocab::new(vocab.tokens().map(|token| match token.strip_suffix(suffix) {
        Some(start) => [start, &[END_OF_WORD]].concat(),
        None => token.to_vec(),
    }))
}

/// *piece* with a mark at its end, so that the tokens of *vocab* with the suffix are merged.
fn ended(vocab: &Vocab, piece: &[u8]) -> Vec<u8> {
    match piece.split_last() {
        Some((&last, _)) if vocab.rank(&[last, END_OF_WORD]).is_some() => {
            [piece, &[END_OF_WORD]].concat()
        }
        Some((_, start)) => [start, &[UNKNOWN_END]].concat(),
        None => Vec::new(),
    }
}

fn never_in_utf8(byte: u8) -> bool {
    matches!(byte, 0xc0 | 0xc1 | 0xf5..)
}
