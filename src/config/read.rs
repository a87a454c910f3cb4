//! From the tree to structs, past every fault.
//!
//! A serde deserializer stops at its first error. This one says where it was, so that the place can
//! be cut off and reading tried again: the user sees every unknown key and every value of a wrong
//! type at once. Structs that are read this way have only optional fields.

use super::fault::{FAULTS_MAX, Fault, Mark, quoted, suggestion};
use super::tree::{Entry, Kind, Node, Scalar, item_path, key_path};
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};
use std::collections::BTreeSet;
use std::fmt;

/// Reads what can be read. Places that cannot are left out and added to `faults`; `None` if that is
/// the whole, or if there are too many.
pub fn read<T: DeserializeOwned>(root: &Node, faults: &mut Vec<Fault>) -> Option<T> {
    let mut cut: BTreeSet<String> =
        faults.iter().map(|fault| fault.path.clone()).filter(|path| !path.is_empty()).collect();
    loop {
        let error = match T::deserialize(Reader { node: root, path: String::new(), cut: &cut }) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let (path, mark) = error.place.unwrap_or((String::new(), root.mark));
        // What is missing because it was cut off is not news.
        let known = error.missing.is_some_and(|name| cut.contains(&key_path(&path, name)));
        let stuck = path.is_empty() || !cut.insert(path.clone());
        if !known || stuck {
            faults.push(Fault { mark: Some(mark), path, message: error.message });
        }
        if stuck || faults.len() > FAULTS_MAX {
            return None;
        }
    }
}

/// What is wrong, and where as soon as a level that knows it has been passed.
#[derive(Debug)]
struct ReadError {
    message: String,
    place: Option<(String, Mark)>,
    /// The field that is missing, if that is what is wrong.
    missing: Option<&'static str>,
}

impl ReadError {
    fn at(mut self, path: &str, mark: Mark) -> Self {
        self.place.get_or_insert_with(|| (path.to_owned(), mark));
        self
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<M: fmt::Display>(message: M) -> Self {
        Self { message: message.to_string(), place: None, missing: None }
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        // Never the value: it may be a secret.
        let found = match found {
            de::Unexpected::Map => "a mapping",
            de::Unexpected::Seq => "a list",
            de::Unexpected::Unit | de::Unexpected::Option => "empty",
            _ => "a single value",
        };
        Self::custom(format_args!("this is {found}, but must be {expected}"))
    }

    fn invalid_value(_found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("this value is out of range, it must be {expected}"))
    }

    fn invalid_length(length: usize, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("this has {length} items, but must be {expected}"))
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Self::custom(format_args!("{}", unknown("option", name, known)))
    }

    fn unknown_variant(name: &str, known: &'static [&'static str]) -> Self {
        Self::custom(format_args!("{}", unknown("value", name, known)))
    }

    fn missing_field(name: &'static str) -> Self {
        let message = format!("`{name}` is missing; add it");
        Self { message, place: None, missing: Some(name) }
    }
}

/// An unknown name with the nearest known one, or else all known ones.
fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let near = suggestion(name, known.iter().copied());
    let shown = quoted(name);
    match (near.is_empty(), known.is_empty()) {
        (false, _) => format!("unknown {what} {shown}{near}"),
        (true, true) => format!("unknown {what} {shown}"),
        (true, false) => format!("unknown {what} {shown}; known: {}", known.join(", ")),
    }
}

struct Reader<'a> {
    node: &'a Node,
    path: String,
    cut: &'a BTreeSet<String>,
}

impl<'a> Reader<'a> {
    fn is_absent(&self) -> bool {
        matches!(self.node.kind, Kind::Null) || self.cut.contains(&self.path)
    }

    fn wrong(&self, expected: &str) -> ReadError {
        let found = self.node.kind.describe();
        let message = format!("this is {found}, but must be {expected}");
        ReadError { message, place: Some((self.path.clone(), self.node.mark)), missing: None }
    }

