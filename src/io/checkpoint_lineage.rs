//! One lineage of checkpoints, and the one writer that may extend it.
//!
//! - Opening publishes a *claim*, an object without state, above every name that is there. From
//!   then on an older writer is fenced: its next commit meets the claim.
//! - A commit is one put that must create its object. If the name is taken, the object there is
//!   read: ours (a put that timed out had succeeded after all) or another writer's (fenced).
//! - After every put the names above it are listed. There is one if the name was free only because
//!   the new owner has collected it long ago; then we are fenced too.
//! - A delta continues the last checkpoint whose commit was reported as done. One that was written
//!   but not reported is a side branch that nothing refers to.
//! - Being fenced deletes nothing: the new owner may build on what we wrote last.
//! - Collection follows publication: see `checkpoint_collect.rs`.

use std::hash::{BuildHasher, Hasher};

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::{PutMode, PutPayload};

use super::checkpoint::{CommitError, LineagePath, OpenError, Store};
use super::checkpoint_collect::{Fulls, collect, sweep};
use super::checkpoint_format::{
    Encoded, Header, Kind, OBJECT_BYTES_MAX, Previous, SectionId, encode,
};
use super::checkpoint_restore::{
    Failure, Restored, bounded, bounded_by_size, list_names, load, scan,
};
use crate::engine::time::Timestamp;

/// Other writers that may claim the lineage before us while we open it.
const OPEN_ATTEMPTS: usize = 10;
/// After as many deltas a full checkpoint is due: a restore reads them all.
pub const DELTAS_MAX: u32 = 10_000;

/// What the caller says about a checkpoint.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields {
    pub plan_hash: u128,
    /// For people; nothing is decided by it.
    pub created_at: Timestamp,
}

/// How much a restore would read now; tells when the next full checkpoint pays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainSize {
    pub full_bytes: u64,
    pub delta_bytes: u64,
    pub deltas: u32,
}

/// The right to extend a lineage, until somebody else claims it.
#[derive(Debug)]
pub struct Lineage {
    store: Store,
    path: LineagePath,
    nonce: u128,
    epoch: u64,
    /// The name of the next put.
    next: u64,
    /// What the next delta continues.
    tip: Option<Previous>,
    base: Option<u64>,
    size: ChainSize,
    fulls: Fulls,
    fenced_by: Option<String>,
}

impl Lineage {
    /// Reads the newest whole chain and claims the lineage, so that an older writer is fenced from
    /// here on and cannot have added anything to what is returned.
    ///
    /// # Errors
    /// [`OpenError::TooNew`] for a state of a later format, and what the store reports.
    pub async fn open(store: &Store, path: LineagePath) -> Result<(Self, Restored), OpenError> {
        let nonce = draw_nonce();
        for _ in 0..OPEN_ATTEMPTS {
            let scan = scan(store, &path).await?;
            let seq = scan.newest.map_or(1, |newest| newest + 1);
            let mut lineage = Self::over(store, path.clone(), nonce, seq, &scan.restored);
            if !lineage.claim(seq).await? {
                continue;
            }
            lineage.next = seq + 1;
            sweep(store, &lineage.path, &scan.claims).await;
            return Ok((lineage, scan.restored));
        }
        Err(OpenError::Contended { path: path.to_string(), attempts: OPEN_ATTEMPTS })
    }

    /// What a lineage holds, for those who do not write to it. Claims nothing.
    pub async fn read(store: &Store, path: &LineagePath) -> Result<Restored, OpenError> {
        Ok(scan(store, path).await?.restored)
    }

    /// The greatest name in a lineage: if it has not changed, neither has the lineage.
    pub async fn newest_name(store: &Store, path: &LineagePath) -> Result<Option<u64>, OpenError> {
        Ok(list_names(store, path).await?.into_iter().max())
    }

