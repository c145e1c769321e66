//! Hand-written splitters of the known patterns: no regular expression, no look-ahead.
//!
//! A window of 64 bytes begins where a piece begins. Bits say which of its bytes are letters,
//! white space and so on (`block`); shifting and adding those words finds all bytes where a piece
//! begins (`Rules::starts`), with no branch for any one piece. The next window begins at the last
//! piece that was found, so nothing is carried from one to the next. Where a window does not show
//! enough, a longer piece or one of the few cases with unbounded look-ahead, one piece is found a
//! character at a time (`Rules::end`), which also says most plainly what each pattern means.
//!
//! The Unicode tables are those of `regex-syntax`, made by `examples/scan_tables.rs`. That the
//! pieces are the regex's is tested on every character, on all short sequences of character
//! classes, and on random text. The idea to find pieces by bits is gigatoken's.

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

/// Where pieces begin in a window.
struct Starts {
    /// A bit for each; the first byte's is among them.
    bits: u64,
    /// Whether there are no others in the window.
    complete: bool,
}

impl Starts {
    #[inline(always)]
    fn all(bits: u64) -> Self {
        Self { bits, complete: true }
    }

    #[inline(always)]
    fn some(bits: u64) -> Self {
        Self { bits, complete: false }
    }
}

/// What a known pattern says.
trait Rules {
    /// Where pieces begin in the *window* of *text* from *at* on, at which a piece begins. Those of
    /// a run of white space that touches the window's end are left out, but for its beginning.
    fn starts(window: &Window, text: &[u8], at: usize) -> Starts;

    /// Where the piece ends that begins at *at*.
    fn end(text: &[u8], at: usize) -> usize;
}

impl Scanner {
    /// Finds the ends of the pieces of *text* from *at* on, where one begins, until there are
    /// enough or the text has no more. The last end is where to go on.
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

/// A way to look at text, by the instructions that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Way {
    /// All that this processor can go, the quickest first.
    fn possible() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let ways = {
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
        let ways = [None];
        ways.into_iter().flatten().chain([Self::Portable])
    }
}

fn fill<R: Rules>(text: &[u8], at: usize, ends: &mut Ends) {
    static QUICKEST: LazyLock<Way> =
        LazyLock::new(|| Way::possible().next().unwrap_or(Way::Portable));
    fill_in::<R>(*QUICKEST, text, at, ends);
}

/// *way* must be one of the possible ones.
#[allow(unsafe_code)]
fn fill_in<R: Rules>(way: Way, text: &[u8], at: usize, ends: &mut Ends) {
    match way {
        // SAFETY: that it is possible says that the processor has all that the function enables.
        #[cfg(target_arch = "x86_64")]
        Way::Avx512 => unsafe { x86::with_avx512::<R>(text, at, ends) },
        // SAFETY: likewise.
        #[cfg(target_arch = "x86_64")]
        Way::Avx2 => unsafe { x86::with_avx2::<R>(text, at, ends) },
        Way::Portable => {
            let of_text = starts_of_text::<R>;
            fill_by::<R>(text, at, ends, block::portable, Ends::push_all, of_text);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{block, fill_by, starts_of_text, Ascii, Ends, Rules, Starts, WIDTH};

    /// Not inlined: it would take registers from the loop that most text runs through.
    #[target_feature(enable = "bmi1,bmi2,lzcnt,popcnt")]
    #[inline(never)]
    fn beyond_ascii<R: Rules>(ascii: Ascii, text: &[u8], at: usize) -> (Starts, usize) {
        starts_of_text::<R>(ascii, text, at)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,bmi1,bmi2,lzcnt,popcnt")]
    pub(super) fn with_avx512<R: Rules>(text: &[u8], at: usize, ends: &mut Ends) {
        let push_all = |ends: &mut Ends, at, bits: u64| {
            let places = block::places(bits);
            let count = bits.count_ones() as usize;
            let room = ends.places[ends.count..ends.count + WIDTH].as_chunks_mut().0;
            for (some, places) in room[..count.div_ceil(8)].iter_mut().zip(places.as_chunks().0) {
                *some = block::widen(*places, at).map(|place| place as usize);
            }
            ends.count += count;
        };
        let of_text = |ascii, text: &[u8], at| beyond_ascii::<R>(ascii, text, at);
        fill_by::<R>(text, at, ends, |bytes| block::avx512(bytes), push_all, of_text);
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub(super) fn with_avx2<R: Rules>(text: &[u8], at: usize, ends: &mut Ends) {
        let of_text = |ascii, text: &[u8], at| beyond_ascii::<R>(ascii, text, at);
        fill_by::<R>(text, at, ends, |bytes| block::avx2(bytes), Ends::push_all, of_text);
    }
}

#[inline(always)]
fn fill_by<R: Rules>(
    text: &[u8],
    mut at: usize,
    ends: &mut Ends,
    ascii: impl Fn(&[u8; WIDTH]) -> Ascii,
    push_all: impl Fn(&mut Ends, usize, u64),
    starts_of_text: impl Fn(Ascii, &[u8], usize) -> (Starts, usize),
) {
    ends.clear();
    while at < text.len() && ends.count < Ends::ENOUGH {
        let left = text.len() - at;
        let ascii = if let Some(bytes) = text[at..].first_chunk() {
            ascii(bytes)
        } else if let Some(bytes) = text.last_chunk() {
            ascii(bytes).skip(WIDTH - left)
        } else {
            let mut bytes = [0; WIDTH];
            bytes[..left].copy_from_slice(&text[at..]);
            ascii(&bytes)
        };
        let (starts, shown) = if ascii.beyond == 0 {
            let shown = left.min(WIDTH);
            (R::starts(&Window::of_ascii(ascii, below(shown)), text, at), shown)
        } else {
            starts_of_text(ascii, text, at)
        };
        debug_assert_eq!(starts.bits & 1, 1, "a window begins with a piece");
        let bits = starts.bits & !1;
        if bits != 0 {
            push_all(ends, at, bits);
        }
        if starts.complete && shown == left {
            ends.push(text.len());
            return;
        }
        at = if bits == 0 {
            let end = R::end(text, at);
            ends.push(end);
            end
        } else {
            at + 63 - bits.leading_zeros() as usize
        };
    }
}

/// Where pieces begin in a window with characters beyond ASCII, and how many bytes it shows.
#[inline(always)]
fn starts_of_text<R: Rules>(ascii: Ascii, text: &[u8], at: usize) -> (Starts, usize) {
    let window = Window::of_text(ascii, text, at);
    (R::starts(&window, text, at), window.valid.count_ones() as usize)
}

#[cfg(test)]
mod tests;
