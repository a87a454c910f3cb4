//! Lineages in a real S3 API: the rules of a local directory, and what only a network does.

use super::{commit, path, run, section, text};
use crate::support::s3::{Fault, Proxy, S3};
use std::time::Duration;
use tidemark::io::checkpoint::{
    CommitError, Fields, Kind, Lineage, Listing, OpenError, Store, StoreOptions,
};

fn options() -> StoreOptions {
    StoreOptions { keep_fulls: 2, delete_grace: Duration::ZERO, ..StoreOptions::default() }
}

/// A store in a bucket of its own.
fn store(bucket: &str, settings: Vec<(String, String)>, options: StoreOptions) -> Store {
    S3::shared().create_bucket(bucket);
    let url = format!("s3://{bucket}/some/prefix");
    Store::open_with(&url, options, settings.into_iter()).unwrap()
}

/// Behind a proxy; requests are given up soon.
fn behind(proxy: &Proxy, bucket: &str, limit: Duration) -> Store {
    store(bucket, proxy.settings(), StoreOptions { request_timeout: limit, ..options() })
}

#[test]
fn s3_keeps_fences_restores_and_collects_as_a_directory_does() {
    let store = store("lineages", S3::shared().settings(), options());
    run(async {
        let (mut zombie, restored) = Lineage::open(&store, path()).await.unwrap();
        assert!(restored.chain.is_empty() && restored.warnings.is_empty());
        commit(&mut zombie, Kind::Full, "full").await.unwrap();
        commit(&mut zombie, Kind::Delta, "one").await.unwrap();
        let (mut owner, restored) = Lineage::open(&store, path()).await.unwrap();
        assert_eq!(text(&restored), "full one");
        let late = commit(&mut zombie, Kind::Delta, "zombie").await;
        assert!(matches!(late, Err(CommitError::Fenced { .. })), "{late:?}");
        commit(&mut owner, Kind::Delta, "two").await.unwrap();
        assert_eq!(text(&Lineage::read(&store, &path()).await.unwrap()), "full one two");
        for round in 0..10 {
            commit(&mut owner, Kind::Full, &format!("full{round}")).await.unwrap();
            commit(&mut owner, Kind::Delta, "delta").await.unwrap();
        }
        let listing = Listing::of(&store).await.unwrap();
        let files = &listing.lineages[&path()];
        assert_eq!(files.len(), 4, "{files:?}");
        assert_eq!(listing.others_count, 0);
        // The zombie's next name is free again.
        let late = commit(&mut zombie, Kind::Full, "zombie").await;
        assert!(matches!(late, Err(CommitError::Fenced { .. })), "{late:?}");
        assert_eq!(text(&Lineage::read(&store, &path()).await.unwrap()), "full9 delta");
    });
}

#[test]
fn a_large_checkpoint_comes_back_as_it_was() {
    let store = store("large", S3::shared().settings(), options());
    let body: Vec<u8> = (0..20_000_000u32).map(|at| ((at * 7) >> 3) as u8).collect();
    run(async {
        let (mut lineage, _) = Lineage::open(&store, path()).await.unwrap();
        let sections = vec![(tidemark::io::checkpoint::SectionId(3), body.clone().into())];
        lineage.commit(Kind::Full, Fields::default(), &sections).await.unwrap();
        let restored = Lineage::read(&store, &path()).await.unwrap();
        assert!(restored.chain[0].sections[0].1 == body);
    });
}

#[test]
fn a_put_whose_answer_was_lost_is_found_to_be_ours() {
    let proxy = S3::shared().proxy();
    let store = behind(&proxy, "answer-lost", Duration::from_secs(5));
    run(async {
        let (mut lineage, _) = Lineage::open(&store, path()).await.unwrap();
        commit(&mut lineage, Kind::Full, "full").await.unwrap();
        proxy.next("PUT", Fault::AnswerLost);
        match commit(&mut lineage, Kind::Delta, "one").await {
            // The client tried again by itself and was told that the object exists.
            Ok(seq) => assert_eq!(seq, 3),
            Err(CommitError::Unavailable(_)) => {
                assert_eq!(commit(&mut lineage, Kind::Delta, "one").await.unwrap(), 3);
            }
            Err(other) => panic!("{other}"),
        }
        assert_eq!(proxy.faults(), 1);
        commit(&mut lineage, Kind::Delta, "two").await.unwrap();
        let restored = Lineage::read(&store, &path()).await.unwrap();
        assert_eq!((text(&restored), restored.warnings.len()), ("full one two".to_owned(), 0));
    });
}

