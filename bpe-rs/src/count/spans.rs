//! A corpus divided into spans, which threads take one after another.
//!
//! A span ends where its document ends, or where no piece and no special token crosses. The spans
//! of a document together therefore have the same pieces as the document.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::scan::Ends;
use crate::{memory, Budget, Error, Pattern, Search};

/// Approximate length of a span in bytes: long enough to amortize a lock, short enough that it
/// stays in a near cache and that all threads are busy to the end.
const SPAN: usize = 1 << 18;

/// A cut is searched for in the last bytes of a buffer first. These bytes are searched again
/// together with the bytes that follow, without which a cut may not be recognized.
const MARGIN: usize = 1 << 12;

/// A part of a document.
pub(crate) struct Span<'a> {
    bytes: &'a [u8],
    /// Index of its document, and start of the span in that document.
    document: usize,
    start: u64,
    /// The file from which it was read, if any: its bytes are not known to be UTF-8 yet.
    path: Option<&'a Path>,
}

impl Span<'_> {
    /// Its position in the corpus: index of the document, and offset in it.
    pub(crate) fn position(&self) -> (usize, u64) {
        (self.document, self.start)
    }

    /// Converts an *error* in the text of the span to one in its document.
    pub(crate) fn error(&self, error: Error) -> Error {
        let error = error.moved_by(self.start as usize);
        match self.path {
            Some(path) => Error::InFile { path: path.to_owned(), error: Box::new(error) },
            None => error,
        }
    }

    pub(crate) fn text(&self) -> Result<&str, Error> {
        simdutf8::compat::from_utf8(self.bytes).map_err(|error| Error::NotUtf8 {
            path: self.path.unwrap_or(Path::new("")).to_owned(),
            offset: self.start + error.valid_up_to() as u64,
            byte: self.bytes[error.valid_up_to()],
        })
    }
}

/// The rest of a corpus.
pub(crate) trait Spans<'s>: Send {
    /// Returns the next span, in order. Its bytes may be in *buffer*, which the caller provides for
    /// reuse.
    fn next<'a>(
        &mut self,
        cutter: &Cutter,
        buffer: &'a mut Vec<u8>,
        progress: &impl Fn(usize) -> Result<(), Error>,
    ) -> Result<Option<Span<'a>>, Error>
    where
        's: 'a;
}

/// Texts in memory.
pub(crate) struct Texts<'s> {
    all: &'s [&'s str],
    document: usize,
    start: usize,
}

impl<'s> Texts<'s> {
    pub(crate) fn new(texts: &'s [&'s str]) -> Self {
        Self { all: texts, document: 0, start: 0 }
    }
}

impl<'s> Spans<'s> for Texts<'s> {
    fn next<'a>(
        &mut self,
        cutter: &Cutter,
        _: &'a mut Vec<u8>,
        progress: &impl Fn(usize) -> Result<(), Error>,
    ) -> Result<Option<Span<'a>>, Error>
    where
        's: 'a,
    {
        let Self { all, document, start } = *self;
        let Some(rest) = all.get(document).map(|text| &text[start..]) else { return Ok(None) };
        let (mut cut, mut searched) = (None, SPAN);
        while cut.is_none() && searched < rest.len() {
            progress(0)?;
            let to = rest.len().min(searched + SPAN);
            cut = cutter.cut_of_bytes(&rest.as_bytes()[..to], searched);
            searched = if to < rest.len() { to - MARGIN } else { to };
        }
        (self.document, self.start) = match cut {
            Some(cut) => (document, start + cut),
            None => (document + 1, 0),
        };
        let bytes = &rest.as_bytes()[..cut.unwrap_or(rest.len())];
        Ok(Some(Span { bytes, document, start: start as u64, path: None }))
    }
}

/// Files, of which little more than a span is read at a time.
pub(crate) struct Files<'s> {
    paths: &'s [&'s Path],
    document: usize,
    /// The file of the document, once it is open.
    file: Option<File>,
    /// What was read after the last cut, and its start in the file.
    rest: Vec<u8>,
    start: u64,
}

impl<'s> Files<'s> {
    pub(crate) fn new(paths: &'s [&'s Path]) -> Self {
        Self { paths, document: 0, file: None, rest: Vec::new(), start: 0 }
    }

    /// Reads up to *bytes* more bytes of the file into *buffer*, and returns whether the file may
    /// have more; *path* is for errors.
    fn read(&mut self, path: &Path, bytes: usize, buffer: &mut Vec<u8>) -> Result<bool, Error> {
        let unreadable = |error: std::io::Error| Error::unreadable(path, &error);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(path).map_err(unreadable)?),
        };
        buffer.try_reserve(bytes).map_err(|_| Error::OutOfMemory)?;
        let read = file.take(bytes as u64).read_to_end(buffer).map_err(unreadable)?;
        Ok(read == bytes)
    }
}

