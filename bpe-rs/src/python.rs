//! The Python face of this crate: the only file that names `pyo3`.
//!
//! Each method converts, detaches from the interpreter, calls the crate, and converts back; while
//! it works it looks for signals now and then, so that Ctrl-C is answered. Threads are made for
//! one call and gone after it: none survive to trouble a process that forks later.
//! Its Python types are in `pytok/_native.pyi`.
#![allow(clippy::needless_pass_by_value)] // pyo3 hands converted arguments over by value

use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyBytes;
use rayon::prelude::*;
use rayon::{ThreadBuilder, ThreadPoolBuilder};

use crate::{decode, merges, train, Core, Error, PieceCounts, Rank};

pyo3::import_exception!(pytok.errors, PatternError);
pyo3::import_exception!(pytok.errors, TrainingError);
pyo3::import_exception!(pytok.errors, UnknownTokenError);
pyo3::import_exception!(pytok.errors, VocabError);

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Pattern { .. } | Error::PatternFailed { .. } | Error::EmptyMatch { .. } => {
                PatternError::new_err(message)
            }
            Error::SizeTooSmall { .. } | Error::TooManyPieces => TrainingError::new_err(message),
            Error::UnknownId { .. } => UnknownTokenError::new_err(message),
            // Signals keep the exception that interrupted; see `Signals::or_raise`.
            Error::Interrupted => PyKeyboardInterrupt::new_err(()),
            _ => VocabError::new_err(message),
        }
    }
}

/// Lets Python handle its signals while the crate works.
struct Signals {
    looked: Instant,
    raised: Option<PyErr>,
}

impl Signals {
    /// A person takes a tenth of a second for at once.
    const INTERVAL: Duration = Duration::from_millis(50);
    /// Reading the clock costs more than encoding a piece, so it is read once for so many.
    const PIECES: usize = 4096;

    fn new() -> Self {
        Self { looked: Instant::now(), raised: None }
    }

