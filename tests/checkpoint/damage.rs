//! Disks that are full or read-only, and files that are missing: told, survived, nothing lost.

use super::{Scratch, at_once, commit, edit, path, run, text};
use std::path::Path;
use std::process::Command;
use tidemark::io::checkpoint::{CommitError, Kind, Lineage, OpenError, Store};

/// A file system in memory of so many bytes; `None` without the right to mount one.
pub struct SmallDisk {
    directory: tempfile::TempDir,
}

impl SmallDisk {
    pub fn mount(size: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let options = format!("size={size},mode=0700");
        let mounted = mount(&["-t", "tmpfs", "-o", &options, "tmpfs"], directory.path());
        if !mounted {
            eprintln!("not tested: mounting a small disk needs root and the right to mount");
        }
        mounted.then_some(Self { directory })
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn url(&self) -> String {
        format!("file://{}/state", self.path().display())
    }

    /// Fills what is free.
    pub fn fill(&self) {
        let file = self.path().join("filler");
        let mut bytes = vec![0; 1 << 20];
        // By halves, so that not even a small file fits in the end.
        while !bytes.is_empty() {
            let more = std::fs::OpenOptions::new().create(true).append(true).open(&file).unwrap();
            if std::io::Write::write_all(&mut &more, &bytes).is_err() {
                bytes.truncate(bytes.len() / 2);
            }
        }
    }

    pub fn free(&self) {
        std::fs::remove_file(self.path().join("filler")).unwrap();
    }

    pub fn set_read_only(&self, read_only: bool) {
        let how = if read_only { "remount,ro" } else { "remount,rw" };
        assert!(mount(&["-o", how], self.path()));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn mount(options: &[&str], at: &Path) -> bool {
    let output = Command::new("mount").args(options).arg(at).output();
    output.is_ok_and(|output| output.status.success())
}

#[test]
fn a_full_disk_is_named_and_what_was_durable_stays() {
    let Some(disk) = SmallDisk::mount("256k") else { return };
    let store = Store::open(&disk.url(), at_once()).unwrap();
    let (mut lineage, _) = run(Lineage::open(&store, path())).unwrap();
    run(commit(&mut lineage, Kind::Full, "full")).unwrap();
    disk.fill();
    for _ in 0..3 {
        let failed = run(commit(&mut lineage, Kind::Delta, &"x".repeat(50_000))).unwrap_err();
        assert!(matches!(failed, CommitError::Unavailable(_)), "{failed}");
        assert!(failed.to_string().contains("No space left on device"), "{failed}");
    }
    let restored = run(Lineage::read(&store, &path())).unwrap();
    assert_eq!((text(&restored), restored.warnings.len()), ("full".to_owned(), 0));
    // A daemon that starts now waits for space.
    let failed = run(Lineage::open(&store, path())).unwrap_err();
    assert!(failed.may_pass() && failed.to_string().contains("No space left"), "{failed}");
    disk.free();
    run(commit(&mut lineage, Kind::Delta, "delta")).unwrap();
    let (_, restored) = run(Lineage::open(&store, path())).unwrap();
    assert_eq!((text(&restored), restored.warnings.len()), ("full delta".to_owned(), 0));
    // What was half written has not been left behind.
    let folder = disk.path().join("state/shards/income/0");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let staged: Vec<_> = names.filter(|name| name.to_string_lossy().contains('#')).collect();
    assert!(staged.is_empty(), "{staged:?}");
}

#[test]
fn a_read_only_disk_is_named_and_not_waited_for_at_the_start() {
    let Some(disk) = SmallDisk::mount("256k") else { return };
    let store = Store::open(&disk.url(), at_once()).unwrap();
    let (mut lineage, _) = run(Lineage::open(&store, path())).unwrap();
    run(commit(&mut lineage, Kind::Full, "full")).unwrap();
    disk.set_read_only(true);
    let refused = run(Lineage::open(&store, path())).unwrap_err();
    assert!(matches!(refused, OpenError::Refused(_)), "{refused}");
    assert!(refused.to_string().contains("Read-only file system"), "{refused}");
    let failed = run(commit(&mut lineage, Kind::Delta, "one")).unwrap_err();
    assert!(matches!(failed, CommitError::Refused(_)), "{failed}");
    assert_eq!(text(&run(Lineage::read(&store, &path())).unwrap()), "full");
    disk.set_read_only(false);
    run(commit(&mut lineage, Kind::Delta, "one")).unwrap();
    assert_eq!(text(&run(Lineage::read(&store, &path())).unwrap()), "full one");
}

#[test]
fn whichever_file_is_missing_or_cut_anywhere_the_longest_whole_chain_before_it_is_restored() {
    // (file, what is left when it is bad): full 2, deltas 3 and 4, full 5, delta 6
    let left = [(2, "second more"), (3, "second more"), (5, "full one two"), (6, "second")];
    for (seq, expected) in left {
        let scratch = Scratch::new();
        let mut lineage = scratch.full_and_two_deltas();
        run(commit(&mut lineage, Kind::Full, "second")).unwrap();
        run(commit(&mut lineage, Kind::Delta, "more")).unwrap();
        let whole = std::fs::read(scratch.file(seq)).unwrap();
        std::fs::remove_file(scratch.file(seq)).unwrap();
        assert_eq!(text(&scratch.read()), expected, "without {seq}");
        for cut in 0..whole.len() {
            std::fs::write(scratch.file(seq), &whole[..cut]).unwrap();
            assert_eq!(text(&scratch.read()), expected, "{seq} cut at {cut}");
        }
        // It opens, and goes on.
        let (mut lineage, _) = scratch.open();
        run(commit(&mut lineage, Kind::Delta, "further")).unwrap();
        assert_eq!(text(&scratch.read()), format!("{expected} further"));
    }
}

#[test]
fn restarts_in_a_row_leave_no_more_chains_behind_than_are_kept() {
    let scratch = Scratch::keeping(3);
    // Each life ends after one full checkpoint: none of them sees two.
    for life in 0..12 {
        let (mut lineage, restored) = scratch.open();
        assert_eq!(text(&restored).is_empty(), life == 0);
        run(commit(&mut lineage, Kind::Full, &format!("full{life}"))).unwrap();
        run(commit(&mut lineage, Kind::Delta, "delta")).unwrap();
    }
    assert_eq!(text(&scratch.read()), "full11 delta");
    assert!(scratch.names().len() <= 9, "{:?}", scratch.names());
    // The one before is there to fall back on.
    let newest = *scratch.names().iter().rev().nth(1).unwrap();
    edit(&scratch.file(newest), |bytes| bytes.clear());
    assert_eq!(text(&scratch.read()), "full10 delta");
}

#[test]
fn what_is_needless_stays_for_the_grace() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", directory.path().display());
    let hour = std::time::Duration::from_secs(3_600);
    let options =
        tidemark::io::checkpoint::StoreOptions { keep_fulls: 2, delete_grace: hour, ..at_once() };
    let store = Store::open(&url, options).unwrap();
    let (mut lineage, _) = run(Lineage::open(&store, path())).unwrap();
    for round in 0..6 {
        run(commit(&mut lineage, Kind::Full, &format!("full{round}"))).unwrap();
    }
    let folder = directory.path().join("shards/income/0");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 6, "all but the claim before them");
}
