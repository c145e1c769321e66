//! Added tokens: texts with ids of their own, matched before text is split. Twin of
//! `pytok/reference/added.py`.

use std::ops::Range;

use fancy_regex::Regex;

use crate::{Budget, Error, Normalizer, Search};

/// A text with an id of its own, with the fields of Hugging Face's tokenizers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // the flags are independent
pub struct AddedToken {
    /// The text, which is not empty.
    pub text: String,
    /// The id, which two added tokens can share.
    pub id: u32,
    /// Whether it is matched only where a caller allows it; any other is matched in every text.
    pub special: bool,
    /// Whether it takes the white space before it.
    pub lstrip: bool,
    /// Whether it takes the white space after it.
    pub rstrip: bool,
    /// Whether it is matched only where no word character is next to it.
    pub single_word: bool,
    /// Whether it is matched after the others, in the normalized text.
    pub normalized: bool,
}

/// The added tokens that are recognized in a text.
#[derive(Debug)]
pub struct Allowed {
    /// Those that are matched in the text as it is.
    pub(crate) verbatim: Matcher,
    /// Those that are matched in the normalized text between them.
    pub(crate) normalized: Matcher,
}

impl Allowed {
    /// Prepares the search for *tokens*.
    pub(crate) fn new<'a>(
        tokens: impl Iterator<Item = &'a AddedToken>,
        normalizer: &Normalizer,
    ) -> Result<Self, Error> {
        let (late, early): (Vec<&AddedToken>, _) = tokens.partition(|token| token.normalized);
        let budget = Budget::default();
        let normal =
            |token: &&AddedToken| normalizer.normalize(&token.text, &budget).map(String::from);
        let texts = late.iter().map(normal).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            verbatim: Matcher::new(&early, early.iter().map(|t| t.text.clone()).collect()),
            normalized: Matcher::new(&late, texts),
        })
    }
}

/// A search for added tokens in one text.
#[derive(Debug)]
pub(crate) struct Matcher {
    search: Search,
    tokens: Vec<AddedToken>,
    /// Whether no token looks at the text around it.
    is_plain: bool,
    /// The class of words, if a token needs it.
    word: Option<Regex>,
}

/// A part of a text: an added token, or what is between two.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Segment<'t> {
    /// The id of the added token, or `None` between them.
    pub(crate) id: Option<u32>,
    /// Where it starts in the text.
    pub(crate) start: usize,
    pub(crate) text: &'t str,
}

impl Matcher {
    fn new(tokens: &[&AddedToken], mut texts: Vec<String>) -> Self {
        // A token whose text is normalized to nothing is never found.
        let kept: Vec<bool> = texts.iter().map(|text| !text.is_empty()).collect();
        texts.retain(|text| !text.is_empty());
        let kept = tokens.iter().zip(kept).filter(|(_, kept)| *kept);
        let tokens: Vec<AddedToken> = kept.map(|(&token, _)| token.clone()).collect();
        let is_plain = !tokens.iter().any(|t| t.lstrip || t.rstrip || t.single_word);
        let has_words = tokens.iter().any(|token| token.single_word);
        let word = has_words.then(|| Regex::new(r"\w").expect("a class"));
        Self { search: Search::new(&texts), tokens, is_plain, word }
    }

    /// The texts that are found, if no token looks at the text around it.
    pub(crate) fn plain_texts(&self) -> Option<Vec<&str>> {
        self.is_plain.then(|| self.tokens.iter().map(|token| token.text.as_str()).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The segments of *text*, none of them empty: an occurrence that starts further to the left
    /// comes first, of equal starts the longest. One that takes the white space after it can reach
    /// into the next.
    pub(crate) fn segments<'t>(&'t self, text: &'t str) -> impl Iterator<Item = Segment<'t>> + 't {
        let last = text.len()..text.len();
        let tokens = self.find_all(text).map(|(id, range)| (Some(id), range));
        let mut end = 0;
        tokens.chain([(None, last)]).flat_map(move |(id, range)| {
            let between = Segment { id: None, start: end, text: &text[end..range.start.max(end)] };
            end = range.end;
            let token = Segment { id, start: range.start, text: &text[range] };
            [between, token].into_iter().filter(|segment| !segment.text.is_empty())
        })
    }

    /// The ids of the occurrences in *text*, and the ranges that they take.
    fn find_all<'t>(&'t self, text: &'t str) -> impl Iterator<Item = (u32, Range<usize>)> + 't {
        let mut end = 0;
        self.search.find_all(text).filter_map(move |(which, Range { mut start, end: mut stop })| {
            let token = &self.tokens[which];
            if !self.is_plain {
                let (before, after) = (&text[..start], &text[stop..]);
                let is_word = |character: char| self.is_word(character);
                if token.single_word
                    && (before.chars().next_back().is_some_and(is_word)
                        || after.chars().next().is_some_and(is_word))
                {
                    return None;
                }
                if token.lstrip {
                    start = before.trim_end().len().max(end);
                }
                if token.rstrip {
                    stop = text.len() - after.trim_start().len();
                }
            }
            end = stop;
            // One whose white space another has taken is empty, and nothing.
            (start < stop).then_some((token.id, start..stop))
        })
    }

    /// Whether *character* is matched by `\w`.
    fn is_word(&self, character: char) -> bool {
        let mut bytes = [0; 4];
        let text: &str = character.encode_utf8(&mut bytes);
        self.word.as_ref().is_some_and(|word| word.is_match(text).unwrap_or(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(token: &AddedToken, text: &str) -> Vec<(usize, usize)> {
        let token = AddedToken { text: "<m>".into(), ..token.clone() };
        let allowed = Allowed::new([&token].into_iter(), &Normalizer::default()).unwrap();
        allowed.verbatim.find_all(text).map(|(_, range)| (range.start, range.end)).collect()
    }

    #[test]
    fn stripping_takes_the_white_space_on_a_side() {
        let left = AddedToken { lstrip: true, ..AddedToken::default() };
        let right = AddedToken { rstrip: true, ..AddedToken::default() };
        assert_eq!(found(&left, "a \n<m> b"), [(1, 6)]);
        assert_eq!(found(&right, "a <m>\u{3000} b"), [(2, 9)]);
    }

    #[test]
    fn a_single_word_has_no_word_characters_next_to_it() {
        let word = AddedToken { single_word: true, ..AddedToken::default() };
        assert_eq!(found(&word, "a<m> <m>_ <m>é <m>.<m>"), [(16, 19), (20, 23)]);
    }
}
