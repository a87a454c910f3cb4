//! What a scenario prints.

use super::play::Play;
use tidemark::engine::cbpe::Nowcast;
use tidemark::engine::drift::Statistic;
use tidemark::engine::effect::{Effect, FiredVersion, Firing, Judged};
use tidemark::engine::estimate::Estimate;
use tidemark::engine::metric::Metric;
use tidemark::engine::monitor::{DriftReport, WindowReport};
use tidemark::engine::outcome::{LabelOutcome, LabelTally, PredictionOutcome, PredictionTally};
use tidemark::engine::request::Request;
use tidemark::engine::time::{Span, Timestamp};

impl Play {
    /// The model's name, where there are several.
    fn prefix(&self, model: usize) -> String {
        let models = &self.setup.group.models;
        if models.len() == 1 {
            String::new()
        } else {
            format!("{} ", models[model].context.spec.name)
        }
    }

    pub(super) fn effect(&self, model: usize, effect: &Effect) -> Vec<String> {
        let prefix = self.prefix(model);
        match effect {
            Effect::Fired(firing) => {
                let mut lines: Vec<String> = firing
                    .versions
                    .iter()
                    .map(|version| prefix.clone() + &self.firing(model, firing, version))
                    .collect();
                if lines.is_empty() {
                    let head = self.head(model, firing);
                    lines.push(format!("{prefix}{head} empty"));
                }
                lines
            }
            Effect::Judged(judged) => vec![prefix + &judgement(judged)],
            Effect::Request { request } => vec![prefix + &self::request(request)],
        }
    }

    fn head(&self, model: usize, firing: &Firing) -> String {
        let mut head = format!("{:?} ", firing.kind);
        if self.setup.group.models[model].context.windows.specs.len() > 1 {
            head += &format!("{} ", firing.size);
        }
        head += &format!("window {}", time(firing.start));
        if firing.truncated {
            head += " truncated";
        }
        if firing.revision > 0 {
            head += &format!(" revision {}", firing.revision);
        }
        head
    }

    fn firing(&self, model: usize, firing: &Firing, fired: &FiredVersion) -> String {
        format!(
            "{}{} predictions {} labeled {}{}{}",
            self.head(model, firing),
            version(&fired.version),
            fired.predictions,
            fired.labeled,
            self.metrics(&fired.metrics),
            self.nowcasts(&fired.nowcasts),
        )
    }

    fn nowcasts(&self, nowcasts: &[(Metric, Nowcast)]) -> String {
        let wanted = nowcasts.iter().filter(|(metric, _)| self.setup.metrics.contains(metric));
        let shown = |name: &str, estimate: &Option<Estimate>| {
            let Some(Estimate { value, interval, .. }) = estimate else { return String::new() };
            let interval = interval.map(|i| format!(" ({:.2} to {:.2})", i.lower, i.upper));
            format!(", {name} {value:.2}{}", interval.unwrap_or_default())
        };
        wanted
            .map(|(_, nowcast)| {
                shown("estimated", &nowcast.estimated) + &shown("in one line", &nowcast.combined)
            })
            .collect()
    }

    pub(super) fn grades(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (model, monitor) in self.monitors.iter().enumerate() {
            let live = monitor.live_versions(&self.partials(model));
            for (index, spec) in (0..).zip(&monitor.context.windows.specs) {
                for live in &live {
                    let grades = monitor.nowcasts.grades(index, live);
                    let wanted = grades.filter(|(metric, _)| self.setup.metrics.contains(metric));
                    lines.extend(wanted.map(|(metric, grade)| {
                        let (held, banded) = grade.coverage();
                        let (size, version) = (spec.size, version(live));
                        let (prefix, trust) = (self.prefix(model), grade.trust());
                        let bias = grade.bias().unwrap_or(f64::NAN);
                        let verdict = match trust.verdict() {
                            None => "not graded yet",
                            Some(true) => "trusted",
                            Some(false) => "not trusted",
                        };
                        format!(
                            "{prefix}grade {size}{version} {metric} bias {bias:+.2}, band held \
                             {held} of {banded}: {verdict}, {trust}"
                        )
                    }));
                }
            }
        }
        if lines.is_empty() {
            lines.push("no grade".into());
        }
        lines
    }

    fn metrics(&self, metrics: &[(Metric, Estimate)]) -> String {
        let wanted = metrics.iter().filter(|(metric, _)| self.setup.metrics.contains(metric));
        wanted.map(|(metric, estimate)| format!(" {metric} {:.2}", estimate.value)).collect()
    }

