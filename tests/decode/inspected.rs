//! What `inspect` proposes for topics of the forms that are met in practice.

use super::support::RECORD_TIME;
use serde_json::json;
use tidemark::decode::inspect::{Proposal, ProposedFields, propose};
use tidemark::decode::spec::{LabelFields, PredictionFields};
use tidemark::decode::{NoHeaders, Record};

/// Proposes from payloads, each with a key.
fn proposal(samples: &[(Option<String>, String)]) -> Proposal {
    let records: Vec<_> = samples
        .iter()
        .map(|(key, payload)| Record {
            partition: 0,
            offset: 0,
            timestamp: RECORD_TIME,
            key: key.as_ref().map(String::as_bytes),
            payload: Some(payload.as_bytes()),
            headers: &NoHeaders,
        })
        .collect();
    propose(&records)
}

fn samples(payload: impl Fn(usize) -> serde_json::Value) -> Vec<(Option<String>, String)> {
    (0..20).map(|i| (None, payload(i).to_string())).collect()
}

/// The proposal's block as the configuration would read it.
fn predictions(proposal: &Proposal) -> PredictionFields {
    let yaml = proposal.to_yaml("a.topic");
    let whole: serde_json::Value = serde_saphyr::from_str(&yaml).expect(&yaml);
    assert_eq!(whole["predictions"]["topic"], "a.topic");
    let read = serde_json::from_value(whole["predictions"]["fields"].clone()).expect(&yaml);
    let Some(ProposedFields::Predictions(fields)) = &proposal.fields else { panic!("{yaml}") };
    assert_eq!(**fields, read, "{yaml}");
    read
}

fn labels(proposal: &Proposal) -> LabelFields {
    let yaml = proposal.to_yaml("a.topic");
    let whole: serde_json::Value = serde_saphyr::from_str(&yaml).expect(&yaml);
    let read = serde_json::from_value(whole["labels"]["fields"].clone()).expect(&yaml);
    let Some(ProposedFields::Labels(fields)) = &proposal.fields else { panic!("{yaml}") };
    assert_eq!(**fields, read, "{yaml}");
    read
}

fn yaml_of(text: &str) -> PredictionFields {
    serde_saphyr::from_str(text).unwrap()
}

#[test]
fn the_example_of_the_documentation_is_proposed_whole() {
    let found = proposal(&samples(|i| {
        json!({
            "prediction_id": format!("p-{i}"), "time": "2023-11-14T22:13:20.5Z",
            "model_version": "v7", "output": { "score": 0.04 * i as f64, "class": i % 2 },
            "features": { "age": 30 + i, "time": 4, "id": i, "score": 0.5 },
        })
    }));
    let expected = "{ id: /prediction_id, event_time: { path: /time, unit: rfc3339 }, version: \
                    /model_version, score: /output/score, class: /output/class, \
                    features: /features }";
    assert_eq!(predictions(&found), yaml_of(expected));
    assert_eq!(found.task, Some("binary"));
    let yaml = found.to_yaml("income.predictions");
    assert!(yaml.contains("# its name; distinct in 20 rows"), "{yaml}");
}

#[test]
fn units_of_time_are_told_by_the_records_own_time() {
    for (value, unit) in [
        (json!(1_700_000_000), "s"),
        (json!(1_700_000_000.25), "s"),
        (json!(1_700_000_000_000i64), "ms"),
        (json!("1700000000000"), "ms"),
        (json!(1_700_000_000_000_000i64), "us"),
        (json!(1_700_000_000_000_000_000i64), "ns"),
        (json!("2023-11-14 22:13:20+01:00"), "rfc3339"),
    ] {
        let found = proposal(&samples(|i| json!({ "id": i, "ts": value, "label": i % 2 })));
        assert_eq!(labels(&found).event_time.unwrap().unit.to_string(), unit, "{value}");
    }
    let found = proposal(&samples(|i| json!({ "id": i, "time": i, "label": i % 2 })));
    assert_eq!(labels(&found).event_time, None, "small numbers are no times");
    assert!(found.notes.iter().any(|note| note.contains("record timestamp")));
}

