//! The ends of runs of white space, which look-ahead decides in the known patterns.

use super::classes::{character, Class};
use super::window::Window;

/// The *blank* characters that are the last white space before another character in the window:
/// `\s+(?!\S)` leaves them to the next piece.
#[inline(always)]
pub(super) fn left_to_the_next(window: &Window, blank: u64) -> u64 {
    window.leads(blank & !(window.white >> 1) & !window.last())
}

/// The first white space after the last newline of each run in *white*, where `\s*[\r\n]` or
/// `\s*[\r\n]+` ends. A run that touches the end of the window is excluded, unless *`ends_there`*
/// says that it has no further newline and that it also ends after its last one.
#[inline(always)]
pub(super) fn after_newlines(window: &Window, white: u64, ends_there: bool) -> u64 {
    let newline = window.newline & white;
    let blank = white & !newline;
    let mut starts = blank & newline << 1;
    if starts == 0 {
        return 0;
    }
    let start_of_run_before = |bit: u64| {
        // The byte after the highest byte below *bit* that is not blank.
        let before = (bit - 1) & !blank;
        if before == 0 {
            1
        } else {
            (1_u64 << 63 >> before.leading_zeros()) << 1
        }
    };
    // The carry from each start stops after the end of its run of blanks. If it stops at another
    // newline, that start did not follow the last newline.
    let ends = blank.wrapping_add(starts) & !blank;
    let mut undone = ends & newline;
    while undone != 0 {
        starts &= !start_of_run_before(undone & undone.wrapping_neg());
        undone &= undone - 1;
    }
    let last = window.last();
    if !ends_there && blank & last != 0 {
        starts &= !start_of_run_before(last);
    }
    starts
}

/// One run of white space in a text.
pub(super) struct Run {
    start: usize,
    end: usize,
    /// Start of its last character.
    last: usize,
    /// End of its last newline, if it has one.
    after_newlines: Option<usize>,
    ends_text: bool,
}

impl Run {
    pub(super) fn at(text: &[u8], start: usize) -> Self {
        let (mut end, mut last, mut after_newlines) = (start, start, None);
        while let Some((Class::White, length)) = character(text, end) {
            last = end;
            end += length;
            if matches!(text[last], b'\r' | b'\n') {
                after_newlines = Some(end);
            }
        }
        Self { start, end, last, after_newlines, ends_text: end == text.len() }
    }

    /// `\s++$|\s+(?!\S)|\s`
    pub(super) fn end_without_newlines(&self) -> usize {
        if self.ends_text || self.last == self.start {
            self.end
        } else {
            self.last
        }
    }

    /// `\s++$|\s*[\r\n]|\s+(?!\S)|\s`
    pub(super) fn end_with_text_first(&self) -> usize {
        if self.ends_text {
            self.end
        } else {
            self.end_with_newlines_first()
        }
    }

    /// `\s*[\r\n]+|\s+(?!\S)|\s+`
    pub(super) fn end_with_newlines_first(&self) -> usize {
        self.after_newlines.unwrap_or_else(|| self.end_without_newlines())
    }
}