    /// Runs Python's signal handlers and *then*, unless the last look was a moment ago.
    fn look(&mut self, then: impl FnOnce(Python<'_>) -> PyResult<()>) -> Result<(), Error> {
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
    fn or_raise<T>(self, result: Result<T, Error>) -> PyResult<T> {
        match self.raised {
            Some(raised) => Err(raised),
            None => Ok(result?),
        }
    }
}

/// Runs *work* on *threads* threads, one a core if `None`, while this one looks for signals.
///
/// *work* is handed a flag, and is to give up with `Error::Interrupted` soon after it is set.
fn on_threads<T: Send>(
    threads: Option<usize>,
    work: impl FnOnce(&AtomicBool) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let stop = AtomicBool::new(false);
    let mut signals = Signals::new();
    let result = thread::scope(|scope| {
        // The sender goes with the work: that it is gone is the news.
        let (working, done) = mpsc::channel::<()>();
        let worker = scope.spawn(|| {
            let _working = working;
            // A scoped pool has joined its threads when it returns.
            ThreadPoolBuilder::new()
                .num_threads(threads.unwrap_or(0))
                .build_scoped(ThreadBuilder::run, |pool| pool.install(|| work(&stop)))
        });
        while done.recv_timeout(Signals::INTERVAL) == Err(RecvTimeoutError::Timeout) {
            if signals.look(|_| Ok(())).is_err() {
                stop.store(true, Ordering::Relaxed);
                break;
            }
        }
        worker.join().unwrap_or_else(|panic| resume_unwind(panic))
    });
    let result = result
        .map_err(|error| PyRuntimeError::new_err(format!("cannot start threads: {error}")))?;
    signals.or_raise(result)
}

fn unless_stopped(stop: &AtomicBool) -> Result<(), Error> {
    if stop.load(Ordering::Relaxed) {
        Err(Error::Interrupted)
    } else {
        Ok(())
    }
}

/// A vocabulary, a pattern and special tokens, frozen.
#[pyclass(frozen, name = "Core", module = "pytok._native")]
struct PyCore(Core);

impl PyCore {
    fn encode_watched(&self, py: Python<'_>, text: &str, allowed: &[String]) -> PyResult<Vec<u32>> {
        let mut ids = Vec::with_capacity(text.len() / 3);
        self.each(py, text, allowed, |piece| ids.extend_from_slice(piece))?;
        Ok(ids)
    }

    fn each(
        &self,
        py: Python<'_>,
        text: &str,
        allowed: &[String],
        mut sink: impl FnMut(&[u32]) + Send,
    ) -> PyResult<()> {
        py.detach(|| {
            let allowed = (!allowed.is_empty()).then(|| self.0.allow(allowed));
            let mut signals = Signals::new();
            let mut pieces = 0_usize;
            let result = self.0.encode_each(text, allowed.as_ref(), |ids| {
                sink(ids);
                pieces += 1;
                if pieces % Signals::PIECES == 0 {
                    signals.look(|_| Ok(()))?;
                }
                Ok(())
            });
            signals.or_raise(result)
        })
    }
}

#[pymethods]
impl PyCore {
    #[new]
    fn new(
        py: Python<'_>,
        tokens: Vec<PyBackedBytes>,
        ids: Option<Vec<u32>>,
        pattern: &str,
        specials: Vec<(String, u32)>,
    ) -> PyResult<Self> {
        py.detach(|| Ok(Self(Core::new(tokens, ids, pattern, specials)?)))
    }

    fn encode(&self, py: Python<'_>, text: &str, allowed: Vec<String>) -> PyResult<Vec<u32>> {
        self.encode_watched(py, text, &allowed)
    }

    fn encode_to_buffer<'py>(
        &self,
        py: Python<'py>,
        text: &str,
        allowed: Vec<String>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let ids = self.encode_watched(py, text, &allowed)?;
        PyBytes::new_with(py, ids.len() * size_of::<u32>(), |buffer| {
            for (bytes, id) in buffer.chunks_exact_mut(size_of::<u32>()).zip(&ids) {
                bytes.copy_from_slice(&id.to_ne_bytes());
            }
            Ok(())
        })
    }

    fn encode_batch(
        &self,
        py: Python<'_>,
        texts: Vec<PyBackedStr>,
        allowed: Vec<String>,
        num_threads: Option<usize>,
    ) -> PyResult<Vec<Vec<u32>>> {
        py.detach(|| {
            let allowed = (!allowed.is_empty()).then(|| self.0.allow(&allowed));
            on_threads(num_threads, |stop| {
                let encode = |text: &PyBackedStr| {
                    let mut all = Vec::with_capacity(text.len() / 3);
                    self.0.encode_each(text, allowed.as_ref(), |ids| {
                        all.extend_from_slice(ids);
                        unless_stopped(stop)
                    })?;
                    Ok(all)
                };
                texts.par_iter().map(encode).collect()
            })
        })
    }

    fn encode_piece(&self, py: Python<'_>, piece: &[u8]) -> Vec<u32> {
        let mut ids = Vec::new();
        py.detach(|| self.0.encode_piece(piece, &mut ids));
        ids
    }

    fn count(&self, py: Python<'_>, text: &str, allowed: Vec<String>) -> PyResult<usize> {
        let mut count = 0;
        self.each(py, text, &allowed, |ids| count += ids.len())?;
        Ok(count)
    }

    fn pieces<'t>(&self, py: Python<'_>, text: &'t str) -> PyResult<Vec<&'t str>> {
        let mut pieces = Vec::new();
        py.detach(|| {
            self.0.pattern().split(text, |piece| {
                pieces.push(piece);
                Ok(())
            })
        })?;
        Ok(pieces)
    }

    fn decode_bytes<'py>(&self, py: Python<'py>, ids: Vec<u32>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| decode(&self.0, &ids))?;
        Ok(PyBytes::new(py, &bytes))
    }

    fn token<'py>(&self, py: Python<'py>, id: u32) -> Option<Bound<'py, PyBytes>> {
        self.0.token(id).map(|token| PyBytes::new(py, token))
    }

    fn id(&self, token: &[u8]) -> Option<u32> {
        self.0.id(token)
    }

    fn merges(&self, py: Python<'_>) -> Vec<Option<(Rank, Rank)>> {
        py.detach(|| merges(self.0.vocab()))
    }
}

/// Counted pieces; grows with `add`.
#[pyclass(frozen, name = "PieceCounts", module = "pytok._native")]
struct PyPieceCounts {
    counts: Mutex<PieceCounts>,
    num_threads: Option<usize>,
}

#[pymethods]
impl PyPieceCounts {
    #[new]
    #[pyo3(signature = (pattern, num_threads=None))]
    fn new(pattern: &str, num_threads: Option<usize>) -> PyResult<Self> {
        Ok(Self { counts: Mutex::new(PieceCounts::new(pattern)?), num_threads })
    }

    fn add(&self, py: Python<'_>, texts: Vec<PyBackedStr>) -> PyResult<()> {
        py.detach(|| {
            let counts = &mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            on_threads(self.num_threads, |stop| counts.add_unless(&texts, || unless_stopped(stop)))
        })
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        py.detach(|| self.counts.lock().unwrap_or_else(PoisonError::into_inner).len())
    }
}

#[pyfunction]
#[pyo3(name = "train")]
fn py_train<'py>(
    py: Python<'py>,
    counts: &PyPieceCounts,
    size: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let vocab = py.detach(|| {
        let mut signals = Signals::new();
        let counts = counts.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let result = train(&counts, size, &mut |learnt| {
            let looked = signals.look(|py| match &progress {
                Some(progress) => progress.call1(py, (learnt,)).map(drop),
                None => Ok(()),
            });
            if looked.is_ok() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        signals.or_raise(result)
    })?;
    Ok(vocab.tokens().map(|token| PyBytes::new(py, token)).collect())
}

#[pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use super::{py_train, PyCore, PyPieceCounts};

    #[pymodule_export]
    const PATTERNS: [(&str, &str); 3] = crate::PATTERNS;
}
