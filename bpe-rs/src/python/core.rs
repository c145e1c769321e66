//! `Core` for Python.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList};
use rayon::prelude::*;

use super::convert::{
    arrays, file_error, list_of, read_all, texts_of, texts_of_files, Characters, Flat, Ids,
};
use super::definition::Definition;
use super::signals::{interruptible, on_threads, Signals};
use crate::{decode, memory, merges, Allowed, Budget, Core, Error, Rank, Search};

pyo3::import_exception!(pytok.errors, SpecialTokenError);

/// Which special tokens are allowed in a text and which are an error; made by `PyCore::specials`.
#[pyclass(frozen, name = "Specials", module = "pytok._native")]
pub(super) struct PySpecials {
    allowed: Option<Allowed>,
    refused: Search,
}

impl PySpecials {
    fn allowed(specials: Option<&Self>) -> Option<&Allowed> {
        specials?.allowed.as_ref()
    }

    fn refuse(specials: Option<&Self>, text: &str) -> PyResult<()> {
        match specials.and_then(|specials| specials.refused.find(text)) {
            Some(found) => Err(SpecialTokenError::new_err(text[found].to_owned())),
            None => Ok(()),
        }
    }

    fn refuse_all<T: AsRef<str>>(specials: Option<&Self>, texts: &[T]) -> PyResult<()> {
        texts.iter().try_for_each(|text| Self::refuse(specials, text.as_ref()))
    }
}

/// A vocabulary, a pattern and special tokens.
#[pyclass(frozen, name = "Core", module = "pytok._native")]
pub(super) struct PyCore {
    core: Core,
    /// The Python integer of each id, created once for all lists: creating one takes several times
    /// as long as finding it.
    integers: PyOnceLock<Vec<Py<PyAny>>>,
    /// The number of ids in lists so far: few do not pay for creating `integers`.
    listed: AtomicUsize,
}

/// Texts of fewer bytes are encoded without detaching from the interpreter: other threads could
/// hardly use the time.
const SHORT_TEXT: usize = 1 << 12;

/// Fewer ids are copied into an array, which is faster than giving their memory to it.
const FEW_IDS: usize = 1 << 10;

/// Batches of fewer bytes are encoded on the calling thread: starting threads would take longer.
const SHORT_BATCH: usize = 1 << 16;

fn is_short<T: AsRef<str>>(texts: &[T]) -> bool {
    texts.iter().map(|text| text.as_ref().len()).sum::<usize>() < SHORT_BATCH
}

/// Ids, and the characters that each stands for.
type WithOffsets = (Vec<u32>, Vec<(usize, usize)>);

impl PyCore {
    /// Calls *sink* with the ids of *text*, and checks for signals meanwhile.
    fn each(
        &self,
        py: Python<'_>,
        text: &str,
        specials: Option<&PySpecials>,
        mut sink: impl FnMut(&[u32]) + Send,
    ) -> PyResult<()> {
        let allowed = PySpecials::allowed(specials);
        if text.len() < SHORT_TEXT {
            PySpecials::refuse(specials, text)?;
            return interruptible(|check| {
                self.core.encode_each(text, allowed, &Budget::new(check), |ids| {
                    sink(ids);
                    Ok(())
                })
            });
        }
        py.detach(|| {
            PySpecials::refuse(specials, text)?;
            interruptible(|check| {
                let mut calls = 0_usize;
                self.core.encode_each(text, allowed, &Budget::new(check), |ids| {
                    sink(ids);
                    calls += 1;
                    if calls.is_multiple_of(Signals::CALLS) {
                        check()?;
                    }
                    Ok(())
                })
            })
        })
    }

    fn ids(&self, py: Python<'_>, text: &str, specials: Option<&PySpecials>) -> PyResult<Vec<u32>> {
        let mut ids = memory::with_capacity(text.len() / 3 + 4)?;
        self.each(py, text, specials, |chunk| ids.extend_from_slice(chunk))?;
        Ok(ids)
    }

    fn flat<T: AsRef<str> + Sync>(
        &self,
        py: Python<'_>,
        texts: &[T],
        specials: Option<&PySpecials>,
        num_threads: Option<usize>,
    ) -> PyResult<(Vec<u32>, Vec<usize>)> {
        py.detach(|| {
            PySpecials::refuse_all(specials, texts)?;
            let allowed = PySpecials::allowed(specials);
            if is_short(texts) {
                return interruptible(|check| {
                    self.core.encode_flat_serial(texts, allowed, &Budget::new(check))
                });
            }
            on_threads(num_threads, None, |work| {
                self.core.encode_flat(texts, allowed, |bytes| work.advance(bytes))
            })
        })
    }

