//! The census: every number equals scikit-learn's, whatever happens on the way.

use crate::e2e::census::{MODEL, RECORDS, ROWS, SLOWLY, Topics, VERSION, installation, rows};
use crate::e2e::daemon::{Installation, Running};
use crate::support::kafka_broker::shared;
use crate::support::scrape::Scrape;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::OnceLock;
use tidemark::io::telemetry::{Source, families};

const WINDOW: &str = "1d";

/// The topics that most tests read, and what an undisturbed daemon makes of them.
fn truth() -> &'static (Topics, Scrape) {
    static TRUTH: OnceLock<(Topics, Scrape)> = OnceLock::new();
    TRUTH.get_or_init(|| {
        let topics = Topics::fill(shared(), 4, 1);
        let mut installation = installation(&topics, "");
        let daemon = installation.start();
        let scrape = wait_for_everything(&daemon);
        assert!(daemon.stop().success());
        (topics, scrape)
    })
}

/// Waits until every row has ended, durably, and the window has been judged.
fn wait_for_everything(daemon: &Running) -> Scrape {
    daemon.wait_for("all rows ended and judged", |scrape| {
        let ended = |family: &str, outcome: &str| scrape.sum(family, &[("outcome", outcome)]);
        ended("tidemark_prediction_rows_total", "matched") == ROWS as f64
            && ended("tidemark_label_rows_total", "matched") == ROWS as f64
            && scrape.sum("tidemark_policy_decisions_total", &[]) == 2.0
    })
}

fn oracle() -> Value {
    serde_json::from_str(include_str!("../oracle/adult_slices_sklearn.json")).expect("JSON")
}

/// Our names of slices and scikit-learn's numbers; the whole model without a name.
fn expected() -> Vec<(Option<String>, Value)> {
    let oracle = oracle();
    let mut all = Vec::new();
    for (features, values) in oracle["slices"].as_object().expect("slices") {
        if features == "overall" {
            all.push((None, values.clone()));
            continue;
        }
        for (value, numbers) in values.as_object().expect("values") {
            let pairs = features.split(" x ").zip(value.split('|'));
            let parts: Vec<String> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
            all.push((Some(parts.join(",")), numbers.clone()));
        }
    }
    all
}

struct Shown<'a> {
    scrape: &'a Scrape,
    slice: Option<&'a str>,
}

impl Shown<'_> {
    fn labels<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let mut labels = vec![("model", MODEL), ("version", VERSION)];
        labels.extend(self.slice.map(|slice| ("slice", slice)));
        labels.extend(more);
        labels
    }

    fn name(&self, rest: &str) -> String {
        format!("tidemark_{}{rest}", if self.slice.is_some() { "slice_" } else { "" })
    }

    fn gauge(&self, name: &str) -> Option<f64> {
        self.scrape.get(&self.name(name), &self.labels(&[("window", WINDOW)]))
    }

    fn outcome(&self, outcome: &str) -> f64 {
        let labels = self.labels(&[("outcome", outcome)]);
        let value = self.scrape.get(&self.name("labeled_predictions_total"), &labels);
        value.unwrap_or_else(|| panic!("no {outcome} of {:?}", self.slice))
    }
}

