//! The live summary: one screen on a terminal, one line a second elsewhere.

use super::chronicle::Chronicle;
use super::news::Frame;
use super::text::{accuracy, count, date, percent, printed, short_id, slice_name, time_of_day};
use crate::engine::drift::{FeatureDrift, Statistic};
use crate::engine::estimate::Estimate;
use crate::engine::monitor::VersionReport;
use crate::engine::policy::Decision;
use crate::engine::time::Timestamp;
use std::time::Duration;

const SLICES_SHOWN: usize = 4;
const FEATURES_SHOWN: usize = 3;
const MOMENTS_SHOWN: usize = 6;

/// What does not come from the daemon.
pub struct Scene {
    pub passed: Duration,
    pub length: Option<Duration>,
    pub speed: u32,
    pub event_time: Timestamp,
    pub begins_at: Timestamp,
    /// Where HTTP listens.
    pub url: String,
    pub colors: bool,
}

impl Scene {
    /// When a moment was, as the audience's clock went.
    pub fn seconds(&self, at: Timestamp) -> f64 {
        (at - self.begins_at).as_secs_f64() / f64::from(self.speed)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colors { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn head(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn alarm(&self, text: &str) -> String {
        self.paint("31", text)
    }
}

/// The whole screen, line by line.
pub fn screen(scene: &Scene, chronicle: &Chronicle) -> Vec<String> {
    let mut lines = vec![title(scene)];
    let Some(frame) = &chronicle.frame else {
        lines.push("starting".to_owned());
        return lines;
    };
    lines.push(rows(frame));
    lines.push(watermarks(frame, scene));
    versions(scene, frame, &mut lines);
    slices(scene, chronicle, &mut lines);
    drift(scene, chronicle, frame, &mut lines);
    policies(scene, frame, &mut lines);
    requests(scene, frame, &mut lines);
    lines.push(scene.head("what happened"));
    let first = chronicle.moments.len().saturating_sub(MOMENTS_SHOWN);
    lines.extend(chronicle.moments[first..].iter().map(|m| moment(scene, m.at, &m.text)));
    lines
}

/// `  12.4 s  text`
pub fn moment(scene: &Scene, at: Timestamp, text: &str) -> String {
    format!("{:>7.1} s  {text}", scene.seconds(at))
}

fn title(scene: &Scene) -> String {
    let length = scene.length.map(|length| format!(" of {}", length.as_secs())).unwrap_or_default();
    format!(
        "{}  {:.1}{length} s, event time {} {} at {} times the pace, page http://{}/",
        scene.head("tidemark demo"),
        scene.passed.as_secs_f64(),
        date(scene.event_time),
        time_of_day(scene.event_time),
        scene.speed,
        scene.url
    )
}

fn rows(frame: &Frame) -> String {
    let rate =
        frame.rate.map_or(String::new(), |rate| format!(", {} a second", count(rate as u64)));
    format!(
        "{} records read{rate}; predictions: {} joined, {} wait for labels, {} never got one",
        count(frame.records),
        count(frame.joined),
        count(frame.pending),
        count(frame.unlabeled)
    )
}

fn watermarks(frame: &Frame, scene: &Scene) -> String {
    let shown = |at: Option<Timestamp>| at.map_or("-".to_owned(), time_of_day);
    let behind = frame
        .report
        .predictions_closing
        .map(|at| (scene.event_time - at).as_secs_f64().max(0.0) / f64::from(scene.speed))
        .map_or(String::new(), |seconds| format!(", {seconds:.1} s behind"));
    format!(
        "watermarks: predictions {}, labels {}{behind}",
        shown(frame.report.predictions_closing),
        shown(frame.report.labels_closing)
    )
}

fn versions(scene: &Scene, frame: &Frame, lines: &mut Vec<String>) {
    let head = "version  window         accuracy  95% interval    predictions  labeled";
    lines.push(scene.head(head));
    for version in &frame.report.versions {
        for window in &version.windows {
            let Some(Estimate { value, interval, .. }) = accuracy(&window.whole) else { continue };
            let interval =
                interval.map_or(String::new(), |i| format!("{:.3} to {:.3}", i.lower, i.upper));
            lines.push(format!(
                "{:<8} {:<3} to {:<8}{value:>8.3}  {interval:<15} {:>11}  {:>7}",
                printed(&version.version),
                window.size.to_string(),
                time_of_day(window.end),
                count(window.whole.predictions),
                percent(window.whole.labeled, window.whole.predictions)
            ));
        }
    }
}

fn slices(scene: &Scene, chronicle: &Chronicle, lines: &mut Vec<String>) {
    let turned = chronicle.before().is_some();
    let before = if turned { "  before" } else { "" };
    lines.push(scene.head(&format!(
        "{:<42} accuracy{before}  labeled",
        format!("worst slices of {}", printed(&chronicle.shown))
    )));
    for (slice, before) in chronicle.worst_slices().into_iter().take(SLICES_SHOWN) {
        let Some(estimate) = accuracy(slice) else { continue };
        let shown = match before {
            Some(before) => format!("{before:>8.3}"),
            None if turned => "       -".to_owned(),
            None => String::new(),
        };
        let line = format!(
            "{:<42} {:>8.3}{shown}  {:>7}",
            slice_name(slice),
            estimate.value,
            count(slice.labeled)
        );
        let fell = before.is_some_and(|before| estimate.value < before - 0.1);
        lines.push(if fell { scene.alarm(&line) } else { line });
    }
}

/// Features of the version's longest window, the farthest from its reference first.
fn worst_features<'a>(
    chronicle: &Chronicle,
    frame: &'a Frame,
) -> (Vec<&'a FeatureDrift>, Option<&'a VersionReport>) {
    let version = frame.report.versions.iter().find(|v| v.version == chronicle.shown);
    let mut features: Vec<&FeatureDrift> = version
        .and_then(|version| version.drift.last())
        .map(|drift| drift.all().filter(|feature| feature.ranking().is_some()).collect())
        .unwrap_or_default();
    features.sort_by(|a, b| {
        let rank = |feature: &FeatureDrift| feature.ranking().unwrap_or(0.0);
        rank(b).total_cmp(&rank(a))
    });
    (features, version)
}

fn psi(feature: &FeatureDrift) -> f64 {
    feature.statistic(Statistic::Psi).map_or(f64::NAN, |estimate| estimate.value)
}

fn drift(scene: &Scene, chronicle: &Chronicle, frame: &Frame, lines: &mut Vec<String>) {
    let (features, version) = worst_features(chronicle, frame);
    let drift = version.and_then(|version| version.drift.last());
    let window = drift.map_or(String::new(), |drift| {
        format!(", {} to {}", drift.size, time_of_day(drift.drift.end))
    });
    let title = format!("drift of {}{window}", printed(&chronicle.shown));
    lines.push(scene.head(&format!("{title:<42}      psi      js")));
    for feature in features.into_iter().take(FEATURES_SHOWN) {
        let js = feature.ranking().unwrap_or(f64::NAN);
        let line = format!("{:<42} {:>8.3} {js:>7.3}", printed(&feature.feature), psi(feature));
        lines.push(if psi(feature) > 0.25 { scene.alarm(&line) } else { line });
    }
}

fn policies(scene: &Scene, frame: &Frame, lines: &mut Vec<String>) {
    lines.push(scene.head("policies"));
    for policy in &frame.report.policies {
        let mut parts = Vec::new();
        for (version, end, decision) in &policy.last {
            let text = match decision {
                Decision::Hold(hold) => hold.name().replace('_', " "),
                other => other.name().to_owned(),
            };
            let text = format!("{} at {}: {text}", printed(version), time_of_day(*end));
            let firing = policy.firing.iter().any(|(firing, _)| firing == version);
            parts.push(if firing { scene.alarm(&text) } else { text });
        }
        lines.push(format!("{:<16} {}", printed(&policy.name), parts.join(", ")));
    }
}

fn requests(scene: &Scene, frame: &Frame, lines: &mut Vec<String>) {
    lines.push(scene.head("requests to the trainer"));
    for sent in &frame.requests {
        lines.push(format!("{:<20} {}", short_id(&sent.id), printed(&sent.state)));
    }
}

/// The whole in one line.
pub fn line(scene: &Scene, chronicle: &Chronicle) -> String {
    let mut parts = vec![format!(
        "{:>7.1} s  event time {}",
        scene.passed.as_secs_f64(),
        time_of_day(scene.event_time)
    )];
    if let Some(frame) = &chronicle.frame {
        let rate = frame.rate.map_or("-".to_owned(), |rate| count(rate as u64));
        parts.push(format!("{rate} records/s"));
        let newest = chronicle.newest.as_ref();
        if let Some(text) = newest.and_then(|w| Some(super::text::estimate(accuracy(&w.whole)?))) {
            parts.push(format!("{} accuracy {text}", printed(&chronicle.shown)));
        }
        if let Some((slice, _)) = chronicle.worst_slices().first()
            && let Some(estimate) = accuracy(slice)
        {
            parts.push(format!("worst {} {:.3}", slice_name(slice), estimate.value));
        }
        if let Some(feature) = worst_features(chronicle, frame).0.first() {
            parts.push(format!("drift {} psi {:.2}", printed(&feature.feature), psi(feature)));
        }
    }
    parts.join(" | ")
}
