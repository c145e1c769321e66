//! Prints `bpe-rs/src/scan/tables.rs`: the class of every character, according to the regex engine
//! of this crate.
//!
//! `cargo run --release --example scan_tables > bpe-rs/src/scan/tables.rs`
#![allow(clippy::print_stdout)] // it prints its result

use fancy_regex::Regex;

const HEAD: &str = r"//! The class of every character; written by `bpe-rs/examples/scan_tables.rs` from the Unicode
//! tables of `regex-syntax`, the engine of tiktoken.
//!
//! Characters are grouped in blocks of 128, and equal blocks are stored once.

/// Log2 of the number of characters in a block.
pub(super) const BLOCK_BITS: u32 = 7;
";

/// In the order of `scan::classes::Class`, whose first class is all other characters.
const CLASSES: [&str; 6] =
    [r"[\p{Lu}\p{Lt}]", r"\p{Ll}", r"[\p{Lm}\p{Lo}]", r"\p{M}", r"\p{N}", r"\s"];

fn main() {
    let members = CLASSES.map(|class| Regex::new(&format!(r"\A{class}\z")).expect("known classes"));
    let class_of = |point: u32| {
        let Some(character) = char::from_u32(point) else { return 0 };
        let mut bytes = [0; 4];
        let text = character.encode_utf8(&mut bytes);
        let member = |regex: &Regex| regex.is_match(text).expect("no backtracking");
        members.iter().position(member).map_or(0, |index| index + 1)
    };
    let mut blocks: Vec<String> = Vec::new();
    let mut block_of = Vec::new();
    for first in (0..=u32::from(char::MAX)).step_by(128) {
        let block: String = (first..first + 128).map(|point| class_of(point).to_string()).collect();
        let known = blocks.iter().position(|other| *other == block);
        block_of.push(known.unwrap_or(blocks.len()));
        if known.is_none() {
            blocks.push(block);
        }
    }
    println!("{HEAD}");
    println!("/// For each block of characters, its index in `CLASSES`.");
    println!("#[rustfmt::skip]");
    println!("pub(super) static BLOCK_OF: [u8; {}] = [", block_of.len());
    for line in block_of.chunks(32) {
        println!("    {},", line.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
    }
    println!("];\n");
    println!("/// The class of each character in a block, as a digit.");
    println!("#[rustfmt::skip]");
    println!("pub(super) static CLASSES: [[u8; 128]; {}] = [", blocks.len());
    for block in blocks {
        println!("    *b\"{block}\",");
    }
    println!("];");
}
