//! Training for Python.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyBytes;

use super::signals::on_threads;
use crate::{train, PieceCounts, Training};

/// Counted pieces; grows with `add`.
#[pyclass(frozen, name = "PieceCounts", module = "pytok._native")]
pub(super) struct PyPieceCounts {
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
            on_threads(self.num_threads, None, |work| counts.add_unless(&texts, || work.advance(0)))
        })
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        py.detach(|| self.counts.lock().unwrap_or_else(PoisonError::into_inner).len())
    }
}

#[pyfunction]
#[pyo3(name = "train")]
pub(super) fn py_train<'py>(
    py: Python<'py>,
    counts: &PyPieceCounts,
    size: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let vocab = py.detach(|| {
        let PyPieceCounts { counts, num_threads } = counts;
        let counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        on_threads(*num_threads, progress.as_ref(), |work| {
            train(&counts, &Training::new(size), &|learnt| work.reach(learnt))
        })
    })?;
    Ok(vocab.tokens().map(|token| PyBytes::new(py, token)).collect())
}
