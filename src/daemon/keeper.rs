//! Writes checkpoints in the background and reads them at the start.
//!
//! A snapshot is encoded on the engine's thread and written by a task; until the task reports, no
//! other is written. What may only follow a durable checkpoint (exported counters, requests,
//! offsets committed to Kafka, panes let go) waits for that report.

use crate::engine::shard::{GroupSpec, Shard};
use crate::engine::state::{Part, Section, SectionName, SnapshotKind, StateError, read};
use crate::engine::text::clip;
use crate::engine::time::Timestamp;
use crate::io::checkpoint::{
    CommitError, Fields, Kind, Lineage, LineagePath, OpenError, Restored, SectionId, Store,
};
use crate::io::clock;
use crate::io::telemetry::{
    CHECKPOINT_BYTES, CHECKPOINT_DAMAGED, CHECKPOINT_FAILURES, CHECKPOINT_SECONDS, CHECKPOINT_SIZE,
    CHECKPOINT_TIMESTAMP, CHECKPOINT_WRITES, Counter, Gauge, Histogram, Telemetry,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// Which lineage: a shard of a group, or a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    Shard { group: usize, partition: i32 },
    Model(usize),
}

/// The state cannot be used as it is.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{path}: {error}")]
    State { path: String, error: StateError },
    #[error(
        "{path} was written with another layout ({changed} changed): restore the old \
         configuration, or give this one another state.url"
    )]
    OtherLayout {
        path: String,
        changed: String,
        /// What its layout was made of, if it says so.
        parts: Option<LayoutParts>,
    },
}

/// What a layout is made of: each part's name and hash, so that a change can be named.
pub type LayoutParts = BTreeMap<String, u64>;

/// Where a model's checkpoint keeps it. The number leaves room for sections before it.
pub const LAYOUT_PARTS: SectionName = Part::Monitor.at(17);

impl RestoreError {
    pub fn other_layout(path: &LineagePath, parts: Option<LayoutParts>) -> Self {
        let changed = "windows, features, slices, profile or join times of a model".to_owned();
        Self::OtherLayout { path: path.to_string(), changed, parts }
    }

    /// Names what is different, as far as it is known.
    #[must_use]
    pub fn compared_with(self, now: &LayoutParts) -> Self {
        match self {
            Self::OtherLayout { path, parts: Some(parts), changed } => {
                let names = changed_parts(&parts, now);
                let changed = if names.is_empty() { changed } else { names.join(", ") };
                Self::OtherLayout { path, changed, parts: Some(parts) }
            }
            other => other,
        }
    }

    /// Whether the same may succeed a little later.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Open(error) if error.may_pass())
    }
}

/// The names of parts that differ.
pub fn changed_parts<'a>(before: &'a LayoutParts, now: &'a LayoutParts) -> Vec<&'a str> {
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let differs = |name: &&String| before.get(*name) != now.get(*name);
    names.into_iter().filter(differs).map(String::as_str).collect()
}

/// One lineage and what its next write must be.
pub struct Kept {
    /// Away while a write is on its way.
    pub lineage: Option<Lineage>,
    pub path: LineagePath,
    /// The next snapshot must be whole: the one before may not have arrived.
    pub full_due: bool,
    pub layout: u128,
    /// Epoch and number of the checkpoint that it was restored from.
    pub restored: Option<(u64, u64)>,
}

/// What the writer is asked to write; models only when all shards are durable.
pub struct Write {
    pub key: Key,
    lineage: Lineage,
    kind: SnapshotKind,
    layout: u128,
    sections: Vec<Section>,
}

/// What became of a round of writes.
pub struct Report {
    pub done: Vec<Written>,
}

type Written = (Key, Lineage, Result<(), WriteError>);

#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error("not tried, because another write failed")]
    NotTried,
}

/// The store, and the task that writes to it.
pub struct Keeper {
    store: Store,
    handle: Handle,
    jobs: mpsc::Sender<Vec<Write>>,
    reports: mpsc::Receiver<Report>,
    /// Files that could not be used, by kind of lineage: shard, model.
    damaged: [Counter; 2],
    /// A round of writes is on its way.
    pub writing: bool,
    pub facts: Facts,
}

/// How saving goes, for people.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// By the wall clock: when the last round of writes was durable, how long it took and how large
    /// it was.
    pub last_durable_at: Option<Timestamp>,
    pub last_duration: Option<Duration>,
    pub last_bytes: Option<u64>,
    /// Rounds that failed since the start, and why the last of them did; `None` after one that did
    /// not.
    pub failures: u64,
    pub last_error: Option<String>,
    begun_at: Option<Instant>,
    bytes: u64,
}

struct Meters {
    writes: Counter,
    failures: Counter,
    bytes: Counter,
    seconds: Histogram,
    size: Gauge,
    last: Gauge,
}

