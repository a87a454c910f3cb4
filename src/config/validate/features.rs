//! Checks of reference profiles and of features: which there are, of which type, with which values.

use super::super::bounds::FEATURES_MAX;
use super::super::fault::{quoted, suggestion};
use super::super::tree::{item_path, key_path};
use super::super::value::{List, Text};
use super::super::written::ModelConfig;
use super::Check;
use super::slices::{Wish, wishes};
use crate::decode::spec::{FeatureFields, FeatureType, PredictionFields};
use crate::engine::reference::{Distribution, FeatureReference, Profile};
use crate::engine::spec::{FeatureKind, FeatureSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The profiles of a model.
#[derive(Default)]
pub struct References {
    pub default: Option<Arc<Profile>>,
    pub versions: BTreeMap<String, Arc<Profile>>,
    /// The section's path.
    path: String,
}

impl References {
    /// Every profile with its path; the default one first.
    pub fn all(&self) -> impl Iterator<Item = (String, &Arc<Profile>)> {
        let default = self.default.iter().map(|profile| (key_path(&self.path, "default"), profile));
        let versions = self.versions.iter().map(|(version, profile)| {
            (key_path(&key_path(&self.path, "versions"), version), profile)
        });
        default.chain(versions)
    }

    pub fn is_empty(&self) -> bool {
        self.default.is_none() && self.versions.is_empty()
    }
}

pub fn references(
    check: &mut Check<'_>,
    path: &str,
    model: &ModelConfig,
    name: Option<&str>,
) -> References {
    let path = key_path(path, "reference");
    let mut references = References { path: path.clone(), ..References::default() };
    let Some(section) = &model.reference else { return references };
    if section.learn.is_some() {
        let message = "not yet: a reference cannot be learned from the stream so far; make one \
                       with `tidemark profile` and name it as `default`";
        check.fault(key_path(&path, "learn"), message);
    } else if section.default.is_none() && section.versions.is_none() && !check.is_faulty(&path) {
        check.fault(path.clone(), "is empty; name a profile as `default`, or remove it");
    }
    if let Some(Text(file)) = &section.default {
        references.default = profile(check, &key_path(&path, "default"), file, name);
    }
    for (version, file) in section.versions.iter().flatten() {
        let at = key_path(&key_path(&path, "versions"), version);
        match file {
            Some(Text(file)) => {
                if let Some(profile) = profile(check, &at, file, name) {
                    references.versions.insert(version.clone(), profile);
                }
            }
            None => check.fault(at, "has no value; name the version's profile"),
        }
    }
    references
}

fn profile(
    check: &mut Check<'_>,
    path: &str,
    file: &str,
    model: Option<&str>,
) -> Option<Arc<Profile>> {
    let full = check.file(file);
    let read_profile = check.read_profile;
    let read = check
        .profiles
        .entry(full)
        .or_insert_with_key(|full| read_profile(full).map(Arc::new))
        .clone();
    match read {
        Ok(profile) => {
            if let Some((made_for, model)) = profile.model.as_deref().zip(model)
                && made_for != model
            {
                let message = format!(
                    "this profile was made for the model {}; make one for {}",
                    quoted(made_for),
                    quoted(model)
                );
                check.fault(path, message);
            }
            Some(profile)
        }
        Err(why) => {
            check.fault(path, format!("cannot use the profile {}: {why}", quoted(file)));
            None
        }
    }
}

/// What is known of a feature before it becomes one.
#[derive(Default)]
struct Candidate {
    kind: Option<FeatureType>,
    /// Categories in the order in which they get codes.
    dictionary: Vec<String>,
}

/// The model's features, in the order of the profile or of the list.
pub fn features(
    check: &mut Check<'_>,
    path: &str,
    model: &ModelConfig,
    fields: Option<&PredictionFields>,
    references: &References,
) -> Vec<FeatureSpec> {
    let at = format!("{path}.predictions.fields.features");
    let wishes = wishes(&key_path(path, "slices"), model.slices.as_ref());
    let mut order: Vec<String> = Vec::new();
    let mut candidates: BTreeMap<String, Candidate> = BTreeMap::new();
    let listed = match fields.and_then(|fields| fields.features.as_ref()) {
        None => return Vec::new(),
        Some(FeatureFields::Object(_)) => false,
        Some(FeatureFields::List(list)) => {
            for feature in list {
                if !candidates.contains_key(&feature.name) {
                    order.push(feature.name.clone());
                    let candidate = Candidate { kind: feature.kind, ..Candidate::default() };
                    candidates.insert(feature.name.clone(), candidate);
                }
            }
            true
        }
    };
    for (profile_path, profile) in references.all() {
        for feature in &profile.features {
            if listed && !candidates.contains_key(&feature.name) {
                continue;
            }
            if !candidates.contains_key(&feature.name) {
                order.push(feature.name.clone());
            }
            let candidate = candidates.entry(feature.name.clone()).or_default();
            add_reference(check, &profile_path, candidate, feature);
        }
    }
    for wish in &wishes {
        let explicit = wish.edges.is_some() || wish.values.is_some();
        if !listed && explicit && !candidates.contains_key(wish.name) {
            order.push(wish.name.to_owned());
            candidates.insert(wish.name.to_owned(), Candidate::default());
        }
        if let Some(candidate) = candidates.get_mut(wish.name) {
            add_wish(candidate, wish);
        }
    }
    check.at_most(&at, order.len(), FEATURES_MAX, "features");
    let mut features = Vec::new();
    for (index, name) in order.iter().enumerate() {
        let here = if listed { item_path(&at, index) } else { at.clone() };
        if let Some(feature) = feature(check, &here, name, candidates.remove(name)) {
            features.push(feature);
        }
    }
    features
}

fn add_reference(
    check: &mut Check<'_>,
    path: &str,
    candidate: &mut Candidate,
    feature: &FeatureReference,
) {
    let kind = match &feature.distribution {
        Distribution::Numeric(_) => FeatureType::Numeric,
        Distribution::Categorical(_) => FeatureType::Categorical,
    };
    if *candidate.kind.get_or_insert(kind) != kind {
        let message = format!(
            "the feature {} is {} in this profile and not elsewhere; make the profile with \
             --categorical or --numeric, or correct the feature's `type`",
            quoted(&feature.name),
            format!("{kind:?}").to_lowercase()
        );
        check.fault(path, message);
        return;
    }
    if let Distribution::Categorical(categories) = &feature.distribution {
        extend(&mut candidate.dictionary, categories.categories.iter().map(|c| &c.value));
    }
}

fn add_wish(candidate: &mut Candidate, wish: &Wish<'_>) {
    if wish.edges.is_some() {
        candidate.kind.get_or_insert(FeatureType::Numeric);
    }
    if let Some(values) = wish.values {
        candidate.kind.get_or_insert(FeatureType::Categorical);
        extend(&mut candidate.dictionary, values.iter().map(|(_, Text(value))| value));
    }
}

fn extend<'v>(dictionary: &mut Vec<String>, values: impl Iterator<Item = &'v String>) {
    let known: BTreeSet<String> = dictionary.iter().cloned().collect();
    let mut new = BTreeSet::new();
    for value in values {
        if !known.contains(value) && new.insert(value) {
            dictionary.push(value.clone());
        }
    }
}

