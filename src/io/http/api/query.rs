//! What can be asked of the engine, and why it may have no answer.

use crate::engine::metric::Metric;
use crate::engine::time::{Span, Timestamp};

/// One question, with its parameters checked as far as the model need not be known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Query {
    Models(Page),
    Model { model: String },
    History(HistoryQuery),
    Drift { at: Place, page: Page },
    Feature { at: Place, feature: String },
    Slices { at: Place, metric: Option<Metric>, page: Page },
    Labels { model: String },
    Policies { model: String },
    Requests { model: Option<String>, page: Page },
    Pipeline,
}

/// A model's window of one size, and a version; absent: those of the headline.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub model: String,
    pub window: Option<Span>,
    pub version: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoryQuery {
    pub at: Place,
    /// Empty: all of the model's.
    pub metrics: Vec<Metric>,
    pub slice: Option<String>,
    /// Window ends, both included.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Page {
    pub limit: usize,
    pub offset: usize,
}

impl Page {
    pub const DEFAULT: usize = 100;
    pub const MAX: usize = 1_000;

    /// Cuts a list down to the page.
    pub fn cut<T>(self, mut list: Vec<T>) -> Vec<T> {
        let from = self.offset.min(list.len());
        let mut page = list.split_off(from);
        page.truncate(self.limit);
        page
    }
}

impl Default for Page {
    fn default() -> Self {
        Self { limit: Self::DEFAULT, offset: 0 }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    pub code: Code,
    /// One sentence that says what to do.
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    BadRequest,
    NotFound,
    Unavailable,
}

impl ApiError {
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self { code: Code::BadRequest, message: message.into() }
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self { code: Code::NotFound, message: message.into() }
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self { code: Code::Unavailable, message: message.into() }
    }
}
