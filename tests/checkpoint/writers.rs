//! Writers that meet: of two that open at once one stays.

use super::faulty_store::{Fault, FaultyStore};
use super::{commit, path, run, text};
use object_store::memory::InMemory;
use std::sync::Arc;
use tidemark::io::checkpoint::{CommitError, Kind, Lineage, Store, StoreOptions};

#[test]
fn two_that_open_at_once_leave_exactly_one_writer() {
    let memory = Arc::new(FaultyStore::new(InMemory::new()));
    let store = Store::from_objects(memory.clone(), StoreOptions::default());
    run(async {
        let (slot, mut winner) = tokio::sync::oneshot::channel();
        memory.next_put(Fault::Before(Box::new({
            let store = store.clone();
            move || {
                Box::pin(async move {
                    let (mut quick, _) = Lineage::open(&store, path()).await.unwrap();
                    commit(&mut quick, Kind::Full, "quick").await.unwrap();
                    slot.send(quick).ok();
                })
            }
        })));
        let (mut slow, restored) = Lineage::open(&store, path()).await.unwrap();
        assert_eq!(text(&restored), "quick", "the claim failed, so it was read again");
        let mut quick = winner.try_recv().unwrap();
        let late = commit(&mut quick, Kind::Delta, "late").await;
        assert!(matches!(late, Err(CommitError::Fenced { .. })), "{late:?}");
        commit(&mut slow, Kind::Delta, "slow").await.unwrap();
    });
}
