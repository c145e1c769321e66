//! The pieces that one thread counts, before they are counted for all.
//!
//! Text repeats itself: nine pieces in ten are among a few thousand, and are counted here, in the
//! near cache. A piece that gives way to another is sent to its shard with what it has.

use hashbrown::hash_table::Entry;
use hashbrown::HashTable;

use super::shard::{self, SHARDS};
use super::Shared;
use crate::scan::Ends;
use crate::{key, Error};

/// Counts that are not the shards' yet.
pub(super) struct Near {
    lines: Vec<Line>,
    sent: Vec<Sent>,
    keys: Box<[u128; Ends::MOST]>,
    /// How many pieces have been counted since all were sent: no count is larger.
    counted: u32,
    long: HashTable<(u32, u16, u32)>,
    bytes: Vec<u8>,
}

/// Stands for the key of a piece that has none, and is no key.
const LONG: u128 = u128::MAX;

/// Three pieces that have a key, in a cache line; a count of 0 where there is none.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Line {
    keys: [u128; 3],
    counts: [u32; 3],
}

/// Pieces on their way to a shard: a lock and the waiting for memory are worth a batch.
struct Sent {
    keys: [u128; Self::MOST],
    counts: [u32; Self::MOST],
    count: usize,
}

impl Sent {
    const MOST: usize = 64;
}

impl Near {
    /// 2¹³ lines of 64 bytes, half of a common second-level cache.
    const BITS: u32 = 13;
    const MOST_COUNTED: u32 = 1 << 31;
    /// Of the pieces that have no key, so many are kept here,
    const MOST_LONG: usize = 1 << 12;
    /// if none is longer than this: longer ones hardly come again.
    const LONGEST: usize = 1 << 10;

    pub(super) fn new() -> Self {
        let sent = || Sent { keys: [0; Sent::MOST], counts: [0; Sent::MOST], count: 0 };
        Self {
            lines: vec![Line::default(); 1 << Self::BITS],
            sent: (0..SHARDS).map(|_| sent()).collect(),
            keys: Box::new([0; Ends::MOST]),
            counted: 0,
            long: HashTable::new(),
            bytes: Vec::new(),
        }
    }

    /// Counts the pieces of *text* from *start* on that end at *ends*.
    pub(super) fn count(
        &mut self,
        text: &[u8],
        start: usize,
        ends: &[usize],
        shared: &Shared<'_>,
    ) -> Result<(), Error> {
        let mut from = start;
        for (key, &end) in self.keys.iter_mut().zip(ends) {
            let length = end - from;
            *key = if length <= key::MOST { key::key(text, from, length) } else { LONG };
            from = end;
        }
        from = start;
        for (place, &end) in ends.iter().enumerate() {
            let key = self.keys[place];
            let line = &mut self.lines[key::place(key, Self::BITS)];
            // Which of the three it is would be guessed wrong: no branch.
            let [first, second, third] = line.keys.map(|other| other == key);
            line.counts[usize::from(second) + 2 * usize::from(third)] +=
                u32::from(first | second | third);
            if !(first | second | third) {
                if key == LONG {
                    self.count_long(&text[from..end], shared)?;
                } else {
                    self.replace(key, shared)?;
                }
            }
            from = end;
        }
        self.counted += ends.len() as u32;
        if self.counted > Self::MOST_COUNTED {
            self.empty(shared)?;
        }
        Ok(())
    }

    /// Puts the piece with *key* in the place of the one in its line that was counted least.
    #[inline(never)]
    fn replace(&mut self, key: u128, shared: &Shared<'_>) -> Result<(), Error> {
        let line = &mut self.lines[key::place(key, Self::BITS)];
        let [first, second, third] = line.counts;
        let way =
            if first <= second && first <= third { 0 } else { 1 + usize::from(third < second) };
        let (old, count) = (line.keys[way], line.counts[way]);
        (line.keys[way], line.counts[way]) = (key, 1);
        if count > 0 {
            self.send(old, count, shared)?;
        }
        Ok(())
    }

    fn send(&mut self, key: u128, count: u32, shared: &Shared<'_>) -> Result<(), Error> {
        let number = shard::of_short(key);
        let sent = &mut self.sent[number];
        (sent.keys[sent.count], sent.counts[sent.count]) = (key, count);
        sent.count += 1;
        if sent.count == Sent::MOST {
            self.deliver(number, shared)?;
        }
        Ok(())
    }

    fn deliver(&mut self, number: usize, shared: &Shared<'_>) -> Result<(), Error> {
        let sent = &mut self.sent[number];
        let count = std::mem::take(&mut sent.count);
        shared.with(number, |shard| shard.add_all(&sent.keys[..count], &sent.counts[..count]))
    }

    #[inline(never)]
    fn count_long(&mut self, piece: &[u8], shared: &Shared<'_>) -> Result<(), Error> {
        let hash = shard::hash(piece);
        if piece.len() > Self::LONGEST {
            return shared.with(shard::of_long(hash), |shard| _ = shard.add_long(hash, piece, 1));
        }
        let bytes = &mut self.bytes;
        let known = |start: u32, length: u16| start as usize..start as usize + length as usize;
        let same = |&(start, length, _): &(u32, u16, u32)| bytes[known(start, length)] == *piece;
        let hash_of =
            |&(start, length, _): &(u32, u16, u32)| shard::hash(&bytes[known(start, length)]);
        match self.long.entry(hash, same, hash_of) {
            Entry::Occupied(mut entry) => entry.get_mut().2 += 1,
            Entry::Vacant(entry) => {
                entry.insert((bytes.len() as u32, piece.len() as u16, 1));
                bytes.extend_from_slice(piece);
                if self.long.len() == Self::MOST_LONG {
                    self.send_long(shared)?;
                }
            }
        }
        Ok(())
    }

    fn send_long(&mut self, shared: &Shared<'_>) -> Result<(), Error> {
        for (start, length, count) in self.long.drain() {
            let piece = &self.bytes[start as usize..start as usize + length as usize];
            let hash = shard::hash(piece);
            let add = |shard: &mut shard::Shard| _ = shard.add_long(hash, piece, count.into());
            shared.with(shard::of_long(hash), add)?;
        }
        self.bytes.clear();
        Ok(())
    }

    /// Sends all that was counted.
    pub(super) fn empty(&mut self, shared: &Shared<'_>) -> Result<(), Error> {
        for place in 0..self.lines.len() {
            let Line { keys, counts } = std::mem::take(&mut self.lines[place]);
            for (key, count) in keys.into_iter().zip(counts).filter(|&(_, count)| count > 0) {
                self.send(key, count, shared)?;
            }
        }
        for number in 0..SHARDS {
            self.deliver(number, shared)?;
        }
        self.counted = 0;
        self.send_long(shared)
    }
}
