//! All errors of this crate, as values.
//!
//! Where the Python twin (`pytok/reference`) can fail in the same way, it raises the same words;
//! only the explanations of a regex engine are its own. The exceptions are those of
//! `pytok/errors.py`.

use std::path::{Path, PathBuf};
use std::{fmt, io};

/// An invalid request or input, or an interruption by the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A vocabulary lists the same bytes twice.
    DuplicateToken {
        /// The bytes.
        token: Vec<u8>,
        /// The first rank with these bytes.
        first: usize,
        /// The second rank with these bytes.
        second: usize,
    },
    /// A vocabulary lists an empty token.
    EmptyToken {
        /// Its rank.
        rank: usize,
    },
    /// A text has a byte that the vocabulary lacks.
    MissingByte {
        /// Offset in the text, in bytes.
        offset: usize,
        /// The byte.
        byte: u8,
    },
    /// A vocabulary is larger than 32-bit ranks and offsets can hold.
    VocabTooLarge,
    /// The numbers of ids and of tokens differ.
    IdCount {
        /// The number of tokens.
        tokens: usize,
        /// The number of ids.
        ids: usize,
    },
    /// Two tokens, ordinary or special, have the same id.
    DuplicateId {
        /// The id.
        id: u32,
    },
    /// A special token is the empty string.
    EmptySpecial,
    /// A step of normalization that does not exist, or has another number of arguments.
    UnknownStep {
        /// The step.
        step: String,
    },
    /// A behavior of a split that does not exist.
    UnknownBehavior {
        /// The behavior.
        behavior: String,
    },
    /// A pattern does not compile.
    Pattern {
        /// The explanation of the regex engine.
        reason: String,
    },
    /// A pattern failed on a text, as backtracking engines do on long repetitions.
    PatternFailed {
        /// Offset in the text, in bytes.
        offset: usize,
        /// The explanation of the regex engine.
        reason: String,
    },
    /// A pattern takes too long on a text; see `Budget`.
    PatternTooSlow {
        /// Offset in the text, in bytes.
        offset: usize,
    },
    /// A pattern matched the empty string, which splits nothing.
    EmptyMatch {
        /// Offset in the text, in bytes.
        offset: usize,
    },
    /// An id that the vocabulary does not have.
    UnknownId {
        /// The id.
        id: u32,
    },
    /// A vocabulary size below the number of initial tokens.
    SizeTooSmall {
        /// The requested size.
        size: usize,
        /// The number of initial tokens.
        initial: usize,
    },
    /// The distinct pieces of a corpus have more bytes in total than 32 bits can number.
    TooManyPieces,
    /// The counts of all pieces, each times its length, exceed 64 bits in total.
    CountsTooLarge,
    /// A file cannot be opened or read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The explanation of the operating system.
        reason: String,
        /// The number that the operating system gives the reason.
        code: Option<i32>,
    },
    /// A text file is not UTF-8.
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Offset in the file, in bytes.
        offset: u64,
        /// The invalid byte at that offset.
        byte: u8,
    },
    /// An error in the text of a file.
    InFile {
        /// The file.
        path: PathBuf,
        /// The error in its text.
        error: Box<Error>,
    },
    /// The count of a piece exceeds 63 bits.
    CountOverflow {
        /// The piece.
        piece: Vec<u8>,
    },
    /// Temporary files of counts cannot be written or read.
    Spill {
        /// The folder of temporary files.
        folder: PathBuf,
        /// The explanation of the operating system.
        reason: String,
    },
    /// The distinct pieces need more memory than the limit.
    TooLargeForMemory {
        /// Approximate number of bytes that they need.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// There is no memory for a long piece, or for all that was counted.
    OutOfMemory,
    /// The callback for progress stopped the work.
    Interrupted,
}

