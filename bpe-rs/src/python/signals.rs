//! Long work that Ctrl-C can interrupt, and its threads.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use rayon::{ThreadBuilder, ThreadPoolBuilder};

use crate::Error;

/// Runs the signal handlers of Python while the crate works on this thread.
#[derive(Default)]
pub(super) struct Signals {
    /// When this was checked first, or last.
    checked: Cell<Option<Instant>>,
    raised: Cell<Option<PyErr>>,
}

impl Signals {
    /// Time between two checks: a response within 100 ms feels instant.
    const INTERVAL: Duration = Duration::from_millis(50);
    /// Calls between two readings of the clock, each of which costs more than encoding some pieces.
    pub(super) const CALLS: usize = 64;

    /// Runs the signal handlers of Python and *then*, at most once per `INTERVAL`.
    pub(super) fn check(&self, then: impl FnOnce(Python<'_>) -> PyResult<()>) -> Result<(), Error> {
        let Some(checked) = self.checked.get() else {
            self.checked.set(Some(Instant::now()));
            return Ok(());
        };
        if checked.elapsed() < Self::INTERVAL {
            return Ok(());
        }
        let handled = Python::attach(|py| py.check_signals().and_then(|()| then(py)));
        self.checked.set(Some(Instant::now()));
        handled.map_err(|raised| {
            self.raised.set(Some(raised));
            Error::Interrupted
        })
    }

    /// Returns *result*, unless a signal handler raised: its exception is never lost, even if the
    /// work was done before it could be stopped.
    pub(super) fn or_raise<T>(self, result: Result<T, Error>) -> PyResult<T> {
        match self.raised.into_inner() {
            Some(raised) => Err(raised),
            None => Ok(result?),
        }
    }
}

/// Does *work*, which calls its argument from time to time to run the signal handlers of Python,
/// and stops when that returns an error.
pub(super) fn interruptible<T>(
    work: impl FnOnce(&dyn Fn() -> Result<(), Error>) -> Result<T, Error>,
) -> PyResult<T> {
    let signals = Signals::default();
    let result = work(&|| signals.check(|_| Ok(())));
    signals.or_raise(result)
}

/// The state of work on several threads: whether it must stop, and how much is done.
#[derive(Default)]
pub(super) struct Work {
    stop: AtomicBool,
    done: AtomicUsize,
}

impl Work {
    /// Adds *bytes* to what is done; returns an error if the work must stop.
    pub(super) fn advance(&self, bytes: usize) -> Result<(), Error> {
        if bytes > 0 {
            self.done.fetch_add(bytes, Ordering::Relaxed);
        }
        if self.stop.load(Ordering::Relaxed) {
            Err(Error::Interrupted)
        } else {
            Ok(())
        }
    }

    /// Sets what is done in total; returns `Break` if the work must stop.
    pub(super) fn reach(&self, done: usize) -> ControlFlow<()> {
        self.done.store(done, Ordering::Relaxed);
        if self.stop.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// Runs *work* on *threads* threads, or on one per core if `None`. Meanwhile the calling thread
/// checks for signals, and calls *progress* from time to time with how much is done.
///
/// *work* must call `advance` or `reach` often, and must stop if that fails.
pub(super) fn on_threads<T: Send>(
    threads: Option<usize>,
    progress: Option<&Py<PyAny>>,
    work: impl FnOnce(&Work) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let state = Work::default();
    let signals = Signals { checked: Cell::new(Some(Instant::now())), ..Signals::default() };
    let cannot_start =
        |reason: String| PyMemoryError::new_err(format!("cannot start threads: {reason}"));
    let result = thread::scope(|scope| {
        // The worker owns the sender: it is dropped when the work ends, which wakes the receiver.
        let (working, finished) = mpsc::channel::<()>();
        let worker = thread::Builder::new().spawn_scoped(scope, || {
            let _working = working;
            // A scoped pool joins its threads before it returns.
            ThreadPoolBuilder::new()
                .num_threads(threads.unwrap_or(0))
                .build_scoped(ThreadBuilder::run, |pool| pool.install(|| work(&state)))
        });
        let worker = worker.map_err(|error| cannot_start(error.to_string()))?;
        while finished.recv_timeout(Signals::INTERVAL) == Err(RecvTimeoutError::Timeout) {
            let report = |py: Python<'_>| match progress {
                Some(progress) => {
                    progress.call1(py, (state.done.load(Ordering::Relaxed),)).map(drop)
                }
                None => Ok(()),
            };
            if signals.check(report).is_err() {
                state.stop.store(true, Ordering::Relaxed);
                break;
            }
        }
        let result = worker.join().unwrap_or_else(|panic| resume_unwind(panic));
        result.map_err(|error| cannot_start(error.to_string()))
    });
    signals.or_raise(result?)
}
