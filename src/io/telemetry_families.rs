//! Every metric family that is exported, defined once: name, kind, help, labels.
//!
//! The table below is the list that dashboards, rules and the documentation are checked against.
//! Families of performance metrics and of drift statistics are made from `Metric::ALL` and
//! `Statistic::ALL`, so a new metric appears here by itself.

use crate::engine::cbpe::EVERY_ESTIMABLE;
use crate::engine::counters::DELAY_BUCKETS;
use crate::engine::drift::Statistic;
use crate::engine::metric::{Metric, TopK};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Buckets of a process histogram reach from a tenth of a millisecond to half a minute.
const SECONDS: &[f64] = &[0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Who sets a family's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The daemon's tasks, at any time; see `Telemetry::counter` and its siblings.
    Process,
    /// The engine, for a scrape; see `SnapshotBuilder`.
    Snapshot,
}

/// One metric family.
#[derive(Debug, PartialEq)]
pub struct FamilyDef {
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
    pub labels: &'static [&'static str],
    pub source: Source,
    /// Upper bounds, ascending, without the infinite one; empty unless a histogram.
    pub buckets: &'static [f64],
}

macro_rules! families {
    ($($id:ident $kind:ident $source:ident $name:literal [$($label:literal),*] $help:literal
       $(buckets $buckets:expr)?;)*) => {
        $(
            #[doc = $help]
            pub static $id: FamilyDef = FamilyDef {
                name: concat!("tidemark_", $name),
                kind: Kind::$kind,
                help: $help,
                labels: &[$($label),*],
                source: Source::$source,
                buckets: { let _none: &'static [f64] = &[]; $(let _none = $buckets;)? _none },
            };
        )*
        /// The families of the table, in its order.
        static FIXED: &[&FamilyDef] = &[$(&$id),*];
    };
}

families! {
    // What runs.
    BUILD_INFO Gauge Process "build_info" ["version", "revision", "rustc", "librdkafka"]
        "Always 1; says which build is running.";
    CONFIG_INFO Gauge Process "config_info" ["hash"]
        "Always 1; says which configuration is in force.";
    READY Gauge Process "ready" []
        "1 if the daemon is ready (restored, assigned, polled, nothing fatal), else 0.";
    CONFIG_RELOAD_SUCCESSFUL Gauge Process "config_last_reload_successful" []
        "1 if the last attempt to load the configuration worked, else 0.";
    CONFIG_RELOAD_TIMESTAMP Gauge Process "config_last_reload_success_timestamp_seconds" []
        "When the configuration was last loaded.";
    HTTP_REQUESTS Counter Process "http_requests_total" ["endpoint"]
        "HTTP requests answered, by endpoint.";
    SCRAPE_SECONDS Histogram Process "scrape_seconds" []
        "How long it took to answer a scrape." buckets SECONDS;
    SNAPSHOTS_STALE Counter Process "snapshots_stale_total" []
        "Scrapes that got an older snapshot because the engine was busy.";

    // Kafka.
    RECORDS_READ Counter Process "records_read_total" ["topic"]
        "Kafka records that this process has read.";
    BYTES_READ Counter Process "read_bytes_total" ["topic"]
        "Bytes of payloads that this process has read.";
    POLL_SECONDS Histogram Process "poll_seconds" []
        "How long a poll for records took." buckets SECONDS;
    BATCH_SECONDS Histogram Process "batch_seconds" []
        "How long it took to decode and apply a batch of records." buckets SECONDS;
    CONSUMER_CONNECTED Gauge Process "consumer_connected" []
        "1 if a broker can be reached, else 0.";
    CONSUMER_REBALANCES Counter Process "consumer_rebalances_total" []
        "Assignments and revocations of partitions.";
    CONSUMER_RECREATIONS Counter Process "consumer_recreations_total" []
        "Times that the consumer was made anew because it had lag and no progress.";
    DEAD_LETTERS Counter Process "dead_letters_total" ["topic"]
        "Records of this topic that were given to the dead letter topic.";
    DEAD_LETTER_FAILURES Counter Process "dead_letter_failures_total" []
        "Dead letters that the brokers did not take, or that no longer fitted into the queue.";
    DEAD_LETTERS_WITHHELD Counter Process "dead_letters_withheld_total" ["topic"]
        "Records of this topic kept from the dead letter topic by its rate limit.";

    // Checkpoints and memory.
    CHECKPOINT_WRITES Counter Process "checkpoint_writes_total" ["lineage"]
        "Attempts to write a checkpoint, by lineage: shard or model.";
    CHECKPOINT_FAILURES Counter Process "checkpoint_failures_total" ["lineage"]
        "Attempts to write a checkpoint that failed, by lineage.";
    CHECKPOINT_BYTES Counter Process "checkpoint_written_bytes_total" ["lineage"]
        "Bytes of checkpoints written, by lineage.";
    CHECKPOINT_SECONDS Histogram Process "checkpoint_seconds" ["lineage"]
        "How long it took to write a checkpoint, by lineage." buckets SECONDS;
    CHECKPOINT_TIMESTAMP Gauge Process "checkpoint_last_success_timestamp_seconds" ["lineage"]
        "When a checkpoint was last durable, by lineage; its age is time() minus this.";
    CHECKPOINT_SIZE Gauge Process "checkpoint_size_bytes" ["lineage"]
        "Size of the newest full checkpoint, by lineage.";
    CHECKPOINT_DAMAGED Counter Process "checkpoint_files_damaged_total" ["lineage"]
        "Checkpoint files that could not be used when a state was restored, by lineage.";
    RECORDS_LOST Counter Process "records_lost_total" ["topic"]
        "Records that were gone from the log before they were read; missing from all numbers.";
    OFFSETS_LOST Counter Process "offsets_lost_total" ["topic", "reason"]
        "Times that the offset to continue from was not in the log: retention, or recreated.";
    PARTITIONS_CHANGED Counter Process "partitions_changed_total" ["topic", "change"]
        "Partitions that a topic has gained (added) or lost (removed) since its state was made.";

    // Webhooks.
    WEBHOOK_REQUESTS Counter Process "webhook_requests_total" ["webhook"]
        "HTTP requests made to a webhook, retries included.";
    WEBHOOK_FAILURES Counter Process "webhook_failures_total" ["webhook"]
        "HTTP requests to a webhook that it did not take.";
    WEBHOOK_SECONDS Histogram Process "webhook_request_seconds" ["webhook"]
        "How long a webhook took to answer." buckets SECONDS;
    OUTBOX_PENDING Gauge Snapshot "outbox_pending_requests" ["webhook"]
        "Requests that wait for delivery.";
    OUTBOX_OLDEST_TIMESTAMP Gauge Snapshot "outbox_oldest_pending_timestamp_seconds" ["webhook"]
        "When the oldest request that waits for delivery was made.";
    OUTBOX_DELIVERED Counter Snapshot "outbox_delivered_total" ["webhook"]
        "Requests that a webhook took; a request counts once, however often it was tried.";
    OUTBOX_GIVEN_UP Counter Snapshot "outbox_given_up_total" ["webhook"]
        "Requests that were given up undelivered.";
    WEBHOOK_DISABLED Gauge Snapshot "webhook_disabled" ["webhook"]
        "1 if the webhook answered 410 and gets nothing any more, else 0.";

    // The snapshot itself.
    SNAPSHOT_TIMESTAMP Gauge Snapshot "snapshot_timestamp_seconds" []
        "When the values of models in this scrape were taken.";
    SERIES_DROPPED Gauge Snapshot "series_dropped" ["model"]
        "Series of the model left out of this scrape because it has more than its series_max.";

    // Inputs: where they stand.
    OWN_WATERMARK Gauge Snapshot "own_watermark_timestamp_seconds" ["topic", "partition"]
        "Event time before which a record of the partition is late.";
    CLOSING_WATERMARK Gauge Snapshot "closing_watermark_timestamp_seconds" ["model", "input"]
        "Event time up to which windows close, by input: predictions or labels.";
    CONSUMER_OFFSET Gauge Snapshot "consumer_offset" ["topic", "partition"]
        "Offset of the next record to be read.";
    CONSUMER_LAG Gauge Snapshot "consumer_lag_records" ["topic", "partition"]
        "Records between our position and the end of the log.";
    CONSUMER_LAG_SECONDS Gauge Snapshot "consumer_lag_seconds" ["topic", "partition"]
        "How old the last record read is, by its Kafka timestamp; 0 at the end of the log.";
    CONSUMER_PAUSED Gauge Snapshot "consumer_paused" ["topic", "partition"]
        "1 if reading the partition is paused or held back for one behind it in time, else 0.";

    COPARTITION_MISMATCH Gauge Snapshot "copartition_mismatch_ratio" ["model"]
        "Share of sampled ids whose label lies in another partition than their prediction.";

    SHARDS_MISSING Gauge Snapshot "missing_shards" ["model"]
        "Partitions whose state the model's owner lacks; its windows wait for them.";

    // Rows: where they ended. Values of the last durable checkpoint.
    ROWS_READ Counter Snapshot "rows_read_total" ["topic"]
        "Rows read: the sum of all outcomes plus pending predictions and waiting labels.";
    PREDICTION_ROWS Counter Snapshot "prediction_rows_total" ["topic", "model", "outcome"]
        "Prediction rows by how they ended; without a model where none could be told.";
    LABEL_ROWS Counter Snapshot "label_rows_total" ["topic", "outcome"]
        "Label rows by the best way in which they ended for any model.";
    MODEL_LABEL_ROWS Counter Snapshot "model_label_rows_total" ["model", "outcome"]
        "Label rows by how they ended for this model; a row counts for each of a topic's models.";
    ROWS_REFUSED Counter Snapshot "rows_refused_total" ["topic", "reason"]
        "Rows that could not be read as a prediction or label, by reason.";
    PENDING_PREDICTIONS Gauge Snapshot "pending_predictions" ["model"]
        "Predictions that wait for their label.";
    WAITING_LABELS Gauge Snapshot "waiting_labels" ["topic"]
        "Labels that wait for their prediction.";
    PREDICTIONS Counter Snapshot "predictions_total" ["model", "version"]
        "Predictions accepted.";
    LABELED_PREDICTIONS Counter Snapshot
        "labeled_predictions_total" ["model", "version", "outcome"]
        "Predictions at their first label: tp, fp, tn, fn; right, wrong; or measured (regression).";
    CORRECTIONS Counter Snapshot "corrections_total" ["model", "version"]
        "Labels that replaced an earlier one of the same prediction.";
    ERROR_POSITIVE Counter Snapshot "prediction_overestimate_total" ["model", "version"]
        "Sum of predicted minus true value where it is positive, at the first label.";
    ERROR_NEGATIVE Counter Snapshot "prediction_underestimate_total" ["model", "version"]
        "Sum of true minus predicted value where it is positive, at the first label.";
    ERROR_SQUARES Counter Snapshot "prediction_squared_error_total" ["model", "version"]
        "Sum of squared errors, at the first label.";
    LOG_LOSS_SUM Counter Snapshot "prediction_log_loss_total" ["model", "version"]
        "Sum of log losses in nats, at the first label.";
    BRIER_SUM Counter Snapshot "prediction_brier_loss_total" ["model", "version"]
        "Sum of squared differences between probability and outcome, at the first label.";
    LABEL_DELAY Histogram Snapshot "label_delay_seconds" ["model"]
        "From a prediction's event time to its first label's." buckets &DELAY_BUCKETS;
    SLICE_PREDICTIONS Counter Snapshot "slice_predictions_total" ["model", "version", "slice"]
        "Predictions accepted in a slice.";
    SLICE_LABELED_PREDICTIONS Counter Snapshot
        "slice_labeled_predictions_total" ["model", "version", "slice", "outcome"]
        "Predictions of a slice at their first label, by outcome.";

    // Windows and models.
    MODEL_INFO Gauge Snapshot "model_info" ["model", "version", "task", "reference_hash"]
        "Always 1; says what a version is measured against.";
    LAST_PREDICTION_TIMESTAMP Gauge Snapshot
        "last_prediction_timestamp_seconds" ["model", "version"]
        "Greatest event time of a prediction.";
    WINDOW_FIRINGS Counter Snapshot "window_firings_total" ["model", "window", "firing"]
        "Windows emitted: on_time, late or final.";
    WINDOW_END Gauge Snapshot "window_end_timestamp_seconds" ["model", "version", "window"]
        "End of the window that the performance gauges show.";
    WINDOW_PREDICTIONS Gauge Snapshot "window_predictions" ["model", "version", "window"]
        "Predictions in the window that the performance gauges show.";
    WINDOW_LABELED Gauge Snapshot "window_labeled_predictions" ["model", "version", "window"]
        "Labelled predictions in the window that the performance gauges show.";
    LABEL_COVERAGE Gauge Snapshot "label_coverage_ratio" ["model", "version", "window"]
        "Labelled share of the predictions in the window that the performance gauges show.";
    SLICE_WINDOW_PREDICTIONS Gauge Snapshot
        "slice_window_predictions" ["model", "version", "window", "slice"]
        "Predictions of a slice in the window that the performance gauges show.";
    SLICE_WINDOW_LABELED Gauge Snapshot
        "slice_window_labeled_predictions" ["model", "version", "window", "slice"]
        "Labelled predictions of a slice in the window that the performance gauges show.";
    SLICE_LABEL_COVERAGE Gauge Snapshot
        "slice_label_coverage_ratio" ["model", "version", "window", "slice"]
        "Labelled share of a slice's predictions in the window that the performance gauges show.";

    // Inputs of models.
    DRIFT_WINDOW_END Gauge Snapshot
        "drift_window_end_timestamp_seconds" ["model", "version", "window"]
        "End of the window that the gauges of drift and of features show.";
    DRIFT_WINDOW_PREDICTIONS Gauge Snapshot
        "drift_window_predictions" ["model", "version", "window"]
        "Predictions in the window that the gauges of drift and of features show.";
    FEATURE_MISSING Gauge Snapshot
        "feature_missing_ratio" ["model", "version", "window", "feature", "reference"]
        "Share of a window's predictions without the feature.";
    FEATURE_OUT_OF_RANGE Gauge Snapshot
        "feature_out_of_range_ratio" ["model", "version", "window", "feature", "reference"]
        "Share of a window's values outside the reference's range.";
    FEATURE_NEW Gauge Snapshot
        "feature_new_value_ratio" ["model", "version", "window", "feature", "reference"]
        "Share of a window's values in categories that the reference does not have.";
    FEATURE_INVALID Gauge Snapshot
        "feature_invalid_ratio" ["model", "version", "window", "feature", "reference"]
        "Share of a window's predictions whose feature is of another type or not finite.";

    // Estimates before labels, and how they did.
    ESTIMATE_WINDOW_END Gauge Snapshot
        "estimate_window_end_timestamp_seconds" ["model", "version", "window"]
        "End of the newest closed window, which the gauges of estimates show.";
    ESTIMATE_WINDOW_PREDICTIONS Gauge Snapshot
        "estimate_window_predictions" ["model", "version", "window"]
        "Predictions in the window that the gauges of estimates show.";
    ESTIMATE_LABEL_COVERAGE Gauge Snapshot
        "estimate_label_coverage_ratio" ["model", "version", "window"]
        "Labelled share of the predictions in the window that the gauges of estimates show.";
    ESTIMATE_GRADED Gauge Snapshot
        "estimate_graded_windows" ["model", "version", "window", "metric"]
        "Final windows on which the estimates of a metric are graded, the newest 64 at most.";
    ESTIMATE_BIAS Gauge Snapshot
        "estimate_bias" ["model", "version", "window", "metric"]
        "Mean over the graded windows of what was measured minus what was estimated.";
    ESTIMATE_BAND_HELD Gauge Snapshot
        "estimate_band_held_ratio" ["model", "version", "window", "metric"]
        "Share of the graded windows whose measured value lay in the estimate's 95% band.";
    ESTIMATE_TRUSTED Gauge Snapshot
        "estimate_trusted" ["model", "version", "window", "metric"]
        "1 if the graded windows bear the estimates out, 0 if not; absent before 5 are graded.";

    // Policies.
    POLICY_FIRING Gauge Snapshot "policy_firing" ["model", "version", "policy"]
        "1 if the policy's condition holds at the last window that it judged, else 0.";
    POLICY_DECISIONS Counter Snapshot
        "policy_decisions_total" ["model", "policy", "decision", "reason"]
        "Judgements: decision is hold, alert or retrain; reason says why.";
    POLICY_JUDGED Gauge Snapshot
        "policy_judged_window_end_timestamp_seconds" ["model", "version", "policy"]
        "End of the last window that the policy judged.";
    POLICY_EPISODES Counter Snapshot "policy_alarm_episodes_total" ["model", "policy"]
        "Tests of a policy with a budget that went from quiet to firing; what the budget is about.";
    POLICY_EVIDENCE Gauge Snapshot "policy_evidence_ratio" ["model", "version", "policy"]
        "Evidence at the last window over what an alarm takes, as logarithms; fires from 1 on.";
    POLICY_BUDGET Gauge Snapshot "policy_budget_episodes_per_week" ["model", "policy"]
        "False alarm episodes in a week that the policy may make.";
}

/// What a performance metric is computed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// All predictions of a version. Labels: model, version, window (and k for top-k accuracy).
    Model,
    /// One slice. Labels: model, version, window, slice (`feature=value`, several by commas).
    Slice,
}

