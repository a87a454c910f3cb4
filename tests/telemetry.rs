//! What a scrape shows, checked by Prometheus' own tool.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use tidemark::engine::counters::DELAY_BUCKETS;
use tidemark::engine::drift::Statistic;
use tidemark::engine::estimate::{Estimate, Interval};
use tidemark::engine::metric::{Metric, TopK};
use tidemark::engine::time::{Span, Timestamp};
use tidemark::io::telemetry::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn shown(builder: SnapshotBuilder) -> String {
    let telemetry = Telemetry::new();
    telemetry.install(Arc::new(builder.finish()));
    // What the process uses is different each time.
    let text = telemetry.encode();
    let ours = text.lines().filter(|line| !line.contains("process_"));
    ours.map(|line| format!("{line}\n")).collect()
}

/// The series of a family, without those of others that start alike.
fn series<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let is_of = |line: &&str| {
        line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} "))
    };
    text.lines().filter(is_of).collect()
}

/// A value for every family there is.
fn full_exposition() -> String {
    let telemetry = Telemetry::new();
    let mut builder = SnapshotBuilder::new(NOW);
    builder.model("model", usize::MAX);
    for family in families() {
        match (family.source, family.kind) {
            (Source::Process, Kind::Counter) => {
                telemetry.counter(family, family.labels).add(3);
            }
            (Source::Process, Kind::Gauge) => telemetry.gauge(family, family.labels).set(3.0),
            (Source::Process, Kind::Histogram) => {
                telemetry.histogram(family, family.labels).observe(3.0);
            }
            (Source::Snapshot, Kind::Histogram) => {
                let counts = vec![1; family.buckets.len() + 1];
                builder.histogram(family, family.labels, HistogramSample { counts, sum: 3.0 });
            }
            // What a snapshot says of itself is there already.
            _ if family.name == SERIES_DROPPED.name || family.name == SNAPSHOT_TIMESTAMP.name => {}
            (Source::Snapshot, _) => builder.sample(family, family.labels, 3.0),
        }
    }
    telemetry.install(Arc::new(builder.finish()));
    telemetry.encode()
}

#[test]
fn promtool_finds_nothing_to_say_about_any_family() {
    let text = full_exposition();
    for family in families() {
        let typed =
            format!("# TYPE {} {}\n", family.name, format!("{:?}", family.kind).to_lowercase());
        assert!(text.contains(&typed), "{} has no sample", family.name);
    }
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is needed (Debian package: prometheus)");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn families_are_well_formed_and_unique() {
    let mut names = BTreeSet::new();
    for family in families() {
        assert!(names.insert(family.name), "{} twice", family.name);
        assert!(family.name.starts_with("tidemark_"), "{}", family.name);
        assert!(family.help.ends_with('.') && family.help.len() < 160, "{}", family.help);
        assert_eq!(
            family.kind == Kind::Counter,
            family.name.ends_with("_total"),
            "{}",
            family.name
        );
        assert_eq!(family.kind == Kind::Histogram, !family.buckets.is_empty());
        assert!(family.buckets.is_sorted());
        let labels: BTreeSet<_> = family.labels.iter().collect();
        assert_eq!(labels.len(), family.labels.len());
        let is_slice = family.name.starts_with("tidemark_slice_");
        assert_eq!(is_slice, family.labels.contains(&"slice"), "{}", family.name);
    }
}

#[test]
fn each_metric_and_statistic_has_families_named_after_it() {
    let known: BTreeSet<&str> = families().iter().map(|family| family.name).collect();
    for metric in Metric::ALL {
        for (scope, prefix) in [(Scope::Model, "tidemark_"), (Scope::Slice, "tidemark_slice_")] {
            let families = metric_families(metric, scope);
            assert!(families.value.name.starts_with(&format!("{prefix}{metric}")));
            assert!(known.contains(families.value.name) && known.contains(families.lower.name));
        }
        let baseline = baseline_family(metric).name;
        assert!(known.contains(baseline), "{baseline}");
        assert!(baseline.starts_with(&format!("tidemark_{metric}_baseline")));
    }
    for statistic in Statistic::ALL {
        let name = drift_family(statistic, DriftOf::Feature).name;
        assert_eq!(name, format!("tidemark_drift_{statistic}"));
        let name = drift_family(statistic, DriftOf::Output).name;
        assert_eq!(name, format!("tidemark_output_drift_{statistic}"));
    }
    let unit = |metric| metric_families(metric, Scope::Model).value.name;
    assert_eq!(unit(Metric::RocAuc), "tidemark_roc_auc_ratio");
    assert_eq!(unit(Metric::Mape), "tidemark_mape_ratio");
    assert_eq!(unit(Metric::LogLoss), "tidemark_log_loss");
    assert_eq!(unit(Metric::Mae), "tidemark_mae");
}

