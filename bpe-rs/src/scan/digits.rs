//! Runs of `\p{N}`, split into pieces of one or of three.

use super::classes::{character, Class};
use super::window::Window;

/// The starts of pieces of *COUNT* numbers, 1 or 3, counted from the start of each run.
#[inline(always)]
pub(super) fn starts<const COUNT: usize>(window: &Window) -> u64 {
    let number = window.number;
    if COUNT == 1 {
        return number & window.lead;
    }
    let mut starts = Window::first(number);
    if number & !window.lead == 0 {
        // All numbers are one byte long. Each pass marks the start three bytes after those known.
        let fourth = number & number << 1 & number << 2 & number << 3;
        let mut more = starts << 3 & fourth;
        while more != 0 {
            starts |= more;
            more = more << 3 & fourth;
        }
        return starts;
    }
    let mut remaining = number & window.lead;
    // Numbers of several bytes: count the characters of each run.
    let mut count = 0;
    while remaining != 0 {
        let bit = remaining & remaining.wrapping_neg();
        remaining &= remaining - 1;
        count = if starts & bit != 0 { 0 } else { (count + 1) % COUNT };
        if count == 0 {
            starts |= bit;
        }
    }
    starts
}

/// The end of the piece of at most *COUNT* numbers that starts at *at*.
pub(super) fn end<const COUNT: usize>(text: &[u8], at: usize) -> usize {
    let mut end = at;
    for _ in 0..COUNT {
        match character(text, end) {
            Some((Class::Number, length)) => end += length,
            _ => break,
        }
    }
    end
}
