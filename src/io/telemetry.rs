//! What Prometheus sees. The only module that knows the `prometheus` crate.
//!
//! Two sources: the daemon's tasks keep counters and histograms of their own work (handles from
//! [`Telemetry::counter`] and its siblings), and the engine takes a [`Snapshot`] of the models when
//! a scrape asks for one, so that all values of a scrape belong together. Every family is defined
//! once, in `telemetry_families.rs`; [`families`] lists them all.
//!
//! # Names
//!
//! - `tidemark_<metric>` {model, version, window}: a performance metric of the newest window with
//!   enough labels; with `_ratio` if it goes from 0 to 1 or is relative. Top-k accuracies of every
//!   k are `tidemark_top_k_accuracy_ratio` {..., k}.
//! - `tidemark_<metric>_lower`, `_upper` (`_ratio` likewise): its 95% interval, where an honest one
//!   is known. `_error_max`: how far binning may put it off, where it does. `_support_rows`: the
//!   rows it rests on.
//! - `tidemark_slice_...` {..., slice}: the same of a slice (`sex=Female`, `race=White,sex=Male`).
//! - `tidemark_window_...`, `tidemark_label_coverage_ratio` {model, version, window}: which window
//!   those gauges show, and how much of it is labelled.
//! - `tidemark_drift_<statistic>` {model, version, window, feature, reference}: drift against the
//!   reference profile (`own` or `inherited`). `tidemark_output_drift_<statistic>` {..., output,
//!   ...}: the same of scores and classes. `tidemark_feature_..._ratio`: missing, out of range,
//!   new, invalid.
//! - `tidemark_predictions_total`, `tidemark_labeled_predictions_total`, sums of errors {model,
//!   version, outcome}: for exact aggregation in PromQL. Values of the last durable checkpoint, as
//!   of all counters that the engine exports.
//! - `tidemark_prediction_rows_total`, `tidemark_label_rows_total`, `tidemark_rows_refused_total`:
//!   where every row ended.
//! - `tidemark_policy_...` {model, policy}: judgements.
//! - `process_...` ([`PROCESS_FAMILIES`]): the process, under the names that all clients use.
//! - The others: the daemon itself. [`families`] has the help text of each.
//!
//! A whole model and its slices are different families, statistics of different scales too, so that
//! `sum()` or `avg()` over a family means something. A gauge without data has no sample, never 0.
//! Labels' values that come from data are cut at 128 characters and lose control characters.

pub use super::telemetry_families::*;
pub use super::telemetry_refresh::{SnapshotClient, SnapshotDesk, snapshots};
pub use super::telemetry_snapshot::{
    HistogramSample, LABEL_CHARS_MAX, Priority, SAMPLES_MAX, SERIES_MAX_DEFAULT, Snapshot,
    SnapshotBuilder, clean_label,
};

use super::telemetry_snapshot::{Sample, Value};
use crate::engine::time::{Span, Timestamp};
use prometheus::core::{Collector, Desc};
#[cfg(target_os = "linux")]
use prometheus::process_collector::ProcessCollector;
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};
use prometheus::{TextEncoder, proto};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// The content type of [`Telemetry::encode`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// A snapshot older than this is not shown any more: better no value than a wrong one.
pub const SNAPSHOT_AGE_MAX: Span = Span::from_mins(5);

/// The families that the `prometheus` crate itself keeps, on Linux.
pub const PROCESS_FAMILIES: [&str; 7] = [
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_threads",
    "process_virtual_memory_bytes",
];

/// A count that only grows.
#[derive(Clone, Debug)]
pub struct Counter(prometheus::IntCounter);

impl Counter {
    pub fn add(&self, count: u64) {
        self.0.inc_by(count);
    }

    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

#[derive(Clone, Debug)]
pub struct Gauge(prometheus::Gauge);

impl Gauge {
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }
}

#[derive(Clone, Debug)]
pub struct Histogram(prometheus::Histogram);

