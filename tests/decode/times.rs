//! Event times in every unit. Expected values of RFC 3339 texts come from `jiff`.

use super::support::{binary, decoder, fields, model, record, started};
use tidemark::decode::PredictionDecoder;
use tidemark::engine::event::RefusalReason;
use tidemark::engine::time::Timestamp;

fn timed(unit: &str) -> PredictionDecoder {
    let yaml = format!("{{ id: /i, score: /s, event_time: {{ path: /t, unit: {unit} }} }}");
    decoder(&model("m", binary("1", None), vec![]), &yaml)
}

/// The event time of a JSON value, or why it is refused.
fn read(decoder: &mut PredictionDecoder, value: &str) -> Result<i64, (RefusalReason, String)> {
    let payload = format!(r#"{{"i":1,"s":0.5,"t":{value}}}"#);
    let mut out = started(decoder);
    decoder.decode(&record(payload.as_bytes()), &mut out);
    match out.refusals.first() {
        Some(refusal) => Err((refusal.reason, refusal.message.clone())),
        None => Ok(out.batches[0].event_times[0].0),
    }
}

#[test]
fn rfc_3339_times_are_read_as_jiff_reads_them() {
    let mut decoder = timed("rfc3339");
    let texts = [
        "2026-01-31T09:30:00Z",
        "2026-01-31T09:30:00.25Z",
        "2026-01-31 10:30:00+01:00",
        "2026-01-31t10:30:00.123456+01:00",
        "2024-02-29T23:59:59.999999-23:59",
        "2000-02-29T00:00:00+05:30",
        "1900-03-01T00:00:00Z",
        "1969-12-31T23:59:59.5Z",
        "1970-01-01T00:00:00z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
        "2026-01-31T09:30:00+0130",
        "2026-01-31T09:30:00-03",
    ];
    for text in texts {
        let expected = if text.starts_with("9999") {
            // Beyond jiff's last timestamp by its margin for offsets.
            253_402_300_799_999_999
        } else {
            let wanted: jiff::Timestamp = text.parse().expect(text);
            wanted.as_microsecond()
        };
        assert_eq!(read(&mut decoder, &format!("\"{text}\"")), Ok(expected), "{text}");
    }
}

#[test]
fn every_day_from_1890_to_2110_is_read_as_jiff_reads_it() {
    let mut decoder = timed("rfc3339");
    let mut day = jiff::civil::date(1890, 1, 1);
    while day.year() < 2110 {
        let text = format!("{day}T12:34:56Z");
        let wanted: jiff::Timestamp = text.parse().unwrap();
        assert_eq!(read(&mut decoder, &format!("\"{text}\"")), Ok(wanted.as_microsecond()));
        day = day.tomorrow().unwrap();
    }
}

#[test]
fn nanoseconds_are_cut_towards_the_past() {
    let mut text = timed("rfc3339");
    assert_eq!(read(&mut text, r#""1970-01-01T00:00:00.123456789Z""#), Ok(123_456));
    assert_eq!(read(&mut text, r#""1969-12-31T23:59:59.9999999Z""#), Ok(-1));
    assert_eq!(read(&mut text, r#""1970-01-01T00:00:00.1Z""#), Ok(100_000));
    let mut nanos = timed("ns");
    assert_eq!(read(&mut nanos, "1999"), Ok(1));
    assert_eq!(read(&mut nanos, "-1"), Ok(-1));
    assert_eq!(read(&mut nanos, "-1000"), Ok(-1));
    assert_eq!(read(&mut nanos, "-1001"), Ok(-2));
    assert_eq!(read(&mut nanos, "1700000000123456789"), Ok(1_700_000_000_123_456));
}

#[test]
fn numbers_count_exactly_in_their_unit_however_they_are_written() {
    let second = 1_700_000_000_000_000;
    for (unit, value, expected) in [
        ("s", "1700000000", second),
        ("s", "1700000000.123456", second + 123_456),
        ("s", "1700000000.1234569", second + 123_456),
        ("s", "1.7e9", second),
        ("s", "17000000.0012345E+2", second + 123_450),
        ("s", "\"1700000000.5\"", second + 500_000),
        ("s", "0", 0),
        ("s", "-0.0", 0),
        ("s", "-0.0000001", -1),
        ("s", "1e-7", 0),
        ("ms", "1700000000123", second + 123_000),
        ("ms", "1700000000123.25", second + 123_250),
        ("ms", "\"1700000000123\"", second + 123_000),
        ("us", "1700000000123456", second + 123_456),
        ("us", "1700000000123456.9", second + 123_456),
        ("ns", "1.7e18", second),
    ] {
        assert_eq!(read(&mut timed(unit), value), Ok(expected), "{value} {unit}");
    }
}

#[test]
fn what_is_no_time_is_refused_with_a_reason() {
    let mut text = timed("rfc3339");
    for wrong in [
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T23:60:00Z",
        "2026-01-31T23:59:61Z",
        "2026-01-31T23:59:59.Z",
        "2026-01-31T23:59:59+24:00",
        "2026-01-31T23:59:59+01:60",
        "2026-01-31T23:59:59 01:00",
        "2026-01-31",
        "20260131T093000Z",
        "0000-12-31T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "+2026-01-31T09:30:00Z",
        "",
        "yesterday",
        "２０２６-01-31T09:30:00Z",
    ] {
        let (reason, message) = read(&mut text, &format!("\"{wrong}\"")).unwrap_err();
        assert_eq!(reason, RefusalReason::InvalidTime, "{wrong}");
        assert!(message.contains("`/t`"), "{message}");
    }
    let (_, message) = read(&mut text, "\"2026-01-31T09:30:00\"").unwrap_err();
    assert!(message.contains("no offset"), "{message}");
    let (reason, message) = read(&mut text, "1700000000").unwrap_err();
    assert_eq!(reason, RefusalReason::InvalidTime);
    assert!(message.contains("`unit`"), "{message}");
    for (unit, wrong) in [
        ("s", "253402300800"),
        ("s", "-62135596801"),
        ("ms", "1e400"),
        ("ms", "NaN"),
        ("ms", "\"\""),
        ("ms", "\"1700 \""),
        ("ms", "\"0x10\""),
        ("ms", "\"2026-01-31T09:30:00Z\""),
        ("ns", "99999999999999999999999"),
    ] {
        let (reason, _) = read(&mut timed(unit), wrong).unwrap_err();
        assert_eq!(reason, RefusalReason::InvalidTime, "{wrong} {unit}");
    }
    for (wrong, expected) in [
        ("null", RefusalReason::WrongType),
        ("true", RefusalReason::WrongType),
        ("{}", RefusalReason::WrongType),
    ] {
        assert_eq!(read(&mut text, wrong).unwrap_err().0, expected, "{wrong}");
    }
}

#[test]
fn a_message_quotes_a_wrong_time_shortened_and_escaped() {
    let mut decoder = timed("rfc3339");
    let long = format!("\"\\u0007{}\"", "x".repeat(100));
    let (_, message) = read(&mut decoder, &long).unwrap_err();
    assert!(message.len() < 200, "{message}");
    assert!(message.chars().all(|c| !c.is_control()), "{message}");
}

#[test]
fn without_a_field_the_event_time_is_the_records() {
    let spec = model("m", binary("1", None), vec![]);
    let mut decoder = decoder(&spec, "{ id: /i, score: /s }");
    let mut out = started(&decoder);
    let mut record = record(br#"{"i":1,"s":0.5}"#);
    record.timestamp = Timestamp(42);
    decoder.decode(&record, &mut out);
    assert_eq!(out.batches[0].event_times, [Timestamp(42)]);
    assert_eq!(out.batches[0].record_times, [Timestamp(42)]);
}

#[test]
fn a_time_can_be_written_short_for_rfc_3339() {
    let short = fields("{ id: /i, score: /s, event_time: /t }");
    let long = fields("{ id: /i, score: /s, event_time: { path: /t, unit: rfc3339 } }");
    assert_eq!(short, long);
}
