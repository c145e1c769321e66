//! Custom patterns, which run on `fancy_regex`, the engine of tiktoken.

use std::ops::Range;

use crate::scan::Ends;
use crate::{Budget, Error};

/// Maximum number of parts that a custom pattern has when its repeats are written out: what the
/// engine runs through, or builds an automaton of, before it takes a character. Hugging Face's
/// engine has the same limit for a single repeat.
const MAX_PARTS: u64 = 100_000;

/// Compiles a custom pattern.
pub(crate) fn compile(regex: &str) -> Result<fancy_regex::Regex, Error> {
    if count_parts(regex) > MAX_PARTS {
        return Err(Error::Pattern {
            reason: format!(
                "with its repeats written out it has more than {MAX_PARTS} parts; use smaller counts"
            ),
        });
    }
    fancy_regex::RegexBuilder::new(regex)
        .backtrack_limit(usize::MAX) // `Budget` limits it
        .max_prog_size(4 * MAX_PARTS as usize) // subroutine calls are written out, too
        .build()
        .map_err(|error| Error::Pattern { reason: error.to_string() })
}

/// Returns the approximate number of parts of *regex* with its repeats written out: characters,
/// classes and assertions.
fn count_parts(regex: &str) -> u64 {
    // The parts of the group so far, and of its last item, to which a repeat applies.
    let (mut parts, mut last) = (0_u64, 0_u64);
    let mut outside = Vec::new();
    let mut rest = regex;
    while !rest.is_empty() {
        let (item, after) = rest.split_at(item_length(rest));
        rest = after;
        let before = parts - last;
        match (item, repeats_of(item)) {
            ("(", _) => {
                outside.push(parts);
                (parts, last) = (0, 0);
            }
            (")", _) => {
                let before = outside.pop().unwrap_or(0);
                (parts, last) = (parts.saturating_add(before), parts);
            }
            ("*" | "+" | "?" | "|", _) => {}
            (_, Some(repeats)) => {
                last = last.saturating_mul(repeats);
                parts = before.saturating_add(last);
            }
            _ => (parts, last) = (parts.saturating_add(1), 1),
        }
    }
    outside.into_iter().fold(parts, u64::saturating_add)
}

/// The length of the first item of *regex*: an escape, a set, the counts of a repeat, or a
/// character.
fn item_length(regex: &str) -> usize {
    let first = regex.chars().next().map_or(0, char::len_utf8);
    let after = |end: char| regex.find(end).map_or(first, |at| at + 1);
    match regex.as_bytes() {
        [b'\\', b'p' | b'P' | b'x' | b'u' | b'U', b'{', ..] => after('}'),
        [b'\\', ..] => regex.chars().take(2).map(char::len_utf8).sum(),
        [b'{', ..] if repeats_of(&regex[..after('}')]).is_some() => after('}'),
        [b'[', ..] => {
            let mut depth = 0;
            let mut escaped = false;
            for (at, character) in regex.char_indices() {
                // A bracket that is first in a set is one of its characters.
                let is_first = matches!(&regex[..at], "[" | "[^");
                match character {
                    _ if escaped => escaped = false,
                    '\\' => escaped = true,
                    '[' => depth += 1,
                    ']' if !is_first => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    return at + 1;
                }
            }
            regex.len()
        }
        _ => first,
    }
}

/// The larger count of a repeat such as `{1,3}`, at least 1; `None` for another item.
fn repeats_of(item: &str) -> Option<u64> {
    let counts = item.strip_prefix('{')?.strip_suffix('}')?;
    let mut most = None;
    for count in counts.splitn(2, ',').map(str::trim).filter(|count| !count.is_empty()) {
        if !count.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        most = most.max(Some(count.parse().unwrap_or(u64::MAX).max(1)));
    }
    most
}

/// `Pattern::fill` of a custom pattern. PERF: inlined, it would slow down the loop of known ones.
#[inline(never)]
pub(super) fn fill(
    regex: &fancy_regex::Regex,
    text: &str,
    mut at: usize,
    ends: &mut Ends,
    budget: &Budget<'_>,
) -> Result<(), Error> {
    ends.clear();
    while at < text.len() && ends.as_slice().len() < Ends::ENOUGH {
        let Some(found) = find(regex, text, at, budget)? else {
            ends.push(text.len());
            break;
        };
        if at < found.start {
            ends.push(found.start);
        }
        ends.push(found.end);
        at = found.end;
    }
    Ok(())
}

