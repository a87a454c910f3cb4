//! Guesses from a few sample records of a topic which fields are what, and writes the block of
//! YAML that a user would start from. Every guess says why; a person decides.

use super::record::Record;
use super::selector::{JsonPointer, Selector, TimeSelector};
use super::spec::{FeatureField, FeatureFields, FeatureType, LabelFields, PredictionFields};
use super::survey::{Place, Survey};
use std::fmt::Write;

/// Records beyond this many are not looked at.
pub const SAMPLES_MAX: usize = 1_000;
/// A class has at most this many values.
const CLASSES_MAX: usize = 64;

/// What a topic seems to carry.
#[derive(Clone, Debug, PartialEq)]
pub enum ProposedFields {
    Predictions(Box<PredictionFields>),
    Labels(Box<LabelFields>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// `None` if nothing can be an id; the notes say what was seen.
    pub fields: Option<ProposedFields>,
    /// "binary", "multiclass" or "regression", if the samples tell.
    pub task: Option<&'static str>,
    /// Name of a field -> why this place.
    pub reasons: Vec<(&'static str, String)>,
    /// What a person should know or decide.
    pub notes: Vec<String>,
}

/// Words of a name that speak for a role, and how much. The first that fits counts.
type Words = &'static [(&'static str, i32)];

const ID: Words = &[
    ("prediction id", 12),
    ("inference id", 12),
    ("request id", 10),
    ("event id", 9),
    ("transaction id", 9),
    ("correlation id", 8),
    ("trace id", 8),
    ("ce id", 8),
    ("uuid", 8),
    ("id", 7),
];
const TIME: Words = &[
    ("event time", 12),
    ("timestamp", 10),
    ("time", 9),
    ("ts", 8),
    ("datetime", 8),
    ("at", 7),
    ("date", 6),
    ("ms", 3),
];
const MODEL: Words = &[("model name", 10), ("model id", 9), ("model", 9)];
const VERSION: Words = &[("model version", 12), ("version", 9), ("revision", 6)];
const SCORE: Words = &[
    ("score", 10),
    ("probability", 10),
    ("proba", 10),
    ("prob", 9),
    ("confidence", 7),
    ("p", 4),
    ("prediction", 5),
    ("predicted", 5),
    ("y pred", 5),
    ("output", 3),
];
const CLASS: Words = &[
    ("predicted class", 12),
    ("class", 10),
    ("predicted label", 10),
    ("decision", 8),
    ("prediction", 6),
    ("predicted", 6),
    ("y pred", 6),
    ("label", 4),
];
const LABEL: Words = &[
    ("ground truth", 12),
    ("label", 11),
    ("target", 10),
    ("actual", 10),
    ("truth", 10),
    ("y true", 10),
    ("outcome", 8),
    ("converted", 6),
    ("clicked", 6),
    ("y", 5),
    ("value", 4),
];
const WEIGHT: Words = &[("sampling weight", 12), ("sample weight", 12), ("weight", 6)];
const FEATURES: Words =
    &[("features", 12), ("inputs", 8), ("input", 8), ("instance", 7), ("data", 4), ("x", 3)];

