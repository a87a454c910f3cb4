//! The edges: everything that talks to the world.

pub mod clock;
