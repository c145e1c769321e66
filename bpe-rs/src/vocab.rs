//! A vocabulary: byte strings in rank order, with look-ups in both directions.
//!
//! The rank of a token is its priority as a merge: lower ranks merge first. Merges are not stored;
//! they follow from the tokens (`encode::merges`). Twin of `pytok/reference/vocab.py`.

use std::hash::BuildHasher;
use std::hint::black_box;

use hashbrown::hash_table::Entry;
use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use crate::key;
use crate::Error;

/// Index of a token in its vocabulary, and its priority as a merge.
pub type Rank = u32;

/// The 256 bytes in GPT-2's order, which is that of its ids 0-255: first the printable bytes of
/// Latin-1, then the others. Hugging Face's `ByteLevel` alphabet has the same order.
pub const BYTE_ORDER: [u8; 256] = byte_order();

const fn byte_order() -> [u8; 256] {
    let mut order = [0; 256];
    let mut length = 0;
    let mut printable = true;
    loop {
        let mut byte = 0_u8;
        loop {
            if is_printable(byte) == printable {
                order[length] = byte;
                length += 1;
            }
            if byte == 255 {
                break;
            }
            byte += 1;
        }
        if !printable {
            return order;
        }
        printable = false;
    }
}

/// The letter of *byte* in GPT-2's byte-level alphabet: a printable byte is itself, any other a
/// letter from U+0100 on.
pub(crate) fn letter_of(byte: u8) -> char {
    let nonprintable_before = || (0..byte).filter(|&other| !is_printable(other)).count();
    let code = if is_printable(byte) { byte.into() } else { 0x100 + nonprintable_before() as u32 };
    char::from_u32(code).unwrap_or_default()
}

/// Whether *byte* is a printable character of Latin-1.
pub(crate) const fn is_printable(byte: u8) -> bool {
    matches!(byte, 33..=126 | 161..=172 | 174..=255)
}

/// Tokens in rank order, concatenated; validated once, then immutable.
#[derive(Clone, Debug)]
pub struct Vocab {
    bytes: Vec<u8>,
    /// `ends[rank]` is where the token of *rank* ends in `bytes`; it starts where the previous one
    /// ends.
    ends: Vec<u32>,
    /// Ranks of the tokens that have a key: nearly all.
    short: ShortTokens,
    /// Ranks of the longer tokens. The bytes that are hashed and compared are those in `bytes`.
    long: HashTable<Rank>,
    longest: usize,
}

/// Ranks by key: three to a cache line, with linear probing to the next line where one is full.
#[derive(Clone, Debug)]
struct ShortTokens {
    /// A filter with one bit set for each token. Most look-ups while a piece is merged are for byte
    /// strings that are not tokens. The filter rejects seven in eight of these, and is small enough
    /// to stay in a near cache.
    filter: Vec<u64>,
    lines: Vec<Line>,
    bits: u32,
}

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line {
    /// 0 in a free slot.
    keys: [u128; 3],
    ranks: [Rank; 3],
}

impl ShortTokens {
    /// Log2 of the filter's bits per line: sixteen bits for a line of at most two tokens on
    /// average.
    const FILTER_BITS: u32 = 4;

    /// An empty table with room for *count* tokens.
    fn new(count: usize) -> Self {
        // At a load of at most two thirds hardly any search reads a second line.
        let bits = count.div_ceil(2).next_power_of_two().trailing_zeros().max(8);
        let filter = vec![0; 1 << (bits + Self::FILTER_BITS - 6)];
        let lines = vec![Line { keys: [0; 3], ranks: [0; 3] }; 1 << bits];
        Self { filter, lines, bits }
    }

    /// The word and the bit of *key* in the filter. The leading bits are those that select the
    /// line.
    #[inline]
    fn bit(&self, key: u128) -> (usize, u64) {
        let bit = key::bucket(key, self.bits + Self::FILTER_BITS);
        (bit / 64, 1 << (bit % 64))
    }

