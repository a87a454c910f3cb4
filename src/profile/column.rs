//! The first pass over a column: what kind it is, and where its bins could lie.

use super::cell::Cell;
use super::frequent::Frequent;
use super::quantiles::Quantiles;
use crate::engine::reference::CATEGORY_BYTES_MAX;

/// Different numbers that are counted: enough to find each with more than a 256th of the rows.
const NUMBERS_MAX: usize = 2_048;
/// Different texts that are counted, at least; the listed categories are chosen from them.
const TEXTS_MIN: usize = 10_000;

/// What a column is described as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Numeric,
    Categorical,
}

/// What is known of a column after the first pass. At most about 3.5 MB: 2.6 MB for 10,000 texts of
/// 256 bytes, 0.4 MB for the quantiles of ten million numbers, 0.1 MB for the frequent numbers.
#[derive(Clone, Debug)]
pub(super) struct ColumnScan {
    /// The kind that the user asked for.
    pub forced: Option<Kind>,
    pub null: u64,
    /// Finite numbers.
    pub numbers: u64,
    pub non_finite: u64,
    /// Texts that are not numbers, and true or false.
    pub texts: u64,
    pub unsupported: u64,
    pub min: f64,
    pub max: f64,
    /// Running mean and sum of squared deviations (Welford 1962), to centre the second pass on.
    pub mean: f64,
    squares: f64,
    pub quantiles: Quantiles,
    /// Finite numbers by their bits.
    pub frequent_numbers: Frequent<u64>,
    pub frequent_texts: Frequent<String>,
    /// Texts too long to be listed.
    pub overlong: u64,
}

impl ColumnScan {
    pub(super) fn new(forced: Option<Kind>, categories_max: usize) -> Self {
        Self {
            forced,
            null: 0,
            numbers: 0,
            non_finite: 0,
            texts: 0,
            unsupported: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            mean: 0.0,
            squares: 0.0,
            quantiles: Quantiles::default(),
            frequent_numbers: Frequent::new(NUMBERS_MAX),
            frequent_texts: Frequent::new(categories_max.saturating_mul(2).max(TEXTS_MIN)),
            overlong: 0,
        }
    }

    pub(super) fn add(&mut self, cell: Cell) {
        let number = cell.number();
        match cell {
            Cell::Missing => {}
            Cell::Null => self.null += 1,
            Cell::Time(_) | Cell::Unsupported => self.unsupported += 1,
            Cell::Bool(value) => {
                self.texts += 1;
                self.frequent_texts.add(if value { "true" } else { "false" });
            }
            Cell::Text(text) | Cell::Raw(text) => {
                // Untyped numbers may still turn out to be codes among texts; not once it is clear
                // that the column is one of many different numbers.
                let settled = self.texts == 0 && self.frequent_texts.distinct().is_none();
                if self.forced != Some(Kind::Numeric) && !(number.is_some() && settled) {
                    self.text(text);
                }
                self.texts += u64::from(number.is_none());
            }
            Cell::Number(_) => {}
        }
        match number {
            Some(number) if number.is_finite() => self.number(number + 0.0),
            Some(_) => self.non_finite += 1,
            None => {}
        }
    }

    fn text(&mut self, text: &str) {
        if text.len() > CATEGORY_BYTES_MAX {
            self.overlong += 1;
        } else {
            self.frequent_texts.add(text);
        }
    }

    fn number(&mut self, number: f64) {
        self.numbers += 1;
        self.min = self.min.min(number);
        self.max = self.max.max(number);
        let deviation = number - self.mean;
        self.mean += deviation / self.numbers as f64;
        self.squares += deviation * (number - self.mean);
        self.frequent_numbers.add(&number.to_bits());
        if self.forced != Some(Kind::Categorical) {
            self.quantiles.add(number);
        }
    }

    /// The mean, and a power of two near the standard deviation, about. 0 and 1 without numbers.
    pub(super) fn center_and_scale(&self) -> (f64, f64) {
        let std = (self.squares / self.numbers as f64).sqrt();
        let scale = if std.is_normal() { std.log2().round().exp2() } else { 1.0 };
        let center = if self.mean.is_finite() { self.mean } else { 0.0 };
        (center, scale)
    }

    /// Rows with a value that a profile can describe.
    pub(super) fn values(&self) -> u64 {
        self.numbers + self.texts
    }

    /// All untyped values are numbers.
    pub(super) fn only_numbers(&self) -> bool {
        self.texts == 0
    }

    /// Numeric if nine of ten values are numbers, however few different ones there are: a column of
    /// 0 and 1 has the same two bins either way, and a live 0 must not be refused for not being a
    /// text. A column without any value is a categorical one without categories.
    pub(super) fn kind(&self) -> Kind {
        if self.values() == 0 || (self.numbers == 0 && self.forced.is_some()) {
            return Kind::Categorical;
        }
        let mostly_numbers = self.numbers * 10 >= self.values() * 9;
        self.forced.unwrap_or(if mostly_numbers { Kind::Numeric } else { Kind::Categorical })
    }

    /// The categories that may be listed, in ascending order: all there are, or the most frequent
    /// ones.
    pub(super) fn candidates(&self) -> Vec<String> {
        let only_numbers = self.only_numbers();
        let text = |text: &String| Cell::Raw(text).category(only_numbers);
        let number = |bits: &u64| Cell::Number(f64::from_bits(*bits)).category(true);
        let texts = self.frequent_texts.sorted().into_iter().filter_map(|(key, _)| text(key));
        // Numbers of typed files were counted as numbers only.
        let numbers = self.frequent_numbers.sorted().into_iter().filter_map(|(key, _)| number(key));
        let mut candidates: Vec<String> = texts.chain(numbers).collect();
        candidates.sort_unstable();
        candidates.dedup();
        candidates
    }
}
