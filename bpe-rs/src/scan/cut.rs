//! Positions at which a text can be cut.

use super::classes::{character, Class};

/// The first position in *text* at or after *near* at which all known patterns start a piece,
/// whatever comes before and after, so that both sides split as the whole does. That is the case in
/// two situations.
///
/// After a letter or a number: before a symbol (no apostrophe, which may be part of a contraction,
/// and no mark), or before a space that is followed by a letter or a number.
///
/// After a newline that is next to no other white space, and is not followed by a slash.
pub(crate) fn cut(text: &str, near: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = (near..text.len()).find(|&at| text.is_char_boundary(at))?;
    let class = |at: usize| character(bytes, at).map(|(class, _)| class);
    let mut last = text[..at].char_indices().next_back().map(|(before, _)| (before, class(before)));
    let mut earlier = last.and_then(|(before, _)| {
        text[..before].char_indices().next_back().map(|(before, _)| class(before))
    })?;
    while let Some((next, length)) = character(bytes, at) {
        let (before, Some(class_before)) = last? else { return None };
        let is_word = |class: Class| class.is_letter() || class == Class::Number;
        let symbol = next == Class::Other && bytes[at] != b'\'';
        let space = bytes[at] == b' ' && class(at + 1).is_some_and(is_word);
        let line = bytes[before] == b'\n'
            && earlier.is_some_and(|class| class != Class::White)
            && next != Class::White
            && bytes[at] != b'/';
        if is_word(class_before) && (symbol || space) || line {
            return Some(at);
        }
        earlier = Some(class_before);
        last = Some((at, Some(next)));
        at += length;
    }
    None
}
