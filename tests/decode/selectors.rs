//! How fields are written in a configuration.

use super::support::{binary, fields, multiclass, regression};
use tidemark::decode::selector::{JsonPointer, Selector, TimeUnit};
use tidemark::decode::spec::{FeatureFields, LabelFields};

#[test]
fn a_selector_reads_back_as_it_was_written() {
    for text in ["/a", "/a/b/0", "/", "/~0~1/x y", "./a", ".", "key", "header:ce_id", "/größe"] {
        let selector: Selector = text.parse().unwrap();
        assert_eq!(selector.to_string(), text);
        let yaml = serde_json::to_value(&selector).unwrap();
        assert_eq!(yaml, serde_json::json!(text));
        assert_eq!(serde_json::from_value::<Selector>(yaml).unwrap(), selector);
    }
}

#[test]
fn escapes_of_rfc_6901_are_resolved() {
    let pointer: JsonPointer = "/a~1b/m~0n/~01".parse().unwrap();
    assert_eq!(pointer.parts(), ["a/b", "m~n", "~1"]);
}

#[test]
fn a_wrong_selector_says_what_was_meant() {
    for (text, part) in [
        ("a.b", "did you mean `/a/b`?"),
        ("$.a.b", "did you mean `/a/b`?"),
        ("a/b", "did you mean `/a/b`?"),
        ("id", "`key` or `header:NAME`"),
        ("header:", "name of a Kafka header"),
        ("", "empty selector"),
        ("/a~2", "`~0`"),
        ("/a~", "`~0`"),
        ("..", "not a JSON Pointer"),
    ] {
        let message = text.parse::<Selector>().unwrap_err();
        assert!(message.contains(part), "{text}: {message}");
    }
    assert!("/a".repeat(33).parse::<JsonPointer>().is_err());
    assert!("/a".repeat(32).parse::<JsonPointer>().is_ok());
}

#[test]
fn a_list_joins_selectors() {
    let joined: Selector = serde_json::from_str(r#"["key", "/seq"]"#).unwrap();
    assert_eq!(joined.singles().len(), 2);
    assert_eq!(serde_json::to_string(&joined).unwrap(), r#"["key","/seq"]"#);
    let one: Selector = serde_json::from_str(r#"["/seq"]"#).unwrap();
    assert_eq!(one, "/seq".parse().unwrap());
    assert!(serde_json::from_str::<Selector>("[]").is_err());
    assert!(serde_json::from_str::<Selector>(r#"[["key"]]"#).is_err());
    assert!(serde_json::from_str::<Selector>("7").unwrap_err().to_string().contains("`key`"));
}

#[test]
fn units_of_time_have_one_spelling() {
    for unit in ["rfc3339", "s", "ms", "us", "ns"] {
        let read: TimeUnit = unit.parse().unwrap();
        assert_eq!(read.to_string(), unit);
        assert_eq!(serde_json::to_value(read).unwrap(), serde_json::json!(unit));
    }
    assert!("sec".parse::<TimeUnit>().unwrap_err().contains("rfc3339"));
}

#[test]
fn unknown_options_are_refused() {
    let wrong = serde_saphyr::from_str::<LabelFields>("{ id: /a, label: /b, lable: /c }");
    assert!(wrong.unwrap_err().to_string().contains("lable"));
    let wrong = serde_saphyr::from_str::<LabelFields>(
        "{ id: /a, label: /b, event_time: { path: /c, units: s } }",
    );
    assert!(wrong.unwrap_err().to_string().contains("units"));
}

#[test]
fn features_are_an_object_or_a_list() {
    let object = fields("{ id: /i, score: /s, features: /features }");
    assert!(matches!(object.features, Some(FeatureFields::Object(_))));
    let list = fields(
        "{ id: /i, score: /s, features: [{ name: age, path: /a/0, type: numeric }, \
         { name: country, path: header:country }] }",
    );
    let Some(FeatureFields::List(features)) = &list.features else { panic!("not a list") };
    assert_eq!(features.len(), 2);
    let again = serde_json::to_value(&list).unwrap();
    assert_eq!(
        serde_json::from_value::<tidemark::decode::spec::PredictionFields>(again).unwrap(),
        list
    );
}

/// Names of the fields at fault.
fn faults(yaml: &str, task: &tidemark::engine::spec::Task) -> Vec<String> {
    fields(yaml).faults(task).into_iter().map(|fault| fault.field).collect()
}

#[test]
fn fields_must_fit_the_task() {
    let (binary, multi) = (binary("1", None), multiclass(&["a", "b"]));
    assert_eq!(faults("{ id: /i }", &binary), ["score"]);
    assert_eq!(faults("{ id: /i, class: /c }", &binary), [""; 0]);
    assert_eq!(faults("{ id: /i, score: /s, probabilities: /p }", &binary), ["probabilities"]);
    assert_eq!(faults("{ id: /i, score: /s }", &multi), ["class", "score"]);
    assert_eq!(faults("{ id: /i, probabilities: key }", &multi), ["probabilities"]);
    assert_eq!(faults("{ id: /i, class: /c }", &regression()), ["score", "class"]);
}

#[test]
fn places_must_make_sense() {
    let task = binary("1", None);
    assert_eq!(faults("{ rows: ./x, id: /i, score: ./s }", &task), ["rows"]);
    assert_eq!(faults("{ rows: /x, id: /i, score: /x/0/s }", &task), ["score"]);
    assert_eq!(faults("{ rows: /x, id: /i, score: /xs }", &task), [""; 0]);
    assert_eq!(faults("{ id: /i, score: [/a, /b] }", &task), ["score"]);
    let twice = "{ id: /i, score: /s, features: [{ name: a, path: /a }, { name: a, path: /b }] }";
    assert_eq!(faults(twice, &task), ["features[1].name"]);
}

#[test]
fn the_json_schema_knows_every_field() {
    let schema =
        serde_json::to_value(schemars::schema_for!(tidemark::decode::spec::PredictionFields))
            .unwrap();
    for field in ["rows", "id", "event_time", "model", "version", "score", "features", "weight"] {
        assert!(schema["properties"][field].is_object(), "{field}");
    }
    assert_eq!(schema["required"], serde_json::json!(["id"]));
}