#[test]
fn the_census_gives_scikit_learns_numbers_for_all_and_for_every_slice() {
    let (_, scrape) = truth();
    let mut slices = BTreeSet::new();
    for (slice, oracle) in expected() {
        let shown = Shown { scrape, slice: slice.as_deref() };
        let cells = ["tn", "fp", "fn", "tp"].map(|outcome| shown.outcome(outcome));
        let of = &oracle["confusion_tn_fp_fn_tp"];
        let counts: Vec<f64> = (0..4).map(|at| of[at].as_f64().expect("a count")).collect();
        assert_eq!(cells.as_slice(), counts, "{slice:?}");
        assert_eq!(shown.gauge("window_labeled_predictions"), oracle["n"].as_f64(), "{slice:?}");
        let [_, fp, false_negatives, tp] = cells;
        let close = |name: &str, key: &str, defined: bool, within: f64| {
            let ours = shown.gauge(name);
            let theirs = oracle[key].as_f64().filter(|_| defined);
            let same = match (ours, theirs) {
                (Some(ours), Some(theirs)) => (ours - theirs).abs() <= within,
                (ours, theirs) => ours == theirs,
            };
            assert!(same, "{slice:?} {name}: {ours:?}, not {theirs:?} within {within}");
        };
        close("accuracy_ratio", "accuracy", true, 1e-9);
        close("precision_ratio", "precision", tp + fp > 0.0, 1e-9);
        close("recall_ratio", "recall", tp + false_negatives > 0.0, 1e-9);
        close("f1_ratio", "f1", tp + fp + false_negatives > 0.0, 1e-9);
        close("log_loss", "log_loss", true, 1e-9);
        close("brier_ratio", "brier", true, 1e-9);
        let stated = |name: &str| shown.gauge(name).unwrap_or(0.0) + 1e-12;
        let (auc, precision) = match slice {
            None => (1e-3, 2e-3),
            Some(_) => {
                let auc = stated("roc_auc_error_max_ratio");
                (auc, stated("average_precision_error_max_ratio"))
            }
        };
        close("roc_auc_ratio", "roc_auc", true, auc);
        close(
            "average_precision_ratio",
            "average_precision",
            tp + false_negatives > 0.0,
            precision,
        );
        slices.extend(slice);
    }
    let all = scrape.all("tidemark_slice_window_predictions", &[]);
    let ours: BTreeSet<String> = all.map(|sample| sample.labels["slice"].clone()).collect();
    assert_eq!(ours, slices, "there are no other slices");
    assert_eq!(scrape.get("tidemark_series_dropped", &[]), Some(0.0));
}

/// Estimated before labels as NannyML does from the same rows; in one line what is measured, once
/// all labels have come.
#[test]
fn the_census_is_estimated_as_nannyml_does_and_its_one_line_ends_where_it_is_measured() {
    let (_, scrape) = truth();
    let shown = Shown { scrape, slice: None };
    let oracle = crate::cbpe::oracle("adult.json.gz");
    for metric in ["accuracy", "precision", "recall", "specificity", "f1", "roc_auc"] {
        let estimated = shown.gauge(&format!("estimated_{metric}_ratio")).expect("an estimate");
        let theirs = oracle["whole"][metric].as_f64().expect("a number");
        let within = if metric == "roc_auc" { 1e-4 } else { 1e-7 };
        assert!((estimated - theirs).abs() < within, "{metric} {estimated} {theirs}");
        let gauge = |name: &str| shown.gauge(name).expect("a gauge");
        let combined = gauge(&format!("combined_{metric}_ratio"));
        let measured = gauge(&format!("{metric}_ratio"));
        assert!((combined - measured).abs() < 1e-9, "{metric} {combined} {measured}");
        let [lower, upper] =
            ["lower", "upper"].map(|end| format!("estimated_{metric}_{end}_ratio"));
        assert!(gauge(&lower) < estimated && estimated < gauge(&upper));
    }
    assert_eq!(shown.gauge("estimate_label_coverage_ratio"), Some(1.0));
}

#[test]
fn every_row_of_the_census_is_accounted_for() {
    let (topics, scrape) = truth();
    accounted(scrape, topics);
    let duplicates = (RECORDS - ROWS) as f64;
    for family in ["tidemark_prediction_rows_total", "tidemark_label_rows_total"] {
        let with = |outcome: &str| scrape.sum(family, &[("outcome", outcome)]);
        assert_eq!((with("matched"), with("duplicate")), (ROWS as f64, duplicates), "{family}");
    }
    let delay = scrape.get("tidemark_label_delay_seconds_count", &[]);
    assert_eq!(delay, Some(ROWS as f64));
    let positives = rows().iter().filter(|row| row.label == 1).count() as f64;
    let of =
        |outcome: &str| scrape.sum("tidemark_labeled_predictions_total", &[("outcome", outcome)]);
    assert_eq!(of("tp") + of("fn"), positives);
}

