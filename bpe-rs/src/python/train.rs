//! Training for Python.

use std::ops::ControlFlow;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::count::PyPieceCounts;
use super::signals::Signals;
use crate::train;

#[pyfunction]
#[pyo3(name = "train")]
pub(super) fn py_train<'py>(
    py: Python<'py>,
    counts: &PyPieceCounts,
    size: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let vocab = py.detach(|| {
        let mut signals = Signals::new();
        let counts = counts.lock();
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
