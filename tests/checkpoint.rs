//! Checkpoints: what is damaged falls back, who is late is fenced, nothing durable is lost.

#![allow(clippy::unwrap_used)]

pub mod damage;
mod faulty_store;
mod follow;
mod place;
mod s3;
mod writers;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::memory::InMemory;
use tempfile::TempDir;
use tidemark::engine::time::Timestamp;
use tidemark::io::checkpoint::{
    ChainSize, CommitError, Damage, Fields, Kind, Lineage, LineagePath, OpenError, Restored,
    SectionId, Store, StoreOptions,
};

use faulty_store::{Fault, FaultyStore};

type Outcome = Result<u64, CommitError>;

fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

fn path() -> LineagePath {
    LineagePath::shard("income", 0)
}

fn fields() -> Fields {
    Fields { plan_hash: 7, created_at: Timestamp::from_secs(1_000) }
}

fn section(text: &str) -> Vec<(SectionId, Bytes)> {
    vec![(SectionId(1), Bytes::copy_from_slice(text.as_bytes()))]
}

async fn commit(lineage: &mut Lineage, kind: Kind, text: &str) -> Outcome {
    lineage.commit(kind, fields(), &section(text)).await
}

/// The restored chain as its sections' texts, joined.
fn text(restored: &Restored) -> String {
    let texts: Vec<_> = restored
        .chain
        .iter()
        .flat_map(|checkpoint| &checkpoint.sections)
        .map(|(_, bytes)| String::from_utf8(bytes.to_vec()).unwrap())
        .collect();
    texts.join(" ")
}

/// What nobody needs is deleted at once.
fn at_once() -> StoreOptions {
    StoreOptions { delete_grace: Duration::ZERO, ..StoreOptions::default() }
}

/// A store in a fresh directory, and the files of the lineage `path()` in it.
struct Scratch {
    directory: TempDir,
    store: Store,
}

impl Scratch {
    fn new() -> Self {
        Self::keeping(2)
    }

    fn keeping(keep_fulls: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("file://{}/not/there/yet", directory.path().display());
        let options = StoreOptions { keep_fulls, ..at_once() };
        Self { store: Store::open(&url, options).unwrap(), directory }
    }

    fn folder(&self) -> PathBuf {
        self.directory.path().join("not/there/yet/shards/income/0")
    }

    fn file(&self, seq: u64) -> PathBuf {
        self.folder().join(format!("{seq:020}"))
    }

    fn names(&self) -> Vec<u64> {
        let mut names: Vec<u64> = std::fs::read_dir(self.folder())
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
            .collect();
        names.sort_unstable();
        names
    }

    fn open(&self) -> (Lineage, Restored) {
        run(Lineage::open(&self.store, path())).unwrap()
    }

    fn read(&self) -> Restored {
        run(Lineage::read(&self.store, &path())).unwrap()
    }

    /// Claim 1, full 2, deltas 3 and 4.
    fn full_and_two_deltas(&self) -> Lineage {
        let (mut lineage, _) = self.open();
        assert_eq!(run(commit(&mut lineage, Kind::Full, "full")).unwrap(), 2);
        assert_eq!(run(commit(&mut lineage, Kind::Delta, "one")).unwrap(), 3);
        assert_eq!(run(commit(&mut lineage, Kind::Delta, "two")).unwrap(), 4);
        lineage
    }
}

