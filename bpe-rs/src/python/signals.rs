//! Long work that Ctrl-C can end, and the threads it runs on.

use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use rayon::{ThreadBuilder, ThreadPoolBuilder};

use crate::Error;

/// Lets Python handle its signals while the crate works.
pub(super) struct Signals {
    looked: Instant,
    raised: Option<PyErr>,
}

impl Signals {
    /// A person takes a tenth of a second for at once.
    const INTERVAL: Duration = Duration::from_millis(50);
    /// Reading the clock costs more than encoding some pieces, so it is read once for so many.
    pub(super) const CALLS: usize = 64;

    pub(super) fn new() -> Self {
        Self { looked: Instant::now(), raised: None }
    }

    /// Runs Python's signal handlers and *then*, unless the last look was a moment ago.
    pub(super) fn look(
        &mut self,
        then: impl FnOnce(Python<'_>) -> PyResult<()>,
    ) -> Result<(), Error> {
        if self.looked.elapsed() < Self::INTERVAL {
            return Ok(());
        }
        let handled = Python::attach(|py| py.check_signals().and_then(|()| then(py)));
        self.looked = Instant::now();
        handled.map_err(|raised| {
            self.raised = Some(raised);
            Error::Interrupted
        })
    }

    /// *result*, unless a signal handler raised: its exception is never lost, even where the
    /// work was done before it could be broken off.
    pub(super) fn or_raise<T>(self, result: Result<T, Error>) -> PyResult<T> {
        match self.raised {
            Some(raised) => Err(raised),
            None => Ok(result?),
        }
    }
}

/// Work on several threads: whether it is to stop, and how far it is.
#[derive(Default)]
pub(super) struct Work {
    stop: AtomicBool,
    done: AtomicUsize,
}

impl Work {
    /// So many bytes more are done; an error once the work is to stop.
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

    /// So much is done in all; a break once the work is to stop.
    pub(super) fn reach(&self, done: usize) -> ControlFlow<()> {
        self.done.store(done, Ordering::Relaxed);
        if self.stop.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// Runs *work* on *threads* threads, one a core if `None`, while this one looks for signals and
/// tells *progress* now and then how many bytes are done.
///
/// *work* is to call `advance` often, and to give up with its error.
pub(super) fn on_threads<T: Send>(
    threads: Option<usize>,
    progress: Option<&Py<PyAny>>,
    work: impl FnOnce(&Work) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let state = Work::default();
    let mut signals = Signals::new();
    let result = thread::scope(|scope| {
        // The sender goes with the work: that it is gone is the news.
        let (working, finished) = mpsc::channel::<()>();
        let worker = scope.spawn(|| {
            let _working = working;
            // A scoped pool has joined its threads when it returns.
            ThreadPoolBuilder::new()
                .num_threads(threads.unwrap_or(0))
                .build_scoped(ThreadBuilder::run, |pool| pool.install(|| work(&state)))
        });
        while finished.recv_timeout(Signals::INTERVAL) == Err(RecvTimeoutError::Timeout) {
            let tell = |py: Python<'_>| match progress {
                Some(progress) => {
                    progress.call1(py, (state.done.load(Ordering::Relaxed),)).map(drop)
                }
                None => Ok(()),
            };
            if signals.look(tell).is_err() {
                state.stop.store(true, Ordering::Relaxed);
                break;
            }
        }
        worker.join().unwrap_or_else(|panic| resume_unwind(panic))
    });
    let result = result
        .map_err(|error| PyRuntimeError::new_err(format!("cannot start threads: {error}")))?;
    signals.or_raise(result)
}