    /// The Python integers of the ids, for a list of *count* ids; none for the first lists.
    fn integers(&self, py: Python<'_>, count: usize) -> &[Py<PyAny>] {
        if let Some(integers) = self.integers.get(py) {
            return integers;
        }
        if self.listed.fetch_add(count, Ordering::Relaxed) < self.core.vocab().len() / 8 {
            return &[];
        }
        self.integers.get_or_init(py, || {
            // A few special tokens may have ids far beyond the others; these are not cached.
            let max = self.core.max_id().min(2 * self.core.vocab().len() as u32 + (1 << 16));
            let integer = |id: u32| id.into_pyobject(py).map(|id| id.into_any().unbind());
            (0..=max).map(|id| integer(id).unwrap_or_else(|never| match never {})).collect()
        })
    }

    fn list<'py>(&self, py: Python<'py>, ids: &[u32]) -> PyResult<Bound<'py, PyList>> {
        let integers = self.integers(py, ids.len());
        list_of(py, ids, integers)
    }
}

#[pymethods]
impl PyCore {
    #[new]
    fn new(py: Python<'_>, definition: Definition) -> PyResult<Self> {
        let core = py.detach(|| definition.build())?;
        Ok(Self { core, integers: PyOnceLock::new(), listed: AtomicUsize::new(0) })
    }

    fn specials(&self, allowed: Vec<String>, refused: Vec<String>) -> PyResult<PySpecials> {
        let allowed = if allowed.is_empty() { None } else { Some(self.core.allow(&allowed)?) };
        Ok(PySpecials { allowed, refused: Search::new(&refused) })
    }

