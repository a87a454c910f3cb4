//! Looking into a store without claiming anything: which lineages are there, what each file is.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::checkpoint::{LineagePath, OpenError, Store};
use super::checkpoint_format::{Checkpoint, Damage, Outline, outline_of};
use super::checkpoint_restore::{Failure, bounded, load};

/// What is read of a file to say what it is.
const HEAD_BYTES: u64 = 112;
/// Names of files that are none of ours, and are told.
const OTHERS_MAX: usize = 1_000;

/// Everything in a store, by name.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The checkpoints of each lineage, oldest first.
    pub lineages: BTreeMap<LineagePath, Vec<File>>,
    /// Files that no checkpoint of ours would be called, with their bytes; at most 1,000.
    pub others: Vec<(String, u64)>,
    pub others_count: u64,
}

/// A checkpoint's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    pub seq: u64,
    pub bytes: u64,
}

impl Listing {
    /// # Errors
    /// What the store reports.
    pub async fn of(store: &Store) -> Result<Self, OpenError> {
        let objects = store
            .objects
            .list(None)
            .map_ok(|object| (object.location, object.size))
            .try_collect::<Vec<(Path, u64)>>();
        let objects = match bounded(store, objects).await {
            Ok(objects) => objects,
            Err(Failure::Missing) => Vec::new(),
            Err(failure) => return Err(failure.into()),
        };
        let mut listing = Self::default();
        for (location, bytes) in objects {
            let path = LineagePath::around(&location);
            match path.and_then(|path| Some((path.seq_of(&location)?, path))) {
                Some((seq, path)) => {
                    listing.lineages.entry(path).or_default().push(File { seq, bytes });
                }
                None => {
                    listing.others_count += 1;
                    if listing.others.len() < OTHERS_MAX {
                        listing.others.push((location.to_string(), bytes));
                    }
                }
            }
        }
        for files in listing.lineages.values_mut() {
            files.sort_unstable_by_key(|file| file.seq);
        }
        listing.others.sort_unstable();
        Ok(listing)
    }
}

/// What the first bytes of a file say, unchecked; `None` if they are not a checkpoint's.
///
/// # Errors
/// What the store reports.
pub async fn outline(
    store: &Store,
    path: &LineagePath,
    file: File,
) -> Result<Option<Outline>, OpenError> {
    if file.bytes < HEAD_BYTES {
        return Ok(None);
    }
    let location = path.object(file.seq);
    match bounded(store, store.objects.get_range(&location, 0..HEAD_BYTES)).await {
        Ok(head) => Ok(outline_of(&head, file.seq)),
        Err(Failure::Missing) => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// Reads a file and verifies all its checksums.
///
/// # Errors
/// What the store reports. A checkpoint of a newer format is damage here.
pub async fn look(
    store: &Store,
    path: &LineagePath,
    seq: u64,
) -> Result<Result<Checkpoint, Damage>, OpenError> {
    match load(store, path, seq).await {
        Err(OpenError::TooNew { version, .. }) => Ok(Err(Damage::TooNew { version })),
        other => other,
    }
}
