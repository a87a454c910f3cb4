//! A feature as both files have it: every row, in order.

/// The values of one side, one entry a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    Numeric {
        /// NaN where there is no number.
        reference: Vec<f64>,
        current: Vec<f64>,
        /// Every row of both files has a number, and all are whole and written so: other tools keep
        /// such a column in whole numbers.
        whole: bool,
    },
    Categorical {
        /// In ascending order; what the codes stand for.
        categories: Vec<String>,
        /// `MISSING` where there is no category.
        reference: Vec<u32>,
        current: Vec<u32>,
    },
}

/// The code of a row without a category.
pub const MISSING: u32 = u32::MAX;

/// A column that both files have.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    pub name: String,
    pub values: Values,
}

/// The numbers of one side without those that are missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers {
    /// In the order of the rows.
    pub rows: Vec<f64>,
    /// Ascending.
    pub sorted: Vec<f64>,
}

impl Numbers {
    /// NaN is left out, and so is what is not finite unless `infinite`.
    pub fn new(rows: &[f64], infinite: bool) -> Self {
        let kept = |v: &f64| if infinite { !v.is_nan() } else { v.is_finite() };
        let rows: Vec<f64> = rows.iter().copied().filter(kept).collect();
        let mut sorted = rows.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        Self { rows, sorted }
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// How many rows of (reference, current) each category has.
pub fn counts(categories: usize, reference: &[u32], current: &[u32]) -> Vec<(u64, u64)> {
    let mut counts = vec![(0, 0); categories];
    for code in reference.iter().filter(|code| **code != MISSING) {
        counts[*code as usize].0 += 1;
    }
    for code in current.iter().filter(|code| **code != MISSING) {
        counts[*code as usize].1 += 1;
    }
    counts
}

/// The totals of both sides.
pub fn totals(counts: &[(u64, u64)]) -> (u64, u64) {
    counts.iter().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1))
}

/// The shares of both sides; neither total is 0.
pub fn shares(counts: &[(u64, u64)]) -> (Vec<f64>, Vec<f64>) {
    let (reference, current) = totals(counts);
    let of = |total: u64| move |count: u64| count as f64 / total as f64;
    let (p, q) = (of(reference), of(current));
    counts.iter().map(|count| (p(count.0), q(count.1))).unzip()
}
