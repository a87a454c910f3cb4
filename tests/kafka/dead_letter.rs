//! Dead letters on a real broker.

use std::time::Duration;

use crate::kafka::reader::{Reader, settings, source};
use crate::support::kafka_broker::{BrokerOptions, KafkaBroker, shared};
use crate::support::kafka_client::{Outgoing, PATIENCE, unique};
use tidemark::decode::record::{NoHeaders, Record};
use tidemark::engine::time::Timestamp;
use tidemark::io::clock::monotonic;
use tidemark::io::dead_letter::{DeadLetter, DeadLetterCounts, DeadLetterOptions, DeadLetters};

fn options(topic: &str, rate_max: u32) -> DeadLetterOptions {
    DeadLetterOptions { topic: topic.to_owned(), rate_max, task_id: "3".into() }
}

fn letter(record: Record<'_>) -> DeadLetter<'_> {
    DeadLetter {
        topic: "income.predictions",
        record,
        class: "tidemark::decode::prediction",
        reason: "missing_field",
        message: "field `/score` is missing – é",
    }
}

fn record(payload: &[u8]) -> Record<'_> {
    Record {
        partition: 7,
        offset: 9_007_199_254_740_993,
        timestamp: Timestamp::from_millis(1_700_000_000_123),
        key: Some(b"key"),
        payload: Some(payload),
        headers: &NoHeaders,
    }
}

#[test]
fn a_dead_letter_is_the_record_as_it_was_with_the_headers_of_kafka_connect() {
    let (from, to) = (unique("origin"), unique("letters"));
    shared().create_topic(&from, 1);
    shared().create_topic(&to, 1);
    let mut original = Outgoing::new([0xff, 0x00, 0x7f]).at_ms(1_234).keyed([0x00, 0xfe]);
    original.headers = vec![
        ("trace".into(), Some(b"abc".to_vec())),
        ("null".into(), None),
        ("empty".into(), Some(vec![])),
        ("trace".into(), Some(vec![0xff])),
    ];
    let tombstone = Outgoing { key: Some(vec![]), payload: None, ..original.clone() };
    let nothing =
        Outgoing { key: None, payload: Some(vec![]), headers: vec![], ..tombstone.clone() };
    let originals = [original, tombstone, nothing];
    shared().produce(&from, &originals);
    let mut source = source(std::slice::from_ref(&from));
    let mut reader = Reader::earliest();
    reader.drive(&mut source, |reader| reader.records.len() == 3);
    let mut letters = DeadLetters::new(&settings(shared(), "group"), options(&to, 100)).unwrap();
    for seen in &reader.records {
        let record = Record {
            partition: seen.at.partition,
            offset: seen.offset,
            timestamp: seen.timestamp,
            key: seen.key.as_deref(),
            payload: seen.payload.as_deref(),
            headers: &seen.headers,
        };
        let letter = DeadLetter { topic: &from, ..letter(record) };
        assert!(letters.write(&letter, monotonic()));
    }
    let counts = letters.close(PATIENCE);
    assert_eq!(counts, DeadLetterCounts { written: 3, ..DeadLetterCounts::default() });
    let found = shared().consume_all(&to);
    assert_eq!(found.len(), 3);
    for (offset, (found, original)) in found.iter().zip(&originals).enumerate() {
        assert_eq!((&found.key, &found.payload), (&original.key, &original.payload));
        assert_eq!(found.timestamp_ms, Some(1_234));
        let (own, ours) = found.headers.split_at(original.headers.len());
        assert_eq!(own, original.headers);
        let offset = offset.to_string();
        let expected = [
            ("topic", from.as_str()),
            ("partition", "0"),
            ("offset", &offset),
            ("connector.name", "tidemark"),
            ("task.id", "3"),
            ("stage", "VALUE_CONVERTER"),
            ("class.name", "tidemark::decode::prediction"),
            ("exception.class.name", "missing_field"),
            ("exception.message", "field `/score` is missing – é"),
        ];
        let expected = expected.map(|(name, value)| {
            (format!("__connect.errors.{name}"), Some(value.as_bytes().to_vec()))
        });
        assert_eq!(ours, expected);
    }
}

#[test]
fn letters_beyond_the_rate_are_counted_and_not_written() {
    let to = unique("letters");
    shared().create_topic(&to, 1);
    let mut letters = DeadLetters::new(&settings(shared(), "group"), options(&to, 2)).unwrap();
    let now = monotonic();
    let written = (0..5).filter(|_| letters.write(&letter(record(b"x")), now)).count();
    assert_eq!(written, 2);
    assert!(letters.write(&letter(record(b"y")), now + Duration::from_millis(500)));
    assert_eq!(letters.counts().over_rate, 3);
    let counts = letters.close(PATIENCE);
    assert_eq!((counts.written, counts.over_rate, counts.failed), (3, 3, 0));
    let offset = shared().consume_all(&to)[0].header("__connect.errors.offset").map(str::to_owned);
    assert_eq!(offset.as_deref(), Some("9007199254740993"));
}

#[test]
fn letters_that_the_brokers_do_not_take_are_counted_and_hold_nobody_up() {
    // The topic does not exist, and nobody creates it.
    let mut letters =
        DeadLetters::new(&settings(shared(), "group"), options(&unique("nowhere"), 100)).unwrap();
    // More than a broker takes in one record.
    let large = vec![0; 2_000_000];
    assert!(!letters.write(&letter(record(&large)), monotonic()));
    assert!(letters.write(&letter(record(b"x")), monotonic()));
    let counts = letters.close(Duration::from_millis(200));
    assert_eq!((counts.written, counts.refused, counts.failed), (0, 1, 1));
}

#[test]
fn when_the_broker_is_gone_letters_queue_up_to_a_bound_and_closing_is_bounded_too() {
    let mut broker = KafkaBroker::start(BrokerOptions::default());
    let mut letters =
        DeadLetters::new(&settings(&broker, "group"), options("letters", 1_000_000)).unwrap();
    broker.kill9();
    let (payload, now) = (vec![0; 10_000], monotonic());
    let queued = (0..3_000).filter(|_| letters.write(&letter(record(&payload)), now)).count();
    // 16 MiB.
    assert!((1_500..1_700).contains(&queued), "{queued}");
    assert_eq!(letters.counts().refused, 3_000 - queued as u64);
    let counts = letters.close(Duration::from_millis(100));
    assert_eq!(counts.failed, queued as u64);
    assert!(monotonic() - now < Duration::from_secs(20));
}
