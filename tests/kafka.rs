//! The source and the dead letters against Apache Kafka itself.

#![allow(clippy::unwrap_used)]

mod dead_letter;
mod reader;

use std::time::Duration;

use crate::support::kafka_broker::{BrokerOptions, KafkaBroker, shared};
use crate::support::kafka_client::{Outgoing, PATIENCE, unique};
use reader::{Reader, numbered, settings, source, source_with};
use tidemark::engine::time::Timestamp;
use tidemark::io::clock;
use tidemark::io::kafka::{
    KafkaSource, Membership, Resume, SourceError, SourceOptions, StartOffset, TopicPartition,
    partition_counts,
};

fn at(topic: usize, partition: i32) -> TopicPartition {
    TopicPartition { topic, partition }
}

/// Fresh topics on the shared broker.
fn topics<const N: usize>(stem: &str, partitions: i32) -> [String; N] {
    std::array::from_fn(|index| {
        let topic = unique(&format!("{stem}-{index}"));
        shared().create_topic(&topic, partitions);
        topic
    })
}

fn all() -> SourceOptions {
    SourceOptions { membership: Membership::All, ..SourceOptions::default() }
}

#[test]
fn the_broker_keeps_its_records_when_it_is_stopped_or_killed() {
    let mut broker = KafkaBroker::start(BrokerOptions::default());
    broker.create_topic("kept", 2);
    let written = broker.produce("kept", &[Outgoing::new("one").to(0).at_ms(5)]);
    assert_eq!(written, [(0, 0)]);
    broker.stop();
    broker.restart();
    broker.produce("kept", &[Outgoing::new("two").to(1).keyed("k").header("h", "v")]);
    broker.kill9();
    broker.restart();
    let read = broker.consume_all("kept");
    assert_eq!(read.len(), 2);
    assert_eq!(read[0].timestamp_ms, Some(5));
    assert_eq!((read[1].partition, read[1].header("h")), (1, Some("v")));
}

#[test]
fn a_group_reads_every_record_of_two_topics_once_and_in_the_order_of_its_partition() {
    let names: [String; 2] = topics("order", 3);
    for name in &names {
        shared().produce(name, &numbered(0..3, 100));
    }
    let mut source = source(&names);
    let mut reader = Reader::earliest();
    reader.drive(&mut source, |reader| reader.records.len() == 600);
    for topic in 0..2 {
        for partition in 0..3 {
            assert_eq!(reader.payloads(at(topic, partition)), (0..100).collect::<Vec<_>>());
        }
    }
    assert_eq!(reader.assigned[0].len(), 6);
    assert_eq!(source.status().discarded, 0);
    assert!(source.close(PATIENCE));
}

#[test]
fn a_record_comes_with_its_key_payload_headers_and_timestamp() {
    let names: [String; 1] = topics("parts", 1);
    let mut tombstone = Outgoing::default().to(0).keyed("");
    tombstone.headers = vec![("null".into(), None), ("twice".into(), Some(vec![]))];
    tombstone.headers.push(("twice".into(), Some(vec![0xff])));
    shared().produce(
        &names[0],
        &[Outgoing::new("value").to(0).at_ms(1_234).keyed("key").header("h", "v"), tombstone],
    );
    let mut source = source_with(&names, all());
    let mut reader = Reader::earliest();
    reader.drive(&mut source, |reader| reader.records.len() == 2);
    let first = &reader.records[0];
    assert_eq!(first.timestamp, Timestamp::from_millis(1_234));
    assert_eq!(
        (first.key.as_deref(), first.payload.as_deref()),
        (Some(&b"key"[..]), Some(&b"value"[..]))
    );
    assert_eq!(first.headers, [("h".to_owned(), Some(b"v".to_vec()))]);
    let second = &reader.records[1];
    assert_eq!((second.key.as_deref(), second.payload.as_deref()), (Some(&b""[..]), None));
    assert_eq!(
        second.headers,
        [
            ("null".to_owned(), None),
            ("twice".to_owned(), Some(vec![])),
            ("twice".to_owned(), Some(vec![0xff])),
        ]
    );
}

