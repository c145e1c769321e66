//! Runs of `\p{N}`, in pieces of one or of three.

use super::classes::{character, Class};
use super::window::Window;

/// Where pieces of *COUNT* numbers begin, 1 or 3, counted from where each run begins.
#[inline(always)]
pub(super) fn starts<const COUNT: usize>(window: &Window) -> u64 {
    let number = window.number;
    if COUNT == 1 {
        return number & window.lead;
    }
    let mut starts = Window::first(number);
    if number & !window.lead == 0 {
        // Each is a byte.
        let fourth = number & number << 1 & number << 2 & number << 3;
        let mut more = starts << 3 & fourth;
        while more != 0 {
            starts |= more;
            more = more << 3 & fourth;
        }
        return starts;
    }
    let mut left = number & window.lead;
    let mut count = 0;
    while left != 0 {
        let bit = left & left.wrapping_neg();
        left &= left - 1;
        count = if starts & bit != 0 { 0 } else { (count + 1) % COUNT };
        if count == 0 {
            starts |= bit;
        }
    }
    starts
}

/// Where a piece of at most *COUNT* numbers ends that begins at *at*.
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
