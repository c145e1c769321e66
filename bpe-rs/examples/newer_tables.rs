//! Prints `pytok/reference/newer.py`: the properties of characters that an older Python does not
//! know, as the crate has them.
//!
//! `cargo run --release --example newer_tables > pytok/reference/newer.py`
#![allow(clippy::print_stdout)] // it prints its result

use fancy_regex::Regex;
use unicode_normalization::char::{canonical_combining_class, compose};
use unicode_normalization::UnicodeNormalization;

const HEAD: &str = r#""""Properties of characters since Unicode 14; written by bpe-rs/examples/newer_tables.rs.

Python 3.10 implements Unicode 13. Where the installed Python does not know a character, the
reference reads its properties here. Code points are in hexadecimal.
"""

NORMALIZATION = ("#;

const BETWEEN: &str = r#")
"""The characters that are not inert in all normalization forms: each with its combining class, and
if it has any, its canonical and its compatible decomposition and the pair that composes it.
"""

LOWERCASE = ("#;

const TAIL: &str = r#")
"""The characters that have a lowercase, each with it.""""#;

fn main() {
    let newer = Regex::new(r"\A\P{Age=13.0}\z").expect("a known property");
    let newer: Vec<char> = ('\0'..=char::MAX)
        .filter(|character| newer.is_match(character.encode_utf8(&mut [0; 4])).unwrap_or(false))
        .collect();
    println!("{HEAD}");
    print_words(newer.iter().filter_map(|&character| normalization(character)));
    println!("{BETWEEN}");
    print_words(newer.iter().filter_map(|&character| {
        let lower: String = character.to_lowercase().collect();
        (lower != character.to_string())
            .then(|| format!("{:x}:{}", u32::from(character), points(&lower)))
    }));
    println!("{TAIL}");
}

/// The entry of *character*, or `None` if it is inert.
fn normalization(character: char) -> Option<String> {
    let text = character.to_string();
    let (canonical, compatible): (String, String) = (text.nfd().collect(), text.nfkd().collect());
    let head = format!("{:x}:{}", u32::from(character), canonical_combining_class(character));
    if compatible == text {
        return (canonical_combining_class(character) != 0).then_some(head);
    }
    let mut parts: Vec<char> = canonical.chars().collect();
    let last = parts.pop()?;
    let rest: Vec<char> = parts.into_iter().nfc().collect();
    let pair = match rest[..] {
        [first] if compose(first, last) == Some(character) => format!("{first}{last}"),
        _ => String::new(),
    };
    Some(format!("{head}:{}:{}:{}", points(&canonical), points(&compatible), points(&pair)))
}

fn points(text: &str) -> String {
    let points: Vec<_> =
        text.chars().map(|character| format!("{:x}", u32::from(character))).collect();
    points.join("+")
}

/// Prints the lines of a string of *words*.
fn print_words(words: impl Iterator<Item = String>) {
    let mut line = String::new();
    for word in words {
        if line.len() + word.len() + 1 > 92 {
            println!("    \"{line}\"");
            line.clear();
        }
        line += &word;
        line.push(' ');
    }
    println!("    \"{}\"", line.trim_end());
}