#[test]
fn reading_starts_where_the_handler_says_and_the_offset_is_explicit() {
    let names: [String; 1] = topics("start", 5);
    for partition in 0..5 {
        let record = |i: i64| Outgoing::new(i.to_string()).to(partition).at_ms(1_000 + i);
        shared().produce(&names[0], &(0..10).map(record).collect::<Vec<_>>());
    }
    let mut source = source_with(&names, all());
    let mut reader = Reader::new(|at| match at.partition {
        0 => StartOffset::Earliest,
        1 => StartOffset::Latest,
        2 => StartOffset::At(7),
        3 => StartOffset::Time(Timestamp(1_003_001)),
        _ => StartOffset::Time(Timestamp::from_secs(60)),
    });
    reader.drive(&mut source, |reader| reader.ends_of() == 5);
    let expected = [(0, 0), (1, 10), (2, 7), (3, 4), (4, 10)];
    assert_eq!(reader.assigned, [expected.map(|(p, offset)| (at(0, p), offset))]);
    assert_eq!(reader.payloads(at(0, 0)).len(), 10);
    assert_eq!(reader.payloads(at(0, 2)), [7, 8, 9]);
    assert_eq!(reader.payloads(at(0, 3)), [4, 5, 6, 7, 8, 9]);
    assert_eq!(reader.records.len(), 19);
}

#[test]
fn a_committed_offset_is_for_others_to_see_and_nothing_is_read_from_there() {
    let names: [String; 1] = topics("commit", 1);
    shared().produce(&names[0], &numbered(0..1, 10));
    let group = unique("group");
    let mut first =
        KafkaSource::new(settings(shared(), &group), names.to_vec(), SourceOptions::default())
            .unwrap();
    let mut reader = Reader::earliest();
    reader.drive(&mut first, |reader| reader.records.len() == 10);
    first.commit(&[(at(0, 0), 6)]);
    let committed = || shared().committed(&group, &names[0], 0);
    reader.drive(&mut first, |_| committed() == Some(6));
    assert!(first.close(PATIENCE));
    let mut second =
        KafkaSource::new(settings(shared(), &group), names.to_vec(), SourceOptions::default())
            .unwrap();
    let mut reader = Reader::new(|_| StartOffset::At(9));
    reader.drive(&mut second, |reader| !reader.ends.is_empty());
    assert_eq!(reader.payloads(at(0, 0)), [9]);
    // Not a member of the group any more: counted, and nothing else happens.
    shared().delete_topic(&names[0]);
}

#[test]
fn records_that_retention_took_away_are_reported_when_reading_starts() {
    let names: [String; 1] = topics("retention", 2);
    shared().produce(&names[0], &numbered(0..2, 10));
    shared().delete_records(&names[0], 0, 4);
    let mut source = source_with(&names, all());
    // Partition 0 has lost records; partition 1 has fewer than the checkpoint says.
    let mut reader = Reader::new(|at| StartOffset::At(if at.partition == 0 { 2 } else { 25 }));
    reader.resume = |at| if at.partition == 0 { Resume::LogStart } else { Resume::LogEnd };
    reader.drive(&mut source, |reader| reader.ends_of() == 2);
    let lost: Vec<_> =
        reader.lost.iter().map(|it| (it.at, it.wanted, it.log_start, it.log_end)).collect();
    assert_eq!(lost, [(at(0, 0), 2, 4, 10), (at(0, 1), 25, 0, 10)]);
    assert!(!reader.lost[0].beyond_end() && reader.lost[1].beyond_end());
    assert_eq!(reader.payloads(at(0, 0)), [4, 5, 6, 7, 8, 9]);
    assert_eq!(reader.payloads(at(0, 1)), [] as [i64; 0]);
}

