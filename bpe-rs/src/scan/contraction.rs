//! `'s`, `'t`, `'re` and their like, which every known pattern splits off or keeps.

/// How many bytes of *text* from *at* on, where an apostrophe was just before, are the letters of
/// an English contraction: `s`, `d`, `m`, `t`, `ll`, `ve` or `re`, in lower case; 0 if none.
pub(super) fn lower_case(text: &[u8], at: usize) -> usize {
    match text[at..] {
        [b's' | b'd' | b'm' | b't', ..] => 1,
        [b'l', b'l', ..] | [b'v' | b'r', b'e', ..] => 2,
        _ => 0,
    }
}

/// The same in either case. U+017F, the long s, is an `s` without its case.
pub(super) fn any_case(text: &[u8], at: usize) -> usize {
    match text[at..] {
        [b's' | b'd' | b'm' | b't' | b'S' | b'D' | b'M' | b'T', ..] => 1,
        [b'l' | b'L', b'l' | b'L', ..]
        | [b'v' | b'r' | b'V' | b'R', b'e' | b'E', ..]
        | [0xC5, 0xBF, ..] => 2,
        _ => 0,
    }
}
