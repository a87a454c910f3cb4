//! Compares two data files, feature by feature, in one of several dialects.
//!
//! `read` turns the files into typed columns, `dialect` measures each pair of columns with the pure
//! functions of `exact`, `report` shows what was found. All rows are kept in memory: nothing here
//! is a sketch unless the tool whose number is asked for uses one.

mod args;
pub mod dialect;
pub mod exact;
pub mod feature;
pub mod finding;
mod read;
mod report;

pub use args::CompareArgs;
pub use read::{CATEGORIES_MAX, Data, VALUES_MAX, read};
pub use report::Table;

use crate::profile::ProfileError;
use dialect::{Dialect, Settings};
use finding::FeatureFindings;

/// What was found in two files.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub dialect: Dialect,
    /// The files' names without their directories.
    pub reference: String,
    pub current: String,
    /// Rows of (reference, current) that were compared.
    pub rows: (u64, u64),
    /// In the order of the reference's columns.
    pub features: Vec<FeatureFindings>,
    /// Columns that are not compared, with the reason.
    pub left_out: Vec<(String, String)>,
}

impl Comparison {
    /// The features that drifted.
    pub fn drifted(&self) -> impl Iterator<Item = &FeatureFindings> {
        self.features.iter().filter(|feature| feature.drifted() == Some(true))
    }
}

/// Reads and compares two files.
pub fn run(args: &CompareArgs) -> Result<Comparison, ProfileError> {
    let wrong = |option, what: &str| Err(ProfileError::Option { option, what: what.into() });
    if !(args.alpha > 0.0 && args.alpha < 1.0) {
        return wrong("--alpha", "expected a probability between 0 and 1");
    }
    if !(0.0..=1.0).contains(&args.delta) {
        return wrong("--delta", "expected a number from 0 to 1");
    }
    let Data { features, rows, left_out } = read(args)?;
    let settings = Settings {
        thresholds: args.thresholds.iter().copied().collect(),
        chunk_size: args.chunk_size.map(|size| size as usize),
        alpha: args.alpha,
        delta: args.delta,
        features: features.len(),
    };
    let compare = |feature| dialect::compare(args.dialect, feature, &settings);
    let name = |path: &std::path::Path| {
        path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    Ok(Comparison {
        dialect: args.dialect,
        reference: name(&args.reference),
        current: name(&args.current),
        rows,
        features: features.iter().map(compare).collect(),
        left_out,
    })
}
