//! tidemark tells a team, while it happens, whether a deployed model is still right.

pub mod config;
pub mod daemon;
pub mod decode;
pub mod demo;
pub mod engine;
pub mod io;
pub mod profile;
