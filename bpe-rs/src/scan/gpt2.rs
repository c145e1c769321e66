//! GPT-2's pattern:
//! `'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s`

use super::classes::{character, run, Class};
use super::window::Window;
use super::{contraction, white, Rules, Starts};

pub(super) struct Gpt2;

impl Rules for Gpt2 {
    #[inline(always)]
    fn starts(window: &Window, text: &[u8], at: usize) -> Starts {
        let Window { letter, number, white, space, apostrophe, valid, .. } = *window;
        let symbol = window.other | window.mark;
        // A space before a run belongs to the piece of that run.
        let words = Window::first(letter) | Window::first(number) | Window::first(symbol);
        let starts =
            words & !(space << 1) | Window::first(white) | white::left_to_the_next(window, white);
        let starts =
            contraction::split_off(starts, apostrophe & starts, text, at, contraction::lower_case);
        Starts::complete(starts & valid)
    }

    fn end(text: &[u8], at: usize) -> usize {
        if text[at] == b'\'' {
            let letters = contraction::lower_case(text, at + 1);
            if letters > 0 {
                return at + 1 + letters;
            }
        }
        let from = at + usize::from(text[at] == b' ');
        match character(text, from).map(|(class, _)| class) {
            Some(class) if class.is_letter() => run(text, from, Class::is_letter),
            Some(Class::Number) => run(text, from, |class| class == Class::Number),
            Some(class) if class.is_symbol() => run(text, from, Class::is_symbol),
            _ => white::Run::at(text, at).end_without_newlines(),
        }
    }
}