/// The next match of a custom pattern in *text*, at or after *start*; never at the end of the text.
pub(crate) fn find(
    regex: &fancy_regex::Regex,
    text: &str,
    start: usize,
    budget: &Budget<'_>,
) -> Result<Option<Range<usize>>, Error> {
    let watched = Watched { text, budget };
    let found = budget
        .limit(|| regex.find_from_pos(&watched, start))
        .map_err(|error| error.moved_by(start))?
        .map_err(|error| Error::PatternFailed { offset: start, reason: error.to_string() })?;
    match found {
        Some(found) if found.start < text.len() => {
            if found.is_empty() {
                return Err(Error::EmptyMatch { offset: found.start });
            }
            Ok(Some(found))
        }
        _ => Ok(None),
    }
}

/// A text that counts how often the regex engine looks at it.
struct Watched<'t> {
    text: &'t str,
    budget: &'t Budget<'t>,
}

impl fancy_regex::Input for Watched<'_> {
    type Match<'m>
        = Range<usize>
    where
        Self: 'm;

    fn len(&self) -> usize {
        self.text.len()
    }

    fn as_bytes(&self) -> &[u8] {
        self.budget.step();
        self.text.as_bytes()
    }

    fn is_char_boundary(&self, at: usize) -> bool {
        self.text.is_char_boundary(at)
    }

    fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }

    fn prev_codepoint_ix(&self, at: usize) -> usize {
        self.text.prev_codepoint_ix(at)
    }

    fn make_match<'m>(&'m self, start: usize, end: usize) -> Range<usize> {
        start..end
    }

    fn advance_position(&self, at: usize) -> usize {
        self.text.advance_position(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pattern;

    #[test]
    fn the_searches_of_a_text_have_one_budget() {
        // No search of these takes as many steps as there are before the clock is read.
        let texts = ["xxxxx ".repeat(1_000), "a".repeat(10_000)];
        for (pattern, text) in [r"(?:(?=x)x+x+)+y|[\s\S]", "a*b|a"].into_iter().zip(texts) {
            let (pattern, budget) = (Pattern::new(pattern).unwrap(), Budget::short());

            let error = pattern.split_marked(&text, &budget, |_, _| ()).unwrap_err();

            assert!(matches!(error, Error::PatternTooSlow { offset: 1.. }), "{error:?}");
        }
    }

    #[test]
    fn a_search_through_a_long_text_without_a_match_is_no_error() {
        let text = "some words ".repeat(1_000_000);
        let budget = Budget::default();
        budget.start(text.len());

        assert_eq!(find(&compile(r"(?<=q)z(?!y)").unwrap(), &text, 0, &budget), Ok(None));
    }

    #[test]
    fn repeats_are_counted_as_if_they_were_written_out() {
        let counts = [
            ("", 0),
            ("abc", 3),
            (r"\p{L}{3}\x{61}{2,5}\d{,4}", 12),
            ("(?:ab{2}){10}", 40), // `:` counts as a character
            ("[]{9}]{2}[^]a{9}]", 3),
            (r"[a[b]{9}\]]{2}", 2),
            ("a{0}b{,}c{x}{", 10),
            ("((a{ 9 }){9}){9}", 729),
            ("a{99999999999999999999}b", u64::MAX),
            (")a{2}", 2),
        ];
        for (regex, parts) in counts {
            assert_eq!(count_parts(regex), parts, "{regex}");
        }
    }

    #[test]
    fn a_pattern_with_enormous_repeats_does_not_compile() {
        for regex in ["(?:a?+){9999999999}b", "(?:(?:a{1000}){1000}){1000}", "(?:a|){100001,}b"] {
            let error = Pattern::new(regex).unwrap_err().to_string();
            assert!(error.ends_with("more than 100000 parts; use smaller counts"), "{error}");
        }
    }

    #[test]
    fn a_pattern_that_calls_itself_in_many_ways_does_not_compile() {
        assert!(Pattern::new(r"(a\g<1>?\g<1>?\g<1>?b)").is_err());
    }
}
