//! The people whose incomes the demo's model predicts: real census rows, and what a change makes of
//! them.

use super::DemoError;
use flate2::read::GzDecoder;
use serde_json::{Map, Value};
use std::io::Read;

/// See `data/README.md` for origin and licence.
const ROWS: &[u8] = include_bytes!("data/rows.csv.gz");
/// Profiles by file name.
pub const PROFILES: [(&str, &[u8]); 2] = [
    ("census-v7.json", include_bytes!("data/census-v7.json.gz")),
    ("census-v8.json", include_bytes!("data/census-v8.json.gz")),
];
/// Columns that hold what a model said.
const SCORES: [&str; 2] = [super::story::BEFORE, super::story::AFTER];
const DRIFTED: &str = "drifted:";
/// More than any of the files here needs.
const BYTES_MAX: u64 = 16 << 20;

/// One person in one of the two worlds.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// A JSON object.
    pub features: String,
    /// Income over 50,000 dollars.
    pub over: bool,
    /// By version.
    scores: [f64; 2],
}

/// One person before and after incomes have risen.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    pub before: State,
    pub after: State,
}

impl State {
    /// What this version says: the probability of an income over 50,000 dollars.
    pub fn score(&self, version: &str) -> f64 {
        self.scores[usize::from(version == SCORES[1])]
    }
}

/// Unpacks one of the files here.
pub fn unpack(bytes: &[u8]) -> Result<Vec<u8>, DemoError> {
    let mut out = Vec::new();
    GzDecoder::new(bytes)
        .take(BYTES_MAX)
        .read_to_end(&mut out)
        .map_err(|error| DemoError::Data(error.to_string()))?;
    Ok(out)
}

/// Everybody.
pub fn people() -> Result<Vec<Person>, DemoError> {
    let bytes = unpack(ROWS)?;
    let text = String::from_utf8(bytes).map_err(|error| DemoError::Data(error.to_string()))?;
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    lines
        .enumerate()
        .map(|(at, line)| {
            // No value of this file holds a comma or a quote.
            let values: Vec<&str> = line.split(',').collect();
            person(&names, &values)
                .ok_or_else(|| DemoError::Data(format!("row {at} of rows.csv.gz: {line}")))
        })
        .collect()
}

fn person(names: &[&str], values: &[&str]) -> Option<Person> {
    if names.len() != values.len() {
        return None;
    }
    let value = |name: &str| {
        let at = names.iter().position(|known| *known == name)?;
        values.get(at).copied()
    };
    let before = state(names, &value)?;
    let after = state(names, &|name| value(&format!("{DRIFTED}{name}")).or_else(|| value(name)))?;
    Some(Person { before, after })
}

fn state<'a>(names: &[&str], value: &dyn Fn(&str) -> Option<&'a str>) -> Option<State> {
    let mut features = Map::new();
    for name in names {
        if name.starts_with(DRIFTED) || *name == "label" || SCORES.contains(name) {
            continue;
        }
        let text = value(name)?;
        let number = text.parse::<i64>().ok().map(Value::from);
        features.insert((*name).to_owned(), number.unwrap_or_else(|| Value::from(text)));
    }
    let score = |version: &str| value(version)?.parse::<f64>().ok().filter(|s| s.is_finite());
    Some(State {
        features: Value::Object(features).to_string(),
        over: value("label")? == "1",
        scores: [score(SCORES[0])?, score(SCORES[1])?],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(people: &[Person], of: impl Fn(&Person) -> bool) -> f64 {
        people.iter().filter(|person| of(person)).count() as f64 / people.len() as f64
    }

    #[test]
    fn each_version_is_right_in_its_own_world() {
        let people = people().unwrap();
        assert_eq!(people.len(), 2_000);
        let right = |state: &State, version| (state.score(version) >= 0.5) == state.over;
        // By scikit-learn, as prepare.py prints it: accuracy of v7 and v8 before and after.
        assert_eq!(share(&people, |p| right(&p.before, "v7")), 0.8510);
        assert_eq!(share(&people, |p| right(&p.before, "v8")), 0.7910);
        assert_eq!(share(&people, |p| right(&p.after, "v7")), 0.7630);
        assert_eq!(share(&people, |p| right(&p.after, "v8")), 0.8850);
    }

    #[test]
    fn only_the_married_change() {
        let married = r#""marital-status":"Married-civ-spouse""#;
        let is_married = |person: &Person| person.before.features.contains(married);
        let people = people().unwrap();
        assert!(people.iter().all(|person| is_married(person) || person.before == person.after));
        // Somebody may work 99 hours already.
        let changed = |person: &Person| is_married(person) && person.before != person.after;
        let married = share(&people, is_married);
        assert!(married > 0.4 && share(&people, changed) > married - 0.01);
    }

    #[test]
    fn features_are_numbers_and_texts() {
        let people = people().unwrap();
        let start = r#"{"age":25,"education-num":13,"#;
        assert!(people.iter().any(|p| p.before.features.starts_with(start)));
        assert!(people[0].before.features.contains(r#""sex":""#));
        assert!(!people[0].before.features.contains("v7"));
    }
}
