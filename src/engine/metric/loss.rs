//! Means of the losses of stated probabilities, with normal intervals from their moments.

use super::Metric;
use super::interval::normal_mean;
use crate::engine::estimate::Estimate;
use crate::engine::sketch::{BinaryCells, Mass, MulticlassCells, Spread};

/// The mean of a loss, over the rows that have one.
pub(super) fn mean_loss(
    mass: Mass,
    spread: Spread,
    clipped: u64,
    range: (f64, f64),
) -> Option<Estimate> {
    let value = spread.mean(mass)?;
    let interval = if clipped == 0 { normal_mean(mass, spread, range) } else { None };
    Some(Estimate::exact(value, interval, mass.support()))
}

fn over_cells(loss: impl Fn(bool, bool) -> Spread) -> Spread {
    loss(false, false) + loss(false, true) + loss(true, false) + loss(true, true)
}

pub(super) fn log_loss(cells: &BinaryCells) -> Option<Estimate> {
    let spread = over_cells(|decision, label| cells.log_loss(decision, label));
    mean_loss(cells.scored(), spread, cells.clipped(), Metric::LogLoss.range())
}

pub(super) fn brier(cells: &BinaryCells) -> Option<Estimate> {
    let spread = over_cells(|decision, label| cells.brier(decision, label));
    mean_loss(cells.scored(), spread, cells.clipped(), Metric::Brier.range())
}

pub(super) fn log_loss_multiclass(cells: &MulticlassCells) -> Option<Estimate> {
    let (mass, spread) = cells.log_loss();
    mean_loss(mass, spread, cells.clipped(), Metric::LogLoss.range())
}
