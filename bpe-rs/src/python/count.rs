//! `PieceCounts` for Python.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyBytes;

use super::signals::on_threads;
use crate::{Error, PieceCounts};

/// Counted pieces; grows with each `add`.
#[pyclass(frozen, name = "PieceCounts", module = "pytok._native")]
pub(super) struct PyPieceCounts {
    counts: Mutex<PieceCounts>,
    num_threads: Option<usize>,
}

impl PyPieceCounts {
    /// The counts, for one thread at a time; not to be waited for while attached to Python.
    pub(super) fn lock(&self) -> MutexGuard<'_, PieceCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many threads they are counted on, and merged; one a core if `None`.
    pub(super) fn num_threads(&self) -> Option<usize> {
        self.num_threads
    }
}

#[pymethods]
impl PyPieceCounts {
    #[classattr]
    #[pyo3(name = "parts")]
    const PARTS: usize = PieceCounts::PARTS;

    #[new]
    #[pyo3(signature = (pattern, special_tokens=vec![], num_threads=None, max_memory=None, in_order=false))]
    fn new(
        pattern: &str,
        special_tokens: Vec<PyBackedStr>,
        num_threads: Option<usize>,
        max_memory: Option<usize>,
        in_order: bool,
    ) -> PyResult<Self> {
        let mut counts = PieceCounts::new(pattern, &special_tokens)?;
        if let Some(bytes) = max_memory {
            counts = counts.within(bytes);
        }
        if in_order {
            counts = counts.in_order();
        }
        Ok(Self { counts: Mutex::new(counts), num_threads })
    }

    fn add(&self, py: Python<'_>, texts: Vec<PyBackedStr>) -> PyResult<()> {
        py.detach(|| {
            let counts = &mut *self.lock();
            on_threads(self.num_threads, None, |work| {
                counts.add_unless(&texts, |bytes| work.advance(bytes))
            })
        })
    }

    fn add_files(
        &self,
        py: Python<'_>,
        paths: Vec<PathBuf>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        py.detach(|| {
            let counts = &mut *self.lock();
            on_threads(self.num_threads, progress.as_ref(), |work| {
                counts.add_files(&paths, |bytes| work.advance(bytes))
            })
        })
    }

    fn add_counted(
        &self,
        py: Python<'_>,
        pieces: Vec<PyBackedBytes>,
        counts: Vec<u64>,
    ) -> PyResult<()> {
        py.detach(|| {
            let sums = &mut *self.lock();
            let mut counted = pieces.iter().zip(counts);
            counted.try_for_each(|(piece, count)| sums.add_counted(piece, count))
        })
        .map_err(PyErr::from)
    }

    fn gather(&self, py: Python<'_>, least: u64) -> PyResult<(u64, u128)> {
        py.detach(|| {
            let counts = &mut *self.lock();
            on_threads(self.num_threads, None, |work| {
                counts.gather(least, |bytes| work.advance(bytes))
            })
        })
    }

    fn part<'py>(
        &self,
        py: Python<'py>,
        number: usize,
    ) -> PyResult<(Vec<Bound<'py, PyBytes>>, Vec<u64>)> {
        let part = py.detach(|| -> Result<_, Error> { self.lock().part(number) })?;
        Ok(part.into_iter().map(|(piece, count)| (PyBytes::new(py, &piece), count)).unzip())
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        py.detach(|| self.lock().len())
    }
}
