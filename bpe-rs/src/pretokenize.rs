//! Patterns, which split a text into pieces before any byte pair is merged.
//!
//! The known patterns have their own splitters (`scan`). Any other pattern runs on `fancy_regex`,
//! the engine of tiktoken. Twin of `pytok/reference/pretokenize.py`.

mod custom;

use std::ops::Range;

pub(crate) use custom::{compile, find};

use custom::fill;

use crate::scan::{self, Ends, Scanner};
use crate::{Budget, Error};

/// GPT-2's pattern, as spelled in tiktoken.
pub const GPT2: &str =
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s";

/// GPT-4's pattern, as spelled in tiktoken.
pub const CL100K: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s";

/// GPT-4o's pattern, as spelled in tiktoken.
pub const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Llama-3's pattern, as spelled in its `tokenizer.json`.
pub const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The pattern of Qwen2, Qwen2.5 and Qwen3, as spelled in their `tokenizer.json`.
pub const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The names of the known patterns, and their regexes.
pub const PATTERNS: [(&str, &str); 5] =
    [("gpt2", GPT2), ("cl100k", CL100K), ("o200k", O200K), ("llama3", LLAMA3), ("qwen2", QWEN2)];

/// Returns the regex of a known name, and any other *pattern* unchanged.
///
/// ```
/// assert_eq!(pytok_bpe::resolve("gpt2"), pytok_bpe::GPT2);
/// assert_eq!(pytok_bpe::resolve(r"\w+"), r"\w+");
/// ```
#[must_use]
pub fn resolve(pattern: &str) -> &str {
    PATTERNS.iter().find(|(name, _)| *name == pattern).map_or(pattern, |(_, regex)| regex)
}

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern {
    regex: String,
    matcher: Matcher,
}

#[derive(Debug)]
enum Matcher {
    Known(Scanner),
    Custom(fancy_regex::Regex),
}

impl Pattern {
    /// Compiles *pattern*: a known name (see [`PATTERNS`]), or a regex in the syntax of the `regex`
    /// crate with look-around and possessive quantifiers.
    ///
    /// # Errors
    /// When the regex does not compile.
    pub fn new(pattern: &str) -> Result<Self, Error> {
        let regex = resolve(pattern);
        let matcher = match regex {
            GPT2 => Matcher::Known(Scanner::Gpt2),
            CL100K => Matcher::Known(Scanner::Cl100k),
            O200K => Matcher::Known(Scanner::O200k),
            LLAMA3 => Matcher::Known(Scanner::Llama3),
            QWEN2 => Matcher::Known(Scanner::Qwen2),
            _ => Matcher::Custom(compile(regex)?),
        };
        Ok(Self { regex: regex.to_owned(), matcher })
    }

    /// Returns the regex as it was given, or that of the known name.
    #[must_use]
    pub fn regex(&self) -> &str {
        &self.regex
    }

    /// Calls *sink* with each piece of *text*, in order; the pieces concatenate to the text.
    ///
    /// Text that a custom pattern does not match forms a piece as well, as in Hugging Face's
    /// `Split` with `isolated`; nothing is dropped.
    ///
    /// # Errors
    /// When a custom pattern fails on the text or matches the empty string, and any error of
    /// *sink*.
    ///
    /// ```
    /// let pattern = pytok_bpe::Pattern::new("gpt2")?;
    /// let mut pieces = Vec::new();
    /// pattern.split("It's 2 o'clock", |piece| {
    ///     pieces.push(piece);
    ///     Ok(())
    /// })?;
    /// assert_eq!(pieces, ["It", "'s", " 2", " o", "'", "clock"]);
    /// # Ok::<(), pytok_bpe::Error>(())
    /// ```
    pub fn split<'t>(
        &self,
        text: &'t str,
        mut sink: impl FnMut(&'t str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (mut ends, budget) = (Ends::new(), Budget::default());
        budget.start(text.len());
        let mut start = 0;
        while start < text.len() {
            self.fill(text, start, &mut ends, &budget)?;
            for &end in ends.as_slice() {
                sink(&text[start..end])?;
                start = end;
            }
        }
        Ok(())
    }