/// Proposes the fields of a topic from samples of it.
pub fn propose(records: &[Record<'_>]) -> Proposal {
    let survey = Survey::of(&records[..records.len().min(SAMPLES_MAX)]);
    let mut guess = Guess { survey: &survey, taken: Vec::new(), reasons: Vec::new() };
    let mut notes = survey_notes(&survey);
    let Some(id) = guess.id() else {
        notes.push("no field looks like an id: choose one that labels carry too".to_owned());
        return Proposal { fields: None, task: None, reasons: guess.reasons, notes };
    };
    let event_time = guess.event_time();
    if event_time.is_none() {
        notes.push("no field looks like a time: Kafka's record timestamp would be used".to_owned());
    }
    let features = guess.feature_object();
    let predicts = features.is_some() || guess.best(SCORE, is_probability).is_some();
    let label = guess.best(LABEL, Place::is_scalar).filter(|_| !predicts);
    let (fields, task) = match label {
        Some(label) => {
            let task = guess.task_of(&label);
            guess.accept("label", &label, "its name, and little else is here".to_owned());
            let rows = survey.rows.clone();
            let fields = LabelFields { rows, id, event_time, label };
            (ProposedFields::Labels(Box::new(fields)), task)
        }
        None => {
            let (fields, task) = guess.prediction(id, event_time, features, &mut notes);
            (ProposedFields::Predictions(Box::new(fields)), task)
        }
    };
    Proposal { fields: Some(fields), task, reasons: guess.reasons, notes }
}

fn survey_notes(survey: &Survey) -> Vec<String> {
    let mut notes = Vec::new();
    if survey.malformed > 0 {
        notes.push(format!("{} of {} samples are not JSON", survey.malformed, survey.records));
    }
    if survey.tombstones > 0 {
        notes.push(format!("{} of {} samples have no payload", survey.tombstones, survey.records));
    }
    if let Some(rows) = &survey.rows {
        let whole =
            if rows.parts().is_empty() { "the payload".to_owned() } else { format!("`{rows}`") };
        notes.push(format!("{whole} is an array of rows: {} in all", survey.count));
    }
    notes
}

fn is_probability(place: &Place) -> bool {
    place.numbers == place.present && place.smallest >= 0.0 && place.largest <= 1.0
}

fn is_number(place: &Place) -> bool {
    place.numbers == place.present
}

fn is_class(place: &Place) -> bool {
    place.is_scalar()
        && place.distinct.len() <= CLASSES_MAX
        && place.integers + place.strings + place.booleans == place.present
}

fn has_few_values(place: &Place) -> bool {
    place.is_scalar() && (place.present < 4 || place.distinct.len() * 2 <= place.present)
}

struct Guess<'a> {
    survey: &'a Survey,
    /// Places that have a role already.
    taken: Vec<Selector>,
    reasons: Vec<(&'static str, String)>,
}

impl Guess<'_> {
    fn accept(&mut self, role: &'static str, selector: &Selector, why: String) {
        self.taken.push(selector.clone());
        self.reasons.push((role, why));
    }

    /// The free place that fits and whose name speaks most for the role; the first of equals.
    fn best(&self, words: Words, fits: impl Fn(&Place) -> bool) -> Option<Selector> {
        let mut best: Option<(i32, Selector)> = None;
        for (selector, place) in self.survey.scalars() {
            let score = name_score(&selector, words);
            let better = best.as_ref().is_none_or(|(other, _)| score > *other);
            if score > 0 && better && fits(place) && !self.taken.contains(&selector) {
                best = Some((score, selector));
            }
        }
        best.map(|(_, selector)| selector)
    }

    fn place(&self, wanted: &Selector) -> Option<&Place> {
        self.survey.scalars().find(|(selector, _)| selector == wanted).map(|(_, place)| place)
    }

    fn id(&mut self) -> Option<Selector> {
        let count = self.survey.count;
        let every = |place: &Place| {
            place.present >= count && place.strings + place.integers == place.present
        };
        // In an array of rows the envelope's own id comes once a row.
        let unique = |place: &Place| every(place) && place.is_unique();
        let by_name = self
            .best(ID, unique)
            .or_else(|| self.survey.rows.as_ref().and_then(|_| self.best(ID, every)));
        let (selector, mut why) = match by_name {
            Some(selector) => (selector, format!("its name; distinct in {count} rows")),
            None if self.survey.key.is_unique() && self.survey.key.present > 1 => {
                (Selector::Key, "distinct, and no field is named like an id".to_owned())
            }
            None => return None,
        };
        if let Selector::Pointer(pointer) = &selector {
            if self.survey.equals_key.get(pointer) == Some(&count) {
                why.push_str("; it is the Kafka key too");
            }
            if self.survey.rows.is_some() && !pointer.is_from_row() {
                why = "its name; rows are told apart by #0, #1, ...".to_owned();
            }
        }
        self.accept("id", &selector, why);
        Some(selector)
    }

    fn event_time(&mut self) -> Option<TimeSelector> {
        let path = self.best(TIME, |place| place.time_unit().is_some())?;
        let unit = self.place(&path)?.time_unit()?;
        self.accept("event_time", &path, format!("every value is a time in {unit}"));
        Some(TimeSelector { path, unit })
    }

    /// The object with the features: by its name, or the one with most members.
    fn feature_object(&self) -> Option<JsonPointer> {
        let mut objects: Vec<(JsonPointer, usize)> = Vec::new();
        for (at, place) in &self.survey.places {
            let Some((_, parents)) = at.parts().split_last() else { continue };
            if parents.is_empty() || !place.is_scalar() {
                continue;
            }
            let start = if at.is_from_row() { JsonPointer::row() } else { JsonPointer::root() };
            let parent = parents.iter().fold(start, |at, part| at.child(part));
            match objects.iter_mut().find(|(known, _)| *known == parent) {
                Some((_, members)) => *members += 1,
                None => objects.push((parent, 1)),
            }
        }
        let score = |(at, members): &(JsonPointer, usize)| {
            let named = name_score(&Selector::Pointer(at.clone()), FEATURES);
            (named > 0 || *members >= 4).then_some((named, *members))
        };
        let best = objects
            .iter()
            .filter(|object| score(object).is_some())
            .max_by_key(|object| score(object));
        best.map(|(at, _)| at.clone())
    }

    fn prediction(
        &mut self,
        id: Selector,
        event_time: Option<TimeSelector>,
        object: Option<JsonPointer>,
        notes: &mut Vec<String>,
    ) -> (PredictionFields, Option<&'static str>) {
        // Features are called anything: other roles are not looked for among them.
        if let Some(object) = &object {
            let inside = self.survey.places.iter().filter(|(at, _)| at.starts_with(object));
            self.taken.extend(inside.map(|(at, _)| Selector::Pointer(at.clone())));
        }
        let mut fields =
            PredictionFields { rows: self.survey.rows.clone(), ..PredictionFields::with_id(id) };
        fields.event_time = event_time;
        fields.version = self.role("version", VERSION, has_few_values, "its name, and few values");
        let model = self.best(MODEL, has_few_values);
        if let Some(model) = model {
            let values = self.place(&model).map_or(0, |place| place.distinct.len());
            self.taken.push(model.clone());
            if values > 1 {
                notes.push(format!("{values} models share this topic: `model` tells them apart"));
                self.reasons.push(("model", format!("its name, and {values} values")));
                fields.model = Some(model);
            }
        }
        fields.score = self.role("score", SCORE, is_probability, "its name, and all in [0, 1]");
        fields.class = self.role("class", CLASS, is_class, "its name, and few values");
        let mut task = fields.class.as_ref().and_then(|class| self.task_of(class));
        if fields.score.is_some() && task == Some("multiclass") {
            notes
                .push("a multiclass model has `probabilities`; its `score` is left out".to_owned());
            fields.score = None;
        } else if fields.score.is_some() {
            task = Some("binary");
        } else if fields.class.is_none() {
            fields.score = self.role("score", SCORE, is_number, "its name, and numbers");
            task = fields.score.as_ref().map(|_| "regression");
        }
        if fields.score.is_none() && fields.class.is_none() {
            notes.push("no field looks like a score or a class".to_owned());
        }
        fields.weight = self.role("weight", WEIGHT, is_number, "its name, and numbers");
        fields.features = match object {
            Some(object) => {
                self.reasons
                    .push(("features", "an object of many scalars, or named so".to_owned()));
                Some(FeatureFields::Object(object))
            }
            None => self.feature_list(),
        };
        (fields, task)
    }

    fn role(
        &mut self,
        role: &'static str,
        words: Words,
        fits: impl Fn(&Place) -> bool,
        why: &str,
    ) -> Option<Selector> {
        let found = self.best(words, fits)?;
        self.accept(role, &found, why.to_owned());
        Some(found)
    }

    /// Everything in the payload that has no role.
    fn feature_list(&mut self) -> Option<FeatureFields> {
        let places = self.survey.places.iter().filter(|(_, place)| place.is_scalar());
        let list: Vec<_> = places
            .map(|(at, place)| (Selector::Pointer(at.clone()), place))
            .filter(|(selector, _)| !self.taken.contains(selector))
            .map(|(path, place)| FeatureField {
                name: last_part(&path).to_owned(),
                kind: Some(match is_number(place) {
                    true => FeatureType::Numeric,
                    false => FeatureType::Categorical,
                }),
                path,
            })
            .collect();
        if list.is_empty() {
            return None;
        }
        self.reasons.push(("features", "whatever else is there".to_owned()));
        Some(FeatureFields::List(list))
    }

    fn task_of(&self, class: &Selector) -> Option<&'static str> {
        let place = self.place(class)?;
        match place.distinct.len() {
            _ if place.integers < place.numbers => Some("regression"),
            0 | 1 => None,
            2 => Some("binary"),
            3..=CLASSES_MAX => Some("multiclass"),
            _ if is_number(place) => Some("regression"),
            _ => None,
        }
    }
}