impl Histogram {
    pub fn observe(&self, value: f64) {
        self.0.observe(value);
    }
}

/// All that a scrape shows.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    counters: BTreeMap<&'static str, IntCounterVec>,
    gauges: BTreeMap<&'static str, GaugeVec>,
    histograms: BTreeMap<&'static str, HistogramVec>,
    slot: Arc<Slot>,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Telemetry {
    pub fn new() -> Self {
        let slot = Arc::new(Slot::default());
        let mut telemetry = Self {
            registry: Registry::new(),
            counters: BTreeMap::new(),
            gauges: BTreeMap::new(),
            histograms: BTreeMap::new(),
            slot: slot.clone(),
        };
        for family in families().iter().filter(|family| family.source == Source::Process) {
            telemetry.add_family(family);
        }
        telemetry.register(SlotCollector { descs: snapshot_descs(), slot });
        #[cfg(target_os = "linux")]
        telemetry.register(ProcessCollector::for_self());
        telemetry
    }

    fn add_family(&mut self, family: &'static FamilyDef) {
        let FamilyDef { name, labels, .. } = *family;
        let opts = Opts::new(name, family.help);
        let invalid = "names and labels of families are checked by a test";
        match family.kind {
            Kind::Counter => {
                let counters = IntCounterVec::new(opts, labels).expect(invalid);
                self.register(counters.clone());
                self.counters.insert(name, counters);
            }
            Kind::Gauge => {
                let gauges = GaugeVec::new(opts, labels).expect(invalid);
                self.register(gauges.clone());
                self.gauges.insert(name, gauges);
            }
            Kind::Histogram => {
                let opts = HistogramOpts::from(opts).buckets(family.buckets.to_vec());
                let histograms = HistogramVec::new(opts, labels).expect(invalid);
                self.register(histograms.clone());
                self.histograms.insert(name, histograms);
            }
        }
    }

    fn register(&self, collector: impl Collector + 'static) {
        self.registry.register(Box::new(collector)).expect("names of families are unique");
    }

    /// A handle to keep; exported as 0 from now on. Labels' values must come from the
    /// configuration, not from data. Panics if the family is no counter of the process or the
    /// labels do not fit it.
    pub fn counter(&self, family: &'static FamilyDef, labels: &[&str]) -> Counter {
        let clean = clean_labels(labels);
        Counter(child(family, self.counters.get(family.name), |counters| {
            counters.get_metric_with_label_values(&clean)
        }))
    }

    /// A handle to keep; exported as 0 from now on. See [`Telemetry::counter`].
    pub fn gauge(&self, family: &'static FamilyDef, labels: &[&str]) -> Gauge {
        let clean = clean_labels(labels);
        Gauge(child(family, self.gauges.get(family.name), |gauges| {
            gauges.get_metric_with_label_values(&clean)
        }))
    }

    /// A handle to keep. See [`Telemetry::counter`].
    pub fn histogram(&self, family: &'static FamilyDef, labels: &[&str]) -> Histogram {
        let clean = clean_labels(labels);
        Histogram(child(family, self.histograms.get(family.name), |histograms| {
            histograms.get_metric_with_label_values(&clean)
        }))
    }

    /// Sets an `_info` family to one series with these labels.
    pub fn info(&self, family: &'static FamilyDef, labels: &[&str]) {
        if let Some(gauges) = self.gauges.get(family.name) {
            gauges.reset();
        }
        self.gauge(family, labels).set(1.0);
    }

    /// Shows this snapshot from now on, unless a newer one is shown.
    pub fn install(&self, snapshot: Arc<Snapshot>) {
        let mut shown = self.slot.lock();
        if shown.as_ref().is_none_or(|shown| shown.taken_at <= snapshot.taken_at) {
            *shown = Some(snapshot);
        }
    }

    /// Shows no snapshot that was taken before.
    pub fn forget_before(&self, oldest: Timestamp) {
        let mut shown = self.slot.lock();
        if shown.as_ref().is_some_and(|shown| shown.taken_at < oldest) {
            *shown = None;
        }
    }

    /// The exposition in Prometheus' text format 0.0.4, families and series in a stable order.
    pub fn encode(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .expect("gathered families have a name and a sample, and a string takes any text")
    }
}

