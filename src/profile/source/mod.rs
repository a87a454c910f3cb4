//! Rows of data files, whatever their format, one after the other in the order of the files.

mod csv;
mod json;
mod parquet;

use super::ProfileError;
use super::cell::Cell;
use flate2::read::MultiGzDecoder;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Rows that a file's reader holds at a time.
pub(super) const BATCH_ROWS: usize = 1024;
/// Columns of all files together, nested ones counted apart; more are refused.
pub(super) const COLUMNS_MAX: usize = 2_000;
/// Objects within objects deeper than this are not described.
const DEPTH_MAX: usize = 8;

/// The columns' names in the order in which they were first seen. A nested field `b` of `a` is
/// `a/b`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    names: Vec<String>,
    positions: HashMap<String, usize>,
}

impl Names {
    pub(crate) fn get(&self, position: usize) -> &str {
        &self.names[position]
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.positions.get(name).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    fn position_or_add(&mut self, name: &str) -> Result<usize, String> {
        if let Some(position) = self.position(name) {
            return Ok(position);
        }
        if self.names.len() == COLUMNS_MAX {
            return Err(format!("more than {COLUMNS_MAX} columns; drop some, or list fewer files"));
        }
        self.names.push(name.to_owned());
        self.positions.insert(name.to_owned(), self.names.len() - 1);
        Ok(self.names.len() - 1)
    }
}

/// Gets every row: the names known so far, and one cell for each of them.
pub(crate) type Visit<'v> = dyn FnMut(&Names, &[Cell<'_>]) -> Result<(), ProfileError> + 'v;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Format {
    Csv { delimiter: u8 },
    JsonLines,
    Parquet,
}

/// One data file.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    path: PathBuf,
    format: Format,
    gzip: bool,
}

impl Source {
    /// The format goes by the file's name.
    pub(crate) fn new(path: &Path) -> Result<Self, ProfileError> {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase());
        let name = name.unwrap_or_default();
        let (stem, gzip) = match name.strip_suffix(".gz") {
            Some(stem) => (stem, true),
            None => (name.as_str(), false),
        };
        let format = match stem.rsplit_once('.').map(|(_, extension)| extension) {
            Some("csv") => Format::Csv { delimiter: b',' },
            Some("tsv") => Format::Csv { delimiter: b'\t' },
            Some("jsonl" | "ndjson" | "json") => Format::JsonLines,
            Some("parquet" | "pq") if !gzip => Format::Parquet,
            _ => return Err(ProfileError::UnknownFormat { file: path.into() }),
        };
        Ok(Self { path: path.into(), format, gzip })
    }

    /// The file's name without its directory.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Reads the file from its start and visits its rows in order.
    pub(crate) fn read(&self, names: &mut Names, visit: &mut Visit) -> Result<(), ProfileError> {
        match self.format {
            Format::Csv { delimiter } => csv::read(self, delimiter, names, visit),
            Format::JsonLines => json::read(self, names, visit),
            Format::Parquet => parquet::read(self, names, visit),
        }
    }

    fn file(&self) -> Result<File, ProfileError> {
        File::open(&self.path).map_err(|error| self.io(error))
    }

    /// The text of the file, unpacked and without a byte order mark.
    fn text(&self) -> Result<Box<dyn BufRead>, ProfileError> {
        let file = self.file()?;
        let plain: Box<dyn Read> =
            if self.gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        let mut reader = BufReader::with_capacity(1 << 16, plain);
        let start = reader.fill_buf().map_err(|error| self.io(error))?;
        if start.starts_with(b"\xef\xbb\xbf") {
            reader.consume(3);
        }
        Ok(Box::new(reader))
    }

    fn io(&self, error: std::io::Error) -> ProfileError {
        ProfileError::Io { file: self.path.clone(), error }
    }

    fn malformed(&self, what: impl ToString) -> ProfileError {
        ProfileError::Malformed { file: self.path.clone(), what: what.to_string() }
    }
}
