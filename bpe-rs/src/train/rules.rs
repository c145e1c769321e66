//! The rules of merging, and the order of candidates that follows from them.

use std::cmp::{Ordering, Reverse};

use super::pairs::Occurrences;
use super::Candidate;

/// Which pairs can be merged, and which of equally frequent pairs is merged first. The default is
/// plain byte pair encoding with the ties of Hugging Face.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MergeRules {
    /// Which of equally frequent pairs is merged first.
    pub ties: Ties,
    /// A pair that occurs less often is never merged.
    pub min_frequency: u64,
    /// Merges make only tokens of fewer bytes than this: Hugging Face's `max_token_length`. No
    /// limit if `None`.
    pub max_token_length: Option<usize>,
    /// Only this many characters, the most frequent, take part in merges; of equally frequent
    /// characters those of the smallest code points. The bytes of all others stay as the base
    /// encodes them. No limit if `None`.
    pub limit_alphabet: Option<usize>,
}

/// Which of equally frequent pairs is merged first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ties {
    /// The smallest pair of ranks: Hugging Face's `BpeTrainer`, with bytes in GPT-2's order.
    #[default]
    HuggingFace,
    /// The smallest pair, with bytes ordered by value: `rustbpe`.
    RustBpe,
    /// The pair that occurs first in the corpus as merged so far: minbpe's `RegexTokenizer`, and
    /// tiktoken's `_educational`. The pieces must be in the order of their first occurrence.
    First,
    /// The greatest pair of byte strings: assignment 1 of Stanford's CS336.
    Cs336,
}

/// Order of a pair among those of equal count: the greatest is merged first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Smallest(Reverse<(u32, u32)>),
    Greatest(Box<(Vec<u8>, Vec<u8>)>),
}

impl Ties {
    /// Returns the rule named `hf`, `rustbpe`, `first` or `cs336`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "hf" => Some(Self::HuggingFace),
            "rustbpe" => Some(Self::RustBpe),
            "first" => Some(Self::First),
            "cs336" => Some(Self::Cs336),
            _ => None,
        }
    }

    /// The key of the pair of *occurrences*, which have just been recounted.
    pub(super) fn key(self, occurrences: &Occurrences, tokens: &[Vec<u8>]) -> Key {
        let (left, right) = occurrences.pair;
        let token = |rank: u32| &tokens[rank as usize];
        match self {
            Self::HuggingFace => Key::Smallest(Reverse((left, right))),
            Self::RustBpe => {
                let id = |rank| match token(rank)[..] {
                    [byte] => u32::from(byte),
                    _ => 256 + rank,
                };
                Key::Smallest(Reverse((id(left), id(right))))
            }
            Self::First => Key::Smallest(Reverse((occurrences.starts[0], 0))),
            Self::Cs336 => Key::Greatest(Box::new((token(left).clone(), token(right).clone()))),
        }
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.count.cmp(&other.count).then_with(|| self.key.cmp(&other.key))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}