/// The families of one performance metric in one scope.
#[derive(Debug)]
pub struct MetricFamilies {
    pub value: FamilyDef,
    /// Ends of the 95% confidence interval.
    pub lower: FamilyDef,
    pub upper: FamilyDef,
    /// Rows that the value rests on.
    pub support: FamilyDef,
    /// How far the value may lie from the exact one because of binning.
    pub error_max: FamilyDef,
}

/// What a drift statistic compares with the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DriftOf {
    /// A feature. Labels: model, version, window, feature, reference (`own` or `inherited`).
    Feature,
    /// What the model puts out: label `output` (`score`, `predicted_class`, `label`) instead.
    Output,
}

const MODEL_LABELS: &[&str] = &["model", "version", "window"];
const SLICE_LABELS: &[&str] = &["model", "version", "window", "slice"];
const MODEL_TOP_K_LABELS: &[&str] = &["model", "version", "window", "k"];
const SLICE_TOP_K_LABELS: &[&str] = &["model", "version", "window", "slice", "k"];
const BASELINE_LABELS: &[&str] = &["model", "version"];
const BASELINE_TOP_K_LABELS: &[&str] = &["model", "version", "k"];
const FEATURE_LABELS: &[&str] = &["model", "version", "window", "feature", "reference"];
const OUTPUT_LABELS: &[&str] = &["model", "version", "window", "output", "reference"];

