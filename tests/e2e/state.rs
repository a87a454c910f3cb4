//! The state store, as the daemon lives with it: S3, stores that are away, disks that are full, and
//! `tidemark state`.

use crate::checkpoint::damage::SmallDisk;
use crate::e2e::daemon::{Installation, Running};
use crate::e2e::toy::{MODEL, Toy, WINDOW};
use crate::support::kafka_broker::shared;
use crate::support::s3::{Fault, Proxy, S3};
use crate::support::scrape::Scrape;
use serde_json::Value;
use std::process::{Command, Output};
use tidemark::engine::time::{Span, Timestamp};
use tidemark::io::clock;

fn an_hour_ago() -> Timestamp {
    (clock::now() - Span::from_hours(1)).floor(WINDOW, Timestamp(0))
}

/// Rows an hour old come after the topics were idle: they must wait for each other all the same.
fn config(toy: &Toy) -> String {
    toy.config("", "").replace("idle_after: 1s", "idle_after: 2h")
}

fn wait_for_pairs(daemon: &Running, count: f64) -> Scrape {
    daemon.wait_for(&format!("{count} pairs"), |scrape| {
        scrape.sum("tidemark_labeled_predictions_total", &[]) == count
    })
}

/// An installation whose state is in a bucket of its own.
fn on_s3(toy: &Toy, proxy: &Proxy, bucket: &str) -> Installation {
    S3::shared().create_bucket(bucket);
    let url = format!("s3://{bucket}/tidemark");
    let config = config(toy).replace("file://@HOME/state", &url);
    Installation::new(&config).with_environment(proxy.settings())
}

#[test]
fn state_on_s3_survives_a_kill_and_a_store_that_fails_in_between() {
    let toy = Toy::create(shared(), 2);
    let start = an_hour_ago();
    let proxy = S3::shared().proxy();
    let mut installation = on_s3(&toy, &proxy, "survives");
    let daemon = installation.start();
    toy.produce(shared(), &toy.window(start, 60, Some(3)));
    wait_for_pairs(&daemon, 60.0);
    // While nothing is taken, records are read all the same, and nothing is exported as durable.
    proxy.always(Some(Fault::SlowDown));
    toy.produce(shared(), &toy.window(start + WINDOW, 60, Some(3)));
    daemon.wait_for("reads on", |scrape| scrape.sum("tidemark_records_read_total", &[]) == 240.0);
    daemon.wait_until_log_says("it will be tried again");
    let scrape = daemon.metrics();
    assert_eq!(scrape.sum("tidemark_labeled_predictions_total", &[]), 60.0);
    assert!(scrape.sum("tidemark_checkpoint_failures_total", &[]) > 0.0);
    daemon.kill9();
    proxy.always(None);
    proxy.at_random(7, 10);
    let daemon = installation.start();
    let scrape = wait_for_pairs(&daemon, 120.0);
    assert_eq!(scrape.sum("tidemark_rows_read_total", &[]), 240.0, "none twice");
    assert!(daemon.stop().success());
}

#[test]
fn a_store_that_is_away_at_the_start_is_waited_for_and_said() {
    let toy = Toy::create(shared(), 2);
    toy.produce(shared(), &toy.window(an_hour_ago(), 60, Some(3)));
    let proxy = S3::shared().proxy();
    proxy.always(Some(Fault::Lost));
    let mut installation = on_s3(&toy, &proxy, "away");
    let daemon = installation.start();
    daemon.wait_until_ready_says(503, "the state store fails");
    assert_eq!(daemon.get("/-/healthy").0, 200);
    proxy.always(None);
    daemon.wait_until_ready();
    wait_for_pairs(&daemon, 60.0);
    assert!(daemon.stop().success());
    // It can be stopped while it waits.
    proxy.always(Some(Fault::Lost));
    let daemon = installation.start();
    daemon.wait_until_ready_says(503, "the state store fails");
    assert!(daemon.stop().success());
}

#[test]
fn a_full_disk_stops_no_reading_and_costs_no_number() {
    let Some(disk) = SmallDisk::mount("2m") else { return };
    let toy = Toy::create(shared(), 2);
    let start = an_hour_ago();
    let config = config(&toy).replace("file://@HOME/state", &disk.url());
    let mut installation = Installation::new(&config);
    let daemon = installation.start();
    toy.produce(shared(), &toy.window(start, 60, Some(3)));
    wait_for_pairs(&daemon, 60.0);
    disk.fill();
    toy.produce(shared(), &toy.window(start + WINDOW, 60, Some(3)));
    daemon.wait_until_log_says("No space left on device");
    let failures = daemon.metrics().sum("tidemark_checkpoint_failures_total", &[]);
    assert!(failures > 0.0);
    assert_eq!(daemon.get("/-/healthy").0, 200);
    // Not even a new start has the room to say that it is there; it waits.
    daemon.kill9();
    let daemon = installation.start();
    daemon.wait_until_ready_says(503, "No space left on device");
    disk.free();
    let scrape = wait_for_pairs(&daemon, 120.0);
    assert_eq!(scrape.sum("tidemark_rows_read_total", &[]), 240.0, "none twice");
    assert!(daemon.stop().success());
}

