//! Vocabularies with a list of merges, as Hugging Face's formats have them. See
//! `pytok/formats/merge_list.py`.

use std::hash::BuildHasher;

use hashbrown::hash_table::Entry;
use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashSet};

use crate::encode::implied_merges;
use crate::vocab::{is_printable, Rank, Vocab, BYTE_ORDER};

/// The entries of a vocabulary in the order of the file, and their ids.
#[derive(Debug, Default)]
pub(super) struct Entries {
    text: Packed,
    ids: Vec<u32>,
    /// Indices of the entries, by their text.
    table: HashTable<usize>,
}

/// The two parts of each listed merge, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Merges(Packed);

impl Merges {
    pub(super) fn push(&mut self, left: &str, right: &str) {
        self.0.push(left.as_bytes());
        self.0.push(right.as_bytes());
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        (0..self.0.ends.len() / 2).map(|pair| (self.0.get(2 * pair), self.0.get(2 * pair + 1)))
    }
}

/// A merge: the indices of two entries, and that of the entry that they make.
#[derive(Clone, Copy, Debug)]
struct Merge {
    left: u32,
    right: u32,
    made: u32,
}

/// A vocabulary as its file orders and numbers it.
#[derive(Debug)]
pub struct Assembled {
    /// The tokens in the order of merging.
    pub vocab: Vocab,
    /// The id of each rank.
    pub ids: Vec<u32>,
    /// Ids and bytes of the entries that no text is encoded to, in the order of ids.
    pub decode_only: Vec<(u32, Vec<u8>)>,
}

impl Entries {
    /// Adds an entry. Returns `None` if it occurs twice.
    pub(super) fn push(&mut self, entry: &str, id: u32) -> Option<()> {
        let Self { text, ids, table } = self;
        let hash = |&index: &usize| FxBuildHasher.hash_one(text.get(index));
        let same = |&index: &usize| text.get(index) == entry.as_bytes();
        match table.entry(FxBuildHasher.hash_one(entry.as_bytes()), same, hash) {
            Entry::Occupied(_) => return None,
            Entry::Vacant(free) => free.insert(ids.len()),
        };
        text.push(entry.as_bytes());
        ids.push(id);
        Some(())
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.text.iter().filter_map(|entry| str::from_utf8(entry).ok())
    }

    fn find(&self, entry: &[u8]) -> Option<usize> {
        let same = |&index: &usize| self.text.get(index) == entry;
        self.table.find(FxBuildHasher.hash_one(entry), same).copied()
    }

    pub(super) fn id(&self, entry: &str) -> Option<u32> {
        Some(self.ids[self.find(entry.as_bytes())?])
    }

    /// Orders the entries by merging, except those in *added*, which are added tokens. With
    /// *`ignore_merges`* a piece that is a token is encoded as that token even if no merge makes it.
    ///
    /// Returns `None` unless the tokens in this order encode exactly as *merges* do.
    pub(super) fn assemble<S: AsRef<str>>(
        &self,
        merges: &Merges,
        added: &[S],
        ignore_merges: bool,
    ) -> Option<Assembled> {
        let mut is_token = vec![true; self.len()];
        for text in added {
            if let Some(index) = self.find(text.as_ref().as_bytes()) {
                is_token[index] = false;
            }
        }
        let mut bytes = Packed::default();
        let mut in_alphabet = Vec::with_capacity(self.len());
        for entry in self.text.iter() {
            in_alphabet.push(bytes.push_letters(str::from_utf8(entry).ok()?) && !entry.is_empty());
        }
        if is_token.iter().zip(&in_alphabet).all(|(is_token, known)| *known || !is_token) {
            let assembled = self.assemble_plain(merges, &is_token, &bytes, ignore_merges);
            if assembled.is_some() {
                return assembled;
            }
        }
        let merges = self.resolve(merges)?;
        let mut is_made = vec![false; self.len()];
        for merge in &merges {
            is_made[merge.made as usize] = true;
        }
        let mut decode_only = Vec::new();
        for (index, entry) in self.text.iter().enumerate() {
            let token = if in_alphabet[index] { bytes.get(index) } else { entry };
            let is_piece = ignore_merges || is_made[index] || token.len() == 1;
            if is_token[index] && !(in_alphabet[index] && is_piece) {
                is_token[index] = false;
                decode_only.push((self.ids[index], token.to_owned()));
            }
        }
        decode_only.sort();
        let order = self.order(&merges, is_token, &bytes);
        let vocab = Vocab::new(order.iter().map(|&index| bytes.get(index))).ok()?;
        let mut rank_of = vec![None; self.len()];
        for (rank, &index) in (0..).zip(&order) {
            rank_of[index] = Some(rank);
        }
        let of_ranks = |merge: &Merge| {
            rank_of[merge.made as usize]?;
            Some((rank_of[merge.left as usize]?, rank_of[merge.right as usize]?))
        };
        let listed: Vec<(Rank, Rank)> = merges.iter().map(of_ranks).collect::<Option<_>>()?;
        let ids = order.iter().map(|&index| self.ids[index]).collect();
        is_exact(&vocab, &listed, ignore_merges).then_some(Assembled { vocab, ids, decode_only })
    }

