//! The outbox and its delivery.

mod delivery;
mod outbox;
pub mod python_receiver;
