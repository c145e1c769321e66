//! A vocabulary: byte strings in rank order, and the look-ups in both directions.
//!
//! The rank of a token is its priority as a merge: lower ranks merge first. Merges are not stored,
//! they follow from the tokens (`encode::merges`). Twin of `pytok/reference/vocab.py`.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use crate::Error;

/// A token's place in its vocabulary, and its priority as a merge.
pub type Rank = u32;

/// The 256 bytes in GPT-2's order, which is that of its ids 0-255: first the printable ones of
/// Latin-1, then the rest. Hugging Face's `ByteLevel` alphabet sorts the same way.
pub const BYTE_ORDER: [u8; 256] = byte_order();

const fn byte_order() -> [u8; 256] {
    let mut order = [0; 256];
    let mut length = 0;
    let mut printable = true;
    loop {
        let mut byte = 0_u8;
        loop {
            if matches!(byte, 33..=126 | 161..=172 | 174..=255) == printable {
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

/// Tokens in rank order, packed end to end; checked once, then frozen.
#[derive(Clone, Debug)]
pub struct Vocab {
    bytes: Vec<u8>,
    /// `ends[rank]` is where the token of *rank* ends in `bytes`; it begins where the last ended.
    ends: Vec<u32>,
    /// Holds ranks only; the bytes that are hashed and compared lie in `bytes`.
    ranks: HashTable<Rank>,
    longest: usize,
}

impl Vocab {
    /// Packs *tokens*, which come in rank order.
    ///
    /// # Errors
    /// When a token is empty or occurs twice, when one of the 256 bytes is missing, or when all
    /// of them together pass 4 GiB.
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
        let mut vocab =
            Self { bytes: Vec::new(), ends: Vec::new(), ranks: HashTable::new(), longest: 0 };
        for token in tokens {
            vocab.push(token.as_ref())?;
        }
        match (0..=255).find(|&byte| vocab.rank(&[byte]).is_none()) {
            Some(byte) => Err(Error::MissingByte { byte }),
            None => Ok(vocab),
        }
    }

    fn push(&mut self, token: &[u8]) -> Result<(), Error> {
        let rank = self.len();
        if token.is_empty() {
            return Err(Error::EmptyToken { rank });
        }
        if let Some(first) = self.rank(token) {
            let (token, first) = (token.to_vec(), first as usize);
            return Err(Error::DuplicateToken { token, first, second: rank });
        }
        self.bytes.extend_from_slice(token);
        let end = u32::try_from(self.bytes.len()).map_err(|_| Error::VocabTooLarge)?;
        self.ends.push(end);
        self.longest = self.longest.max(token.len());
        let Self { bytes, ends, ranks, .. } = self;
        let rehash = |&rank: &Rank| FxBuildHasher.hash_one(token_at(bytes, ends, rank as usize));
        ranks.insert_unique(FxBuildHasher.hash_one(token), rank as Rank, rehash);
        Ok(())
    }

    /// How many tokens there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Never true of a vocabulary that `new` made: the 256 bytes are always there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// What *rank* spells, if there is such a rank.
    #[must_use]
    pub fn token(&self, rank: Rank) -> Option<&[u8]> {
        let rank = rank as usize;
        (rank < self.len()).then(|| token_at(&self.bytes, &self.ends, rank))
    }

    /// The rank that spells *token*, if there is one.
    #[must_use]
    pub fn rank(&self, token: &[u8]) -> Option<Rank> {
        let same = |&rank: &Rank| token_at(&self.bytes, &self.ends, rank as usize) == token;
        self.ranks.find(FxBuildHasher.hash_one(token), same).copied()
    }

    /// All tokens in rank order.
    #[must_use]
    pub fn tokens(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|rank| token_at(&self.bytes, &self.ends, rank))
    }

    /// The length of the longest token in bytes: no longer candidate is worth a look-up.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.longest
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
    fn byte_order_begins_with_the_printable_bytes() {
        assert_eq!(&BYTE_ORDER[..3], b"!\"#");
        assert_eq!(BYTE_ORDER[188], 0);
        assert_eq!(BYTE_ORDER[220], b' ');
    }

    #[test]
    fn a_token_that_occurs_twice_is_refused() {
        let tokens = bytes().into_iter().chain([b"ab".to_vec(), b"ab".to_vec()]);

        let error = Vocab::new(tokens).unwrap_err();

        assert_eq!(error.to_string(), "the token 0x6162 occurs twice, at ranks 256 and 257");
    }

    #[test]
    fn a_missing_byte_is_refused() {
        assert_eq!(Vocab::new(&bytes()[1..]).unwrap_err(), Error::MissingByte { byte: b'!' });
    }

    #[test]
    fn an_empty_token_is_refused() {
        let tokens = bytes().into_iter().chain([vec![]]);

        assert_eq!(Vocab::new(tokens).unwrap_err(), Error::EmptyToken { rank: 256 });
    }
}