fn edit(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(file).unwrap();
    change(&mut bytes);
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn an_empty_lineage_restores_nothing_and_warns_of_nothing() {
    let scratch = Scratch::new();
    let (_, restored) = scratch.open();
    assert!(restored.chain.is_empty() && restored.warnings.is_empty());
    assert_eq!(restored.newest(), None);
}

#[test]
fn a_restart_continues_where_the_last_commit_was() {
    let scratch = Scratch::new();
    drop(scratch.full_and_two_deltas());
    let (mut lineage, restored) = scratch.open();
    assert_eq!(text(&restored), "full one two");
    assert_eq!(restored.warnings, []);
    assert_eq!(restored.newest(), Some((1, 4)));
    let header = &restored.chain[2].header;
    assert_eq!((header.kind, header.plan_hash), (Kind::Delta, 7));
    assert_eq!((header.base, header.created_at), (Some(2), Timestamp::from_secs(1_000)));
    assert_eq!(lineage.epoch(), 5);
    let size = lineage.size();
    assert_eq!(size.deltas, 2);
    // A delta on what was restored, then again a restart.
    assert_eq!(run(commit(&mut lineage, Kind::Delta, "three")).unwrap(), 6);
    let (_, restored) = scratch.open();
    assert_eq!(text(&restored), "full one two three");
    assert_eq!(restored.newest(), Some((5, 6)));
}

#[test]
fn the_first_checkpoint_of_a_lineage_must_be_full() {
    let scratch = Scratch::new();
    let (mut lineage, _) = scratch.open();
    let early = run(commit(&mut lineage, Kind::Delta, "delta"));
    assert!(matches!(early, Err(CommitError::FullDue)), "{early:?}");
    assert_eq!(run(commit(&mut lineage, Kind::Full, "full")).unwrap(), 2);
    assert_eq!(
        lineage.size(),
        ChainSize { full_bytes: 112 + 24 + 8 + 4 + 8, ..Default::default() }
    );
}

#[test]
fn a_newest_checkpoint_cut_at_any_byte_falls_back_to_the_one_before() {
    let scratch = Scratch::new();
    drop(scratch.full_and_two_deltas());
    let whole = std::fs::read(scratch.file(4)).unwrap();
    for len in 0..whole.len() {
        std::fs::write(scratch.file(4), &whole[..len]).unwrap();
        let restored = scratch.read();
        assert_eq!(text(&restored), "full one", "cut at {len}");
        assert_eq!(restored.warnings.len(), 1, "cut at {len}");
        assert_eq!(restored.warnings[0].damage, Damage::Truncated, "cut at {len}");
        assert_eq!(restored.warnings[0].file, "shards/income/0/00000000000000000004");
    }
    std::fs::write(scratch.file(4), [&whole[..], b"x"].concat()).unwrap();
    assert_eq!(scratch.read().warnings[0].damage, Damage::Footer);
}

#[test]
fn any_flipped_bit_is_noticed() {
    let scratch = Scratch::new();
    drop(scratch.full_and_two_deltas());
    let whole = std::fs::read(scratch.file(4)).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(scratch.file(4), bytes).unwrap();
        let restored = scratch.read();
        assert_eq!(text(&restored), "full one", "bit {bit}");
        assert_eq!(restored.warnings.len(), 1, "bit {bit}");
    }
}

#[test]
fn a_delta_whose_predecessor_is_missing_or_damaged_is_not_used() {
    for remove in [true, false] {
        let scratch = Scratch::new();
        let mut lineage = scratch.full_and_two_deltas();
        run(commit(&mut lineage, Kind::Delta, "three")).unwrap();
        if remove {
            std::fs::remove_file(scratch.file(3)).unwrap();
        } else {
            edit(&scratch.file(3), |bytes| *bytes.last_mut().unwrap() ^= 1);
        }
        let restored = scratch.read();
        assert_eq!(text(&restored), "full");
        let damage: Vec<_> = restored.warnings.iter().map(|warning| &warning.damage).collect();
        let broken = Damage::BrokenChain(3);
        let expected: &[&Damage] =
            if remove { &[&broken, &broken] } else { &[&broken, &broken, &Damage::Footer] };
        assert_eq!(damage, expected);
    }
}

#[test]
fn after_falling_back_new_checkpoints_go_above_the_damaged_ones() {
    let scratch = Scratch::new();
    drop(scratch.full_and_two_deltas());
    edit(&scratch.file(4), |bytes| bytes[145] ^= 1);
    let (mut lineage, restored) = scratch.open();
    assert_eq!(text(&restored), "full one");
    assert!(
        restored.warnings[0]
            .to_string()
            .contains("00000000000000000004: the checksum of its section 0")
    );
    assert_eq!(run(commit(&mut lineage, Kind::Delta, "again")).unwrap(), 6);
    assert_eq!(text(&scratch.read()), "full one again");
    assert_eq!(scratch.read().warnings, []);
}

#[test]
fn a_full_checkpoint_that_is_damaged_falls_back_to_the_chain_before_it() {
    let scratch = Scratch::new();
    let mut lineage = scratch.full_and_two_deltas();
    run(commit(&mut lineage, Kind::Full, "second")).unwrap();
    run(commit(&mut lineage, Kind::Delta, "more")).unwrap();
    edit(&scratch.file(5), |bytes| bytes.truncate(60));
    let restored = scratch.read();
    assert_eq!(text(&restored), "full one two");
    assert_eq!(restored.warnings.len(), 2);
}

