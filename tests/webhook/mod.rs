//! The outbox and its delivery.

mod delivery;
mod outbox;
mod python_receiver;
