//! One scrape, read.

use std::collections::BTreeMap;

/// The samples of an exposition in Prometheus' text format, in its order.
#[derive(Clone, Debug, PartialEq)]
pub struct Scrape {
    pub text: String,
    samples: Vec<Sample>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Scrape {
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        Self { text: text.to_owned(), samples: lines.map(Sample::parse).collect() }
    }

    /// All of them, in the exposition's order.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The samples of a name that have (at least) these labels.
    pub fn all<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        let fits = |sample: &&Sample| {
            labels
                .iter()
                .all(|(label, value)| sample.labels.get(*label).is_some_and(|own| own == value))
        };
        self.samples.iter().filter(move |sample| sample.name == name).filter(fits)
    }

    /// The one sample of a name with these labels; `None` if it is absent.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut all = self.all(name, labels);
        let first = all.next()?;
        assert!(all.next().is_none(), "{name} {labels:?} is not one sample");
        Some(first.value)
    }

    /// The sum over the samples of a name with these labels; 0 if there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.all(name, labels).map(|sample| sample.value).sum()
    }
}

impl Sample {
    fn parse(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').expect("a value after a space");
        let value = value.parse().expect("a number");
        let (name, mut rest) = match series.split_once('{') {
            Some((name, labels)) => (name, labels),
            None => (series, "}"),
        };
        let mut labels = BTreeMap::new();
        while rest != "}" {
            let (label, after) = rest.split_once("=\"").expect("a label with a value");
            let (value, after) = unquote(after);
            labels.insert(label.to_owned(), value);
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        Self { name: name.to_owned(), labels, value }
    }
}

/// A label's value up to its closing quote, and what follows that.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => match chars.next().expect("an escaped character").1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    panic!("no closing quote: {text}");
}
