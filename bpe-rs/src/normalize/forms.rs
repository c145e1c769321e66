//! The normalization forms of Unicode, with a quick check.

use std::sync::OnceLock;

use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{
    is_nfc_quick, is_nfd_quick, is_nfkc_quick, is_nfkd_quick, IsNormalized, UnicodeNormalization,
};

use super::Edit;

/// A normalization form of Unicode (UAX #15).
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
}

impl Form {
    /// Returns the runs of characters that are not in this form, and their normalizations.
    ///
    /// Before an inert character a text can be cut: the forms of its parts concatenate to its form.
    /// So only runs of other characters, and the inert one before each, are looked at.
    pub(super) fn edits(self, text: &str) -> Vec<Edit> {
        const CHUNK: usize = 32;
        let (active, bytes) = (self.active(), text.as_bytes());
        let mut edits = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            // PERF: most chunks of most texts can be skipped without looking at single characters.
            while let Some(window) = bytes[at..].first_chunk::<{ CHUNK + 1 }>() {
                let chunk = &window[..CHUNK];
                let is_plain = chunk.is_ascii() || self.composes() && is_composed(chunk);
                let pairs = chunk.iter().zip(&window[1..]);
                let can_start = |any, (&first, &second)| any | active.can_start(first, second);
                if !is_plain && pairs.fold(false, can_start) {
                    break;
                }
                at += CHUNK;
            }
            let end = bytes.len().min(at + CHUNK);
            while at < end {
                let second = bytes.get(at + 1).copied().unwrap_or(0);
                if !active.can_start(bytes[at], second) {
                    at += 1;
                    continue;
                }
                let run = active.run(&text[at..]);
                if run.is_empty() {
                    at += 1;
                } else if !active.is_normal(run) {
                    let start =
                        text[..at].char_indices().next_back().map_or(at, |(start, _)| start);
                    let source = start..at + run.len();
                    let normal = self.normalize(&text[source.clone()]);
                    if normal != text[source.clone()] {
                        edits.push(Edit { source, text: normal });
                    }
                }
                at += run.len();
            }
        }
        edits
    }

    fn normalize(self, text: &str) -> String {
        match self {
            Self::Nfc => text.nfc().collect(),
            Self::Nfd => text.nfd().collect(),
            Self::Nfkc => text.nfkc().collect(),
            Self::Nfkd => text.nfkd().collect(),
        }
    }

    /// Whether *character* is allowed in this form, whatever is around it.
    fn allows(self, character: char) -> bool {
        let character = std::iter::once(character);
        let quick = match self {
            Self::Nfc => is_nfc_quick(character),
            Self::Nfd => is_nfd_quick(character),
            Self::Nfkc => is_nfkc_quick(character),
            Self::Nfkd => is_nfkd_quick(character),
        };
        matches!(quick, IsNormalized::Yes)
    }

    fn active(self) -> &'static Active {
        static TABLES: [OnceLock<Active>; 4] = [const { OnceLock::new() }; 4];
        TABLES[self as usize].get_or_init(|| Active::new(self))
    }

    fn composes(self) -> bool {
        matches!(self, Self::Nfc)
    }
}

/// Whether no character that starts in *chunk* is active in NFC, as far as first bytes show: those of
/// ASCII, most of Latin, Cyrillic, Han and Hangul. PERF: a table would not be vectorized.
fn is_composed(chunk: &[u8]) -> bool {
    let mut can_start_active = 0;
    for &byte in chunk {
        let is_cyrillic = byte & 0xfe == 0xd0;
        let is_han_or_hangul = byte.wrapping_sub(0xe4) < 6 || byte.wrapping_sub(0xeb) < 2;
        can_start_active |= u8::from(byte >= 0xcc && !is_cyrillic && !is_han_or_hangul);
    }
    can_start_active == 0
}

/// The active characters of a normalization form, those that are not inert: combining marks, and what
/// is not allowed, or only in some surroundings.
struct Active {
    characters: Characters,
    /// Those that are not allowed in all surroundings.
    unsure: Characters,
    /// For each first byte of a character one bit for each second: whether any is active.
    starts: [u64; 256],
}