    /// Calls *sink* with the range of each piece of *text*, and whether the pattern matches it.
    pub(crate) fn split_marked(
        &self,
        text: &str,
        budget: &Budget<'_>,
        mut sink: impl FnMut(Range<usize>, bool),
    ) -> Result<(), Error> {
        let mut start = 0;
        match &self.matcher {
            // The known patterns match every character.
            Matcher::Known(_) => self.split(text, |piece| {
                sink(start..start + piece.len(), true);
                start += piece.len();
                Ok(())
            }),
            Matcher::Custom(regex) => {
                while let Some(found) = find(regex, text, start, budget)? {
                    if start < found.start {
                        sink(start..found.start, false);
                    }
                    start = found.end;
                    sink(found, true);
                }
                if start < text.len() {
                    sink(start..text.len(), false);
                }
                Ok(())
            }
        }
    }

    /// The first position in *text* at or after *near* at which it can be cut so that both sides
    /// split as the whole does, or `None`. Texts are never cut for a custom pattern.
    pub(crate) fn cut(&self, text: &str, near: usize) -> Option<usize> {
        match &self.matcher {
            Matcher::Known(_) => scan::cut(text, near),
            Matcher::Custom(_) => None,
        }
    }

    /// Finds the ends of the pieces of *text* from *at* on, where a piece starts, until
    /// `Ends::ENOUGH` are found or the text ends. The last end is where the next call continues.
    ///
    /// # Errors
    /// When a custom pattern fails on the text or matches the empty string.
    pub(crate) fn fill(
        &self,
        text: &str,
        at: usize,
        ends: &mut Ends,
        budget: &Budget<'_>,
    ) -> Result<(), Error> {
        match &self.matcher {
            Matcher::Known(scanner) => scanner.fill(text, at, ends),
            Matcher::Custom(regex) => fill(regex, text, at, ends, budget)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces<'t>(pattern: &Pattern, text: &'t str) -> Vec<&'t str> {
        let mut pieces = Vec::new();
        let collect = |piece| {
            pieces.push(piece);
            Ok(())
        };
        pattern.split(text, collect).unwrap();
        pieces
    }

    #[test]
    fn known_patterns_split_as_the_backtracking_engine_that_tiktoken_runs() {
        let texts = "([ \t\r\n\u{a0}\u{3000}]|[a-zA-Z']|['’][sStTlLvVrReEſ]|[0-9٣]|[!/.,]|\\PC|\\p{M}|\\p{Lt}){0,30}";
        for (name, regex) in PATTERNS {
            let ours = Pattern::new(name).unwrap();
            let theirs = fancy_regex::Regex::new(regex).unwrap();
            proptest!(|(text in texts)| {
                let expected: Vec<_> =
                    theirs.find_iter(&text).map(|found| found.unwrap().as_str()).collect();
                prop_assert_eq!(pieces(&ours, &text), expected, "{}", name);
            });
        }
    }

    #[test]
    fn a_million_spaces_before_a_word_split_before_the_last() {
        let text = " ".repeat(1_000_000) + "x";
        for (name, _) in PATTERNS {
            let lengths: Vec<_> =
                pieces(&Pattern::new(name).unwrap(), &text).iter().map(|p| p.len()).collect();
            assert_eq!(lengths, [999_999, 2], "{name}");
        }
    }

    #[test]
    fn text_that_a_custom_pattern_does_not_match_is_a_piece() {
        let pattern = Pattern::new(r"\d+").unwrap();

        assert_eq!(pieces(&pattern, "a12b"), ["a", "12", "b"]);
    }

    #[test]
    fn a_custom_pattern_that_matches_the_empty_string_is_an_error() {
        let pattern = Pattern::new("a*").unwrap();

        assert_eq!(pattern.split("aab", |_| Ok(())), Err(Error::EmptyMatch { offset: 2 }));
        assert_eq!(pieces(&pattern, "aa"), ["aa"]); // an empty match at the end splits nothing
    }

    #[test]
    fn a_pattern_that_backtracks_exponentially_fails_instead_of_hanging() {
        let pattern = Pattern::new(r"(?:(?=x)x+x+)+y|[\s\S]").unwrap();

        let error = pattern.split(&"x".repeat(60), |_| Ok(())).unwrap_err();

        assert_eq!(error, Error::PatternTooSlow { offset: 0 });
    }

    #[test]
    fn a_pattern_that_does_not_compile_is_an_error() {
        assert!(matches!(Pattern::new("(").unwrap_err(), Error::Pattern { .. }));
    }
}