impl Error {
    /// Returns the error for a file at *path* that cannot be opened or read.
    pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::OutOfMemory {
            return Self::OutOfMemory;
        }
        // The number is a field of its own.
        let reason = error.to_string();
        let reason = reason.split(" (os error").next().unwrap_or_default().to_owned();
        Self::Unreadable { path: path.to_owned(), reason, code: error.raw_os_error() }
    }

    /// Returns the error with its offset increased by *bytes*: for an error in a part of a text.
    #[must_use]
    pub(crate) fn moved_by(mut self, bytes: usize) -> Self {
        if let Self::PatternFailed { offset, .. }
        | Self::PatternTooSlow { offset }
        | Self::EmptyMatch { offset }
        | Self::MissingByte { offset, .. } = &mut self
        {
            *offset += bytes;
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
            Self::MissingByte { offset, byte } => write!(
                f,
                "byte {offset} of the text is 0x{byte:02x}, which is not in the vocabulary, and \
                 there is no token for unknown bytes"
            ),
            Self::UnknownStep { step } => {
                write!(f, "{step:?} is not a step of normalization")
            }
            Self::UnknownBehavior { behavior } => {
                write!(f, "{behavior:?} is not a behavior of a split")
            }
            Self::VocabTooLarge => write!(f, "the vocabulary is larger than 4 GiB"),
            Self::IdCount { tokens, ids } => {
                write!(f, "there are {tokens} tokens but {ids} ids: give one id for each token")
            }
            Self::DuplicateId { id } => write!(f, "two tokens have the id {id}"),
            Self::EmptySpecial => write!(f, "a special token is the empty string"),
            Self::Pattern { reason } => write!(f, "the pattern does not compile: {reason}"),
            Self::PatternFailed { offset, reason } => {
                write!(f, "the pattern fails on the text at byte {offset}: {reason}")
            }
            Self::PatternTooSlow { offset } => write!(
                f,
                "the pattern takes too long on the text at byte {offset}: it matches the same text \
                 in too many ways; simplify its repeats"
            ),
            Self::EmptyMatch { offset } => write!(
                f,
                "the pattern matches the empty string at byte {offset}: each match must take at least \
                 one character"
            ),
            Self::UnknownId { id } => write!(f, "Invalid token for decoding: {id}"),
            Self::SizeTooSmall { size, initial } => {
                write!(
                    f,
                    "a vocabulary of {size} is too small: it starts with {initial} tokens"
                )
            }
            Self::TooManyPieces => write!(
                f,
                "the distinct pieces of the corpus have more bytes than 32 bits can number"
            ),
            Self::CountsTooLarge => {
                write!(f, "the counts of the pieces exceed 64 bits in total")
            }
            Self::Unreadable { path, reason, .. } => {
                write!(f, "{}: cannot be read: {reason}", path.display())
            }
            Self::NotUtf8 { path, offset: 0, byte: byte @ (0xFE | 0xFF) } => write!(
                f,
                "{}: byte 0 is not UTF-8 (0x{byte:02x}); the file starts like UTF-16: convert it with \
                 iconv -f UTF-16 -t UTF-8",
                path.display()
            ),
            Self::NotUtf8 { path, offset, byte } => write!(
                f,
                "{}: byte {offset} is not UTF-8 (0x{byte:02x}); convert the file, or pass \
                 errors='replace' (--errors replace)",
                path.display()
            ),
            Self::InFile { path, error } => write!(f, "{}: {error}", path.display()),
            Self::CountOverflow { piece } => write!(
                f,
                "the count of the piece {:?} exceeds 2^63 - 1: check the source of the counts",
                String::from_utf8_lossy(piece)
            ),
            Self::Spill { folder, reason } => write!(
                f,
                "{}: cannot keep counts in temporary files: {reason}; free space, set TMPDIR to \
                 another folder, or raise max_memory (--max-memory)",
                folder.display()
            ),
            Self::TooLargeForMemory { bytes, limit } => write!(
                f,
                "the distinct pieces need about {} MiB of memory, but the limit is {} MiB: raise \
                 max_memory (--max-memory), or drop rare pieces: prune=2 (--prune 2) drops those \
                 that occur once",
                bytes.div_ceil(1 << 20),
                limit.div_ceil(1 << 20),
            ),
            Self::OutOfMemory => write!(f, "out of memory"),
            Self::Interrupted => write!(f, "interrupted"),
        }
    }
}

impl std::error::Error for Error {}