/// The families of one metric before all labels are there. Labels: model, version, window.
#[derive(Debug)]
pub struct EstimateFamilies {
    /// Over all predictions, without any label: value, and the ends of its 95% band.
    pub estimated: [FamilyDef; 3],
    /// Measured where labels have come, estimated where they have not.
    pub combined: [FamilyDef; 3],
}

struct Generated {
    estimates: BTreeMap<Metric, EstimateFamilies>,
    metrics: BTreeMap<(Metric, Scope), MetricFamilies>,
    baselines: BTreeMap<Metric, FamilyDef>,
    drift: BTreeMap<(Statistic, DriftOf), FamilyDef>,
}

/// Made once; the names live as long as the process, a few kilobytes.
fn generated() -> &'static Generated {
    static GENERATED: OnceLock<Generated> = OnceLock::new();
    GENERATED.get_or_init(|| {
        let mut metrics = BTreeMap::new();
        let mut baselines = BTreeMap::new();
        for metric in Metric::ALL.into_iter().chain([any_top_k()]) {
            for scope in [Scope::Model, Scope::Slice] {
                metrics.insert((metric, scope), metric_defs(metric, scope));
            }
            baselines.insert(metric, baseline_def(metric));
        }
        let estimates = EVERY_ESTIMABLE.iter().map(|metric| (*metric, estimate_defs(*metric)));
        let mut drift = BTreeMap::new();
        for statistic in Statistic::ALL {
            for of in [DriftOf::Feature, DriftOf::Output] {
                drift.insert((statistic, of), drift_def(statistic, of));
            }
        }
        Generated { estimates: estimates.collect(), metrics, baselines, drift }
    })
}

