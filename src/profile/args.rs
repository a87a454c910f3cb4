//! What `tidemark profile` is asked for on the command line.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Describe a model's data: what live windows are compared with.
///
/// Use data that the model was not trained on, where possible: its performance there is the
/// baseline.
#[derive(Clone, Debug, Args)]
pub struct ProfileArgs {
    /// Files: .csv, .tsv, .jsonl or .ndjson (each also .gz), or .parquet
    #[arg(required = true, value_name = "DATA")]
    pub data: Vec<PathBuf>,
    /// Where the profile is written; a file that is there is replaced
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Name of the model that it is for; other models then refuse it
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// What the model predicts; found out from the label if it can be
    #[arg(long)]
    pub task: Option<TaskName>,
    /// Binary: the label that counts as positive; 1 or true if the labels are 0 and 1, or false and
    /// true
    #[arg(long, value_name = "LABEL")]
    pub positive_class: Option<String>,
    /// Binary: a row without a predicted class is positive from this score on
    #[arg(long, value_name = "SCORE", default_value_t = 0.5)]
    pub threshold: f64,
    /// Column with the probability of the positive class, or with the predicted value
    #[arg(long, value_name = "COLUMN")]
    pub score: Option<String>,
    /// Column with the predicted class or value
    #[arg(long, value_name = "COLUMN")]
    pub prediction: Option<String>,
    /// Column with the ground truth
    #[arg(long, value_name = "COLUMN")]
    pub label: Option<String>,
    /// Column with a sampling weight; it enters the baseline only
    #[arg(long, value_name = "COLUMN")]
    pub weight: Option<String>,
    /// Column with the time of each row: measures how much rows repeat each other over time, so
    /// that alarms allow for it. A number or a text; it is not a feature then
    #[arg(long, value_name = "COLUMN")]
    pub time: Option<String>,
    /// Columns to describe by categories although they hold numbers
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',')]
    pub categorical: Vec<String>,
    /// Columns to describe by numbers although many values are not
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',')]
    pub numeric: Vec<String>,
    /// Columns that are not features of the model: ids, times
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',')]
    pub ignore: Vec<String>,
    /// Nested data: only members of this object are features, and are named without it
    #[arg(long, value_name = "OBJECT")]
    pub features_under: Option<String>,
    /// Use only rows with this value, for example split=reference; may be given several times
    #[arg(long = "where", value_name = "COLUMN=VALUE")]
    pub filters: Vec<String>,
    /// Categories that are listed of one column; the others are counted together
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    pub categories_max: usize,
    /// Regression: a LightGBM model, as text, that predicts the loss of a prediction from the
    /// features and the predicted value (called `prediction`); METRIC is mae, mse or mape
    #[arg(long, value_name = "METRIC=FILE")]
    pub loss_model: Vec<String>,
    /// Multiclass: the column with a class's probability; one a class
    #[arg(long, value_name = "CLASS=COLUMN")]
    pub probability: Vec<String>,
    /// The model was trained on this data: its baseline is better than what can be expected
    #[arg(long)]
    pub trained_on: bool,
}

/// What a model predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TaskName {
    Binary,
    Multiclass,
    Regression,
}

impl TaskName {
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Multiclass => "multiclass",
            Self::Regression => "regression",
        }
    }
}
