//! Special tokens in text: all of them in one pass. Twin of `pytok/reference/search.py`.

use std::ops::Range;

use aho_corasick::{AhoCorasick, Anchored, Input, MatchKind, StartKind};

/// Finds the leftmost of some texts, and of those the longest.
#[derive(Debug)]
pub struct Search {
    /// `None` if there is nothing to find.
    automaton: Option<AhoCorasick>,
    /// `None` where the automaton skips quickly to the few bytes that the texts begin with.
    beginnings: Option<Beginnings>,
}

impl Search {
    /// Prepares the search for *texts*, none of them empty.
    ///
    /// # Panics
    /// When their texts together pass 2 GiB.
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
                .expect("texts of less than 2 GiB in all")
        };
        Self {
            automaton: (!texts.is_empty()).then(build),
            beginnings: (first.len() > 3).then(|| Beginnings::of(&texts)),
        }
    }

    /// Where in *text* the first is.
    ///
    /// ```
    /// let search = pytok_bpe::Search::new(&["<a>", "<a>b"]);
    /// assert_eq!(search.find("x<a>b"), Some(1..5));
    /// ```
    #[must_use]
    pub fn find(&self, text: &str) -> Option<Range<usize>> {
        self.find_from(text, 0).map(|(_, found)| found)
    }

    /// All of them, and which each is; they do not overlap.
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
        let found = if let Some(beginnings) = &self.beginnings {
            loop {
                from = beginnings.next(text.as_bytes(), from)?;
                let here = Input::new(text).range(from..).anchored(Anchored::Yes);
                if let Some(found) = automaton.find(here) {
                    break found;
                }
                from += 1;
            }
        } else {
            automaton.find(Input::new(text).range(from..))?
        };
        Some((found.pattern().as_usize(), found.range()))
    }
}

/// The beginnings of texts that begin in many ways: a bit for each hash of up to four bytes.
///
/// An automaton takes a step for each byte of the text that it searches, and waits for each; here
/// one byte does not wait for another.
#[derive(Debug)]
struct Beginnings {
    bits: Vec<u64>,
    /// How many bytes are hashed: four, or those of the shortest text.
    length: usize,
    mask: u32,
}

impl Beginnings {
    /// Bits of a hash: with 32 KiB of them few places are looked at in vain.
    const BITS: u32 = 18;

    fn of(texts: &[&[u8]]) -> Self {
        let length = texts.iter().map(|text| text.len()).min().unwrap_or(0).min(4);
        let mask = u32::MAX.checked_shr(32 - 8 * length as u32).unwrap_or(0);
        let mut beginnings = Self { bits: vec![0; 1 << (Self::BITS - 6)], length, mask };
        for text in texts {
            let mut four = [0; 4];
            four[..length].copy_from_slice(&text[..length]);
            let (word, bit) = beginnings.place(four);
            beginnings.bits[word] |= bit;
        }
        beginnings
    }

    #[inline]
    fn place(&self, four: [u8; 4]) -> (usize, u64) {
        let hash = (u32::from_le_bytes(four) & self.mask).wrapping_mul(0x9E37_79B1);
        let place = hash >> (32 - Self::BITS);
        (place as usize / 64, 1 << (place % 64))
    }

    /// The next place in *text*, from *from* on, where one of the texts may begin.
    fn next(&self, text: &[u8], from: usize) -> Option<usize> {
        let found = text[from..].windows(4).position(|four| {
            let (word, bit) = self.place([four[0], four[1], four[2], four[3]]);
            self.bits[word] & bit != 0
        });
        if let Some(found) = found {
            return Some(from + found);
        }
        // The last three bytes have no four: any of them will do.
        let last = from.max(text.len().saturating_sub(3));
        (text.len() - last >= self.length.max(1)).then_some(last)
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
