//! Checks of slices: which features and values, and that they stay within bounds.

use super::super::bounds::{SLICE_BITS_MAX, SLICE_CELLS_MAX, SLICE_FEATURES_MAX, SLICES_MAX};
use super::super::defaults::defaults;
use super::super::fault::quoted;
use super::super::size::{code_bits, slice_cells};
use super::super::tree::{item_path, key_path};
use super::super::value::{Form, List, Number, ScalarOrList, Text};
use super::super::written::{ModelConfig, SliceConfig};
use super::Check;
use super::features::{References, find};
use crate::engine::reference::Distribution;
use crate::engine::spec::{FeatureKind, FeatureSpec, SliceFeature, SliceSpec, SliceValues};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One feature of one slice, as written.
pub struct Wish<'a> {
    pub path: String,
    /// Position of the slice in the list.
    slice: usize,
    pub name: &'a str,
    pub edges: Option<&'a List<Number>>,
    pub values: Option<&'a List<Text>>,
}

/// Every feature of every slice.
pub fn wishes<'a>(path: &str, slices: Option<&'a List<SliceConfig>>) -> Vec<Wish<'a>> {
    let mut wishes = Vec::new();
    for (slice, written) in slices.into_iter().flat_map(List::iter) {
        let path = item_path(path, slice);
        let mut wish = |path, name, edges, values| {
            wishes.push(Wish { path, slice, name, edges, values });
        };
        match written {
            SliceConfig::Short(ScalarOrList::Scalar(Text(name))) => wish(path, name, None, None),
            SliceConfig::Short(ScalarOrList::List(names)) => {
                for (index, Text(name)) in names.iter() {
                    wish(item_path(&path, index), name, None, None);
                }
            }
            SliceConfig::Long(long) => {
                let path = key_path(&path, "features");
                for (index, feature) in long.features.iter().flat_map(List::iter) {
                    let path = item_path(&path, index);
                    match feature {
                        Form::Short(Text(name)) => wish(path, name, None, None),
                        Form::Long(feature) => {
                            let name = feature.name.as_ref().map_or("", |Text(name)| name);
                            wish(path, name, feature.edges.as_ref(), feature.values.as_ref());
                        }
                    }
                }
            }
        }
    }
    wishes
}

pub fn slices(
    check: &mut Check<'_>,
    path: &str,
    model: &ModelConfig,
    features: &[FeatureSpec],
    references: &References,
) -> Vec<SliceSpec> {
    let values_max: u64 = check.bounded(
        path,
        "slice_values_max",
        model.slice_values_max,
        defaults().model.slice_values_max,
    );
    let values_max = usize::try_from(values_max).unwrap_or(usize::MAX);
    let path = key_path(path, "slices");
    // Without features because of another fault there is nothing to compare with.
    if features.is_empty() && check.is_faulty(path.trim_end_matches(".slices")) {
        return Vec::new();
    }
    let count = model.slices.as_ref().map_or(0, List::len);
    check.at_most(&path, count, SLICES_MAX, "slices");
    let mut by_slice: BTreeMap<usize, Vec<Wish<'_>>> = BTreeMap::new();
    for wish in wishes(&path, model.slices.as_ref()) {
        by_slice.entry(wish.slice).or_default().push(wish);
    }
    let mut slices: Vec<SliceSpec> = Vec::new();
    for index in 0..count.min(SLICES_MAX) {
        let path = item_path(&path, index);
        let wishes = by_slice.remove(&index).unwrap_or_default();
        let Some(slice) = slice(check, &path, &wishes, features, references, values_max) else {
            continue;
        };
        if slices.iter().any(|other| same(other, &slice)) {
            check.fault(path, "the same features are sliced by already; remove one");
        }
        slices.push(slice);
    }
    let bits = code_bits(&slices);
    if bits > SLICE_BITS_MAX {
        let message = format!(
            "the codes of the sliced features take {bits} bits of each pending prediction, at most \
             {SLICE_BITS_MAX} are allowed; slice by fewer features or values"
        );
        check.fault(path, message);
    }
    slices
}

/// The same features, in any order.
fn same(left: &SliceSpec, right: &SliceSpec) -> bool {
    let features = |slice: &SliceSpec| {
        let mut features: Vec<usize> = slice.features.iter().map(|f| f.feature).collect();
        features.sort_unstable();
        features
    };
    features(left) == features(right)
}