fn state(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
    let Output { status, stdout, stderr } =
        command.arg("state").args(arguments).output().expect("the program");
    let text = [stdout, stderr].concat();
    (status.code(), String::from_utf8(text).expect("text"))
}

fn json(arguments: &[&str]) -> (Option<i32>, Value) {
    let (code, text) = state(&[arguments, &["--json"]].concat());
    (code, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

#[test]
fn tidemark_state_shows_what_is_there_and_finds_what_is_damaged() {
    let toy = Toy::create(shared(), 2);
    toy.produce(shared(), &toy.window(an_hour_ago(), 60, Some(3)));
    let mut installation = Installation::new(&config(&toy));
    let daemon = installation.start();
    wait_for_pairs(&daemon, 60.0);
    // Something to fall back from.
    toy.produce(shared(), &toy.window(an_hour_ago() + WINDOW, 60, Some(3)));
    wait_for_pairs(&daemon, 120.0);
    let config = installation.config_file().display().to_string();
    let from = ["-c", config.as_str()];
    // A daemon that runs is not disturbed.
    let (code, text) = state(&["verify", "-c", &config]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("in 3 lineages: all whole"), "{text}");
    assert!(daemon.stop().success());

    let (code, listed) = json(&["ls", from[0], from[1]]);
    assert_eq!(code, Some(0));
    let lineages = listed["lineages"].as_array().expect("a list");
    let names: Vec<&str> = lineages.iter().filter_map(|one| one["lineage"].as_str()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(names[0], format!("models/{MODEL}"));
    let (code, text) = state(&["ls", from[0], from[1]]);
    assert!(code == Some(0) && text.starts_with("LINEAGE"), "{text}");

    let (code, shown) = json(&["show", "shards/", from[0], from[1]]);
    assert_eq!(code, Some(0));
    let shards = shown["lineages"].as_array().expect("a list");
    let inputs =
        || shards.iter().flat_map(|one| one["shard"]["inputs"].as_array().expect("inputs"));
    let sum = |name: &str| inputs().filter_map(|one| one[name].as_u64()).sum::<u64>();
    assert_eq!((sum("rows_read"), sum("next_offset")), (240, 240), "{shown}");
    let model = |one: &Value| one["shard"]["models"][0].clone();
    let matched: u64 =
        shards.iter().filter_map(|one| model(one)["outcomes"]["matched"].as_u64()).sum();
    assert_eq!(matched, 120, "{shown}");
    assert!(shards.iter().all(|one| model(one)["pending"] == 0), "{shown}");
    assert!(shards.iter().all(|one| one["restore"]["fits"] == true), "{shown}");
    let (code, text) = state(&["show", from[0], from[1]]);
    assert_eq!(code, Some(0));
    for part in ["a restore takes full checkpoint", "it fits this configuration", "next offset"] {
        assert!(text.contains(part), "{part}: {text}");
    }

    let newest = names[1];
    let seq = lineages[1]["newest_seq"].as_u64().expect("a number");
    let file = installation.home().join("state").join(newest).join(format!("{seq:020}"));
    let bytes = std::fs::read(&file).expect("a checkpoint");
    std::fs::write(&file, &bytes[..bytes.len() - 3]).expect("our own file");
    std::fs::write(installation.home().join("state/stray.txt"), "x").expect("our own file");
    let (code, text) = state(&["verify", "-c", &config]);
    assert_eq!(code, Some(1), "{text}");
    for part in ["DAMAGED", "it is cut short", "passed over", "not ours: stray.txt", "1 damaged"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (code, verdict) = json(&["verify", from[0], from[1]]);
    assert_eq!((code, &verdict["whole"]), (Some(1), &Value::Bool(false)));
    // The daemon restores what it says, and counts the damage.
    let daemon = installation.start();
    let scrape = wait_for_pairs(&daemon, 120.0);
    assert_eq!(scrape.sum("tidemark_checkpoint_files_damaged_total", &[]), 1.0);
    assert!(daemon.stop().success());
}

#[test]
fn tidemark_state_says_what_it_needs() {
    let (code, text) = state(&["ls"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("-c tidemark.yaml or --url"), "{text}");
    let (code, text) = state(&["ls", "--url", "file:///no/such/place"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("no such directory"), "{text}");
}
