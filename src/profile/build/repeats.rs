//! The third pass, by time: how much rows repeat each other.

use super::{Input, TargetColumns};
use crate::engine::alarm::design::Design;
use crate::profile::ProfileError;
use crate::profile::baseline::Baseline;
use crate::profile::cell::Cell;
use crate::profile::design::Meter;

/// What the meter makes of all rows, with what should be said of it. `None`: too little is known.
pub(super) fn measure(
    input: &mut Input,
    mut meter: Meter,
    baseline: Option<&Baseline>,
    targets: TargetColumns,
    columns_known: usize,
    warnings: &mut Vec<String>,
) -> Result<Option<Design>, ProfileError> {
    input.read(3, &mut |_, cells| {
        if cells.len() > columns_known {
            return Err(ProfileError::Changed);
        }
        let cell = |at: usize| cells.get(at).copied().unwrap_or(Cell::Missing);
        meter.add(&cell, baseline, targets);
        Ok(())
    })?;
    if meter.without_time > 0 {
        let rows = meter.without_time;
        warnings.push(format!("{rows} rows have no time in --time that could be read"));
    }
    let design = meter.finish();
    if design.is_none() {
        let reason = "--time: fewer than 8 stretches of 5 minutes, or more than there is room for; \
                      how much rows repeat each other is not known, and alarms will assume that \
                      they do not";
        warnings.push(reason.into());
    }
    Ok(design)
}
