//! How a configuration names a place in a record.
//!
//! | written | means |
//! |---|---|
//! | `/a/b` | a JSON Pointer (RFC 6901) from the top of the payload |
//! | `./a/b`, `.` | the same from the row, or the row itself: the payload, without `rows` |
//! | `key` | the record's Kafka key, as text |
//! | `header:NAME` | the last Kafka header of that name, as text |
//! | a list of these | their canonical texts, joined by U+001F |

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A pointer with more parts is refused: it also bounds how deep the decoder follows paths.
pub const POINTER_PARTS_MAX: usize = 32;
/// A joined selector with more parts is refused.
pub const JOINED_PARTS_MAX: usize = 8;

/// A place in a JSON text: RFC 6901, from the top of the payload or (`./a`) from the row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct JsonPointer {
    from_row: bool,
    parts: Vec<String>,
}

/// Where a value is taken from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    Pointer(JsonPointer),
    /// The record's key.
    Key,
    /// The last header of this name.
    Header(String),
    /// Several, whose canonical texts are joined by U+001F. Never nested, never empty.
    Joined(Vec<Selector>),
}

/// How a time is written.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum TimeUnit {
    /// RFC 3339 text with an offset: `2026-01-31T09:30:00.25Z`, `2026-01-31 10:30:00+01:00`.
    #[default]
    Rfc3339,
    /// Seconds since 1970-01-01T00:00:00Z, with or without a fraction.
    S,
    /// Milliseconds since then.
    Ms,
    /// Microseconds since then.
    Us,
    /// Nanoseconds since then.
    Ns,
}

/// Where the event time is and how it is written: `{ path: /time, unit: ms }`, or just `/time` for
/// RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct TimeSelector {
    pub path: Selector,
    pub unit: TimeUnit,
}

impl JsonPointer {
    /// The whole payload.
    pub fn root() -> Self {
        Self::default()
    }

    /// The whole row.
    pub fn row() -> Self {
        Self { from_row: true, parts: Vec::new() }
    }

    /// Starts at the row (`./a`) rather than at the top of the payload (`/a`).
    pub fn is_from_row(&self) -> bool {
        self.from_row
    }

    /// The unescaped parts: member names or array positions.
    pub fn parts(&self) -> &[String] {
        &self.parts
    }

    /// The member `name` of the place that this points to.
    pub fn child(&self, name: &str) -> Self {
        let mut parts = self.parts.clone();
        parts.push(name.to_owned());
        Self { from_row: self.from_row, parts }
    }

    /// Whether `self` is `other` or a place inside it.
    pub fn starts_with(&self, other: &Self) -> bool {
        self.from_row == other.from_row && self.parts.starts_with(&other.parts)
    }
}

impl FromStr for JsonPointer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from_row, rest) = match text.strip_prefix('.') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => (true, rest),
            _ => (false, text),
        };
        if !rest.is_empty() && !rest.starts_with('/') {
            return Err(not_a_pointer(text));
        }
        let parts = rest.split('/').skip(1).map(unescape).collect::<Option<Vec<_>>>();
        let parts = parts.ok_or_else(|| {
            format!("`{text}`: in a JSON Pointer `~` must be written `~0` and `/` in a name `~1`")
        })?;
        if parts.len() > POINTER_PARTS_MAX {
            return Err(format!("`{text}` has more than {POINTER_PARTS_MAX} parts"));
        }
        Ok(Self { from_row, parts })
    }
}

/// What was probably meant by a text that is no pointer.
fn not_a_pointer(text: &str) -> String {
    let path = text.trim_start_matches('#').trim_start_matches('$').trim_start_matches('.');
    let path = path.trim_start_matches('/');
    let guess = if path.contains('/') { path.to_owned() } else { path.replace('.', "/") };
    format!("`{text}` is not a JSON Pointer, which starts with `/`; did you mean `/{guess}`?")
}

fn unescape(part: &str) -> Option<String> {
    let mut out = String::with_capacity(part.len());
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '~' => match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            other => other,
        });
    }
    Some(out)
}

impl fmt::Display for JsonPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from_row {
            f.write_str(".")?;
        }
        for part in &self.parts {
            write!(f, "/{}", part.replace('~', "~0").replace('/', "~1"))?;
        }
        Ok(())
    }
}

impl Selector {
    /// Whether some part of it lies in the row (`./a`).
    pub fn is_from_row(&self) -> bool {
        self.singles().iter().any(|part| match part {
            Self::Pointer(pointer) => pointer.is_from_row(),
            _ => false,
        })
    }

    /// Its parts if it is joined, else itself.
    pub fn singles(&self) -> &[Selector] {
        match self {
            Self::Joined(parts) => parts,
            single => std::slice::from_ref(single),
        }
    }
}

impl FromStr for Selector {
    type Err = String;

