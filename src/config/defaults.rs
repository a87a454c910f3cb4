//! The defaults, read from the one file that documents them.

use super::fault::Fault;
use super::read;
use super::tree;
use super::written::{Config, ModelConfig, PolicyConfig};
use std::sync::LazyLock;

/// `config/default.yaml`: every option, commented.
pub const DEFAULT_FILE: &str = include_str!("../../config/default.yaml");

/// The options of the file by section; those that the file marks with `#?` are here too.
pub struct Defaults {
    pub config: Config,
    pub model: ModelConfig,
    /// The policies on a metric and on drift.
    pub metric: PolicyConfig,
    pub drift: PolicyConfig,
    /// The same without a bound of their own.
    pub metric_alarm: PolicyConfig,
    pub drift_alarm: PolicyConfig,
}

/// The file with the options that are absent by default put in.
pub fn complete_file() -> String {
    let lines = DEFAULT_FILE.lines().map(|line| match line.split_once("#? ") {
        Some((indent, rest)) if indent.trim().is_empty() => format!("{indent}{rest}\n"),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

/// The defaults. The tests read the file too, so what is asked of it here is there.
pub fn defaults() -> &'static Defaults {
    static DEFAULTS: LazyLock<Defaults> = LazyLock::new(|| {
        let mut faults: Vec<Fault> = Vec::new();
        let tree = tree::parse(complete_file().as_bytes(), &mut faults)
            .expect("the embedded default file is YAML");
        let config: Option<Config> = read::read(&tree, &mut faults);
        assert!(faults.is_empty(), "the embedded default file has faults: {faults:?}");
        let config = config.expect("the embedded default file is a configuration");
        let model = config.models.as_ref().and_then(|models| models.get(0)).cloned();
        let model = model.expect("the embedded default file has a model");
        let policy = |index| model.policies.as_ref().and_then(|list| list.get(index)).cloned();
        let metric = policy(0).expect("the embedded default file has a policy on a metric");
        let drift = policy(1).expect("the embedded default file has a policy on drift");
        let metric_alarm = policy(2).expect("the embedded default file has an alarm on a metric");
        let drift_alarm = policy(3).expect("the embedded default file has an alarm on drift");
        Defaults { config, model, metric, drift, metric_alarm, drift_alarm }
    });
    &DEFAULTS
}
