//! Reads two data files into the columns that both have.
//!
//! Two passes over each: the first finds the columns' kinds, the second keeps their values. Memory:
//! 8 bytes a number and 4 a category, of at most `VALUES_MAX` values.

use super::args::CompareArgs;
use super::feature::{Feature, MISSING, Values};
use crate::profile::ProfileError;
use crate::profile::cell::{Cell, printable};
use crate::profile::source::{Names, Source, Visit};
use std::collections::HashMap;
use std::path::Path;

/// Rows times compared columns of both files together; more are refused: 2 GiB of numbers.
pub const VALUES_MAX: u64 = 1 << 28;
/// Different categories of a column of both files; a column with more is left out.
pub const CATEGORIES_MAX: usize = 100_000;
/// Columns that a message names.
const COLUMNS_SHOWN: usize = 20;

/// Both files, column by column.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    /// In the order of the reference's columns.
    pub features: Vec<Feature>,
    /// Rows of (reference, current).
    pub rows: (u64, u64),
    /// Columns that are not compared, with the reason.
    pub left_out: Vec<(String, String)>,
}

/// One file, and the rows that are wanted of it.
struct Side {
    source: Source,
    option: &'static str,
    filters: Vec<(String, String)>,
    names: Names,
    rows: u64,
    columns: Vec<Scan>,
}

/// A column after the first pass.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    numbers: u64,
    texts: u64,
    unsupported: u64,
    /// Some number has a decimal point or is not whole.
    broken: bool,
}

/// Reads what `args` asks for.
pub fn read(args: &CompareArgs) -> Result<Data, ProfileError> {
    if let Some(name) = args.numeric.iter().find(|name| args.categorical.contains(name)) {
        let what = format!("`{}` is in --categorical too", printable(name, 80));
        return Err(ProfileError::Option { option: "--numeric", what });
    }
    let mut reference = Side::new(&args.reference, "--reference-where", &args.reference_where)?;
    let mut current = Side::new(&args.current, "--current-where", &args.current_where)?;
    reference.scan()?;
    current.scan()?;
    known_columns(args, &reference, &current)?;
    let mut left_out = Vec::new();
    let chosen = choose(args, &reference, &current, &mut left_out);
    let values = (reference.rows + current.rows).saturating_mul(chosen.len() as u64);
    if values > VALUES_MAX || reference.rows.max(current.rows) > u64::from(u32::MAX) {
        let what = format!("{values} values are more than {VALUES_MAX}; name fewer columns");
        return Err(ProfileError::Option { option: "--feature", what });
    }
    let of_reference = reference.columns(&chosen, |column| column.reference)?;
    let of_current = current.columns(&chosen, |column| column.current)?;
    let mut features = Vec::new();
    for ((column, r), c) in chosen.iter().zip(of_reference).zip(of_current) {
        let name = reference.names.get(column.reference).to_owned();
        match merged(r, c, column) {
            Some(values) => features.push(Feature { name, values }),
            None => {
                left_out.push((name, format!("more than {CATEGORIES_MAX} different categories")));
            }
        }
    }
    Ok(Data { features, rows: (reference.rows, current.rows), left_out })
}

impl Side {
    fn new(path: &Path, option: &'static str, wheres: &[String]) -> Result<Self, ProfileError> {
        let parse = |filter: &String| match filter.split_once('=') {
            Some((column, value)) => Ok((column.to_owned(), value.to_owned())),
            None => {
                let what = format!("`{}`: expected COLUMN=VALUE", printable(filter, 80));
                Err(ProfileError::Option { option, what })
            }
        };
        Ok(Self {
            source: Source::new(path)?,
            option,
            filters: wheres.iter().map(parse).collect::<Result<_, _>>()?,
            names: Names::default(),
            rows: 0,
            columns: Vec::new(),
        })
    }

    /// Visits the wanted rows.
    fn visit(&mut self, visit: &mut Visit) -> Result<(), ProfileError> {
        let filters = &self.filters;
        self.source.read(&mut self.names, &mut |names, cells| match filters
            .iter()
            .all(|filter| passes(filter, names, cells))
        {
            true => visit(names, cells),
            false => Ok(()),
        })
    }

    fn scan(&mut self) -> Result<(), ProfileError> {
        let (mut rows, mut columns) = (0, Vec::new());
        self.visit(&mut |_, cells| {
            rows += 1;
            columns.resize(cells.len().max(columns.len()), Scan::default());
            for (column, cell) in columns.iter_mut().zip(cells) {
                column.add(*cell);
            }
            Ok(())
        })?;
        columns.resize(self.names.len(), Scan::default());
        (self.rows, self.columns) = (rows, columns);
        for (column, _) in &self.filters {
            if self.names.position(column).is_none() {
                return Err(unknown(self.option, column, &self.names));
            }
        }
        if rows == 0 {
            let filtered = !self.filters.is_empty();
            let why = if filtered { "lets none through" } else { "the file is empty" };
            let why = format!("{}: {} {why}", self.source.name(), self.option);
            return Err(ProfileError::NoRows(why));
        }
        Ok(())
    }

