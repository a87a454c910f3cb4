//! Labels: one row for all models that listen to a topic.

use super::support::{RECORD_TIME, binary, multiclass, record, regression};
use tidemark::decode::canonical::id_hash;
use tidemark::decode::spec::LabelFields;
use tidemark::decode::{LabelDecoder, LabelListener, LabelOutput};
use tidemark::engine::event::{LabelValue, ModelIndex, RefusalReason};
use tidemark::engine::spec::Task;

fn fields(yaml: &str) -> LabelFields {
    serde_saphyr::from_str(yaml).expect("the test's fields are valid")
}

fn decoder(listeners: &[(u16, &Task, &LabelFields)]) -> LabelDecoder {
    let listeners: Vec<_> = listeners
        .iter()
        .map(|&(model, task, fields)| LabelListener { model: ModelIndex(model), task, fields })
        .collect();
    LabelDecoder::new(&listeners).expect("the test's fields fit")
}

fn decode(decoder: &mut LabelDecoder, payload: &str) -> LabelOutput {
    let mut out = decoder.output();
    out.start(3);
    let outcome = decoder.decode(&record(payload.as_bytes()), &mut out);
    assert_eq!(outcome.appended as usize, out.batch.len());
    assert_eq!(outcome.refused.total() as usize, out.refusals.len());
    assert!(outcome.rows() > 0);
    for column in &out.batch.values {
        assert_eq!(column.values.len(), out.batch.len());
    }
    out
}

#[test]
fn a_label_is_read_once_for_each_way_of_reading_it() {
    let (yes, twin, multi, number) =
        (binary("1", None), binary("1", None), multiclass(&["1", "2"]), regression());
    let (first, second) = (fields("{ id: /i, label: /a }"), fields("{ id: /i, label: /b }"));
    let mut decoder = decoder(&[
        (5, &yes, &first),
        (6, &twin, &first),
        (7, &multi, &first),
        (8, &number, &first),
        (9, &yes, &second),
    ]);
    let columns: Vec<_> = (5..10).map(|i| decoder.column(ModelIndex(i)).unwrap()).collect();
    assert_eq!(columns, [0, 0, 1, 2, 3]);
    assert_eq!(decoder.column(ModelIndex(4)), None);
    let row = |out: &LabelOutput| -> Vec<_> {
        out.batch.values.iter().map(|column| column.values[0]).collect()
    };
    let out = decode(&mut decoder, r#"{"i":1,"a":2.0,"b":"1"}"#);
    let class = |code| Some(LabelValue::Class(code));
    assert_eq!(row(&out), [class(0), class(1), Some(LabelValue::Number(2.0)), class(1)]);
    assert_eq!(out.batch.ids, [id_hash("1")]);
    assert_eq!(out.batch.event_times, [RECORD_TIME]);
    let out = decode(&mut decoder, r#"{"i":1,"a":"x"}"#);
    assert_eq!(row(&out), [class(0), None, None, None]);
}

#[test]
fn two_thresholds_read_the_same_label() {
    let low = Task::Binary { positive_class: "1".into(), negative_class: None, threshold: 0.1 };
    let fields = fields("{ id: /i, label: /a }");
    let decoder = decoder(&[(0, &binary("1", None), &fields), (1, &low, &fields)]);
    assert_eq!(decoder.output().batch.values.len(), 1);
}

#[test]
fn a_label_that_nobody_can_read_is_refused_with_the_first_reason() {
    let (multi, number) = (multiclass(&["a"]), regression());
    let fields = fields("{ id: /i, label: /a }");
    let mut decoder = decoder(&[(0, &multi, &fields), (1, &number, &fields)]);
    for (payload, reason) in [
        (r#"{"i":1,"a":"b"}"#, RefusalReason::UnknownClass),
        (r#"{"i":1}"#, RefusalReason::MissingField),
        (r#"{"i":1,"a":null}"#, RefusalReason::WrongType),
        (r#"{"i":1,"a":[]}"#, RefusalReason::WrongType),
        (r#"{"i":1,"a":NaN}"#, RefusalReason::OutOfRange),
        (r#"{"a":"a"}"#, RefusalReason::MissingField),
        (r#"{"i":1,"a":"a""#, RefusalReason::Malformed),
    ] {
        let out = decode(&mut decoder, payload);
        assert!(out.batch.is_empty(), "{payload}");
        assert_eq!(out.refusals[0].reason, reason, "{payload}");
    }
}

#[test]
fn labels_can_come_in_rows() {
    let fields =
        fields("{ rows: /labels, id: ./id, label: ./y, event_time: { path: /t, unit: s } }");
    let mut decoder = decoder(&[(0, &regression(), &fields)]);
    let out = decode(
        &mut decoder,
        r#"{"labels":[{"id":1,"y":2},{"id":2,"y":"3"},{"id":3,"y":4}],"t":1}"#,
    );
    assert_eq!(out.batch.rows, [0, 2]);
    assert_eq!(out.batch.ids, [id_hash("1"), id_hash("3")]);
    assert_eq!(out.refusals[0].reason, RefusalReason::WrongType);
    assert_eq!(out.refusals[0].position.row, 1);
}

#[test]
fn a_label_may_be_the_whole_payload() {
    let fields = fields("{ id: key, label: . }");
    let mut decoder = decoder(&[(0, &binary("1", Some("0")), &fields)]);
    let mut out = decoder.output();
    let mut record = record(b" 1 ");
    record.key = Some(b"order-7");
    decoder.decode(&record, &mut out);
    assert_eq!(out.batch.ids, [id_hash("order-7")]);
    assert_eq!(out.batch.values[0].values, [Some(LabelValue::Class(1))]);
    record.payload = None;
    assert_eq!(decoder.decode(&record, &mut out).tombstone, 1);
}

#[test]
fn listeners_must_agree_on_the_row() {
    let task = regression();
    let first = fields("{ id: /i, label: /a }");
    for (yaml, field) in [
        ("{ id: /j, label: /a }", "id"),
        ("{ rows: /r, id: /i, label: /a }", "rows"),
        ("{ id: /i, label: /a, event_time: /t }", "event_time"),
    ] {
        let second = fields(yaml);
        let listeners = [&first, &second].map(|fields| LabelListener {
            model: ModelIndex(0),
            task: &task,
            fields,
        });
        assert_eq!(LabelDecoder::new(&listeners).err().unwrap().field, field);
    }
}
