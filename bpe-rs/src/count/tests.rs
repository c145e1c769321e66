use std::collections::BTreeMap;

use super::*;
use proptest::prelude::*;

fn new(pattern: &str) -> PieceCounts {
    PieceCounts::new(pattern, &["<|end|>"]).unwrap()
}

fn all(counts: &PieceCounts) -> BTreeMap<Vec<u8>, u64> {
    counts.iter().map(|(piece, count)| (piece.to_vec(), count)).collect()
}

/// Many distinct pieces of all lengths, some of them frequent.
fn text() -> String {
    let words = |n: usize| format!(" the {:x} {}", n * n * 0x9E37, "yes".repeat(n % 30));
    (0..60_000).map(words).collect::<Vec<_>>().concat()
}

fn by_definition(pattern: &str, text: &str) -> BTreeMap<Vec<u8>, u64> {
    let mut counts = BTreeMap::new();
    Pattern::new(pattern)
        .unwrap()
        .split(text, |piece| {
            *counts.entry(piece.as_bytes().to_vec()).or_insert(0) += 1;
            Ok(())
        })
        .unwrap();
    counts
}

#[test]
fn counts_are_those_of_a_plain_map() {
    let text = text();
    for pattern in ["gpt2", "o200k", r"\w+"] {
        let mut counts = new(pattern);
        counts.add(&[&text]).unwrap();

        assert!(all(&counts) == by_definition(pattern, &text), "{pattern}");
        assert_eq!(counts.len(), all(&counts).len());
    }
}

#[test]
fn counts_on_disk_are_read_back_and_added_up() {
    let text = text();
    let mut counts = new("gpt2").with_max_memory(1 << 20);
    counts.add(&[&text, &text]).unwrap();
    assert!(counts.spill.as_ref().unwrap().is_used());
    let mut parts = BTreeMap::new();
    for number in 0..PieceCounts::PARTS {
        parts.extend(counts.part(number).unwrap());
    }
    counts.spill.as_mut().unwrap().set_limit(1 << 30);
    counts.gather(1, |_| Ok(())).unwrap();

    let twice: BTreeMap<_, _> =
        by_definition("gpt2", &text).into_iter().map(|(piece, count)| (piece, 2 * count)).collect();
    assert!(all(&counts) == twice);
    assert!(parts == twice);
}

#[test]
fn pieces_beyond_the_memory_limit_are_rejected() {
    let text = text();
    let mut counts = new("gpt2").with_max_memory(1 << 20);
    counts.add(&[&text]).unwrap();
    let error = counts.gather(1, |_| Ok(())).unwrap_err();
    assert!(matches!(error, Error::TooLargeForMemory { bytes, limit }
        if limit == 1 << 20 && bytes > limit));
}

#[test]
fn pruning_drops_rare_pieces_and_returns_how_many() {
    let mut counts = new("gpt2").in_order();
    counts.add(&["b a a", " b a c a longer.than.fifteen.bytes"]).unwrap();
    let before = all(&counts);

    let dropped = counts.gather(2, |_| Ok(())).unwrap();

    let rare: Vec<u64> = before.values().copied().filter(|&count| count < 2).collect();
    assert_eq!(dropped, (rare.len() as u64, rare.iter().map(|&count| u128::from(count)).sum()));
    assert_eq!(all(&counts), before.into_iter().filter(|&(_, count)| count >= 2).collect());
}

#[test]
fn in_order_pieces_come_by_their_first_occurrence() {
    let mut counts = new("gpt2").in_order();
    counts.add(&["z y<|end|>x z", "a-piece-of-some-length", " y w"]).unwrap();

    let pieces: Vec<_> = counts.iter().map(|(piece, _)| piece.to_vec()).collect();

    let expected = ["z", " y", "x", " z", "a", "-", "piece", "of", "some", "length", " w"];
    assert_eq!(pieces, expected.map(|piece| piece.as_bytes().to_vec()));
}

#[test]
fn a_count_beyond_63_bits_is_rejected() {
    let mut counts = new("gpt2");
    counts.add_counted(b"a", i64::MAX as u64).unwrap();

    let error = counts.add_counted(b"a", 1).unwrap_err();

    assert_eq!(error, Error::CountOverflow { piece: b"a".to_vec() });
}

#[test]
fn a_sum_beyond_63_bits_is_rejected_even_if_its_parts_are_on_disk() {
    let mut counts = new("gpt2").with_max_memory(1);
    for _ in 0..3 {
        counts.add_counted(b"a", i64::MAX as u64).unwrap();
    }

    let overflow = Err(Error::CountOverflow { piece: b"a".to_vec() });
    assert_eq!(counts.part(shard::of(b"a")).map(drop), overflow);
    assert_eq!(counts.gather(1, |_| Ok(())).map(drop), overflow);
}

#[test]
fn a_piece_with_count_zero_is_not_added() {
    let mut counts = new("gpt2").in_order();
    for piece in [&b"short"[..], b"longer than fifteen bytes"] {
        counts.add_counted(piece, 0).unwrap();
    }

    assert!(counts.is_empty());
    assert_eq!(counts.iter().count(), 0);
}

#[test]
fn gathering_can_be_repeated_after_an_interruption() {
    let pieces = || (0..400_000_u32).map(|number| number.to_string());
    let mut counts = new("gpt2").with_max_memory(1 << 20);
    pieces().for_each(|piece| counts.add_counted(piece.as_bytes(), 1).unwrap());
    counts.spill.as_mut().unwrap().set_limit(1 << 30);

    let stopped = counts.gather(0, |_| Err(Error::Interrupted));
    counts.gather(0, |_| Ok(())).unwrap();

    assert_eq!(stopped, Err(Error::Interrupted));
    assert_eq!(counts.len(), 400_000);
    assert!(counts.iter().all(|(_, count)| count == 1));
}

#[test]
fn progress_can_stop_the_counting() {
    let stopped = new("gpt2").add_with_progress(&["a b"], |_| Err(Error::Interrupted));

    assert_eq!(stopped, Err(Error::Interrupted));
}

#[test]
fn the_first_of_several_errors_is_reported() {
    let bad = "x".repeat(1 << 19) + "aa";
    let texts = ["aab", &bad, &bad];

    let failed = new("a*").add(&texts);

    assert_eq!(failed, Err(Error::EmptyMatch { offset: 2 }));
}

proptest! {
    #[test]
    fn counts_add_up_however_the_documents_are_grouped(
        texts in prop::collection::vec("([ab]{1,20}| |<\\|end\\|>|\\PC){0,12}", 1..6),
    ) {
        let (mut whole, mut by_one) = (new("cl100k"), new("cl100k"));
        whole.add(&texts)?;
        for text in &texts {
            let mut one = new("cl100k");
            one.add(&[text])?;
            for (piece, count) in one.iter() {
                by_one.add_counted(piece, count)?;
            }
        }
        prop_assert_eq!(all(&whole), all(&by_one));
    }
}
