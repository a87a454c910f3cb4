//! Which panes have changed, for those who look now and then: monitors and checkpoints.

use super::{PaneKey, PaneStore, Slot};

impl PaneStore {
    /// Panes changed since the monitor last asked.
    pub fn take_unseen(&mut self) -> Vec<PaneKey> {
        let keys = std::mem::take(&mut self.unseen);
        for key in &keys {
            if let Some(slot) = self.panes.get_mut(key) {
                slot.unseen = false;
            }
        }
        keys
    }

    /// These panes take the place of others: only what differs from them has changed.
    pub fn replaces(&mut self, others: &Self) {
        let same = |slot: &Slot, key: &PaneKey| {
            others.get(*key).is_some_and(|other| other.revision == slot.pane.revision)
        };
        for (key, slot) in &mut self.panes {
            slot.unseen &= !same(slot, key);
        }
        let panes = &self.panes;
        self.unseen.retain(|key| panes.get(key).is_some_and(|slot| slot.unseen));
        for key in &others.unseen {
            if let Some(slot) = self.panes.get_mut(key).filter(|slot| !slot.unseen) {
                slot.unseen = true;
                self.unseen.push(*key);
            }
        }
    }

    /// Panes changed since the last checkpoint, sorted; a key without a pane was dropped.
    pub fn take_unsaved(&mut self) -> Vec<PaneKey> {
        let mut keys = std::mem::take(&mut self.unsaved);
        keys.sort_unstable();
        keys.dedup();
        for key in &keys {
            if let Some(slot) = self.panes.get_mut(key) {
                slot.unsaved = false;
            }
        }
        keys
    }
}
