//! Bodies for targets that have their own: a JSON document with placeholders.
//!
//! In its strings `{{id}}` stands for the request's id, `{{event}}` for the whole event, and
//! `{{/data/model}}` (a JSON Pointer, RFC 6901) for a part of it. A string that is one placeholder
//! and nothing else becomes the value with its type; within a longer string it becomes text. The
//! same event always gives the same body. See config/webhooks/.

use crate::engine::request::{
    AlertEvidence, Evidence, FeatureEvidence, MetricEvidence, StatisticEvidence, TopicOffsets,
};
use crate::engine::time::Timestamp;
use serde_json::Value;
use thiserror::Error;

/// Bytes of a template; a longer one is refused.
pub const TEMPLATE_BYTES_MAX: usize = 64 << 10;
/// Placeholders in a template, so that a body stays bounded too (each at most an event long).
pub const PLACEHOLDERS_MAX: usize = 64;

/// Why a text is no template.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TemplateError {
    #[error("the template is larger than {TEMPLATE_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the template is not JSON: {0}")]
    NotJson(String),
    #[error("the template has more than {PLACEHOLDERS_MAX} placeholders")]
    TooMany,
    #[error("`{{{{` without `}}}}` in the template, in `{0}`")]
    Open(String),
    #[error("`{{{{{0}}}}}`: write {{{{id}}}}, {{{{event}}}} or a pointer like {{{{/data/model}}}}")]
    Unknown(String),
    #[error("`{{{{{0}}}}}`: an event has no such field")]
    NoField(String),
}

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    document: Value,
}

enum Part<'a> {
    Text(&'a str),
    Placeholder(&'a str),
}

impl Template {
    /// Reads a template and checks each of its placeholders.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(TemplateError::TooLarge);
        }
        let document: Value = serde_json::from_str(text)
            .map_err(|error| TemplateError::NotJson(error.to_string()))?;
        let sample = sample_event();
        let mut count = 0;
        check(&document, &sample, &mut count)?;
        Ok(Self { document })
    }

    /// The body for an event. What an event happens not to have is null, or no text.
    pub fn render(&self, id: &str, event: &str) -> String {
        // The outbox holds what we wrote ourselves; if it cannot be read, the whole goes as text.
        let event = serde_json::from_str(event).unwrap_or_else(|_| Value::String(event.to_owned()));
        fill(&self.document, id, &event).to_string()
    }
}

fn check(value: &Value, sample: &Value, count: &mut usize) -> Result<(), TemplateError> {
    match value {
        Value::String(text) => {
            for part in parts(text)? {
                let Part::Placeholder(name) = part else { continue };
                *count += 1;
                if *count > PLACEHOLDERS_MAX {
                    return Err(TemplateError::TooMany);
                }
                match name {
                    "id" | "event" => {}
                    pointer if !pointer.starts_with('/') => {
                        return Err(TemplateError::Unknown(pointer.to_owned()));
                    }
                    pointer if sample.pointer(pointer).is_none() => {
                        return Err(TemplateError::NoField(pointer.to_owned()));
                    }
                    _ => {}
                }
            }
            Ok(())
        }
        Value::Array(items) => items.iter().try_for_each(|item| check(item, sample, count)),
        Value::Object(fields) => fields.values().try_for_each(|field| check(field, sample, count)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn fill(value: &Value, id: &str, event: &Value) -> Value {
    match value {
        Value::String(text) => fill_text(text, id, event),
        Value::Array(items) => items.iter().map(|item| fill(item, id, event)).collect(),
        Value::Object(fields) => {
            let filled = fields.iter().map(|(name, field)| (name.clone(), fill(field, id, event)));
            Value::Object(filled.collect())
        }
        other => other.clone(),
    }
}

fn fill_text(text: &str, id: &str, event: &Value) -> Value {
    let Ok(parts) = parts(text) else { return Value::String(text.to_owned()) };
    let look_up = |name: &str| match name {
        "id" => Value::String(id.to_owned()),
        "event" => event.clone(),
        pointer => event.pointer(pointer).cloned().unwrap_or(Value::Null),
    };
    if let [Part::Placeholder(name)] = parts[..] {
        return look_up(name);
    }
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Placeholder(name) => match look_up(name) {
                Value::Null => {}
                Value::String(text) => out.push_str(&text),
                other => out.push_str(&other.to_string()),
            },
        }
    }
    Value::String(out)
}

fn parts(text: &str) -> Result<Vec<Part<'_>>, TemplateError> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        if open > 0 {
            parts.push(Part::Text(&rest[..open]));
        }
        let inner = &rest[open + 2..];
        let close = inner.find("}}").ok_or_else(|| TemplateError::Open(text.to_owned()))?;
        parts.push(Part::Placeholder(inner[..close].trim()));
        rest = &inner[close + 2..];
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    Ok(parts)
}

