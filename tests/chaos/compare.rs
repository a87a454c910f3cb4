//! What a daemon said in the end, and where that differs from what it should have said.

use crate::chaos::MODEL;
use crate::support::scrape::{Sample, Scrape};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Families (by how they go on after `tidemark_`) that are about the process, the broker or the
/// clock, and differ from run to run.
const OF_THE_PROCESS: [&str; 23] = [
    "batch",
    "build",
    "bytes",
    "checkpoint",
    "config",
    "consumer",
    "dead",
    "engine",
    "http",
    "kafka",
    "offsets",
    "outbox",
    "partitions",
    "poll",
    "process",
    "read",
    "ready",
    "records",
    "reload",
    "scrape",
    "series",
    "snapshot",
    "webhook",
];

/// Counts, and quotients as they were written, by name.
pub struct Outcome {
    /// What the batch answer says something of, by its sections.
    said: BTreeMap<String, Value>,
    /// Everything that is a function of the logs.
    all: BTreeMap<String, String>,
}

impl Outcome {
    pub fn of(
        scrape: &Scrape,
        history: &[(&str, Value)],
        received: BTreeMap<String, Vec<String>>,
    ) -> Self {
        let mut said = BTreeMap::new();
        counters(scrape, &mut said);
        windows(history, &mut said);
        let mut all = BTreeMap::new();
        for (id, bodies) in &received {
            // Repetitions have the same body.
            all.insert(format!("requests/{id}"), bodies.join("\nand\n"));
            said.insert(format!("requests/{id}"), evidence(bodies));
        }
        for (window, answer) in history {
            all.insert(format!("history/{window}"), answer["series"].to_string());
        }
        for sample in families(scrape) {
            all.insert(format!("{}{:?}", sample.name, sample.labels), sample.value.to_string());
        }
        Self { said, all }
    }

    /// Where this is not what the batch answer says.
    pub fn against(&self, answer: &Value) -> Vec<String> {
        let mut expected = BTreeMap::new();
        for (section, values) in answer.as_object().expect("the answer is an object") {
            for (name, value) in values.as_object().expect("each section is one") {
                expected.insert(format!("{section}/{name}"), value.clone());
            }
        }
        let is_nothing = |value: Option<&Value>| value.is_none_or(|value| *value == json!(0));
        let names = self.said.keys().chain(expected.keys());
        let mut differences: Vec<String> = names
            .filter(|name| {
                let (got, want) = (self.said.get(*name), expected.get(*name));
                got != want && !(is_nothing(got) && is_nothing(want))
            })
            .map(|name| {
                let show = |value: Option<&Value>| value.map_or("nothing".into(), Value::to_string);
                let (got, want) = (show(self.said.get(name)), show(expected.get(name)));
                format!("{name}: {got}, should be {want}")
            })
            .collect();
        differences.dedup();
        differences
    }

    /// Where this is not, bit for bit, what another run said.
    pub fn differs(&self, other: &Self) -> Vec<String> {
        let names = self.all.keys().chain(other.all.keys());
        let mut differences: Vec<String> = names
            .filter(|name| self.all.get(*name) != other.all.get(*name))
            .map(|name| format!("{name}: {:?}, and {:?}", self.all.get(name), other.all.get(name)))
            .collect();
        differences.sort();
        differences.dedup();
        differences
    }
}

fn families(scrape: &Scrape) -> impl Iterator<Item = &Sample> {
    let of_logs = |sample: &&Sample| {
        let Some(name) = sample.name.strip_prefix("tidemark_") else { return false };
        let word = name.split('_').next().unwrap_or_default();
        // How many revisions were shown in between depends on when.
        !OF_THE_PROCESS.contains(&word) && name != "window_firings_total"
    };
    let names: Vec<&str> =
        scrape.text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let names: Vec<&str> = names.iter().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.len() > 30, "{names:?}");
    scrape.samples().iter().filter(of_logs)
}

