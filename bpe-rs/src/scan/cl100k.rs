//! GPT-4's pattern,
//! `'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s`,
//! and its family: Llama-3's pattern ends with `\s*[\r\n]+|\s+(?!\S)|\s+`; Qwen2's is the same with
//! `\p{N}` for `\p{N}{1,3}`.

use super::classes::{character, run, Class};
use super::window::{spread, Window};
use super::{contraction, digits, white, Rules, Starts};

/// `DIGITS` is the maximum number of digits in a piece, 1 or 3. With `TEXT_FIRST`, `\s++$` comes
/// before the alternatives with newlines.
pub(super) struct Family<const DIGITS: usize, const TEXT_FIRST: bool>;

impl<const DIGITS: usize, const TEXT_FIRST: bool> Rules for Family<DIGITS, TEXT_FIRST> {
    #[inline(always)]
    fn starts(window: &Window, text: &[u8], at: usize) -> Starts {
        let Window { letter, space, newline, apostrophe, valid, .. } = *window;
        let ends_text = at + valid.count_ones() as usize == text.len();
        let symbol = window.other | window.mark;
        // Newlines directly after a symbol belong to its piece.
        let taken = spread(newline & symbol << 1, newline);
        let white = window.white & !taken;
        let blank = window.white & !newline;
        let symbols = Window::first(symbol) & !(space << 1);
        // A white-space or symbol character before letters belongs to their piece if it starts a
        // piece itself. That is certain for the last blank before them, and for a symbol that
        // follows neither a space nor another symbol.
        let before = blank | window.whole(symbols);
        let starts = Window::first(letter) & !(before << 1)
            | digits::starts::<DIGITS>(window)
            | symbols
            | Window::first(white)
            | white::after_newlines(window, white, ends_text && !TEXT_FIRST)
            | white::left_to_the_next(window, blank);
        let starts =
            contraction::split_off(starts, apostrophe & symbols, text, at, contraction::any_case);
        Starts::complete(starts & valid)
    }

    fn end(text: &[u8], at: usize) -> usize {
        if text[at] == b'\'' {
            let letters = contraction::any_case(text, at + 1);
            if letters > 0 {
                return at + 1 + letters;
            }
        }
        let newline = matches!(text[at], b'\r' | b'\n');
        let Some((class, length)) = character(text, at) else { return at };
        let next = character(text, at + length).map(|(class, _)| class);
        if class == Class::Number {
            return digits::end::<DIGITS>(text, at);
        }
        if class.is_letter() || !newline && next.is_some_and(Class::is_letter) {
            return run(text, at + length, Class::is_letter);
        }
        if class.is_symbol() || text[at] == b' ' && next.is_some_and(Class::is_symbol) {
            let mut end = run(text, at + length, Class::is_symbol);
            while matches!(text.get(end), Some(b'\r' | b'\n')) {
                end += 1;
            }
            return end;
        }
        let run = white::Run::at(text, at);
        if TEXT_FIRST {
            run.end_with_text_first()
        } else {
            run.end_with_newlines_first()
        }
    }
}
