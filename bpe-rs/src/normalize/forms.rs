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
        let mut edits = Vec::new();
        let active = self.active();
        let mut at = 0;
        while let Some(first) = self.next_active(active, text, at) {
            let start = (at..first).rev().find(|&index| text.is_char_boundary(index));
            let start = start.unwrap_or(first);
            let run = text[first..].char_indices();
            let end = run
                .skip(1)
                .find(|&(_, character)| !active.has(character))
                .map_or(text.len(), |(length, _)| first + length);
            let run = &text[start..end];
            if !self.is_normal(run) {
                let normal = self.normalize(run);
                if normal != run {
                    edits.push(Edit { source: start..end, text: normal });
                }
            }
            at = end;
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

    /// Whether *text* is in this form, by the quick check of UAX #15: not known to be is false.
    fn is_normal(self, text: &str) -> bool {
        let characters = text.chars();
        let quick = match self {
            Self::Nfc => is_nfc_quick(characters),
            Self::Nfd => is_nfd_quick(characters),
            Self::Nfkc => is_nfkc_quick(characters),
            Self::Nfkd => is_nfkd_quick(characters),
        };
        matches!(quick, IsNormalized::Yes)
    }

    /// The active characters, those that are not inert.
    fn active(self) -> &'static Active {
        static TABLES: [OnceLock<Active>; 4] = [const { OnceLock::new() }; 4];
        TABLES[self as usize].get_or_init(|| {
            let is_active = |character: char| {
                let text = character.encode_utf8(&mut [0; 4]).to_owned();
                canonical_combining_class(character) != 0 || !self.is_normal(&text)
            };
            Active::new(is_active)
        })
    }

    /// The first active character of *text* from *at* on.
    fn next_active(self, active: &Active, text: &str, mut at: usize) -> Option<usize> {
        const CHUNK: usize = 32;
        let bytes = text.as_bytes();
        loop {
            // PERF: most chunks of most texts can be skipped without decoding a character.
            while let Some(chunk) = bytes[at..].first_chunk::<CHUNK>() {
                if !(chunk.is_ascii() || self.composes() && is_composed(chunk)) {
                    break;
                }
                at += CHUNK;
            }
            // Then bytes, and of those that can start active characters the blocks of 64.
            let end = bytes.len().min(at + CHUNK);
            let chunk = at..end;
            at = end;
            for index in chunk {
                if active.firsts[usize::from(bytes[index])]
                    && active.blocks[block_of(&bytes[index..])]
                    && active.starts(&text[index..])
                {
                    return Some(index);
                }
            }
            if at >= bytes.len() {
                return None;
            }
        }
    }

    fn composes(self) -> bool {
        matches!(self, Self::Nfc)
    }
}

/// Whether no character that starts in *chunk* is active in NFC, as far as first bytes show: those of
/// ASCII, most of Latin, Cyrillic, Han and Hangul. PERF: a table would not be vectorized.
fn is_composed(chunk: &[u8; 32]) -> bool {
    let mut can_start_active = 0;
    for &byte in chunk {
        let is_cyrillic = byte & 0xfe == 0xd0;
        let is_han_or_hangul = byte.wrapping_sub(0xe4) < 6 || byte.wrapping_sub(0xeb) < 2;
        can_start_active |= u8::from(byte >= 0xcc && !is_cyrillic && !is_han_or_hangul);
    }
    can_start_active == 0
}

/// The active characters of a normalization form.
struct Active {
    /// Whether an active character can start with each byte.
    firsts: [bool; 256],
    /// One bit for each character.
    characters: Vec<u64>,
    /// Whether each block of 64 characters has any.
    blocks: Vec<bool>,
}

impl Active {
    fn new(is_active: impl Fn(char) -> bool) -> Self {
        let mut firsts = [false; 256];
        let mut characters = vec![0; ACTIVE_END as usize / 64];
        let mut blocks = vec![false; BLOCKS];
        for character in (0..ACTIVE_END).filter_map(char::from_u32).filter(|&each| is_active(each))
        {
            let (block, bit) = (character as usize / 64, character as u32 % 64);
            characters[block] |= 1 << bit;
            blocks[block] = true;
            firsts[usize::from(character.encode_utf8(&mut [0; 4]).as_bytes()[0])] = true;
        }
        Self { firsts, characters, blocks }
    }

    #[inline]
    fn has(&self, character: char) -> bool {
        let (block, bit) = (character as usize / 64, character as u32 % 64);
        self.characters.get(block).is_some_and(|bits| bits >> bit & 1 == 1)
    }

    fn starts(&self, text: &str) -> bool {
        text.chars().next().is_some_and(|character| self.has(character))
    }
}

/// Blocks of 64 characters that four bytes of UTF-8 can name.
const BLOCKS: usize = 1 << 15;

/// The block of the character at the start of *bytes*.
#[inline(always)]
fn block_of(bytes: &[u8]) -> usize {
    let low = |index: usize| usize::from(bytes.get(index).copied().unwrap_or(0) & 0x3f);
    match bytes[0] {
        ascii @ ..0x80 => usize::from(ascii) / 64,
        first @ 0x80..0xe0 => usize::from(first & 0x1f),
        first @ 0xe0..0xf0 => usize::from(first & 0xf) << 6 | low(1),
        first @ 0xf0.. => usize::from(first & 7) << 12 | low(1) << 6 | low(2),
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
                assert!(!Form::Nfc.active().has(character), "{character:?}");
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
