//! Sequential detectors against river.
//!
//! `oracle/river_drift.json.gz`: streams of values, and after which of them the detectors of river
//! 0.26.1 saw a drift or gave a warning. Its FHDDM is not one of ours.

use serde_json::Value;
use std::io::Read;
use tidemark::engine::detector::{
    Adwin, AdwinSettings, Cusum, CusumSettings, Ddm, DdmSettings, Detector, Direction, Eddm,
    EddmSettings, HddmA, HddmASettings, HddmW, HddmWSettings, Kswin, KswinSettings, PageHinkley,
    PageHinkleySettings, Signal,
};

/// By the oracle's name of it.
fn detector(name: &str) -> Option<Box<dyn Detector>> {
    let adwin = AdwinSettings::default();
    let kswin = KswinSettings::default();
    let page_hinkley = PageHinkleySettings::default();
    Some(match name {
        "ADWIN()" => Box::new(Adwin::new(adwin)),
        "ADWIN(delta=0.01)" => Box::new(Adwin::new(AdwinSettings { delta: 0.01, ..adwin })),
        "ADWIN(clock=1)" => Box::new(Adwin::new(AdwinSettings { clock: 1, ..adwin })),
        "ADWIN(grace_period=100,min_window_length=20)" => {
            Box::new(Adwin::new(AdwinSettings { grace: 100.0, side_min: 20.0, ..adwin }))
        }
        "KSWIN(seed=42)" => Box::new(Kswin::new(kswin)),
        "KSWIN(alpha=0.0001,seed=42)" => {
            Box::new(Kswin::new(KswinSettings { alpha: 0.0001, ..kswin }))
        }
        "PageHinkley()" => Box::new(PageHinkley::new(page_hinkley)),
        "PageHinkley(mode=up)" => Box::new(PageHinkley::new(PageHinkleySettings {
            direction: Direction::Up,
            ..page_hinkley
        })),
        "PageHinkley(threshold=20,delta=0.05)" => Box::new(PageHinkley::new(PageHinkleySettings {
            threshold: 20.0,
            delta: 0.05,
            ..page_hinkley
        })),
        "DDM()" => Box::new(Ddm::new(DdmSettings::default())),
        "DDM(warm_start=100)" => {
            Box::new(Ddm::new(DdmSettings { warm_start: 100.0, ..DdmSettings::default() }))
        }
        "EDDM()" => Box::new(Eddm::new(EddmSettings::default())),
        "HDDM_A()" => Box::new(HddmA::new(HddmASettings::default())),
        "HDDM_A(two_sided_test=True)" => {
            Box::new(HddmA::new(HddmASettings { two_sided: true, ..HddmASettings::default() }))
        }
        "HDDM_W()" => Box::new(HddmW::new(HddmWSettings::default())),
        "HDDM_W(two_sided_test=True)" => {
            Box::new(HddmW::new(HddmWSettings { two_sided: true, ..HddmWSettings::default() }))
        }
        _ => return None,
    })
}

fn numbers(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|at| at.as_u64().unwrap() as usize).collect()
}

/// Warnings are listed, or, where there are many, counted with the first and the last of them.
fn same_warnings(found: &[usize], expected: &Value) -> bool {
    let Some(count) = expected.get("count") else { return found == numbers(expected) };
    let (first, last) = (numbers(&expected["first"]), numbers(&expected["last"]));
    found.len() as u64 == count.as_u64().unwrap()
        && found.starts_with(&first)
        && found.ends_with(&last)
}

#[test]
fn every_detector_signals_after_the_same_values_as_rivers() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/river_drift.json.gz");
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let oracle: Value = serde_json::from_str(&text).unwrap();
    let (mut runs, mut drifts_seen, mut left_out) = (0, 0, Vec::new());
    let mut faults = Vec::new();
    for (stream, results) in oracle["results"].as_object().unwrap() {
        let values = oracle["streams"][stream]["x"].as_array().unwrap();
        for (name, expected) in results.as_object().unwrap() {
            let Some(mut detector) = detector(name) else {
                left_out.push(name.as_str());
                continue;
            };
            let (mut drifts, mut warnings) = (Vec::new(), Vec::new());
            for (at, value) in values.iter().enumerate() {
                let signal = detector.update(value.as_f64().unwrap());
                drifts.extend(signal.drift.then_some(at));
                warnings.extend(signal.warning.then_some(at));
            }
            let expected_drifts = numbers(&expected["drift_at"]);
            if drifts != expected_drifts {
                faults.push(format!("{stream} {name}: {expected_drifts:?}, found {drifts:?}"));
            }
            if let Some(expected) = expected.get("warning_at")
                && !same_warnings(&warnings, expected)
            {
                faults.push(format!("{stream} {name}: warnings {expected}, found {warnings:?}"));
            }
            runs += 1;
            drifts_seen += drifts.len();
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    left_out.dedup();
    assert_eq!(left_out, ["FHDDM()"]);
    assert!(runs >= 100 && drifts_seen >= 150, "{runs} runs, {drifts_seen} drifts");
}

#[test]
fn a_cumulative_sum_passes_its_threshold_where_the_sum_on_paper_does() {
    let settings = CusumSettings { values_min: 3.0, delta: 0.5, threshold: 4.0 };
    let mut cusum = Cusum::new(settings);
    // Means 0, 0, 0, 1, 2, 8/3; sums 0, 0, 0, 2.5, 5: beyond 4 at the fifth.
    let drifts: Vec<bool> =
        [0.0, 0.0, 0.0, 4.0, 6.0, 1.0].map(|value| cusum.update(value).drift).to_vec();
    assert_eq!(drifts, [false, false, false, false, true, false]);
}

#[test]
fn what_is_not_a_number_changes_no_detector() {
    for name in ["ADWIN()", "KSWIN(seed=42)", "PageHinkley()", "DDM()", "EDDM()", "HDDM_A()"] {
        let (mut one, mut other) = (detector(name).unwrap(), detector(name).unwrap());
        for at in 0..500 {
            let value = f64::from(u8::from(at % 7 == 0 || at > 300));
            assert!(!other.update(f64::NAN).drift);
            assert!(!other.update(f64::INFINITY).drift);
            let signals: [Signal; 2] = [one.update(value), other.update(value)];
            assert_eq!(signals[0], signals[1], "{name} at {at}");
        }
    }
}