    /// The second pass: the values of the chosen columns.
    fn columns(
        &mut self,
        chosen: &[Chosen],
        position: fn(&Chosen) -> usize,
    ) -> Result<Vec<Column>, ProfileError> {
        let expected = self.rows;
        let mut columns: Vec<Column> = chosen.iter().map(Column::new).collect();
        let mut rows = 0u64;
        self.visit(&mut |_, cells| {
            rows += 1;
            if rows > expected {
                return Err(ProfileError::Changed);
            }
            for (column, place) in columns.iter_mut().zip(chosen) {
                column.add(cells.get(position(place)).copied().unwrap_or(Cell::Missing), place);
            }
            Ok(())
        })?;
        if rows == expected { Ok(columns) } else { Err(ProfileError::Changed) }
    }
}

fn passes((column, value): &(String, String), names: &Names, cells: &[Cell]) -> bool {
    let cell = names.position(column).and_then(|at| cells.get(at)).copied();
    let Some(cell) = cell else { return false };
    [true, false].iter().any(|&numbers| cell.category(numbers).is_some_and(|text| text == *value))
}

impl Scan {
    fn add(&mut self, cell: Cell) {
        match (cell, cell.number()) {
            (Cell::Missing | Cell::Null, _) => {}
            (Cell::Time(_) | Cell::Unsupported, _) => self.unsupported += 1,
            (_, None) => self.texts += 1,
            // A file without types writes nan for what is missing.
            (_, Some(number)) if number.is_nan() => {}
            (cell, Some(number)) => {
                self.numbers += 1;
                let written_whole = match cell {
                    Cell::Raw(text) => !text.contains(['.', 'e', 'E']),
                    _ => true,
                };
                self.broken |= !(written_whole && number.fract() == 0.0);
            }
        }
    }

    fn values(self) -> u64 {
        self.numbers + self.texts
    }
}

/// A column that is compared: where each file has it, and as what.
#[derive(Clone, Copy, Debug)]
struct Chosen {
    reference: usize,
    current: usize,
    numeric: bool,
    /// See `Values::Numeric`.
    whole: bool,
    /// All values of both files are numbers: as categories 1.0 is 1.
    only_numbers: bool,
}

/// Every name that an option gives must be a column of the data.
fn known_columns(args: &CompareArgs, reference: &Side, current: &Side) -> Result<(), ProfileError> {
    let named = [
        ("--feature", &args.features[..]),
        ("--ignore", &args.ignore[..]),
        ("--categorical", &args.categorical[..]),
        ("--numeric", &args.numeric[..]),
        ("--score", args.score.as_slice()),
        ("--prediction", args.prediction.as_slice()),
        ("--label", args.label.as_slice()),
        ("--weight", args.weight.as_slice()),
    ];
    for (option, columns) in named {
        for column in columns {
            let in_one = reference.names.position(column).is_some();
            let in_other = current.names.position(column).is_some();
            // What is compared must be in both; what is left out, in one.
            let found = if option == "--feature" { in_one && in_other } else { in_one || in_other };
            if !found {
                let lacking = if in_one { current } else { reference };
                return Err(unknown(option, column, &lacking.names));
            }
        }
    }
    Ok(())
}

fn unknown(option: &'static str, column: &str, names: &Names) -> ProfileError {
    let shown = names.iter().take(COLUMNS_SHOWN).map(|name| format!("`{}`", printable(name, 40)));
    let mut columns: Vec<String> = shown.collect();
    if names.len() > COLUMNS_SHOWN {
        columns.push("...".into());
    }
    let column = printable(column, 80);
    ProfileError::UnknownColumn { option, column, columns: columns.join(", ") }
}

