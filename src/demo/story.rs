//! What happens to the demo's world, in event time: when it changes, and which model version
//! serves.
//!
//! Incomes of married people rise; the version in charge does not know that. When a retraining has
//! been asked for, a version that fits the new world goes live after some minutes. Much later the
//! world turns back, and so on.

use crate::engine::time::{Span, Timestamp};

/// The model has been live for so long when the demo begins, so that there are numbers at once.
pub const LIVE_BEFORE: Span = Span::from_mins(3);
/// From the beginning to the first change.
const CALM_FIRST: Span = Span::from_mins(5);
/// From a new version to the next change.
const CALM: Span = Span::from_mins(25);
/// A change takes so long to be complete.
const RAMP: Span = Span::from_mins(2);
/// A training takes at least so long.
const TRAINING: Span = Span::from_mins(2);
const MINUTE: Span = Span::from_mins(1);

/// The version that was trained before incomes rose, and the one after it.
pub const BEFORE: &str = "v7";
pub const AFTER: &str = "v8";

/// Something that the audience should know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beat {
    /// Incomes begin to rise, or to fall back.
    Turned { rising: bool },
    /// The trainer is at work.
    Training { version: &'static str },
    /// This version serves from now on.
    Live { version: &'static str },
}

/// The state of the world.
#[derive(Clone, Debug)]
pub struct Story {
    risen: bool,
    turned_at: Timestamp,
    turns_at: Option<Timestamp>,
    version: &'static str,
    deploys: Option<(Timestamp, &'static str)>,
}

impl Story {
    /// `begins_at`: when the audience comes in; a whole minute.
    pub fn new(begins_at: Timestamp) -> Self {
        Self {
            risen: false,
            turned_at: Timestamp::MIN,
            turns_at: Some(begins_at + CALM_FIRST),
            version: BEFORE,
            deploys: None,
        }
    }

    /// The version that serves.
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// How far incomes have risen at this time, from 0 to 1.
    pub fn risen(&self, at: Timestamp) -> f64 {
        let share = ((at - self.turned_at).as_secs_f64() / RAMP.as_secs_f64()).clamp(0.0, 1.0);
        if self.risen { share } else { 1.0 - share }
    }

    /// What is due by then, one at a time, with its time; `None` when nothing more is.
    pub fn advance(&mut self, to: Timestamp) -> Option<(Timestamp, Beat)> {
        if let Some((at, version)) = self.deploys.filter(|(at, _)| *at <= to) {
            self.deploys = None;
            self.version = version;
            self.turns_at = Some(at + CALM);
            return Some((at, Beat::Live { version }));
        }
        let at = self.turns_at.filter(|at| *at <= to)?;
        self.turns_at = None;
        self.turned_at = at;
        self.risen = !self.risen;
        Some((at, Beat::Turned { rising: self.risen }))
    }

    /// A retraining of this version was asked for. `None`: what would come out serves already, or
    /// is about to.
    pub fn requested(&mut self, version: &str, at: Timestamp) -> Option<Beat> {
        let fits = if self.risen { AFTER } else { BEFORE };
        if version != self.version || fits == self.version || self.deploys.is_some() {
            return None;
        }
        // At a whole minute, so that no window holds two versions.
        let done = Timestamp((at + TRAINING).0 + MINUTE.0 - 1).floor(MINUTE, Timestamp(0));
        self.deploys = Some((done, fits));
        Some(Beat::Training { version: fits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_secs(60 * minute)
    }

    #[test]
    fn a_request_brings_the_version_that_fits_and_the_world_turns_back_later() {
        let mut story = Story::new(minute(0));
        assert_eq!(story.advance(minute(4)), None);
        assert_eq!(story.advance(minute(6)), Some((minute(5), Beat::Turned { rising: true })));
        assert_eq!(story.advance(minute(6)), None);
        assert_eq!([minute(5), minute(6), minute(9)].map(|at| story.risen(at)), [0.0, 0.5, 1.0]);
        let asked = Timestamp(minute(9).0 + 1);
        assert_eq!(story.requested(AFTER, asked), None, "it does not serve");
        assert_eq!(story.requested(BEFORE, asked), Some(Beat::Training { version: AFTER }));
        assert_eq!(story.requested(BEFORE, asked), None, "it is on its way");
        assert_eq!(story.advance(minute(11)), None);
        assert_eq!(story.advance(minute(12)), Some((minute(12), Beat::Live { version: AFTER })));
        assert_eq!(story.version(), AFTER);
        assert_eq!(story.advance(minute(40)), Some((minute(37), Beat::Turned { rising: false })));
        assert_eq!([minute(37), minute(38), minute(39)].map(|at| story.risen(at)), [1.0, 0.5, 0.0]);
        assert_eq!(story.requested(AFTER, minute(41)), Some(Beat::Training { version: BEFORE }));
    }

    #[test]
    fn a_false_alarm_changes_nothing() {
        let mut story = Story::new(minute(0));
        assert_eq!(story.risen(minute(1)), 0.0);
        assert_eq!(story.requested(BEFORE, minute(1)), None);
    }
}
