//! The daemon itself: what it reads, where it stands, what it saves.

use schemars::JsonSchema;
use serde::Serialize;

/// `GET /api/v1/status`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Status {
    pub version: String,
    pub started_at: f64,
    pub ready: bool,
    pub not_ready_reason: Option<String>,
    pub config: ConfigStatus,
    /// Whether values of features are shown as they are (`http.show_values`).
    pub show_values: bool,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ConfigStatus {
    /// The file's name without its directory.
    pub file: Option<String>,
    pub hash: String,
    pub loaded_at: f64,
    pub last_reload: Option<LastReload>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LastReload {
    pub ok: bool,
    pub at: f64,
    pub error: Option<String>,
}

/// `GET /api/v1/pipeline`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PipelineAnswer {
    /// Null until a broker has answered, or failed to.
    pub connected: Option<bool>,
    pub last_error: Option<String>,
    pub topics: Vec<Topic>,
    pub watermarks: Vec<ModelWatermarks>,
    pub dead_letters: Vec<DeadLetterCount>,
    pub rows: Vec<RowCount>,
    pub checkpoints: Checkpoints,
    pub memory: Memory,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Topic {
    pub topic: String,
    /// predictions or labels.
    pub role: String,
    /// Consumer group.
    pub group: String,
    /// The topic does not exist, as a broker says.
    pub missing: bool,
    pub partitions: Vec<Partition>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Partition {
    pub partition: i32,
    pub assigned: bool,
    /// Offset of the next record.
    pub position: i64,
    /// Where the log ends, as of about a second ago.
    pub end: i64,
    pub lag_records: u64,
    /// Age of the last record that was read, if there are more; null before the first.
    pub lag_seconds: Option<f64>,
    /// The partition's own watermark.
    pub watermark: Option<f64>,
    pub paused: bool,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ModelWatermarks {
    pub model: String,
    pub predictions_closing: Option<f64>,
    pub labels_closing: Option<f64>,
    pub labels_silent: bool,
    /// Predictions that wait for a label.
    pub pending: u64,
    /// Labels of the model's topic that wait for a prediction.
    pub waiting_labels: u64,
}

/// Records that could not be read, by reason: they are copied to the dead letters, if there is a
/// topic for them.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DeadLetterCount {
    pub topic: String,
    pub reason: String,
    pub count: u64,
}

/// Rows by how they ended, so far and not as of the last checkpoint.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RowCount {
    pub topic: String,
    pub outcome: String,
    pub count: u64,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Checkpoints {
    pub last_durable_at: Option<f64>,
    pub last_duration: Option<f64>,
    pub last_bytes: Option<u64>,
    pub failures: u64,
    pub last_error: Option<String>,
    /// Configured.
    pub every: f64,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Memory {
    pub resident_bytes: Option<u64>,
}
