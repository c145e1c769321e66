//! Patterns: how a text is split into pieces before any byte pair is merged.
//!
//! The three known patterns run without look-ahead on a linear-time automaton, and the one thing
//! look-ahead decided, how a run of white space ends, is decided by hand. Any other pattern runs
//! on `fancy_regex` as it is. Twin of `pytok/reference/pretokenize.py`.

use std::ops::Range;

use regex_automata::meta::{Cache, Regex};
use regex_automata::util::pool::Pool;
use regex_automata::Input;

use crate::Error;

/// GPT-2's pattern, in tiktoken's spelling.
pub const GPT2: &str =
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s";

/// GPT-4's pattern, in tiktoken's spelling.
pub const CL100K: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s";

/// GPT-4o's pattern, in tiktoken's spelling.
pub const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The known patterns by name.
pub const PATTERNS: [(&str, &str); 3] = [("gpt2", GPT2), ("cl100k", CL100K), ("o200k", O200K)];

/// The regex behind *pattern*: its own if it is a known name, else *pattern* itself.
///
/// ```
/// assert_eq!(pytok_bpe::resolve("gpt2"), pytok_bpe::GPT2);
/// assert_eq!(pytok_bpe::resolve(r"\w+"), r"\w+");
/// ```
#[must_use]
pub fn resolve(pattern: &str) -> &str {
    PATTERNS.iter().find(|(name, _)| *name == pattern).map_or(pattern, |(_, regex)| regex)
}

/// What the automaton may keep of its states, for each thread that searches.
///
/// PERF: with the engine's default of 2 MiB, o200k on text with thousands of different characters
/// fills it again and again and falls back to a slower search: 0.4 MB/s instead of 17.
const CACHE_BYTES: usize = 8 << 20;

/// How often a custom pattern may step back in one search: under a second's worth. A pattern
/// whose cost doubles with each character then fails where it would seem to hang.
const PATIENCE: usize = 10_000_000;

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern {
    regex: String,
    matcher: Matcher,
}

#[derive(Debug)]
enum Matcher {
    Known { scanner: Scanner, space: Space },
    Custom(fancy_regex::Regex),
}

/// How a known pattern ends a run of white space that no other alternative took.
#[derive(Clone, Copy, Debug)]
enum Space {
    /// `\s++$|\s+(?!\S)|\s`
    Gpt2,
    /// `\s++$|\s*[\r\n]|\s+(?!\S)|\s`
    Cl100k,
    /// `\s*[\r\n]+|\s+(?!\S)|\s+`
    O200k,
}

impl Pattern {
    /// Compiles *pattern*: a known name (`gpt2`, `cl100k`, `o200k`), or a regex in the syntax of
    /// the `regex` crate with look-around and possessive quantifiers.
    ///
    /// # Errors
    /// When the regex does not compile.
    pub fn new(pattern: &str) -> Result<Self, Error> {
        let regex = resolve(pattern);
        let matcher = match regex {
            GPT2 => Matcher::known(GPT2, Space::Gpt2)?,
            CL100K => Matcher::known(CL100K, Space::Cl100k)?,
            O200K => Matcher::known(O200K, Space::O200k)?,
            _ => fancy_regex::RegexBuilder::new(regex)
                .backtrack_limit(PATIENCE)
                .build()
                .map(Matcher::Custom)
                .map_err(|error| Error::Pattern { reason: error.to_string() })?,
        };
        Ok(Self { regex: regex.to_owned(), matcher })
    }

    /// The regex that was compiled, in the spelling it was given in.
    #[must_use]
    pub fn regex(&self) -> &str {
        &self.regex
    }

    /// Hands each piece of *text* to *sink*, in order; the pieces concatenate to the text.
    ///
    /// Text that a custom pattern does not match is a piece of its own, as in Hugging Face's
    /// `Split` with `isolated`; nothing is dropped.
    ///
    /// # Errors
    /// When a custom pattern fails on the text or matches the empty string, and whatever *sink*
    /// returns.
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
        match &self.matcher {
            Matcher::Known { scanner, space } => {
                let mut cache = scanner.caches.get();
                let mut start = 0;
                while start < text.len() {
                    let found = scanner.find(&mut cache, text, start);
                    let end = start + space.trim(&text[found.clone()], found.end == text.len());
                    debug_assert_eq!(found.start, start, "a known pattern matches everywhere");
                    sink(&text[start..end])?;
                    start = end;
                }
            }
            Matcher::Custom(regex) => {
                let mut start = 0;
                while start < text.len() {
                    let found = regex.find_from_pos(text, start).map_err(|error| {
                        Error::PatternFailed { at: start, reason: error.to_string() }
                    })?;
                    let Some(found) = found.filter(|found| found.start() < text.len()) else {
                        break;
                    };
                    if found.start() == found.end() {
                        return Err(Error::EmptyMatch { at: found.start() });
                    }
                    if start < found.start() {
                        sink(&text[start..found.start()])?;
                    }
                    sink(found.as_str())?;
                    start = found.end();
                }
                if start < text.len() {
                    sink(&text[start..])?;
                }
            }
        }
        Ok(())
    }
}

