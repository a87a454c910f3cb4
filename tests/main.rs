//! The one integration test binary: a module a part.

mod http;
mod simulation;
mod telemetry;
mod webhook;