/// An event with all the fields there are.
fn sample_event() -> Value {
    let statistic = StatisticEvidence::default();
    let feature = FeatureEvidence { statistics: vec![statistic], ..FeatureEvidence::default() };
    let evidence = Evidence {
        metric: Some(MetricEvidence::default()),
        drifting_features: vec![feature],
        offsets: vec![TopicOffsets { partitions: vec![Default::default()], ..Default::default() }],
        alert: Some(AlertEvidence::default()),
        ..Evidence::default()
    };
    let request = evidence.into_request("".into(), Timestamp::default());
    serde_json::from_str(&request.body).expect("a request's body is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event() -> String {
        let evidence =
            Evidence { model: "income \"quoted\"".into(), predictions: 7, ..Evidence::default() };
        evidence.into_request("trainer".into(), Timestamp::from_secs(0)).body.to_string()
    }

    fn rendered(template: Value) -> Value {
        let template = Template::parse(&template.to_string()).unwrap();
        serde_json::from_str(&template.render("retrain-1", &event())).unwrap()
    }

    #[test]
    fn a_placeholder_alone_keeps_its_type_and_within_text_becomes_text() {
        let template = json!({
            "id": "{{id}}",
            "count": "{{/data/predictions}}",
            "list": ["model={{/data/model}} n={{ /data/predictions }}", true, 1.5, null],
            "metric": "{{/data/metric/value}}",
            "text": "<{{/data/metric/value}}>",
            "{{id}}": "plain"
        });
        let expected = json!({
            "id": "retrain-1",
            "count": 7,
            "list": ["model=income \"quoted\" n=7", true, 1.5, null],
            "metric": null,
            "text": "<>",
            "{{id}}": "plain"
        });
        assert_eq!(rendered(template), expected);
        let whole: Value = serde_json::from_str(&event()).unwrap();
        assert_eq!(rendered(json!({ "conf": "{{event}}" })), json!({ "conf": whole }));
    }

    #[test]
    fn what_an_event_says_cannot_change_the_structure() {
        let evidence = Evidence { model: "\"}], {{id}} \\".into(), ..Evidence::default() };
        let request = evidence.into_request("trainer".into(), Timestamp::from_secs(0));
        let template = Template::parse(r#"{"a":["m={{/data/model}}"]}"#).unwrap();
        let body: Value = serde_json::from_str(&template.render("x", &request.body)).unwrap();
        assert_eq!(body, json!({ "a": ["m=\"}], {{id}} \\"] }));
    }

    #[test]
    fn a_faulty_template_is_refused_with_the_reason() {
        let error = |text: &str| Template::parse(text).unwrap_err();
        assert!(matches!(error("{"), TemplateError::NotJson(_)));
        assert_eq!(error(r#"["{{id"]"#), TemplateError::Open("{{id".into()));
        assert_eq!(error(r#"{"a":"{{model}}"}"#), TemplateError::Unknown("model".into()));
        assert_eq!(error(r#"["{{/data/nope}}"]"#), TemplateError::NoField("/data/nope".into()));
        assert_eq!(
            error(r#"["{{model}}"]"#).to_string(),
            "`{{model}}`: write {{id}}, {{event}} or a pointer like {{/data/model}}"
        );
        let many = json!(vec!["{{event}}"; PLACEHOLDERS_MAX + 1]).to_string();
        assert_eq!(error(&many), TemplateError::TooMany);
        assert_eq!(error(&" ".repeat(TEMPLATE_BYTES_MAX + 1)), TemplateError::TooLarge);
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        assert!(matches!(error(&deep), TemplateError::NotJson(_)));
    }

    #[test]
    fn the_templates_that_are_shipped_can_be_used_and_carry_the_id() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/config/webhooks");
        let mut count = 0;
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let template = Template::parse(&std::fs::read_to_string(&path).unwrap());
                let body = template.unwrap().render("retrain-1", &event());
                assert!(body.contains("\"retrain-1\""), "{}: {body}", path.display());
                count += 1;
            }
        }
        assert_eq!(count, 5);
    }
}
