//! What fires, what clears it, and what is remembered.

use tidemark::engine::alarm::detector::{Detector, Evidence};
use tidemark::engine::alarm::memory::{Memory, Test, VERSIONS_MAX, VersionMemory};
use tidemark::engine::alarm::share::Hits;
use tidemark::engine::alarm::shift::Order;
use tidemark::engine::alarm::watch::{
    DriftTerms, Look, LossTerms, Sample, Trial, look_at_drift, look_at_loss, look_at_ranking,
};
use tidemark::engine::time::{Span, Timestamp};

const TERMS: DriftTerms =
    DriftTerms { material: 0.01, share_margin: 0.01, alpha: 1e-5, features_min: 1 };

fn hour(hours: i64) -> Timestamp {
    Timestamp(0) + Span::from_hours(hours)
}

fn trial(feature: &str, test: Test, sample: Sample) -> Trial {
    Trial { feature: feature.to_owned(), test, sample, design: 1.0, reference_design: 1.0 }
}

/// Two values; `moved` of a thousand rows have the other one.
fn shift(feature: &str, moved: u64) -> Trial {
    let current = vec![500 - moved, 500 + moved];
    let sample = Sample::Shift { order: Order::Ordered, reference: vec![5_000, 5_000], current };
    trial(feature, Test::Shift, sample)
}

fn missing(feature: &str, hits: u64) -> Trial {
    let (reference, current) = (Hits::new(0, 10_000), Hits::new(hits, 1_000));
    trial(feature, Test::Missing, Sample::Share { reference, current })
}

fn look(memory: &mut VersionMemory, trials: &[Trial], at: i64) -> Look {
    look_at_drift(memory, trials, &TERMS, hour(at))
}

#[test]
fn a_test_that_fires_is_one_episode_however_long_it_stays_bad() {
    let mut memory = VersionMemory::default();
    let quiet = look(&mut memory, &[shift("a", 0), missing("a", 3)], 1);
    assert_eq!((quiet.firing, quiet.set_off, quiet.began, quiet.asked), (false, false, 0, 2));
    let first = look(&mut memory, &[shift("a", 200), missing("a", 3)], 2);
    assert_eq!((first.firing, first.set_off, first.began), (true, true, 1));
    assert_eq!(first.features, ["a"]);
    assert!(memory.evidence.unwrap() >= 1.0);
    let again = look(&mut memory, &[shift("a", 200), missing("a", 3)], 3);
    assert_eq!((again.firing, again.set_off, again.began), (true, true, 0));
    // Another test of the same feature is another episode.
    let more = look(&mut memory, &[shift("a", 200), missing("a", 500)], 4);
    assert_eq!((more.began, more.features.len()), (1, 1));
    let since: Vec<_> = memory.firing.values().map(|firing| firing.since).collect();
    assert_eq!(since, [hour(2), hour(4)]);
}

#[test]
fn it_is_clear_after_three_looks_at_enough_rows() {
    let mut memory = VersionMemory::default();
    look(&mut memory, &[shift("a", 200)], 0);
    // A thousand rows are not enough for a look, two thousand are.
    for window in 1..=5 {
        let found = look(&mut memory, &[shift("a", 0)], window);
        assert_eq!((found.firing, found.set_off), (true, false), "window {window}");
    }
    assert!(!look(&mut memory, &[shift("a", 0)], 6).firing);
    assert!(memory.firing.is_empty());
    // Something in between starts the count again.
    look(&mut memory, &[shift("a", 200)], 7);
    (8..12).for_each(|window| drop(look(&mut memory, &[shift("a", 0)], window)));
    look(&mut memory, &[shift("a", 200)], 12);
    assert!((13..18).all(|window| look(&mut memory, &[shift("a", 0)], window).firing));
    assert!(!look(&mut memory, &[shift("a", 0)], 18).firing);
}

#[test]
fn what_is_above_the_quiet_level_does_not_clear() {
    let mut memory = VersionMemory::default();
    look(&mut memory, &[shift("a", 200)], 0);
    // Not enough for an alarm, and not calm: phi is .2, of which .1 is immaterial.
    for window in 1..=20 {
        let found = look(&mut memory, &[shift("a", 100)], window);
        assert!(found.firing, "window {window}");
    }
}

