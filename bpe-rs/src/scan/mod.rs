//! Hand-written splitters of the known patterns: no regular expression, no look-ahead.
//!
//! A window of 64 bytes starts where a piece starts. Each character class (letters, white space and
//! so on) becomes a word of 64 bits, one bit per byte (`block`). Shifting and adding these words
//! finds all bytes of the window at which a piece starts (`Rules::starts`), without a branch for
//! any single piece. The next window starts at the last piece that was found, so no state is
//! carried from window to window. Where a window does not show enough (a longer piece, or one of
//! the few cases of unbounded look-ahead), `Rules::end` finds the end of one piece, a character at
//! a time; it is also the plainest statement of each pattern.
//!
//! The Unicode tables are those of `regex-syntax`, written by `examples/scan_tables.rs`. Tests
//! compare the pieces with those of the regex on every character, on all short sequences of
//! character classes, and on random text. Finding pieces with bit masks is an idea of gigatoken.

mod block;
mod cl100k;
mod classes;
mod contraction;
mod cut;
mod digits;
mod ends;
mod gpt2;
mod o200k;
mod tables;
mod white;
mod window;

pub(crate) use cut::cut;
pub(crate) use ends::Ends;

use std::sync::LazyLock;

use block::{Ascii, WIDTH};
use window::{below, Window};

/// A known pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scanner {
    Gpt2,
    Cl100k,
    Llama3,
    Qwen2,
    O200k,
}

/// Starts of pieces in a window.
struct Starts {
    /// One bit for each start, the first byte of the window included.
    bits: u64,
    /// Whether these are all starts in the window.
    complete: bool,
}

impl Starts {
    #[inline(always)]
    fn complete(bits: u64) -> Self {
        Self { bits, complete: true }
    }

    #[inline(always)]
    fn incomplete(bits: u64) -> Self {
        Self { bits, complete: false }
    }
}

/// The rules of one known pattern.
trait Rules {
    /// The starts of pieces in the *window* of *text* at *at*, where a piece starts. In a run of
    /// white space that touches the end of the window, only the start of the run is included.
    fn starts(window: &Window, text: &[u8], at: usize) -> Starts;

    /// The end of the piece that starts at *at*.
    fn end(text: &[u8], at: usize) -> usize;
}

impl Scanner {
    /// Finds the ends of the pieces of *text* from *at* on, where a piece starts, until
    /// `Ends::ENOUGH` are found or the text ends. The last end is where the next call continues.
    pub(crate) fn fill(self, text: &str, at: usize, ends: &mut Ends) {
        let text = text.as_bytes();
        match self {
            Self::Gpt2 => fill::<gpt2::Gpt2>(text, at, ends),
            Self::Cl100k => fill::<cl100k::Family<3, true>>(text, at, ends),
            Self::Llama3 => fill::<cl100k::Family<3, false>>(text, at, ends),
            Self::Qwen2 => fill::<cl100k::Family<1, false>>(text, at, ends),
            Self::O200k => fill::<o200k::O200k>(text, at, ends),
        }
    }
}

/// The instruction set that classifies the bytes of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Simd {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Simd {
    /// All that this processor supports, the fastest first.
    fn supported() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let accelerated = {
            let bits = is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("popcnt");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vbmi2");
            [
                (bits && avx512).then_some(Self::Avx512),
                (bits && is_x86_feature_detected!("avx2")).then_some(Self::Avx2),
            ]
        };
        #[cfg(not(target_arch = "x86_64"))]
        let accelerated = [None];
        accelerated.into_iter().flatten().chain([Self::Portable])
    }
}

fn fill<R: Rules>(text: &[u8], at: usize, ends: &mut Ends) {
    static FASTEST: LazyLock<Simd> =
        LazyLock::new(|| Simd::supported().next().unwrap_or(Simd::Portable));
    fill_with::<R>(*FASTEST, text, at, ends);
}