#[test]
fn records_that_retention_takes_away_while_reading_is_paused_are_reported() {
    let names: [String; 2] = topics("passed", 1);
    shared().produce(&names[1], &numbered(0..1, 3));
    let mut source = source_with(&names, all());
    let mut reader = Reader::earliest();
    reader.drive(&mut source, |reader| reader.ends_of() == 2);
    source.pause(&[at(0, 0)]);
    shared().produce(&names[0], &numbered(0..1, 10));
    shared().delete_records(&names[0], 0, 6);
    source.resume(&[at(0, 0)]);
    reader.drive(&mut source, |reader| reader.payloads(at(0, 0)).len() == 4);
    assert_eq!(reader.lost.len(), 1);
    assert_eq!((reader.lost[0].wanted, reader.lost[0].log_start), (0, 6));
    assert_eq!(reader.payloads(at(0, 0)), [6, 7, 8, 9]);
    assert_eq!(reader.payloads(at(0, 1)), [] as [i64; 0]);
    assert_eq!(reader.payloads(at(1, 0)), [0, 1, 2], "the other topic goes on where it was");
}

#[test]
fn the_end_of_a_partition_is_confirmed_again_and_again_but_not_while_it_is_paused() {
    let names: [String; 1] = topics("idle", 2);
    shared().produce(&names[0], &numbered(0..2, 5));
    let options = SourceOptions { log_ends_every: Duration::from_millis(100), ..all() };
    let mut source = source_with(&names, options);
    let mut reader = Reader::earliest();
    let started = clock::now();
    reader.drive(&mut source, |reader| reader.ends_at(at(0, 0)).len() >= 3);
    let ends = reader.ends_at(at(0, 0));
    assert!(ends.iter().all(|&(offset, confirmed)| offset == 5 && confirmed >= started));
    assert!(ends.windows(2).all(|pair| pair[0].1 < pair[1].1), "{ends:?}");
    source.pause(&[at(0, 0)]);
    let (paused, other) = (reader.ends_at(at(0, 0)).len(), reader.ends_at(at(0, 1)).len());
    shared().produce(&names[0], &numbered(0..2, 5));
    reader.drive(&mut source, |reader| reader.ends_at(at(0, 1)).len() >= other + 3);
    assert_eq!(reader.ends_at(at(0, 0)).len(), paused);
    assert_eq!(reader.payloads(at(0, 0)).len(), 5);
    let status: Vec<_> = source.partitions().collect();
    assert_eq!((status[0].position, status[0].log_end, status[0].lag()), (5, 10, 5));
    assert!(status[0].paused && status[1].lag() == 0);
    source.resume(&[at(0, 0)]);
    reader.drive(&mut source, |reader| reader.payloads(at(0, 0)).len() == 10);
    reader.drive(&mut source, |reader| reader.ends_at(at(0, 0)).len() > paused);
}

#[test]
fn what_a_transaction_leaves_in_the_log_does_not_hide_the_end() {
    let names: [String; 1] = topics("transaction", 1);
    shared().produce_in_transaction(&names[0], &numbered(0..1, 3), true);
    shared().produce_in_transaction(&names[0], &numbered(0..1, 4), false);
    let mut source = source_with(&names, all());
    let mut reader = Reader::earliest();
    reader.drive(&mut source, |reader| !reader.ends.is_empty());
    assert_eq!(reader.payloads(at(0, 0)), [0, 1, 2]);
    // Three records, a marker, four aborted records, a marker.
    assert_eq!(reader.ends_at(at(0, 0))[0].0, 9);
    assert_eq!(source.partitions().next().unwrap().lag(), 0);
}

