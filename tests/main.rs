//! The one integration test binary: a module a part.
#![allow(clippy::unwrap_used)]

mod checkpoint;
mod config;
mod decode;
mod drift;
mod http;
mod kafka;
mod laws;
mod performance;
mod profile;
mod scenarios;
mod simulation;
mod support;
mod telemetry;
mod webhook;