impl<'s> Spans<'s> for Files<'s> {
    fn next<'a>(
        &mut self,
        cutter: &Cutter,
        buffer: &'a mut Vec<u8>,
        progress: &impl Fn(usize) -> Result<(), Error>,
    ) -> Result<Option<Span<'a>>, Error>
    where
        's: 'a,
    {
        let Self { document, start, .. } = *self;
        let Some(&path) = self.paths.get(document) else { return Ok(None) };
        buffer.clear();
        buffer.append(&mut self.rest);
        let mut cut = None;
        // No cut was found before this offset, so all searches together take linear time.
        let mut searched = 0;
        while cut.is_none() && self.read(path, SPAN, buffer)? {
            progress(0)?;
            let last = searched.max(buffer.len() - MARGIN);
            cut =
                cutter.cut_of_bytes(buffer, last).or_else(|| cutter.cut_of_bytes(buffer, searched));
            searched = buffer.len() - MARGIN.min(buffer.len());
        }
        if let Some(cut) = cut {
            memory::extend(&mut self.rest, &buffer[cut..])?;
            buffer.truncate(cut);
            self.start += cut as u64;
        } else {
            (self.document, self.start, self.file) = (document + 1, 0, None);
        }
        Ok(Some(Span { bytes: buffer, document, start, path: Some(path) }))
    }
}

/// How documents are split into pieces: at special tokens, and between them by a pattern.
#[derive(Debug)]
pub(crate) struct Cutter {
    pattern: Pattern,
    specials: Vec<String>,
    search: Search,
    /// The length of the longest special token.
    longest: usize,
}

impl Cutter {
    pub(crate) fn new<S: AsRef<str>>(pattern: Pattern, specials: &[S]) -> Self {
        let specials: Vec<String> = specials.iter().map(|text| text.as_ref().to_owned()).collect();
        let longest = specials.iter().map(String::len).max().unwrap_or(0);
        Self { pattern, search: Search::new(&specials), specials, longest }
    }

    /// The first position in *text* at or after *near* that neither a piece nor a special token
    /// crosses, if there is one.
    fn cut(&self, text: &str, mut near: usize) -> Option<usize> {
        loop {
            let cut = self.pattern.cut(text, near)?;
            if !self.is_in_special(text.as_bytes(), cut) {
                return Some(cut);
            }
            near = cut + 1;
        }
    }

    /// Whether a special token that starts before *position* ends after it, or could: the text that
    /// follows is unknown.
    fn is_in_special(&self, text: &[u8], position: usize) -> bool {
        let first = (position + 1).saturating_sub(self.longest);
        (first..position).any(|start| {
            let rest = &text[start..];
            self.specials.iter().map(String::as_bytes).any(|special| {
                start + special.len() > position
                    && (rest.starts_with(special) || special.starts_with(rest))
            })
        })
    }

    /// `cut` in bytes that may start and end within a character. After bytes that are not UTF-8 no
    /// position is found.
    fn cut_of_bytes(&self, bytes: &[u8], near: usize) -> Option<usize> {
        // Include the two characters before the cut that the pattern reads, and the length of a
        // special token.
        let before = near.saturating_sub(self.longest.max(16));
        let is_inside = |byte: &&u8| **byte & 0xC0 == 0x80;
        let before = before + bytes[before..].iter().take(3).take_while(is_inside).count();
        let text = match str::from_utf8(&bytes[before..]) {
            Ok(text) => text,
            Err(error) => str::from_utf8(&bytes[before..before + error.valid_up_to()]).ok()?,
        };
        self.cut(text, near.saturating_sub(before)).map(|cut| before + cut)
    }