fn slice(
    check: &mut Check<'_>,
    path: &str,
    wishes: &[Wish<'_>],
    features: &[FeatureSpec],
    references: &References,
    values_max: usize,
) -> Option<SliceSpec> {
    if wishes.is_empty() || wishes.len() > SLICE_FEATURES_MAX {
        if !check.is_faulty(path) {
            let message =
                format!("has {} features; a slice is of 1 to {SLICE_FEATURES_MAX}", wishes.len());
            check.fault(path, message);
        }
        return None;
    }
    let mut spec = SliceSpec { features: Vec::new() };
    for wish in wishes {
        let found = match find(features, wish.name) {
            Ok(found) => found,
            Err(message) => {
                if !check.is_faulty(&wish.path) {
                    check.fault(wish.path.clone(), message);
                }
                continue;
            }
        };
        if spec.features.iter().any(|other| other.feature == found) {
            let message = format!("{} is in this slice twice", quoted(wish.name));
            check.fault(wish.path.clone(), message);
            continue;
        }
        if let Some(values) = values(check, wish, &features[found].kind, references, values_max) {
            let name = features[found].name.clone();
            spec.features.push(SliceFeature { feature: found, name, values });
        }
    }
    let cells = slice_cells(&spec);
    if cells > SLICE_CELLS_MAX {
        let message = format!(
            "has {cells} cells; at most {SLICE_CELLS_MAX} are allowed: cross fewer features or \
             lower `slice_values_max`"
        );
        check.fault(path, message);
    }
    (spec.features.len() == wishes.len()).then_some(spec)
}

fn values(
    check: &mut Check<'_>,
    wish: &Wish<'_>,
    kind: &FeatureKind,
    references: &References,
    values_max: usize,
) -> Option<SliceValues> {
    match kind {
        FeatureKind::Numeric => {
            if wish.values.is_some() {
                let message = "the feature is numeric; give it `edges` in place of `values`";
                check.fault(key_path(&wish.path, "values"), message);
                return None;
            }
            let Some(edges) = wish.edges else {
                let name = quoted(wish.name);
                let message = format!(
                    "{name} is numeric and needs edges: {{ features: [{{ name: {}, edges: [30, \
                     50] }}] }}",
                    wish.name
                );
                check.fault(wish.path.clone(), message);
                return None;
            };
            numeric_values(check, &key_path(&wish.path, "edges"), edges, values_max)
        }
        FeatureKind::Categorical { dictionary } => {
            if wish.edges.is_some() {
                let message = "the feature is categorical; give it `values` in place of `edges`";
                check.fault(key_path(&wish.path, "edges"), message);
                return None;
            }
            categorical_values(check, wish, dictionary, references, values_max)
        }
    }
}

fn numeric_values(
    check: &mut Check<'_>,
    path: &str,
    written: &List<Number>,
    values_max: usize,
) -> Option<SliceValues> {
    let edges: Vec<f64> = written.iter().map(|(_, &Number(edge))| edge).collect();
    let ascending = edges.windows(2).all(|pair| pair[0] < pair[1]);
    if edges.is_empty() || !ascending {
        check.fault(path, "must be one or more numbers, each greater than the one before");
        return None;
    }
    check.at_most(path, edges.len() + 1, values_max, "ranges (`slice_values_max`)");
    Some(SliceValues::Edges(edges))
}

fn categorical_values(
    check: &mut Check<'_>,
    wish: &Wish<'_>,
    dictionary: &Arc<[String]>,
    references: &References,
    values_max: usize,
) -> Option<SliceValues> {
    let mut values: Vec<&str> = Vec::new();
    if let Some(written) = wish.values {
        let path = key_path(&wish.path, "values");
        for (index, Text(value)) in written.iter() {
            if value.is_empty() || values.contains(&value.as_str()) {
                let message = format!("{} is empty or listed twice", quoted(value));
                check.fault(item_path(&path, index), message);
            }
            values.push(value);
        }
        check.at_most(&path, values.len(), values_max, "values (`slice_values_max`)");
    } else {
        values = most_frequent(references, wish.name);
        values.truncate(values_max);
    }
    if values.is_empty() {
        let name = quoted(wish.name);
        let message = format!("no profile has values of {name}; give them as `values: [...]`");
        check.fault(wish.path.clone(), message);
        return None;
    }
    let codes = values.into_iter().filter_map(|value| {
        let code = dictionary.iter().position(|known| known == value)?;
        Some((u32::try_from(code).ok()?, Arc::from(value)))
    });
    Some(SliceValues::Categories(codes.collect()))
}

/// Categories by descending count, then by text: of the default profile, else of all together.
fn most_frequent<'r>(references: &'r References, name: &str) -> Vec<&'r str> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let profiles: Vec<_> = match &references.default {
        Some(profile) => vec![profile],
        None => references.versions.values().collect(),
    };
    for profile in profiles {
        for feature in profile.features.iter().filter(|feature| feature.name == name) {
            if let Distribution::Categorical(categories) = &feature.distribution {
                for category in &categories.categories {
                    *counts.entry(&category.value).or_default() += category.count;
                }
            }
        }
    }
    let mut values: Vec<(u64, &str)> =
        counts.into_iter().map(|(value, count)| (count, value)).collect();
    values.sort_by(|left, right| right.0.cmp(&left.0).then(left.1.cmp(right.1)));
    values.into_iter().map(|(_, value)| value).collect()
}