fn gauge(name: String, help: String, labels: &'static [&'static str]) -> FamilyDef {
    FamilyDef {
        name: name.leak(),
        kind: Kind::Gauge,
        help: help.leak(),
        labels,
        source: Source::Snapshot,
        buckets: &[],
    }
}

/// Stands for the top-k accuracies of every k, which share their families.
fn any_top_k() -> Metric {
    Metric::TopKAccuracy(TopK::new(1).expect("1 is from 1 to 64"))
}

/// What the top-k accuracies of every k share.
const TOP_K_ACCURACY: &str = "top_k_accuracy";

fn is_top_k(metric: Metric) -> bool {
    matches!(metric, Metric::TopKAccuracy(_))
}

fn metric_defs(metric: Metric, scope: Scope) -> MetricFamilies {
    let is_top_k = is_top_k(metric);
    let labels = match (scope, is_top_k) {
        (Scope::Model, false) => MODEL_LABELS,
        (Scope::Slice, false) => SLICE_LABELS,
        (Scope::Model, true) => MODEL_TOP_K_LABELS,
        (Scope::Slice, true) => SLICE_TOP_K_LABELS,
    };
    let (prefix, of) = match scope {
        Scope::Model => ("tidemark_", ""),
        Scope::Slice => ("tidemark_slice_", " (of a slice)"),
    };
    let (name, text) = match is_top_k {
        true => (TOP_K_ACCURACY, "The share whose true class was among the k most probable"),
        false => (metric.name(), metric.help().trim_end_matches('.')),
    };
    let unit = unit(metric);
    let def = |part: &str, unit: &str, help: String| {
        gauge(format!("{prefix}{name}{part}{unit}"), help, labels)
    };
    MetricFamilies {
        value: def("", unit, format!("{text}{of}.")),
        lower: def("_lower", unit, format!("Lower end of the 95% interval of {name}{of}.")),
        upper: def("_upper", unit, format!("Upper end of the 95% interval of {name}{of}.")),
        support: def("_support", "_rows", format!("Rows that {name} rests on{of}.")),
        error_max: def(
            "_error_max",
            unit,
            format!("How far {name} may lie from the exact value because of binning{of}."),
        ),
    }
}

