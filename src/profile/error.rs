//! What can be wrong with data files and with profiles. The person who called has to act.

use std::path::PathBuf;
use thiserror::Error;

/// Texts from files are shown without control characters.
#[derive(Debug, Error)]
pub enum ProfileError {
    #[error("{file}: {error}", file = file.display())]
    Io { file: PathBuf, error: std::io::Error },
    #[error(
        "{file}: the name says no format; expected .csv, .tsv, .jsonl, .ndjson (each also .gz) or \
         .parquet",
        file = file.display()
    )]
    UnknownFormat { file: PathBuf },
    #[error("{file}: {what}", file = file.display())]
    Malformed { file: PathBuf, what: String },
    #[error("{option}: {what}")]
    Option { option: &'static str, what: String },
    #[error("{option}: the data has no column `{column}`; it has {columns}")]
    UnknownColumn { option: &'static str, column: String, columns: String },
    #[error("no rows: {0}")]
    NoRows(String),
    #[error("the data changed while it was read; run again when nothing writes to it")]
    Changed,
    #[error("{file}: not a profile: {what}", file = file.display())]
    NotAProfile { file: PathBuf, what: String },
    #[error(
        "{file}: profile version {version} is newer than {known}, the newest that this program \
         reads; use a newer tidemark, or make the profile again with this one",
        file = file.display(), known = crate::engine::reference::PROFILE_VERSION
    )]
    Newer { file: PathBuf, version: u64 },
    #[error(
        "{file}: content_hash is {found}, but the content has {expected}: the file was edited or \
         damaged; make it again with `tidemark profile`",
        file = file.display()
    )]
    Hash { file: PathBuf, expected: String, found: String },
    #[error("{file}: {what}; make it again with `tidemark profile`", file = file.display())]
    Inconsistent { file: PathBuf, what: String },
    #[error(
        "the profile was made for model `{made_for}`, not for `{model}`; make one with \
         `--model {model}`"
    )]
    OtherModel { made_for: String, model: String },
}
