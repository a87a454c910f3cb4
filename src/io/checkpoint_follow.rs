//! Reading a lineage over and over while somebody else writes it: each look brings what is new.
//!
//! Nothing is claimed. Deltas that continue what was read last are handed out alone; whenever that
//! is not so (a newer full checkpoint, another writer's chain, damage, or collection overtook us)
//! the newest whole chain is.

use super::checkpoint::{Lineage, LineagePath, OpenError, Store};
use super::checkpoint_format::{Checkpoint, Kind, Previous};
use super::checkpoint_restore::{list_names, load};

/// Where a reader is in a lineage.
#[derive(Debug)]
pub struct Follower {
    path: LineagePath,
    /// The greatest name that was there at the last look.
    newest: Option<u64>,
    tip: Option<Previous>,
}

/// What a look brought.
#[derive(Debug)]
pub enum Followed {
    /// As before.
    Same,
    /// These continue what was handed out before.
    More(Vec<Checkpoint>),
    /// In the place of all that was handed out before; empty: there is nothing.
    Anew(Vec<Checkpoint>),
}

impl Follower {
    pub fn new(path: LineagePath) -> Self {
        Self { path, newest: None, tip: None }
    }

    pub fn path(&self) -> &LineagePath {
        &self.path
    }

    /// Reads what has been published since the last look.
    ///
    /// # Errors
    /// What the store reports; the next look starts where this one did.
    pub async fn look(&mut self, store: &Store) -> Result<Followed, OpenError> {
        let mut names = list_names(store, &self.path).await?;
        names.sort_unstable();
        let newest = names.last().copied();
        if newest == self.newest {
            return Ok(Followed::Same);
        }
        names.retain(|name| self.newest.is_some_and(|seen| *name > seen));
        if let Some(more) = self.continuation(store, &names).await? {
            if let Some(last) = more.last() {
                self.tip = Some(previous(last));
            }
            self.newest = newest;
            return Ok(if more.is_empty() { Followed::Same } else { Followed::More(more) });
        }
        let restored = Lineage::read(store, &self.path).await?;
        self.tip = restored.chain.last().map(previous);
        self.newest = newest;
        Ok(Followed::Anew(restored.chain))
    }

    /// The deltas of these names, if all of them continue what was read last.
    async fn continuation(
        &self,
        store: &Store,
        names: &[u64],
    ) -> Result<Option<Vec<Checkpoint>>, OpenError> {
        let Some(mut tip) = self.tip else { return Ok(None) };
        let mut more = Vec::new();
        for &name in names {
            let Ok(found) = load(store, &self.path, name).await? else { return Ok(None) };
            match found.header.kind {
                Kind::Claim => {}
                Kind::Delta if found.header.previous == Some(tip) => {
                    tip = previous(&found);
                    more.push(found);
                }
                Kind::Delta | Kind::Full => return Ok(None),
            }
        }
        Ok(Some(more))
    }
}

fn previous(checkpoint: &Checkpoint) -> Previous {
    Previous { seq: checkpoint.header.seq, checksum: checkpoint.checksum }
}