/// Rows read are rows that ended, are pending or wait.
pub fn accounted(scrape: &Scrape, topics: &Topics) {
    let sides = [
        (&topics.predictions, "tidemark_prediction_rows_total", "tidemark_pending_predictions"),
        (&topics.labels, "tidemark_label_rows_total", "tidemark_waiting_labels"),
    ];
    for (topic, ended, held) in sides {
        let labels = [("topic", topic.as_str())];
        let read = scrape.get("tidemark_rows_read_total", &labels);
        assert_eq!(read, Some(RECORDS as f64), "{topic}");
        assert_eq!(read, Some(scrape.sum(ended, &labels) + scrape.sum(held, &[])), "{topic}");
    }
}

/// What must be the same to the last bit: all that is about models and rows. Not where partitions
/// stand, and neither how often a window was shown nor until when the clock closed windows.
fn bits(scrape: &Scrape, topics: &Topics) -> Vec<String> {
    let by_clock = ["window_firings_total", "closing_watermark_timestamp_seconds"];
    let of_partitions = [
        "own_watermark_timestamp_seconds",
        "snapshot_timestamp_seconds",
        // Measured anew by each process.
        "copartition_mismatch_ratio",
    ];
    let excluded = |name: &str| {
        name.starts_with("tidemark_consumer_")
            || by_clock.iter().chain(&of_partitions).any(|rest| name.ends_with(rest))
    };
    let names: BTreeSet<&str> = families()
        .iter()
        .filter(|family| family.source == Source::Snapshot && !excluded(family.name))
        .map(|family| family.name)
        .collect();
    let of_models = |line: &&str| {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let parts = ["_bucket", "_sum", "_count"];
        let family = parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
        names.contains(name) || names.contains(family)
    };
    let neutral = |line: &str| {
        line.replace(&topics.predictions, "predictions").replace(&topics.labels, "labels")
    };
    let mut lines: Vec<String> = scrape.text.lines().filter(of_models).map(neutral).collect();
    // The order of a scrape is that of its label values.
    lines.sort_unstable();
    assert!(lines.len() > 1_000, "{} lines", lines.len());
    lines
}

fn assert_same_bits(ours: &Scrape, topics: &Topics) {
    let (truth_topics, truth) = truth();
    let (ours, truth) = (bits(ours, topics), bits(truth, truth_topics));
    let differs = |(ours, truth): &(&String, &String)| ours != truth;
    let first = ours.iter().zip(&truth).find(differs);
    assert_eq!(first, None, "ours and the truth");
    assert_eq!(ours.len(), truth.len());
}

#[test]
fn a_kill_in_the_middle_changes_not_one_bit() {
    let (topics, _) = truth();
    let mut installation = installation(topics, SLOWLY);
    for share in [0.3, 0.6] {
        kill_when_read(&mut installation, topics, share);
    }
    let daemon = installation.start();
    let scrape = wait_for_everything(&daemon);
    assert_same_bits(&scrape, topics);
    assert!(daemon.stop().success());
}

/// Kills the daemon as soon as so much of the predictions is durable.
fn kill_when_read(installation: &mut Installation, topics: &Topics, share: f64) {
    let daemon = installation.start();
    let labels = [("topic", topics.predictions.as_str())];
    let scrape = daemon.wait_for("a part of the rows", |scrape| {
        scrape.sum("tidemark_rows_read_total", &labels) >= share * RECORDS as f64
    });
    daemon.kill9();
    let read = scrape.sum("tidemark_rows_read_total", &labels);
    assert!(read < RECORDS as f64, "nothing was left to be read");
}

#[test]
fn three_partitions_instead_of_four_change_not_one_bit() {
    truth();
    read_anew(Topics::fill(shared(), 3, 1));
}

#[test]
fn another_order_of_arrival_changes_not_one_bit() {
    truth();
    read_anew(Topics::fill(shared(), 4, 77));
}

fn read_anew(topics: Topics) {
    let mut installation = installation(&topics, "");
    let daemon = installation.start();
    let scrape = wait_for_everything(&daemon);
    assert_same_bits(&scrape, &topics);
    assert!(daemon.stop().success());
}
