//! Windows over event time, and the panes that they are merged from.
//!
//! A window is [end - size, end); ends lie at multiples of `every` from the model's origin. Panes
//! are the greatest stretch that divides every size and slide.

use super::spec::{Condition, ModelSpec, PerformanceAlarm, WindowSpec};
use super::time::{Span, Timestamp};

/// Panes of one width. Level 0 is the finest; each wider one divides the windows that outlive it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    pub width: Span,
    /// Windows of this slide or more can still be merged from panes of this level.
    pub windows: Vec<usize>,
}

/// A moment at which disjoint windows are judged: `label_age` after their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Judgement {
    pub window: Span,
    pub label_age: Span,
}

/// A model's windows, panes and judgements, derived once from its specification.
#[derive(Clone, Debug)]
pub struct Windows {
    pub origin: Timestamp,
    pub specs: Vec<WindowSpec>,
    pub levels: Vec<Level>,
    pub judgements: Vec<Judgement>,
}

impl Windows {
    pub fn new(model: &ModelSpec) -> Self {
        let mut judgements: Vec<_> = model
            .policies
            .iter()
            .filter_map(|policy| match &policy.condition {
                Condition::Performance { label_age, .. }
                | Condition::PerformanceAlarm(PerformanceAlarm { label_age, .. }) => {
                    Some(Judgement { window: policy.window, label_age: *label_age })
                }
                Condition::Drift { .. } | Condition::DriftAlarm(_) | Condition::Alert { .. } => {
                    None
                }
            })
            .collect();
        judgements.sort();
        judgements.dedup();
        Self {
            origin: model.time.origin,
            levels: levels(&model.windows),
            specs: model.windows.clone(),
            judgements,
        }
    }

    /// End of the disjoint window of this size that holds the point.
    pub fn tile_end(&self, size: Span, at: Timestamp) -> Timestamp {
        at.floor(size, self.origin) + size
    }

    /// The first end of a window of this kind that holds the point.
    pub fn first_end(&self, spec: &WindowSpec, at: Timestamp) -> Timestamp {
        at.floor(spec.every, self.origin) + spec.every
    }

    /// The last end of a window of this kind that holds the point.
    pub fn last_end(&self, spec: &WindowSpec, at: Timestamp) -> Timestamp {
        at.floor(spec.every, self.origin) + spec.size
    }

    /// Ends of all windows of this kind that hold the point, ascending.
    pub fn ends(&self, spec: &WindowSpec, at: Timestamp) -> impl Iterator<Item = Timestamp> {
        let first = self.first_end(spec, at);
        let every = spec.every;
        (0..spec.size.0 / every.0).map(move |i| first + Span(i * every.0))
    }

    /// The deadlines of all judgements that concern a point, ascending, each with the judgement's
    /// position.
    pub fn deadlines(&self, at: Timestamp) -> Vec<(Timestamp, usize)> {
        let mut deadlines = Vec::new();
        self.deadlines_into(at, &mut deadlines);
        deadlines
    }

    /// The times alone, in place of what `out` held.
    pub fn deadline_times_into(&self, at: Timestamp, out: &mut Vec<Timestamp>) {
        out.clear();
        out.extend(
            self.judgements
                .iter()
                .map(|judgement| self.tile_end(judgement.window, at) + judgement.label_age),
        );
        out.sort_unstable();
    }

    /// As `deadlines`, in place of what `out` held.
    pub fn deadlines_into(&self, at: Timestamp, out: &mut Vec<(Timestamp, usize)>) {
        out.clear();
        out.extend(self.judgements.iter().enumerate().map(|(index, judgement)| {
            (self.tile_end(judgement.window, at) + judgement.label_age, index)
        }));
        out.sort_unstable();
    }

    /// Whether a pane of this level still takes part in windows of this size.
    pub fn level_has(&self, level: usize, size: Span) -> bool {
        self.levels[level].windows.iter().any(|&index| self.specs[index].size == size)
    }
}

/// One level a distinct slide; each level's width is the greatest common divisor of all slides and
/// sizes from there on, so that a pane of it fits into all those windows.
pub fn levels(specs: &[WindowSpec]) -> Vec<Level> {
    let mut by_slide: Vec<usize> = (0..specs.len()).collect();
    by_slide.sort_by_key(|&index| (specs[index].keep, specs[index].every));
    let mut levels: Vec<Level> = Vec::new();
    for position in 0..by_slide.len() {
        let windows: Vec<usize> = by_slide[position..].to_vec();
        let width = windows
            .iter()
            .flat_map(|&index| [specs[index].size.0, specs[index].every.0])
            .fold(0, greatest_common_divisor);
        match levels.last() {
            Some(last) if last.width.0 == width => {}
            _ => levels.push(Level { width: Span(width), windows }),
        }
    }
    levels
}

fn greatest_common_divisor(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(size: i64, every: i64, keep: i64) -> WindowSpec {
        WindowSpec {
            size: Span::from_mins(size),
            every: Span::from_mins(every),
            keep: Span::from_mins(keep),
        }
    }

    fn windows(specs: &[WindowSpec]) -> Windows {
        Windows {
            origin: Timestamp(0),
            specs: specs.to_vec(),
            levels: levels(specs),
            judgements: vec![],
        }
    }

    #[test]
    fn panes_widen_when_the_finer_windows_are_done() {
        let specs = [spec(5, 5, 60), spec(60, 5, 600), spec(1440, 60, 6000)];
        let levels = levels(&specs);
        assert_eq!(levels.len(), 2);
        assert_eq!(levels[0].width, Span::from_mins(5));
        assert_eq!(levels[1].width, Span::from_mins(60));
        assert_eq!(levels[1].windows, [2]);
    }

    #[test]
    fn a_sliding_window_holds_a_point_size_over_every_times() {
        let windows = windows(&[spec(60, 5, 600)]);
        let at = Timestamp::from_secs(60 * 62);
        let ends: Vec<_> = windows.ends(&windows.specs[0], at).collect();
        assert_eq!(ends.len(), 12);
        assert_eq!(ends[0], Timestamp::from_secs(60 * 65));
        assert_eq!(*ends.last().unwrap(), windows.last_end(&windows.specs[0], at));
        assert_eq!(windows.tile_end(Span::from_mins(60), at), Timestamp::from_secs(60 * 120));
    }

    #[test]
    fn a_point_on_a_boundary_belongs_to_the_window_that_starts_there() {
        let windows = windows(&[spec(5, 5, 60)]);
        let at = Timestamp::from_secs(300);
        assert_eq!(windows.first_end(&windows.specs[0], at), Timestamp::from_secs(600));
        assert_eq!(windows.first_end(&windows.specs[0], Timestamp(-1)), Timestamp(0));
    }
}