impl Matcher {
    fn known(regex: &'static str, space: Space) -> Result<Self, Error> {
        // All alternatives from the first that begins with `\s` are white space's own; possessive
        // quantifiers change no match here (no alternative would match by giving back), and
        // the automaton has none.
        let words = regex.split_once(r"|\s").map_or(regex, |(words, _)| words);
        let words = words.replace("++", "+").replace("?+", "?").replace("*+", "*");
        let words = words.replace("{1,3}+", "{1,3}");
        let scanner = Scanner::new(&format!(r"{words}|\s+"))?;
        Ok(Self::Known { scanner, space })
    }
}

/// A linear-time automaton and its scratch space, one for each thread that searches.
struct Scanner {
    regex: Regex,
    caches: Pool<Cache, Box<dyn Fn() -> Cache + Send + Sync>>,
}

impl Scanner {
    fn new(pattern: &str) -> Result<Self, Error> {
        let regex = Regex::builder()
            .configure(Regex::config().hybrid_cache_capacity(CACHE_BYTES))
            .build(pattern)
            .map_err(|error| Error::Pattern { reason: error.to_string() })?;
        let maker = regex.clone();
        Ok(Self { regex, caches: Pool::new(Box::new(move || maker.create_cache())) })
    }

    /// The first match at or after *start*; to the end of the text if there is none.
    fn find(&self, cache: &mut Cache, text: &str, start: usize) -> Range<usize> {
        let input = Input::new(text).range(start..);
        self.regex.search_with(cache, &input).map_or(start..text.len(), |found| found.range())
    }
}

impl std::fmt::Debug for Scanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scanner").field("regex", &self.regex).finish_non_exhaustive()
    }
}

impl Space {
    /// How many bytes of *found* are the piece. Only a run of white space is ever shortened.
    fn trim(self, found: &str, at_end: bool) -> usize {
        let mut characters = found.chars();
        let run = characters.next().is_some_and(char::is_whitespace)
            && characters.next().is_none_or(char::is_whitespace);
        if !run {
            return found.len();
        }
        let past_newline = match self {
            Self::Gpt2 => None,
            // `\s++$` comes before `\s*[\r\n]` in cl100k, and after it in o200k.
            Self::Cl100k if at_end => None,
            Self::Cl100k | Self::O200k => found.rfind(['\r', '\n']).map(|newline| newline + 1),
        };
        match past_newline {
            Some(end) => end,
            None if at_end => found.len(),
            // `\s+(?!\S)` leaves the last character to the word that follows, `\s` takes a lone one.
            None => match found.char_indices().next_back() {
                Some((last, _)) if last > 0 => last,
                _ => found.len(),
            },
        }
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
    fn a_million_spaces_before_a_word_leave_one_to_it() {
        let text = " ".repeat(1_000_000) + "x";
        for (name, _) in PATTERNS {
            let lengths: Vec<_> =
                pieces(&Pattern::new(name).unwrap(), &text).iter().map(|p| p.len()).collect();
            assert_eq!(lengths, [999_999, 2], "{name}");
        }
    }

    #[test]
    fn what_a_custom_pattern_does_not_match_is_a_piece() {
        let pattern = Pattern::new(r"\d+").unwrap();

        assert_eq!(pieces(&pattern, "a12b"), ["a", "12", "b"]);
    }

    #[test]
    fn a_custom_pattern_that_matches_nothing_is_an_error() {
        let pattern = Pattern::new("a*").unwrap();

        assert_eq!(pattern.split("aab", |_| Ok(())), Err(Error::EmptyMatch { at: 2 }));
        assert_eq!(pieces(&pattern, "aa"), ["aa"]); // at the end it splits nothing
    }

    #[test]
    fn a_pattern_that_explodes_fails_instead_of_hanging() {
        let pattern = Pattern::new(r"(?:(?=x)x+x+)+y|[\s\S]").unwrap();

        let error = pattern.split(&"x".repeat(60), |_| Ok(())).unwrap_err();

        assert!(matches!(error, Error::PatternFailed { at: 0, .. }));
    }

    #[test]
    fn a_pattern_that_does_not_compile_is_an_error() {
        assert!(matches!(Pattern::new("(").unwrap_err(), Error::Pattern { .. }));
    }
}
