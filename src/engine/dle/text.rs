//! LightGBM's text format for models (`Booster.save_model`), versions 3 and 4.
//!
//! Lines `key=value`, a blank line between trees, `end of trees`; then parameters, which are not
//! read, and `pandas_categorical:` with the texts of categorical columns as JSON.

use super::trees::{Child, Input, Node, Tree, Trees};
use std::collections::BTreeMap;
use std::str::FromStr;

/// A longer text is refused.
pub const TEXT_BYTES_MAX: usize = 64 << 20;
const TREES_MAX: usize = 10_000;
const LEAVES_MAX: usize = 100_000;
const INPUTS_MAX: usize = 10_000;
const CATEGORY_WORDS_MAX: usize = 1 << 20;

/// Why a text is not a model that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("not a LightGBM model: {0}")]
    NotAModel(String),
    #[error("tree {tree}: {what}")]
    Tree { tree: usize, what: String },
    #[error("{0} is not supported; train a plain regression of the loss")]
    Unsupported(String),
}

type Fields<'a> = BTreeMap<&'a str, &'a str>;

impl Trees {
    /// Reads a model. Refuses what would need more than a sum of leaves: several classes, linear
    /// leaves, averaged output, objectives with a link other than the exponential.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let not = |what: &str| ParseError::NotAModel(what.to_owned());
        if text.len() > TEXT_BYTES_MAX {
            return Err(not("it is too long"));
        }
        let mut blocks = text.split("\n\n");
        let head = blocks.next().unwrap_or_default();
        if head.lines().next().map(str::trim) != Some("tree") {
            return Err(not("it does not begin with `tree`"));
        }
        let exponential = objective(head)?;
        let inputs = inputs(text, &fields(head))?;
        let mut trees = Vec::new();
        let mut ended = false;
        for block in blocks {
            let block = block.trim_start_matches('\n');
            if block.starts_with("end of trees") {
                ended = true;
                break;
            }
            if block.starts_with("Tree=") {
                if trees.len() >= TREES_MAX {
                    return Err(not(&format!("more than {TREES_MAX} trees")));
                }
                let number = trees.len();
                let tree = tree(&fields(block), inputs.len());
                trees.push(tree.map_err(|what| ParseError::Tree { tree: number, what })?);
            }
        }
        if !ended || trees.is_empty() {
            return Err(not("it is cut off before `end of trees`"));
        }
        Ok(Self { inputs, trees, exponential })
    }
}

fn fields(block: &str) -> Fields<'_> {
    block.lines().filter_map(|line| line.trim_end().split_once('=')).collect()
}

/// Whether the output is an exponential.
fn objective(head: &str) -> Result<bool, ParseError> {
    let fields = fields(head);
    let unsupported = |what: &str| Err(ParseError::Unsupported(what.to_owned()));
    if head.lines().any(|line| line.trim() == "average_output") {
        return unsupported("averaged output (random forests)");
    }
    if fields.get("num_class").is_some_and(|classes| *classes != "1") {
        return unsupported("more than one class");
    }
    let objective = fields.get("objective").copied().unwrap_or("regression");
    let mut words = objective.split(' ');
    match words.next().unwrap_or_default() {
        "regression" if words.any(|word| word == "sqrt") => unsupported("`reg_sqrt`"),
        "regression" | "regression_l1" | "huber" | "fair" | "quantile" | "mape" => Ok(false),
        "poisson" | "gamma" | "tweedie" => Ok(true),
        other => unsupported(&format!("the objective `{other}`")),
    }
}