#[test]
fn as_many_features_must_fire_as_the_policy_asks_for() {
    let terms = DriftTerms { features_min: 2, ..TERMS };
    let mut memory = VersionMemory::default();
    let one = [shift("a", 200), shift("b", 0)];
    let found = look_at_drift(&mut memory, &one, &terms, hour(0));
    assert_eq!((found.firing, found.began), (false, 1));
    let two = [shift("a", 0), shift("b", 200)];
    let found = look_at_drift(&mut memory, &two, &terms, hour(1));
    assert_eq!((found.firing, found.began), (true, 1));
}

#[test]
fn the_list_inside_an_alarm_holds_false_discoveries_down() {
    let mut memory = VersionMemory::default();
    let mut trials: Vec<Trial> = (0..20).map(|at| shift(&format!("q{at}"), 5)).collect();
    trials.push(shift("b", 150));
    trials.push(shift("a", 250));
    let found = look(&mut memory, &trials, 0);
    let names: Vec<&str> = found.listed.iter().map(|asked| asked.feature.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    let quiet = look(&mut VersionMemory::default(), &trials[..20], 0);
    assert_eq!(quiet.listed.len(), 1, "the nearest one");
}

#[test]
fn too_few_rows_ask_nothing() {
    let few = Sample::Shift { order: Order::Ordered, reference: vec![5, 5], current: vec![3, 0] };
    let none = Hits::new(0, 0);
    let empty = Sample::Share { reference: none, current: none };
    let trials = [trial("a", Test::Shift, few), trial("a", Test::Missing, empty)];
    let mut memory = VersionMemory::default();
    let found = look(&mut memory, &trials, 0);
    assert_eq!((found.asked, found.set_off, memory.evidence), (0, false, None));
}

const LOSS: LossTerms = LossTerms { null: 0.17, margin: 0.02, run_length: 2_000.0, design: 1.0 };

fn pane(memory: &mut VersionMemory, loss: f64, at: i64) -> Look {
    look_at_loss(memory, Evidence { rows: 100.0, loss }, &LOSS, hour(at))
}

#[test]
fn evidence_of_a_loss_adds_up_over_panes_and_is_gathered_anew_after_an_alarm() {
    let mut memory = VersionMemory::default();
    assert!((0..50).all(|at| !pane(&mut memory, 15.0, at).firing));
    let mut at = 50;
    while !pane(&mut memory, 26.0, at).firing {
        at += 1;
        assert!(at < 65, "nine points above the bound are seen in some panes");
    }
    assert!(at > 50, "one pane is not enough");
    assert!(memory.evidence.unwrap() >= 1.0);
    assert_eq!(memory.detector, Detector::default());
    let firing = &memory.firing[&(String::new(), Test::Loss)];
    assert_eq!(firing.since, hour(at));
    // As before: clear after three looks at enough rows (954 for a margin of .02).
    let calm = (1..200).take_while(|later| pane(&mut memory, 15.0, at + later).firing).count();
    assert_eq!(calm, 29);
}

#[test]
fn an_auc_is_looked_at_window_by_window() {
    let mut memory = VersionMemory::default();
    let mut at = |p_value, hours| look_at_ranking(&mut memory, p_value, 1e-4, hour(hours));
    assert_eq!((at(0.3, 0).firing, at(1e-5, 1).began, at(1e-5, 2).began), (false, 1, 0));
    assert!(at(0.3, 3).firing && at(0.3, 4).firing);
    assert!(at(0.01, 5).firing, "not calm: the count begins anew");
    assert!(at(0.3, 6).firing && at(0.3, 7).firing && !at(0.3, 8).firing);
}

#[test]
fn another_setting_begins_anew_and_versions_are_bounded() {
    let mut memory = Memory::default();
    look(memory.version("p", "profile a", "v1"), &[shift("a", 200)], 1);
    memory.began("p", 1);
    assert_eq!(memory.version("p", "profile a", "v1").firing.len(), 1);
    assert_eq!(memory.version("p", "profile b", "v1").firing.len(), 0);
    assert_eq!(memory.policies["p"].episodes, 1, "a counter never falls");
    for version in 0..2 * VERSIONS_MAX as i64 {
        look(memory.version("p", "profile b", &format!("v{version}")), &[shift("a", 0)], version);
    }
    let versions = &memory.policies["p"].versions;
    assert_eq!(versions.len(), VERSIONS_MAX);
    assert!(versions.values().all(|version| version.judged >= hour(VERSIONS_MAX as i64)));
    memory.retain(|policy| policy != "p");
    assert!(memory.policies.is_empty());
}
