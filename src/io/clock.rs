//! The only reader of clocks: everything else is told the time.

use crate::engine::time::Timestamp;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The wall clock. Before 1970 it reads as 1970.
#[allow(clippy::disallowed_methods)]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_micros()).unwrap_or(Timestamp::MAX.0))
}

/// A clock that never goes back, for deadlines and rates.
#[allow(clippy::disallowed_methods)]
pub fn monotonic() -> Instant {
    Instant::now()
}
