//! The JSON API, `/api/v1`: what the page shows, for whoever wants it. Read only.
//!
//! A handler checks its parameters, asks the engine's thread for plain structs ([`desk`]), and
//! writes them as JSON on its own thread. What there is, with every member, says the document at
//! `/api/v1/openapi.json`, made from the structs in [`dto`].

pub mod desk;
pub mod dto;
mod handlers;
pub mod openapi;
mod params;
pub mod query;

pub use desk::{ApiClient, ApiDesk, api};
pub use handlers::{ApiState, Facts, router};
pub use query::{ApiError, Code, Page, Query};
