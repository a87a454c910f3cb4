//! The bytes of a Kafka record become rows of typed columns, by the selectors of a configuration.
//!
//! One pass checks the whole payload as JSON and notes where the wanted values stand; then each
//! row is read from these places. Nothing is allocated for a record in the steady state, nothing
//! in a payload can panic, and every row is appended, refused with a reason, of an undeclared
//! model, or a tombstone.
//!
//! Maxima: [`PAYLOAD_BYTES_MAX`], [`DEPTH_MAX`], [`ROWS_MAX`], [`ID_BYTES_MAX`],
//! [`VERSION_BYTES_MAX`], [`selector::POINTER_PARTS_MAX`], [`selector::JOINED_PARTS_MAX`].

pub mod canonical;
mod class;
mod feature;
mod field;
pub mod inspect;
pub mod label;
mod number;
pub mod prediction;
mod read;
pub mod record;
mod rows;
mod scan;
pub mod selector;
mod shape;
pub mod spec;
mod survey;
mod time;

pub use field::{ID_BYTES_MAX, VERSION_BYTES_MAX};
pub use label::{LabelDecoder, LabelListener, LabelOutput};
pub use prediction::{PredictionDecoder, PredictionOutput, PredictionSource};
pub use read::{PAYLOAD_BYTES_MAX, ROWS_MAX};
pub use record::{Headers, NoHeaders, Record, RecordOutcome, Refusal, RefusalCounts};
pub use scan::DEPTH_MAX;
