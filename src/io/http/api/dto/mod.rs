//! The answers of the API, member by member: what is serialized, and what the document describes.
//!
//! Times are Unix seconds, lengths of time seconds. What there is no data for is `null`.

mod model;
mod overview;
mod pipeline;
mod text;
mod windows;

pub use model::*;
pub use overview::*;
pub use pipeline::*;
pub use text::{NAME_CHARS_MAX, name, seconds, stretch};
pub use windows::*;

use serde::Serialize;

/// Any answer of the engine.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    Models(Models),
    Model(Box<ModelPage>),
    History(HistoryAnswer),
    Drift(DriftAnswer),
    Feature(Box<FeatureAnswer>),
    Slices(SlicesAnswer),
    Labels(LabelsAnswer),
    Policies(PoliciesAnswer),
    Requests(RequestsAnswer),
    Pipeline(PipelineAnswer),
}
