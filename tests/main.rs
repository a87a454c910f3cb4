//! The one integration test binary: a module a part.

mod checkpoint;
mod kafka;
mod support;
