//! A column that is already in memory, described as a file's column is.

use super::cell::Cell;
use super::column::{ColumnScan, Kind};
use super::count::ColumnCount;
use crate::engine::reference::FeatureReference;

/// Categories that are listed when nothing else is asked for; those of the command's default.
const CATEGORIES_MAX: usize = 1_000;

/// The reference that `tidemark profile` makes of such a column. `None` for numbers whose spread is
/// beyond what a double holds.
pub(crate) fn describe<'a>(
    numeric: bool,
    cells: impl Iterator<Item = Cell<'a>> + Clone,
) -> Option<FeatureReference> {
    let kind = if numeric { Kind::Numeric } else { Kind::Categorical };
    let mut scan = ColumnScan::new(Some(kind), CATEGORIES_MAX);
    cells.clone().for_each(|cell| scan.add(cell));
    let mut count = ColumnCount::new(&scan);
    cells.for_each(|cell| count.add(cell));
    count.finish("", CATEGORIES_MAX)
}
