//! Conversion of ids and texts between Rust and Python.

use std::fs;
use std::path::PathBuf;

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::exceptions::{PyOSError, PyOverflowError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::{PyList, PyRange, PyRangeMethods, PyString};

use crate::{memory, Error};

pyo3::import_exception!(pytok.errors, CorpusError);

/// The concatenated ids of several texts, and the offset of each text followed by their total
/// number.
pub(super) type Flat<'py> = (Bound<'py, PyArray1<u32>>, Bound<'py, PyArray1<i64>>);

/// Returns a list of *ids*, with the objects of *integers* for the ids that these cover.
pub(super) fn list_of<'py>(
    py: Python<'py>,
    ids: &[u32],
    integers: &[Py<PyAny>],
) -> PyResult<Bound<'py, PyList>> {
    memory::check(ids.len(), memory::LISTING)?;
    let integer = |&id: &u32| match integers.get(id as usize) {
        Some(integer) => integer.bind(py).clone(),
        None => id.into_pyobject(py).unwrap_or_else(|never| match never {}).into_any(),
    };
    PyList::new(py, ids.iter().map(integer))
}

pub(super) fn arrays(py: Python<'_>, (ids, offsets): (Vec<u32>, Vec<usize>)) -> Flat<'_> {
    let offsets: Vec<i64> = offsets.into_iter().map(|offset| offset as i64).collect();
    (ids.into_pyarray(py), offsets.into_pyarray(py))
}

/// Returns *utf8* as texts; raises Python's own `UnicodeDecodeError` for the first that is invalid.
pub(super) fn texts_of<'a>(py: Python<'_>, utf8: &'a [PyBackedBytes]) -> PyResult<Vec<&'a str>> {
    let text = |bytes: &'a PyBackedBytes| simdutf8::basic::from_utf8(bytes).map_err(|_| bytes);
    py.detach(|| utf8.iter().map(text).collect::<Result<_, _>>())
        .map_err(|bytes| PyString::from_bytes(py, bytes).expect_err("it is not UTF-8"))
}

/// The contents of the files at *paths*. They are read, not mapped: what is checked to be UTF-8 must
/// stay so, and a mapped file that shrinks kills the process.
pub(super) fn read_all(paths: &[PathBuf]) -> PyResult<Vec<Vec<u8>>> {
    let read = |path: &PathBuf| {
        fs::read(path).map_err(|error| file_error(Error::unreadable(path, &error)))
    };
    paths.iter().map(read).collect()
}

/// The texts of files with *contents*, which must be UTF-8.
pub(super) fn texts_of_files<'a>(
    paths: &[PathBuf],
    contents: &'a [Vec<u8>],
) -> PyResult<Vec<&'a str>> {
    let text = |(path, bytes): (&PathBuf, &'a Vec<u8>)| {
        simdutf8::compat::from_utf8(bytes).map_err(|error| {
            let offset = error.valid_up_to();
            let byte = bytes[offset];
            file_error(Error::NotUtf8 { path: path.clone(), offset: offset as u64, byte })
        })
    };
    paths.iter().zip(contents).map(text).collect()
}

/// The exception for *error* in a file to encode: an `OSError` if it cannot be read, as of `open`.
pub(super) fn file_error(error: Error) -> PyErr {
    match error {
        Error::Unreadable { path, reason, code } => match code {
            // Python chooses the class by the number.
            Some(code) => PyOSError::new_err((code, reason, path)),
            None => PyOSError::new_err(format!("{}: {reason}", path.display())),
        },
        Error::NotUtf8 { path, offset, byte } => CorpusError::new_err(format!(
            "{}: byte {offset} is not UTF-8 (0x{byte:02x}); convert the file",
            path.display()
        )),
        error => error.into(),
    }
}

/// The ids of a definition: a range, which most vocabularies have, or any sequence.
pub(super) fn ids_of(ids: &Bound<'_, PyAny>) -> PyResult<Vec<u32>> {
    if let Ok(range) = ids.cast::<PyRange>() {
        let ends = (u32::try_from(range.start()?), u32::try_from(range.stop()?));
        if let ((Ok(start), Ok(stop)), 1) = (ends, range.step()?) {
            return Ok((start..stop).collect());
        }
    }
    ids.extract()
}

/// Ids from Python: a list, an array, or any sequence.
pub(super) enum Ids<'py> {
    Array(PyReadonlyArray1<'py, u32>),
    Owned(Vec<u32>),
}

impl<'a, 'py> FromPyObject<'a, 'py> for Ids<'py> {
    type Error = PyErr;

    fn extract(ids: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(list) = ids.cast::<PyList>() {
            if let Some(ids) = plain_ids(&list) {
                return Ok(Self::Owned(ids));
            }
            // A failed conversion sets a Python error. Drop it: the conversion of pyo3 below, which
            // accepts any object like an integer, raises its own.
            drop(PyErr::take(list.py()));
        }
        if let Ok(array) = ids.extract::<PyReadonlyArray1<'py, u32>>() {
            if array.as_slice().is_ok() {
                return Ok(Self::Array(array));
            }
        }
        if let Ok(array) = ids.extract::<PyReadonlyArray1<'py, i64>>() {
            if let Ok(ids) = array.as_slice() {
                let checked: Result<_, _> = ids.iter().map(|&id| u32::try_from(id)).collect();
                return checked.map(Self::Owned).map_err(|_| PyOverflowError::new_err("not an id"));
            }
        }
        Ok(Self::Owned(ids.extract()?))
    }
}

/// The ids in *list*, if all of them are plain integers in the range of ids.
///
/// PERF: without the counting of references in safe code, which takes a third of the time to decode.
#[allow(unsafe_code)]
fn plain_ids(list: &Bound<'_, PyList>) -> Option<Vec<u32>> {
    // On free-threaded Python, this prevents changes to the list meanwhile.
    with_critical_section(list, || {
        (0..list.len())
            .map(|index| {
                // SAFETY: the index is in the list, which keeps the integer alive: no Python code
                // that could change it runs here.
                let value = unsafe {
                    let integer = ffi::PyList_GET_ITEM(list.as_ptr(), index as ffi::Py_ssize_t);
                    if ffi::PyLong_CheckExact(integer) == 0 {
                        return None;
                    }
                    ffi::PyLong_AsUnsignedLong(integer)
                };
                u32::try_from(value).ok().filter(|&id| id < u32::MAX)
            })
            .collect()
    })
}

impl Ids<'_> {
    pub(super) fn as_slice(&self) -> &[u32] {
        match self {
            Self::Array(array) => array.as_slice().unwrap_or_default(),
            Self::Owned(ids) => ids,
        }
    }
}

/// The number of characters before a byte of a text, for bytes that come nearly in order.
pub(super) struct Characters<'t> {
    text: &'t str,
    byte: usize,
    count: usize,
}

impl<'t> Characters<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, byte: 0, count: 0 }
    }

    pub(super) fn before(&mut self, byte: usize) -> usize {
        let count = |range: std::ops::Range<usize>| {
            // Continuation bytes, 0x80 to 0xBF, start no character.
            self.text.as_bytes()[range].iter().filter(|&&byte| byte as i8 >= -0x40).count()
        };
        self.count = if byte >= self.byte {
            self.count + count(self.byte..byte)
        } else {
            self.count - count(byte..self.byte)
        };
        self.byte = byte;
        self.count
    }
}
