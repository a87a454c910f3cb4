//! The one integration test binary: a module a part.

mod config;
mod decode;
mod http;
mod laws;
mod performance;
mod simulation;
mod telemetry;
mod webhook;
