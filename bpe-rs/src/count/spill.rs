//! Shards on disk, where memory is too small for them.
//!
//! A shard that is written begins anew in memory; what was written of it is read back, and added
//! up, when it is asked for. The shards are chosen by hash, so that none needs another for that.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use super::shard::{Shard, SHARDS};
use crate::Error;

/// Temporary files, one a shard. They have no name, so that nothing is left of them whatever ends
/// the process.
#[derive(Debug)]
pub(super) struct Spill {
    limit: usize,
    files: Vec<Option<File>>,
}

/// How many pieces are read between two looks at the watcher.
const BETWEEN_LOOKS: u64 = 1 << 12;

impl Spill {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, files: (0..SHARDS).map(|_| None).collect() }
    }

    /// How many bytes the shards may take in memory.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    #[cfg(test)]
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Whether anything is on disk.
    pub(super) fn is_used(&self) -> bool {
        self.files.iter().any(Option::is_some)
    }

    /// Moves what is in *shard* to its file.
    pub(super) fn write(&mut self, number: usize, shard: &mut Shard) -> Result<(), Error> {
        let mut write = || {
            let file = match &mut self.files[number] {
                Some(file) => file,
                none => none.insert(tempfile::tempfile()?),
            };
            let before = file.seek(SeekFrom::End(0))?;
            // What is not written whole stays in memory, so none of it may be in the file.
            append(file, shard).inspect_err(|_| _ = file.set_len(before))
        };
        write().map_err(|error| failed(&error))?;
        *shard = Shard::new();
        Ok(())
    }

    /// Adds to *shard* what its file has.
    pub(super) fn read(
        &mut self,
        number: usize,
        shard: &mut Shard,
        watch: &impl Fn(usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(file) = &mut self.files[number] else { return Ok(()) };
        let length = file.seek(SeekFrom::End(0)).map_err(|error| failed(&error))?;
        file.rewind().map_err(|error| failed(&error))?;
        let mut from = BufReader::with_capacity(1 << 16, file);
        let (mut piece, mut at, mut pieces) = (Vec::new(), 0, 0_u64);
        while at < length {
            let mut number = || {
                let mut eight = [0; 8];
                from.read_exact(&mut eight).map(|()| u64::from_le_bytes(eight))
            };
            let (size, count) = (
                number().map_err(|error| failed(&error))?,
                number().map_err(|error| failed(&error))?,
            );
            piece.resize(size as usize, 0);
            from.read_exact(&mut piece).map_err(|error| failed(&error))?;
            shard.check(&piece, count)?;
            shard.add(&piece, count);
            at += 16 + size;
            pieces += 1;
            if pieces.is_multiple_of(BETWEEN_LOOKS) {
                watch(0)?;
            }
        }
        Ok(())
    }

    /// The shard that is in the file of that number, which is then forgotten.
    pub(super) fn restore(
        &mut self,
        number: usize,
        watch: &impl Fn(usize) -> Result<(), Error>,
    ) -> Result<Shard, Error> {
        let mut shard = Shard::new();
        self.read(number, &mut shard, watch)?;
        self.files[number] = None;
        Ok(shard)
    }
}

fn append(file: &File, shard: &Shard) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, file);
    for (piece, count) in shard.iter() {
        out.write_all(&(piece.len() as u64).to_le_bytes())?;
        out.write_all(&count.to_le_bytes())?;
        out.write_all(piece)?;
    }
    out.flush()
}

fn failed(error: &io::Error) -> Error {
    let folder = std::env::temp_dir();
    Error::Spill { folder, reason: error.to_string() }
}
