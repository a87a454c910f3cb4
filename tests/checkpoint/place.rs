//! Where checkpoints are kept: what can be a place, and a name.

use super::{Scratch, commit, path, run, text};
use tidemark::io::checkpoint::{
    Kind, Lineage, LineagePath, OpenError, Store, StoreError, StoreOptions,
};

#[test]
fn a_place_that_cannot_be_written_is_reported_at_once() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "in the way").unwrap();
    let url = format!("file://{}/file/state", directory.path().display());
    let refused = Store::open(&url, StoreOptions::default()).unwrap_err();
    assert!(matches!(refused, StoreError::Directory { .. }), "{refused}");
    assert!(refused.to_string().contains("file/state: Not a directory"), "{refused}");
    // A directory that is there, but in which the lineage's cannot be made.
    let scratch = Scratch::new();
    std::fs::write(scratch.folder().ancestors().nth(2).unwrap(), "in the way").unwrap();
    let failed = run(Lineage::open(&scratch.store, path())).unwrap_err();
    assert!(matches!(failed, OpenError::Refused(_)), "{failed}");
}

#[test]
fn a_url_without_support_says_what_to_use_instead() {
    for (url, expected) in [("relative/path", "is not a URL"), ("ftp://host/path", "is not a URL")]
    {
        let refused = Store::open(url, StoreOptions::default()).unwrap_err();
        assert!(refused.to_string().contains(expected), "{refused}");
    }
    assert!(Store::open("memory:///", StoreOptions::default()).is_ok());
}

#[test]
fn any_text_is_a_safe_name_and_different_texts_are_different_names() {
    let long = "x".repeat(500);
    let names = ["a/b", "a=2Fb", "a%2Fb", ".", "..", "", " ", "ümlaut", "a#1", &long, &long[1..]];
    let mut seen = std::collections::BTreeSet::new();
    let scratch = Scratch::new();
    for name in names {
        let path = LineagePath::model(name);
        assert_eq!(path.to_string().matches('/').count(), 1, "{path}");
        assert!(path.to_string().len() < 250, "{path}");
        assert!(seen.insert(path.clone()), "{path}");
        let (mut lineage, restored) = run(Lineage::open(&scratch.store, path.clone())).unwrap();
        assert!(restored.chain.is_empty(), "{path}");
        run(commit(&mut lineage, Kind::Full, name)).unwrap();
        let again = run(Lineage::read(&scratch.store, &path)).unwrap();
        assert_eq!(text(&again), name);
    }
}