impl Active {
    fn new(form: Form) -> Self {
        let all = || (0..ACTIVE_END).filter_map(char::from_u32);
        let is_mark = |character: &char| canonical_combining_class(*character) != 0;
        let unsure = Characters::new(all().filter(|&character| !form.allows(character)));
        let active = || all().filter(|character| is_mark(character) || unsure.has(*character));
        let mut starts = [0; 256];
        for character in active() {
            let mut buffer = [0; 4];
            let bytes = character.encode_utf8(&mut buffer).as_bytes();
            starts[usize::from(bytes[0])] |= 1 << (bytes[1] & 0x3f);
        }
        Self { characters: Characters::new(active()), unsure, starts }
    }

    /// Whether an active character can start with these two bytes.
    #[inline(always)]
    fn can_start(&self, first: u8, second: u8) -> bool {
        self.starts[usize::from(first)] >> (second & 0x3f) & 1 == 1
    }

    /// The active characters at the start of *text*.
    #[inline]
    fn run<'t>(&self, text: &'t str) -> &'t str {
        let inert = text.char_indices().find(|&(_, character)| !self.characters.has(character));
        &text[..inert.map_or(text.len(), |(end, _)| end)]
    }

    /// Whether *run*, after an inert character, is known to be in the form: the quick check of UAX #15.
    fn is_normal(&self, run: &str) -> bool {
        let is_alone = || run.chars().nth(1).is_none();
        let classes = || run.chars().map(canonical_combining_class);
        !run.chars().any(|character| self.unsure.has(character))
            && (is_alone() || classes().is_sorted())
    }
}

/// A set of characters below [`ACTIVE_END`]: one bit for each.
struct Characters(Vec<u64>);

impl Characters {
    fn new(characters: impl Iterator<Item = char>) -> Self {
        let mut bits = vec![0; ACTIVE_END as usize / 64];
        for character in characters {
            bits[character as usize / 64] |= 1 << (character as u32 % 64);
        }
        Self(bits)
    }

    #[inline]
    fn has(&self, character: char) -> bool {
        let (block, bit) = (character as usize / 64, character as u32 % 64);
        self.0.get(block).is_some_and(|bits| bits >> bit & 1 == 1)
    }
}

/// All greater characters are inert in all forms.
const ACTIVE_END: u32 = 0x30000;

#[cfg(test)]
mod tests {
    use super::super::tests::normalized;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms_equal_those_of_the_whole_text() {
        let texts =
            "([a-z ]{0,3}|[A-Zé]|\\PC|\\p{M}|[\u{1100}-\u{11ff}]|[\u{ac00}-\u{ac20}]|[ﬁ½Å]){0,20}";
        proptest!(|(text in texts)| {
            prop_assert_eq!(normalized(&[&["NFC"]], &text), text.nfc().collect::<String>());
            prop_assert_eq!(normalized(&[&["NFD"]], &text), text.nfd().collect::<String>());
            prop_assert_eq!(normalized(&[&["NFKC"]], &text), text.nfkc().collect::<String>());
            prop_assert_eq!(normalized(&[&["NFKD"]], &text), text.nfkd().collect::<String>());
        });
    }

    #[test]
    fn characters_beyond_the_table_are_inert() {
        for character in (ACTIVE_END..=0x10_FFFF).filter_map(char::from_u32) {
            let text = character.to_string();
            assert_eq!(canonical_combining_class(character), 0);
            assert!(is_nfkc_quick(text.chars()) == IsNormalized::Yes, "{character:?}");
            assert!(is_nfkd_quick(text.chars()) == IsNormalized::Yes, "{character:?}");
        }
    }

    #[test]
    fn active_characters_do_not_start_in_chunks_that_are_skipped() {
        for character in (0..ACTIVE_END).filter_map(char::from_u32) {
            let mut chunk = [b' '; 32];
            character.encode_utf8(&mut chunk);
            if chunk.is_ascii() || is_composed(&chunk) {
                assert!(!Form::Nfc.active().characters.has(character), "{character:?}");
            }
        }
    }

    #[test]
    fn active_characters_are_found_wherever_they_are() {
        let form = Form::Nfc;
        for before in ["a", "é", "漢", "가", "я", "”", "😀"] {
            for count in 0..80 {
                let text = before.repeat(count) + "e\u{301}x";
                let edits = form.edits(&text);
                assert_eq!(edits.len(), 1, "{text}");
                assert_eq!(edits[0].source.start, before.len() * count);
            }
        }
    }
}