    #[inline]
    fn get(&self, key: u128) -> Option<Rank> {
        let (word, bit) = self.bit(key);
        if self.filter[word] & bit == 0 {
            return None;
        }
        let mut index = key::bucket(key, self.bits);
        loop {
            let line = &self.lines[index % self.lines.len()];
            if let Some(found) = line.keys.iter().position(|&other| other == key) {
                return Some(line.ranks[found]);
            }
            if line.keys[2] == 0 {
                return None;
            }
            index += 1;
        }
    }

    /// Reads the lines of *keys* all at once, into the cache.
    ///
    /// PERF: `insert` waits for the memory of one line after the other.
    fn read_ahead(&self, keys: &[u128]) {
        let lines = keys.iter().map(|&key| &self.lines[key::bucket(key, self.bits)]);
        black_box(lines.fold(0, |all, line| all ^ line.ranks[0]));
    }

    /// Adds a token, or returns its rank if the table has it.
    fn insert(&mut self, key: u128, rank: Rank) -> Option<Rank> {
        let lines = self.lines.len();
        let mut index = key::bucket(key, self.bits);
        loop {
            let line = &mut self.lines[index % lines];
            match line.keys.iter().position(|&other| other == 0 || other == key) {
                Some(found) if line.keys[found] == key => return Some(line.ranks[found]),
                Some(free) => {
                    line.keys[free] = key;
                    line.ranks[free] = rank;
                    let (word, bit) = self.bit(key);
                    self.filter[word] |= bit;
                    return None;
                }
                None => index += 1,
            }
        }
    }
}

impl Vocab {
    /// Builds a vocabulary of *tokens*, which are in rank order.
    ///
    /// # Errors
    /// When a token is empty or occurs twice, or when the tokens exceed 4 GiB in total.
    ///
    /// ```
    /// use pytok_bpe::{Vocab, BYTE_ORDER};
    ///
    /// let tokens = BYTE_ORDER.iter().map(|&byte| vec![byte]).chain([b"th".to_vec()]);
    /// let vocab = Vocab::new(tokens)?;
    /// assert_eq!(vocab.rank(b"th"), Some(256));
    /// assert_eq!(vocab.token(256), Some(&b"th"[..]));
    /// # Ok::<(), pytok_bpe::Error>(())
    /// ```
    pub fn new<T: AsRef<[u8]>>(tokens: impl IntoIterator<Item = T>) -> Result<Self, Error> {
        let tokens = tokens.into_iter();
        let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(tokens.size_hint().0));
        let (mut short, mut longest) = (0, 0);
        for token in tokens {
            let token = token.as_ref();
            bytes.extend_from_slice(token);
            ends.push(u32::try_from(bytes.len()).map_err(|_| Error::VocabTooLarge)?);
            short += usize::from(token.len() <= key::MAX_LENGTH);
            longest = longest.max(token.len());
        }
        let short = ShortTokens::new(short);
        let mut vocab = Self { bytes, ends, short, long: HashTable::new(), longest };
        vocab.fill()?;
        Ok(vocab)
    }

    /// Fills the look-ups.
    fn fill(&mut self) -> Result<(), Error> {
        const CHUNK: usize = 32;
        let Self { bytes, ends, short, long, .. } = self;
        let hash = |&rank: &Rank| FxBuildHasher.hash_one(token_at(bytes, ends, rank as usize));
        let key_at = |rank: usize| {
            let length = token_at(bytes, ends, rank).len();
            // A longer token has none.
            let has_key = length <= key::MAX_LENGTH;
            if has_key {
                key::key(bytes, ends[rank] as usize - length, length)
            } else {
                0
            }
        };
        let mut keys = [0; CHUNK];
        for first in (0..ends.len()).step_by(CHUNK) {
            let keys = &mut keys[..CHUNK.min(ends.len() - first)];
            for (rank, key) in (first..).zip(&mut *keys) {
                *key = key_at(rank);
            }
            short.read_ahead(keys);
            for (rank, &key) in (first..).zip(&*keys) {
                let token = token_at(bytes, ends, rank);
                let before = if token.is_empty() {
                    return Err(Error::EmptyToken { rank });
                } else if key != 0 {
                    short.insert(key, rank as Rank)
                } else {
                    let same = |&other: &Rank| token_at(bytes, ends, other as usize) == token;
                    match long.entry(FxBuildHasher.hash_one(token), same, hash) {
                        Entry::Occupied(found) => Some(*found.get()),
                        Entry::Vacant(free) => {
                            free.insert(rank as Rank);
                            None
                        }
                    }
                };
                if let Some(first) = before {
                    let (token, first) = (token.to_vec(), first as usize);
                    return Err(Error::DuplicateToken { token, first, second: rank });
                }
            }
        }
        Ok(())
    }

    /// Returns the bytes that are not tokens: most vocabularies have all 256.
    pub(crate) fn missing_bytes(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=255).filter(|&byte| self.rank(&[byte]).is_none())
    }

    /// Returns the number of tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns whether there are no tokens.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the bytes of *rank*, or `None` if there is no such rank.
    #[must_use]
    pub fn token(&self, rank: Rank) -> Option<&[u8]> {
        let rank = rank as usize;
        (rank < self.len()).then(|| token_at(&self.bytes, &self.ends, rank))
    }

    /// The token of *rank* if it has at most sixteen bytes: sixteen bytes from its start, and the
    /// length of the token.
    #[inline]
    pub(crate) fn token_in_sixteen(&self, rank: Rank) -> Option<(&[u8; 16], usize)> {
        let rank = rank as usize;
        let end = *self.ends.get(rank)? as usize;
        let start = rank.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        let sixteen = self.bytes[start..].first_chunk()?;
        (end - start <= 16).then_some((sixteen, end - start))
    }

    /// Returns the rank of *token*, or `None` if it is not a token.
    #[must_use]
    pub fn rank(&self, token: &[u8]) -> Option<Rank> {
        self.rank_within(token, 0, token.len())
    }

    /// The rank of the bytes of *text* from *start* to *end*. Fastest where *text* has at least
    /// sixteen bytes from *start* on, which are then loaded at once.
    #[inline]
    pub(crate) fn rank_within(&self, text: &[u8], start: usize, end: usize) -> Option<Rank> {
        if end - start <= key::MAX_LENGTH {
            return self.short.get(key::key(text, start, end - start));
        }
        if end - start > self.longest {
            return None;
        }
        let token = &text[start..end];
        let same = |&rank: &Rank| token_at(&self.bytes, &self.ends, rank as usize) == token;
        self.long.find(FxBuildHasher.hash_one(token), same).copied()
    }

    /// Returns all tokens in rank order.
    #[must_use]
    pub fn tokens(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|rank| token_at(&self.bytes, &self.ends, rank))
    }
}

