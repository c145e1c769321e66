//! How long a custom pattern may take on a text.
//!
//! A regex can take exponential time on one search, and quadratic time on all searches of a text.
//! Known patterns do neither, and cost nothing here.

use std::any::Any;
use std::cell::Cell;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::time::Duration;

use crate::Error;

/// The time that a custom pattern may still take, and a check whether the work must stop.
///
/// A text may take one second, and ten microseconds for each of its bytes: a hundred times as long
/// as usual patterns take. It is processor time of this thread, so a busy machine makes nothing
/// fail. Time that a text leaves is no time for the next one.
pub struct Budget<'c> {
    /// Nanoseconds.
    left: Cell<u64>,
    /// When the clock was read last, in nanoseconds.
    read: Cell<Option<u64>>,
    /// Steps until the clock is read again, and from one reading to the next.
    steps: Cell<u32>,
    interval: Cell<u32>,
    check: &'c dyn Fn() -> Result<(), Error>,
}

const BASE: u64 = 1_000_000_000;
const PER_BYTE: u64 = 10_000;

/// Steps from the start to the first reading of the clock: short texts take fewer.
const FIRST: u32 = 1 << 8;
const MAX_INTERVAL: u32 = 1 << 14;
/// Approximate time between readings of the clock, which takes a microsecond on some machines.
const BETWEEN: u64 = 1_000_000;

impl Default for Budget<'_> {
    fn default() -> Self {
        Self::new(&|| Ok(()))
    }
}

impl std::fmt::Debug for Budget<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Budget").field("left", &self.left).finish_non_exhaustive()
    }
}

impl<'c> Budget<'c> {
    /// Creates a budget for any number of texts, one after another. *check* is called from time to
    /// time while a custom pattern takes long, and an error it returns stops the search.
    #[must_use]
    pub fn new(check: &'c dyn Fn() -> Result<(), Error>) -> Self {
        Self {
            left: Cell::new(BASE),
            read: Cell::new(None),
            steps: Cell::new(FIRST),
            interval: Cell::new(FIRST),
            check,
        }
    }

    /// Creates a budget of a nanosecond.
    #[cfg(test)]
    pub(crate) fn short() -> Self {
        let budget = Self::default();
        budget.left.set(1);
        budget
    }

    /// Starts the next text, of *bytes* bytes.
    pub(crate) fn start(&self, bytes: usize) {
        self.left.set(self.left.get().min(BASE) + PER_BYTE.saturating_mul(bytes as u64));
    }

    /// Calls *search*, during which *step* stops it with an error.
    pub(crate) fn limit<T>(&self, search: impl FnOnce() -> T) -> Result<T, Error> {
        catch_unwind(AssertUnwindSafe(search)).map_err(|stopped: Box<dyn Any + Send>| match stopped
            .downcast::<Stopped>(
        ) {
            Ok(stopped) => stopped.0,
            Err(panic) => resume_unwind(panic),
        })
    }

    /// Counts a step of a search, and unwinds to `limit` if the work must stop.
    #[inline]
    pub(crate) fn step(&self) {
        self.steps.set(self.steps.get() - 1);
        if self.steps.get() == 0 {
            if let Err(error) = self.look() {
                // The regex engine calls this in its innermost loop, and offers no other way out.
                // Unlike a panic, this prints nothing.
                resume_unwind(Box::new(Stopped(error)));
            }
        }
    }

    /// Reads the clock, and returns an error if the work must stop.
    #[cold]
    fn look(&self) -> Result<(), Error> {
        let now = processor_time();
        let taken = self.read.get().map_or(0, |read| now.saturating_sub(read));
        self.interval.set(next_interval(self.interval.get(), taken));
        self.steps.set(self.interval.get());
        (self.check)()?;
        // What the check took is not counted.
        self.read.set(Some(processor_time()));
        self.left.set(self.left.get().saturating_sub(taken));
        if self.left.get() == 0 {
            return Err(Error::PatternTooSlow { offset: 0 });
        }
        Ok(())
    }
}

/// Steps until the clock is read again, after *interval* of them have *taken* so long. A step can be
/// a search through a whole text, so a second can be a few.
fn next_interval(interval: u32, taken: u64) -> u32 {
    if taken < BETWEEN {
        (2 * interval).min(MAX_INTERVAL)
    } else {
        (interval / 2).max(1)
    }
}

/// What `Budget::step` unwinds with.
struct Stopped(Error);

/// The processor time of this thread in nanoseconds, or where there is none, the time.
fn processor_time() -> u64 {
    #[cfg(unix)]
    let time = {
        use rustix::time::{clock_gettime, ClockId};
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
    };
    #[cfg(not(unix))]
    let time = {
        static START: std::sync::LazyLock<std::time::Instant> =
            std::sync::LazyLock::new(std::time::Instant::now);
        START.elapsed()
    };
    time.as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes steps until the budget ends, and returns the error.
    fn run(budget: &Budget<'_>) -> Error {
        let forever = || loop {
            budget.step();
        };
        budget.limit(forever).map(|never: std::convert::Infallible| match never {}).unwrap_err()
    }

    #[test]
    fn a_search_without_end_is_stopped() {
        let budget = Budget::short();

        assert_eq!(run(&budget), Error::PatternTooSlow { offset: 0 });
        assert_eq!(run(&budget), Error::PatternTooSlow { offset: 0 });
    }

    #[test]
    fn what_a_text_leaves_is_not_for_the_next() {
        let budget = Budget::default();

        budget.start(1 << 40);
        budget.start(3);

        assert_eq!(budget.left.get(), BASE + 3 * PER_BYTE);
    }

    #[test]
    fn a_check_stops_a_search() {
        let budget = Budget::new(&|| Err(Error::Interrupted));

        assert_eq!(run(&budget), Error::Interrupted);
    }

    #[test]
    fn the_clock_is_read_as_often_as_steps_take_long() {
        assert_eq!(next_interval(256, BETWEEN - 1), 512);
        assert_eq!(next_interval(MAX_INTERVAL, 0), MAX_INTERVAL);
        assert_eq!(next_interval(256, BETWEEN), 128);
        assert_eq!(next_interval(1, 100 * BETWEEN), 1);
    }

    #[test]
    fn another_panic_stays_one() {
        let budget = Budget::default();

        let panic = catch_unwind(AssertUnwindSafe(|| budget.limit(|| panic!("another"))));

        assert!(panic.is_err());
    }
}
