//! `tokenizer.json`: Hugging Face's format, and pytok's own. See `pytok/formats/tokenizer_json.py`.
//!
//! The two large fields, `model.vocab` and `model.merges`, are read here, without a value for each
//! of their strings. The rest of the document is passed on as it is.

use std::fmt::{self, Formatter};

use rustc_hash::FxHashSet;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::merge_list::{Assembled, Entries, Merges};

/// The content of a `tokenizer.json`.
#[derive(Debug)]
pub struct TokenizerJson {
    rest: String,
    entries: Entries,
    merges: Merges,
}

impl TokenizerJson {
    /// Reads *json*, the content of a file.
    ///
    /// Returns `None` unless it is an object in UTF-8 with a `model`, whose `vocab` has integers
    /// below 2³² as ids and whose `merges` are pairs of strings. The keys of these objects must
    /// be distinct.
    #[must_use]
    pub fn parse(json: &[u8]) -> Option<Self> {
        let document = Fields::parse(simdutf8::basic::from_utf8(json).ok()?)?;
        let mut model = Fields::parse(document.get("model")?)?;
        let mut entries = Entries::default();
        parse(model.remove("vocab")?, Vocab(&mut entries))?;
        let mut merges = Merges::default();
        parse(model.remove("merges")?, MergeArray(&mut merges))?;
        let rest = document.to_json(|name, value| match name {
            "model" => model.to_json(|_, value| value.to_owned()),
            _ => value.to_owned(),
        });
        Some(Self { rest, entries, merges })
    }

    /// Returns the document without `model.vocab` and `model.merges`, as JSON.
    #[must_use]
    pub fn rest(&self) -> &str {
        &self.rest
    }

    /// Returns the entries of `model.vocab`.
    pub fn entries(&self) -> impl Iterator<Item = &str> {
        self.entries.iter()
    }

    /// Returns the number of entries of `model.vocab`.
    #[must_use]
    pub fn num_entries(&self) -> usize {
        self.entries.len()
    }

    /// Returns the id of an entry of `model.vocab`.
    #[must_use]
    pub fn id(&self, entry: &str) -> Option<u32> {
        self.entries.id(entry)
    }

    /// Orders the entries of `model.vocab` by merging, except those in *added*, which are added
    /// tokens. With *`ignore_merges`* a piece that is a token is encoded as that token even if no
    /// merge makes it.
    ///
    /// Returns `None` unless the tokens in this order encode exactly as `model.merges` do.
    #[must_use]
    pub fn assemble<S: AsRef<str>>(&self, added: &[S], ignore_merges: bool) -> Option<Assembled> {
        self.entries.assemble(&self.merges, added, ignore_merges)
    }
}

/// Parses all of *json* with *seed*; `None` if either finds an error.
fn parse<'de, T: DeserializeSeed<'de>>(json: &'de str, seed: T) -> Option<T::Value> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = seed.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(value)
}

/// The fields of an object in the order of the file, with values that are not parsed.
struct Fields<'de>(Vec<(String, &'de str)>);

impl<'de> Fields<'de> {
    /// Returns the fields of the object in *json*; `None` if two have the same name.
    fn parse(json: &'de str) -> Option<Self> {
        let fields = parse(json, Object)?;
        let mut names = FxHashSet::default();
        fields.0.iter().all(|(name, _)| names.insert(name.as_str())).then_some(())?;
        Some(fields)
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|(other, _)| other == name)
    }

    fn get(&self, name: &str) -> Option<&'de str> {
        Some(self.0[self.position(name)?].1)
    }

    fn remove(&mut self, name: &str) -> Option<&'de str> {
        Some(self.0.remove(self.position(name)?).1)
    }

    fn to_json(&self, value_of: impl Fn(&str, &str) -> String) -> String {
        let field = |(name, value): &(String, &str)| {
            let quoted = serde_json::Value::from(name.as_str());
            format!("{quoted}:{}", value_of(name, value))
        };
        format!("{{{}}}", self.0.iter().map(field).collect::<Vec<_>>().join(","))
    }
}

struct Object;

impl<'de> DeserializeSeed<'de> for Object {
    type Value = Fields<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fields<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object {
    type Value = Fields<'de>;

    fn expecting(&self, formatter: &mut Formatter) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
            fields.push((name, value.get()));
        }
        Ok(Fields(fields))
    }
}

/// Reads an object of entries and ids.
struct Vocab<'a>(&'a mut Entries);

impl<'de> DeserializeSeed<'de> for Vocab<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Vocab<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut Formatter) -> fmt::Result {
        formatter.write_str("an object of entries and ids")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut entry = String::new();
        while map.next_key_seed(Text(&mut entry))?.is_some() {
            let id = map.next_value()?;
            self.0.push(&entry, id).ok_or_else(|| A::Error::custom("an entry occurs twice"))?;
        }
        Ok(())
    }
}

