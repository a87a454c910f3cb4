//! What each field of a prediction accepts, and how every row is accounted for.

use super::support::{
    binary, categorical, decode, decoder, fields, last_cell, model, multiclass, numeric, record,
    refusal, regression, started,
};
use tidemark::decode::canonical::{id_hash, push_f64};
use tidemark::decode::spec::PredictionFields;
use tidemark::decode::{
    DEPTH_MAX, ID_BYTES_MAX, PAYLOAD_BYTES_MAX, PredictionDecoder, PredictionSource, ROWS_MAX,
};
use tidemark::engine::event::{CLASS_NONE, CellState, ModelIndex, RefusalReason};

/// A binary model with only an id and a score.
fn plain() -> PredictionDecoder {
    decoder(&model("m", binary("1", None), vec![]), "{ id: /i, score: /s }")
}

fn id_of(value: &str) -> u128 {
    decode(&mut plain(), &format!(r#"{{"i":{value},"s":0.5}}"#)).batches[0].ids[0]
}

#[test]
fn one_id_has_one_canonical_text() {
    for (spellings, text) in [
        (&["123", "\"123\"", "123.0", "1.23e2", "12300E-2", "\"\\u00312\\u0033\""][..], "123"),
        (&["0", "-0", "0.0", "-0.0e5", "\"0\""], "0"),
        (&["-7", "-7.0", "-0.7e1"], "-7"),
        (&["12345678901234567890123", "\"12345678901234567890123\""], "12345678901234567890123"),
        (&["9007199254740993", "9007199254740993.0", "9.007199254740993e15"], "9007199254740993"),
        (&["1e3", "1000"], "1000"),
        (&["0.5", "5e-1", "0.50", "\"0.5\""], "0.5"),
        (&["1e-7", "0.0000001"], "0.0000001"),
        (&["0.1", "0.1000000000000000055511151231257827"], "0.1"),
        (&["true", "\"true\""], "true"),
        (&["false"], "false"),
        (&["\"a\\/\\u00e9\\ud83d\\ude00\\n\"", "\"a/é😀\\n\""], "a/é😀\n"),
        (&["\" 1\""], " 1"),
        (&["\"1.0\""], "1.0"),
    ] {
        for spelling in spellings {
            assert_eq!(id_of(spelling), id_hash(text), "{spelling} is not {text}");
        }
    }
}

#[test]
fn a_double_has_the_canonical_text_of_its_json() {
    for value in [0.0, -0.0, 123.0, 0.5, -7.25, 1e15, 1e22, 1e-7, 5e-324, f64::MAX] {
        let mut text = String::new();
        assert!(push_f64(value, &mut text));
        assert_eq!(id_of(&format!("{value:e}")), id_hash(&text), "{value}");
    }
    let mut text = String::new();
    assert!(!push_f64(f64::NAN, &mut text) && text.is_empty());
}

#[test]
fn an_id_that_cannot_join_is_refused() {
    for (value, reason) in [
        ("\"\"", RefusalReason::MissingField),
        ("null", RefusalReason::WrongType),
        ("[1]", RefusalReason::WrongType),
        ("{}", RefusalReason::WrongType),
        ("1e400", RefusalReason::OutOfRange),
        ("NaN", RefusalReason::OutOfRange),
    ] {
        let (found, message) = refusal(&mut plain(), &format!(r#"{{"i":{value},"s":0.5}}"#));
        assert_eq!(found, reason, "{value}");
        assert!(message.starts_with("`id` at `/i` "), "{message}");
    }
    assert_eq!(refusal(&mut plain(), r#"{"s":0.5}"#).0, RefusalReason::MissingField);
    let longest = "x".repeat(ID_BYTES_MAX);
    assert_eq!(id_of(&format!("\"{longest}\"")), id_hash(&longest));
    let (reason, message) = refusal(&mut plain(), &format!(r#"{{"i":"{longest}y","s":0.5}}"#));
    assert_eq!(reason, RefusalReason::TooLarge);
    assert!(!message.contains("xx"), "the message shows the id");
}

#[test]
fn ids_come_from_key_header_and_several_places() {
    let spec = model("m", binary("1", None), vec![]);
    let headers = vec![
        ("n".to_owned(), Some(b"first".to_vec())),
        ("n".to_owned(), Some(b"last".to_vec())),
        ("null".to_owned(), None),
        ("bytes".to_owned(), Some(vec![0xff])),
    ];
    let read = |selector: &str| {
        let mut decoder = decoder(&spec, &format!("{{ id: {selector}, score: /s }}"));
        let mut out = started(&decoder);
        let mut record = record(br#"{"s":0.5,"a":{"b":["x",12.0]}}"#);
        record.key = Some(b"k");
        record.headers = &headers;
        decoder.decode(&record, &mut out);
        out.batches[0].ids.first().copied().ok_or(out.refusals.first().map(|why| why.reason))
    };
    assert_eq!(read("key"), Ok(id_hash("k")));
    assert_eq!(read("header:n"), Ok(id_hash("last")));
    assert_eq!(read("[key, header:n, /a/b/1]"), Ok(id_hash("k\u{1f}last\u{1f}12")));
    assert_eq!(read("header:null"), Err(Some(RefusalReason::MissingField)));
    assert_eq!(read("header:none"), Err(Some(RefusalReason::MissingField)));
    assert_eq!(read("header:bytes"), Err(Some(RefusalReason::WrongType)));
    assert_eq!(read("[key, /none]"), Err(Some(RefusalReason::MissingField)));
}

#[test]
fn a_score_is_a_number_and_a_probability_for_binary_models() {
    let read = |decoder: &mut PredictionDecoder, value: &str| {
        let out = decode(decoder, &format!(r#"{{"i":1,"s":{value}}}"#));
        out.batches[0].scores.first().copied().ok_or(out.refusals.first().map(|why| why.reason))
    };
    for (value, expected) in [
        ("0.25", Ok(0.25)),
        ("0", Ok(0.0)),
        ("1", Ok(1.0)),
        ("1e-400", Ok(0.0)),
        ("1.0000001", Err(Some(RefusalReason::OutOfRange))),
        ("-0.1", Err(Some(RefusalReason::OutOfRange))),
        ("NaN", Err(Some(RefusalReason::OutOfRange))),
        ("1e400", Err(Some(RefusalReason::OutOfRange))),
        ("\"0.5\"", Err(Some(RefusalReason::WrongType))),
        ("true", Err(Some(RefusalReason::WrongType))),
        ("null", Err(Some(RefusalReason::WrongType))),
    ] {
        assert_eq!(read(&mut plain(), value), expected, "{value}");
    }
    let spec = model("m", regression(), vec![]);
    let mut regression = decoder(&spec, "{ id: /i, score: /s }");
    assert_eq!(read(&mut regression, "-1234.5e3"), Ok(-1_234_500.0));
    assert_eq!(read(&mut regression, "-Infinity"), Err(Some(RefusalReason::OutOfRange)));
}

#[test]
fn a_weight_is_a_positive_number_and_may_come_from_a_header() {
    let spec = model("m", binary("1", None), vec![]);
    let mut decoder = decoder(&spec, "{ id: /i, score: /s, weight: header:rate }");
    let mut read = |text: &str| {
        let mut out = started(&decoder);
        let headers = vec![("rate".to_owned(), Some(text.as_bytes().to_vec()))];
        let mut record = record(br#"{"i":1,"s":0.5}"#);
        record.headers = &headers;
        decoder.decode(&record, &mut out);
        out.batches[0].weights.first().copied().ok_or(out.refusals.first().map(|why| why.reason))
    };
    assert_eq!(read("2.5"), Ok(2.5));
    assert_eq!(read("1e-3"), Ok(0.001));
    assert_eq!(read("0"), Err(Some(RefusalReason::OutOfRange)));
    assert_eq!(read("-1"), Err(Some(RefusalReason::OutOfRange)));
    for wrong in ["", "x", "1x", " 1", "0x1", "inf", "nan", "+1", ".5", "1."] {
        assert_eq!(read(wrong), Err(Some(RefusalReason::WrongType)), "{wrong}");
    }
}

fn classes(task: tidemark::engine::spec::Task, value: &str) -> Result<u16, RefusalReason> {
    let mut decoder = decoder(&model("m", task, vec![]), "{ id: /i, class: /c }");
    let out = decode(&mut decoder, &format!(r#"{{"i":1,"c":{value}}}"#));
    out.batches[0].classes.first().copied().ok_or_else(|| out.refusals[0].reason)
}

#[test]
fn classes_are_compared_by_canonical_text() {
    for value in ["1", "1.0", "\"1\"", "10e-1"] {
        assert_eq!(classes(binary("1", None), value), Ok(1), "{value}");
    }
    for value in ["0", "\"no\"", "-1", "0.7"] {
        assert_eq!(classes(binary("1", None), value), Ok(0), "{value}");
    }
    assert_eq!(classes(binary("yes", Some("no")), "\"no\""), Ok(0));
    assert_eq!(classes(binary("yes", Some("no")), "\"YES\""), Err(RefusalReason::UnknownClass));
    assert_eq!(classes(binary("true", None), "true"), Ok(1));
    assert_eq!(classes(binary("true", None), "false"), Ok(0));
    assert_eq!(classes(multiclass(&["a", "2"]), "2"), Ok(1));
    assert_eq!(classes(multiclass(&["a", "2"]), "\"b\""), Err(RefusalReason::UnknownClass));
    assert_eq!(classes(multiclass(&["a", "2"]), "null"), Err(RefusalReason::WrongType));
}

#[test]
fn a_boolean_is_never_silently_the_opposite_of_a_positive_class_that_is_none() {
    assert_eq!(classes(binary("1", None), "true"), Err(RefusalReason::UnknownClass));
    assert_eq!(classes(binary("1", None), "false"), Err(RefusalReason::UnknownClass));
}

#[test]
fn an_unknown_class_is_named_in_the_message() {
    let spec = model("m", multiclass(&["a", "b"]), vec![]);
    let mut decoder = decoder(&spec, "{ id: /i, class: /c }");
    let (_, message) = refusal(&mut decoder, r#"{"i":1,"c":"c\u0000d"}"#);
    assert_eq!(message, "`class` at `/c` is no class of the model: `c\\0d`");
}

#[test]
fn probabilities_are_an_object_or_an_array_in_the_order_of_the_classes() {
    let spec = model("m", multiclass(&["a", "b", "c"]), vec![]);
    let mut decoder = decoder(&spec, "{ id: /i, probabilities: /p }");
    let mut read = |value: &str| {
        let out = decode(&mut decoder, &format!(r#"{{"i":1,"p":{value}}}"#));
        let found = out.batches[0].probabilities.clone();
        assert_eq!(out.batches[0].classes, vec![CLASS_NONE; out.batches[0].len()]);
        if found.is_empty() { Err(out.refusals[0].reason) } else { Ok(format!("{found:?}")) }
    };
    let ok = |text: &str| Ok(text.to_owned());
    assert_eq!(read("[0.1, 0.2 ,0.7]"), ok("[0.1, 0.2, 0.7]"));
    assert_eq!(read(r#"{ "c" : 0.7 , "a":0.1, "b":0.2}"#), ok("[0.1, 0.2, 0.7]"));
    assert_eq!(read(r#"{"\u0063":0.7,"a":null}"#), ok("[NaN, NaN, 0.7]"));
    assert_eq!(read(r#"{"a":"x","b":0.5,"a":0.5}"#), ok("[0.5, 0.5, NaN]"));
    assert_eq!(read("[0.1,0.9]"), Err(RefusalReason::WrongType));
    assert_eq!(read("[0.1,0.2,0.3,0.4]"), Err(RefusalReason::WrongType));
    assert_eq!(read("[0.1,\"0.2\",0.7]"), Err(RefusalReason::WrongType));
    assert_eq!(read("[0.1,1.2,0.7]"), Err(RefusalReason::OutOfRange));
    assert_eq!(read("[0.1,NaN,0.7]"), Err(RefusalReason::OutOfRange));
    assert_eq!(read("[null,null,null]"), Err(RefusalReason::MissingField));
    assert_eq!(read("{}"), Err(RefusalReason::MissingField));
    assert_eq!(read(r#"{"a":0.1,"d":0.9}"#), Err(RefusalReason::UnknownClass));
    assert_eq!(read("0.5"), Err(RefusalReason::WrongType));
    assert_eq!(read("null"), Err(RefusalReason::WrongType));
}

#[test]
fn a_feature_never_refuses_its_row() {
    let features = vec![numeric("n"), categorical("c", &["a", "1", "true", "é"])];
    let spec = model("m", binary("1", None), features);
    let mut decoder = decoder(&spec, "{ id: /i, score: /s, features: /f }");
    let mut cell = |name: &str, value: &str| {
        let out = decode(&mut decoder, &format!(r#"{{"i":1,"s":0.5,"f":{{"{name}":{value}}}}}"#));
        last_cell(&out, if name == "n" { 0 } else { 1 })
    };
    assert_eq!(cell("n", "-12.5e1"), (CellState::Present, -125.0));
    for value in ["NaN", "Infinity", "-Infinity", "1e400", "-1e999999999999999999999"] {
        assert_eq!(cell("n", value).0, CellState::NonFinite, "{value}");
        assert_eq!(cell("c", value).0, CellState::NonFinite, "{value}");
    }
    for value in ["\"1\"", "true", "[]", "{}", "\"\""] {
        assert_eq!(cell("n", value).0, CellState::Invalid, "{value}");
    }
    for name in ["n", "c"] {
        assert_eq!(cell(name, "null").0, CellState::Null);
    }
    for (value, code) in [("\"a\"", 0.0), ("1.0", 1.0), ("true", 2.0), ("\"\\u00E9\"", 3.0)] {
        assert_eq!(cell("c", value), (CellState::Present, code), "{value}");
    }
    for value in ["\"b\"", "false", "\"\"", "2"] {
        assert_eq!(cell("c", value).0, CellState::New, "{value}");
    }
    for value in ["[\"a\"]", "{}"] {
        assert_eq!(cell("c", value).0, CellState::Invalid, "{value}");
    }
    for payload in
        [r#"{"i":1,"s":0.5,"f":{}}"#, r#"{"i":1,"s":0.5,"f":null}"#, r#"{"i":1,"s":0.5}"#]
    {
        let out = decode(&mut decoder, payload);
        assert_eq!(last_cell(&out, 0).0, CellState::Missing, "{payload}");
        assert_eq!(last_cell(&out, 1).0, CellState::Missing, "{payload}");
    }
    let (reason, message) = refusal(&mut decoder, r#"{"i":1,"s":0.5,"f":"{\"n\":1}"}"#);
    assert_eq!(reason, RefusalReason::WrongType);
    assert_eq!(message, "`features` at `/f` is a string");
    let (reason, message) = refusal(&mut decoder, r#"{"i":1,"s":0.5,"f":7}"#);
    assert_eq!(reason, RefusalReason::WrongType);
    assert_eq!(message, "`features` at `/f` is a number");
}

#[test]
fn of_a_repeated_name_the_last_one_counts() {
    let spec = model("m", binary("1", None), vec![numeric("n"), numeric("k")]);
    let mut decoder = decoder(&spec, "{ id: /i, score: /s, features: /f }");
    let out = decode(&mut decoder, r#"{"i":1,"s":9,"i":2,"s":0.5,"f":{"n":1,"n":2}}"#);
    assert_eq!(out.batches[0].ids, [id_hash("2")]);
    assert_eq!(last_cell(&out, 0), (CellState::Present, 2.0));
    let out = decode(&mut decoder, r#"{"i":1,"s":0.5,"f":{"n":1},"\u0066":{"k":2}}"#);
    assert_eq!(last_cell(&out, 0).0, CellState::Missing, "nothing of the first object may stay");
    assert_eq!(last_cell(&out, 1), (CellState::Present, 2.0));
    let out = decode(&mut decoder, r#"{"i":1,"s":0.5,"f":{"n":1},"f":null}"#);
    assert_eq!(last_cell(&out, 0).0, CellState::Missing);
}

#[test]
fn a_batch_in_one_record_numbers_the_ids_of_its_envelope() {
    let spec = model("m", binary("1", None), vec![numeric("a"), numeric("b")]);
    let yaml = "{ rows: /instances, id: /request, score: ./p, event_time: { path: /at, unit: s }, \
                features: [{ name: a, path: ./x/0 }, { name: b, path: ./x/1 }] }";
    let mut decoder = decoder(&spec, yaml);
    let payload =
        r#"{"instances":[{"p":0.1,"x":[1,2]},{"p":7},{"x":[3],"p":0.3}],"request":"r","at":9}"#;
    let mut out = started(&decoder);
    let outcome = decoder.decode(&record(payload.as_bytes()), &mut out);
    let batch = &out.batches[0];
    assert_eq!((outcome.appended, outcome.refused.total(), outcome.rows()), (2, 1, 3));
    assert_eq!(outcome.refused.get(RefusalReason::OutOfRange), 1);
    assert_eq!(batch.ids, [id_hash("r#0"), id_hash("r#2")]);
    assert_eq!(batch.rows, [0, 2]);
    assert_eq!(batch.offsets, [7, 7]);
    assert_eq!(batch.event_times[1].0, 9_000_000);
    assert_eq!(batch.scores, [0.1, 0.3]);
    assert_eq!(last_cell(&out, 0), (CellState::Present, 3.0));
    assert_eq!(last_cell(&out, 1).0, CellState::Missing);
    assert_eq!(out.refusals[0].position.row, 1);
    assert_eq!(out.refusals[0].position.offset, 7);
    assert_eq!(out.refusals[0].position.partition, 3);
}

#[test]
fn an_id_of_the_row_is_not_numbered() {
    let spec = model("m", binary("1", None), vec![]);
    let yaml = "{ rows: \"\", id: [key, ./n], score: ./s }";
    let mut decoder = decoder(&spec, yaml);
    let mut out = started(&decoder);
    let mut record = record(br#"[{"n":5,"s":0.5}]"#);
    record.key = Some(b"k");
    decoder.decode(&record, &mut out);
    assert_eq!(out.batches[0].ids, [id_hash("k\u{1f}5")]);
}

#[test]
fn rows_may_be_bare_values() {
    let spec = model("m", binary("1", None), vec![]);
    let mut decoder = decoder(&spec, "{ rows: /predictions, id: /id, score: . }");
    let out = decode(&mut decoder, r#"{"predictions":[0.25,"x",0.75],"id":1}"#);
    assert_eq!(out.batches[0].scores, [0.25, 0.75]);
    assert_eq!(out.batches[0].ids, [id_hash("1#0"), id_hash("1#2")]);
}

#[test]
fn a_record_without_rows_is_refused_as_one() {
    let spec = model("m", binary("1", None), vec![]);
    let mut decoder = decoder(&spec, "{ rows: /r, id: ./i, score: ./s }");
    for (payload, reason) in [
        (r#"{"r":[]}"#, RefusalReason::MissingField),
        (r#"{}"#, RefusalReason::MissingField),
        (r#"{"r":null}"#, RefusalReason::WrongType),
        (r#"{"r":{"i":1,"s":0.5}}"#, RefusalReason::WrongType),
        (r#"{"r":[{"i":1,"s":0.5}],"r":[]}"#, RefusalReason::MissingField),
        (r#"{"r":[{"i":1,"s":0.5}],"r":7}"#, RefusalReason::WrongType),
        (r#"{"r":[{"i":1,"s":0.5},]}"#, RefusalReason::Malformed),
        (r#"{"r":[{"i":1,"s":0.5}]"#, RefusalReason::Malformed),
        (r#"[]"#, RefusalReason::MissingField),
    ] {
        let mut out = started(&decoder);
        let outcome = decoder.decode(&record(payload.as_bytes()), &mut out);
        assert_eq!((outcome.rows(), outcome.refused.get(reason)), (1, 1), "{payload}");
        assert!(out.batches[0].is_empty());
    }
}

#[test]
fn maxima_refuse_and_do_not_break() {
    let spec = model("m", binary("1", None), vec![]);
    let mut rows = decoder(&spec, "{ rows: \"\", id: ./i, score: ./s }");
    let list = |count: u32| format!("[{}]", vec![r#"{"i":1,"s":0.5}"#; count as usize].join(","));
    assert_eq!(decode(&mut rows, &list(ROWS_MAX)).batches[0].len(), ROWS_MAX as usize);
    assert_eq!(refusal(&mut rows, &list(ROWS_MAX + 1)).0, RefusalReason::TooLarge);

    let nested = |depth: usize| {
        format!(r#"{{"i":1,"s":0.5,"x":{}{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1))
    };
    assert_eq!(decode(&mut plain(), &nested(DEPTH_MAX)).batches[0].len(), 1);
    assert_eq!(refusal(&mut plain(), &nested(DEPTH_MAX + 1)).0, RefusalReason::TooDeep);
    let endless = "[{\"a\":".repeat(1_000_000);
    assert_eq!(refusal(&mut plain(), &endless).0, RefusalReason::TooDeep);

    let large = format!(r#"{{"i":1,"s":0.5}}{}"#, " ".repeat(PAYLOAD_BYTES_MAX - 15));
    assert_eq!(large.len(), PAYLOAD_BYTES_MAX);
    assert_eq!(decode(&mut plain(), &large).batches[0].len(), 1);
    assert_eq!(refusal(&mut plain(), &format!("{large} ")).0, RefusalReason::TooLarge);
}

#[test]
fn tombstones_and_empty_payloads_are_told_apart() {
    let mut decoder = plain();
    let mut out = started(&decoder);
    let mut tombstone = record(b"");
    tombstone.payload = None;
    let outcome = decoder.decode(&tombstone, &mut out);
    assert_eq!((outcome.tombstone, outcome.rows()), (1, 1));
    let outcome = decoder.decode(&record(b""), &mut out);
    assert_eq!((outcome.refused.get(RefusalReason::Malformed), outcome.rows()), (1, 1));
}

#[test]
fn a_topic_of_several_models_is_routed_by_canonical_text() {
    let income = model("income", binary("1", None), vec![numeric("age"), numeric("hours")]);
    let fraud = model("fraud", multiclass(&["x", "y"]), vec![numeric("age")]);
    let first = fields("{ id: /i, model: /m, version: /v, score: /s, features: /f }");
    let second = fields("{ id: /i, model: /m, class: /c, features: /f }");
    let source = |i, spec, fields, route| PredictionSource {
        model: ModelIndex(i),
        spec,
        fields,
        route: Some(route),
    };
    let sources = [source(4, &income, &first, "7"), source(9, &fraud, &second, "fraud")];
    let mut decoder = PredictionDecoder::new(&sources).unwrap();
    let mut out = started(&decoder);
    let mut all = (0, 0, 0);
    for payload in [
        r#"{"i":1,"m":7.0,"v":3,"s":0.5,"f":{"age":30,"hours":40}}"#,
        r#"{"i":2,"m":"fraud","c":"y","f":{"age":31}}"#,
        r#"{"i":3,"m":"other","c":"y"}"#,
        r#"{"i":4,"c":"y"}"#,
        r#"{"i":5,"m":"7","s":0.5}"#,
    ] {
        let outcome = decoder.decode(&record(payload.as_bytes()), &mut out);
        assert_eq!(outcome.rows(), 1);
        all.0 += outcome.appended;
        all.1 += outcome.undeclared;
        all.2 += outcome.refused.get(RefusalReason::MissingField);
    }
    assert_eq!(all, (2, 1, 2));
    assert_eq!(out.refusals[1].message, "`version` at `/v` is missing");
    assert_eq!(out.batches[0].model, ModelIndex(4));
    assert_eq!(out.batches[0].versions.get(0), "3");
    assert_eq!(out.batches[0].features.len(), 2);
    assert_eq!(out.batches[1].model, ModelIndex(9));
    assert_eq!(out.batches[1].classes, [1]);
    assert_eq!(last_cell(&out, 0), (CellState::Present, 30.0));
    out.start(5);
    assert!(out.batches.iter().all(|batch| batch.is_empty() && batch.partition == 5));
}

#[test]
fn models_on_a_topic_must_be_told_apart() {
    let spec = model("m", binary("1", None), vec![]);
    let fault = |first: (&PredictionFields, Option<&str>), second| {
        let source =
            |(fields, route)| PredictionSource { model: ModelIndex(0), spec: &spec, fields, route };
        let found = PredictionDecoder::new(&[source(first), source(second)]);
        found.err().map_or(String::new(), |fault| fault.to_string())
    };
    let routed = fields("{ id: /i, score: /s, model: /m }");
    let bare = fields("{ id: /i, score: /s }");
    let rows = fields("{ rows: /r, id: /i, score: /s, model: /m }");
    assert_eq!(fault((&routed, Some("a")), (&routed, Some("b"))), "");
    assert!(fault((&routed, Some("a")), (&routed, Some("a"))).contains("same text"));
    assert!(fault((&routed, Some("a")), (&routed, None)).contains("needs the text"));
    assert!(fault((&bare, None), (&bare, None)).contains("several models"));
    assert!(fault((&routed, Some("a")), (&rows, Some("b"))).starts_with("`rows`"));
    assert!(fault((&routed, Some("a")), (&bare, None)).starts_with("`model`"));
    assert!(fault((&bare, Some("a")), (&bare, None)).contains("no `model` selector"));
}

#[test]
fn features_need_a_place() {
    let spec = model("m", binary("1", None), vec![numeric("age")]);
    for yaml in ["{ id: /i, score: /s }", "{ id: /i, score: /s, features: [] }"] {
        let fields = fields(yaml);
        let source =
            PredictionSource { model: ModelIndex(0), spec: &spec, fields: &fields, route: None };
        assert_eq!(PredictionDecoder::new(&[source]).err().unwrap().field, "features");
    }
}

#[test]
fn a_pointer_crosses_arrays_objects_and_strange_names() {
    let names = vec![numeric("a/b"), numeric("m~n"), numeric(""), numeric("q\"\\"), numeric("0")];
    let spec = model("m", binary("1", None), names);
    let mut in_object = decoder(&spec, "{ id: /0/1, score: /1, features: /2 }");
    let payload = r#"[["x","y"],0.5,{"a/b":1,"m~n":2,"":3,"q\"\\":4,"0":5}]"#;
    let out = decode(&mut in_object, payload);
    assert_eq!(out.batches[0].ids, [id_hash("y")]);
    for feature in 0..5 {
        assert_eq!(last_cell(&out, feature), (CellState::Present, feature as f64 + 1.0));
    }
    // The same pointer reads `{"0": ...}` and `[...]`, but `01` is no position.
    let spec = model("m", binary("1", None), vec![numeric("0"), numeric("01")]);
    let mut decoder = decoder(&spec, "{ id: /i, score: /s, features: /f }");
    let cells =
        |out: &tidemark::decode::PredictionOutput| (last_cell(out, 0).0, last_cell(out, 1).0);
    let out = decode(&mut decoder, r#"{"i":1,"s":0.5,"f":{"0":1,"01":2}}"#);
    assert_eq!(cells(&out), (CellState::Present, CellState::Present));
    let (reason, _) = refusal(&mut decoder, r#"{"i":1,"s":0.5,"f":[1,2]}"#);
    assert_eq!(reason, RefusalReason::WrongType, "the features are named: an array has no names");
}

#[test]
fn positions_in_an_array_are_written_without_leading_zeros() {
    let features = ["1", "01", "-", "4294967297"];
    let spec = model("m", binary("1", None), features.map(numeric).to_vec());
    let list = features.map(|part| format!("{{ name: \"{part}\", path: /x/{part} }}")).join(", ");
    let mut decoder = decoder(&spec, &format!("{{ id: /i, score: /s, features: [{list}] }}"));
    let out = decode(&mut decoder, r#"{"i":1,"s":0.5,"x":[1,2]}"#);
    assert_eq!(last_cell(&out, 0), (CellState::Present, 2.0));
    for (feature, name) in features.iter().enumerate().skip(1) {
        assert_eq!(last_cell(&out, feature).0, CellState::Missing, "{name}");
    }
}

#[test]
fn the_position_of_a_fault_is_told() {
    for (payload, message) in [
        (r#"{"i":1 "s":0.5}"#, "not well-formed JSON at byte 7: expected `,` or `}`"),
        (r#"{"i":1,"s":0.5"#, "not well-formed JSON at byte 14: it ends too early"),
        ("\u{feff}{}", "not well-formed JSON at byte 0: a byte order mark"),
        (r#"{"i":"\ud800"}"#, "not well-formed JSON at byte 12: a lone surrogate"),
        ("{} {}", "not well-formed JSON at byte 3: something behind the end"),
    ] {
        assert_eq!(refusal(&mut plain(), payload).1, message);
    }
    let mut out = started(&plain());
    plain().decode(&record(b"{\"i\":\"\xff\"}"), &mut out);
    assert_eq!(out.refusals[0].message, "not well-formed JSON at byte 6: not UTF-8");
}
