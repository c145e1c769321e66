//! Training, for Python.

use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyBytes;

use super::count::PyPieceCounts;
use super::signals::on_threads;
use super::TrainingError;
use crate::{train, MergeRules, Ties, Vocab};

/// Reads the fields of `pytok.merging.MergeRules`.
impl<'a, 'py> FromPyObject<'a, 'py> for MergeRules {
    type Error = PyErr;

    fn extract(rules: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let ties: PyBackedStr = rules.getattr("ties")?.extract()?;
        Ok(Self {
            ties: Ties::from_name(&ties)
                .ok_or_else(|| TrainingError::new_err(format!("unknown ties {ties:?}")))?,
            min_frequency: rules.getattr("min_frequency")?.extract()?,
            max_token_length: rules.getattr("max_token_length")?.extract()?,
            limit_alphabet: rules.getattr("limit_alphabet")?.extract()?,
        })
    }
}

#[pyfunction]
#[pyo3(name = "train", signature = (counts, size, base=None, rules=None, progress=None))]
pub(super) fn py_train<'py>(
    py: Python<'py>,
    counts: &PyPieceCounts,
    size: usize,
    base: Option<Vec<PyBackedBytes>>,
    rules: Option<MergeRules>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let rules = rules.unwrap_or_default();
    let vocab = py.detach(|| {
        let base = base.map(Vocab::new).transpose()?;
        let num_threads = counts.num_threads();
        let counts = counts.lock()?;
        on_threads(num_threads, progress.as_ref(), |work| {
            train(&counts, size, base.as_ref(), &rules, &|tokens| work.reach(tokens))
        })
    })?;
    Ok(vocab.tokens().map(|token| PyBytes::new(py, token)).collect())
}
