//! Normalization of text before it is split. Twin of `pytok/reference/normalize.py`.
//!
//! A step is a list of [`Edit`]s: ranges of the text and what replaces them. Text without any is
//! not copied, and the source of every byte of the result follows from them.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{
    is_nfc_quick, is_nfd_quick, is_nfkc_quick, is_nfkd_quick, IsNormalized, UnicodeNormalization,
};

use crate::pretokenize::{compile, find};
use crate::Error;

/// The steps of a normalization, in order.
#[derive(Debug, Default)]
pub struct Normalizer {
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Form(Form),
    /// Each character by itself, as in Hugging Face's tokenizers.
    Lowercase,
    /// A text before any that is not empty.
    Prepend(String),
    Replace(fancy_regex::Regex, String),
}

/// A change of a text: *source* is replaced by *text*.
struct Edit {
    source: Range<usize>,
    text: String,
}

/// A normalized text, and the range of its source that each byte stands for.
#[derive(Debug)]
pub(crate) struct Aligned {
    pub(crate) text: String,
    /// `None` as long as the text is its source: each byte stands for its character.
    sources: Option<Vec<(usize, usize)>>,
}

impl Normalizer {
    /// Builds a normalizer; each of *steps* is a name and its arguments, as in
    /// `pytok.definition.Definition`.
    ///
    /// # Errors
    /// For an unknown step, and for a regex that does not compile.
    pub fn new<S: AsRef<str>>(steps: &[Vec<S>]) -> Result<Self, Error> {
        let step = |step: &Vec<S>| {
            let words: Vec<&str> = step.iter().map(AsRef::as_ref).collect();
            Ok(match words[..] {
                ["NFC"] => Step::Form(Form::Nfc),
                ["NFD"] => Step::Form(Form::Nfd),
                ["NFKC"] => Step::Form(Form::Nfkc),
                ["NFKD"] => Step::Form(Form::Nfkd),
                ["Lowercase"] => Step::Lowercase,
                ["Prepend", text] => Step::Prepend(text.to_owned()),
                ["Replace", regex, text] => Step::Replace(compile(regex)?, text.to_owned()),
                _ => return Err(Error::UnknownStep { step: words.join(" ") }),
            })
        };
        Ok(Self { steps: steps.iter().map(step).collect::<Result<_, _>>()? })
    }

    /// Whether there are no steps: every text is normal.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether a text can be cut where its pieces can be cut, and each part normalized by itself.
    pub(crate) fn can_cut(&self) -> bool {
        // Canonical forms change neither newlines nor slashes, and make no white space next to
        // them.
        self.steps.iter().all(|step| matches!(step, Step::Form(Form::Nfc | Form::Nfd)))
    }

    /// Returns *text* after all steps.
    ///
    /// # Errors
    /// When the regex of a replacement fails on the text or matches the empty string.
    pub fn normalize<'t>(&self, text: &'t str) -> Result<Cow<'t, str>, Error> {
        let mut text = Cow::Borrowed(text);
        for step in &self.steps {
            let edits = step.edits(&text)?;
            if !edits.is_empty() {
                text = Cow::Owned(apply(&text, &edits));
            }
        }
        Ok(text)
    }

    /// Returns *text* after all steps, aligned with the source.
    pub(crate) fn align(&self, text: &str) -> Result<Aligned, Error> {
        let mut aligned = Aligned::new(text);
        for step in &self.steps {
            let edits = step.edits(&aligned.text)?;
            aligned.edit(&edits);
        }
        Ok(aligned)
    }
}

impl Aligned {
    fn new(text: &str) -> Self {
        Self { text: text.to_owned(), sources: None }
    }

    /// The range of the source that the bytes in *range* stand for.
    pub(crate) fn source(&self, range: Range<usize>) -> Range<usize> {
        let Some(sources) = &self.sources else {
            let is_start = |&at: &usize| self.text.is_char_boundary(at);
            let start = (0..=range.start).rev().find(is_start).unwrap_or_default();
            let end = (range.end..self.text.len()).find(is_start).unwrap_or(self.text.len());
            return start..if range.is_empty() { start } else { end };
        };
        let at = |index: usize| sources.get(index).or(sources.last());
        match (at(range.start), range.end.checked_sub(1).and_then(at)) {
            _ if range.is_empty() => {
                let start = at(range.start).map_or(0, |source| source.0);
                start..start
            }
            (Some(first), Some(last)) => first.0..last.1.max(first.1),
            _ => 0..0,
        }
    }