    fn scalar(&self, expected: &str) -> Result<&'a Scalar, ReadError> {
        match &self.node.kind {
            Kind::Scalar(scalar) => Ok(scalar),
            _ => Err(self.wrong(expected)),
        }
    }

    /// Places the error here. Where a variable was put in, its value is taken out of the message.
    fn place<T>(&self, result: Result<T, ReadError>) -> Result<T, ReadError> {
        result.map_err(|mut error| {
            error.message = self.node.hide_value(error.message);
            error.at(&self.path, self.node.mark)
        })
    }

    fn number<'de, V: Visitor<'de>>(
        self,
        visit: impl FnOnce(&str) -> Option<Result<V::Value, ReadError>>,
        expected: &str,
    ) -> Result<V::Value, ReadError> {
        let text = &self.scalar(expected)?.text;
        let result = visit(text).unwrap_or_else(|| {
            Err(de::Error::custom(format_args!("{} is not {expected}", quoted(text))))
        });
        self.place(result)
    }
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.is_absent() {
            let result = visitor.visit_unit();
            return self.place(result);
        }
        let result = match &self.node.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Scalar(scalar) => visitor.visit_str(&scalar.text),
            Kind::List(items) => visitor.visit_seq(Items {
                items: items.iter().enumerate(),
                path: &self.path,
                cut: self.cut,
            }),
            Kind::Map(entries) => visitor.visit_map(Entries {
                entries: entries.iter(),
                value: None,
                path: &self.path,
                cut: self.cut,
            }),
        };
        self.place(result)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.is_absent() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.number::<V>(
            |text| match text {
                "true" | "True" | "TRUE" => Some(visitor.visit_bool(true)),
                "false" | "False" | "FALSE" => Some(visitor.visit_bool(false)),
                _ => None,
            },
            "true or false",
        )
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.number::<V>(
            |text| text.parse().ok().map(|number| visitor.visit_u64(number)),
            "a whole number of 0 or more",
        )
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.number::<V>(
            |text| text.parse().ok().map(|number| visitor.visit_i64(number)),
            "a whole number",
        )
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.number::<V>(
            |text| {
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite())?;
                Some(visitor.visit_f64(number))
            },
            "a number",
        )
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.is_absent() {
            return Err(self.wrong("a text"));
        }
        let result = visitor.visit_str(&self.scalar("a text")?.text);
        self.place(result)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.kind {
            Kind::Map(_) => self.deserialize_any(visitor),
            _ => Err(self.wrong("a mapping (lines of `name: value`)")),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.kind {
            Kind::List(_) => self.deserialize_any(visitor),
            _ => Err(self.wrong("a list (lines of `- item`)")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let text = &self.scalar(&format!("one of {}", variants.join(", ")))?.text;
        let name: StrDeserializer<'_, ReadError> = text.as_str().into_deserializer();
        let result = visitor.visit_enum(name);
        self.place(result)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
        i128 u128
    }
}

struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    path: &'a str,
    cut: &'a BTreeSet<String>,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ReadError> {
        let Some((index, node)) = self.items.next() else { return Ok(None) };
        let path = item_path(self.path, index);
        seed.deserialize(Reader { node, path, cut: self.cut }).map(Some)
    }
}

struct Entries<'a> {
    entries: std::slice::Iter<'a, Entry>,
    value: Option<(&'a Node, String)>,
    path: &'a str,
    cut: &'a BTreeSet<String>,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ReadError> {
        for entry in self.entries.by_ref() {
            let path = key_path(self.path, &entry.key);
            if self.cut.contains(&path) {
                continue;
            }
            let name: StrDeserializer<'_, ReadError> = entry.key.as_str().into_deserializer();
            let key = seed.deserialize(name).map_err(|error| error.at(&path, entry.mark))?;
            self.value = Some((&entry.value, path));
            return Ok(Some(key));
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let (node, path) = self.value.take().expect("serde asks for a value after its key");
        seed.deserialize(Reader { node, path, cut: self.cut })
    }
}
