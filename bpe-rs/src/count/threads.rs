//! The threads that take the spans of a corpus.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::spans::{Cutter, Span, Spans};
use crate::Error;

/// Calls *work* with one of *spans* after another, on all threads of the current rayon pool; each
/// has a state, made by *start*, that it passes to *finish* at the end.
///
/// # Errors
/// The first error in the corpus, whatever the threads did: when a span fails, those already taken
/// are finished, and no further one is taken.
pub(crate) fn on_all_threads<'s, S>(
    spans: impl Spans<'s>,
    cutter: &Cutter,
    progress: &(impl Fn(usize) -> Result<(), Error> + Sync),
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &Span<'_>) -> Result<(), Error> + Sync,
    finish: impl Fn(S) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    const LAST: (usize, u64) = (usize::MAX, u64::MAX);
    let spans = Mutex::new(spans);
    let failed = AtomicBool::new(false);
    let run = || {
        let (mut state, mut buffer) = (start(), Vec::new());
        while !failed.load(Ordering::Relaxed) {
            // A poisoned lock is taken too: the panic of its thread ends the whole call anyway.
            let mut rest = spans.lock().unwrap_or_else(PoisonError::into_inner);
            let next = rest.next(cutter, &mut buffer, progress);
            drop(rest);
            let result = match next {
                Ok(None) => break,
                Ok(Some(span)) => work(&mut state, &span).map_err(|error| (span.position(), error)),
                Err(error) => Err((LAST, error)),
            };
            if result.is_err() {
                failed.store(true, Ordering::Relaxed);
                return result;
            }
        }
        finish(state).map_err(|error| (LAST, error))
    };
    let results = rayon::broadcast(|_| run());
    let first = results.into_iter().filter_map(Result::err).min_by_key(|(position, _)| *position);
    first.map_or(Ok(()), |(_, error)| Err(error))
}