#[test]
fn top_k_accuracies_share_a_family_and_differ_in_k() {
    let mut builder = SnapshotBuilder::new(NOW);
    for k in [2, 5] {
        let metric = Metric::TopKAccuracy(TopK::new(k).unwrap());
        let estimate = Estimate::exact(0.5, None, 10);
        let labels = ["income", "v7", "1h"];
        builder.estimate(Priority::Model, metric, Scope::Model, &labels, &estimate);
    }
    let text = shown(builder);
    let found = series(&text, "tidemark_top_k_accuracy_ratio");
    assert_eq!(found.len(), 2);
    assert!(found[0].contains(r#"k="2""#) && found[1].contains(r#"k="5""#), "{found:?}");
}

#[test]
fn a_value_that_is_not_there_has_no_series() {
    let mut builder = SnapshotBuilder::new(NOW);
    let labels = ["income", "v7", "1h"];
    let nothing = Estimate { value: f64::NAN, interval: None, support: 0, error_max: 0.0 };
    builder.estimate(Priority::Model, Metric::Accuracy, Scope::Model, &labels, &nothing);
    builder.sample(&LABEL_COVERAGE, &labels, f64::INFINITY);
    let text = shown(builder);
    assert!(series(&text, LABEL_COVERAGE.name).is_empty());
    let families = metric_families(Metric::Accuracy, Scope::Model);
    assert!(series(&text, families.value.name).is_empty());
    assert!(series(&text, families.lower.name).is_empty());
    assert!(!text.contains("NaN") && !text.contains("inf\n"), "{text}");
}

#[test]
fn an_estimate_has_its_interval_and_its_support() {
    let mut builder = SnapshotBuilder::new(NOW);
    let estimate = Estimate {
        value: 0.9,
        interval: Some(Interval { lower: 0.85, upper: 0.94 }),
        support: 200,
        error_max: 0.0,
    };
    let labels = ["income", "v7", "1h", "sex=Female"];
    let slice = Priority::Slice { rank: 0 };
    builder.estimate(slice, Metric::Accuracy, Scope::Slice, &labels, &estimate);
    let text = shown(builder);
    let labels = r#"{model="income",slice="sex=Female",version="v7",window="1h"}"#;
    let unordered = r#"{model="income",version="v7",window="1h",slice="sex=Female"}"#;
    for (name, value) in [
        ("tidemark_slice_accuracy_ratio", "0.9"),
        ("tidemark_slice_accuracy_lower_ratio", "0.85"),
        ("tidemark_slice_accuracy_upper_ratio", "0.94"),
        ("tidemark_slice_accuracy_support_rows", "200"),
    ] {
        let found = series(&text, name);
        let expected = [labels, unordered].map(|labels| format!("{name}{labels} {value}"));
        assert!(found.len() == 1 && expected.iter().any(|line| line == found[0]), "{found:?}");
    }
    assert!(series(&text, "tidemark_slice_accuracy_error_max_ratio").is_empty());
}

#[test]
fn beyond_the_budget_slices_go_first_and_the_least_important_of_them() {
    let mut builder = SnapshotBuilder::new(NOW);
    builder.model("small", 5);
    builder.model("other", 5);
    let psi = drift_family(Statistic::Psi, DriftOf::Feature);
    for rank in 0..3 {
        let slice = format!("sex={rank}");
        let labels = ["small", "v1", "1h", slice.as_str()];
        let priority = Priority::Slice { rank };
        builder.sample_with(priority, &SLICE_WINDOW_PREDICTIONS, &labels, 1.0);
        let feature = format!("f{rank}");
        let labels = ["small", "v1", "1h", feature.as_str(), "own"];
        builder.sample_with(Priority::Drift { rank }, psi, &labels, 1.0);
    }
    builder.sample(&PREDICTIONS, &["small", "v1"], 1.0);
    builder.sample(&PREDICTIONS, &["other", "v1"], 1.0);
    let text = shown(builder);
    assert_eq!(
        series(&text, "tidemark_series_dropped"),
        [
            r#"tidemark_series_dropped{model="other"} 0"#,
            r#"tidemark_series_dropped{model="small"} 2"#,
        ]
    );
    assert_eq!(series(&text, PREDICTIONS.name).len(), 2);
    assert_eq!(series(&text, psi.name).len(), 3);
    let slices = series(&text, SLICE_WINDOW_PREDICTIONS.name);
    assert_eq!(slices.len(), 1);
    assert!(slices[0].contains("sex=0"));

    let mut builder = SnapshotBuilder::new(NOW);
    builder.model("small", 2);
    for rank in 0..3 {
        let feature = format!("f{rank}");
        let labels = ["small", "v1", "1h", feature.as_str(), "own"];
        builder.sample_with(Priority::Drift { rank }, psi, &labels, 1.0);
    }
    let text = shown(builder);
    assert!(!series(&text, psi.name).iter().any(|line| line.contains("f2")), "{text}");
}

#[test]
fn label_values_from_data_are_bounded_harmless_and_stay_different() {
    let long = "x".repeat(1_000);
    let values = [
        "a\nb".to_owned(),
        "ab".to_owned(),
        "a\u{202e}b".to_owned(),
        "quote\"back\\slash".to_owned(),
        format!("{long}1"),
        format!("{long}2"),
        "é".repeat(128),
    ];
    let mut builder = SnapshotBuilder::new(NOW);
    builder.model("income", 100);
    for value in &values {
        builder.sample(&SLICE_PREDICTIONS, &["income", "v1", value], 1.0);
    }
    let text = shown(builder);
    let found = series(&text, SLICE_PREDICTIONS.name);
    assert_eq!(found.len(), values.len(), "{found:?}");
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), values.len());
    assert!(found.iter().all(|line| line.chars().count() < 128 + 100));
    assert!(text.contains(r#"slice="quote\"back\\slash""#), "{text}");
    assert!(!text.contains('\u{202e}'));
    assert_eq!(clean_label("ab"), "ab");
    assert!(values.iter().all(|value| clean_label(value).chars().count() <= LABEL_CHARS_MAX));
}

#[test]
fn the_scrape_does_not_depend_on_the_order_of_adding() {
    let all = ["c", "a", "b"];
    let build = |order: &[usize]| {
        let mut builder = SnapshotBuilder::new(NOW);
        builder.model("income", 2);
        for &i in order {
            let priority = Priority::Slice { rank: 0 };
            let labels = ["income", "v1", "1h", all[i]];
            builder.sample_with(priority, &SLICE_WINDOW_PREDICTIONS, &labels, i as f64);
        }
        shown(builder)
    };
    assert_eq!(build(&[0, 1, 2]), build(&[2, 1, 0]));
    assert!(build(&[0, 1, 2]).contains("tidemark_series_dropped{model=\"income\"} 1"));
}

#[test]
fn an_old_snapshot_does_not_replace_a_newer_one_and_disappears_in_the_end() {
    let telemetry = Telemetry::new();
    let later = NOW + Span::from_secs(10);
    telemetry.install(Arc::new(SnapshotBuilder::new(later).finish()));
    telemetry.install(Arc::new(SnapshotBuilder::new(NOW).finish()));
    let text = telemetry.encode();
    assert_eq!(
        series(&text, SNAPSHOT_TIMESTAMP.name),
        ["tidemark_snapshot_timestamp_seconds 1800000010"]
    );
    telemetry.forget_before(later);
    assert!(!series(&telemetry.encode(), SNAPSHOT_TIMESTAMP.name).is_empty());
    telemetry.forget_before(later + Span(1));
    assert!(series(&telemetry.encode(), SNAPSHOT_TIMESTAMP.name).is_empty());
}

#[test]
fn a_baseline_has_no_window_and_that_of_top_k_says_its_k() {
    let mut builder = SnapshotBuilder::new(NOW);
    builder.model("income", 100);
    builder.baseline(Metric::Accuracy, &["income", "v7"], 0.85);
    builder.baseline(Metric::TopKAccuracy(TopK::new(3).unwrap()), &["income", "v7"], 0.95);
    let text = shown(builder);
    assert_eq!(
        series(&text, "tidemark_accuracy_baseline_ratio"),
        [r#"tidemark_accuracy_baseline_ratio{model="income",version="v7"} 0.85"#]
    );
    assert_eq!(
        series(&text, "tidemark_top_k_accuracy_baseline_ratio"),
        [r#"tidemark_top_k_accuracy_baseline_ratio{model="income",version="v7",k="3"} 0.95"#]
    );
}

#[test]
fn nothing_is_exported_that_is_not_in_a_list() {
    let mut listed: BTreeSet<&str> = families().iter().map(|family| family.name).collect();
    listed.extend(PROCESS_FAMILIES);
    let text = full_exposition();
    let typed = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let exported: BTreeSet<&str> = typed.filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(exported, listed);
}

#[test]
fn an_info_has_one_series() {
    let telemetry = Telemetry::new();
    telemetry.info(&CONFIG_INFO, &["aaaa"]);
    telemetry.info(&CONFIG_INFO, &["bbbb"]);
    let text = telemetry.encode();
    assert_eq!(series(&text, CONFIG_INFO.name), [r#"tidemark_config_info{hash="bbbb"} 1"#]);
}

#[test]
fn a_histogram_of_the_engine_is_cumulative_and_ends_at_infinity() {
    let mut builder = SnapshotBuilder::new(NOW);
    builder.model("income", 100);
    let mut counts = vec![0; DELAY_BUCKETS.len() + 1];
    (counts[0], counts[2], counts[DELAY_BUCKETS.len()]) = (1, 2, 4);
    builder.histogram(&LABEL_DELAY, &["income"], HistogramSample { counts, sum: 12.5 });
    let text = shown(builder);
    for line in [
        r#"tidemark_label_delay_seconds_bucket{model="income",le="1"} 1"#,
        r#"tidemark_label_delay_seconds_bucket{model="income",le="60"} 3"#,
        r#"tidemark_label_delay_seconds_bucket{model="income",le="2592000"} 3"#,
        r#"tidemark_label_delay_seconds_bucket{model="income",le="+Inf"} 7"#,
        r#"tidemark_label_delay_seconds_sum{model="income"} 12.5"#,
        r#"tidemark_label_delay_seconds_count{model="income"} 7"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}
