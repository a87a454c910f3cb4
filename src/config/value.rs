//! Values as they are written: durations, sizes, shares, short and long forms.

use super::fault::quoted;
use crate::engine::time::Span;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

/// A stretch of time: `250ms`, `30s`, `5m`, `1h30m`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DurationText(pub Span);

/// A number of bytes: `512MiB`, `10MB`, `4096`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SizeText(pub u64);

/// A part of a whole, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(pub f64);

/// A finite number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(pub f64);

impl FromStr for DurationText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A huge text must not come back in the message.
        if text.len() > 64 {
            return Err(format!("{} is too long for a duration", quoted(text)));
        }
        text.parse().map(Self)
    }
}

impl FromStr for SizeText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            let shown = quoted(text);
            format!("{shown} is not a size; write for example 512MiB, 1GiB, 10MB or 4096")
        };
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let count: u64 = text[..digits].parse().map_err(|_| wrong())?;
        let unit: u64 = match text[digits..].trim_start() {
            "" | "B" => 1,
            "kB" | "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "TB" => 1_000_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            _ => return Err(wrong()),
        };
        count.checked_mul(unit).map(Self).ok_or_else(wrong)
    }
}

impl FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number: Option<f64> = text.parse().ok();
        let finite = number.filter(|number| number.is_finite());
        finite.map(Self).ok_or_else(|| format!("{} is not a number", quoted(text)))
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Number(number) = text.parse()?;
        if (0.0..=1.0).contains(&number) {
            Ok(Self(number))
        } else {
            Err(format!("{} is not a share from 0 to 1", quoted(text)))
        }
    }
}

/// Deserializes by [`FromStr`]: a value that is written as one scalar.
struct ScalarVisitor<T>(PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for ScalarVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a single value")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! scalar {
    ($name:ident, $schema:expr) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(ScalarVisitor(PhantomData))
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

scalar!(
    DurationText,
    json_schema!({
        "type": "string",
        "pattern": r"^\s*([0-9]+(us|ms|s|m|h|d|w))+\s*$|\$\{",
        "examples": ["30s", "1h30m", "7d"],
    })
);
scalar!(
    SizeText,
    json_schema!({
        "type": ["string", "integer"],
        "pattern": r"^[0-9]+ *([kKMGT]B|[KMGT]iB|B)?$|\$\{",
        "minimum": 0,
        "examples": ["512MiB", "1GiB"],
    })
);
scalar!(
    Share,
    json_schema!({ "type": ["number", "string"], "minimum": 0, "maximum": 1, "pattern": r"\$\{" })
);
scalar!(Number, json_schema!({ "type": ["number", "string"], "pattern": r"\$\{" }));

/// Text in a field that takes any scalar as it is written: `1`, `1.10`, `true`, `"yes"`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(pub String);

impl FromStr for Text {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
}

scalar!(Text, json_schema!({ "type": ["string", "number", "boolean"] }));

/// Written short as one scalar or a list, or long as a mapping.
#[derive(Clone, Debug, PartialEq)]
pub enum Form<S, L> {
    Short(S),
    Long(L),
}

impl<'de, S, L> Deserialize<'de> for Form<S, L>
where
    S: FromStr<Err: fmt::Display>,
    L: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FormVisitor<S, L>(PhantomData<(S, L)>);

        impl<'de, S, L> Visitor<'de> for FormVisitor<S, L>
        where
            S: FromStr<Err: fmt::Display>,
            L: Deserialize<'de>,
        {
            type Value = Form<S, L>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a single value or a mapping")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                text.parse().map(Form::Short).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                L::deserialize(MapAccessDeserializer::new(map)).map(Form::Long)
            }
        }

        deserializer.deserialize_any(FormVisitor(PhantomData))
    }
}

impl<S: JsonSchema, L: JsonSchema> JsonSchema for Form<S, L> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}Or{}", S::schema_name(), L::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (short, long) = (generator.subschema_for::<S>(), generator.subschema_for::<L>());
        json_schema!({ "anyOf": [short, long] })
    }
}

/// A list; one item alone may be written without brackets. Items that cannot be read are `None`, so
/// that the others keep their position.
#[derive(Clone, Debug, PartialEq)]
pub struct List<T>(Vec<Option<T>>);

impl<T> List<T> {
    /// Items with their position as written.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.0.iter().enumerate().filter_map(|(index, item)| Some((index, item.as_ref()?)))
    }

    pub fn get(&self, index: usize) -> Option<&T> {
        self.0.get(index)?.as_ref()
    }

    /// How many are written, readable or not.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self)
    }
}

impl<T: JsonSchema> JsonSchema for List<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("ListOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let items = generator.subschema_for::<T>();
        json_schema!({ "type": "array", "items": items })
    }
}

/// Either one thing written as a scalar, a list of names, or a mapping: see the two users.
#[derive(Clone, Debug, PartialEq)]
pub enum ScalarOrList<T> {
    Scalar(Text),
    List(List<T>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ScalarOrList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EitherVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for EitherVisitor<T> {
            type Value = ScalarOrList<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a single value or a list")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(ScalarOrList::Scalar(Text(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
                let items = de::value::SeqAccessDeserializer::new(items);
                Vec::deserialize(items).map(|items| ScalarOrList::List(List(items)))
            }
        }

        deserializer.deserialize_any(EitherVisitor(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for ScalarOrList<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("TextOrListOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let list = generator.subschema_for::<List<T>>();
        json_schema!({ "anyOf": [{ "type": "string" }, list] })
    }
}
