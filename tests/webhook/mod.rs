//! The outbox and its delivery.

mod delivery;
mod options;
mod outbox;
pub mod python_receiver;
