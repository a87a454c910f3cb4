//! Alarms from a budget: a stated number of false alarm episodes a week, not a threshold.
//!
//! - `shift`: has a distribution moved by more than is material, given how many rows each side has?
//! - `share`: is a share (missing, new, out of range) greater than in the reference by more than a
//!   margin?
//! - `ranking`: is an AUC lower than the baseline's by more than a margin?
//! - `detector`: has a loss risen above what the baseline allows, over panes without an end?
//! - `budget`: which level each of them may use.
//! - `memory`: what fires, since when, and when it is clear again.
//! - `expect`: which false-alarm rate a fixed threshold of the user's own is to expect.
//!
//! Every test is asked once of each disjoint window, so that levels add up, whatever depends on
//! what. What a reader must know to believe a number stands in the file that computes it; what it
//! does under simulation in SIMULATION.md.

pub mod budget;
pub mod design;
pub mod detector;
pub mod expect;
pub mod loss;
pub mod memory;
pub mod noncentral;
pub mod ranking;
pub mod share;
pub mod shift;
pub mod watch;