fn feature(
    check: &mut Check<'_>,
    path: &str,
    name: &str,
    candidate: Option<Candidate>,
) -> Option<FeatureSpec> {
    const NAME_BYTES_MAX: usize = 256;
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        let message = format!(
            "{} is not a feature's name: 1 to {NAME_BYTES_MAX} bytes without control characters",
            quoted(name)
        );
        check.fault(path, message);
        return None;
    }
    let candidate = candidate?;
    let kind = match candidate.kind {
        Some(FeatureType::Numeric) => FeatureKind::Numeric,
        Some(FeatureType::Categorical) => {
            FeatureKind::Categorical { dictionary: candidate.dictionary.into() }
        }
        None => {
            let message = format!(
                "the type of {} is not known: no profile has it; add `type: numeric` or `type: \
                 categorical`",
                quoted(name)
            );
            check.fault(path, message);
            return None;
        }
    };
    Some(FeatureSpec { name: name.into(), kind })
}

/// Position of the feature with this name.
///
/// # Errors
/// A message that suggests what may have been meant.
pub fn find(features: &[FeatureSpec], name: &str) -> Result<usize, String> {
    features.iter().position(|feature| &*feature.name == name).ok_or_else(|| {
        let shown = quoted(name);
        if features.is_empty() {
            return format!(
                "there is no feature {shown}: the model has none; add \
                 `predictions.fields.features` and a profile, or give this feature `values` or \
                 `edges`"
            );
        }
        let near = suggestion(name, features.iter().map(|feature| &*feature.name));
        format!("there is no feature {shown}{near}")
    })
}

/// Texts of a list of them.
pub fn texts(list: &List<Text>) -> impl Iterator<Item = (usize, &str)> {
    list.iter().map(|(index, Text(text))| (index, text.as_str()))
}
