//! One model's page: what it is, and its newest numbers. And its labels.

use super::{ModelView, end_of, estimate, name};
use crate::engine::counters::{DELAY_BUCKETS, DelayHistogram};
use crate::engine::metric::Metric;
use crate::engine::outcome::{LabelOutcome, LabelTally, PredictionOutcome, PredictionTally};
use crate::engine::spec::FeatureKind;
use crate::engine::time::{Span, Timestamp};
use crate::io::http::api::dto::{
    CurrentWindow, Delay, DelayBucket, Expected, FeatureInfo, LabelsAnswer, LearnedDelay,
    LearnedShare, Maturity, MetricInfo, ModelPage, Outcomes, WindowKind, seconds, stretch,
};

/// Versions and windows whose labels' coming in is shown.
const MATURITY_VERSIONS_MAX: usize = 3;
const MATURITY_WINDOWS_MAX: usize = 200;

impl ModelView<'_> {
    pub(super) fn page(&self) -> ModelPage {
        let slices = self.spec.slices.iter().map(|slice| {
            let names: Vec<&str> = slice.features.iter().map(|feature| &*feature.name).collect();
            name(&names.join(","))
        });
        ModelPage {
            summary: self.summary(),
            windows: (0..self.spec.windows.len()).map(|index| self.window_kind(index)).collect(),
            metrics: self.kept().metrics().iter().map(|metric| metric_info(*metric)).collect(),
            features: self
                .spec
                .features
                .iter()
                .map(|feature| FeatureInfo {
                    name: name(&feature.name),
                    kind: kind_name(&feature.kind).to_owned(),
                })
                .collect(),
            slices: slices.collect(),
            current: self.current(),
        }
    }

    fn window_kind(&self, index: usize) -> WindowKind {
        let window = self.spec.windows[index];
        let through = self.monitor.monitor.state.closed_through.get(index).copied();
        let closed = through.filter(|at| *at > Timestamp::MIN);
        WindowKind {
            window: window.size.to_string(),
            size: stretch(window.size),
            every: stretch(window.every),
            keep: stretch(window.keep),
            closed_through: closed.and_then(seconds),
            next_end: closed.and_then(|at| seconds(at + window.every)),
        }
    }

    fn current(&self) -> Vec<CurrentWindow> {
        let mut current = Vec::new();
        for version in self.live_versions() {
            for index in 0..self.spec.windows.len() {
                let newest = self.newest_where(index, &version, |row| self.is_enough(row));
                let Some((end, row)) = newest else { continue };
                let metrics = self.kept().metrics().iter().zip(&row.metrics);
                current.push(CurrentWindow {
                    version: name(&version),
                    window: self.spec.windows[index].size.to_string(),
                    end: end_of(end),
                    state: row.kind.name().to_owned(),
                    predictions: row.predictions,
                    labeled: row.labeled,
                    coverage: row.coverage(),
                    metrics: metrics
                        .filter_map(|(metric, value)| {
                            Some((metric.name().to_owned(), estimate(value.as_ref()?)))
                        })
                        .collect(),
                });
            }
        }
        current
    }

    pub(super) fn labels(&self) -> LabelsAnswer {
        let mut delay = DelayHistogram::default();
        let mut rows = PredictionTally::default();
        let mut labels = LabelTally::default();
        for partial in &self.partials {
            delay.add(&partial.delay);
            rows.add(&partial.tally);
            labels.add(&partial.label_tally);
        }
        let join = self.spec.join;
        let live = self.live_versions();
        let maturity = live.iter().take(MATURITY_VERSIONS_MAX).flat_map(|version| {
            (0..self.spec.windows.len()).map(|index| self.maturity(index, version))
        });
        let named = |(name, count): (&str, u64)| (name.to_owned(), count);
        LabelsAnswer {
            delay: delay_answer(&delay),
            maturity: maturity.filter(|maturity| !maturity.ends.is_empty()).collect(),
            learned: live.iter().flat_map(|version| self.learned(version)).collect(),
            outcomes: Outcomes {
                rows: PredictionOutcome::ALL.map(|o| named((o.name(), rows.of(o)))).into(),
                labels: LabelOutcome::ALL.map(|o| named((o.name(), labels.of(o)))).into(),
            },
            expected: Expected {
                horizon: stretch(join.horizon),
                lead: stretch(join.lead),
                grace: stretch(join.grace),
                silent_after: join.silent_after.map(stretch),
                absent_after: join.absent_after.map(|absent| stretch(absent.delay)),
                coverage_min: self.spec.show.coverage_min,
                support_min: self.spec.show.support_min,
            },
        }
    }

    /// How long labels of each class take, as estimates use it.
    fn learned(&self, version: &str) -> Vec<LearnedDelay> {
        let Some(maturity) = self.monitor.monitor.nowcasts.maturity(version) else {
            return Vec::new();
        };
        let horizon = self.spec.join.horizon;
        let bounds = DELAY_BUCKETS.iter().map(|bound| Span::from_secs(*bound as i64));
        let ages: Vec<Span> = bounds.filter(|age| *age < horizon).chain([horizon]).collect();
        let of_class = |class: usize| LearnedDelay {
            version: name(version),
            class: name(self.spec.task.class_name(class as u16)),
            labels: maturity.labels(class),
            labelled_share: maturity.labelled_share(),
            within: ages
                .iter()
                .map(|age| LearnedShare {
                    age: stretch(*age),
                    share: maturity.share(class, *age, horizon),
                })
                .collect(),
        };
        (0..maturity.classes()).map(of_class).collect()
    }

    fn maturity(&self, index: usize, version: &str) -> Maturity {
        let rows = self.kept().rows(index, version).rev().take(MATURITY_WINDOWS_MAX);
        let mut rows: Vec<(f64, Option<f64>)> =
            rows.map(|(end, row)| (end_of(end), row.coverage())).collect();
        rows.reverse();
        Maturity {
            window: self.spec.windows[index].size.to_string(),
            version: name(version),
            ends: rows.iter().map(|(end, _)| *end).collect(),
            coverage: rows.into_iter().map(|(_, coverage)| coverage).collect(),
        }
    }
}

fn delay_answer(delay: &DelayHistogram) -> Delay {
    let bounds = DELAY_BUCKETS.iter().copied().map(Some).chain([None]);
    let count: u64 = delay.counts.iter().sum();
    Delay {
        buckets: bounds.zip(delay.counts).map(|(le, count)| DelayBucket { le, count }).collect(),
        count,
        mean: (count > 0).then(|| delay.sum as f64 / 1e6 / count as f64),
    }
}

fn metric_info(metric: Metric) -> MetricInfo {
    MetricInfo {
        name: metric.name().to_owned(),
        label: metric.help().to_owned(),
        interval: metric.interval_method().text(),
        higher_is_better: metric.higher_is_better(),
        unit: (metric.range() == (0.0, 1.0)).then(|| "ratio".to_owned()),
    }
}

pub(super) fn kind_name(kind: &FeatureKind) -> &'static str {
    match kind {
        FeatureKind::Numeric => "numeric",
        FeatureKind::Categorical { dictionary } if is_boolean(dictionary) => "boolean",
        FeatureKind::Categorical { .. } => "categorical",
    }
}

fn is_boolean(dictionary: &[String]) -> bool {
    let known = |value: &String| ["true", "false"].contains(&value.as_str());
    !dictionary.is_empty() && dictionary.iter().all(known)
}