#[test]
fn a_label_topic_is_told_from_a_prediction_topic() {
    let found = proposal(&samples(|i| {
        json!({ "prediction_id": i, "time": 1_700_000_000_000i64, "income_over_50k": i % 2,
                "label": if i % 2 == 0 { "yes" } else { "no" } })
    }));
    let fields = labels(&found);
    assert_eq!(fields.label.to_string(), "/label");
    assert_eq!(found.task, Some("binary"));
}

#[test]
fn the_kafka_key_is_the_id_if_nothing_else_is() {
    let samples = (0..9).map(|i| (Some(format!("k{i}")), json!({ "target": i }).to_string()));
    let fields = labels(&proposal(&samples.collect::<Vec<_>>()));
    assert_eq!(fields.id.to_string(), "key");
    assert_eq!(fields.label.to_string(), "/target");
}

#[test]
fn an_array_of_rows_is_found_and_its_fields_are_the_rows() {
    let found = proposal(&samples(|i| {
        json!({ "request_id": i, "instances": [
            { "p": 0.1, "amount": 7.5, "country": "FR" },
            { "p": 0.2, "amount": 8.5, "country": "DE" },
        ] })
    }));
    let expected = "{ rows: /instances, id: /request_id, score: ./p, features: \
                    [{ name: amount, path: ./amount, type: numeric }, \
                    { name: country, path: ./country, type: categorical }] }";
    assert_eq!(predictions(&found), yaml_of(expected));
    assert!(found.notes.iter().any(|note| note.contains("array of rows: 40")));
}

#[test]
fn several_models_and_classes_on_a_topic_are_noticed() {
    let found = proposal(&samples(|i| {
        json!({ "uuid": format!("{i:032x}"), "modelName": (["a", "b"][i % 2]),
                "predictedClass": (["x", "y", "z"][i % 3]), "inputs": { "q": i } })
    }));
    let fields = predictions(&found);
    assert_eq!(fields.model.unwrap().to_string(), "/modelName");
    assert_eq!(fields.class.unwrap().to_string(), "/predictedClass");
    assert_eq!(found.task, Some("multiclass"));
}

#[test]
fn a_number_that_is_no_probability_is_a_predicted_value() {
    let found = proposal(&samples(
        |i| json!({ "id": i, "prediction": 1000.5 + i as f64, "features": { "km": i } }),
    ));
    assert_eq!(predictions(&found).score.unwrap().to_string(), "/prediction");
    assert_eq!(found.task, Some("regression"));
}

#[test]
fn samples_that_cannot_be_read_are_said_and_python_s_nan_is_no_such_thing() {
    let mut list = samples(|i| json!({ "id": i, "score": 0.5, "features": { "a": 1 } }));
    list[0].1 = "{".to_owned();
    list[1].1 = r#"{"id":"NaN \" NaN","score":0.1,"features":{"a":NaN,"b":-Infinity}}"#.to_owned();
    let found = proposal(&list);
    predictions(&found);
    assert!(found.to_yaml("t").contains("# 1 of 20 samples are not JSON"));
    assert!(propose(&[]).fields.is_none());
}

#[test]
fn strange_names_cannot_break_the_yaml() {
    let name = "a: b # c\n\"d\" ]\u{1f}é/~";
    let found = proposal(&samples(|i| json!({ "id": i, "score": 0.5, name: 1.5, "y": "n" })));
    predictions(&found);
    let topic = "x: y\n# z";
    let yaml = found.to_yaml(topic);
    let whole: serde_json::Value = serde_saphyr::from_str(&yaml).expect(&yaml);
    assert_eq!(whole["predictions"]["topic"], topic);
}
