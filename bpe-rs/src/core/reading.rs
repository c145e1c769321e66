//! Files, of which little more than a span is read at a time.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Core;
use crate::count::spans::{Cutter, Files};
use crate::count::threads::on_all_threads;
use crate::{Budget, Error, Pattern};

impl Core {
    /// Returns the number of ids of the text in each of the files at *paths*; special tokens are
    /// text. Runs on the threads of the current rayon pool. A text that can be cut is never in
    /// memory completely; see [`encode_flat`](Self::encode_flat) for *progress*.
    ///
    /// # Errors
    /// When a file cannot be read, or is not UTF-8, when the pattern fails on a text, and any error
    /// of *progress*.
    pub fn count_files<P: AsRef<Path> + Sync>(
        &self,
        paths: &[P],
        progress: impl Fn(usize) -> Result<(), Error> + Sync,
    ) -> Result<Vec<usize>, Error> {
        let paths: Vec<&Path> = paths.iter().map(AsRef::as_ref).collect();
        let counts: Vec<_> = paths.iter().map(|_| AtomicUsize::new(0)).collect();
        let check = || progress(0);
        on_all_threads(
            Files::new(&paths),
            &self.cutter()?,
            &progress,
            || Budget::new(&check),
            |budget, span| {
                let (text, mut count) = (span.text()?, 0);
                let sink = |ids: &[u32]| {
                    count += ids.len();
                    progress(0)
                };
                self.encode_each(text, None, budget, sink).map_err(|error| span.error(error))?;
                counts[span.position().0].fetch_add(count, Ordering::Relaxed);
                progress(text.len())
            },
            |_| Ok(()),
        )?;
        Ok(counts.into_iter().map(AtomicUsize::into_inner).collect())
    }

    /// A cutter that cuts texts where their ids allow it.
    fn cutter(&self) -> Result<Cutter, Error> {
        match self.always.verbatim.plain_texts().filter(|_| self.can_cut(&self.always)) {
            Some(texts) => Ok(Cutter::new(Pattern::new(self.pattern.regex())?, &texts)),
            // For a custom pattern, no text is cut.
            None => Ok(Cutter::new(Pattern::new(r"[\s\S]")?, &[""; 0])),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::{AddedToken, Core, Parts, Pattern, Vocab, BYTE_ORDER};

    /// A core with an added token that is found in every text.
    fn core(pattern: &str, rstrip: bool) -> Core {
        let end = AddedToken { text: "<| end|>".into(), id: 300, rstrip, ..AddedToken::default() };
        let parts = Parts { added_tokens: vec![end], ..Parts::default() };
        let vocab = Vocab::new(BYTE_ORDER.map(|byte| [byte])).unwrap();
        Core::with_parts(vocab, None, Pattern::new(pattern).unwrap(), parts).unwrap()
    }

    #[test]
    fn a_long_file_has_as_many_ids_as_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let (long, short) = (folder.path().join("long"), folder.path().join("short"));
        let text = "It's 12345 of them,<| end|>  \n\n  isn't it?\r\n/日本語。".repeat(12_000);
        fs::write(&long, &text).unwrap();
        fs::write(&short, "x<| end|>").unwrap();
        for (pattern, rstrip) in
            [("gpt2", false), ("o200k", false), ("gpt2", true), (r"\w+", false)]
        {
            let core = core(pattern, rstrip);

            let counts = core.count_files(&[&long, &short, &long], |_| Ok(())).unwrap();

            let expected = core.encode(&text, None).unwrap().len();
            assert_eq!(counts, [expected, 2, expected], "{pattern}, {rstrip}");
        }
    }
}