fn token_at<'a>(bytes: &'a [u8], ends: &[u32], rank: usize) -> &'a [u8] {
    let start = rank.checked_sub(1).map_or(0, |before| ends[before] as usize);
    &bytes[start..ends[rank] as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes() -> Vec<Vec<u8>> {
        BYTE_ORDER.iter().map(|&byte| vec![byte]).collect()
    }

    #[test]
    fn byte_order_starts_with_the_printable_bytes() {
        assert_eq!(&BYTE_ORDER[..3], b"!\"#");
        assert_eq!(BYTE_ORDER[188], 0);
        assert_eq!(BYTE_ORDER[220], b' ');
    }

    #[test]
    fn a_token_that_occurs_twice_is_rejected() {
        let tokens = bytes().into_iter().chain([b"ab".to_vec(), b"ab".to_vec()]);

        let error = Vocab::new(tokens).unwrap_err();

        assert_eq!(error.to_string(), "the token 0x6162 occurs twice, at ranks 256 and 257");
    }

    #[test]
    fn missing_bytes_are_those_that_are_not_tokens() {
        let vocab = Vocab::new(&bytes()[1..]).unwrap();

        assert_eq!(vocab.missing_bytes().collect::<Vec<_>>(), [b'!']);
    }

    #[test]
    fn an_empty_token_is_rejected() {
        let tokens = bytes().into_iter().chain([vec![]]);

        assert_eq!(Vocab::new(tokens).unwrap_err(), Error::EmptyToken { rank: 256 });
    }
}