fn choose(
    args: &CompareArgs,
    reference: &Side,
    current: &Side,
    left_out: &mut Vec<(String, String)>,
) -> Vec<Chosen> {
    let targets = [&args.score, &args.prediction, &args.label, &args.weight];
    let is_target = |name: &str| targets.iter().any(|target| target.as_deref() == Some(name));
    let filters = reference.filters.iter().chain(&current.filters);
    let filtered: Vec<&String> = filters.map(|(column, _)| column).collect();
    let listed = |list: &[String], name: &str| list.iter().any(|listed| listed == name);
    let mut chosen = Vec::new();
    for (at, name) in reference.names.iter().enumerate() {
        let asked_for = listed(&args.features, name);
        let excluded =
            listed(&args.ignore, name) || is_target(name) || filtered.contains(&&name.to_owned());
        let wanted = args.features.is_empty() && !excluded;
        if !asked_for && !wanted {
            continue;
        }
        let mut leave_out = |why: &str| left_out.push((name.to_owned(), why.to_owned()));
        let Some(other) = current.names.position(name) else {
            leave_out("only in the reference");
            continue;
        };
        let (r, c) = (reference.columns[at], current.columns[other]);
        if r.values() + c.values() == 0 {
            let lists = r.unsupported + c.unsupported > 0;
            leave_out(if lists {
                "lists, dates and the like are not compared"
            } else {
                "no values"
            });
            continue;
        }
        let decides = if r.values() > 0 { r } else { c };
        let mostly_numbers = decides.numbers * 10 >= decides.values() * 9;
        let numeric = match (listed(&args.numeric, name), listed(&args.categorical, name)) {
            (true, _) => true,
            (_, true) => false,
            _ => mostly_numbers,
        };
        let complete = r.numbers == reference.rows && c.numbers == current.rows;
        chosen.push(Chosen {
            reference: at,
            current: other,
            numeric,
            whole: complete && !r.broken && !c.broken,
            only_numbers: r.texts + c.texts == 0,
        });
    }
    for name in current.names.iter() {
        let wanted = args.features.is_empty() && !listed(&args.ignore, name) && !is_target(name);
        if wanted && reference.names.position(name).is_none() {
            left_out.push((name.to_owned(), "only in the current file".to_owned()));
        }
    }
    chosen
}

/// The values of one file.
enum Column {
    Numbers(Vec<f64>),
    Categories { codes: Vec<u32>, dictionary: HashMap<String, u32> },
}

impl Column {
    fn new(chosen: &Chosen) -> Self {
        match chosen.numeric {
            true => Self::Numbers(Vec::new()),
            false => Self::Categories { codes: Vec::new(), dictionary: HashMap::new() },
        }
    }

    fn add(&mut self, cell: Cell, chosen: &Chosen) {
        match self {
            Self::Numbers(numbers) => numbers.push(cell.number().unwrap_or(f64::NAN)),
            Self::Categories { codes, dictionary } => {
                let not_a_number = cell.number().is_some_and(f64::is_nan);
                let text = cell.category(chosen.only_numbers).filter(|_| !not_a_number);
                let code = match text {
                    None => MISSING,
                    Some(text) => {
                        let next = dictionary.len() as u32;
                        // One more than is allowed is enough to refuse the column.
                        match dictionary.len() <= CATEGORIES_MAX {
                            true => *dictionary.entry(text).or_insert(next),
                            false => MISSING,
                        }
                    }
                };
                codes.push(code);
            }
        }
    }
}

/// Both sides of a column with one dictionary; `None` with too many categories.
fn merged(reference: Column, current: Column, chosen: &Chosen) -> Option<Values> {
    match (reference, current) {
        (Column::Numbers(reference), Column::Numbers(current)) => {
            Some(Values::Numeric { reference, current, whole: chosen.whole })
        }
        (
            Column::Categories { codes: mut reference, dictionary: one },
            Column::Categories { codes: mut current, dictionary: other },
        ) => {
            let mut categories: Vec<String> = one.keys().chain(other.keys()).cloned().collect();
            categories.sort_unstable();
            categories.dedup();
            if categories.len() > CATEGORIES_MAX {
                return None;
            }
            if chosen.only_numbers {
                let number = |text: &String| text.parse::<f64>().unwrap_or(f64::NAN);
                categories.sort_by(|a, b| number(a).total_cmp(&number(b)));
            }
            let codes = (0..).zip(&categories).map(|(code, text)| (text.as_str(), code));
            let codes: HashMap<&str, u32> = codes.collect();
            recode(&mut reference, &one, &codes);
            recode(&mut current, &other, &codes);
            Some(Values::Categorical { categories, reference, current })
        }
        // Both were made for the same choice.
        _ => None,
    }
}

fn recode(rows: &mut [u32], dictionary: &HashMap<String, u32>, codes: &HashMap<&str, u32>) {
    let mut new = vec![MISSING; dictionary.len()];
    for (text, code) in dictionary {
        new[*code as usize] = codes.get(text.as_str()).copied().unwrap_or(MISSING);
    }
    for row in rows.iter_mut().filter(|row| **row != MISSING) {
        *row = new[*row as usize];
    }
}
