//! The one integration test binary: a module a part.
#![allow(clippy::unwrap_used)]

mod http;
mod telemetry;
mod webhook;
