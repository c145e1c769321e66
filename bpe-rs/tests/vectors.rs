//! Test vectors that both languages read (`tests/pytok/test_vectors.py` reads them, too).
#![allow(clippy::unwrap_used)] // tests may unwrap

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;

use pytok_bpe::{decode, train, Core, MergeRules, Pattern, PieceCounts};
use serde_json::Value;

fn rows(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/vectors/{name}.json"));
    let rows: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(!rows.is_empty());
    rows
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap()
}

fn texts(row: &Value, field: &str) -> Vec<String> {
    row[field].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn hex(letters: &str) -> Vec<u8> {
    let digits = (0..letters.len()).step_by(2);
    digits.map(|start| u8::from_str_radix(&letters[start..start + 2], 16).unwrap()).collect()
}

#[test]
fn pieces_are_those_of_the_regex() {
    for row in rows("pieces") {
        let mut pieces = Vec::new();
        let collect = |piece: &str| {
            pieces.push(piece.to_owned());
            Ok(())
        };
        Pattern::new(text(&row, "pattern")).unwrap().split(text(&row, "text"), collect).unwrap();
        assert_eq!(pieces, texts(&row, "pieces"), "{row}");
    }
}

#[test]
fn merges_are_those_of_hugging_face() {
    for row in rows("merges") {
        let tokens = texts(&row, "tokens");
        let mut counts = PieceCounts::new(text(&row, "pattern"), &[""; 0]).unwrap();
        counts.add(&texts(&row, "texts")).unwrap();
        let (rules, go) = (MergeRules::default(), |_| ControlFlow::Continue(()));
        let vocab = train(&counts, tokens.len(), None, &rules, &go).unwrap();
        let expected: Vec<_> = tokens.iter().map(|token| hex(token)).collect();
        assert_eq!(vocab.tokens().collect::<Vec<_>>(), expected, "{}", text(&row, "pattern"));
    }
}

#[test]
fn ids_are_those_of_tiktoken() {
    let cores: HashMap<String, Core> = rows("merges")
        .iter()
        .map(|row| {
            let tokens: Vec<_> = texts(row, "tokens").iter().map(|token| hex(token)).collect();
            let pattern = text(row, "pattern");
            let specials = vec![("<|endoftext|>".to_owned(), tokens.len() as u32)];
            (pattern.to_owned(), Core::new(tokens, None, pattern, specials).unwrap())
        })
        .collect();
    for row in rows("ids") {
        let core = &cores[text(&row, "pattern")];
        let expected: Vec<u32> =
            row["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
        let allowed = core.allow(&["<|endoftext|>"]).unwrap();
        assert_eq!(core.encode(text(&row, "text"), Some(&allowed)).unwrap(), expected, "{row}");
        assert_eq!(decode(core, &expected).unwrap(), text(&row, "text").as_bytes());
    }
}