#[test]
fn when_nothing_is_whole_the_lineage_still_opens_and_says_what_was_lost() {
    let scratch = Scratch::new();
    drop(scratch.full_and_two_deltas());
    for seq in 1..=4 {
        edit(&scratch.file(seq), |bytes| bytes.clear());
    }
    let (mut lineage, restored) = scratch.open();
    assert!(restored.chain.is_empty());
    assert_eq!(restored.warnings.len(), 4);
    assert_eq!(run(commit(&mut lineage, Kind::Full, "anew")).unwrap(), 6);
    assert_eq!(text(&scratch.read()), "anew");
}

#[test]
fn files_that_are_not_ours_are_ignored_or_reported_but_never_in_the_way() {
    let scratch = Scratch::new();
    drop(scratch.full_and_two_deltas());
    std::fs::write(scratch.folder().join("notes.txt"), "hello").unwrap();
    std::fs::write(scratch.folder().join("00000000000000000009.bak"), "hello").unwrap();
    std::fs::write(scratch.folder().join("99999999999999999999"), "hello").unwrap();
    std::fs::write(scratch.file(u64::MAX), "hello").unwrap();
    std::fs::create_dir(scratch.folder().join("sub")).unwrap();
    std::fs::write(scratch.folder().join("sub/00000000000000000009"), "hello").unwrap();
    assert_eq!(scratch.read().warnings, []);
    // By its name this one could be ours.
    std::fs::write(scratch.file(77), "hello").unwrap();
    let (mut lineage, restored) = scratch.open();
    assert_eq!(restored.warnings.len(), 1);
    assert_eq!(restored.warnings[0].damage, Damage::Foreign);
    assert_eq!(text(&restored), "full one two");
    assert_eq!(run(commit(&mut lineage, Kind::Delta, "three")).unwrap(), 79);
}

#[test]
fn a_renamed_checkpoint_is_not_taken_for_another() {
    let scratch = Scratch::new();
    drop(scratch.full_and_two_deltas());
    std::fs::copy(scratch.file(2), scratch.file(9)).unwrap();
    let restored = scratch.read();
    assert_eq!(restored.warnings[0].damage, Damage::WrongName { found: 2 });
    assert_eq!(text(&restored), "full one two");
}

#[test]
fn a_delta_continues_its_own_predecessor_and_not_a_namesake() {
    let (scratch, other) = (Scratch::new(), Scratch::new());
    drop(scratch.full_and_two_deltas());
    let (mut lineage, _) = other.open();
    run(commit(&mut lineage, Kind::Full, "other full")).unwrap();
    run(commit(&mut lineage, Kind::Delta, "other one")).unwrap();
    std::fs::copy(other.file(3), scratch.file(3)).unwrap();
    let restored = scratch.read();
    assert_eq!(restored.warnings[0].damage, Damage::BrokenChain(3));
    assert_eq!(text(&restored), "full");
}

#[test]
fn a_checkpoint_of_a_newer_format_is_refused_by_name() {
    let scratch = Scratch::new();
    drop(scratch.full_and_two_deltas());
    // As a later version would write it: the checksum ends the header.
    edit(&scratch.file(4), |bytes| {
        bytes[8..12].copy_from_slice(&2u32.to_le_bytes());
        let len = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
        let checksum = xxhash_rust::xxh3::xxh3_64(&bytes[..len - 8]);
        bytes[len - 8..len].copy_from_slice(&checksum.to_le_bytes());
    });
    let refused = run(Lineage::open(&scratch.store, path())).unwrap_err();
    assert!(matches!(refused, OpenError::TooNew { version: 2, .. }), "{refused}");
    assert!(refused.to_string().contains("shards/income/0/00000000000000000004"), "{refused}");
}