fn counters(scrape: &Scrape, said: &mut BTreeMap<String, Value>) {
    let mut sum = |section: &str, family: &str, name: &dyn Fn(&Sample) -> Option<String>| {
        for sample in scrape.all(family, &[]) {
            let Some(name) = name(sample) else { continue };
            let entry = said.entry(format!("{section}/{name}")).or_insert_with(|| json!(0));
            *entry = json!(entry.as_u64().unwrap_or(0) + sample.value as u64);
        }
    };
    let label = |sample: &Sample, name: &str| sample.labels.get(name).cloned();
    sum("rows_read", "tidemark_rows_read_total", &|sample| {
        let topic = label(sample, "topic")?;
        let side = if topic.contains("labels") { "labels" } else { "predictions" };
        Some(side.to_owned())
    });
    sum("prediction_rows", "tidemark_prediction_rows_total", &|sample| label(sample, "outcome"));
    sum("label_rows", "tidemark_label_rows_total", &|sample| label(sample, "outcome"));
    sum("predictions", "tidemark_predictions_total", &|sample| label(sample, "version"));
    sum("corrections", "tidemark_corrections_total", &|sample| label(sample, "version"));
    sum("pairs", "tidemark_labeled_predictions_total", &|sample| {
        Some(format!("{}/{}", label(sample, "version")?, label(sample, "outcome")?))
    });
    let country = |sample: &Sample| {
        let slice = label(sample, "slice")?;
        Some(format!("{}/{}", label(sample, "version")?, slice.strip_prefix("country=")?))
    };
    sum("slice_predictions", "tidemark_slice_predictions_total", &country);
    sum("slice_pairs", "tidemark_slice_labeled_predictions_total", &|sample| {
        Some(format!("{}/{}", country(sample)?, label(sample, "outcome")?))
    });
    sum("decisions", "tidemark_policy_decisions_total", &|sample| {
        Some(format!("{}/{}", label(sample, "decision")?, label(sample, "reason")?))
    });
}

/// The final windows, named as the answer names them.
fn windows(history: &[(&str, Value)], said: &mut BTreeMap<String, Value>) {
    for (_, answer) in history {
        let size = (answer["size"].as_f64().unwrap_or(0.0) * 1_000.0) as i64;
        for series in answer["series"].as_array().into_iter().flatten() {
            let version = series["version"].as_str().unwrap_or_default();
            let column = |name: &str| series[name].as_array().cloned().unwrap_or_default();
            let (ends, states) = (column("ends"), column("state"));
            let (predictions, labeled) = (column("predictions"), column("labeled"));
            let accuracy = series["metrics"]["accuracy"]["value"].as_array().cloned();
            let accuracy = accuracy.unwrap_or_default();
            for at in (0..ends.len()).filter(|&at| states[at] == "final") {
                let end = (ends[at].as_f64().unwrap_or(0.0) * 1_000.0).round() as i64;
                let value = json!([predictions[at], labeled[at], accuracy[at]]);
                said.insert(format!("windows/{size}/{version}/{end}"), value);
            }
        }
    }
}

/// A request's body, as far as the answer knows it.
fn evidence(bodies: &[String]) -> Value {
    let [body] = bodies else { return json!({ "different bodies": bodies.len() }) };
    let Ok(body) = serde_json::from_str::<Value>(body) else { return json!(body) };
    let data = &body["data"];
    assert_eq!(data["model"], MODEL);
    let partitions = data["offsets"][0]["partitions"].as_array().cloned().unwrap_or_default();
    let offsets: Vec<Value> =
        partitions.iter().map(|one| json!([one["partition"], one["from"], one["to"]])).collect();
    json!({
        "version": data["version"],
        "window": [data["window"]["start"], data["window"]["end"]],
        "due": body["timestamp"],
        "bad_in_a_row": data["window"]["bad_in_a_row"],
        "value": data["metric"]["value"],
        "support": data["metric"]["support"],
        "predictions": data["predictions"],
        "labeled_predictions": data["labeled_predictions"],
        "label_coverage": data["label_coverage"],
        "offsets": offsets,
    })
}
