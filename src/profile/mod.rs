//! Makes a reference profile from data files, and reads one back.
//!
//! Two passes over the files: the first finds each column's kind and where its bins lie, the second
//! counts exactly. The same rows in the same order give the same profile, byte for byte: rows enter
//! one by one, whatever the size of a reader's batch, and nothing is drawn at random.
//!
//! Memory: at most about 3.5 MB a column (`ColumnScan`) of at most 2,000 columns, 1,024 rows of a
//! file at a time and, for Parquet, the pages of one row group.

mod args;
mod baseline;
mod build;
mod calibrate;
pub(crate) mod cell;
mod column;
mod count;
mod describe;
mod design;
mod error;
mod file;
mod frequent;
mod grid;
mod losses;
mod quantiles;
mod report;
pub(crate) mod source;
mod task;

pub use args::{ProfileArgs, TaskName};
pub use build::{Progress, run};
pub use cell::printable;
pub(crate) use describe::describe;
pub use error::ProfileError;
pub use file::{check_model, read, write};
pub use report::Report;
