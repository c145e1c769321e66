//! Documents to counted pieces, on all cores.
//!
//! Memory grows with the distinct pieces, not with the corpus. Twin of `pytok/reference/count.py`.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::{Error, Pattern};

/// How often each piece occurs in the documents seen so far.
#[derive(Debug)]
pub struct PieceCounts {
    pattern: Pattern,
    counts: FxHashMap<Box<[u8]>, u64>,
}

impl PieceCounts {
    /// No counts yet; documents will be split by *pattern*.
    ///
    /// # Errors
    /// When *pattern* does not compile.
    pub fn new(pattern: &str) -> Result<Self, Error> {
        Ok(Self { pattern: Pattern::new(pattern)?, counts: FxHashMap::default() })
    }

    /// Counts the pieces of *texts*, each a document by itself: no piece spans two of them.
    ///
    /// # Errors
    /// When the pattern fails on a text; then none of *texts* is counted.
    ///
    /// ```
    /// let mut counts = pytok_bpe::PieceCounts::new("gpt2")?;
    /// counts.add(&["hello hello", " hello"])?;
    /// assert_eq!(counts.get(b" hello"), 2);
    /// # Ok::<(), pytok_bpe::Error>(())
    /// ```
    pub fn add<T: AsRef<str> + Sync>(&mut self, texts: &[T]) -> Result<(), Error> {
        self.add_unless(texts, || Ok(()))
    }

    /// Like [`add`](Self::add), and breaks off when *watch*, asked at each piece, returns an error.
    ///
    /// # Errors
    /// Those of `add`, and *watch*'s; then none of *texts* is counted.
    pub fn add_unless<T: AsRef<str> + Sync>(
        &mut self,
        texts: &[T],
        watch: impl Fn() -> Result<(), Error> + Sync,
    ) -> Result<(), Error> {
        let share = texts.len().div_ceil(rayon::current_num_threads()).max(1);
        let partial: Vec<FxHashMap<&str, u64>> = texts
            .par_chunks(share)
            .map(|texts| {
                let mut counts = FxHashMap::default();
                for text in texts {
                    self.pattern.split(text.as_ref(), |piece| {
                        *counts.entry(piece).or_insert(0) += 1;
                        watch()
                    })?;
                }
                Ok(counts)
            })
            .collect::<Result<_, Error>>()?;
        for counts in partial {
            #[expect(clippy::iter_over_hash_type, reason = "a sum does not depend on order")]
            for (piece, count) in counts {
                match self.counts.get_mut(piece.as_bytes()) {
                    Some(sum) => *sum += count,
                    None => drop(self.counts.insert(piece.as_bytes().into(), count)),
                }
            }
        }
        Ok(())
    }

    /// How often *piece* occurred.
    #[must_use]
    pub fn get(&self, piece: &[u8]) -> u64 {
        self.counts.get(piece).copied().unwrap_or(0)
    }

    /// How many distinct pieces there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// True until a piece is counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Each distinct piece and its count, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.counts.iter().map(|(piece, &count)| (&**piece, count))
    }
}
