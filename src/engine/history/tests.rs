//! History by itself: what it holds, what it forgets, and how it comes back from a checkpoint.

use super::*;
use crate::engine::estimate::Interval;
use crate::engine::spec::{JoinSpec, ShowSpec, TimeSpec, WindowSpec};
use crate::engine::state::SnapshotKind;

const HOUR: Span = Span::from_hours(1);

fn spec(history_windows: u32) -> ModelSpec {
    let windows = vec![
        WindowSpec { size: HOUR, every: HOUR, keep: HOUR },
        WindowSpec { size: Span::from_hours(24), every: HOUR, keep: HOUR },
    ];
    ModelSpec {
        name: "m".into(),
        task: Task::Binary { positive_class: "1".into(), negative_class: None, threshold: 0.5 },
        weighted: false,
        features: Vec::new(),
        slices: Vec::new(),
        time: TimeSpec {
            out_of_orderness: Span::ZERO,
            allowed_lateness: Span::ZERO,
            idle_after: HOUR,
            future_tolerance: HOUR,
            origin: Timestamp(0),
        },
        join: JoinSpec {
            horizon: HOUR,
            lead: Span::ZERO,
            grace: Span::ZERO,
            corrections_for: Span::ZERO,
            silent_after: None,
            absent_after: None,
            pending_max: 1_000,
            start: None,
        },
        windows,
        reference: None,
        version_references: BTreeMap::new(),
        show: ShowSpec {
            coverage_min: 0.0,
            support_min: 1,
            revise_every: Span::ZERO,
            history_windows,
            version_gone_after: HOUR,
        },
        policies: Vec::new(),
        versions_max: 8,
    }
}

fn at(hour: i64) -> Timestamp {
    Timestamp::from_secs(hour * 3_600)
}

fn firing(kind: FiringKind, hour: i64, versions: &[(&str, u64)]) -> Firing {
    let fired = |(version, labeled): &(&str, u64)| FiredVersion {
        nowcasts: Vec::new(),
        version: (*version).to_owned(),
        predictions: 100,
        labeled: *labeled,
        metrics: vec![(Metric::Accuracy, Estimate::exact(0.5, None, *labeled))],
    };
    Firing {
        kind,
        truncated: false,
        size: HOUR,
        start: at(hour - 1),
        end: at(hour),
        revision: 0,
        versions: versions.iter().map(fired).collect(),
    }
}

fn mark(text: &str) -> Mark {
    Mark {
        at: at(1),
        kind: MarkKind::Firing,
        version: "v1".into(),
        policy: Some("p".into()),
        happened_at: at(2),
        text: text.to_owned(),
    }
}

fn ends(history: &History, index: usize) -> Vec<Timestamp> {
    history.windows(index).map(|(end, _)| end).collect()
}

#[test]
fn the_newest_windows_of_each_kind_stay_and_older_ones_do_not_come_back() {
    let mut history = History::new(&spec(3));
    for hour in [1, 2, 5, 4, 9] {
        assert!(history.fired(0, &firing(FiringKind::OnTime, hour, &[("v1", 1)])));
    }
    assert_eq!(ends(&history, 0), [at(4), at(5), at(9)]);
    assert!(!history.fired(0, &firing(FiringKind::Final, 2, &[("v1", 1)])));
    assert!(history.fired(1, &firing(FiringKind::OnTime, 2, &[("v1", 1)])));
    assert_eq!((ends(&history, 0).len(), ends(&history, 1).len()), (3, 1));
    assert!(!history.fired(7, &firing(FiringKind::OnTime, 2, &[("v1", 1)])), "no such kind");
}

#[test]
fn a_later_firing_replaces_the_numbers_and_a_version_that_went_is_gone() {
    let mut history = History::new(&spec(3));
    history.fired(0, &firing(FiringKind::OnTime, 1, &[("v1", 0), ("v2", 0)]));
    history.fired(0, &firing(FiringKind::Late, 1, &[("v2", 60)]));
    assert_eq!(history.rows(0, "v1").count(), 0);
    let (end, row) = history.rows(0, "v2").next().unwrap();
    assert_eq!((end, row.kind, row.labeled), (at(1), FiringKind::Late, 60));
    assert_eq!(row.coverage(), Some(0.6));
    let metrics = history.metrics().iter().zip(&row.metrics);
    let defined: Vec<_> = metrics.filter(|(_, value)| value.is_some()).map(|(m, _)| *m).collect();
    assert_eq!(defined, [Metric::Accuracy], "no data is absent, never 0");
}

