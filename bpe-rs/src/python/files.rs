//! Tokenizer files for Python.

use std::sync::Arc;

use pyo3::basic::CompareOp;
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyRange, PySequence, PySlice, PyTuple, PyType};

use crate::{Rank, TokenizerJson, Vocab};

/// The tokens of a vocabulary in rank order: a sequence of bytes that makes its items when asked.
#[pyclass(frozen, sequence, name = "Tokens", module = "pytok._native")]
pub(super) struct PyTokens(pub(super) Arc<Vocab>);

impl PyTokens {
    /// Makes the class one of `collections.abc.Sequence`.
    pub(super) fn register(py: Python<'_>) -> PyResult<()> {
        PySequence::register::<Self>(py)
    }

    fn item<'py>(&self, py: Python<'py>, index: isize) -> Option<Bound<'py, PyBytes>> {
        let rank = Rank::try_from(index).ok()?;
        self.0.token(rank).map(|token| PyBytes::new(py, token))
    }
}

#[pymethods]
impl PyTokens {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __getitem__<'py>(&self, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let (py, length) = (index.py(), self.0.len() as isize);
        if let Ok(slice) = index.cast::<PySlice>() {
            let range = slice.indices(length)?;
            let indices = (0..range.slicelength as isize).map(|n| range.start + n * range.step);
            let items: Vec<_> = indices.filter_map(|index| self.item(py, index)).collect();
            return Ok(PyList::new(py, items)?.into_any());
        }
        let index: isize = index.extract()?;
        let from_start = if index < 0 { index + length } else { index };
        match self.item(py, from_start) {
            Some(token) => Ok(token.into_any()),
            None => Err(PyIndexError::new_err(format!("there is no token {index}"))),
        }
    }

    fn __contains__(&self, token: &Bound<'_, PyAny>) -> bool {
        token.cast::<PyBytes>().is_ok_and(|token| self.0.rank(token.as_bytes()).is_some())
    }

    fn __richcmp__(&self, other: &Bound<'_, PyAny>, operation: CompareOp) -> PyResult<Py<PyAny>> {
        let py = other.py();
        let Ok(other) = other.cast::<PySequence>() else { return Ok(py.NotImplemented()) };
        let equal = match operation {
            CompareOp::Eq => self.equals(other)?,
            CompareOp::Ne => !self.equals(other)?,
            _ => return Ok(py.NotImplemented()),
        };
        Ok(equal.into_pyobject(py)?.to_owned().into_any().unbind())
    }

    /// Pickles as a tuple, which no engine is needed to read.
    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyType>, (Bound<'py, PyList>,))> {
        let tokens = PyList::new(py, self.0.tokens().map(|token| PyBytes::new(py, token)))?;
        Ok((py.get_type::<PyTuple>(), (tokens,)))
    }
}

impl PyTokens {
    fn equals(&self, other: &Bound<'_, PySequence>) -> PyResult<bool> {
        if other.len()? != self.0.len() {
            return Ok(false);
        }
        for (token, other) in self.0.tokens().zip(other.try_iter()?) {
            if !other?.cast::<PyBytes>().is_ok_and(|other| other.as_bytes() == token) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Tokens in rank order, and the id of each.
type Ranked<'py> = (PyTokens, Bound<'py, PyAny>);

fn ranked(py: Python<'_>, vocab: Vocab, ids: Vec<u32>) -> PyResult<Ranked<'_>> {
    let are_ranks = ids.iter().zip(0..).all(|(&id, rank)| id == rank);
    let ids = if are_ranks {
        PyRange::new(py, 0, ids.len() as isize)?.into_any()
    } else {
        PyList::new(py, ids)?.into_any()
    };
    Ok((PyTokens(Arc::new(vocab)), ids))
}

#[pyfunction]
pub(super) fn parse_ranks<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Option<Ranked<'py>>> {
    let parsed = py.detach(|| crate::parse_ranks(data));
    parsed.map(|(vocab, ids)| ranked(py, vocab, ids)).transpose()
}

/// The content of a `tokenizer.json`.
#[pyclass(frozen, name = "TokenizerJson", module = "pytok._native")]
pub(super) struct PyTokenizerJson(TokenizerJson);

#[pymethods]
impl PyTokenizerJson {
    #[getter]
    fn rest(&self) -> &str {
        self.0.rest()
    }

    fn __len__(&self) -> usize {
        self.0.num_entries()
    }

    fn entries(&self) -> Vec<&str> {
        self.0.entries().collect()
    }

    fn id(&self, entry: &str) -> Option<u32> {
        self.0.id(entry)
    }

    fn assemble<'py>(
        &self,
        py: Python<'py>,
        added: Vec<String>,
        ignore_merges: bool,
    ) -> PyResult<Option<(Ranked<'py>, Bound<'py, PyDict>)>> {
        let Some(found) = py.detach(|| self.0.assemble(&added, ignore_merges)) else {
            return Ok(None);
        };
        let decode_only = PyDict::new(py);
        for (id, token) in found.decode_only {
            decode_only.set_item(id, PyBytes::new(py, &token))?;
        }
        Ok(Some((ranked(py, found.vocab, found.ids)?, decode_only)))
    }
}

#[pyfunction]
pub(super) fn parse_tokenizer_json(py: Python<'_>, data: &[u8]) -> Option<PyTokenizerJson> {
    py.detach(|| TokenizerJson::parse(data)).map(PyTokenizerJson)
}
