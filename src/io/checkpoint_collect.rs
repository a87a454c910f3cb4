//! Deleting what no restore needs: after publication, never before, and with a grace.
//!
//! - Only names below the oldest full checkpoint that is kept go, and only after a newer one was
//!   published. So whatever a crash leaves, the kept chains are whole.
//! - A name goes only when it has been needless for the grace, so that somebody who listed it can
//!   still read it.
//! - A writer that opens a lineage knows its newest full checkpoint; the older ones are looked up
//!   before its first collection. Otherwise restarts in a row would leave chains behind for ever.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use object_store::{ObjectStoreExt, path::Path};

use super::checkpoint::{LineagePath, Store};
use super::checkpoint_format::{Kind, outline_of};
use super::checkpoint_restore::{Failure, bounded, list_files};
use super::clock;

/// Requests at once while older full checkpoints are looked up.
const LOOKUPS_AT_ONCE: usize = 8;
/// What is read of an object to know its kind.
const HEAD_BYTES: u64 = 112;

/// The full checkpoints of a lineage that are there, oldest first, each with when it was published
/// as far as this writer knows.
#[derive(Debug, Default)]
pub(super) struct Fulls {
    known: VecDeque<(u64, Option<Instant>)>,
    /// Those from before this writer have been looked up.
    complete: bool,
}

impl Fulls {
    pub fn starting_with(newest: Option<u64>) -> Self {
        // With nothing whole there is nothing older to look for either.
        Self { known: newest.map(|seq| (seq, None)).into_iter().collect(), complete: false }
    }

    pub fn push(&mut self, seq: u64) {
        self.known.push_back((seq, Some(clock::monotonic())));
    }

    /// The oldest full checkpoint to keep, if something before it may go: the newest `keep`, and
    /// those that the `keep`-th has followed for less than the grace.
    fn oldest_kept(&mut self, keep: usize, store: &Store) -> Option<u64> {
        let now = clock::monotonic();
        let rested = |at: Option<Instant>| {
            at.is_none_or(|at| now.duration_since(at) >= store.options.delete_grace)
        };
        // One is needless when `keep` newer ones are there, the newest of them for the grace.
        while self.known.len() > keep && rested(self.known[keep].1) {
            self.known.pop_front();
        }
        self.known.front().map(|(seq, _)| *seq).filter(|_| self.known.len() >= keep)
    }
}

/// Deletes what no kept chain needs. Failing is no harm: the next collection tries again.
pub(super) async fn collect(store: &Store, path: &LineagePath, fulls: &mut Fulls) {
    let files = match list_files(store, path).await {
        Ok(files) => files,
        Err(error) => {
            tracing::warn!(lineage = %path, %error, "cannot collect old checkpoints");
            return;
        }
    };
    if !fulls.complete {
        look_up_older(store, path, &files, fulls).await;
    }
    let keep = store.options.keep_fulls.max(2);
    let Some(oldest_kept) = fulls.oldest_kept(keep, store) else { return };
    let names: Vec<u64> =
        files.into_iter().map(|(seq, _)| seq).filter(|&seq| seq < oldest_kept).collect();
    delete(store, path, &names).await;
}

/// Finds the full checkpoints below the oldest that is known. If one cannot be read now, the next
/// collection looks again.
async fn look_up_older(store: &Store, path: &LineagePath, files: &[(u64, u64)], fulls: &mut Fulls) {
    let Some(&(oldest, _)) = fulls.known.front() else { return };
    // What is shorter is none, and a range beyond its end would be an error.
    let long = files.iter().filter(|(_, bytes)| *bytes >= HEAD_BYTES);
    let older = long.map(|(seq, _)| *seq).filter(|&seq| seq < oldest);
    let heads: Vec<BoxFuture<'static, (u64, Result<Bytes, Failure>)>> =
        older.map(|seq| head(store.clone(), path.object(seq), seq).boxed()).collect();
    let mut kinds = futures_util::stream::iter(heads).buffer_unordered(LOOKUPS_AT_ONCE);
    let mut found = Vec::new();
    let mut complete = true;
    while let Some((seq, head)) = kinds.next().await {
        match head {
            Ok(head) => {
                let full = outline_of(&head, seq).is_some_and(|one| one.kind == Kind::Full);
                found.extend(full.then_some(seq));
            }
            Err(Failure::Missing) => {}
            Err(_) => complete = false,
        }
    }
    found.sort_unstable_by(|one, other| other.cmp(one));
    if complete {
        for seq in found {
            fulls.known.push_front((seq, None));
        }
        fulls.complete = true;
    }
}

async fn head(store: Store, location: Path, seq: u64) -> (u64, Result<Bytes, Failure>) {
    let head = store.objects.get_range(&location, 0..HEAD_BYTES);
    (seq, bounded(&store, head).await)
}

/// Removes claims that a newer one has replaced, and uploads that a crash left behind.
pub(super) async fn sweep(store: &Store, path: &LineagePath, claims: &[u64]) {
    delete(store, path, claims).await;
    let Some(root) = &store.directory else { return };
    let directory = root.join(path.to_string());
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let staged = name.to_str().and_then(|name| name.split_once('#'));
        if staged.is_some_and(|(seq, _)| seq.len() == 20 && seq.parse::<u64>().is_ok()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

async fn delete(store: &Store, path: &LineagePath, names: &[u64]) {
    let paths: Vec<_> = names.iter().map(|&seq| Ok(path.object(seq))).collect();
    let mut outcomes = store.objects.delete_stream(futures_util::stream::iter(paths).boxed());
    loop {
        match tokio::time::timeout(store.options.request_timeout, outcomes.next()).await {
            Ok(None) => return,
            Ok(Some(Ok(_) | Err(object_store::Error::NotFound { .. }))) => {}
            Ok(Some(Err(error))) => {
                tracing::warn!(lineage = %path, %error, "cannot delete an old checkpoint");
            }
            Err(_) => {
                tracing::warn!(lineage = %path, "cannot delete old checkpoints in time");
                return;
            }
        }
    }
}
