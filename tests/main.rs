//! The one integration test binary: a module a part.

mod kafka;
mod support;
