//! Tokenizer files, read at the speed of memory.
//!
//! The readers in Python, `pytok/formats/`, are complete and have the error messages. Those here
//! read what other software writes, and return `None` for everything else: a malformed file, and
//! one that is merely unusual. The reader in Python then reads it, or rejects it with the reason.

mod merge_list;
mod ranks;
mod tokenizer_json;

pub use merge_list::Assembled;
pub use ranks::parse_ranks;
pub use tokenizer_json::TokenizerJson;
