//! Where checkpoints are kept: an object store, and lineages of checkpoints in it.
//!
//! A lineage is a directory of objects named by a growing number: `shards/{group}/{partition}` or
//! `models/{model}`. Putting an object that must not exist yet is what publishes a checkpoint and
//! what fences an older writer; nothing is ever overwritten. See [`Lineage`] for the rules and
//! `checkpoint_format.rs` for the bytes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::local::LocalFileSystem;
use object_store::path::{Path, PathPart};
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreScheme};
use xxhash_rust::xxh3::xxh3_128;

pub use super::checkpoint_follow::{Followed, Follower};
pub use super::checkpoint_format::{
    Checkpoint, Damage, Header, Kind, Outline, Previous, SectionId,
};
pub use super::checkpoint_lineage::{ChainSize, Fields, Lineage};
pub use super::checkpoint_look::{File, Listing, look, outline};
pub use super::checkpoint_restore::{Restored, Warning};

/// A name's part of a path is cut at this length, and told apart by its hash.
const NAME_BYTES_MAX: usize = 160;

/// How checkpoints are kept.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Full checkpoints that stay, with what builds on them. At least 2: who reads a lineage while
    /// it is collected, or falls back from a damaged checkpoint, needs the one before.
    pub keep_fulls: usize,
    /// One request to the store takes at most this long, retries by the store's client included,
    /// and what its bytes need at `bytes_per_second_min`.
    pub request_timeout: Duration,
    pub bytes_per_second_min: u64,
    /// What a newer full checkpoint made needless stays so long, for those who are reading it.
    pub delete_grace: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            keep_fulls: 3,
            request_timeout: Duration::from_secs(15),
            bytes_per_second_min: 1 << 20,
            delete_grace: Duration::from_secs(60),
        }
    }
}

/// The store cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("state.url: `{url}` is not a URL: {reason}")]
    InvalidUrl { url: String, reason: String },
    #[error(
        "state.url: `{url}`: this program was built without support for it; use \
         file:///a/directory or a build with the `cloud` feature"
    )]
    Unsupported { url: String },
    #[error("state.url: {}: {reason}", path.display())]
    Directory { path: PathBuf, reason: String },
    #[error("state.url: {0}")]
    Object(#[from] object_store::Error),
}

/// Opening or reading a lineage failed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "{file} was written by a newer tidemark (format {version}); run that one, or give this one \
         another state.url"
    )]
    TooNew { file: String, version: u32 },
    #[error("another writer of {path} is at work: gave up after {attempts} attempts to follow it")]
    Contended { path: String, attempts: usize },
    /// For now.
    #[error("the state store fails: {0}")]
    Unavailable(String),
    /// Until somebody changes rights, credentials or the URL.
    #[error("the state store refuses: {0}")]
    Refused(String),
}

impl OpenError {
    /// Whether the same may succeed a little later.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Contended { .. })
    }
}

/// A checkpoint was not published, or it is not known whether it was.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// For good: the caller must stop acting on this lineage and open it again.
    #[error("another writer has taken over {path}: found {found}")]
    Fenced { path: String, found: String },
    /// Try again, with the same or newer contents.
    #[error("the state store fails: {0}")]
    Unavailable(String),
    /// As above, but somebody has to change rights, credentials or the store first.
    #[error("the state store refuses: {0}")]
    Refused(String),
    #[error("the checkpoint has more than 4 GiB or too many sections")]
    TooLarge,
    /// A delta has nothing to continue, or there are too many of them.
    #[error("a full checkpoint is due")]
    FullDue,
}

/// Names a lineage; any text is a safe name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineagePath(pub(super) Path);

impl LineagePath {
    pub fn shard(group: &str, partition: i32) -> Self {
        Self(Path::from_iter([
            PathPart::from("shards"),
            PathPart::from(safe(group).as_str()),
            PathPart::from(partition.to_string().as_str()),
        ]))
    }

    pub fn model(model: &str) -> Self {
        Self(Path::from_iter([PathPart::from("models"), PathPart::from(safe(model).as_str())]))
    }

    /// The lineage that an object would belong to, going by its place.
    pub(super) fn around(object: &Path) -> Option<Self> {
        let parts: Vec<_> = object.parts().collect();
        let (_, directory) = parts.split_last()?;
        let ours = match directory {
            [kind, _, _] => kind.as_ref() == "shards",
            [kind, _] => kind.as_ref() == "models",
            _ => false,
        };
        ours.then(|| Self(Path::from_iter(directory.iter().cloned())))
    }

    /// Of a model, rather than of a shard.
    pub fn is_model(&self) -> bool {
        self.0.parts().next().is_some_and(|part| part.as_ref() == "models")
    }

    /// `None` for a name that no checkpoint of ours has.
    pub(super) fn seq_of(&self, object: &Path) -> Option<u64> {
        let mut rest = object.prefix_match(&self.0)?;
        let name = rest.next()?;
        let name = name.as_ref();
        let ours = rest.next().is_none()
            && name.len() == 20
            && name.bytes().all(|byte| byte.is_ascii_digit());
        name.parse().ok().filter(|&seq| ours && (1..=SEQ_MAX).contains(&seq))
    }

