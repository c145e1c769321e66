//! Search for all special tokens in one pass over the text. Twin of `pytok/reference/search.py`.

use std::ops::Range;

use aho_corasick::{AhoCorasick, Anchored, Input, MatchKind, StartKind};

/// Finds the leftmost occurrence of any of several texts; at equal starts, the longest.
#[derive(Debug)]
pub struct Search {
    /// `None` if there are no texts.
    automaton: Option<AhoCorasick>,
    /// A filter in front of the automaton. `None` if the texts start with at most three different
    /// bytes: the automaton then skips to these bytes quickly by itself.
    blocks: Option<Blocks>,
}

impl Search {
    /// Prepares the search for *texts*, none of them empty.
    ///
    /// # Panics
    /// When the texts exceed 2 GiB in total.
    #[must_use]
    pub fn new<S: AsRef<str>>(texts: &[S]) -> Self {
        let texts: Vec<&[u8]> = texts.iter().map(|text| text.as_ref().as_bytes()).collect();
        let mut first: Vec<u8> = texts.iter().filter_map(|text| text.first().copied()).collect();
        first.sort_unstable();
        first.dedup();
        let build = || {
            AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .start_kind(StartKind::Both)
                .build(&texts)
                .expect("texts of less than 2 GiB in total")
        };
        Self {
            automaton: (!texts.is_empty()).then(build),
            blocks: (first.len() > 3).then(|| Blocks::new(&texts)),
        }
    }

    /// Returns the range of the first occurrence in *text*.
    ///
    /// ```
    /// let search = pytok_bpe::Search::new(&["<a>", "<a>b"]);
    /// assert_eq!(search.find("x<a>b"), Some(1..5));
    /// ```
    #[must_use]
    pub fn find(&self, text: &str) -> Option<Range<usize>> {
        self.find_from(text, 0).map(|(_, found)| found)
    }

    /// All occurrences, each with the index of its text; they do not overlap.
    pub(crate) fn find_all<'a>(
        &'a self,
        text: &'a str,
    ) -> impl Iterator<Item = (usize, Range<usize>)> + 'a {
        let mut from = 0;
        std::iter::from_fn(move || {
            let found = self.find_from(text, from)?;
            from = found.1.end;
            Some(found)
        })
    }

    fn find_from(&self, text: &str, mut from: usize) -> Option<(usize, Range<usize>)> {
        let automaton = self.automaton.as_ref()?;
        let found = if let Some(blocks) = &self.blocks {
            // The filter proposes ranges of starts; the anchored automaton verifies each start.
            loop {
                let starts = blocks.next(text.as_bytes(), from)?;
                from = starts.end;
                let mut here =
                    starts.map(|start| Input::new(text).range(start..).anchored(Anchored::Yes));
                if let Some(found) = here.find_map(|here| automaton.find(here)) {
                    break found;
                }
            }
        } else {
            automaton.find(Input::new(text).range(from..))?
        };
        Some((found.pattern().as_usize(), found.range()))
    }
}

/// A filter of positions at which one of many texts can start.
///
/// All texts are truncated to the length of the shortest, and all blocks of a few bytes in them are
/// recorded. Every occurrence contains at least one of the blocks that are `stride` bytes apart, so
/// only these are looked up. PERF: an automaton takes a step for each byte, each of which waits for
/// the one before.
#[derive(Debug)]
struct Blocks {
    /// A Bloom filter (Bloom 1970) with two bits for each recorded block.
    bits: Vec<u64>,
    /// Length of the shortest text in bytes, at most 64.
    window: usize,
    /// Length of a block in bytes: four, or less if the window is shorter.
    length: usize,
}

impl Blocks {
    /// Bits of an index into the filter: 1,000 texts of a dozen bytes set one bit in fifteen of 32
    /// KiB.
    const BITS: u32 = 18;

    fn new(texts: &[&[u8]]) -> Self {
        let window = texts.iter().map(|text| text.len()).min().unwrap_or(0).min(64);
        let length = window.min(4);
        let mut blocks = Self { bits: vec![0; 1 << (Self::BITS - 6)], window, length };
        for text in texts {
            for end in length..=window {
                for bit in Self::bits_of(blocks.block(text, end)) {
                    blocks.bits[bit / 64] |= 1 << (bit % 64);
                }
            }
        }
        blocks
    }

    /// The block of *text* that ends at *end*.
    #[inline(always)]
    fn block(&self, text: &[u8], end: usize) -> u32 {
        let mut four = [0; 4];
        if let Some(start) = end.checked_sub(4) {
            four = text[start..end].try_into().expect("four bytes");
        } else {
            four[4 - end..].copy_from_slice(&text[..end]);
        }
        u32::from_le_bytes(four) >> (32 - 8 * self.length)
    }

    /// The two bits of *block* in the filter.
    #[inline(always)]
    fn bits_of(block: u32) -> [usize; 2] {
        let hash = u64::from(block).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        [hash >> (64 - Self::BITS), hash << Self::BITS >> (64 - Self::BITS)].map(|bit| bit as usize)
    }

    /// The next range of starts in *text*, at or after *from*, that the filter cannot exclude.
    fn next(&self, text: &[u8], from: usize) -> Option<Range<usize>> {
        let end = (text.len() + 1).checked_sub(self.window)?;
        // An occurrence that starts at any of *stride* consecutive positions contains the block
        // that ends a window after the first of them.
        let stride = self.window - self.length + 1;
        let mut starts = from..from + stride;
        while starts.end <= end {
            let bits = Self::bits_of(self.block(text, starts.start + self.window));
            if bits.iter().all(|bit| self.bits[bit / 64] & 1 << (bit % 64) != 0) {
                return Some(starts);
            }
            starts = starts.end..starts.end + stride;
        }
        (starts.start < end).then_some(starts.start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn many_texts_are_found_where_a_plain_automaton_finds_them(
            texts in prop::collection::vec("[a-f<]{1,6}", 1..40),
            text in "[a-g<é]{0,80}",
        ) {
            let plain = AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(&texts)
                .unwrap();
            let expected: Vec<_> =
                plain.find_iter(&text).map(|found| (found.pattern().as_usize(), found.range())).collect();

            let search = Search::new(&texts);

            prop_assert_eq!(search.find_all(&text).collect::<Vec<_>>(), expected);
        }
    }
}
