//! Further splits of the pieces that a pattern gives. Twin of `pytok/reference/split.py`.

use std::ops::Range;

use crate::vocab::letter_of;
use crate::{Budget, Error, Pattern};

/// What becomes of the matches of a split; the names are those of Hugging Face's tokenizers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behavior {
    Isolated,
    Removed,
    MergedWithPrevious,
    MergedWithNext,
    Contiguous,
}

/// A split of every piece at the matches of a pattern.
#[derive(Debug)]
pub struct Split {
    pattern: Pattern,
    behavior: Behavior,
    /// Whether what the pattern does not match counts as the matches.
    invert: bool,
    /// Whether a piece is matched as the letters that stand for its bytes.
    letters: bool,
}

impl Split {
    /// Compiles a split. *behavior* is `isolated`, `removed`, `merged_with_previous`,
    /// `merged_with_next` or `contiguous`. With *letters* the pattern sees one letter for each byte,
    /// so pieces can be parts of characters.
    ///
    /// # Errors
    /// For another behavior, and for a pattern that does not compile.
    pub fn new(pattern: &str, behavior: &str, invert: bool, letters: bool) -> Result<Self, Error> {
        let behavior = match behavior {
            "isolated" => Behavior::Isolated,
            "removed" => Behavior::Removed,
            "merged_with_previous" => Behavior::MergedWithPrevious,
            "merged_with_next" => Behavior::MergedWithNext,
            "contiguous" => Behavior::Contiguous,
            _ => return Err(Error::UnknownBehavior { behavior: behavior.to_owned() }),
        };
        Ok(Self { pattern: Pattern::new(pattern)?, behavior, invert, letters })
    }

    /// Splits *piece* of *text*, and appends the pieces that it becomes to *pieces*.
    pub(crate) fn apply(
        &self,
        text: &str,
        piece: Range<usize>,
        budget: &Budget<'_>,
        pieces: &mut Vec<Range<usize>>,
    ) -> Result<(), Error> {
        let mut parts = Vec::new();
        let first = piece.start;
        let matched = if self.letters {
            let letters: String = text.as_bytes()[piece].iter().map(|&b| letter_of(b)).collect();
            let mut end = first;
            self.pattern.split_marked(&letters, budget, |range, is_match| {
                let start = end;
                end += letters[range].chars().count();
                parts.push((start..end, is_match != self.invert));
            })
        } else {
            self.pattern.split_marked(&text[piece], budget, |range, is_match| {
                parts.push((first + range.start..first + range.end, is_match != self.invert));
            })
        };
        matched.map_err(|error| error.moved_by(first))?;
        if self.behavior == Behavior::MergedWithNext {
            parts.reverse();
        }
        let from = pieces.len();
        let mut was_match = false;
        for (range, is_match) in parts {
            let joins = match self.behavior {
                Behavior::Removed if is_match => continue,
                Behavior::Isolated | Behavior::Removed => false,
                Behavior::Contiguous => is_match == was_match,
                Behavior::MergedWithPrevious | Behavior::MergedWithNext => is_match && !was_match,
            };
            was_match = is_match;
            match pieces[from..].last_mut() {
                Some(last) if joins => {
                    *last = last.start.min(range.start)..last.end.max(range.end);
                }
                _ => pieces.push(range),
            }
        }
        if self.behavior == Behavior::MergedWithNext {
            pieces[from..].reverse();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(behavior: &str, invert: bool, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        let split = Split::new("-", behavior, invert, false).unwrap();
        split.apply(text, 0..text.len(), &Budget::default(), &mut found).unwrap();
        found.into_iter().map(|range| text[range].to_owned()).collect()
    }

    // The pieces are those of Hugging Face's documentation of `Split`.
    #[test]
    fn behaviors_are_those_of_tokenizers() {
        let text = "the-final--countdown";
        let expected = [
            ("removed", &["the", "final", "countdown"][..]),
            ("isolated", &["the", "-", "final", "-", "-", "countdown"]),
            ("merged_with_previous", &["the-", "final-", "-", "countdown"]),
            ("merged_with_next", &["the", "-final", "-", "-countdown"]),
            ("contiguous", &["the", "-", "final", "--", "countdown"]),
        ];
        for (behavior, expected) in expected {
            assert_eq!(pieces(behavior, false, text), expected, "{behavior}");
        }
    }

    #[test]
    fn an_inverted_split_that_removes_keeps_the_matches() {
        assert_eq!(pieces("removed", true, "a-b--"), ["-", "-", "-"]);
    }

    #[test]
    fn a_split_of_letters_can_split_a_character() {
        let mut found = Vec::new();
        let split = Split::new(r"\p{N}", "isolated", false, true).unwrap();

        split.apply("-a²", 1..4, &Budget::default(), &mut found).unwrap();

        assert_eq!(found, [1..3, 3..4]); // the letter of the byte 0xb2 is "²"
    }

    #[test]
    fn an_unknown_behavior_is_an_error() {
        let split = Split::new("-", "dropped", false, false);
        assert!(matches!(split, Err(Error::UnknownBehavior { .. })));
    }
}