fn last_part(selector: &Selector) -> &str {
    match selector {
        Selector::Pointer(pointer) => pointer.parts().last().map_or("", String::as_str),
        Selector::Header(name) => name,
        Selector::Key | Selector::Joined(_) => "",
    }
}

/// How much a place's name speaks for a role: words that end it count most, then words in it.
fn name_score(selector: &Selector, words: Words) -> i32 {
    let name = spaced(last_part(selector));
    let fits = |word: &str| name == word || name.ends_with(&format!(" {word}"));
    let inside = |word: &str| word.len() > 3 && format!(" {name} ").contains(&format!(" {word} "));
    let exact = words.iter().filter(|(word, _)| name == *word).map(|(_, score)| score + 2);
    let ending = words.iter().filter(|(word, _)| fits(word)).map(|(_, score)| *score);
    let within = words.iter().filter(|(word, _)| inside(word)).map(|(_, score)| score / 2);
    exact.chain(ending).chain(within).max().unwrap_or(0)
}

/// `predictionId`, `prediction-id`, `PREDICTION_ID` -> `prediction id`.
fn spaced(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let mut was_lower = false;
    for c in name.chars().take(100) {
        if c.is_uppercase() && was_lower {
            out.push(' ');
        }
        was_lower = c.is_lowercase() || c.is_ascii_digit();
        match c.is_alphanumeric() {
            true => out.extend(c.to_lowercase()),
            false => out.push(' '),
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Proposal {
    /// The block of YAML that goes under a model, with the reasons as comments.
    pub fn to_yaml(&self, topic: &str) -> String {
        let mut out = String::new();
        for note in &self.notes {
            writeln!(out, "# {}", one_line(note)).expect("writing to a string cannot fail");
        }
        if let Some(task) = self.task {
            writeln!(out, "# task: {task}, by the look of it")
                .expect("writing to a string cannot fail");
        }
        match &self.fields {
            None => {}
            Some(ProposedFields::Predictions(fields)) => {
                self.block(&mut out, "predictions", topic, fields)
            }
            Some(ProposedFields::Labels(fields)) => self.block(&mut out, "labels", topic, fields),
        }
        out
    }

    fn block(&self, out: &mut String, name: &str, topic: &str, fields: &impl serde::Serialize) {
        let topic = scalar(&serde_json::Value::from(topic));
        out.push_str(&format!("{name}:\n  topic: {topic}\n  format: json\n  fields:\n"));
        let fields = serde_json::to_value(fields).unwrap_or_default();
        for (field, value) in fields.as_object().into_iter().flatten() {
            let mut line = format!("    {field}: {}", flow(value));
            if let Some((_, why)) = self.reasons.iter().find(|(role, _)| role == field) {
                line = format!("{line:<48} # {}", one_line(why));
            }
            out.push_str(&line);
            out.push('\n');
        }
    }
}

/// YAML's flow style, in which JSON is valid; quotes only where they are needed.
fn flow(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Object(members) => {
            let members: Vec<_> =
                members.iter().map(|(name, value)| format!("{name}: {}", flow(value))).collect();
            format!("{{ {} }}", members.join(", "))
        }
        serde_json::Value::Array(list) => {
            format!("[{}]", list.iter().map(flow).collect::<Vec<_>>().join(", "))
        }
        other => scalar(other),
    }
}

fn scalar(value: &serde_json::Value) -> String {
    let plain = |text: &str| {
        let start = text.starts_with(|c: char| c == '/' || c == '.' || c.is_ascii_alphabetic());
        let word = !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_lowercase().as_str());
        let rest = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-~".contains(c));
        start && word && rest && text != "." && !text.starts_with("..")
    };
    match value {
        serde_json::Value::String(text) if plain(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A name of a payload may hold anything; a comment is one line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
