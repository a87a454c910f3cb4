//! The one integration test binary: a module a part.

mod http;
mod telemetry;
mod webhook;
