//! What is read of two files, and what is printed.

use super::args;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidemark::compare::run;

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// 200 rows of an id, an age, a country and a score; `shift` moves the ages.
    fn people(&self, name: &str, shift: u32) -> PathBuf {
        let row = |at: u32| {
            let age = if at.is_multiple_of(17) {
                String::new()
            } else {
                (20 + at % 40 + shift).to_string()
            };
            let country = ["FR", "DE", "IT"][(at as usize * 7 / 3) % 3];
            format!("{at},{age},{country},{}\n", f64::from(at % 100) / 100.0)
        };
        let rows: String = (0..200).map(row).collect();
        self.file(name, &format!("id,age,country,score\n{rows}"))
    }
}

fn json(reference: &Path, current: &Path, more: &[&str]) -> Value {
    run(&args(reference, current, more)).unwrap().to_json()
}

fn fault(reference: &Path, current: &Path, more: &[&str]) -> String {
    run(&args(reference, current, more)).unwrap_err().to_string()
}

#[test]
fn json_has_every_statistic_of_every_feature_and_null_where_it_does_not_apply() {
    let bench = Bench::new();
    let (reference, current) = (bench.people("a.csv", 0), bench.people("b.csv", 25));
    let found = json(&reference, &current, &["--ignore", "id", "--score", "score"]);
    let features = found["features"].as_object().unwrap();
    assert_eq!(features.keys().collect::<Vec<_>>(), ["age", "country"]);
    let twelve = [
        "psi",
        "kl",
        "js",
        "ks",
        "wasserstein",
        "hellinger",
        "chi_square",
        "g",
        "l_infinity",
        "total_variation",
        "energy",
        "cramers_v",
    ];
    for feature in features.values() {
        assert_eq!(feature.as_object().unwrap().keys().collect::<Vec<_>>(), twelve);
    }
    for only_of_numbers in ["ks", "wasserstein", "energy"] {
        assert!(features["country"][only_of_numbers].is_null());
        assert!(features["age"][only_of_numbers]["value"].is_f64());
    }
    let psi = features["age"]["psi"].as_object().unwrap();
    assert_eq!(psi.keys().collect::<Vec<_>>(), ["value", "p_value", "threshold", "drifted"]);
    assert_eq!(psi["drifted"], true);
    assert_eq!(features["country"]["psi"]["drifted"], false);
    assert_eq!(features["country"]["psi"]["value"], 0.0);
    assert!(features["age"]["energy"]["threshold"].is_null());
    assert_eq!(found["drifted"], serde_json::json!(["age"]));
    assert_eq!(found["verdicts"]["age"]["rows"]["reference"], 188);
}

#[test]
fn columns_are_chosen_by_name_and_what_is_left_out_is_said() {
    let bench = Bench::new();
    let reference = bench.people("a.csv", 0);
    let current = bench.file("b.csv", "id,age,country,extra\n1,30,FR,x\n2,31,DE,y\n");
    let found = json(&reference, &current, &["--feature", "age", "--feature", "country"]);
    assert_eq!(found["features"].as_object().unwrap().len(), 2);
    let found = json(&reference, &current, &["--label", "country", "--feature", "country"]);
    assert!(found["features"]["country"].is_object());
    let found = json(&reference, &current, &[]);
    assert_eq!(found["left_out"]["score"], "only in the reference");
    assert_eq!(found["left_out"]["extra"], "only in the current file");
    let message = fault(&reference, &current, &["--feature", "wage"]);
    assert!(message.contains("--feature") && message.contains("`wage`"), "{message}");
    let message = fault(&reference, &current, &["--feature", "score"]);
    assert!(message.contains("`score`") && message.contains("`extra`"), "{message}");
    let message = fault(&reference, &current, &["--numeric", "id", "--categorical", "id"]);
    assert!(message.contains("--categorical"), "{message}");
    let message = fault(&reference, &current, &["--alpha", "2"]);
    assert!(message.contains("--alpha"), "{message}");
}

#[test]
fn rows_are_chosen_by_a_columns_value_and_numbers_are_compared_as_categories_if_asked() {
    let bench = Bench::new();
    let rows: String =
        (0..100).map(|at| format!("{},{}\n", at % 2, at % 2 * 3 + at / 2 % 3)).collect();
    let both = bench.file("both.csv", &format!("half,x\n{rows}"));
    let halves = ["--reference-where", "half=0", "--current-where", "half=1"];
    let found = json(&both, &both, &halves);
    assert_eq!(found["reference"]["rows"], 50);
    assert_eq!(found["features"]["x"]["ks"]["value"], 1.0);
    assert!(found["features"]["half"].is_null());
    let categorical = [&halves[..], &["--categorical", "x"]].concat();
    let found = json(&both, &both, &categorical);
    assert_eq!(found["verdicts"]["x"]["kind"], "categorical");
    assert_eq!(found["features"]["x"]["total_variation"]["value"], 1.0);
    let message = fault(&both, &both, &["--current-where", "half=2"]);
    assert!(message.contains("--current-where"), "{message}");
    let message = fault(&both, &both, &["--current-where", "third=2"]);
    assert!(message.contains("`third`"), "{message}");
}

