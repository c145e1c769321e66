//! GPT-4o's pattern:
//! `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`

use super::classes::{character, run, Class};
use super::window::{below, spread, Window};
use super::{contraction, digits, white, Rules, Starts};

pub(super) struct O200k;

fn is_upper_half(class: Class) -> bool {
    matches!(class, Class::Upper | Class::Caseless | Class::Mark)
}

fn is_lower_half(class: Class) -> bool {
    matches!(class, Class::Lower | Class::Caseless | Class::Mark)
}

/// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`
fn capitalized(text: &[u8], at: usize) -> Option<usize> {
    let (mut end, mut after_last_of_both) = (at, None);
    while let Some((class, length)) = character(text, end) {
        if class == Class::Lower {
            return Some(run(text, end, is_lower_half));
        }
        if !is_upper_half(class) {
            break;
        }
        end += length;
        if class != Class::Upper {
            after_last_of_both = Some(end);
        }
    }
    // Without a lower-case letter, backtracking gives the last character of both halves to the
    // second one.
    after_last_of_both
}

/// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+`, where `capitalized` does not match.
fn capitals(text: &[u8], at: usize) -> Option<usize> {
    let end = run(text, at, is_upper_half);
    (end > at).then_some(end)
}

impl Rules for O200k {
    #[inline(always)]
    fn starts(window: &Window, text: &[u8], at: usize) -> Starts {
        let Window { upper, lower, mark, space, newline, apostrophe, valid, .. } = *window;
        let ends_text = at + valid.count_ones() as usize == text.len();
        // Newlines and slashes after a symbol belong to its piece.
        let taken = spread(newline & window.other << 1, newline | window.slash);
        let white = window.white & !taken;
        let blank = window.white & !newline;
        let other = window.other & !taken;
        let symbols = Window::first(other) & !(space << 1);
        let first_symbols = window.whole(symbols);
        let word = window.letter | mark;
        let either = word & !upper & !lower;
        // Lower-case letters, and the caseless characters that follow them: an upper-case letter
        // after one of these starts a new word.
        let ends_word = lower | spread(lower << 1 & either, either);
        let mut starts = Window::first(word) & !((blank | first_symbols) << 1)
            | upper & window.lead & ends_word << 1
            | digits::starts::<3>(window)
            | symbols
            | Window::first(white)
            | white::after_newlines(window, white, ends_text)
            | white::left_to_the_next(window, blank);
        // In two cases the window may not show enough. A mark after a symbol that starts no piece
        // is itself part of the symbols. After an upper-case letter that follows a caseless
        // character, later letters decide whether a piece starts at that letter.
        let mut unsure = mark & (other & !first_symbols) << 1
            | Window::first(upper) & (either & !ends_word) << 1;
        let mut quotes = apostrophe & word << 1;
        let mut end = 0;
        while quotes != 0 {
            let index = quotes.trailing_zeros() as usize;
            quotes &= quotes - 1;
            let letters = contraction::any_case(text, at + index + 1);
            // The letter before the apostrophe may belong to another contraction, which takes no
            // second one.
            if letters > 0 && end != index {
                end = index + 1 + letters;
                let after = below(end + 1) & !below(end);
                starts = starts & !(below(end) & !below(index)) | after;
                // A word directly after the contraction starts a piece, but the letter before it
                // hides its start from the masks.
                unsure |= (word & after) << 1;
                if word & after != 0 {
                    break;
                }
            }
        }
        if unsure == 0 {
            Starts::complete(starts & valid)
        } else {
            // Only the starts before the first uncertain byte are known.
            Starts::incomplete(starts & valid & (unsure & unsure.wrapping_neg()).wrapping_sub(1))
        }
    }

    fn end(text: &[u8], at: usize) -> usize {
        let newline = matches!(text[at], b'\r' | b'\n');
        let Some((class, length)) = character(text, at) else { return at };
        if class == Class::Number {
            return digits::end::<3>(text, at);
        }
        let after = at + length;
        let may_lead = !newline && !class.is_letter();
        let word = (may_lead.then(|| capitalized(text, after)).flatten())
            .or_else(|| capitalized(text, at))
            .or_else(|| may_lead.then(|| capitals(text, after)).flatten())
            .or_else(|| capitals(text, at));
        if let Some(end) = word {
            let quoted = text.get(end) == Some(&b'\'');
            let letters = if quoted { contraction::any_case(text, end + 1) } else { 0 };
            return if letters > 0 { end + 1 + letters } else { end };
        }
        let next = character(text, after).map(|(class, _)| class);
        if class.is_symbol() || text[at] == b' ' && next.is_some_and(Class::is_symbol) {
            let mut end = run(text, after, Class::is_symbol);
            while matches!(text.get(end), Some(b'\r' | b'\n' | b'/')) {
                end += 1;
            }
            return end;
        }
        white::Run::at(text, at).end_with_newlines_first()
    }
}
