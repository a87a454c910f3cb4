//! What `tidemark compare` is asked for on the command line.

use super::dialect::Dialect;
use super::finding::Statistic;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Compare two files, feature by feature: what drifted, and by whose measure.
///
/// REFERENCE is the data that counts as right (a held-out set, last month), CURRENT what is asked
/// about. Every column that both files have is a feature; the kind of each, numbers or categories,
/// is found out from the reference. Missing values are left out.
///
/// A dialect gives the number that another tool gives for these rows, with that tool's own choice
/// of the statistic that decides (marked * in the table), its threshold and its verdict:
///   tidemark   what the daemon shows, exact; decides by PSI against a threshold that follows from
///              the number of rows, bins and features: see --alpha and --delta
///   evidently  decides by a p-value up to 1,000 reference rows, by a distance beyond
///   nannyml    decides by Jensen-Shannon against the spread between chunks of the reference
///   tfdv       has no thresholds of its own: give them with --threshold
///   deequ      L-infinity less the noise of so many rows, against 0.1 as in SageMaker
/// The same data has a PSI, a Jensen-Shannon value, ... that differ from tool to tool: read a
/// number with its dialect.
///
/// Examples:
///   tidemark compare last_month.parquet today.parquet
///   tidemark compare train.csv live.csv --label repaid --ignore id,timestamp --fail-on-drift
///   tidemark compare train.csv live.csv --dialect evidently --json
///   tidemark compare train.csv live.csv --dialect tfdv --threshold l_infinity=0.01
///   tidemark compare all.csv all.csv --reference-where split=reference --current-where split=live
#[derive(Clone, Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct CompareArgs {
    /// The data that counts as right: .csv, .tsv, .jsonl or .ndjson (each also .gz), or .parquet
    #[arg(value_name = "REFERENCE")]
    pub reference: PathBuf,
    /// The data that is asked about
    #[arg(value_name = "CURRENT")]
    pub current: PathBuf,
    /// Whose definitions, default statistic, threshold and verdict
    #[arg(long, value_enum, default_value_t)]
    pub dialect: Dialect,
    /// Print JSON: features.NAME.STATISTIC = {value, p_value, threshold, drifted}, null where a
    /// statistic does not apply
    #[arg(long)]
    pub json: bool,
    /// Print only the line of the deciding statistic of each feature
    #[arg(long, conflicts_with = "json")]
    pub summary: bool,
    /// Exit with 1 if any feature drifted
    #[arg(long)]
    pub fail_on_drift: bool,
    /// Compare only these columns; may be given several times
    #[arg(long = "feature", value_name = "COLUMN,..", value_delimiter = ',')]
    pub features: Vec<String>,
    /// Columns that are not features: ids, times
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',')]
    pub ignore: Vec<String>,
    /// Columns to compare as categories although they hold numbers
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',')]
    pub categorical: Vec<String>,
    /// Columns to compare as numbers although many values are not
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',')]
    pub numeric: Vec<String>,
    /// Column with the model's score: left out unless --feature names it
    #[arg(long, value_name = "COLUMN")]
    pub score: Option<String>,
    /// Column with the model's prediction: left out unless --feature names it
    #[arg(long, value_name = "COLUMN")]
    pub prediction: Option<String>,
    /// Column with the ground truth: left out unless --feature names it
    #[arg(long, value_name = "COLUMN")]
    pub label: Option<String>,
    /// Column with a sampling weight: left out, and not used
    #[arg(long, value_name = "COLUMN")]
    pub weight: Option<String>,
    /// Use only reference rows with this value; may be given several times
    #[arg(long, value_name = "COLUMN=VALUE")]
    pub reference_where: Vec<String>,
    /// Use only current rows with this value; may be given several times
    #[arg(long, value_name = "COLUMN=VALUE")]
    pub current_where: Vec<String>,
    /// A threshold in place of the dialect's; may be given several times
    #[arg(long = "threshold", value_name = "STATISTIC=NUMBER", value_parser = threshold)]
    pub thresholds: Vec<(Statistic, f64)>,
    /// tidemark: the chance that any feature is called drifted though none differs materially;
    /// assumes independent rows
    #[arg(long, value_name = "PROBABILITY", default_value_t = 0.01)]
    pub alpha: f64,
    /// tidemark: a difference up to this, about a PSI, is not material
    #[arg(long, value_name = "PSI", default_value_t = 0.01)]
    pub delta: f64,
    /// nannyml: rows of a reference chunk; absent, a tenth of the reference
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    pub chunk_size: Option<u32>,
}

fn threshold(text: &str) -> Result<(Statistic, f64), String> {
    let (name, number) = text.split_once('=').ok_or("expected STATISTIC=NUMBER")?;
    let statistic = Statistic::from_str(name, false).map_err(|_| {
        let names: Vec<&str> = Statistic::value_variants().iter().map(|s| s.name()).collect();
        format!("`{name}` is not a statistic; expected one of {}", names.join(", "))
    })?;
    let number = number.parse::<f64>().ok().filter(|number| number.is_finite());
    Ok((statistic, number.ok_or("expected a number after `=`")?))
}
