//! Writers that meet: of two that open at once one stays.

use super::faulty_store::{Fault, FaultyStore};
use super::{at_once, commit, path, run, text};
use object_store::memory::InMemory;
use std::sync::Arc;
use tidemark::io::checkpoint::{CommitError, Kind, Lineage, Listing, Store, StoreOptions};

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

#[test]
fn nothing_is_deleted_before_what_makes_it_needless_is_published() {
    let memory = Arc::new(FaultyStore::new(InMemory::new()));
    let store = Store::from_objects(memory.clone(), StoreOptions { keep_fulls: 2, ..at_once() });
    run(async {
        let (mut lineage, _) = Lineage::open(&store, path()).await.unwrap();
        for word in ["one", "two"] {
            commit(&mut lineage, Kind::Full, word).await.unwrap();
            commit(&mut lineage, Kind::Delta, "more").await.unwrap();
        }
        let before = names(&store).await;
        // A store that fails, and a process that dies, while the next full one is put.
        memory.next_put(Fault::InsteadOfDoing);
        commit(&mut lineage, Kind::Full, "three").await.unwrap_err();
        assert_eq!(names(&store).await, before);
        memory.next_put(Fault::Hangs);
        let died = tokio::time::timeout(
            std::time::Duration::from_millis(20),
            commit(&mut lineage, Kind::Full, "three"),
        );
        assert!(died.await.is_err());
        assert_eq!(names(&store).await, before);
        // And one that dies between publication and deletion leaves more than is needed, not less.
        memory.next_delete(Fault::InsteadOfDoing);
        commit(&mut lineage, Kind::Full, "three").await.unwrap();
        let (mut lineage, restored) = Lineage::open(&store, path()).await.unwrap();
        assert_eq!((text(&restored), restored.warnings.len()), ("three".to_owned(), 0));
        // The next owner collects what was left.
        commit(&mut lineage, Kind::Full, "four").await.unwrap();
        let after = names(&store).await;
        assert!(after.len() <= 3 && before.iter().all(|name| !after.contains(name)), "{after:?}");
    });
}

async fn names(store: &Store) -> Vec<u64> {
    let listing = Listing::of(store).await.unwrap();
    listing.lineages[&path()].iter().map(|file| file.seq).collect()
}
