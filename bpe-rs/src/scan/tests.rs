//! The splitters against the regex engine that tiktoken runs.

use std::sync::LazyLock;

use super::*;
use crate::PATTERNS;
use proptest::prelude::*;

const SCANNERS: [Scanner; 5] =
    [Scanner::Gpt2, Scanner::Cl100k, Scanner::O200k, Scanner::Llama3, Scanner::Qwen2];

/// One character of each kind that some pattern distinguishes, in every length that UTF-8 has for
/// it.
const KINDS: [&str; 26] = [
    "a",
    "s",
    "l",
    "S",
    "B",
    "é",
    "É",
    "ſ",
    "日",
    "ʰ",
    "ǅ",
    "\u{301}",
    "\u{e0100}",
    "5",
    "٣",
    "𝟘",
    " ",
    "\t",
    "\n",
    "\r",
    "\u{85}",
    "\u{3000}",
    "!",
    "/",
    "'",
    "😀",
];

static REGEXES: LazyLock<Vec<fancy_regex::Regex>> = LazyLock::new(|| {
    PATTERNS.iter().map(|(_, regex)| fancy_regex::Regex::new(regex).unwrap()).collect()
});

fn known() -> impl Iterator<Item = (Scanner, &'static fancy_regex::Regex)> {
    SCANNERS.into_iter().zip(&*REGEXES)
}

fn ends_by_regex(regex: &fancy_regex::Regex, text: &str) -> Vec<usize> {
    regex.find_iter(text).map(|found| found.unwrap().end()).collect()
}

fn collect(text: &str, fill: impl Fn(&[u8], usize, &mut Ends)) -> Vec<usize> {
    let (mut ends, mut all, mut at) = (Ends::new(), Vec::new(), 0);
    while at < text.len() {
        fill(text.as_bytes(), at, &mut ends);
        all.extend_from_slice(ends.as_slice());
        at = *all.last().unwrap();
    }
    all
}

fn ends(scanner: Scanner, text: &str) -> Vec<usize> {
    collect(text, |_, at, ends| scanner.fill(text, at, ends))
}

/// The ends with each instruction set that this processor supports, and those of `Rules::end`
/// alone, a piece at a time.
fn ends_by_all_instructions(scanner: Scanner, text: &str) -> Vec<Vec<usize>> {
    fn each<R: Rules>(text: &str) -> Vec<Vec<usize>> {
        let by_pieces = collect(text, |text, at, ends| {
            ends.clear();
            ends.push(R::end(text, at));
        });
        let with = |simd| collect(text, |text, at, ends| fill_with::<R>(simd, text, at, ends));
        Simd::supported().map(with).chain([by_pieces]).collect()
    }
    match scanner {
        Scanner::Gpt2 => each::<gpt2::Gpt2>(text),
        Scanner::Cl100k => each::<cl100k::Family<3, true>>(text),
        Scanner::Llama3 => each::<cl100k::Family<3, false>>(text),
        Scanner::Qwen2 => each::<cl100k::Family<1, false>>(text),
        Scanner::O200k => each::<o200k::O200k>(text),
    }
}

#[test]
fn all_sequences_of_three_kinds_split_as_the_regex_does() {
    for first in KINDS {
        for second in KINDS {
            for third in KINDS {
                let text = [first, second, third].concat();
                for (scanner, regex) in known() {
                    let expected = ends_by_regex(regex, &text);
                    for found in ends_by_all_instructions(scanner, &text) {
                        assert_eq!(found, expected, "{scanner:?} on {text:?}");
                    }
                }
            }
        }
    }
}

#[test]
#[ignore = "half a minute; `make test-all` runs it"]
fn all_sequences_of_five_kinds_split_as_the_regex_does() {
    let kinds = ["a", "s", "B", "É", "日", "\u{301}", "5", "𝟘", " ", "\u{85}", "\n", "!", "/", "'"];
    let mut text = String::new();
    for number in 0..kinds.len().pow(5) {
        text.clear();
        (0..5)
            .for_each(|index| text.push_str(kinds[number / kinds.len().pow(index) % kinds.len()]));
        for (scanner, regex) in known() {
            assert_eq!(
                ends(scanner, &text),
                ends_by_regex(regex, &text),
                "{scanner:?} on {text:?}"
            );
        }
    }
}

#[test]
fn every_character_splits_as_the_regex_does_next_to_any_other() {
    for letter in '\0'..=char::MAX {
        let text = format!("a{letter}a {letter}B{letter}{letter}'{letter}\n{letter}");
        for (scanner, regex) in known() {
            // A test in `classes` compares the whole table; here a sample of the higher planes
            // suffices.
            if u32::from(letter) < 0x3100 || u32::from(letter) % 97 == 0 {
                let expected = ends_by_regex(regex, &text);
                assert_eq!(ends(scanner, &text), expected, "{scanner:?} on {text:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_text_splits_as_the_regex_does_wherever_windows_end(
        runs in prop::collection::vec((prop::sample::select(&KINDS[..]), 1..6_usize), 0..60),
    ) {
        let text: String = runs.iter().map(|(kind, count)| kind.repeat(*count)).collect();
        for (scanner, regex) in known() {
            let expected = ends_by_regex(regex, &text);
            for found in ends_by_all_instructions(scanner, &text) {
                prop_assert_eq!(&found, &expected, "{:?}", scanner);
            }
        }
    }

    #[test]
    fn english_splits_as_the_regex_does_wherever_windows_end(
        text in r"( ?[a-zA-Z]{1,8}('(s|t|re|ve|m|ll|d|LL|ſ|x))?[,.!?/]{0,3}[ \n\t]{0,5}[0-9]{0,8}){0,40}",
    ) {
        for (scanner, regex) in known() {
            let expected = ends_by_regex(regex, &text);
            for found in ends_by_all_instructions(scanner, &text) {
                prop_assert_eq!(&found, &expected, "{:?}", scanner);
            }
        }
    }

    #[test]
    fn a_text_that_is_cut_splits_as_the_whole_does(
        runs in prop::collection::vec((prop::sample::select(&KINDS[..]), 1..4_usize), 0..40),
        near in 0..40_usize,
    ) {
        let text: String = runs.iter().map(|(kind, count)| kind.repeat(*count)).collect();
        if let Some(at) = cut(&text, near) {
            let (left, right) = text.split_at(at);
            for scanner in SCANNERS {
                let mut parts = ends(scanner, left);
                parts.extend(ends(scanner, right).iter().map(|end| end + at));
                prop_assert_eq!(parts, ends(scanner, &text), "{:?} cut at {}", scanner, at);
            }
        }
    }
}

#[test]
fn text_without_spaces_can_be_cut() {
    assert_eq!(cut("日本語。日本語。日本語", 13), Some(21));
    assert_eq!(cut(&"ab+/".repeat(9), 3), Some(6));
    assert_eq!(cut(&"a".repeat(99), 3), None);
}