    fn edit(&mut self, edits: &[Edit]) {
        if edits.is_empty() {
            return;
        }
        if self.sources.is_none() {
            self.sources = Some(of_characters(&self.text));
        }
        let before = self.sources.as_deref().unwrap_or_default();
        let mut sources = Vec::with_capacity(before.len());
        let mut start = 0;
        for Edit { source, text } in edits {
            sources.extend_from_slice(&before[start..source.start]);
            // What is inserted stands for the next character.
            let end = source.end.max((source.start + 1).min(before.len()));
            let origin = self.source(source.start..end);
            sources.extend(std::iter::repeat_n((origin.start, origin.end), text.len()));
            start = source.end;
        }
        sources.extend_from_slice(&before[start..]);
        self.text = apply(&self.text, edits);
        self.sources = Some(sources);
    }
}

/// The range of the character of each byte of *text*.
fn of_characters(text: &str) -> Vec<(usize, usize)> {
    let whole = |(start, character): (usize, char)| {
        std::iter::repeat_n((start, start + character.len_utf8()), character.len_utf8())
    };
    text.char_indices().flat_map(whole).collect()
}

fn apply(text: &str, edits: &[Edit]) -> String {
    let mut edited = String::with_capacity(text.len() + text.len() / 8);
    let mut start = 0;
    for edit in edits {
        edited.push_str(&text[start..edit.source.start]);
        edited.push_str(&edit.text);
        start = edit.source.end;
    }
    edited.push_str(&text[start..]);
    edited
}

impl Step {
    fn edits(&self, text: &str) -> Result<Vec<Edit>, Error> {
        Ok(match self {
            Self::Form(form) => form.edits(text),
            Self::Lowercase => lowercase(text),
            Self::Prepend(_) if text.is_empty() => Vec::new(),
            Self::Prepend(prefix) => vec![Edit { source: 0..0, text: prefix.clone() }],
            Self::Replace(regex, content) => {
                let mut edits = Vec::new();
                let mut start = 0;
                while let Some(source) = find(regex, text, start)? {
                    start = source.end;
                    edits.push(Edit { source, text: content.clone() });
                }
                edits
            }
        })
    }
}

fn lowercase(text: &str) -> Vec<Edit> {
    let edit = |(start, character): (usize, char)| {
        let mut lower = character.to_lowercase();
        if lower.len() == 1 && lower.clone().next() == Some(character) {
            return None;
        }
        let text = lower.by_ref().collect();
        Some(Edit { source: start..start + character.len_utf8(), text })
    };
    text.char_indices().filter_map(edit).collect()
}

/// A normalization form of Unicode (UAX #15).
#[derive(Clone, Copy, Debug)]
enum Form {
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
}

impl Form {
    /// Returns the runs of characters that are not in this form, and their normalizations.
    ///
    /// Before an inert character a text can be cut: the forms of its parts concatenate to its form.
    /// So only runs of other characters, and the inert one before each, are looked at.
    fn edits(self, text: &str) -> Vec<Edit> {
        let mut edits = Vec::new();
        let active = self.active();
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(first) = next_active(active, text, at) {
            let start = (at..first).rev().find(|&index| text.is_char_boundary(index));
            let start = start.unwrap_or(first);
            let run = text[first..].char_indices();
            let end = run
                .skip(1)
                .find(|&(_, character)| !is_active(active, character))
                .map_or(bytes.len(), |(length, _)| first + length);
            let run = &text[start..end];
            if !self.is_normal(run) {
                let normal = self.normalize(run);
                if normal != run {
                    edits.push(Edit { source: start..end, text: normal });
                }
            }
            at = end;
        }
        edits
    }

    fn normalize(self, text: &str) -> String {
        match self {
            Self::Nfc => text.nfc().collect(),
            Self::Nfd => text.nfd().collect(),
            Self::Nfkc => text.nfkc().collect(),
            Self::Nfkd => text.nfkd().collect(),
        }
    }

    /// Whether *text* is in this form, by the quick check of UAX #15: not known to be is false.
    fn is_normal(self, text: &str) -> bool {
        let characters = text.chars();
        let quick = match self {
            Self::Nfc => is_nfc_quick(characters),
            Self::Nfd => is_nfd_quick(characters),
            Self::Nfkc => is_nfkc_quick(characters),
            Self::Nfkd => is_nfkd_quick(characters),
        };
        matches!(quick, IsNormalized::Yes)
    }