    pub(super) fn tally(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let group = &self.setup.group;
        for model in 0..group.models.len() {
            let (mut tally, mut pending, mut settled) = (PredictionTally::default(), 0, 0);
            for shard in &self.shards {
                let shard = &shard.models[model];
                tally.add(&shard.partial.tally);
                pending += shard.partial.pending;
                settled += shard.held() as u64 - shard.partial.pending;
            }
            let ended = PredictionOutcome::ALL.map(|outcome| (outcome.name(), tally.of(outcome)));
            lines.push(format!(
                "{}predictions: {}; pending {pending}, settled and held {settled}",
                self.prefix(model),
                counts(&ended)
            ));
        }
        for (topic, spec) in group.label_topics.iter().enumerate() {
            let (mut tally, mut waiting) = (LabelTally::default(), 0);
            for shard in &self.shards {
                tally.add(&shard.label_tallies[topic]);
                waiting += shard.waiting(topic);
            }
            let name = if group.label_topics.len() == 1 {
                String::new()
            } else {
                format!("{} ", spec.topic)
            };
            lines.push(format!("{name}labels: {}; waiting {waiting}", label_counts(&tally)));
            let models = (0..group.models.len())
                .filter(|model| group.models[*model].labels.is_some_and(|l| l.topic == topic));
            let models: Vec<usize> = models.collect();
            for &model in models.iter().filter(|_| models.len() > 1) {
                let mut tally = LabelTally::default();
                self.partials(model).iter().for_each(|partial| tally.add(&partial.label_tally));
                let name = &group.models[model].context.spec.name;
                lines.push(format!("  for {name}: {}", label_counts(&tally)));
            }
        }
        lines
    }

    pub(super) fn watermarks(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for model in 0..self.monitors.len() {
            let closing = self.monitors[model].closing(&self.partials(model));
            let show = |at: Timestamp| match at > Timestamp::MIN {
                true => time(at),
                false => "nothing".into(),
            };
            let (predictions, labels) = closing.unwrap_or((Timestamp::MIN, Timestamp::MIN));
            let silent = self.partials(model).iter().any(|partial| partial.labels_silent);
            lines.push(format!(
                "{}predictions closed up to {}, labels up to {}{}",
                self.prefix(model),
                show(predictions),
                show(labels),
                if silent { ", silent" } else { "" }
            ));
        }
        lines
    }

    pub(super) fn gauges(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for model in 0..self.monitors.len() {
            let prefix = self.prefix(model);
            let partials: Vec<_> =
                self.shards.iter().map(|shard| &shard.models[model].partial).collect();
            let report = self.monitors[model].report(&partials);
            for live in &report.versions {
                if live.windows.is_empty() {
                    lines.push(format!("{prefix}gauge{} no sample", version(&live.version)));
                }
                for window in &live.windows {
                    lines.extend(self.window(&live.version, window).map(|l| prefix.clone() + &l));
                }
                let drift = live.drift.iter().map(|drift| prefix.clone() + &drift_line(drift));
                lines.extend(drift);
            }
            for policy in &report.policies {
                for (live, evidence) in &policy.evidence {
                    let version = version(live);
                    lines.push(format!("{prefix}evidence {}{version} {evidence:.2}", policy.name));
                }
                for (firing, since) in &policy.firing {
                    let since = time(*since);
                    let version = version(firing);
                    lines.push(format!("{prefix}firing {}{version} since {since}", policy.name));
                }
            }
        }
        lines
    }

    fn window(&self, live: &str, window: &WindowReport) -> impl Iterator<Item = String> {
        let head = format!("gauge {} window {}", window.size, time(window.end - window.size));
        let all = std::iter::once(&window.whole).chain(&window.slices);
        all.map(move |slice| {
            let conditions: String =
                slice.conditions.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            let metrics = self.metrics(&slice.metrics);
            let (predictions, labeled) = (slice.predictions, slice.labeled);
            let version = version(live);
            format!(
                "{head}{version}{conditions} predictions {predictions} labeled {labeled}{metrics}"
            )
        })
        .collect::<Vec<_>>()
        .into_iter()
    }
}

fn drift_line(report: &DriftReport) -> String {
    let mut line = format!("drift {} window {}", report.size, time(report.drift.end - report.size));
    if report.drift.inherited {
        line += " inherited";
    }
    for feature in report.all() {
        if let Some(psi) = feature.statistic(Statistic::Psi) {
            line += &format!(" {} psi {:.2}", feature.feature, psi.value);
        }
    }
    line
}

fn judgement(judged: &Judged) -> String {
    format!(
        "judged {} until {}{}: {} {} ({})",
        judged.policy,
        time(judged.window_end),
        version(&judged.version),
        judged.decision.name(),
        judged.decision.reason(),
        judged.reason
    )
}

/// The id follows from the rest.
fn request(request: &Request) -> String {
    let body: serde_json::Value = serde_json::from_str(&request.body).expect("a body is JSON");
    let data = &body["data"];
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("?").to_owned();
    assert!(request.id.starts_with("retrain-") && data["id"] == *request.id);
    format!(
        "request to {} by {}{} until {} bad_in_a_row {}",
        request.webhook,
        text(&data["policy"]),
        version(&text(&data["version"])),
        time(request.window_end),
        data["window"]["bad_in_a_row"],
    )
}

fn counts(counts: &[(&str, u64)]) -> String {
    let shown: Vec<String> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    if shown.is_empty() { "none ended".to_owned() } else { shown.join(", ") }
}

fn label_counts(tally: &LabelTally) -> String {
    counts(&LabelOutcome::ALL.map(|outcome| (outcome.name(), tally.of(outcome))))
}

fn version(version: &str) -> String {
    if version == "v1" { String::new() } else { format!(" {version}") }
}

fn time(at: Timestamp) -> String {
    if at == Timestamp(0) { "0m".to_owned() } else { Span(at.0).to_string() }
}
