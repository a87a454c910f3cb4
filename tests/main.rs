//! The one integration test binary: a module a part.

mod config;
mod http;
mod telemetry;
mod webhook;