    /// One bit for each character below `ACTIVE_END`: whether it is active, that is not inert.
    fn active(self) -> &'static [u64] {
        static TABLES: [OnceLock<Vec<u64>>; 4] = [const { OnceLock::new() }; 4];
        TABLES[self as usize].get_or_init(|| {
            let mut bits = vec![0; ACTIVE_END as usize / 64];
            for character in (0..ACTIVE_END).filter_map(char::from_u32) {
                let text = character.encode_utf8(&mut [0; 4]).to_owned();
                if canonical_combining_class(character) != 0 || !self.is_normal(&text) {
                    bits[character as usize / 64] |= 1 << (character as u32 % 64);
                }
            }
            bits
        })
    }
}

/// All greater characters are inert in all forms.
const ACTIVE_END: u32 = 0x30000;

#[inline]
fn is_active(active: &[u64], character: char) -> bool {
    let point = character as usize;
    active.get(point / 64).is_some_and(|bits| bits >> (point % 64) & 1 == 1)
}

/// The first active character of *text* from *at* on. Bytes below 0xC3, ASCII and a few more, are
/// of inert characters in every form, or continue one.
fn next_active(active: &[u64], text: &str, mut at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    loop {
        // PERF: eight ASCII bytes at a time.
        while let Some(eight) = bytes[at..].first_chunk::<8>() {
            if u64::from_ne_bytes(*eight) & 0x8080_8080_8080_8080 != 0 {
                break;
            }
            at += 8;
        }
        // Then characters, as long as they are not ASCII.
        let mut ascii = 0;
        for (index, character) in text[at..].char_indices() {
            if is_active(active, character) {
                return Some(at + index);
            }
            ascii = if character.is_ascii() { ascii + 1 } else { 0 };
            if ascii == 16 {
                at += index + 1;
                break;
            }
        }
        if ascii < 16 {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn normalized(steps: &[&[&str]], text: &str) -> String {
        let steps: Vec<Vec<&str>> = steps.iter().map(|step| step.to_vec()).collect();
        Normalizer::new(&steps).unwrap().normalize(text).unwrap().into_owned()
    }

    #[test]
    fn forms_equal_those_of_the_whole_text() {
        let texts =
            "([a-z ]{0,3}|[A-Zé]|\\PC|\\p{M}|[\u{1100}-\u{11ff}]|[\u{ac00}-\u{ac20}]|[ﬁ½Å]){0,20}";
        proptest!(|(text in texts)| {
            prop_assert_eq!(normalized(&[&["NFC"]], &text), text.nfc().collect::<String>());
            prop_assert_eq!(normalized(&[&["NFD"]], &text), text.nfd().collect::<String>());
            prop_assert_eq!(normalized(&[&["NFKC"]], &text), text.nfkc().collect::<String>());
            prop_assert_eq!(normalized(&[&["NFKD"]], &text), text.nfkd().collect::<String>());
        });
    }

    #[test]
    fn characters_beyond_the_table_are_inert() {
        for character in (ACTIVE_END..=0x10_FFFF).filter_map(char::from_u32) {
            let text = character.to_string();
            assert_eq!(canonical_combining_class(character), 0);
            assert!(is_nfkc_quick(text.chars()) == IsNormalized::Yes, "{character:?}");
            assert!(is_nfkd_quick(text.chars()) == IsNormalized::Yes, "{character:?}");
        }
    }

    #[test]
    fn lowercase_maps_each_character_by_itself() {
        assert_eq!(normalized(&[&["Lowercase"]], "ΑΣ İ Q"), "ασ i\u{307} q");
    }

    #[test]
    fn prepend_leaves_an_empty_text() {
        assert_eq!(normalized(&[&["Prepend", "_"]], ""), "");
        assert_eq!(normalized(&[&["Prepend", "_"]], "a"), "_a");
    }

    #[test]
    fn a_composed_character_stands_for_all_that_it_was_composed_of() {
        let normalizer = Normalizer::new(&[vec!["NFC"]]).unwrap();

        let aligned = normalizer.align("ae\u{301}b").unwrap();

        assert_eq!(aligned.text, "aéb");
        assert_eq!(aligned.source(1..3), 1..4);
        assert_eq!(aligned.source(3..4), 4..5);
    }

    #[test]
    fn an_unknown_step_is_an_error() {
        assert!(matches!(Normalizer::new(&[vec!["Nmt"]]), Err(Error::UnknownStep { .. })));
    }
}
