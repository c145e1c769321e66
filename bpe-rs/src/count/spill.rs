//! Shards on disk, for counts that exceed their memory.
//!
//! A shard that is written is emptied in memory; when it is needed, all that was written is read
//! back and added up. A piece always has the same shard, so each shard is read by itself.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use super::shard::{Shard, SHARDS};
use crate::{memory, Error};

/// One temporary file per shard. The files have no name, so nothing remains of them however the
/// process ends.
#[derive(Debug)]
pub(super) struct Spill {
    limit: usize,
    files: Vec<Option<File>>,
}

/// Number of pieces that are read between two calls of *progress*.
const PROGRESS_INTERVAL: u64 = 1 << 12;

impl Spill {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, files: (0..SHARDS).map(|_| None).collect() }
    }

    /// The memory limit of all shards in bytes.
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

    /// Appends *shard* to the file with *number*, and empties it.
    pub(super) fn write(&mut self, number: usize, shard: &mut Shard) -> Result<(), Error> {
        let mut write = || {
            let file = match &mut self.files[number] {
                Some(file) => file,
                none => none.insert(tempfile::tempfile()?),
            };
            let before = file.seek(SeekFrom::End(0))?;
            // After an error *shard* keeps its pieces, so none of them may remain in the file.
            append(file, shard).inspect_err(|_| _ = file.set_len(before))
        };
        write().map_err(|error| failed(&error))?;
        *shard = Shard::new();
        Ok(())
    }

    /// Adds the contents of the file with *number* to *shard*.
    pub(super) fn read(
        &mut self,
        number: usize,
        shard: &mut Shard,
        progress: &impl Fn(usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(file) = &mut self.files[number] else { return Ok(()) };
        let length = file.seek(SeekFrom::End(0)).map_err(|error| failed(&error))?;
        file.rewind().map_err(|error| failed(&error))?;
        let mut from = BufReader::with_capacity(1 << 16, file);
        let (mut piece, mut offset, mut pieces) = (Vec::new(), 0, 0_u64);
        while offset < length {
            let mut number = || {
                let mut eight = [0; 8];
                from.read_exact(&mut eight).map(|()| u64::from_le_bytes(eight))
            };
            let (size, count) = (
                number().map_err(|error| failed(&error))?,
                number().map_err(|error| failed(&error))?,
            );
            if piece.capacity() < size as usize {
                piece = memory::with_capacity(size as usize)?;
            }
            piece.resize(size as usize, 0);
            from.read_exact(&mut piece).map_err(|error| failed(&error))?;
            shard.check(&piece, count)?;
            shard.add(&piece, count)?;
            offset += 16 + size;
            pieces += 1;
            if pieces.is_multiple_of(PROGRESS_INTERVAL) {
                progress(0)?;
            }
        }
        Ok(())
    }

    /// Removes the file with *number*, and returns the shard in it.
    pub(super) fn restore(
        &mut self,
        number: usize,
        progress: &impl Fn(usize) -> Result<(), Error>,
    ) -> Result<Shard, Error> {
        let mut shard = Shard::new();
        self.read(number, &mut shard, progress)?;
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