    fn encode<'py>(
        &self,
        py: Python<'py>,
        text: &str,
        specials: Option<&PySpecials>,
    ) -> PyResult<Bound<'py, PyList>> {
        let ids = self.ids(py, text, specials)?;
        self.list(py, &ids)
    }

    fn encode_to_array<'py>(
        &self,
        py: Python<'py>,
        text: &str,
        specials: Option<&PySpecials>,
    ) -> PyResult<Bound<'py, PyArray1<u32>>> {
        let ids = self.ids(py, text, specials)?;
        if ids.len() < FEW_IDS {
            return Ok(PyArray1::from_slice(py, &ids));
        }
        Ok(ids.into_pyarray(py))
    }

    fn encode_batch<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<PyBackedStr>,
        specials: Option<&PySpecials>,
        num_threads: Option<usize>,
    ) -> PyResult<Vec<Bound<'py, PyList>>> {
        let (ids, offsets) = self.flat(py, &texts, specials, num_threads)?;
        offsets.windows(2).map(|ends| self.list(py, &ids[ends[0]..ends[1]])).collect()
    }

    fn encode_flat<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<PyBackedStr>,
        specials: Option<&PySpecials>,
        num_threads: Option<usize>,
    ) -> PyResult<Flat<'py>> {
        Ok(arrays(py, self.flat(py, &texts, specials, num_threads)?))
    }

    fn encode_files<'py>(
        &self,
        py: Python<'py>,
        paths: Vec<PathBuf>,
        num_threads: Option<usize>,
    ) -> PyResult<Flat<'py>> {
        let contents = py.detach(|| read_all(&paths))?;
        let texts = py.detach(|| texts_of_files(&paths, &contents))?;
        Ok(arrays(py, self.flat(py, &texts, None, num_threads)?))
    }

    fn encode_utf8<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<PyBackedBytes>,
        num_threads: Option<usize>,
    ) -> PyResult<Flat<'py>> {
        let texts = texts_of(py, &texts)?;
        Ok(arrays(py, self.flat(py, &texts, None, num_threads)?))
    }

    fn encode_piece(&self, py: Python<'_>, piece: &[u8]) -> PyResult<Vec<u32>> {
        let mut ids = Vec::new();
        py.detach(|| self.core.encode_piece(piece, &mut ids))?;
        Ok(ids)
    }

    #[pyo3(signature = (text, specials, limit=None))]
    fn encode_with_offsets(
        &self,
        py: Python<'_>,
        text: &str,
        specials: Option<&PySpecials>,
        limit: Option<usize>,
    ) -> PyResult<WithOffsets> {
        py.detach(|| {
            PySpecials::refuse(specials, text)?;
            let signals = Signals::default();
            let check = || signals.check(|_| Ok(()));
            let (mut ids, mut offsets) = (Vec::new(), Vec::new());
            let mut characters = Characters::new(text);
            let allowed = PySpecials::allowed(specials);
            let budget = Budget::new(&check);
            let result = self.core.encode_with_offsets(text, allowed, &budget, |id, range| {
                offsets.push((characters.before(range.start), characters.before(range.end)));
                ids.push(id);
                if Some(ids.len()) == limit {
                    return Err(Error::Interrupted);
                }
                if ids.len().is_multiple_of(1 << 10) {
                    check()?;
                }
                Ok(())
            });
            if Some(ids.len()) != limit {
                signals.or_raise(result)?;
            }
            Ok((ids, offsets))
        })
    }

    fn normalize(&self, py: Python<'_>, text: &str) -> PyResult<String> {
        py.detach(|| {
            interruptible(|check| self.core.normalize(text, &Budget::new(check)).map(String::from))
        })
    }

    fn count(&self, py: Python<'_>, text: &str, specials: Option<&PySpecials>) -> PyResult<usize> {
        let mut count = 0;
        self.each(py, text, specials, |ids| count += ids.len())?;
        Ok(count)
    }

    fn count_batch(
        &self,
        py: Python<'_>,
        texts: Vec<PyBackedStr>,
        specials: Option<&PySpecials>,
        num_threads: Option<usize>,
    ) -> PyResult<Vec<usize>> {
        py.detach(|| {
            PySpecials::refuse_all(specials, &texts)?;
            let allowed = PySpecials::allowed(specials);
            if is_short(&texts) {
                return interruptible(|check| {
                    self.core.count_each_serial(&texts, allowed, &Budget::new(check))
                });
            }
            on_threads(num_threads, None, |work| {
                self.core.count_each(&texts, allowed, |bytes| work.advance(bytes))
            })
        })
    }

    fn count_files(
        &self,
        py: Python<'_>,
        paths: Vec<PathBuf>,
        num_threads: Option<usize>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Vec<usize>> {
        py.detach(|| {
            let counted = on_threads(num_threads, progress.as_ref(), |work| {
                match self.core.count_files(&paths, |bytes| work.advance(bytes)) {
                    Err(Error::Interrupted) => Err(Error::Interrupted),
                    counted => Ok(counted),
                }
            })?;
            counted.map_err(file_error)
        })
    }

    fn pieces(&self, py: Python<'_>, text: &str) -> PyResult<Vec<String>> {
        py.detach(|| {
            interruptible(|check| {
                let mut pieces = Vec::new();
                self.core.pieces(text, &Budget::new(check), |piece| {
                    pieces.push(piece.to_owned());
                    Ok(())
                })?;
                Ok(pieces)
            })
        })
    }

    fn decode_bytes<'py>(&self, py: Python<'py>, ids: Ids<'_>) -> PyResult<Bound<'py, PyBytes>> {
        let ids = ids.as_slice();
        let bytes = if ids.len() < SHORT_TEXT {
            decode(&self.core, ids)
        } else {
            py.detach(|| decode(&self.core, ids))
        };
        Ok(PyBytes::new(py, &bytes?))
    }

    fn decode_batch<'py>(
        &self,
        py: Python<'py>,
        batch: Vec<Ids<'_>>,
        num_threads: Option<usize>,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let batch: Vec<&[u32]> = batch.iter().map(Ids::as_slice).collect();
        let decode_all = || -> PyResult<Vec<Vec<u8>>> {
            if batch.iter().map(|ids| ids.len()).sum::<usize>() < SHORT_BATCH {
                return Ok(batch
                    .iter()
                    .map(|ids| decode(&self.core, ids))
                    .collect::<Result<_, _>>()?);
            }
            on_threads(num_threads, None, |work| {
                let decode = |ids: &&[u32]| work.advance(0).and_then(|()| decode(&self.core, ids));
                batch.par_iter().map(decode).collect()
            })
        };
        let all = py.detach(decode_all)?;
        Ok(all.iter().map(|bytes| PyBytes::new(py, bytes)).collect())
    }

    fn token<'py>(&self, py: Python<'py>, id: u32) -> Option<Bound<'py, PyBytes>> {
        self.core.token(id).map(|token| PyBytes::new(py, token))
    }

    fn id(&self, token: &[u8]) -> Option<u32> {
        self.core.id(token)
    }

    fn merges(&self, py: Python<'_>) -> Vec<Option<(Rank, Rank)>> {
        py.detach(|| merges(self.core.vocab()))
    }
}