#[test]
fn a_store_that_throttles_is_asked_again_a_little_later() {
    let proxy = S3::shared().proxy();
    let store = behind(&proxy, "throttled", Duration::from_secs(10));
    run(async {
        let (mut lineage, _) = Lineage::open(&store, path()).await.unwrap();
        for fault in [Fault::SlowDown; 3] {
            proxy.next("PUT", fault);
        }
        commit(&mut lineage, Kind::Full, "full").await.unwrap();
        assert_eq!(proxy.faults(), 3);
    });
}

#[test]
fn a_store_that_hangs_or_always_throttles_is_given_up_in_time() {
    let proxy = S3::shared().proxy();
    let store = behind(&proxy, "hangs", Duration::from_millis(400));
    run(async {
        let (mut lineage, _) = Lineage::open(&store, path()).await.unwrap();
        commit(&mut lineage, Kind::Full, "full").await.unwrap();
        for fault in [Fault::Hangs, Fault::SlowDown, Fault::Lost] {
            proxy.always(Some(fault));
            let began = tokio::time::Instant::now();
            let failed = commit(&mut lineage, Kind::Delta, "one").await.unwrap_err();
            assert!(matches!(failed, CommitError::Unavailable(_)), "{failed}");
            let failed = Lineage::open(&store, path()).await.unwrap_err();
            assert!(failed.may_pass(), "{failed}");
            assert!(began.elapsed() < Duration::from_secs(3), "{fault:?}: {:?}", began.elapsed());
        }
        proxy.always(None);
        assert_eq!(commit(&mut lineage, Kind::Delta, "one").await.unwrap(), 3);
    });
}

#[test]
fn a_bucket_that_is_not_there_is_named_and_not_waited_for() {
    let settings = S3::shared().settings().into_iter();
    let store = Store::open_with("s3://nowhere/prefix", options(), settings).unwrap();
    let refused = run(Lineage::open(&store, path())).unwrap_err();
    assert!(matches!(refused, OpenError::Refused(_)), "{refused}");
    assert!(refused.to_string().contains("bucket does not exist"), "{refused}");
}

/// Whatever fails: what was reported as done is there, in order, and nothing else of the same
/// writer's after it; a writer that lost the lineage never gets in between.
#[test]
fn whatever_fails_nothing_that_was_reported_is_lost_and_nothing_comes_twice() {
    for seed in 0..4 {
        let proxy = S3::shared().proxy();
        let bucket = format!("faults-{seed}");
        let store = behind(&proxy, &bucket, Duration::from_secs(2));
        run(async {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut written: Vec<String> = Vec::new();
            proxy.at_random(seed, 12);
            for life in 0..6 {
                let (mut lineage, restored) = open_at_last(&store).await;
                assert_eq!(text(&restored), written.join(" "), "seed {seed}, life {life}");
                for step in 0..random.usize(1..8) {
                    let full = written.is_empty() || random.u32(0..4) == 0;
                    let word = format!("{life}.{step}");
                    let kind = if full { Kind::Full } else { Kind::Delta };
                    // Until it is reported; a daemon sends newer contents each time, too.
                    for attempt in 0.. {
                        assert!(attempt < 100, "seed {seed}");
                        let sections = section(&word);
                        match lineage.commit(kind, Fields::default(), &sections).await {
                            Ok(_) => break,
                            Err(CommitError::Unavailable(_)) => {}
                            Err(other) => panic!("seed {seed}: {other}"),
                        }
                    }
                    if full {
                        written.clear();
                    }
                    written.push(word);
                }
            }
            assert!(proxy.faults() > 3, "seed {seed}: {} faults", proxy.faults());
        });
    }
}

async fn open_at_last(store: &Store) -> (Lineage, tidemark::io::checkpoint::Restored) {
    for _ in 0..100 {
        match Lineage::open(store, path()).await {
            Ok(opened) => return opened,
            Err(error) => assert!(error.may_pass(), "{error}"),
        }
    }
    panic!("it does not open in 100 attempts");
}