    /// `assemble` for most files, whose *merges* are those of the tokens by id and no others.
    ///
    /// PERF: no part of a merge is looked up.
    fn assemble_plain(
        &self,
        merges: &Merges,
        is_token: &[bool],
        bytes: &Packed,
        ignore_merges: bool,
    ) -> Option<Assembled> {
        let order = self.by_id(is_token);
        let vocab = Vocab::new(order.iter().map(|&index| bytes.get(index))).ok()?;
        let implied = implied_merges(&vocab);
        let is_made = |(token, merge): (&[u8], &Option<_>)| token.len() == 1 || merge.is_some();
        let all_made = vocab.tokens().zip(&implied).all(is_made);
        let letters = |rank: Rank| self.text.get(order[rank as usize]);
        let pairs = implied.iter().flatten().map(|&(left, right)| (letters(left), letters(right)));
        if !(all_made || ignore_merges) || !pairs.eq(merges.iter()) {
            return None;
        }
        let ids = order.iter().map(|&index| self.ids[index]).collect();
        Some(Assembled { vocab, ids, decode_only: Vec::new() })
    }

    /// The entries of each merge; `None` if one does not exist.
    fn resolve(&self, merges: &Merges) -> Option<Vec<Merge>> {
        let index = |entry: &[u8]| self.find(entry).map(|index| index as u32);
        let resolve = |(left, right): (&[u8], &[u8])| {
            let made = index(&[left, right].concat())?;
            Some(Merge { left: index(left)?, right: index(right)?, made })
        };
        merges.iter().map(resolve).collect()
    }

    /// The indices of the tokens, by id.
    fn by_id(&self, is_token: &[bool]) -> Vec<usize> {
        let mut by_id: Vec<usize> = (0..self.len()).filter(|&index| is_token[index]).collect();
        if !by_id.is_sorted_by_key(|&index| self.ids[index]) {
            by_id.sort_by_key(|&index| self.ids[index]);
        }
        by_id
    }

    /// The indices of the tokens: by id if *merges* are in that order, otherwise single bytes
    /// first, then the tokens that merges make.
    fn order(&self, merges: &[Merge], is_token: Vec<bool>, bytes: &Packed) -> Vec<usize> {
        let by_id = self.by_id(&is_token);
        if merges.is_sorted_by_key(|merge| self.ids[merge.made as usize]) {
            return by_id;
        }
        let mut is_left = is_token;
        let single = by_id.iter().copied().filter(|&index| bytes.get(index).len() == 1);
        let made = merges.iter().map(|merge| merge.made as usize);
        let all = single.chain(made).chain(by_id.iter().copied());
        all.filter(|&index| std::mem::take(&mut is_left[index])).collect()
    }
}

/// Whether the merges *listed* encode as the tokens of *vocab*, in their order, do: the list has the
/// only merge that can make each token, in the order of the tokens. Other merges are never used.
fn is_exact(vocab: &Vocab, listed: &[(Rank, Rank)], ignore_merges: bool) -> bool {
    // Of repeated merges the last one counts.
    let mut distinct = FxHashSet::with_capacity_and_hasher(listed.len(), FxBuildHasher);
    if !listed.iter().all(|&merge| distinct.insert(merge)) {
        return false;
    }
    let mut listed = listed.iter();
    vocab.tokens().zip(implied_merges(vocab)).all(|(token, merge)| match merge {
        Some(merge) => listed.any(|&next| next == merge),
        None => token.len() == 1 || ignore_merges,
    })
}

