//! The bound of a policy on drift that is the user's own.

use super::super::tree::key_path;
use super::super::value::Number;
use super::super::written::DriftConfig;
use super::Check;
use crate::engine::drift::Statistic;

/// The one statistic and its bound.
pub fn limit(check: &mut Check<'_>, path: &str, section: &DriftConfig) -> Option<(Statistic, f64)> {
    let at = key_path(path, "above");
    let above = section.above.as_ref()?;
    let mut limits = Vec::new();
    for (name, value) in above {
        let at = key_path(&at, name);
        match name.parse::<Statistic>() {
            Ok(statistic) => match value {
                Some(Number(value)) if *value >= 0.0 => limits.push((statistic, *value)),
                _ => check.fault(at, "must be a number of 0 or more"),
            },
            Err(message) => check.fault(at, message),
        }
    }
    if above.len() != 1 {
        check.fault(at, "needs exactly one statistic; make one policy of each");
    }
    limits.first().copied()
}
