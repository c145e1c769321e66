//! The Python bindings of this crate; no other folder uses `pyo3`.
//!
//! Each method converts its arguments, detaches from the interpreter, calls the crate, and converts
//! the result. During long work it checks for signals regularly, so that Ctrl-C works. Threads are
//! created for one call and joined at its end: none remain that could break a process that forks
//! later. The Python types are in `pytok/_native.pyi`.
#![allow(clippy::needless_pass_by_value)] // pyo3 passes converted arguments by value

mod convert;
mod core;
mod count;
mod definition;
mod files;
mod signals;
mod train;

use pyo3::exceptions::{PyKeyboardInterrupt, PyMemoryError};
use pyo3::prelude::*;

use crate::Error;

pyo3::import_exception!(pytok.errors, CorpusError);
pyo3::import_exception!(pytok.errors, PatternError);
pyo3::import_exception!(pytok.errors, TrainingError);
pyo3::import_exception!(pytok.errors, UnknownTokenError);
pyo3::import_exception!(pytok.errors, VocabError);

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        // The exception of an error in a file is that of the error itself.
        let error = if let Error::InFile { error, .. } = error { *error } else { error };
        match error {
            Error::Pattern { .. }
            | Error::PatternFailed { .. }
            | Error::PatternTooSlow { .. }
            | Error::EmptyMatch { .. } => PatternError::new_err(message),
            Error::Unreadable { .. } | Error::NotUtf8 { .. } => CorpusError::new_err(message),
            Error::SizeTooSmall { .. }
            | Error::TooManyPieces
            | Error::CountsTooLarge
            | Error::CountOverflow { .. }
            | Error::Spill { .. }
            | Error::TooLargeForMemory { .. } => TrainingError::new_err(message),
            Error::UnknownId { .. } => UnknownTokenError::new_err(message),
            Error::OutOfMemory => PyMemoryError::new_err(()),
            // `Signals` keeps the exception that interrupted; see `Signals::or_raise`.
            Error::Interrupted => PyKeyboardInterrupt::new_err(()),
            _ => VocabError::new_err(message),
        }
    }
}

#[pymodule(gil_used = false)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::core::{PyCore, PySpecials};

    #[pymodule_export]
    use super::count::PyPieceCounts;

    #[pymodule_export]
    use super::files::{parse_ranks, parse_tokenizer_json, PyTokenizerJson, PyTokens};

    #[pymodule_export]
    use super::train::py_train;

    #[pymodule_export]
    const PATTERNS: [(&str, &str); 5] = crate::PATTERNS;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        PyTokens::register(module.py())
    }
}
