//! The other members of the group: whose shards we merge, and who owns which model.
//!
//! A shard's checkpoint is its partial. The owner of a model (who reads one certain partition of
//! its predictions: Kafka's assignment elects) follows the lineages of the shards that others have,
//! and merges them as if they were its own; the others follow the owner's lineage, which says what
//! panes may go. Nothing else passes between members.

use super::keeper::{RestoreError, sections};
use crate::engine::pane::Released;
use crate::engine::shard::{GroupSpec, Shard};
use crate::engine::state::{Part, Section, read};
use crate::io::checkpoint::{Followed, Follower, LineagePath, Restored, Store};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use xxhash_rust::xxh3::xxh3_64;

/// Which partition of its predictions makes its reader the model's owner.
pub fn owners_partition(model: &str, partitions: i32) -> i32 {
    let partitions = u64::try_from(partitions).unwrap_or(1).max(1);
    i32::try_from(xxh3_64(model.as_bytes()) % partitions).unwrap_or(0)
}

/// Whose lineage is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Followee {
    Shard {
        group: usize,
        partition: i32,
    },
    /// By position in the plan.
    Model(usize),
}

/// A lineage to be followed.
#[derive(Clone, Debug, PartialEq)]
pub struct Want {
    pub path: LineagePath,
    pub layout: u128,
    /// Another number is another beginning.
    beginning: u64,
}

impl Want {
    pub fn new(path: LineagePath, layout: u128) -> Self {
        Self { path, layout, beginning: 0 }
    }
}

type Wanted = BTreeMap<Followee, Want>;
type Look = (Followee, Result<News, String>);

enum News {
    More(Vec<Vec<Section>>),
    Anew(Vec<Vec<Section>>),
}

/// What we know of the others.
pub struct Fleet {
    wanted: watch::Sender<Wanted>,
    beginnings: u64,
    looks: mpsc::Receiver<Look>,
    /// Shards that others look after: counters and panes, without the rows that are held.
    pub shards: BTreeMap<(usize, i32), Shard>,
    /// By model of another owner: what panes may go.
    pub released: BTreeMap<usize, Released>,
    /// What cannot be read of others, in a sentence each.
    pub faults: BTreeMap<Followee, String>,
    /// When one of our lineages was found in other hands, and which.
    pub fenced: Option<(Instant, String)>,
    /// The store failed when a model was claimed: not again before this.
    pub claim_after: Option<Instant>,
}

/// After a lineage was lost the group must say within this time that we lost the partition.
pub const FENCED_WITHIN: Duration = Duration::from_secs(60);
/// Between two attempts to claim a model: each may wait for a store that does not answer.
pub const CLAIM_PAUSE: Duration = Duration::from_secs(1);
/// Looks that wait for the engine.
const LOOKS_MAX: usize = 64;
/// Between two looks at a lineage.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(100);
const LOOK_EVERY_MAX: Duration = Duration::from_secs(5);

impl Fleet {
    /// Looks about twice as often as others write.
    pub fn new(store: Store, handle: &Handle, checkpoint_every: Duration) -> Self {
        let (wanted, asked) = watch::channel(Wanted::new());
        let (told, looks) = mpsc::channel(LOOKS_MAX);
        let every = (checkpoint_every / 2).clamp(LOOK_EVERY_MIN, LOOK_EVERY_MAX);
        handle.spawn(follow(store, asked, told, every));
        Self {
            wanted,
            beginnings: 0,
            looks,
            shards: BTreeMap::new(),
            released: BTreeMap::new(),
            faults: BTreeMap::new(),
            fenced: None,
            claim_after: None,
        }
    }

    /// Says whose lineages matter now, with their layouts; forgets the others.
    pub fn want(&mut self, mut wanted: Wanted) {
        let shard = |key: &(usize, i32)| Followee::Shard { group: key.0, partition: key.1 };
        self.shards.retain(|key, _| wanted.contains_key(&shard(key)));
        self.released.retain(|model, _| wanted.contains_key(&Followee::Model(*model)));
        self.faults.retain(|followee, _| wanted.contains_key(followee));
        for (followee, want) in &mut wanted {
            let before = self.wanted.borrow().get(followee).map(|before| before.beginning);
            want.beginning = before.unwrap_or_else(|| {
                self.beginnings += 1;
                self.beginnings
            });
        }
        self.wanted.send_if_modified(|before| {
            let differs = *before != wanted;
            *before = wanted;
            differs
        });
    }