    /// Calls *sink* with the pieces of *span*, some at a time: their text, the start of the first,
    /// and the end of each. Calls *progress* as often, and with the bytes of the span when it is
    /// done.
    ///
    /// Offsets in errors are those in the document.
    #[inline(always)]
    pub(crate) fn windows(
        &self,
        span: &Span<'_>,
        ends: &mut Ends,
        budget: &Budget<'_>,
        progress: &impl Fn(usize) -> Result<(), Error>,
        mut sink: impl FnMut(&[u8], usize, &[usize]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let text = span.text()?;
        budget.start(text.len());
        let mut split = |from: usize, to: usize| {
            let mut start = from;
            while start < to {
                self.pattern
                    .fill(&text[..to], start, ends, budget)
                    .map_err(|error| span.error(error))?;
                sink(text.as_bytes(), start, ends.as_slice())?;
                start = ends.as_slice().last().copied().unwrap_or(to);
                progress(0)?;
            }
            Ok(())
        };
        let mut start = 0;
        for (_, found) in self.search.find_all(text) {
            split(start, found.start)?;
            start = found.end;
        }
        split(start, text.len())?;
        progress(text.len())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::PATTERNS;
    use proptest::prelude::*;

    /// The pieces of all *spans*.
    fn pieces<'s>(cutter: &Cutter, mut spans: impl Spans<'s>) -> Result<Vec<String>, Error> {
        let (mut pieces, mut buffer, mut ends) = (Vec::new(), Vec::new(), Ends::new());
        while let Some(span) = spans.next(cutter, &mut buffer, &|_| Ok(()))? {
            cutter.windows(
                &span,
                &mut ends,
                &Budget::default(),
                &|_| Ok(()),
                |text, mut start, ends| {
                    for &end in ends {
                        pieces.push(String::from_utf8_lossy(&text[start..end]).into_owned());
                        start = end;
                    }
                    Ok(())
                },
            )?;
        }
        Ok(pieces)
    }

    fn whole(pattern: &str, texts: &[&str]) -> Vec<String> {
        let (pattern, mut pieces) = (Pattern::new(pattern).unwrap(), Vec::new());
        for text in texts {
            pattern
                .split(text, |piece| {
                    pieces.push(piece.to_owned());
                    Ok(())
                })
                .unwrap();
        }
        pieces
    }

    proptest! {
        #[test]
        fn no_cut_changes_a_piece_or_a_special_token(
            text in "([a-cA-C 1,'\n/]|<ab>|b, c|\n\n|é|字){0,60}",
            near in 0..40_usize,
        ) {
            for (pattern, _) in PATTERNS {
                let specials = ["<ab>", "b, c", "c\na"];
                let cutter = Cutter::new(Pattern::new(pattern).unwrap(), &specials);
                let Some(cut) = cutter.cut(&text, near.min(text.len())) else { continue };
                let (left, right) = text.split_at(cut);
                let all = pieces(&cutter, Texts::new(&[&text]))?;
                prop_assert_eq!(all, pieces(&cutter, Texts::new(&[left, right]))?, "{}", pattern);
            }
        }
    }

    #[test]
    fn a_long_text_has_the_same_pieces_in_spans_from_a_file_and_from_memory() {
        let lines = "It's 12345 of them,\n\n  isn't it?\r\n/日本語。".repeat(13_000);
        let numbers = "1,23 456;".repeat(70_000);
        let uncut = "12\u{301}  34  56 字\u{301}".repeat(30_000);
        let folder = tempfile::tempdir().unwrap();
        for (number, text) in [lines, numbers, uncut, "x".repeat(1 << 20)].iter().enumerate() {
            let path = folder.path().join(number.to_string());
            fs::write(&path, text).unwrap();
            for (pattern, _) in PATTERNS {
                let cutter = Cutter::new(Pattern::new(pattern).unwrap(), &["<|end|>"]);
                let expected = whole(pattern, &[text]);
                assert!(pieces(&cutter, Texts::new(&[text])).unwrap() == expected);
                assert!(pieces(&cutter, Files::new(&[&path])).unwrap() == expected);
            }
        }
    }

    #[test]
    fn special_tokens_are_no_pieces_and_no_piece_crosses_one() {
        let cutter = Cutter::new(Pattern::new("gpt2").unwrap(), &["<|end|>", "<|end|>>"]);

        let found = pieces(&cutter, Texts::new(&["one<|end|>>two", "<|end|>"])).unwrap();

        assert_eq!(found, ["one", "two"]);
    }

    #[test]
    fn invalid_utf8_is_reported_with_its_offset_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.txt");
        let mut bytes = "all is well\n".repeat(100_000).into_bytes();
        bytes[700_000] = 0xFF;
        bytes[900_000] = 0xFF;
        fs::write(&path, &bytes).unwrap();
        let cutter = Cutter::new(Pattern::new("gpt2").unwrap(), &[""; 0]);

        let error = pieces(&cutter, Files::new(&[&path])).unwrap_err();

        assert_eq!(error, Error::NotUtf8 { path, offset: 700_000, byte: 0xFF });
    }
}