fn estimate_defs(metric: Metric) -> EstimateFamilies {
    let (name, unit) = (metric.name(), unit(metric));
    let defs = |kind: &str, text: &str| {
        let def = |part: &str, help: String| {
            gauge(format!("tidemark_{kind}_{name}{part}{unit}"), help, MODEL_LABELS)
        };
        [
            def("", format!("{text}: {}", metric.help())),
            def("_lower", format!("Lower end of the 95% interval of {kind} {name}.")),
            def("_upper", format!("Upper end of the 95% interval of {kind} {name}.")),
        ]
    };
    EstimateFamilies {
        estimated: defs("estimated", "Estimated over all predictions, without labels"),
        combined: defs("combined", "Measured where labels have come, estimated where not"),
    }
}

fn baseline_def(metric: Metric) -> FamilyDef {
    let (name, labels) = match is_top_k(metric) {
        true => (TOP_K_ACCURACY, BASELINE_TOP_K_LABELS),
        false => (metric.name(), BASELINE_LABELS),
    };
    let help = format!("What {name} was on the held-out data of the version's reference.");
    gauge(format!("tidemark_{name}_baseline{}", unit(metric)), help, labels)
}

fn drift_def(statistic: Statistic, of: DriftOf) -> FamilyDef {
    let (prefix, labels) = match of {
        DriftOf::Feature => ("tidemark_drift_", FEATURE_LABELS),
        DriftOf::Output => ("tidemark_output_drift_", OUTPUT_LABELS),
    };
    gauge(format!("{prefix}{}", statistic.name()), statistic.help().to_owned(), labels)
}

