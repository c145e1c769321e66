//! Everything that can go wrong in this crate, as values.
//!
//! Where the Python twin (`pytok/reference`) can fail in the same way, its words are the same; what
//! a regex engine explains is its own. The exceptions are those of `pytok/errors.py`.

use std::fmt;

/// What a caller can do wrong, and what a watcher can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A vocabulary lists the same bytes twice.
    DuplicateToken {
        /// The bytes.
        token: Vec<u8>,
        /// The rank that has them already.
        first: usize,
        /// The rank that has them again.
        second: usize,
    },
    /// A vocabulary lists an empty token.
    EmptyToken {
        /// Its rank.
        rank: usize,
    },
    /// A vocabulary lacks one of the 256 bytes, so some text could not be encoded.
    MissingByte {
        /// The byte.
        byte: u8,
    },
    /// A vocabulary is larger than 32-bit ranks and offsets can hold.
    VocabTooLarge,
    /// There are more or fewer ids than tokens.
    IdCount {
        /// How many tokens there are.
        tokens: usize,
        /// How many ids there are.
        ids: usize,
    },
    /// Two tokens, ordinary or special, have the same id.
    DuplicateId {
        /// The id.
        id: u32,
    },
    /// A special token is the empty string.
    EmptySpecial,
    /// A pattern does not compile.
    Pattern {
        /// The regex engine's explanation.
        reason: String,
    },
    /// A pattern gave up on a text, as backtracking engines do on long repetitions.
    PatternFailed {
        /// Where in the text, in bytes.
        at: usize,
        /// The regex engine's explanation.
        reason: String,
    },
    /// A pattern matched the empty string, which splits nothing.
    EmptyMatch {
        /// Where in the text, in bytes.
        at: usize,
    },
    /// An id that the vocabulary does not have.
    UnknownId {
        /// The id.
        id: u32,
    },
    /// A vocabulary size that leaves no room for the tokens to begin with.
    SizeTooSmall {
        /// The size asked for.
        size: usize,
        /// How many tokens there are to begin with.
        least: usize,
    },
    /// A vocabulary to go on from has a token that its merges do not make.
    UnmadeToken {
        /// The token.
        token: Vec<u8>,
        /// Its rank.
        rank: usize,
    },
    /// A corpus whose distinct pieces have more bytes than 32 bits can number.
    TooManyPieces,
    /// Counts of pieces whose sum has more than 64 bits.
    CountsTooLarge,
    /// The watcher asked to stop.
    Interrupted,
}

impl Error {
    /// The same error with its place in the text *bytes* further on: for a part of a text.
    #[must_use]
    pub(crate) fn moved_by(mut self, bytes: usize) -> Self {
        if let Self::PatternFailed { at, .. } | Self::EmptyMatch { at } = &mut self {
            *at += bytes;
        }
        self
    }
}

fn hexadecimal(token: &[u8]) -> String {
    token.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateToken { token, first, second } => {
                let token = hexadecimal(token);
                write!(f, "the token {token} occurs twice, at ranks {first} and {second}")
            }
            Self::EmptyToken { rank } => write!(f, "the token at rank {rank} is empty"),
            Self::MissingByte { byte } => write!(
                f,
                "the byte 0x{byte:02x} is no token: a vocabulary needs all 256 bytes, or some text \
                 could not be encoded"
            ),
            Self::VocabTooLarge => write!(f, "the vocabulary is larger than 4 GiB"),
            Self::IdCount { tokens, ids } => {
                write!(f, "{tokens} tokens need as many ids, not {ids}")
            }
            Self::DuplicateId { id } => write!(f, "two tokens have the id {id}"),
            Self::EmptySpecial => write!(f, "a special token is the empty string"),
            Self::Pattern { reason } => write!(f, "the pattern does not compile: {reason}"),
            Self::PatternFailed { at, reason } => {
                write!(f, "the pattern fails on the text at byte {at}: {reason}")
            }
            Self::EmptyMatch { at } => write!(
                f,
                "the pattern matches the empty string at byte {at}: each match must take at least \
                 one character"
            ),
            Self::UnknownId { id } => write!(f, "Invalid token for decoding: {id}"),
            Self::SizeTooSmall { size, least } => {
                write!(
                    f,
                    "a vocabulary of {size} is too small: there are {least} tokens to begin with"
                )
            }
            Self::UnmadeToken { token, rank } => {
                write!(f, "training cannot go on from a vocabulary whose token {} at rank {rank} no merge of lower ranks makes", hexadecimal(token))
            }
            Self::TooManyPieces => write!(
                f,
                "the distinct pieces of the corpus have more bytes than 32 bits can number"
            ),
            Self::CountsTooLarge => {
                write!(f, "the counts of the pieces add up to more than 64 bits hold")
            }
            Self::Interrupted => write!(f, "interrupted"),
        }
    }
}

impl std::error::Error for Error {}