#[test]
fn a_second_writer_fences_the_first_at_once_and_for_good() {
    let scratch = Scratch::new();
    let mut first = scratch.full_and_two_deltas();
    run(first.check_ownership()).unwrap();
    let (mut second, restored) = scratch.open();
    assert_eq!(text(&restored), "full one two");
    assert!(matches!(run(first.check_ownership()), Err(CommitError::Fenced { .. })));
    let late = run(commit(&mut first, Kind::Delta, "zombie"));
    assert!(matches!(late, Err(CommitError::Fenced { .. })), "{late:?}");
    run(commit(&mut second, Kind::Delta, "three")).unwrap();
    assert!(matches!(
        run(commit(&mut first, Kind::Full, "zombie")),
        Err(CommitError::Fenced { .. })
    ));
    assert_eq!(text(&scratch.read()), "full one two three");
}

#[test]
fn a_writer_thirty_commits_behind_is_fenced_even_though_its_name_is_free_again() {
    let scratch = Scratch::new();
    let mut zombie = scratch.full_and_two_deltas();
    let (mut owner, _) = scratch.open();
    for round in 0..30 {
        let kind = if round % 3 == 0 { Kind::Full } else { Kind::Delta };
        run(commit(&mut owner, kind, "x")).unwrap();
    }
    assert!(scratch.names()[0] > 5, "the name the zombie will try is free: {:?}", scratch.names());
    let late = run(commit(&mut zombie, Kind::Full, "zombie"));
    assert!(matches!(late, Err(CommitError::Fenced { .. })), "{late:?}");
    assert!(!text(&scratch.read()).contains("zombie"));
    // What it left is collected with the rest.
    for _ in 0..2 {
        run(commit(&mut owner, Kind::Full, "y")).unwrap();
    }
    assert_eq!(scratch.names().len(), 2, "{:?}", scratch.names());
}

#[test]
fn what_a_fenced_writer_published_before_the_claim_is_kept() {
    let memory = Arc::new(FaultyStore::new(InMemory::new()));
    let store = Store::from_objects(memory.clone(), StoreOptions::default());
    run(async {
        let (mut first, _) = Lineage::open(&store, path()).await.unwrap();
        commit(&mut first, Kind::Full, "full").await.unwrap();
        // The put is done; before the writer lists, somebody else opens.
        memory.next_list(Fault::Before(Box::new({
            let store = store.clone();
            move || {
                Box::pin(async move {
                    let (_, restored) = Lineage::open(&store, path()).await.unwrap();
                    assert_eq!(text(&restored), "full one");
                })
            }
        })));
        let late = commit(&mut first, Kind::Delta, "one").await;
        assert!(matches!(late, Err(CommitError::Fenced { .. })), "{late:?}");
        let (_, restored) = Lineage::open(&store, path()).await.unwrap();
        assert_eq!(text(&restored), "full one");
        assert_eq!(restored.warnings, []);
    });
}

#[test]
fn a_put_that_timed_out_and_succeeded_is_no_other_writer() {
    let memory = Arc::new(FaultyStore::new(InMemory::new()));
    let store = Store::from_objects(memory.clone(), StoreOptions::default());
    run(async {
        let (mut lineage, _) = Lineage::open(&store, path()).await.unwrap();
        commit(&mut lineage, Kind::Full, "full").await.unwrap();
        memory.next_put(Fault::AfterDoing);
        let unsure = commit(&mut lineage, Kind::Delta, "one").await;
        assert!(matches!(unsure, Err(CommitError::Unavailable(_))), "{unsure:?}");
        lineage.check_ownership().await.unwrap();
        // The same again: it is there, under the name it had.
        assert_eq!(commit(&mut lineage, Kind::Delta, "one").await.unwrap(), 3);
        memory.next_put(Fault::AfterDoing);
        commit(&mut lineage, Kind::Delta, "two").await.unwrap_err();
        // More than before: a name of its own, and it continues the last one that was reported.
        assert_eq!(commit(&mut lineage, Kind::Delta, "two and a half").await.unwrap(), 5);
        let restored = Lineage::read(&store, &path()).await.unwrap();
        assert_eq!(text(&restored), "full one two and a half");
        assert_eq!(restored.warnings, []);
    });
}