fn inputs(text: &str, head: &Fields) -> Result<Vec<Input>, ParseError> {
    let not = |what: String| ParseError::NotAModel(what);
    let names: Vec<&str> =
        head.get("feature_names").map(|names| names.split(' ').collect()).unwrap_or_default();
    let infos: Vec<&str> =
        head.get("feature_infos").map(|infos| infos.split(' ').collect()).unwrap_or_default();
    if names.is_empty() || names.len() > INPUTS_MAX || names.len() != infos.len() {
        return Err(not(format!(
            "expected 1 to {INPUTS_MAX} feature_names and as many feature_infos"
        )));
    }
    let line = text.lines().rev().find_map(|line| line.strip_prefix("pandas_categorical:"));
    let lists: Option<Vec<Vec<serde_json::Value>>> = match line.map(str::trim) {
        None | Some("null" | "") => None,
        Some(json) => {
            Some(serde_json::from_str(json).map_err(|e| not(format!("pandas_categorical: {e}")))?)
        }
    };
    // The lists are those of the categorical columns, in the columns' order. LightGBM says of these
    // alone which values they have, as `-1:2:0`; ranges are in brackets.
    let mut lists = lists.unwrap_or_default().into_iter();
    let input = |(name, info): (&&str, &&str)| {
        let is_categorical = !info.starts_with('[') && *info != "none";
        let categories = if is_categorical { lists.next() } else { None };
        let text = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        Input {
            name: (*name).to_owned(),
            categories: categories.map(|list| list.into_iter().map(text).collect()),
        }
    };
    let inputs: Vec<Input> = names.iter().zip(&infos).map(input).collect();
    match lists.next() {
        None => Ok(inputs),
        Some(_) => Err(not(
            "pandas_categorical has more columns than the model uses as categories; leave out \
             constant ones when you train"
                .into(),
        )),
    }
}

fn list<T: FromStr>(fields: &Fields, key: &str, expected: usize) -> Result<Vec<T>, String> {
    let text = fields.get(key).copied().unwrap_or_default();
    let values: Result<Vec<T>, _> =
        text.split(' ').filter(|v| !v.is_empty()).map(str::parse).collect();
    let values = values.map_err(|_| format!("{key}: not a list of numbers"))?;
    if values.len() != expected {
        return Err(format!("{key}: {} values, expected {expected}", values.len()));
    }
    Ok(values)
}

fn tree(fields: &Fields, inputs: usize) -> Result<Tree, String> {
    let one = |key: &str| -> Result<usize, String> {
        let text = fields.get(key).ok_or_else(|| format!("{key} is missing"))?;
        text.parse().map_err(|_| format!("{key}: not a number"))
    };
    if fields.get("is_linear").is_some_and(|linear| *linear != "0") {
        return Err("its leaves are linear, which is not supported".into());
    }
    let (leaves, categories) = (one("num_leaves")?, one("num_cat")?);
    if leaves == 0 || leaves > LEAVES_MAX || categories >= LEAVES_MAX {
        return Err(format!("num_leaves: expected 1 to {LEAVES_MAX}"));
    }
    let splits = leaves - 1;
    let leaf_values: Vec<f64> = list(fields, "leaf_value", leaves)?;
    let features: Vec<usize> = list(fields, "split_feature", splits)?;
    let thresholds: Vec<f64> = list(fields, "threshold", splits)?;
    let decisions: Vec<u8> = list(fields, "decision_type", splits)?;
    let left: Vec<i64> = list(fields, "left_child", splits)?;
    let right: Vec<i64> = list(fields, "right_child", splits)?;
    let (bounds, words) = if categories == 0 {
        (vec![0], Vec::new())
    } else {
        let bounds: Vec<usize> = list(fields, "cat_boundaries", categories + 1)?;
        let end = bounds.last().copied().unwrap_or(0);
        if !bounds.is_sorted() || end > CATEGORY_WORDS_MAX {
            return Err("cat_boundaries: not ascending, or too far".into());
        }
        let words = list(fields, "cat_threshold", end)?;
        (bounds, words)
    };
    let mut nodes = Vec::with_capacity(splits);
    for at in 0..splits {
        let child = |to: i64| match usize::try_from(to) {
            // Children come after their parent: so every path ends.
            Ok(node) if node > at && node < splits => Ok(Child::Node(node)),
            Err(_) if ((!to) as usize) < leaves => Ok(Child::Leaf((!to) as usize)),
            _ => Err(format!("node {at}: it has no child {to}")),
        };
        if features[at] >= inputs {
            return Err(format!("node {at}: there is no feature {}", features[at]));
        }
        let categorical = decisions[at] & 1 == 1;
        if categorical && !(thresholds[at] >= 0.0 && thresholds[at] < categories as f64) {
            return Err(format!("node {at}: there is no set of categories {}", thresholds[at]));
        }
        nodes.push(Node {
            feature: features[at],
            threshold: thresholds[at],
            decision: decisions[at],
            left: child(left[at])?,
            right: child(right[at])?,
        });
    }
    if leaf_values.iter().any(|value| !value.is_finite()) {
        return Err("leaf_value: not finite".into());
    }
    Ok(Tree { nodes, leaves: leaf_values, words, bounds })
}