    fn over(
        store: &Store,
        path: LineagePath,
        nonce: u128,
        epoch: u64,
        restored: &Restored,
    ) -> Self {
        let tip = restored.chain.last();
        let full = restored.chain.first();
        let mut size = ChainSize::default();
        for checkpoint in &restored.chain {
            size.add(checkpoint.header.kind, checkpoint.bytes);
        }
        Self {
            store: store.clone(),
            path,
            nonce,
            epoch,
            next: epoch,
            tip: tip.map(|tip| Previous { seq: tip.header.seq, checksum: tip.checksum }),
            base: full.map(|full| full.header.seq),
            size,
            fulls: Fulls::starting_with(full.map(|full| full.header.seq)),
            fenced_by: None,
        }
    }

    pub fn path(&self) -> &LineagePath {
        &self.path
    }

    /// Greater than that of every writer before us.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How much a restore would read now.
    pub fn size(&self) -> ChainSize {
        self.size
    }

    /// Publishes a checkpoint and returns its seq. When this returns, it is durable and nobody
    /// else had taken over before it was.
    ///
    /// After [`CommitError::Unavailable`] (or if the future was dropped) it may or may not have
    /// been published; call again with the same or newer contents, since the last *successful*
    /// commit.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub async fn commit(
        &mut self,
        kind: Kind,
        fields: Fields,
        sections: &[(SectionId, Bytes)],
    ) -> Result<u64, CommitError> {
        if let Some(found) = &self.fenced_by {
            return Err(CommitError::Fenced { path: self.path.to_string(), found: found.clone() });
        }
        if kind == Kind::Claim || (kind == Kind::Delta && self.full_is_due()) {
            return Err(CommitError::FullDue);
        }
        loop {
            let seq = self.next;
            let header = self.header(kind, seq, fields);
            let object = encode(&header, sections).ok_or(CommitError::TooLarge)?;
            if self.put(seq, &object).await? {
                self.check_nobody_is_above(seq).await?;
                self.adopt(kind, seq, &object);
                if kind == Kind::Full {
                    collect(&self.store, &self.path, &mut self.fulls).await;
                }
                return Ok(seq);
            }
        }
    }

    /// Whether somebody else has claimed the lineage: for an owner that paused.
    ///
    /// # Errors
    /// [`CommitError::Fenced`] if so; [`CommitError::Unavailable`] if nobody knows.
    pub async fn check_ownership(&mut self) -> Result<(), CommitError> {
        let newest = Self::newest_name(&self.store, &self.path).await.map_err(unavailable)?;
        match newest {
            // A put of ours that was not reported may be there.
            Some(seq) if seq == self.next => self.inspect_taken_name(seq).await.map(|_| ()),
            Some(seq) if seq > self.next => Err(self.fenced(seq)),
            _ => Ok(()),
        }
    }

    fn full_is_due(&self) -> bool {
        self.tip.is_none() || self.size.deltas >= DELTAS_MAX
    }

    fn header(&self, kind: Kind, seq: u64, fields: Fields) -> Header {
        let (base, previous) = match kind {
            Kind::Full => (Some(seq), None),
            Kind::Delta => (self.base, self.tip),
            Kind::Claim => (None, None),
        };
        Header {
            kind,
            nonce: self.nonce,
            epoch: self.epoch,
            seq,
            base,
            previous,
            plan_hash: fields.plan_hash,
            created_at: fields.created_at,
        }
    }

    /// Puts a claim. False: somebody else was there first, read again.
    async fn claim(&mut self, seq: u64) -> Result<bool, OpenError> {
        let header = self.header(Kind::Claim, seq, Fields::default());
        let object = encode(&header, &[]).expect("an object without sections is small");
        let published = match self.put(seq, &object).await {
            Ok(true) => self.check_nobody_is_above(seq).await,
            Ok(false) => return Ok(false),
            Err(error) => Err(error),
        };
        match published {
            Ok(()) => Ok(true),
            Err(CommitError::Fenced { .. }) => {
                self.fenced_by = None;
                Ok(false)
            }
            Err(CommitError::Unavailable(reason)) => Err(OpenError::Unavailable(reason)),
            Err(CommitError::Refused(reason)) => Err(OpenError::Refused(reason)),
            Err(error) => Err(OpenError::Unavailable(error.to_string())),
        }
    }

    /// True: `object` is there. False: the name is taken by an older put of ours; `next` has moved.
    async fn put(&mut self, seq: u64, object: &Encoded) -> Result<bool, CommitError> {
        debug_assert!(object.bytes <= OBJECT_BYTES_MAX);
        let location = self.path.object(seq);
        let payload: PutPayload = object.parts.iter().cloned().collect();
        let put = self.store.objects.put_opts(&location, payload, PutMode::Create.into());
        match bounded_by_size(&self.store, object.bytes, put).await {
            Ok(_) => Ok(true),
            Err(Failure::Exists) => {
                let ours = self.inspect_taken_name(seq).await?;
                if ours == object.checksum {
                    return Ok(true);
                }
                self.next = seq + 1;
                Ok(false)
            }
            Err(failure) => Err(unavailable(failure.into())),
        }
    }

    /// The name of our next put is taken: by us (then the checksum of what is there), or by the
    /// writer that fences us.
    async fn inspect_taken_name(&mut self, seq: u64) -> Result<u64, CommitError> {
        match load(&self.store, &self.path, seq).await {
            Ok(Ok(found)) if found.header.nonce == self.nonce => Ok(found.checksum),
            // S3 reports a conflict that should be retried as if the object existed.
            Ok(Err(super::checkpoint_format::Damage::Vanished)) => {
                Err(CommitError::Unavailable(format!("{} is in conflict", self.path.object(seq))))
            }
            Ok(_) | Err(OpenError::TooNew { .. }) => Err(self.fenced(seq)),
            Err(error) => Err(unavailable(error)),
        }
    }

    async fn check_nobody_is_above(&mut self, seq: u64) -> Result<(), CommitError> {
        let prefix = self.path.0.clone();
        let above = self.store.objects.list_with_offset(Some(&prefix), &self.path.object(seq));
        let path = &self.path;
        let names = above
            .try_filter_map(async |object| Ok(path.seq_of(&object.location)))
            .try_fold(None, async |newest: Option<u64>, name| Ok(newest.max(Some(name))));
        match bounded(&self.store, names).await {
            Ok(None) => Ok(()),
            Ok(Some(newest)) => Err(self.fenced(newest)),
            Err(failure) => Err(unavailable(failure.into())),
        }
    }

    fn fenced(&mut self, seq: u64) -> CommitError {
        let found = self.path.object(seq).to_string();
        self.fenced_by = Some(found.clone());
        CommitError::Fenced { path: self.path.to_string(), found }
    }

    /// The commit is done: what comes next builds on it.
    fn adopt(&mut self, kind: Kind, seq: u64, object: &Encoded) {
        self.next = seq + 1;
        self.tip = Some(Previous { seq, checksum: object.checksum });
        self.size.add(kind, object.bytes);
        if kind == Kind::Full {
            self.base = Some(seq);
            self.fulls.push(seq);
        }
    }
}

impl ChainSize {
    fn add(&mut self, kind: Kind, bytes: u64) {
        match kind {
            Kind::Full => *self = Self { full_bytes: bytes, ..Self::default() },
            Kind::Delta => {
                self.delta_bytes += bytes;
                self.deltas += 1;
            }
            Kind::Claim => {}
        }
    }
}

fn unavailable(error: OpenError) -> CommitError {
    match error {
        OpenError::Unavailable(reason) => CommitError::Unavailable(reason),
        OpenError::Refused(reason) => CommitError::Refused(reason),
        error => CommitError::Unavailable(error.to_string()),
    }
}

/// 128 bits that no other writer has: the standard library's hash keys come from the system's
/// random numbers.
fn draw_nonce() -> u128 {
    let draw = || std::hash::RandomState::new().build_hasher().finish();
    (u128::from(draw()) << 64) | u128::from(draw())
}
