//! What has happened so far: moments in order, and of each change its numbers before, at the worst
//! and after.

use super::news::{Frame, News};
use super::story::{self, Beat, LIVE_BEFORE};
use super::text::{accuracy, estimate, printed, short_id};
use crate::engine::effect::Judged;
use crate::engine::monitor::{SliceReport, WindowReport};
use crate::engine::policy::{Decision, Hold};
use crate::engine::time::Timestamp;
use std::sync::Arc;

/// Moments and chapters that are kept; what comes later is not, the demo has been seen by then.
const MOMENTS_MAX: usize = 500;
const CHAPTERS_MAX: usize = 50;
/// Smaller slices are too noisy to be called the worst.
const SLICE_MIN: u64 = 50;

/// Something that happened, when the demo's clock stood there.
pub struct Moment {
    pub at: Timestamp,
    pub text: String,
}

/// One change of the world, and what followed.
pub struct Chapter {
    pub rising: bool,
    pub turned_at: Timestamp,
    /// The version that did not know.
    pub version: String,
    /// Its last window before, and its worst since.
    pub before: Option<WindowReport>,
    pub lowest: Option<WindowReport>,
    pub alerted: bool,
    /// The policy that asked for a retraining; it also says when all is well again.
    pub policy: Option<Arc<str>>,
    pub requests: Vec<Asked>,
    /// The version that followed, and its newest window.
    pub live: Option<(Timestamp, String)>,
    pub after: Option<WindowReport>,
    pub healthy: bool,
}

/// A request for a retraining.
pub struct Asked {
    pub id: String,
    /// The outbox has the receiver's answer.
    pub status: Option<u16>,
    /// The receiver has verified the signature of a body this long.
    pub verified_bytes: Option<usize>,
}

/// One slice through a chapter: accuracies before, at the lowest, after.
pub struct Fall {
    pub slice: String,
    pub before: f64,
    pub lowest: f64,
    pub after: Option<f64>,
    /// Labelled predictions at the lowest.
    pub support: u64,
}

pub struct Chronicle {
    pub moments: Vec<Moment>,
    pub chapters: Vec<Chapter>,
    pub serving: String,
    pub frame: Option<Box<Frame>>,
    measured: bool,
    /// The version that serves, or the one before while that has no numbers; and its newest window.
    pub shown: String,
    pub newest: Option<WindowReport>,
}

impl Chronicle {
    pub fn new(begins_at: Timestamp) -> Self {
        let text = format!("{} has been live for {LIVE_BEFORE} of event time", story::BEFORE);
        Self {
            moments: vec![Moment { at: begins_at, text }],
            chapters: Vec::new(),
            serving: story::BEFORE.to_owned(),
            frame: None,
            measured: false,
            shown: story::BEFORE.to_owned(),
            newest: None,
        }
    }

    /// Takes up news; `at` is where the demo's clock stands.
    pub fn take(&mut self, news: News, at: Timestamp) {
        match news {
            News::Beat { at, beat } => self.beat(at, &beat),
            News::Asked { id, bytes } => {
                let text = format!("the trainer has {}; its signature is right", short_id(&id));
                self.note(at, text);
                if let Some(asked) = self.asked(&id) {
                    asked.verified_bytes = Some(bytes);
                }
            }
            News::Judged(judged) => self.judged(at, &judged),
            News::Requested(request) => {
                // What for, its judgement says, which follows.
                let id = request.id.to_string();
                if let Some(chapter) = self.chapters.last_mut() {
                    chapter.requests.push(Asked { id, status: None, verified_bytes: None });
                }
            }
            News::Frame(frame) => self.frame(at, frame),
            News::FeedEnded(_) | News::EngineEnded => {}
        }
    }

    fn note(&mut self, at: Timestamp, text: String) {
        if self.moments.len() < MOMENTS_MAX {
            self.moments.push(Moment { at, text });
        }
    }

    fn asked(&mut self, id: &str) -> Option<&mut Asked> {
        self.chapters.iter_mut().flat_map(|c| &mut c.requests).find(|asked| asked.id == id)
    }

    fn beat(&mut self, at: Timestamp, beat: &Beat) {
        self.note(at, beat.text(&self.serving));
        match beat {
            Beat::Turned { rising } if self.chapters.len() < CHAPTERS_MAX => {
                self.chapters.push(Chapter {
                    rising: *rising,
                    turned_at: at,
                    version: self.serving.clone(),
                    before: None,
                    lowest: None,
                    alerted: false,
                    policy: None,
                    requests: Vec::new(),
                    live: None,
                    after: None,
                    healthy: false,
                });
            }
            Beat::Turned { .. } | Beat::Training { .. } => {}
            Beat::Live { version } => {
                self.serving = (*version).to_owned();
                if let Some(chapter) = self.chapters.last_mut() {
                    chapter.live = Some((at, (*version).to_owned()));
                }
            }
        }
    }

