//! `PieceCounts` for Python.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, TryLockError};

use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyBytes;

use super::signals::on_threads;
use super::TrainingError;
use crate::PieceCounts;

/// Counted pieces.
#[pyclass(frozen, name = "PieceCounts", module = "pytok._native")]
pub(super) struct PyPieceCounts {
    counts: Mutex<PieceCounts>,
    num_threads: Option<usize>,
}

impl PyPieceCounts {
    /// Returns the counts, for one call at a time. Another call raises instead of waiting: if it
    /// came from the progress callback of the first, both would wait forever, and Ctrl-C would have
    /// no effect.
    pub(super) fn lock(&self) -> PyResult<MutexGuard<'_, PieceCounts>> {
        match self.counts.try_lock() {
            Ok(counts) => Ok(counts),
            Err(TryLockError::Poisoned(counts)) => Ok(counts.into_inner()),
            Err(TryLockError::WouldBlock) => Err(TrainingError::new_err(
                "these counts are in use by another call: wait until it returns, and do not use them \
                 in its progress callback",
            )),
        }
    }

    /// The number of threads that count and merge; one per core if `None`.
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
            counts = counts.with_max_memory(bytes);
        }
        if in_order {
            counts = counts.in_order();
        }
        Ok(Self { counts: Mutex::new(counts), num_threads })
    }

    fn add(&self, py: Python<'_>, texts: Vec<PyBackedStr>) -> PyResult<()> {
        py.detach(|| {
            let counts = &mut *self.lock()?;
            on_threads(self.num_threads, None, |work| {
                counts.add_with_progress(&texts, |bytes| work.advance(bytes))
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
            let counts = &mut *self.lock()?;
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
            let sums = &mut *self.lock()?;
            let mut counted = pieces.iter().zip(counts);
            Ok(counted.try_for_each(|(piece, count)| sums.add_counted(piece, count))?)
        })
    }

    fn gather(&self, py: Python<'_>, min_count: u64) -> PyResult<(u64, u128)> {
        py.detach(|| {
            let counts = &mut *self.lock()?;
            // Shards are read one after another: one thread suffices.
            on_threads(Some(1), None, |work| counts.gather(min_count, |bytes| work.advance(bytes)))
        })
    }

    fn part<'py>(
        &self,
        py: Python<'py>,
        number: usize,
    ) -> PyResult<(Vec<Bound<'py, PyBytes>>, Vec<u64>)> {
        let part = py.detach(|| -> PyResult<_> { Ok(self.lock()?.part(number)?) })?;
        let bytes_of = |piece: Vec<u8>| {
            PyBytes::new_with(py, piece.len(), |bytes| {
                bytes.copy_from_slice(&piece);
                Ok(())
            })
        };
        let pieces = part.into_iter().map(|(piece, count)| Ok((bytes_of(piece)?, count)));
        pieces.collect::<PyResult<Vec<_>>>().map(|pieces| pieces.into_iter().unzip())
    }

    fn __len__(&self) -> PyResult<usize> {
        Ok(self.lock()?.len())
    }
}