#[test]
fn a_store_that_fails_anywhere_is_reported_and_the_next_commit_succeeds() {
    let memory = Arc::new(FaultyStore::new(InMemory::new()));
    let store = Store::from_objects(memory.clone(), StoreOptions::default());
    run(async {
        let (mut lineage, _) = Lineage::open(&store, path()).await.unwrap();
        commit(&mut lineage, Kind::Full, "full").await.unwrap();
        memory.next_put(Fault::InsteadOfDoing);
        let failed = commit(&mut lineage, Kind::Delta, "one").await;
        assert!(matches!(failed, Err(CommitError::Unavailable(_))), "{failed:?}");
        memory.next_list(Fault::InsteadOfDoing);
        let failed = commit(&mut lineage, Kind::Delta, "one").await;
        assert!(matches!(failed, Err(CommitError::Unavailable(_))), "{failed:?}");
        commit(&mut lineage, Kind::Delta, "one").await.unwrap();
        memory.next_delete(Fault::InsteadOfDoing);
        for _ in 0..5 {
            commit(&mut lineage, Kind::Full, "again").await.unwrap();
        }
        // A read that fails is not damage.
        memory.next_get(Fault::InsteadOfDoing);
        let failed = Lineage::open(&store, path()).await.unwrap_err();
        assert!(matches!(failed, OpenError::Unavailable(_)), "{failed}");
        let (_, restored) = Lineage::open(&store, path()).await.unwrap();
        assert_eq!(text(&restored), "again");
    });
}

#[test]
fn a_request_that_never_ends_is_given_up() {
    let memory = Arc::new(FaultyStore::new(InMemory::new()));
    let options =
        StoreOptions { request_timeout: Duration::from_millis(20), ..StoreOptions::default() };
    let store = Store::from_objects(memory.clone(), options);
    run(async {
        let (mut lineage, _) = Lineage::open(&store, path()).await.unwrap();
        memory.next_put(Fault::Hangs);
        let failed = commit(&mut lineage, Kind::Full, "full").await.unwrap_err();
        assert!(failed.to_string().contains("no answer within 20ms"), "{failed}");
        assert_eq!(commit(&mut lineage, Kind::Full, "full").await.unwrap(), 2);
    });
}

#[test]
fn an_object_deleted_while_it_is_read_is_no_damage() {
    let memory = Arc::new(FaultyStore::new(InMemory::new()));
    let store = Store::from_objects(memory.clone(), at_once());
    run(async {
        let (mut owner, _) = Lineage::open(&store, path()).await.unwrap();
        commit(&mut owner, Kind::Full, "full").await.unwrap();
        commit(&mut owner, Kind::Delta, "delta").await.unwrap();
        memory.next_get(Fault::Before(Box::new(move || {
            Box::pin(async move {
                for _ in 0..3 {
                    commit(&mut owner, Kind::Full, "later").await.unwrap();
                }
            })
        })));
        let restored = Lineage::read(&store, &path()).await.unwrap();
        assert_eq!((text(&restored), restored.warnings.len()), ("later".to_owned(), 0));
    });
}

#[test]
fn collection_keeps_the_last_full_checkpoints_with_their_deltas() {
    let scratch = Scratch::keeping(2);
    let (mut lineage, _) = scratch.open();
    for round in 0..4 {
        run(commit(&mut lineage, Kind::Full, &format!("full{round}"))).unwrap();
        run(commit(&mut lineage, Kind::Delta, &format!("delta{round}"))).unwrap();
    }
    assert_eq!(scratch.names(), [6, 7, 8, 9]);
    assert_eq!(text(&scratch.read()), "full3 delta3");
    // A restart knows nothing of the older one yet, and must not collect it too early.
    let (mut lineage, _) = scratch.open();
    assert_eq!(run(commit(&mut lineage, Kind::Delta, "x")).unwrap(), 11);
    assert_eq!(scratch.names(), [6, 7, 8, 9, 10, 11]);
    edit(&scratch.file(8), |bytes| bytes.clear());
    assert_eq!(text(&scratch.read()), "full2 delta2");
}

#[test]
fn many_restarts_leave_one_claim_and_no_upload_behind() {
    let scratch = Scratch::new();
    drop(scratch.full_and_two_deltas());
    std::fs::write(scratch.folder().join("00000000000000000005#1"), "half").unwrap();
    std::fs::write(scratch.folder().join("mine#1"), "not ours").unwrap();
    for _ in 0..5 {
        scratch.open();
    }
    assert_eq!(scratch.names(), [1, 2, 3, 4, 9]);
    assert!(!scratch.folder().join("00000000000000000005#1").exists());
    assert!(scratch.folder().join("mine#1").exists());
}