    fn judged(&mut self, at: Timestamp, judged: &Judged) {
        let Judged { policy, version, window_end, decision, reason } = judged;
        let text = format!("{policy} of {}: {}", printed(version), printed(reason));
        let Some(chapter) = self.chapters.last_mut() else { return };
        match decision {
            Decision::Retrain => {
                chapter.policy = Some(policy.clone());
                self.note(at, format!("{text}: retraining requested"));
            }
            Decision::Alert if !chapter.alerted => {
                chapter.alerted = true;
                self.note(at, format!("{text}: alert"));
            }
            Decision::Hold(Hold::Healthy)
                if !chapter.healthy && chapter.policy.as_ref() == Some(policy) =>
            {
                let live = chapter.live.as_ref();
                if live.is_some_and(|(since, live)| live == version && window_end > since) {
                    chapter.healthy = true;
                    self.note(at, format!("{text}: healthy again"));
                }
            }
            _ => {}
        }
    }

    fn frame(&mut self, at: Timestamp, frame: Box<Frame>) {
        for sent in &frame.requests {
            let Some(asked) = self.asked(&sent.id) else { continue };
            if asked.status.is_none() && sent.status.is_some() {
                asked.status = sent.status;
                self.note(at, format!("{} {}", short_id(&sent.id), sent.state));
            }
        }
        for version in &frame.report.versions {
            // Sizes ascend: the first is the shortest.
            let Some(window) = version.windows.first() else { continue };
            if accuracy(&window.whole).is_none() {
                continue;
            }
            if !self.measured {
                self.measured = true;
                let whole = &window.whole;
                let text = accuracy(whole).map(estimate).unwrap_or_default();
                let (labeled, all) = (whole.labeled, whole.predictions);
                let version = printed(&version.version);
                let text = format!(
                    "first numbers: accuracy of {version} {text}, {labeled} of {all} predictions \
                     labeled"
                );
                self.note(at, text);
            }
            if version.version == self.serving {
                self.shown.clone_from(&self.serving);
                self.newest = Some(window.clone());
            }
            if let Some(chapter) = self.chapters.last_mut() {
                chapter.window(&version.version, window);
            }
        }
        self.frame = Some(frame);
    }

    /// The window before the change, of the version that is shown and did not know of it.
    pub fn before(&self) -> Option<&WindowReport> {
        let chapter = self.chapters.last().filter(|chapter| chapter.version == self.shown)?;
        chapter.before.as_ref()
    }

    /// Slices of the newest window: those that fell the farthest since a change first;
    /// if there was none, those with the least accuracy.
    pub fn worst_slices(&self) -> Vec<(&SliceReport, Option<f64>)> {
        let Some(newest) = &self.newest else { return Vec::new() };
        let before = self.before();
        let mut slices: Vec<(&SliceReport, Option<f64>)> = newest
            .slices
            .iter()
            .filter(|slice| slice.labeled >= SLICE_MIN && accuracy(slice).is_some())
            .map(|slice| (slice, before.and_then(|window| of_slice(window, slice))))
            .collect();
        slices.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
        slices
    }
}

/// Least first: the change since before, or the accuracy.
fn rank((slice, before): &(&SliceReport, Option<f64>)) -> f64 {
    let value = accuracy(slice).map_or(f64::INFINITY, |estimate| estimate.value);
    value - before.unwrap_or(0.0)
}

/// The accuracy of the same slice in another window.
fn of_slice(window: &WindowReport, slice: &SliceReport) -> Option<f64> {
    let same = window.slices.iter().find(|other| other.key == slice.key)?;
    Some(accuracy(same)?.value)
}

impl Chapter {
    /// A window of a version is shown, perhaps not for the first time.
    fn window(&mut self, version: &str, window: &WindowReport) {
        let value = |window: &WindowReport| accuracy(&window.whole).map(|estimate| estimate.value);
        if let Some((since, live)) = &self.live
            && live == version
        {
            if window.end > *since {
                self.after = Some(window.clone());
            }
        } else if version != self.version {
            // Of a chapter before.
        } else if window.end <= self.turned_at {
            self.before = Some(window.clone());
        } else {
            let lower =
                |lowest: &WindowReport| lowest.end == window.end || value(window) < value(lowest);
            if self.lowest.as_ref().is_none_or(lower) {
                self.lowest = Some(window.clone());
            }
        }
    }

    /// All slices of the lowest window that can be compared with before, the farthest fall first.
    pub fn falls(&self) -> Vec<Fall> {
        let (Some(before), Some(lowest)) = (&self.before, &self.lowest) else { return Vec::new() };
        let mut falls: Vec<Fall> = lowest
            .slices
            .iter()
            .filter(|slice| slice.labeled >= SLICE_MIN)
            .filter_map(|slice| {
                Some(Fall {
                    slice: super::text::slice_name(slice),
                    before: of_slice(before, slice)?,
                    lowest: accuracy(slice)?.value,
                    after: self.after.as_ref().and_then(|window| of_slice(window, slice)),
                    support: slice.labeled,
                })
            })
            .collect();
        falls.sort_by(|a, b| (a.lowest - a.before).total_cmp(&(b.lowest - b.before)));
        falls
    }
}
