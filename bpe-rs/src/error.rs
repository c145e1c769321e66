//! Everything that can go wrong in this crate, as values.
//!
//! Where the Python twin (`pytok/reference`) can fail in the same way, its words are the same; what
//! a regex engine explains is its own. The exceptions are those of `pytok/errors.py`.

use std::fmt;
use std::path::PathBuf;

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
    /// A vocabulary to go on from has a token that no merge of lower ranks makes.
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
    /// A file that cannot be opened or read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's explanation.
        reason: String,
    },
    /// A file of text that is not UTF-8.
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Where in the file, in bytes.
        at: u64,
        /// The byte that no character has there.
        byte: u8,
    },
    /// What went wrong with the text of a file.
    InFile {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        error: Box<Error>,
    },
    /// A piece that occurs more often than can be counted.
    CountOverflow {
        /// The piece.
        piece: Vec<u8>,
    },
    /// Counted pieces that went to disk cannot be written, or read again.
    Spill {
        /// Where temporary files are.
        folder: PathBuf,
        /// The system's explanation.
        reason: String,
    },
    /// The distinct pieces take more memory than they were given.
    TooLargeForMemory {
        /// How many bytes they take, about.
        bytes: usize,
        /// How many they may take.
        limit: usize,
    },
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
            Self::UnmadeToken { token, rank } => write!(
                f,
                "training cannot go on from a vocabulary with the token {}, at rank {rank}, which no \
                 merge of lower ranks makes",
                hexadecimal(token)
            ),
            Self::TooManyPieces => write!(
                f,
                "the distinct pieces of the corpus have more bytes than 32 bits can number"
            ),
            Self::CountsTooLarge => {
                write!(f, "the counts of the pieces add up to more than 64 bits hold")
            }
            Self::Unreadable { path, reason } => {
                write!(f, "{}: cannot be read: {reason}", path.display())
            }
            Self::NotUtf8 { path, at: 0, byte: byte @ (0xFE | 0xFF) } => write!(
                f,
                "{}: byte 0 is not UTF-8 (0x{byte:02x}); the file begins as UTF-16 does: convert it: iconv \
                 -f UTF-16 -t UTF-8",
                path.display()
            ),
            Self::NotUtf8 { path, at, byte } => write!(
                f,
                "{}: byte {at} is not UTF-8 (0x{byte:02x}); convert the file, or pass \
                 errors='replace' (--errors replace)",
                path.display()
            ),
            Self::InFile { path, error } => write!(f, "{}: {error}", path.display()),
            Self::CountOverflow { piece } => write!(
                f,
                "the piece {:?} is counted more than 2^63 times in all; that is no real count",
                String::from_utf8_lossy(piece)
            ),
            Self::Spill { folder, reason } => write!(
                f,
                "{}: counts that are too large for the memory cannot be kept here: {reason}; make \
                 room, name another folder in TMPDIR, or raise max_memory (--max-memory)",
                folder.display()
            ),
            Self::TooLargeForMemory { bytes, limit } => write!(
                f,
                "the distinct pieces take about {} MiB of memory, and {} MiB were given; raise \
                 max_memory (--max-memory), or drop rare pieces: prune=2 (--prune 2) drops those \
                 that occur once",
                bytes.div_ceil(1 << 20),
                limit.div_ceil(1 << 20),
            ),
            Self::Interrupted => write!(f, "interrupted"),
        }
    }
}

impl std::error::Error for Error {}
