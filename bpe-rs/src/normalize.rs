//! Normalization of text before it is split. Twin of `pytok/reference/normalize.py`.
//!
//! A step is a list of [`Edit`]s: ranges of the text and what replaces them. Text without any is
//! not copied, and the source of every byte of the result follows from them.

mod forms;

use std::borrow::Cow;
use std::ops::Range;

use forms::Form;

use crate::pretokenize::{compile, find};
use crate::{Budget, Error};

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
    pub fn normalize<'t>(&self, text: &'t str, budget: &Budget<'_>) -> Result<Cow<'t, str>, Error> {
        let mut text = Cow::Borrowed(text);
        for step in &self.steps {
            let edits = step.edits(&text, budget)?;
            if !edits.is_empty() {
                text = Cow::Owned(apply(&text, &edits));
            }
        }
        Ok(text)
    }

    /// Returns *text* after all steps, aligned with the source.
    pub(crate) fn align(&self, text: &str, budget: &Budget<'_>) -> Result<Aligned, Error> {
        let mut aligned = Aligned::new(text);
        for step in &self.steps {
            let edits = step.edits(&aligned.text, budget)?;
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
    fn edits(&self, text: &str, budget: &Budget<'_>) -> Result<Vec<Edit>, Error> {
        Ok(match self {
            Self::Form(form) => form.edits(text),
            Self::Lowercase => lowercase(text),
            Self::Prepend(_) if text.is_empty() => Vec::new(),
            Self::Prepend(prefix) => vec![Edit { source: 0..0, text: prefix.clone() }],
            Self::Replace(regex, content) => {
                let mut edits = Vec::new();
                let mut start = 0;
                while let Some(source) = find(regex, text, start, budget)? {
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

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn normalized(steps: &[&[&str]], text: &str) -> String {
        let steps: Vec<Vec<&str>> = steps.iter().map(|step| step.to_vec()).collect();
        Normalizer::new(&steps).unwrap().normalize(text, &Budget::default()).unwrap().into_owned()
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

        let aligned = normalizer.align("ae\u{301}b", &Budget::default()).unwrap();

        assert_eq!(aligned.text, "aéb");
        assert_eq!(aligned.source(1..3), 1..4);
        assert_eq!(aligned.source(3..4), 4..5);
    }

    #[test]
    fn an_unknown_step_is_an_error() {
        assert!(matches!(Normalizer::new(&[vec!["Nmt"]]), Err(Error::UnknownStep { .. })));
    }
}
