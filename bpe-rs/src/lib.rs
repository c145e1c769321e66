//! Byte-level BPE: a trainer and an encoder.
//!
//! A [`Pattern`] splits a text into pieces; no merge crosses the border of a piece. Training counts
//! the pieces of a corpus ([`PieceCounts`]) and [`train`]s a [`Vocab`] on the counts; encoding
//! merges the bytes of each piece according to that vocabulary. A [`Core`] holds everything that a
//! tokenizer needs.
//!
//! ```
//! use std::ops::ControlFlow;
//! use pytok_bpe::{decode, train, Core, MergeRules, PieceCounts};
//!
//! let mut counts = PieceCounts::new("cl100k", &["<|endoftext|>"])?;
//! counts.add(&["the theme of the thesis", "then and there"])?;
//! let rules = MergeRules::default();
//! let vocab = train(&counts, 260, None, &rules, &|_| ControlFlow::Continue(()))?;
//!
//! let core = Core::new(vocab.tokens(), None, "cl100k", vec![("<|endoftext|>".into(), 260)])?;
//! let ids = core.encode("the end", None)?;
//! assert_eq!(decode(&core, &ids)?, b"the end");
//! # Ok::<(), pytok_bpe::Error>(())
//! ```
//!
//! Ids follow GPT-2: first the 256 bytes in [`BYTE_ORDER`], then one token a merge, in the order of
//! merging. Trained on the same pieces, merges equal those of Hugging Face's `BpeTrainer`; encoding
//! equals tiktoken's on any vocabulary. Each file of the algorithm has a twin of the same name in
//! `pytok/reference/`, in plain Python, that returns the same results.

mod added;
mod batch;
mod budget;
mod cache;
mod core;
mod count;
mod decode;
mod encode;
mod error;
mod files;
mod key;
mod memory;
mod normalize;
mod piece;
mod pretokenize;
#[cfg(feature = "python")]
mod python;
mod scan;
mod search;
mod split;
mod train;
mod vocab;

pub use crate::core::{Core, Parts};
pub use added::{AddedToken, Allowed};
pub use budget::Budget;
pub use count::PieceCounts;
pub use decode::decode;
pub use encode::{encode_piece, merges};
pub use error::Error;
pub use files::{parse_ranks, Assembled, TokenizerJson};
pub use normalize::Normalizer;
pub use piece::Unknown;
pub use pretokenize::{resolve, Pattern, CL100K, GPT2, LLAMA3, O200K, PATTERNS, QWEN2};
pub use search::Search;
pub use split::Split;
pub use train::{train, MergeRules, Ties};
pub use vocab::{Rank, Vocab, BYTE_ORDER};
