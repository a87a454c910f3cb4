//! Performance of a regression before labels: direct loss estimation (DLE, as NannyML 0.13 defines
//! it).
//!
//! A second model, trained outside on held-out rows, predicts the loss of each prediction from the
//! features and the predicted value. Its mean over a window, with negative losses taken as 0, is
//! the estimate. The model is read from LightGBM's text format: [`Trees::parse`].

mod estimates;
mod losses;
mod text;
mod trees;

pub use estimates::{LossSums, REGRESSION};
pub use losses::{LossModels, LossReference, is_loss};
pub use text::ParseError;
pub use trees::{Input, Trees};
