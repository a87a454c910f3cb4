//! Which level each test may use, so that all of them together keep to the budget.
//!
//! The budget is the expected number of false alarm episodes of a model in a week. It is halved
//! between drift and performance where there are both, and shared equally within. A policy divides
//! its part by the tests that it can make in a week at the declared maxima. Expectations add up,
//! whatever depends on what; a test that fires already starts no episode.

use crate::engine::time::Span;

const WEEK: Span = Span::from_hours(24 * 7);
/// No test is asked at a looser level, however few there are.
pub const ALPHA_MAX: f64 = 0.05;
/// Tests of one feature and window: its distribution, and the shares of missing, invalid and
/// unknown values.
pub const TESTS_OF_FEATURE: usize = 4;

/// Disjoint windows of this size in a week.
pub fn windows_a_week(window: Span) -> f64 {
    WEEK.0 as f64 / window.0.max(1) as f64
}

/// The level of each of `tests` tests asked of every window.
pub fn alpha(episodes_a_week: f64, window: Span, tests: usize) -> f64 {
    let asked = windows_a_week(window) * tests.max(1) as f64;
    (episodes_a_week / asked).min(ALPHA_MAX)
}

/// The evidence A at which a detector alarms, one of `monitors`: the panes that it runs without an
/// alarm on average, at least, if nothing is wrong.
pub fn run_length(episodes_a_week: f64, window: Span, monitors: usize) -> f64 {
    let panes = windows_a_week(window) * monitors.max(1) as f64;
    (panes / episodes_a_week).max(1.0 / ALPHA_MAX)
}

/// What each of a kind of policies may spend: `others` of the other kind are there too.
pub fn part(episodes_a_week: f64, policies: usize, others: usize) -> f64 {
    let half = if others > 0 { episodes_a_week / 2.0 } else { episodes_a_week };
    half / policies.max(1) as f64
}
