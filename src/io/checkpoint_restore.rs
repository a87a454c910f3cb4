//! Reading a lineage: the newest whole chain of checkpoints in it.
//!
//! From the newest object down, the first full checkpoint, or delta whose predecessors reach back
//! to a full one, is what is restored. What is damaged on the way is reported by name and stepped
//! over; it is never a reason not to start. Only a whole checkpoint of a newer format is.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::{ObjectStoreExt, path::Path};

use super::checkpoint::{LineagePath, OpenError, Store};
use super::checkpoint_format::{Checkpoint, Damage, Kind, OBJECT_BYTES_MAX, decode};
use crate::engine::text::clip;

/// How often reading starts again because somebody deletes what was just listed.
const ATTEMPTS: usize = 5;

/// A file that should have been part of what was restored, and why it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    pub file: String,
    pub seq: u64,
    pub damage: Damage,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; falling back to the checkpoint before it", self.file, self.damage)
    }
}

/// What a lineage holds.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// A full checkpoint and the deltas on it, in the order to apply them. Empty: nothing is there,
    /// or (then there are warnings) nothing of it is whole.
    pub chain: Vec<Checkpoint>,
    /// Newest first. Files older than what was restored are not looked at.
    pub warnings: Vec<Warning>,
}

impl Restored {
    /// Epoch and seq of the newest checkpoint: what makes one partial newer than another.
    pub fn newest(&self) -> Option<(u64, u64)> {
        self.chain.last().map(|tip| (tip.header.epoch, tip.header.seq))
    }
}

/// Everything one reading tells.
#[derive(Default)]
pub(super) struct Scan {
    pub restored: Restored,
    /// The greatest name that is there.
    pub newest: Option<u64>,
    /// Claims above what was restored: of no use once there is a newer one.
    pub claims: Vec<u64>,
}

/// Reads the newest whole chain without claiming the lineage.
pub(super) async fn scan(store: &Store, path: &LineagePath) -> Result<Scan, OpenError> {
    for _ in 1..ATTEMPTS {
        match scan_once(store, path, Vanished::StartsAgain).await? {
            Some(scan) => return Ok(scan),
            None => tracing::debug!(lineage = %path, "collected while it was read, reading again"),
        }
    }
    let last = scan_once(store, path, Vanished::IsDamage).await?;
    last.ok_or_else(|| OpenError::Contended { path: path.to_string(), attempts: ATTEMPTS })
}

/// What an object that was listed and cannot be found means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Vanished {
    StartsAgain,
    IsDamage,
}

async fn scan_once(
    store: &Store,
    path: &LineagePath,
    vanished: Vanished,
) -> Result<Option<Scan>, OpenError> {
    let mut names = list_names(store, path).await?;
    names.sort_unstable_by(|one, other| other.cmp(one));
    let mut scan = Scan { newest: names.first().copied(), ..Scan::default() };
    // What cannot be used, and the damage that is to blame.
    let mut unusable: BTreeMap<u64, Damage> = BTreeMap::new();
    for &seq in &names {
        if let Some(damage) = unusable.get(&seq) {
            scan.warn(path, seq, damage.clone());
            continue;
        }
        let tip = match load(store, path, seq).await? {
            Ok(checkpoint) if checkpoint.header.kind == Kind::Claim => {
                scan.claims.push(seq);
                continue;
            }
            Ok(checkpoint) => checkpoint,
            Err(Damage::Vanished) if vanished == Vanished::StartsAgain => return Ok(None),
            Err(damage) => {
                scan.warn(path, seq, damage);
                continue;
            }
        };
        match walk_back(store, path, &names, tip).await? {
            Ok(chain) => {
                scan.restored.chain = chain;
                return Ok(Some(scan));
            }
            Err((_, Damage::Vanished)) if vanished == Vanished::StartsAgain => return Ok(None),
            Err((visited, damage)) => {
                scan.warn(path, seq, damage.clone());
                unusable.extend(visited.into_iter().map(|seq| (seq, damage.clone())));
            }
        }
    }
    Ok(Some(scan))
}

impl Scan {
    fn warn(&mut self, path: &LineagePath, seq: u64, damage: Damage) {
        let file = path.object(seq).to_string();
        self.restored.warnings.push(Warning { file, seq, damage });
    }
}

type Chain = Vec<Checkpoint>;

/// Follows a checkpoint's predecessors to a full one; `names` lists all there are, newest first. If
/// that fails: what was passed on the way, all of which the same damage makes useless.
async fn walk_back(
    store: &Store,
    path: &LineagePath,
    names: &[u64],
    tip: Checkpoint,
) -> Result<Result<Chain, (Vec<u64>, Damage)>, OpenError> {
    let mut chain = vec![tip];
    loop {
        let newest = &chain[chain.len() - 1].header;
        let Some(previous) = newest.previous else { break };
        let broken = Damage::BrokenChain(previous.seq);
        let base = newest.base;
        let visited = || chain.iter().map(|one| one.header.seq).collect();
        if names.binary_search_by(|name| previous.seq.cmp(name)).is_err() {
            return Ok(Err((visited(), broken)));
        }
        match load(store, path, previous.seq).await? {
            // A namesake, or of another chain.
            Ok(found) if found.checksum != previous.checksum || found.header.base != base => {
                return Ok(Err((visited(), broken)));
            }
            Ok(found) => chain.push(found),
            Err(Damage::Vanished) => return Ok(Err((visited(), Damage::Vanished))),
            Err(_) => return Ok(Err((visited(), broken))),
        }
    }
    chain.reverse();
    Ok(Ok(chain))
}