#[test]
fn the_same_rows_give_the_same_numbers_whatever_the_format() {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let csv = data.join("adult_sample.csv.gz");
    for other in ["adult_sample.jsonl.gz", "adult_sample.parquet"] {
        let found = json(&csv, &data.join(other), &["--dialect", "evidently"]);
        let features = found["features"].as_object().unwrap();
        assert!(features.len() >= 10, "{found:#}");
        for (name, feature) in features {
            assert_eq!(feature["psi"]["value"], 0.0, "{name} of {other}");
        }
    }
}

#[test]
fn a_side_without_values_has_no_numbers_and_no_verdict() {
    let bench = Bench::new();
    let reference = bench.file("a.csv", "x,y,k\n1,a,1\n2,b,1\n3,a,1\n");
    let current = bench.file("b.csv", "x,y,k\n,,1\n,,1\n");
    for dialect in ["tidemark", "evidently", "nannyml", "tfdv", "deequ"] {
        let found = json(&reference, &current, &["--dialect", dialect]);
        for column in ["x", "y"] {
            let statistics = found["features"][column].as_object().unwrap();
            assert!(statistics.values().all(Value::is_null), "{dialect} {column}: {statistics:?}");
            assert!(found["verdicts"][column]["drifted"].is_null(), "{dialect} {column}");
        }
        // A constant against itself: numbers or none, but no drift and no panic.
        assert_ne!(found["verdicts"]["k"]["drifted"], true, "{dialect}");
    }
}

#[test]
fn values_that_no_histogram_can_hold_are_no_reason_to_panic() {
    let bench = Bench::new();
    let reference = bench.file("a.csv", "k,x\n1,1e308\n1,-1e308\n1,inf\n1,0\n1,1e-308\n1,nan\n");
    let current = bench.file("b.csv", "k,x\n1,-inf\n1,5\n1,1e308\n1,4\n");
    for dialect in ["tidemark", "evidently", "nannyml", "tfdv", "deequ"] {
        for (one, other) in [(&reference, &current), (&current, &reference)] {
            let comparison = run(&args(one, other, &["--dialect", dialect])).unwrap();
            let text = comparison.to_json().to_string();
            assert!(serde_json::from_str::<Value>(&text).is_ok(), "{dialect}: {text}");
            assert!(comparison.table(false).to_string().contains('x'), "{dialect}");
        }
    }
}

#[test]
fn the_users_thresholds_take_the_place_of_the_dialects() {
    let bench = Bench::new();
    let (reference, current) = (bench.people("a.csv", 0), bench.people("b.csv", 3));
    let found = json(&reference, &current, &["--dialect", "tfdv"]);
    assert!(found["features"]["age"]["js"]["drifted"].is_null());
    let with = |threshold: &str| {
        json(&reference, &current, &["--dialect", "tfdv", "--threshold", threshold])
    };
    assert_eq!(with("js=0.000001")["features"]["age"]["js"]["drifted"], true);
    assert_eq!(with("js=0.9")["features"]["age"]["js"]["drifted"], false);
}

#[test]
fn the_table_says_what_drifted_first_and_the_exit_code_on_request() {
    let bench = Bench::new();
    let (reference, current) = (bench.people("a.csv", 0), bench.people("b.csv", 25));
    let tidemark = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
        command.arg("compare").arg(&reference).arg(&current).args(["--ignore", "id"]).args(more);
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), text, String::from_utf8(output.stderr).unwrap())
    };
    let (code, text, _) = tidemark(&["--summary"]);
    assert_eq!(code, Some(0));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "b.csv (200 rows) against a.csv (200 rows), dialect tidemark");
    assert_eq!(lines[1], "1 of 3 features drifted");
    assert!(lines[4].starts_with("age") && lines[4].contains("psi *"), "{text}");
    assert!(lines[4].ends_with("DRIFT") && lines[5].ends_with("ok"), "{text}");
    let (code, text, _) = tidemark(&["--json", "--fail-on-drift"]);
    assert_eq!(code, Some(1));
    let parsed: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(parsed["features"]["age"]["psi"]["drifted"], true);
    let (code, _, message) = tidemark(&["--feature", "nothing"]);
    assert_eq!(code, Some(2));
    assert!(message.starts_with("tidemark: --feature"), "{message}");
    let (code, _, message) = tidemark(&["--threshold", "pis=1"]);
    assert_eq!(code, Some(2));
    assert!(message.contains("cramers_v"), "{message}");
}

#[test]
fn the_readmes_commands_compare_two_files() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let block = readme.split("```sh\n").find(|block| block.starts_with("tidemark compare"));
    let lines = block.unwrap().split("```").next().unwrap().lines();
    let bench = Bench::new();
    let sample = super::unpacked(&root.join("tests/data/adult_sample.csv.gz"));
    bench.file("reference.csv", &sample);
    bench.file("current.csv", &sample);
    for line in lines {
        let words = line.split_whitespace().skip(1);
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
        let output = command.args(words).current_dir(bench.folder.path()).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success() && said.contains("education"), "{line}: {said}");
    }
}

#[test]
fn the_help_teaches_what_a_dialect_is() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
    let output = command.args(["compare", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for part in ["A dialect gives", "Examples:", "--alpha", "read a\nnumber with its dialect"] {
        assert!(help.contains(part), "no `{part}` in:\n{help}");
    }
}
