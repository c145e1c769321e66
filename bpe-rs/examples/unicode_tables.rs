//! Prints `pytok/reference/unicode.py`: the Unicode classes according to the regex engine of this
//! crate.
//!
//! `cargo run --release --example unicode_tables > pytok/reference/unicode.py`
#![allow(clippy::print_stdout)] // it prints its result

use fancy_regex::Regex;

const HEAD: &str = r#""""Unicode classes of the native engine; written by bpe-rs/examples/unicode_tables.rs.

Python's `regex` implements a newer version of Unicode than the Rust crate that tiktoken uses. The
classes decide how text is split, so the reference reads these tables where the two differ. Each
class is a list of code point ranges in hexadecimal, ends included.
"""

CLASSES = {"#;

fn main() {
    println!("{HEAD}");
    for class in ["L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "N", "P", "S"] {
        let member = Regex::new(&format!(r"\A\p{{{class}}}\z")).expect("a known class");
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for character in '\0'..=char::MAX {
            let point = u32::from(character);
            if member.is_match(character.encode_utf8(&mut [0; 4])).expect("no backtracking") {
                match ranges.last_mut() {
                    Some((_, last)) if *last + 1 == point => *last = point,
                    _ => ranges.push((point, point)),
                }
            }
        }
        println!("    \"{class}\": (");
        let mut line = String::new();
        for (first, last) in ranges {
            let range =
                if first == last { format!("{first:x} ") } else { format!("{first:x}-{last:x} ") };
            if line.len() + range.len() > 88 {
                println!("        \"{line}\"");
                line.clear();
            }
            line.push_str(&range);
        }
        println!("        \"{}\"\n    ),", line.trim_end());
    }
    println!("}}");
}