/// *simd* must be supported by this processor.
#[allow(unsafe_code)]
fn fill_with<R: Rules>(simd: Simd, text: &[u8], at: usize, ends: &mut Ends) {
    match simd {
        // SAFETY: *simd* is supported, so the processor has all features that the function enables.
        #[cfg(target_arch = "x86_64")]
        Simd::Avx512 => unsafe { x86::with_avx512::<R>(text, at, ends) },
        // SAFETY: likewise.
        #[cfg(target_arch = "x86_64")]
        Simd::Avx2 => unsafe { x86::with_avx2::<R>(text, at, ends) },
        Simd::Portable => {
            let in_text = starts_in_text::<R>;
            fill_windows::<R>(text, at, ends, block::portable, Ends::push_all, in_text);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{block, fill_windows, starts_in_text, Ascii, Ends, Rules, Starts, WIDTH};

    /// Not inlined: it would take registers from the loop that most text runs through.
    #[target_feature(enable = "bmi1,bmi2,lzcnt,popcnt")]
    #[inline(never)]
    fn beyond_ascii<R: Rules>(ascii: Ascii, text: &[u8], at: usize) -> (Starts, usize) {
        starts_in_text::<R>(ascii, text, at)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,bmi1,bmi2,lzcnt,popcnt")]
    pub(super) fn with_avx512<R: Rules>(text: &[u8], at: usize, ends: &mut Ends) {
        let push_all = |ends: &mut Ends, at, bits: u64| {
            // Eight ends at a time. Those past the last bit are overwritten by the next window.
            let indices = block::indices(bits);
            let count = bits.count_ones() as usize;
            let free = ends.offsets[ends.count..ends.count + WIDTH].as_chunks_mut().0;
            let free = &mut free[..count.div_ceil(8)];
            for (eight, indices) in free.iter_mut().zip(indices.as_chunks().0) {
                *eight = block::widen(*indices, at).map(|end| end as usize);
            }
            ends.count += count;
        };
        let in_text = |ascii, text: &[u8], at| beyond_ascii::<R>(ascii, text, at);
        fill_windows::<R>(text, at, ends, |bytes| block::avx512(bytes), push_all, in_text);
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub(super) fn with_avx2<R: Rules>(text: &[u8], at: usize, ends: &mut Ends) {
        let in_text = |ascii, text: &[u8], at| beyond_ascii::<R>(ascii, text, at);
        fill_windows::<R>(text, at, ends, |bytes| block::avx2(bytes), Ends::push_all, in_text);
    }
}

#[inline(always)]
fn fill_windows<R: Rules>(
    text: &[u8],
    mut at: usize,
    ends: &mut Ends,
    ascii: impl Fn(&[u8; WIDTH]) -> Ascii,
    push_all: impl Fn(&mut Ends, usize, u64),
    starts_in_text: impl Fn(Ascii, &[u8], usize) -> (Starts, usize),
) {
    ends.clear();
    while at < text.len() && ends.count < Ends::ENOUGH {
        let remaining = text.len() - at;
        // Load a full window; near the end of the text the last 64 bytes, shifted; a shorter text
        // padded with zeros.
        let ascii = if let Some(bytes) = text[at..].first_chunk() {
            ascii(bytes)
        } else if let Some(bytes) = text.last_chunk() {
            ascii(bytes).skip(WIDTH - remaining)
        } else {
            let mut bytes = [0; WIDTH];
            bytes[..remaining].copy_from_slice(&text[at..]);
            ascii(&bytes)
        };
        let (starts, shown) = if ascii.beyond == 0 {
            let shown = remaining.min(WIDTH);
            (R::starts(&Window::of_ascii(ascii, below(shown)), text, at), shown)
        } else {
            starts_in_text(ascii, text, at)
        };
        debug_assert_eq!(starts.bits & 1, 1, "a window starts with a piece");
        // Every start but the first is the end of the piece before it.
        let bits = starts.bits & !1;
        if bits != 0 {
            push_all(ends, at, bits);
        }
        if starts.complete && shown == remaining {
            ends.push(text.len());
            return;
        }
        // No further start in the window: find the end of this piece a character at a time.
        at = if bits == 0 {
            let end = R::end(text, at);
            ends.push(end);
            end
        } else {
            at + 63 - bits.leading_zeros() as usize
        };
    }
}

/// The starts of pieces in a window with characters beyond ASCII, and how many bytes it shows.
#[inline(always)]
fn starts_in_text<R: Rules>(ascii: Ascii, text: &[u8], at: usize) -> (Starts, usize) {
    let window = Window::of_text(ascii, text, at);
    (R::starts(&window, text, at), window.valid.count_ones() as usize)
}

#[cfg(test)]
mod tests;
