//! Classes and their probabilities.

use super::field::{Field, Refuse, Row, canonical, number_of, quoted};
use super::read::Value;
use super::scan::{Kind, Scanned, Scanner};
use super::selector::Selector;
use super::shape::Shape;
use crate::engine::event::{ClassCode, RefusalReason};
use crate::engine::spec::Task;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// How a value becomes one of a task's classes, by canonical text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Classes {
    /// Anything else than the positive class is negative, unless the negative one has a name.
    Binary {
        positive: String,
        negative: Option<String>,
    },
    Multiclass(HashMap<Box<str>, ClassCode, FixedState>),
}

impl Classes {
    /// `None` for regression.
    pub fn new(task: &Task) -> Option<Self> {
        match task {
            Task::Binary { positive_class, negative_class, .. } => Some(Self::Binary {
                positive: positive_class.clone(),
                negative: negative_class.clone(),
            }),
            Task::Multiclass { classes, .. } => Some(Self::Multiclass(codes(classes))),
            Task::Regression { .. } => None,
        }
    }

    /// # Errors
    /// The field has no canonical text, or is no class of the task.
    #[inline]
    pub fn read(
        &self,
        field: &Field,
        row: &Row<'_>,
        scratch: &mut String,
    ) -> Result<ClassCode, Refuse> {
        let value = field.value(row)?;
        let Some(text) = canonical(value, scratch) else {
            return Err(field.refuse_kind(value.kind));
        };
        match self {
            Self::Binary { positive, .. } if text == positive => Ok(1),
            Self::Binary { negative: Some(negative), .. } if text == negative => Ok(0),
            Self::Binary { negative: Some(_), .. } => Err(unknown(field, text)),
            Self::Binary { positive, negative: None } => {
                // `true` is never meant as the opposite of `1`; nor do `true` and `false` leave
                // one out.
                let boolean = matches!(value.kind, Kind::True | Kind::False);
                if boolean && positive != "true" && positive != "false" {
                    return Err(unknown(field, text));
                }
                Ok(0)
            }
            Self::Multiclass(codes) => codes.get(text).copied().ok_or_else(|| unknown(field, text)),
        }
    }
}

fn codes(classes: &[String]) -> HashMap<Box<str>, ClassCode, FixedState> {
    classes.iter().enumerate().map(|(i, name)| (name.as_str().into(), i as ClassCode)).collect()
}

#[cold]
fn unknown(field: &Field, text: &str) -> Refuse {
    field.refuse(
        RefusalReason::UnknownClass,
        &format!("is no class of the model: `{}`", quoted(text)),
    )
}

/// An object of class -> probability, or an array in the order of the classes.
pub(super) struct Probabilities {
    field: Field,
    codes: HashMap<Box<str>, ClassCode, FixedState>,
    /// What the row says of each class.
    found: Vec<(Kind, f64)>,
}

impl Probabilities {
    pub fn new(selector: &Selector, classes: &[String], shape: &mut Shape) -> Self {
        Self {
            field: Field::new("probabilities", selector, shape),
            codes: codes(classes),
            found: vec![(Kind::Missing, f64::NAN); classes.len()],
        }
    }

    /// One probability a class, NaN where it is missing or null.
    ///
    /// # Errors
    /// Neither object nor array; an array of another length than the classes; an unknown class; a
    /// probability that is no number in [0, 1]; none at all.
    pub fn read(
        &mut self,
        row: &Row<'_>,
        scratch: &mut String,
    ) -> Result<impl Iterator<Item = f64> + '_, Refuse> {
        let value = self.field.value(row)?;
        self.found.fill((Kind::Missing, f64::NAN));
        match value.kind {
            Kind::Array => self.array(value.raw)?,
            Kind::Object => self.object(value.raw, scratch)?,
            other => return Err(self.field.refuse_scalar(other)),
        }
        let mut given = false;
        for &(kind, number) in &self.found {
            match kind {
                Kind::Missing | Kind::Null => {}
                Kind::Number | Kind::NotFinite if (0.0..=1.0).contains(&number) => given = true,
                Kind::Number | Kind::NotFinite => {
                    let what = "has a probability outside [0, 1]";
                    return Err(self.field.refuse(RefusalReason::OutOfRange, what));
                }
                _ => {
                    let what = "has a probability that is not a number";
                    return Err(self.field.refuse(RefusalReason::WrongType, what));
                }
            }
        }
        if !given {
            return Err(self.field.refuse(RefusalReason::MissingField, "has no probability"));
        }
        Ok(self.found.iter().map(|&(_, number)| number))
    }

    fn array(&mut self, raw: &str) -> Result<(), Refuse> {
        let mut count = 0;
        let found = &mut self.found;
        let walked = each_element(raw, |value| {
            if let Some(cell) = found.get_mut(count) {
                *cell = (value.kind, number_of(value, false).unwrap_or(f64::NAN));
            }
            count += 1;
        });
        if walked.is_err() || count != self.found.len() {
            let what = format!("has {count} values for {} classes", self.found.len());
            return Err(self.field.refuse(RefusalReason::WrongType, &what));
        }
        Ok(())
    }

    fn object(&mut self, raw: &str, scratch: &mut String) -> Result<(), Refuse> {
        let mut refuse = None;
        let walked = each_member(raw, |name, value| {
            let name = canonical(name, scratch).unwrap_or("");
            match self.codes.get(name) {
                Some(&code) => {
                    let number = number_of(value, false).unwrap_or(f64::NAN);
                    self.found[code as usize] = (value.kind, number);
                }
                None => refuse = Some(unknown(&self.field, name)),
            }
        });
        debug_assert!(walked.is_ok(), "the payload was checked");
        refuse.map_or(Ok(()), Err)
    }
}

/// The elements of an array in a text that was checked before.
fn each_element(raw: &str, mut visit: impl FnMut(Value<'_>)) -> Scanned<()> {
    let mut scan = Scanner::new(raw);
    scan.at = 1;
    scan.skip_space();
    while scan.peek() != b']' {
        visit(value_at(raw, &mut scan)?);
        next(&mut scan, b']')?;
    }
    Ok(())
}

/// The members of an object in a text that was checked before.
fn each_member(raw: &str, mut visit: impl FnMut(Value<'_>, Value<'_>)) -> Scanned<()> {
    let mut scan = Scanner::new(raw);
    scan.at = 1;
    scan.skip_space();
    while scan.peek() != b'}' {
        let name = value_at(raw, &mut scan)?;
        scan.colon()?;
        visit(name, value_at(raw, &mut scan)?);
        next(&mut scan, b'}')?;
    }
    Ok(())
}

fn value_at<'a>(raw: &'a str, scan: &mut Scanner<'_>) -> Scanned<Value<'a>> {
    let start = scan.at;
    let (kind, number) = scan.wanted(0)?;
    let raw = raw.get(start..scan.at).unwrap_or("");
    let unquoted = raw.len().checked_sub(1).and_then(|end| raw.get(1..end));
    let raw = match kind {
        Kind::Text | Kind::Escaped => unquoted.unwrap_or(""),
        _ => raw,
    };
    Ok(Value { kind, raw, number })
}

/// Behind an element: to the next one, or to the closing bracket.
fn next(scan: &mut Scanner<'_>, closing: u8) -> Scanned<()> {
    scan.skip_space();
    match scan.peek() {
        b',' => scan.at += 1,
        byte if byte == closing => {}
        _ => return scan.fault("expected `,`"),
    }
    scan.skip_space();
    Ok(())
}