/// Reads one object. The outer error is the store's; the inner one the object's.
pub(super) async fn load(
    store: &Store,
    path: &LineagePath,
    seq: u64,
) -> Result<Result<Checkpoint, Damage>, OpenError> {
    let location = path.object(seq);
    let object = match read(store, &location).await {
        Ok(Some(object)) => object,
        Ok(None) => return Ok(Err(Damage::TooLarge)),
        Err(Failure::Missing) => return Ok(Err(Damage::Vanished)),
        Err(failure) => return Err(failure.into()),
    };
    match decode(&object) {
        Ok(found) if found.header.seq != seq => {
            Ok(Err(Damage::WrongName { found: found.header.seq }))
        }
        Err(Damage::TooNew { version }) => {
            Err(OpenError::TooNew { file: location.to_string(), version })
        }
        other => Ok(other),
    }
}

async fn read(store: &Store, location: &Path) -> Result<Option<Bytes>, Failure> {
    let found = bounded(store, store.objects.get(location)).await?;
    let size = found.meta.size;
    if size > OBJECT_BYTES_MAX {
        return Ok(None);
    }
    bounded_by_size(store, size, found.bytes()).await.map(Some)
}

/// The names that are checkpoints', in no order.
pub(super) async fn list_names(store: &Store, path: &LineagePath) -> Result<Vec<u64>, OpenError> {
    let files = list_files(store, path).await?;
    Ok(files.into_iter().map(|(seq, _)| seq).collect())
}

/// The same, each with its bytes.
pub(super) async fn list_files(
    store: &Store,
    path: &LineagePath,
) -> Result<Vec<(u64, u64)>, OpenError> {
    let files = store
        .objects
        .list(Some(&path.0))
        .try_filter_map(async |object| {
            Ok(path.seq_of(&object.location).map(|seq| (seq, object.size)))
        })
        .try_collect();
    match bounded(store, files).await {
        Ok(files) => Ok(files),
        Err(Failure::Missing) => Ok(Vec::new()),
        Err(failure) => Err(failure.into()),
    }
}

/// Why a request to the store brought nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("there is no such bucket, container or directory")]
    Missing,
    #[error("it exists already")]
    Exists,
    #[error("no answer within {0:?}")]
    Timeout(std::time::Duration),
    /// It will not be otherwise until somebody changes something.
    #[error("{}", said(.0))]
    Refused(object_store::Error),
    #[error("{}", said(.0))]
    Other(object_store::Error),
}

impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(_) | Failure::Missing => Self::Refused(failure.to_string()),
            _ => Self::Unavailable(failure.to_string()),
        }
    }
}

/// An error's text with its causes, each once, in a line.
fn said(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    for cause in causes(error).skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    clip(&text.replace(['\r', '\n'], " "), SAID_CHARS_MAX)
}

fn causes(error: &object_store::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    let first: &(dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |error| error.source())
}

/// HTTP statuses with which a store says that it will not, or that the bucket is not there.
const REFUSALS: [&str; 3] = [" 401 Unauthorized", " 403 Forbidden", " 404 Not Found"];
/// Characters of an error that are told: a store may answer with a document.
const SAID_CHARS_MAX: usize = 500;

fn is_refusal(error: &object_store::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, PermissionDenied, ReadOnlyFilesystem};
    match error {
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. }
        | object_store::Error::NotImplemented { .. }
        | object_store::Error::NotSupported { .. } => true,
        error => causes(error).any(|cause| match cause.downcast_ref::<std::io::Error>() {
            Some(io) => matches!(io.kind(), NotADirectory | PermissionDenied | ReadOnlyFilesystem),
            // A listing's errors have no kind of their own.
            None => REFUSALS.iter().any(|status| cause.to_string().contains(status)),
        }),
    }
}

/// Runs one request for at most as long as the store's options allow.
pub(super) async fn bounded<T>(
    store: &Store,
    request: impl Future<Output = object_store::Result<T>>,
) -> Result<T, Failure> {
    bounded_by_size(store, 0, request).await
}

/// The same for a request that moves so many bytes.
pub(super) async fn bounded_by_size<T>(
    store: &Store,
    bytes: u64,
    request: impl Future<Output = object_store::Result<T>>,
) -> Result<T, Failure> {
    let seconds = bytes / store.options.bytes_per_second_min.max(1);
    let limit = store.options.request_timeout + std::time::Duration::from_secs(seconds);
    match tokio::time::timeout(limit, request).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(object_store::Error::NotFound { .. })) => Err(Failure::Missing),
        Ok(Err(object_store::Error::AlreadyExists { .. })) => Err(Failure::Exists),
        Ok(Err(error)) if is_refusal(&error) => Err(Failure::Refused(error)),
        Ok(Err(error)) => Err(Failure::Other(error)),
        Err(_) => Err(Failure::Timeout(limit)),
    }
}
