//! A lineage read over and over while somebody else writes it.

use super::{commit, path, run, text};
use tidemark::io::checkpoint::{
    Checkpoint, Followed, Follower, Kind, Lineage, Restored, Store, StoreOptions,
};

fn store() -> Store {
    let objects = std::sync::Arc::new(object_store::memory::InMemory::new());
    Store::from_objects(objects, StoreOptions { keep_fulls: 2, ..StoreOptions::default() })
}

fn said(chain: Vec<Checkpoint>) -> String {
    text(&Restored { chain, warnings: Vec::new() })
}

fn look(follower: &mut Follower, store: &Store) -> String {
    match run(follower.look(store)).unwrap() {
        Followed::Same => "same".to_owned(),
        Followed::More(chain) => format!("more: {}", said(chain)),
        Followed::Anew(chain) => format!("anew: {}", said(chain)),
    }
}

#[test]
fn each_look_brings_what_is_new_and_a_full_one_takes_the_place_of_all() {
    let store = store();
    let mut follower = Follower::new(path());
    assert_eq!(look(&mut follower, &store), "same");
    let (mut lineage, _) = run(Lineage::open(&store, path())).unwrap();
    // A claim alone is not a state.
    assert_eq!(look(&mut follower, &store), "anew: ");
    run(commit(&mut lineage, Kind::Full, "a")).unwrap();
    run(commit(&mut lineage, Kind::Delta, "b")).unwrap();
    assert_eq!(look(&mut follower, &store), "anew: a b");
    assert_eq!(look(&mut follower, &store), "same");
    run(commit(&mut lineage, Kind::Delta, "c")).unwrap();
    run(commit(&mut lineage, Kind::Delta, "d")).unwrap();
    assert_eq!(look(&mut follower, &store), "more: c d");
    run(commit(&mut lineage, Kind::Full, "e")).unwrap();
    run(commit(&mut lineage, Kind::Delta, "f")).unwrap();
    assert_eq!(look(&mut follower, &store), "anew: e f");
}

#[test]
fn a_new_writer_that_goes_on_is_followed_and_a_fenced_one_is_not() {
    let store = store();
    let (mut old, _) = run(Lineage::open(&store, path())).unwrap();
    run(commit(&mut old, Kind::Full, "a")).unwrap();
    let mut follower = Follower::new(path());
    assert_eq!(look(&mut follower, &store), "anew: a");
    let (mut new, restored) = run(Lineage::open(&store, path())).unwrap();
    assert_eq!(text(&restored), "a");
    assert!(run(commit(&mut old, Kind::Delta, "lost")).is_err());
    run(commit(&mut new, Kind::Delta, "b")).unwrap();
    assert_eq!(look(&mut follower, &store), "more: b");
}
