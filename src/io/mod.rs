//! The edges: everything that talks to the world.

pub mod checkpoint;
mod checkpoint_format;
mod checkpoint_lineage;
mod checkpoint_restore;
pub mod clock;