impl Keeper {
    pub fn new(store: Store, handle: Handle, telemetry: &Telemetry) -> Self {
        let (jobs, queue) = mpsc::channel(1);
        let (report, reports) = mpsc::channel(1);
        let meters = ["shard", "model"].map(|lineage| Meters {
            writes: telemetry.counter(&CHECKPOINT_WRITES, &[lineage]),
            failures: telemetry.counter(&CHECKPOINT_FAILURES, &[lineage]),
            bytes: telemetry.counter(&CHECKPOINT_BYTES, &[lineage]),
            seconds: telemetry.histogram(&CHECKPOINT_SECONDS, &[lineage]),
            size: telemetry.gauge(&CHECKPOINT_SIZE, &[lineage]),
            last: telemetry.gauge(&CHECKPOINT_TIMESTAMP, &[lineage]),
        });
        handle.spawn(write_all(queue, report, meters));
        let damaged =
            ["shard", "model"].map(|kind| telemetry.counter(&CHECKPOINT_DAMAGED, &[kind]));
        let facts = Facts::default();
        Self { store, handle, jobs, reports, damaged, writing: false, facts }
    }

    /// Claims a lineage and reads what it holds.
    pub fn open(
        &self,
        path: LineagePath,
        layout: u128,
    ) -> Result<(Kept, Vec<Vec<Section>>), RestoreError> {
        let (lineage, restored) = self.handle.block_on(Lineage::open(&self.store, path.clone()))?;
        for warning in &restored.warnings {
            tracing::warn!(file = warning.file, seq = warning.seq, "{warning}");
        }
        self.damaged[usize::from(path.is_model())].add(restored.warnings.len() as u64);
        if restored.chain.is_empty() && !restored.warnings.is_empty() {
            tracing::error!(
                lineage = %path,
                files = restored.warnings.len(),
                "no checkpoint of this lineage is whole: it begins anew, and reads its topics from \
                 where the configuration says"
            );
        }
        let chain = sections(&restored, &path, layout)?;
        let (full_due, restored) = (chain.is_empty(), restored.newest());
        let kept = Kept { lineage: Some(lineage), path, full_due, layout, restored };
        Ok((kept, chain))
    }

    /// What a lineage holds, without claiming it.
    pub fn read(
        &self,
        path: LineagePath,
        layout: u128,
    ) -> Result<(Kept, Vec<Vec<Section>>), RestoreError> {
        let restored = self.handle.block_on(Lineage::read(&self.store, &path))?;
        let chain = sections(&restored, &path, layout)?;
        let restored = restored.newest();
        Ok((Kept { lineage: None, path, full_due: true, layout, restored }, chain))
    }

    /// Whether nobody has claimed a lineage since; if that cannot be told, it counts as lost.
    pub fn still_ours(&self, kept: &mut Kept) -> bool {
        let Some(lineage) = &mut kept.lineage else { return false };
        self.handle.block_on(lineage.check_ownership()).is_ok()
    }

    /// Hands snapshots to the writer. There must be no round on its way.
    pub fn write(&mut self, round: Vec<Write>) {
        debug_assert!(!self.writing, "one round at a time");
        let bytes = round.iter().flat_map(|write| &write.sections);
        let bytes = bytes.map(|section| section.bytes.len() as u64).sum();
        if !round.is_empty() && self.jobs.try_send(round).is_ok() {
            self.writing = true;
            self.facts.begun_at = Some(clock::monotonic());
            self.facts.bytes = bytes;
        }
    }

    /// The report of the round that is on its way, if it has come.
    pub fn report(&mut self) -> Option<Report> {
        let report = self.reports.try_recv().ok()?;
        self.writing = false;
        self.facts.take(&report);
        Some(report)
    }

    /// Waits for the report of the round that is on its way.
    pub fn wait(&mut self, within: std::time::Duration) -> Option<Report> {
        if !self.writing {
            return None;
        }
        let reports = &mut self.reports;
        let report = self.handle.block_on(async {
            tokio::time::timeout(within, reports.recv()).await.ok().flatten()
        })?;
        self.writing = false;
        self.facts.take(&report);
        Some(report)
    }
}

impl Facts {
    fn take(&mut self, report: &Report) {
        self.last_duration = self.begun_at.map(|begun| clock::monotonic().duration_since(begun));
        match report.done.iter().find_map(|(.., result)| result.as_ref().err()) {
            Some(error) => {
                self.failures += 1;
                self.last_error = Some(clip(&error.to_string(), ERROR_CHARS_MAX));
            }
            None => {
                self.last_error = None;
                self.last_durable_at = Some(clock::now());
                self.last_bytes = Some(self.bytes);
            }
        }
    }
}

const ERROR_CHARS_MAX: usize = 300;

impl Kept {
    /// Whole, when the deltas have grown to the size of a whole one, or one may be missing.
    pub fn next_kind(&self) -> SnapshotKind {
        let grown = self.lineage.as_ref().is_some_and(|lineage| {
            let size = lineage.size();
            size.delta_bytes > size.full_bytes || size.deltas >= DELTAS_MAX
        });
        if self.full_due || grown { SnapshotKind::Full } else { SnapshotKind::Delta }
    }