fn clean_labels(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|label| clean_label(label)).collect()
}

fn child<V, M>(
    family: &FamilyDef,
    vec: Option<&V>,
    get: impl Fn(&V) -> prometheus::Result<M>,
) -> M {
    let Some(vec) = vec else { panic!("{} is not a {:?} here", family.name, family.kind) };
    get(vec).unwrap_or_else(|error| panic!("labels of {}: {error}", family.name))
}

/// The newest snapshot.
#[derive(Debug, Default)]
struct Slot(Mutex<Option<Arc<Snapshot>>>);

impl Slot {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Snapshot>>> {
        // A panic elsewhere cannot leave the slot half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct SlotCollector {
    descs: Vec<Desc>,
    slot: Arc<Slot>,
}

fn snapshot_descs() -> Vec<Desc> {
    let of_snapshot = families().iter().filter(|family| family.source == Source::Snapshot);
    of_snapshot
        .map(|family| {
            let labels = family.labels.iter().map(|label| (*label).to_owned()).collect();
            Desc::new(family.name.to_owned(), family.help.to_owned(), labels, HashMap::new())
                .expect("names and labels of families are checked by a test")
        })
        .collect()
}

impl Collector for SlotCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let snapshot = self.slot.lock().clone();
        let families = snapshot.iter().flat_map(|snapshot| &snapshot.families);
        families.map(|(family, samples)| to_proto(family, samples)).collect()
    }
}

fn to_proto(family: &FamilyDef, samples: &[Sample]) -> proto::MetricFamily {
    let mut out = proto::MetricFamily::default();
    out.set_name(family.name.to_owned());
    out.set_help(family.help.to_owned());
    out.set_field_type(match family.kind {
        Kind::Counter => proto::MetricType::COUNTER,
        Kind::Gauge => proto::MetricType::GAUGE,
        Kind::Histogram => proto::MetricType::HISTOGRAM,
    });
    out.set_metric(samples.iter().map(|sample| metric_to_proto(family, sample)).collect());
    out
}

fn metric_to_proto(family: &FamilyDef, sample: &Sample) -> proto::Metric {
    let pairs = family.labels.iter().zip(&sample.labels).map(|(name, value)| {
        let mut pair = proto::LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value(value.clone());
        pair
    });
    let mut metric = proto::Metric::from_label(pairs.collect());
    match (&sample.value, family.kind) {
        (Value::Number(value), Kind::Counter) => {
            let mut counter = proto::Counter::default();
            counter.set_value(*value);
            metric.set_counter(counter);
        }
        (Value::Number(value), _) => {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(*value);
            metric.set_gauge(gauge);
        }
        (Value::Histogram(histogram), _) => {
            metric.set_histogram(histogram_to_proto(family.buckets, histogram));
        }
    }
    metric
}

fn histogram_to_proto(bounds: &[f64], sample: &HistogramSample) -> proto::Histogram {
    let mut cumulative = 0u64;
    let mut buckets = Vec::with_capacity(bounds.len());
    for (bound, count) in bounds.iter().zip(&sample.counts) {
        cumulative = cumulative.saturating_add(*count);
        let mut bucket = proto::Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(cumulative);
        buckets.push(bucket);
    }
    let above = sample.counts.last().copied().unwrap_or(0);
    let mut histogram = proto::Histogram::default();
    histogram.set_bucket(buckets);
    histogram.set_sample_count(cumulative.saturating_add(above));
    histogram.set_sample_sum(sample.sum);
    histogram
}