    /// Takes up what the looks brought. Returns the shards that have news.
    pub fn take(&mut self, groups: &[Arc<GroupSpec>]) -> Vec<(usize, i32)> {
        let mut changed = Vec::new();
        while let Ok((followee, result)) = self.looks.try_recv() {
            if !self.wanted.borrow().contains_key(&followee) {
                continue;
            }
            let taken = result.and_then(|news| match followee {
                Followee::Shard { group, partition } => {
                    let key = (group, partition);
                    changed.push(key);
                    self.take_shard(key, &groups[group], news)
                }
                Followee::Model(model) => self.take_model(model, &news),
            });
            match taken {
                Ok(()) => {
                    self.faults.remove(&followee);
                }
                Err(fault) => {
                    if self.faults.insert(followee, fault.clone()).is_none() {
                        tracing::warn!(?followee, fault, "cannot follow another member's state");
                    }
                    self.begin_again(followee);
                }
            }
        }
        changed
    }

    fn begin_again(&mut self, followee: Followee) {
        self.beginnings += 1;
        let beginning = self.beginnings;
        self.wanted.send_modify(|wanted| {
            if let Some(want) = wanted.get_mut(&followee) {
                want.beginning = beginning;
            }
        });
    }

    fn take_shard(
        &mut self,
        key: (usize, i32),
        spec: &Arc<GroupSpec>,
        news: News,
    ) -> Result<(), String> {
        let (mut shard, chain) = match news {
            News::More(chain) => match self.shards.remove(&key) {
                Some(shard) => (shard, chain),
                None => return Err("it goes on from where nothing is".to_owned()),
            },
            // Nothing was ever written: the shard is missing, and holds its windows.
            News::Anew(chain) if chain.is_empty() => return Ok(()),
            News::Anew(chain) => (Shard::new(Arc::clone(spec), []), chain),
        };
        for sections in &chain {
            shard.restore_partials(sections).map_err(|error| error.to_string())?;
        }
        if let Some(before) = self.shards.get(&key) {
            for (model, before) in shard.models.iter_mut().zip(&before.models) {
                model.partial.panes.replaces(&before.partial.panes);
            }
        }
        self.shards.insert(key, shard);
        Ok(())
    }

    fn take_model(&mut self, model: usize, news: &News) -> Result<(), String> {
        let (News::More(chain) | News::Anew(chain)) = news;
        let Some(sections) = chain.last() else { return Ok(()) };
        let released: Option<Released> =
            read(sections, Part::Monitor.at(1)).map_err(|error| error.to_string())?;
        if let Some(released) = released {
            self.released.insert(model, released);
        }
        Ok(())
    }
}

/// Looks at every wanted lineage in turn, for as long as somebody listens.
async fn follow(
    store: Store,
    mut wanted: watch::Receiver<Wanted>,
    told: mpsc::Sender<Look>,
    every: Duration,
) {
    let mut followers: BTreeMap<Followee, (Follower, Want)> = BTreeMap::new();
    loop {
        let now = wanted.borrow_and_update().clone();
        followers.retain(|followee, (_, want)| now.get(followee) == Some(want));
        for (followee, want) in now {
            let new = || (Follower::new(want.path.clone()), want.clone());
            followers.entry(followee).or_insert_with(new);
        }
        for (followee, (follower, Want { layout, .. })) in &mut followers {
            let look = match follower.look(&store).await {
                Ok(Followed::Same) => continue,
                Ok(Followed::More(chain)) => decoded(chain, follower, *layout).map(News::More),
                Ok(Followed::Anew(chain)) => decoded(chain, follower, *layout).map(News::Anew),
                Err(error) => Err(error.to_string()),
            };
            if told.send((*followee, look)).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            changed = wanted.changed() => if changed.is_err() { return },
        }
    }
}

fn decoded(
    chain: Vec<crate::io::checkpoint::Checkpoint>,
    follower: &Follower,
    layout: u128,
) -> Result<Vec<Vec<Section>>, String> {
    let restored = Restored { chain, warnings: Vec::new() };
    sections(&restored, follower.path(), layout).map_err(|error: RestoreError| error.to_string())
}
