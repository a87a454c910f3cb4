//! Comparing two files.

mod carloan;
mod dialects;
mod files;
mod promises;

use clap::Parser;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tidemark::compare::dialect::{Dialect, Settings, compare};
use tidemark::compare::feature::Feature;
use tidemark::compare::finding::{FeatureFindings, Finding};
use tidemark::compare::{CompareArgs, read};

/// The options as the command line gives them.
#[derive(Parser)]
pub struct Cli {
    #[command(flatten)]
    pub args: CompareArgs,
}

/// The options of `tidemark compare`, the two files and then `more`.
pub fn args(reference: &Path, current: &Path, more: &[&str]) -> CompareArgs {
    let mut words = vec!["compare".into(), reference.as_os_str().to_owned(), current.into()];
    words.extend(more.iter().map(|word| word.into()));
    Cli::parse_from(words).args
}

/// A case of `oracle/compare`: see `prepare.py` there.
#[derive(Deserialize)]
pub struct Case {
    pub id: String,
    pub kind: String,
    pub reference: Vec<Value>,
    pub current: Vec<Value>,
    pub expected: BTreeMap<String, BTreeMap<String, Value>>,
}

pub fn oracle(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/compare").join(name)
}

pub fn unpacked(path: &Path) -> String {
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text
}

/// All cases, each with its column.
pub fn cases() -> &'static [(Case, Feature)] {
    static CASES: LazyLock<Vec<(Case, Feature)>> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let text = unpacked(&oracle("cases.jsonl.gz"));
        let case = |line: &str| {
            let case: Case = serde_json::from_str(line).unwrap();
            let feature = case.feature(folder.path());
            (case, feature)
        };
        text.lines().map(case).collect()
    });
    assert!(CASES.len() >= 40, "{} cases", CASES.len());
    &CASES
}

impl Case {
    /// The case's column, read from files as the command reads them.
    fn feature(&self, folder: &Path) -> Feature {
        let file = |name: &str, values: &[Value]| {
            let mut lines = String::from("row,x\n");
            for value in values {
                match value {
                    Value::Null => lines.push_str("1,\n"),
                    Value::String(text) => writeln!(lines, "1,{text}").unwrap(),
                    number => writeln!(lines, "1,{number}").unwrap(),
                }
            }
            let path = folder.join(name);
            std::fs::write(&path, lines).unwrap();
            path
        };
        let (reference, current) =
            (file("reference.csv", &self.reference), file("current.csv", &self.current));
        let mut data = read(&args(&reference, &current, &["--feature", "x"])).unwrap();
        assert_eq!(data.features.len(), 1, "{}: {:?}", self.id, data.left_out);
        data.features.remove(0)
    }
}

pub fn found(dialect: Dialect, feature: &Feature) -> FeatureFindings {
    compare(dialect, feature, &Settings::default())
}

/// A finding by the statistic's name.
pub fn by_name<'a>(found: &'a FeatureFindings, name: &str) -> Option<&'a Finding> {
    let of_name = found.statistics.iter().find(|(statistic, _)| statistic.name() == name);
    of_name.unwrap_or_else(|| panic!("{name} is not in the dialect")).1.as_ref()
}

/// Within `relative` of it, or `absolute` of it.
pub fn close(found: f64, expected: f64, relative: f64, absolute: f64) -> bool {
    found == expected || (found - expected).abs() <= (relative * expected.abs()).max(absolute)
}
