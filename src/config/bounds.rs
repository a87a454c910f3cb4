//! The least and the greatest value of every option that has them, in one table.
//! `config/default.yaml` tells them to the user; a test compares the two.

use super::value::{DurationText, SizeText};
use crate::engine::time::Span;

/// (option without list positions, least, greatest), as they are written.
pub const BOUNDS: &[(&str, &str, &str)] = &[
    ("state.checkpoint_every", "100ms", "1h"),
    ("state.checkpoints_keep", "2", "100"),
    ("state.memory_max", "16MiB", "16TiB"),
    ("http.series_max", "100", "100000"),
    ("dead_letters.rate_max", "1", "1000000"),
    ("webhooks.timeout", "1s", "2m"),
    ("webhooks.give_up_after", "1m", "30d"),
    ("models.versions_max", "1", "256"),
    ("models.slice_values_max", "1", "1000"),
    ("models.labels.horizon", "1s", "400d"),
    ("models.labels.lead", "0s", "30d"),
    ("models.labels.grace", "0s", "30d"),
    ("models.labels.silent_after", "1m", "400d"),
    ("models.labels.pending_max", "1000", "1000000000"),
    ("models.time.out_of_orderness", "0s", "7d"),
    ("models.time.allowed_lateness", "0s", "7d"),
    ("models.time.idle_after", "1s", "7d"),
    ("models.time.future_tolerance", "0s", "7d"),
    ("models.windows.size", "1s", "400d"),
    ("models.show.revise_every", "1s", "1d"),
    ("models.show.history_windows", "0", "10000"),
    ("models.show.version_gone_after", "1m", "400d"),
    ("models.policies.for", "1", "1000"),
    ("models.policies.action.cooldown", "0s", "400d"),
    ("models.policies.action.act_within", "1m", "400d"),
];

/// How many a configuration may have.
pub const WEBHOOKS_MAX: usize = 64;
pub const WEBHOOK_HEADERS_MAX: usize = 32;
pub const WEBHOOK_SECRETS_MAX: usize = 4;
pub const MODELS_MAX: usize = 256;
pub const CLASSES_MAX: usize = 64;
pub const TOP_K_MAX: usize = 8;
pub const FEATURES_MAX: usize = 1_000;
pub const WINDOWS_MAX: usize = 8;
pub const PANES_MAX: i64 = 100_000;
pub const SLICES_MAX: usize = 64;
pub const SLICE_FEATURES_MAX: usize = 3;
pub const SLICE_BITS_MAX: u32 = 128;
pub const SLICE_CELLS_MAX: u64 = 1 << 24;
pub const POLICIES_MAX: usize = 64;
pub const ALERT_CHARS_MAX: usize = 128;
pub const NAME_CHARS_MAX: usize = 64;
pub const GROUP_ID_CHARS_MAX: usize = 200;
/// A secret or URL in a file may be this long.
pub const SECRET_FILE_BYTES_MAX: u64 = 64 << 10;

/// What [`BOUNDS`] says of the option at `path` (list positions are left out).
pub fn bounds(path: &str) -> Option<(&'static str, &'static str)> {
    let mut option = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            _ if inside => {}
            _ => option.push(c),
        }
    }
    BOUNDS.iter().find(|(name, ..)| *name == option).map(|(_, low, high)| (*low, *high))
}

/// A value that has bounds.
pub trait Bounded: Copy + PartialOrd {
    fn parse(text: &str) -> Option<Self>;
}

impl Bounded for Span {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Bounded for u64 {
    fn parse(text: &str) -> Option<Self> {
        text.parse::<SizeText>().ok().map(|SizeText(bytes)| bytes)
    }
}

impl From<DurationText> for Span {
    fn from(DurationText(span): DurationText) -> Self {
        span
    }
}

impl From<SizeText> for u64 {
    fn from(SizeText(bytes): SizeText) -> Self {
        bytes
    }
}
