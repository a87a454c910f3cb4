//! What is wrong with a configuration, where, and what to do about it. Faults are collected: a user
//! sees all of them at once.

use std::fmt;
use std::path::PathBuf;

/// A place in the configuration file; lines and columns count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    pub line: usize,
    pub column: usize,
}

impl Mark {
    pub const START: Self = Self { line: 1, column: 1 };
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `None` when the file could not be read at all.
    pub mark: Option<Mark>,
    /// `models[0].windows[1].every`; empty for the file as a whole.
    pub path: String,
    pub message: String,
}

/// Every fault of one configuration file, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    pub file: PathBuf,
    pub faults: Vec<Fault>,
    /// There are more than [`FAULTS_MAX`], and the rest is not listed.
    pub more: bool,
}

/// Faults beyond this many are not listed.
pub const FAULTS_MAX: usize = 100;

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, fault) in self.faults.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:", self.file.display())?;
            if let Some(mark) = fault.mark {
                write!(f, "{}:{}:", mark.line, mark.column)?;
            }
            if !fault.path.is_empty() {
                write!(f, " {}:", fault.path)?;
            }
            write!(f, " {}", fault.message)?;
        }
        if self.more { write!(f, "\n{}: and more", self.file.display()) } else { Ok(()) }
    }
}

impl std::error::Error for ConfigErrors {}

/// ` did you mean ...?` when one of `known` is close to `name`, else nothing.
pub fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let limit = match name.chars().count() {
        0..=3 => 1,
        4..=7 => 2,
        _ => 3,
    };
    known
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|&(distance, _)| distance <= limit)
        .min()
        .map(|(_, candidate)| format!("; did you mean `{candidate}`?"))
        .unwrap_or_default()
}

/// Optimal string alignment distance: insertions, deletions, substitutions and swapped neighbours.
/// Case, `-` and `_` do not count.
fn distance(left: &str, right: &str) -> usize {
    /// Longer names are cut: nobody mistypes that far into one.
    const CHARS_MAX: usize = 64;
    let plain = |text: &str| -> Vec<char> {
        text.chars()
            .take(CHARS_MAX)
            .map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() })
            .collect()
    };
    let (left, right) = (plain(left), plain(right));
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=right.len()).collect();
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            let same = left[i - 1] == right[j - 1];
            let mut least = (rows[i - 1][j - 1] + usize::from(!same))
                .min(rows[i - 1][j] + 1)
                .min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[left.len()][right.len()]
}

/// How many characters of a text from the file a message repeats.
const QUOTED_CHARS_MAX: usize = 60;

/// A text from the file, safe in a message: shortened, without control characters.
pub fn quoted(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(QUOTED_CHARS_MAX)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(QUOTED_CHARS_MAX).is_some() {
        shown.push_str("...");
    }
    format!("`{shown}`")
}