/// Reads a string into memory that is used again.
struct Text<'a>(&'a mut String);

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Text<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut Formatter) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.clear();
        self.0.push_str(text);
        Ok(())
    }
}

/// Reads an array of merges.
struct MergeArray<'a>(&'a mut Merges);

impl<'de> DeserializeSeed<'de> for MergeArray<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for MergeArray<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut Formatter) -> fmt::Result {
        formatter.write_str("an array of merges")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        let (mut left, mut right) = (String::new(), String::new());
        loop {
            let pair = Pair { merges: self.0, left: &mut left, right: &mut right };
            if sequence.next_element_seed(pair)?.is_none() {
                return Ok(());
            }
        }
    }
}

/// Reads a merge: an array of two entries, or both in a string with one space. Old files also have
/// the first line of a merges.txt, which is none.
struct Pair<'a> {
    merges: &'a mut Merges,
    left: &'a mut String,
    right: &'a mut String,
}

impl<'de> DeserializeSeed<'de> for Pair<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Pair<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut Formatter) -> fmt::Result {
        formatter.write_str("two entries")
    }

    fn visit_str<E: Error>(self, merge: &str) -> Result<(), E> {
        if !merge.starts_with("#version") {
            // An entry with a space is not in the byte-level alphabet, so it is part of no merge.
            let (left, right) = merge.split_once(' ').ok_or_else(|| E::custom("no space"))?;
            self.merges.push(left, right);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        let left = sequence.next_element_seed(Text(self.left))?;
        let right = sequence.next_element_seed(Text(self.right))?;
        let end = sequence.next_element::<IgnoredAny>()?;
        match (left, right, end) {
            (Some(()), Some(()), None) => self.merges.push(self.left, self.right),
            _ => return Err(A::Error::custom("not two entries")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(model: &str) -> Option<TokenizerJson> {
        TokenizerJson::parse(format!(r#"{{"a": [1.50, "\u00e9"], "model": {model}}}"#).as_bytes())
    }

    #[test]
    fn the_rest_is_the_text_of_the_file() {
        let json = r#"{"type": "BPE", "vocab": {"a": 0}, "x": {"y" : 1e999}, "merges": []}"#;

        let rest = r#"{"a":[1.50, "\u00e9"],"model":{"type":"BPE","x":{"y" : 1e999}}}"#;
        assert_eq!(parsed(json).unwrap().rest(), rest);
    }

    #[test]
    fn merges_are_arrays_or_strings_with_a_space() {
        let vocab = r#"{"a": 0, "\u0120": 1, "Ġa": 2, "aa": 3}"#;
        let merges = r##"["#version: 0.2", "\u0120 a", ["a", "\u0061"]]"##;
        let json = parsed(&format!(r#"{{"merges": {merges}, "vocab": {vocab}}}"#)).unwrap();

        assert_eq!((json.num_entries(), json.id("Ġa"), json.id("b")), (4, Some(2), None));
        let assembled = json.assemble(&["aa"], false);
        assert!(assembled.is_none(), "an added token is not merged");
        let tokens: Vec<Vec<u8>> =
            json.assemble::<&str>(&[], false).unwrap().vocab.tokens().map(<[u8]>::to_vec).collect();
        assert_eq!(tokens, [&b"a"[..], b" ", b" a", b"aa"]);
    }

    #[test]
    fn what_the_reader_in_python_must_judge_is_not_read() {
        let models = [
            "[]",
            "{}",
            r#"{"vocab": {}}"#,
            r#"{"vocab": [], "merges": []}"#,
            r#"{"vocab": {}, "merges": {}}"#,
            r#"{"vocab": {"a": 0, "a": 1}, "merges": []}"#,
            r#"{"vocab": {"a": 0, "\u0061": 1}, "merges": []}"#,
            r#"{"vocab": {}, "vocab": {}, "merges": []}"#,
            r#"{"vocab": {"a": 0.0}, "merges": []}"#,
            r#"{"vocab": {"a": -1}, "merges": []}"#,
            r#"{"vocab": {"a": 4294967296}, "merges": []}"#,
            r#"{"vocab": {"a": "0"}, "merges": []}"#,
            r#"{"vocab": {"\ud800": 0}, "merges": []}"#,
            r#"{"vocab": {"a": 0, "aa": 1}, "merges": ["aa"]}"#,
            r#"{"vocab": {"a": 0, "aa": 1}, "merges": [["a"]]}"#,
            r#"{"vocab": {"a": 0, "aa": 1}, "merges": [["a", "a", "a"]]}"#,
            r#"{"vocab": {"a": 0, "aa": 1}, "merges": [["a", 0]]}"#,
            r#"{"vocab": {}, "merges": [], "x": NaN}"#,
            r#"{"vocab": {}, "merges": []}, "model": 0"#,
        ];
        for model in models {
            assert!(parsed(model).is_none(), "{model}");
        }
        assert!(TokenizerJson::parse(b"\xff").is_none());
    }
}