#[test]
fn two_members_share_the_partitions_alike_for_both_topics_and_one_takes_over_from_the_other() {
    let names: [String; 2] = topics("members", 3);
    let group = unique("group");
    let member = || {
        let mut settings = settings(shared(), &group);
        settings.properties.insert("session.timeout.ms".into(), "6000".into());
        settings.properties.insert("heartbeat.interval.ms".into(), "200".into());
        KafkaSource::new(settings, names.to_vec(), SourceOptions::default()).unwrap()
    };
    for name in &names {
        shared().produce(name, &numbered(0..3, 10));
    }
    let (mut one, mut other) = (member(), member());
    // Both know how far anybody has come, as checkpoints would tell them.
    let mut reader = Reader::earliest();
    let mut second = Reader::earliest();
    let owned = |source: &KafkaSource| source.partitions().map(|it| it.at).collect::<Vec<_>>();
    let deadline = clock::monotonic() + PATIENCE;
    // Three partitions for two members: any other strategy would tear some of them apart.
    while owned(&one).len().min(owned(&other).len()) != 2 {
        reader.poll(&mut one);
        second.starts = reader.merged_positions(&second);
        second.poll(&mut other);
        reader.starts = second.merged_positions(&reader);
        assert!(clock::monotonic() < deadline, "no balance");
    }
    for source in [&one, &other] {
        let of_topic = |topic| owned(source).into_iter().filter(move |at| at.topic == topic);
        let partitions = |topic| of_topic(topic).map(|at| at.partition).collect::<Vec<_>>();
        assert_eq!(partitions(0), partitions(1));
    }
    let mine = owned(&one);
    assert!(owned(&other).iter().all(|theirs| !mine.contains(theirs)));
    assert!(one.close(PATIENCE));
    second.starts = reader.merged_positions(&second);
    for name in &names {
        shared().produce(name, &numbered(0..3, 10));
    }
    second.drive(&mut other, |second| {
        let (first, second) = (&reader.records, &second.records);
        first.len() + second.len() >= 120
    });
    assert_eq!(reader.records.len() + second.records.len(), 120, "each record once");
    assert_eq!(owned(&other).len(), 6);
}

#[test]
fn a_topic_that_does_not_exist_is_reported_and_read_as_soon_as_it_appears() {
    for membership in [Membership::All, Membership::Group] {
        let [there]: [String; 1] = topics("there", 1);
        let missing = unique("missing");
        let options = SourceOptions { membership, ..SourceOptions::default() };
        let mut source = source_with(&[there.clone(), missing.clone()], options);
        let mut reader = Reader::earliest();
        reader.drive_status(&mut source, |status| status.missing == [1]);
        assert_eq!(source.status().connected, Some(true));
        assert_eq!(source.status().partition_counts, [Some(1), None]);
        shared().create_topic(&missing, 1);
        shared().produce(&missing, &numbered(0..1, 3));
        reader.drive(&mut source, |reader| reader.payloads(at(1, 0)).len() == 3);
        reader.drive_status(&mut source, |status| status.missing.is_empty());
        assert_eq!(reader.payloads(at(1, 0)), [0, 1, 2]);
    }
}

#[test]
fn a_consumer_that_stalls_is_replaced_and_no_record_is_lost_or_comes_twice() {
    for membership in [Membership::All, Membership::Group] {
        let names: [String; 2] = topics("stall", 2);
        shared().produce(&names[0], &numbered(0..2, 10));
        let options = SourceOptions {
            membership,
            log_ends_every: Duration::from_millis(100),
            stalled_after: Duration::from_millis(500),
        };
        let mut source = source_with(&names, options);
        let mut reader = Reader::earliest();
        reader.drive(&mut source, |reader| reader.records.len() == 20 && reader.ends_of() == 4);
        assert_eq!(source.status().recreated, 0);
        source.stall();
        shared().produce(&names[0], &numbered(0..2, 10));
        reader.drive(&mut source, |reader| reader.records.len() == 40);
        assert_eq!(source.status().recreated, 1);
        reader.drive(&mut source, |reader| reader.ends_at(at(0, 1)).iter().any(|it| it.0 == 20));
        assert_eq!(reader.records.len(), 40);
        let revoked: Vec<_> = reader.revoked.iter().map(Vec::len).collect();
        assert_eq!(revoked, [4]);
    }
}