/// Byte strings, concatenated.
#[derive(Debug, Default)]
struct Packed {
    bytes: Vec<u8>,
    /// `ends[index]` is where the byte string ends in `bytes`.
    ends: Vec<usize>,
}

impl Packed {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len());
    }

    /// Adds the token of *letters* in the byte-level alphabet, up to the first other letter. Returns
    /// whether there is none.
    fn push_letters(&mut self, letters: &str) -> bool {
        let known = letters.chars().map_while(byte_of);
        let length = self.bytes.len();
        self.bytes.extend(known);
        self.ends.push(self.bytes.len());
        self.bytes.len() - length == letters.chars().count()
    }

    fn get(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[index]]
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).map(|index| self.get(index))
    }
}

/// The byte of a letter in GPT-2's byte-level alphabet: the printable bytes of Latin-1 are
/// themselves, the others are letters from U+0100 on.
fn byte_of(letter: char) -> Option<u8> {
    const PRINTABLE: usize = 188;
    match u32::from(letter) {
        code @ 0..=0xFF => Some(code as u8).filter(|&byte| is_printable(byte)),
        code => BYTE_ORDER[PRINTABLE..].get(code as usize - 0x100).copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(texts: &[&str]) -> Entries {
        let mut entries = Entries::default();
        for (text, id) in texts.iter().zip(0..) {
            entries.push(text, id).unwrap();
        }
        entries
    }

    fn assembled(
        texts: &[&str],
        merges: &[(&str, &str)],
        ignore_merges: bool,
    ) -> Option<Assembled> {
        let mut listed = Merges::default();
        for (left, right) in merges {
            listed.push(left, right);
        }
        entries(texts).assemble::<&str>(&listed, &[], ignore_merges)
    }

    fn tokens(assembled: &Assembled) -> Vec<&[u8]> {
        assembled.vocab.tokens().collect()
    }

    #[test]
    fn the_letters_of_all_bytes_stand_for_them() {
        let letter = |(rank, byte): (u32, u8)| match rank {
            0..188 => char::from(byte),
            _ => char::from_u32(68 + rank).unwrap(),
        };
        let letters = (0..).zip(BYTE_ORDER).map(letter);

        assert!(letters.map(|letter| byte_of(letter).unwrap()).eq(BYTE_ORDER));
        assert!([' ', '\u{ad}', '\u{144}', '終'].map(byte_of).iter().all(Option::is_none));
    }

    #[test]
    fn tokens_are_in_the_order_of_their_ids_if_merges_are() {
        let found = assembled(&["a", "b", "ab", "Ġ", "Ġa"], &[("a", "b"), ("Ġ", "a")], false);

        assert_eq!(tokens(&found.unwrap()), [&b"a"[..], b"b", b"ab", b" ", b" a"]);
    }

    #[test]
    fn tokens_are_in_the_order_of_merging_if_ids_are_not() {
        let found = assembled(&["ba", "ab", "a", "b"], &[("a", "b"), ("b", "a")], false).unwrap();

        assert_eq!(tokens(&found), [&b"a"[..], b"b", b"ab", b"ba"]);
        assert_eq!(found.ids, [2, 3, 1, 0]);
    }

    #[test]
    fn merges_in_another_order_than_their_tokens_are_not_assembled() {
        let merges = [("a", "b"), ("ab", "c"), ("b", "c"), ("a", "bc")];

        assert!(assembled(&["a", "b", "c", "ab", "abc", "bc"], &merges[..3], false).is_some());
        assert!(assembled(&["a", "b", "c", "ab", "bc", "abc"], &merges[3..], true).is_none());
    }

    #[test]
    fn a_repeated_merge_is_not_assembled() {
        assert!(assembled(&["a", "b", "ab"], &[("a", "b"), ("a", "b")], false).is_none());
    }

    #[test]
    fn what_no_text_is_encoded_to_only_decodes() {
        let found = assembled(&["", "a", "b", "ab", "終", "Ġa"], &[("a", "b")], false).unwrap();

        let expected = [(0, vec![]), (4, "終".into()), (5, b" a".to_vec())];
        assert_eq!(found.decode_only, expected);
    }

    #[test]
    fn with_ignore_merges_a_token_needs_no_merge() {
        let found = assembled(&["a", "b", "c", "abc"], &[], true).unwrap();

        assert_eq!(tokens(&found), [&b"a"[..], b"b", b"c", b"abc"]);
    }
}