    /// A write of these sections, if the lineage is here. Until it is reported done, the next is
    /// whole.
    pub fn write(&mut self, key: Key, kind: SnapshotKind, sections: Vec<Section>) -> Option<Write> {
        let lineage = self.lineage.take()?;
        self.full_due = true;
        Some(Write { key, lineage, kind, layout: self.layout, sections })
    }
}

/// A restore reads them all, so there are not more than this between whole ones.
const DELTAS_MAX: u32 = 200;

/// A shard as its lineage holds it; a new one if it holds nothing.
pub fn restore_shard(
    spec: &Arc<GroupSpec>,
    path: &LineagePath,
    chain: &[Vec<Section>],
) -> Result<Shard, RestoreError> {
    let mut shard = Shard::new(Arc::clone(spec), []);
    for sections in chain {
        shard
            .restore(sections)
            .map_err(|error| RestoreError::State { path: path.to_string(), error })?;
    }
    Ok(shard)
}

pub fn sections(
    restored: &Restored,
    path: &LineagePath,
    layout: u128,
) -> Result<Vec<Vec<Section>>, RestoreError> {
    let mut chain = Vec::new();
    for checkpoint in &restored.chain {
        let sections = checkpoint.sections.iter().filter_map(|(id, bytes)| {
            Some(Section { id: SectionName::from_number(id.0)?, bytes: bytes.to_vec() })
        });
        let sections: Vec<Section> = sections.collect();
        if checkpoint.header.plan_hash != layout {
            return Err(RestoreError::other_layout(path, read(&sections, LAYOUT_PARTS).ok()));
        }
        chain.push(sections);
    }
    Ok(chain)
}

/// Shards that are written at once: a remote store takes its time for each.
const WRITES_AT_ONCE: usize = 4;
/// A write that failed is tried again so often before its round is given up, after pauses of
/// `RETRY_PAUSE`, four times as long each time.
const RETRIES: u32 = 2;
const RETRY_PAUSE: Duration = Duration::from_millis(100);

async fn write_all(
    mut queue: mpsc::Receiver<Vec<Write>>,
    report: mpsc::Sender<Report>,
    meters: [Meters; 2],
) {
    let meters = Arc::new(meters);
    while let Some(round) = queue.recv().await {
        let mut done = Vec::new();
        let mut failed = false;
        // Models after all shards, and only if these are durable.
        let (models, shards): (Vec<Write>, Vec<Write>) =
            round.into_iter().partition(|write| matches!(write.key, Key::Model(_)));
        for writes in [shards, models] {
            let too_late = failed;
            let writes: Vec<BoxFuture<'static, Written>> = writes
                .into_iter()
                .map(|write| attempt(write, Arc::clone(&meters), too_late).boxed())
                .collect();
            let mut writes = futures_util::stream::iter(writes).buffered(WRITES_AT_ONCE);
            while let Some(one) = writes.next().await {
                failed |= one.2.is_err();
                done.push(one);
            }
        }
        if report.send(Report { done }).await.is_err() {
            return;
        }
    }
}

async fn attempt(write: Write, meters: Arc<[Meters; 2]>, too_late: bool) -> Written {
    let Write { key, mut lineage, kind, layout, sections } = write;
    let meters = &meters[usize::from(matches!(key, Key::Model(_)))];
    if too_late {
        return (key, lineage, Err(WriteError::NotTried));
    }
    let sections: Vec<(SectionId, Bytes)> = sections
        .into_iter()
        .map(|section| (SectionId(section.id.number()), Bytes::from(section.bytes)))
        .collect();
    let mut pause = RETRY_PAUSE;
    for _ in 0..RETRIES {
        let result = commit(&mut lineage, kind, layout, &sections, meters).await;
        let Err(CommitError::Unavailable(reason)) = result else {
            return (key, lineage, result.map_err(Into::into));
        };
        tracing::debug!(?key, reason, "a checkpoint was not taken, trying again");
        tokio::time::sleep(pause).await;
        pause *= 4;
    }
    let result = commit(&mut lineage, kind, layout, &sections, meters).await;
    (key, lineage, result.map_err(Into::into))
}

async fn commit(
    lineage: &mut Lineage,
    kind: SnapshotKind,
    layout: u128,
    sections: &[(SectionId, Bytes)],
    meters: &Meters,
) -> Result<(), CommitError> {
    let started_at = clock::monotonic();
    let bytes: u64 = sections.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    let kind = match kind {
        SnapshotKind::Full => Kind::Full,
        SnapshotKind::Delta => Kind::Delta,
    };
    let created_at: Timestamp = clock::now();
    meters.writes.add(1);
    let result = lineage.commit(kind, Fields { plan_hash: layout, created_at }, sections).await;
    meters.seconds.observe(clock::monotonic().duration_since(started_at).as_secs_f64());
    match result {
        Ok(_) => {
            meters.bytes.add(bytes);
            meters.size.set(lineage.size().full_bytes as f64);
            meters.last.set(clock::now().as_secs_f64());
            Ok(())
        }
        Err(error) => {
            meters.failures.add(1);
            Err(error)
        }
    }
}