/// `_ratio` for a metric from 0 to 1 and for relative errors; nothing for one without a unit
/// (log loss, correlations) or in the label's own unit (errors).
fn unit(metric: Metric) -> &'static str {
    let relative = matches!(metric, Metric::Mape | Metric::Smape);
    if relative || metric.range() == (0.0, 1.0) { "_ratio" } else { "" }
}

/// The families of a performance metric. Those of top-k accuracies have the label `k` besides.
pub fn metric_families(metric: Metric, scope: Scope) -> &'static MetricFamilies {
    let metric = if is_top_k(metric) { any_top_k() } else { metric };
    generated().metrics.get(&(metric, scope)).expect("a test asks for each metric's families")
}

/// The family of what a metric was when the version's reference was made. Labels: model, version
/// (and k for top-k accuracy).
pub fn baseline_family(metric: Metric) -> &'static FamilyDef {
    let metric = if is_top_k(metric) { any_top_k() } else { metric };
    generated().baselines.get(&metric).expect("a test asks for each metric's family")
}

/// The families of a metric before all labels are there; `None` if it cannot be estimated.
pub fn estimate_families(metric: Metric) -> Option<&'static EstimateFamilies> {
    generated().estimates.get(&metric)
}

/// The family of a drift statistic.
pub fn drift_family(statistic: Statistic, of: DriftOf) -> &'static FamilyDef {
    generated().drift.get(&(statistic, of)).expect("a test asks for each statistic's family")
}

/// Every family, the fixed ones first, in a stable order.
pub fn families() -> &'static [&'static FamilyDef] {
    static ALL: OnceLock<Vec<&'static FamilyDef>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all = FIXED.to_vec();
        for metric in generated().metrics.values() {
            let MetricFamilies { value, lower, upper, support, error_max } = metric;
            all.extend([value, lower, upper, support, error_max]);
        }
        for estimate in generated().estimates.values() {
            all.extend(estimate.estimated.iter().chain(&estimate.combined));
        }
        all.extend(generated().baselines.values());
        all.extend(generated().drift.values());
        all
    })
}