    /// One selector; a joined one is written as a list.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "key" {
            return Ok(Self::Key);
        }
        if let Some(name) = text.strip_prefix("header:") {
            if name.is_empty() {
                return Err("`header:` needs the name of a Kafka header behind it".to_owned());
            }
            return Ok(Self::Header(name.to_owned()));
        }
        if text.is_empty() {
            return Err("an empty selector; write a JSON Pointer such as `/id`, `key` or \
                        `header:NAME`"
                .to_owned());
        }
        text.parse().map(Self::Pointer).map_err(|wrong: String| {
            if text.starts_with(['/', '.', '$', '#']) {
                return wrong;
            }
            format!("{wrong} A selector is a JSON Pointer, `key` or `header:NAME`.")
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pointer(pointer) if pointer.parts.is_empty() && !pointer.from_row => {
                f.write_str("\"\"")
            }
            Self::Pointer(pointer) => pointer.fmt(f),
            Self::Key => f.write_str("key"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Joined(parts) => {
                for (i, part) in parts.iter().enumerate() {
                    write!(f, "{}{part}", if i == 0 { "[" } else { ", " })?;
                }
                f.write_str("]")
            }
        }
    }
}

impl fmt::Display for TimeUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rfc3339 => "rfc3339",
            Self::S => "s",
            Self::Ms => "ms",
            Self::Us => "us",
            Self::Ns => "ns",
        })
    }
}

impl FromStr for TimeUnit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Rfc3339, Self::S, Self::Ms, Self::Us, Self::Ns]
            .into_iter()
            .find(|unit| unit.to_string() == text)
            .ok_or_else(|| {
                format!("`{text}` is not a unit of time; write rfc3339, s, ms, us or ns")
            })
    }
}

impl Serialize for JsonPointer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for JsonPointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'_, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for JsonPointer {
    fn schema_name() -> Cow<'static, str> {
        "JsonPointer".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^\\.?(/([^/~]|~[01])*)*$",
            "description": "A JSON Pointer (RFC 6901) from the top of the payload, `/a/b`, \
                            or from the row, `./a/b`.",
        })
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Joined(parts) => parts.serialize(serializer),
            Self::Pointer(pointer) => pointer.serialize(serializer),
            single => serializer.collect_str(single),
        }
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SelectorVisitor)
    }
}

struct SelectorVisitor;

impl<'de> Visitor<'de> for SelectorVisitor {
    type Value = Selector;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON Pointer such as `/id`, `key`, `header:NAME`, or a list of these")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Selector, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Selector, A::Error> {
        let mut parts = Vec::new();
        while let Some(text) = sequence.next_element::<String>()? {
            if parts.len() == JOINED_PARTS_MAX {
                return Err(de::Error::custom(format!(
                    "more than {JOINED_PARTS_MAX} joined selectors"
                )));
            }
            parts.push(text.parse().map_err(de::Error::custom)?);
        }
        match parts.len() {
            0 => Err(de::Error::custom("an empty list of selectors")),
            1 => Ok(parts.remove(0)),
            _ => Ok(Selector::Joined(parts)),
        }
    }
}

impl JsonSchema for Selector {
    fn schema_name() -> Cow<'static, str> {
        "Selector".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let single = "^(key|header:.+|\\.?(/([^/~]|~[01])*)*)$";
        json_schema!({
            "description": "A JSON Pointer (RFC 6901), `key`, `header:NAME`, or a list of these.",
            "anyOf": [
                { "type": "string", "minLength": 1, "pattern": single },
                {
                    "type": "array",
                    "items": { "type": "string", "minLength": 1, "pattern": single },
                    "minItems": 1,
                    "maxItems": JOINED_PARTS_MAX,
                },
            ],
        })
    }
}

/// The long form of a `TimeSelector`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TimeSelectorFields {
    /// Where the time is.
    path: Selector,
    /// How it is written.
    #[serde(default)]
    unit: TimeUnit,
}

impl<'de> Deserialize<'de> for TimeSelector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimeSelectorVisitor)
    }
}

struct TimeSelectorVisitor;

impl<'de> Visitor<'de> for TimeSelectorVisitor {
    type Value = TimeSelector;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`{ path: SELECTOR, unit: rfc3339 | s | ms | us | ns }`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<TimeSelector, E> {
        let path = text.parse().map_err(E::custom)?;
        Ok(TimeSelector { path, unit: TimeUnit::Rfc3339 })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TimeSelector, A::Error> {
        let fields = TimeSelectorFields::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok(TimeSelector { path: fields.path, unit: fields.unit })
    }
}

impl JsonSchema for TimeSelector {
    fn schema_name() -> Cow<'static, str> {
        "TimeSelector".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let text = generator.subschema_for::<Selector>();
        let fields = TimeSelectorFields::json_schema(generator);
        json_schema!({ "anyOf": [text, fields] })
    }
}
