//! Training for Python.

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use super::count::PyPieceCounts;
use super::signals::on_threads;
use super::TrainingError;
use crate::{train, Ties, Training, Vocab};

#[pyfunction]
#[pyo3(
    name = "train",
    signature = (
        counts, size, base=None, ties="hf", min_frequency=0, max_token_length=None,
        limit_alphabet=None, progress=None
    )
)]
#[allow(clippy::too_many_arguments)] // what `Training` gathers, by Python's names
pub(super) fn py_train<'py>(
    py: Python<'py>,
    counts: &PyPieceCounts,
    size: usize,
    base: Option<Vec<PyBackedBytes>>,
    ties: &str,
    min_frequency: u64,
    max_token_length: Option<usize>,
    limit_alphabet: Option<usize>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let ties = Ties::named(ties)
        .ok_or_else(|| TrainingError::new_err(format!("unknown ties {ties:?}")))?;
    let vocab = py.detach(|| {
        let base = base.map(Vocab::new).transpose()?;
        let training = Training {
            size,
            base: base.as_ref(),
            ties,
            min_frequency,
            max_token_length,
            limit_alphabet,
        };
        let num_threads = counts.num_threads();
        let counts = counts.lock()?;
        on_threads(num_threads, progress.as_ref(), |work| {
            train(&counts, &training, &|learnt| work.reach(learnt))
        })
    })?;
    Ok(vocab.tokens().map(|token| PyBytes::new(py, token)).collect())
}
