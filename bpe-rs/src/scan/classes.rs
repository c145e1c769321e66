//! Characters and their classes.

use super::tables::{BLOCK_BITS, BLOCK_OF, CLASSES};

/// The character classes of the known patterns. They do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// None of the classes below.
    Other,
    /// `\p{Lu}` or `\p{Lt}`.
    Upper,
    /// `\p{Ll}`.
    Lower,
    /// `\p{Lm}` or `\p{Lo}`.
    Caseless,
    /// `\p{M}`.
    Mark,
    /// `\p{N}`.
    Number,
    /// `\s`.
    White,
}

impl Class {
    /// All classes, in the order of their digits in the table.
    pub(super) const ALL: [Self; 7] = [
        Self::Other,
        Self::Upper,
        Self::Lower,
        Self::Caseless,
        Self::Mark,
        Self::Number,
        Self::White,
    ];

    /// `\p{L}`.
    pub(super) fn is_letter(self) -> bool {
        matches!(self, Self::Upper | Self::Lower | Self::Caseless)
    }

    /// `[^\s\p{L}\p{N}]`.
    pub(super) fn is_symbol(self) -> bool {
        matches!(self, Self::Other | Self::Mark)
    }
}

/// The index in [`Class::ALL`] of the class of the code point *point*; at most 6.
#[inline]
pub(super) fn class_number(point: u32) -> usize {
    let block = BLOCK_OF[(point >> BLOCK_BITS) as usize] as usize;
    let digit = CLASSES[block][point as usize % (1 << BLOCK_BITS)];
    usize::from(digit % 8)
}

/// The length in bytes of the character whose first byte is *lead*.
#[inline]
pub(super) fn length_of(lead: u8) -> usize {
    match lead {
        0..0xC0 => 1,
        0xC0..0xE0 => 2,
        0xE0..0xF0 => 3,
        _ => 4,
    }
}

/// The code point at *at*, and its length in bytes. The character lies completely in *text*.
#[inline]
pub(super) fn decode(text: &[u8], at: usize) -> (u32, usize) {
    let bytes = text.get(at..at + 4).map_or_else(
        || {
            let mut bytes = [0; 4];
            bytes[..text.len() - at].copy_from_slice(&text[at..]);
            bytes
        },
        |bytes| bytes.try_into().expect("four bytes"),
    );
    let word = u32::from_be_bytes(bytes);
    let rest = |index: u32| (word >> (24 - 8 * index)) & 0x3F;
    match length_of(bytes[0]) {
        1 => (word >> 24, 1),
        2 => (((word >> 24) & 0x1F) << 6 | rest(1), 2),
        3 => (((word >> 24) & 0x0F) << 12 | rest(1) << 6 | rest(2), 3),
        _ => (((word >> 24) & 0x07) << 18 | rest(1) << 12 | rest(2) << 6 | rest(3), 4),
    }
}

/// The class of the character at *at*, and its length in bytes; `None` at the end of the text.
#[inline]
pub(super) fn character(text: &[u8], at: usize) -> Option<(Class, usize)> {
    let first = *text.get(at)?;
    // PERF: with a branch of its own, the length of an ASCII character is predicted, not computed:
    // long runs of ASCII take a third of the time.
    if first < 0x80 {
        return Some((Class::ALL[class_number(first.into())], 1));
    }
    let (point, length) = decode(text, at);
    Some((Class::ALL[class_number(point)], length))
}

/// The end of the run of characters from *at* on whose classes all satisfy *member*.
#[inline]
pub(super) fn run(text: &[u8], mut at: usize, member: impl Fn(Class) -> bool) -> usize {
    while let Some((class, length)) = character(text, at) {
        if !member(class) {
            break;
        }
        at += length;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_has_the_class_that_the_regex_engine_gives_it() {
        let classes = [r"[^\p{L}\p{M}\p{N}\s]", r"[\p{Lu}\p{Lt}]", r"\p{Ll}", r"[\p{Lm}\p{Lo}]"];
        let classes = classes.into_iter().chain([r"\p{M}", r"\p{N}", r"\s"]);
        for (class, expected) in classes.zip(Class::ALL) {
            let member = fancy_regex::Regex::new(&format!(r"\A{class}\z")).unwrap();
            for letter in '\0'..=char::MAX {
                let mut bytes = [0; 4];
                let text = &*letter.encode_utf8(&mut bytes);
                let found = character(text.as_bytes(), 0);
                assert_eq!(
                    member.is_match(text).unwrap(),
                    found == Some((expected, text.len())),
                    "{letter:?} as {expected:?}"
                );
            }
        }
    }
}