    pub(super) fn object(&self, seq: u64) -> Path {
        self.0.clone().join(format!("{seq:020}"))
    }
}

/// A name beyond is not ours: one could not be above it.
pub(super) const SEQ_MAX: u64 = u64::MAX / 2;

impl std::fmt::Display for LineagePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// One segment of a path: percent-encoded where a file system or a bucket might mind, cut where it
/// would be too long. Different names stay different.
fn safe(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'+' | b',' => {
                text.push(char::from(byte));
            }
            other => text.push_str(&format!("={other:02X}")),
        }
    }
    if text.len() > NAME_BYTES_MAX || text.is_empty() {
        text.truncate(NAME_BYTES_MAX);
        // `==` comes from no encoding, so a cut name is not another one's whole.
        text.push_str(&format!("=={:032x}", xxh3_128(name.as_bytes())));
    }
    text
}

/// A place for checkpoints. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) objects: Arc<dyn ObjectStore>,
    /// The directory, if it is one of this machine's.
    pub(super) directory: Option<PathBuf>,
    pub(super) options: StoreOptions,
}

impl Store {
    /// Opens `file:///directory`, which is made if it is not there, `memory:///`, and with the
    /// `cloud` feature `s3://bucket/prefix`, `gs://...` and `az://...`. Their credentials and
    /// settings come from the environment, as their own tools take them: variables that begin with
    /// `AWS_`, `GOOGLE_` or `AZURE_`.
    pub fn open(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        Self::open_with(url, options, std::env::vars())
    }

    /// The same with an environment of the caller's.
    pub fn open_with(
        url: &str,
        options: StoreOptions,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, StoreError> {
        let invalid = |reason: String| StoreError::InvalidUrl { url: url.to_owned(), reason };
        let parsed = url::Url::parse(url).map_err(|error| invalid(error.to_string()))?;
        match ObjectStoreScheme::parse(&parsed) {
            Ok((ObjectStoreScheme::Local, _)) => {
                let path = parsed.to_file_path().map_err(|()| invalid("not a path".into()))?;
                Self::open_directory(path, options)
            }
            Ok(_) => {
                let environment = environment.filter(|(name, _)| is_cloud_variable(name));
                // Ours is the limit for a whole request: see `StoreOptions::request_timeout`.
                let defaults = [("timeout".to_owned(), CLIENT_TIMEOUT.to_owned())];
                let settings = defaults.into_iter().chain(environment);
                match object_store::parse_url_opts(&parsed, settings) {
                    Ok((objects, prefix)) => {
                        let objects = Arc::new(PrefixStore::new(objects, prefix));
                        Ok(Self::from_objects(objects, options))
                    }
                    Err(object_store::Error::Generic { store: "parse_url", .. }) => {
                        Err(StoreError::Unsupported { url: url.to_owned() })
                    }
                    Err(error) => Err(error.into()),
                }
            }
            Err(error) => Err(invalid(error.to_string())),
        }
    }

    /// The same, but a directory must be there: for those who only look.
    pub fn open_existing(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        let path = url::Url::parse(url).ok().and_then(|url| url.to_file_path().ok());
        match path {
            Some(path) if !path.is_dir() => {
                let reason = "there is no such directory".to_owned();
                Err(StoreError::Directory { path, reason })
            }
            _ => Self::open(url, options),
        }
    }

    /// A store over any object store: for tests that inject faults.
    pub fn from_objects(objects: Arc<dyn ObjectStore>, options: StoreOptions) -> Self {
        Self { objects, directory: None, options }
    }

    fn open_directory(path: PathBuf, options: StoreOptions) -> Result<Self, StoreError> {
        let failed = |error: std::io::Error| StoreError::Directory {
            path: path.clone(),
            reason: error.to_string(),
        };
        create_durably(&path).map_err(failed)?;
        let objects = LocalFileSystem::new_with_prefix(&path)?.with_fsync(true);
        Ok(Self { objects: Arc::new(objects), directory: Some(path), options })
    }
}

/// Longer than the largest checkpoint takes at the least speed: the client's own limit counts
/// bodies in, and would cut large uploads off.
const CLIENT_TIMEOUT: &str = "2h";

/// Only what the builders know by these prefixes; the rest of the environment is none of theirs.
fn is_cloud_variable(name: &str) -> bool {
    ["AWS_", "GOOGLE_", "AZURE_"].iter().any(|prefix| name.starts_with(prefix))
}

/// `create_dir_all`, and what was made survives a power cut.
fn create_durably(path: &std::path::Path) -> std::io::Result<()> {
    let new: Vec<PathBuf> = path
        .ancestors()
        .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists())
        .map(PathBuf::from)
        .collect();
    std::fs::create_dir_all(path)?;
    for directory in new.iter().rev() {
        if let Some(parent) = directory.parent() {
            std::fs::File::open(parent)?.sync_all()?;
        }
    }
    Ok(())
}