#[test]
fn a_checkpoint_and_the_changes_after_it_give_the_history_back() {
    let mut history = History::new(&spec(4));
    let mut sections = vec![history.save(SnapshotKind::Full)];
    assert!(!history.is_unsaved());
    for hour in 1..12 {
        let version = if hour < 6 { "v1" } else { "v2" };
        history.saw_version(version, at(hour), at(hour));
        history.fired(0, &firing(FiringKind::OnTime, hour, &[(version, 0)]));
        history.fired(0, &firing(FiringKind::Final, hour - 2, &[(version, 9)]));
        history.mark(mark(&hour.to_string()));
        assert!(history.is_unsaved());
        sections.push(history.save(SnapshotKind::Delta));
        let restore = |sections: &[crate::engine::state::Section]| {
            let mut back = History::new(&spec(4));
            for section in sections {
                back.restore(std::slice::from_ref(section)).unwrap();
            }
            back
        };
        assert_eq!(restore(&sections), history);
        assert_eq!(restore(&[history.save(SnapshotKind::Full)]), history);
    }
    let delta = sections.last().unwrap().bytes.len();
    let whole = history.save(SnapshotKind::Full).bytes.len();
    assert!(delta * 2 < whole, "what changed costs {delta}, what is held {whole}");
    // A configuration that holds fewer takes the newest.
    let mut fewer = History::new(&spec(1));
    fewer.restore(&[history.save(SnapshotKind::Full)]).unwrap();
    assert_eq!(ends(&fewer, 0), [at(11)]);
    // A checkpoint from before there was history has none.
    assert!(fewer.restore(&[]).is_ok());
}

#[test]
fn marks_are_bounded_and_the_newest_stay() {
    let mut history = History::new(&spec(1));
    for number in 0..MARKS_MAX + 10 {
        history.mark(mark(&number.to_string()));
    }
    let texts: Vec<&str> = history.marks().map(|mark| mark.text.as_str()).collect();
    assert_eq!((texts.len(), texts[0]), (MARKS_MAX, "10"));
    let mut back = History::new(&spec(1));
    back.restore(&[history.save(SnapshotKind::Delta)]).unwrap();
    assert_eq!(back, history, "more new marks than are held");
}

#[test]
fn slices_are_worked_out_again_only_when_labels_have_grown() {
    let mut history = History::new(&spec(10));
    let step = |size: i64| Step { size: Span::from_hours(size), every: HOUR, origin: Timestamp(0) };
    let mut labels = |kind: FiringKind, labeled: u64| {
        history.fired(0, &firing(kind, 6, &[("v1", labeled)]));
        let wanted = history.wants_slices((0, at(6)), step(1), "v1");
        if wanted {
            history.sliced((0, at(6)), "v1", &[]);
        }
        wanted
    };
    assert!(!labels(FiringKind::OnTime, 0));
    assert!(labels(FiringKind::Late, 40));
    assert!(!labels(FiringKind::Late, 50));
    assert!(labels(FiringKind::Late, 51));
    assert!(!labels(FiringKind::Late, 52));
    assert!(labels(FiringKind::Final, 52));
    assert!(!labels(FiringKind::Final, 52));
    // Of a day's windows every hour each sixth has slices.
    let of_a_day = (0..48).filter(|hour| step(24).has_slices(at(*hour))).count();
    assert_eq!(of_a_day, 8);
}

/// Of `confint_proportions_2indep(..., method="newcomb")` of statsmodels 0.15.0; the first is
/// Newcombe's own example (1998).
#[test]
fn the_interval_of_a_gap_is_newcombes_for_proportions() {
    use crate::engine::metric::interval::wilson;
    let cases = [
        ((56, 70), (48, 80), (0.05243147240236498, 0.33387265403690614)),
        ((9, 10), (3, 10), (0.1705227239345029, 0.809017973535488)),
        ((10, 10), (0, 20), (0.6790860371419145, 1.0)),
        ((800, 1000), (700, 1000), (0.06214270122525817, 0.13749988174187006)),
    ];
    for (better, worse, (lower, upper)) in cases {
        let share = |(hits, rows): (u32, u32)| {
            let (share, n) = (f64::from(hits) / f64::from(rows), f64::from(rows));
            Estimate::exact(share, wilson(share, n), u64::from(rows))
        };
        let gap: Interval = gap_bound(&share(better), &share(worse)).unwrap();
        assert!((gap.lower - lower).abs() < 1e-12, "{better:?} {worse:?}: {gap:?}");
        assert!((gap.upper - upper).abs() < 1e-12, "{better:?} {worse:?}: {gap:?}");
    }
    let unsure = Estimate::exact(0.5, None, 3);
    assert_eq!(gap_bound(&unsure, &unsure), None);
}
