//! English contractions (`'s`, `'t`, `'re` and the like), which every known pattern either splits
//! off or keeps.

use super::window::below;

/// Returns the *starts* of pieces in the window of *text* at *at*, corrected for contractions: an
/// apostrophe of *quotes*, each a start, forms a piece with the letters after it if *letters* finds
/// a contraction there.
#[inline(always)]
pub(super) fn split_off(
    mut starts: u64,
    mut quotes: u64,
    text: &[u8],
    at: usize,
    letters: impl Fn(&[u8], usize) -> usize,
) -> u64 {
    while quotes != 0 {
        let first = quotes.trailing_zeros() as usize + 1;
        quotes &= quotes - 1;
        let letters = letters(text, at + first);
        if letters > 0 {
            let end = first + letters;
            starts = starts & !(below(end) & !below(first)) | below(end + 1) & !below(end);
        }
    }
    starts
}

/// The length in bytes of an English contraction in *text* at *at*, just after an apostrophe: `s`,
/// `d`, `m`, `t`, `ll`, `ve` or `re` in lower case; 0 if there is none.
pub(super) fn lower_case(text: &[u8], at: usize) -> usize {
    match text[at..] {
        [b's' | b'd' | b'm' | b't', ..] => 1,
        [b'l', b'l', ..] | [b'v' | b'r', b'e', ..] => 2,
        _ => 0,
    }
}

/// Like `lower_case`, in either case. U+017F, the long s, case-folds to `s`.
pub(super) fn any_case(text: &[u8], at: usize) -> usize {
    match text[at..] {
        [b's' | b'd' | b'm' | b't' | b'S' | b'D' | b'M' | b'T', ..] => 1,
        [b'l' | b'L', b'l' | b'L', ..]
        | [b'v' | b'r' | b'V' | b'R', b'e' | b'E', ..]
        | [0xC5, 0xBF, ..] => 2,
        _ => 0,
    }
}
