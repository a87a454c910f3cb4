#![doc = include_str!("ARCHITECTURE.md")]

pub mod compare;
pub mod config;
pub mod daemon;
pub mod decode;
pub mod demo;
pub mod engine;
pub mod io;
pub mod profile;