#[test]
fn while_the_broker_is_away_nothing_is_confirmed_and_afterwards_nothing_is_missing() {
    let mut broker = KafkaBroker::start(BrokerOptions::default());
    broker.create_topic("away", 1);
    broker.produce("away", &numbered(0..1, 5));
    broker.create_topic("poisoned", 1);
    broker.produce("poisoned", &[Outgoing::new("0").header("poison", "p").header("good", "g")]);
    let options = SourceOptions { log_ends_every: Duration::from_millis(100), ..all() };
    let mut source =
        KafkaSource::new(settings(&broker, "group"), vec!["away".into()], options).unwrap();
    let mut reader = Reader::earliest();
    reader.drive(&mut source, |reader| !reader.ends.is_empty());
    broker.kill9();
    reader.drive_status(&mut source, |status| status.connected == Some(false));
    let confirmed = reader.ends.len();
    // Longer than it takes to ask for the end, several times.
    let later = clock::monotonic() + Duration::from_secs(1);
    while clock::monotonic() < later {
        reader.poll(&mut source);
    }
    assert_eq!(reader.ends.len(), confirmed);
    assert!(source.status().last_error.is_some());
    broker.restart();
    broker.produce("away", &numbered(0..1, 5));
    reader.drive(&mut source, |reader| reader.records.len() == 10);
    reader.drive_status(&mut source, |status| status.connected == Some(true));
    let offsets: Vec<_> = reader.records.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, (0..10).collect::<Vec<_>>());
    broker.stop();
    // A header whose name is not UTF-8, which no client of ours can write.
    broker.edit_log("poisoned", 0, b"poison", b"po\xffson");
    broker.restart();
    let poisoned = vec!["poisoned".to_owned()];
    let mut poison = KafkaSource::new(settings(&broker, "group"), poisoned, all()).unwrap();
    let mut poison_reader = Reader::earliest();
    poison_reader.drive(&mut poison, |reader| reader.records.len() == 1);
    assert_eq!(poison_reader.records[0].headers, [("good".to_owned(), Some(b"g".to_vec()))]);
    // One that hangs is no better than one that is gone, until it goes on.
    broker.freeze();
    reader.drive_status(&mut source, |status| status.connected == Some(false));
    broker.thaw();
    reader.drive_status(&mut source, |status| status.connected == Some(true));
    // Gone for good: closing does not wait for it.
    broker.freeze();
    let before = clock::monotonic();
    source.close(Duration::from_secs(2));
    assert!(clock::monotonic() - before < Duration::from_secs(4));
}

#[test]
fn partition_counts_are_told_and_an_absent_broker_is_an_error() {
    let [topic]: [String; 1] = topics("counts", 3);
    let names = [topic, unique("nowhere")];
    let counts = partition_counts(&settings(shared(), "group"), &names, PATIENCE).unwrap();
    assert_eq!(counts, [Some(3), None]);
    let mut nobody = settings(shared(), "group");
    nobody.bootstrap_servers = "127.0.0.1:1".into();
    let error = partition_counts(&nobody, &names, Duration::from_millis(1)).unwrap_err();
    assert!(matches!(error, SourceError::Unavailable(_)), "{error}");
}

#[test]
fn added_partitions_are_read_too() {
    for membership in [Membership::All, Membership::Group] {
        let names: [String; 1] = topics("grown", 1);
        shared().produce(&names[0], &numbered(0..1, 3));
        let mut settings = settings(shared(), &unique("group"));
        let refresh = "topic.metadata.refresh.interval.ms";
        settings.properties.insert(refresh.into(), "500".into());
        let options = SourceOptions { membership, ..SourceOptions::default() };
        let mut source = KafkaSource::new(settings, names.to_vec(), options).unwrap();
        let mut reader = Reader::earliest();
        reader.drive(&mut source, |reader| reader.records.len() == 3);
        shared().add_partitions(&names[0], 2);
        shared().produce(&names[0], &numbered(1..2, 3));
        source.check_topics();
        reader.drive(&mut source, |reader| reader.payloads(at(0, 1)).len() == 3);
        assert_eq!(reader.records.len(), 6);
    }
}
