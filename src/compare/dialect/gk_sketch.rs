//! The quantile sketch of TensorFlow Data Validation (`tfx_bsl/cc/sketches/weighted_quantiles_*`):
//! a stream of summaries in levels after Greenwald and Khanna 2001. Nothing in it is drawn at
//! random, so that the same rows in the same order give the same quantiles.

/// Error asked for: epsilon 0.01, a third of it on each of three levels of computation.
const EPSILON: f64 = 0.01 / 3.0;
/// Rows that it is laid out for.
const ROWS_MAX: f64 = 4_294_967_296.0;

#[derive(Clone, Copy, Debug)]
struct Entry {
    value: f64,
    weight: f64,
    min_rank: f64,
    max_rank: f64,
}

impl Entry {
    fn previous_max_rank(self) -> f64 {
        self.max_rank - self.weight
    }

    fn next_min_rank(self) -> f64 {
        self.min_rank + self.weight
    }
}

/// Values and the cumulative weights at them, of the `quantiles` + 1 ranks from the least to the
/// greatest. `values` in the order of the rows, without NaN; empty of nothing.
pub fn quantiles(values: &[f64], quantiles: usize) -> (Vec<f64>, Vec<f64>) {
    let block = block_size();
    let mut levels: Vec<Vec<Entry>> = Vec::new();
    for chunk in values.chunks(2 * block) {
        propagate(&mut levels, compressed(summary_of(chunk), block), block);
    }
    let mut all = Vec::new();
    for level in levels {
        all = merged(all, level);
    }
    ranks(&all, quantiles)
}

fn block_size() -> usize {
    let (mut level, mut block) = (1, 2.0);
    while 2f64.powi(level) * block < ROWS_MAX {
        block = (f64::from(level) / EPSILON).ceil() + 1.0;
        level += 1;
    }
    block as usize
}

fn summary_of(rows: &[f64]) -> Vec<Entry> {
    let mut sorted = rows.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut entries: Vec<Entry> = Vec::new();
    for value in sorted {
        match entries.last_mut() {
            Some(last) if last.value == value => {
                last.weight += 1.0;
                last.max_rank += 1.0;
            }
            last => {
                let before = last.map_or(0.0, |last| last.max_rank);
                entries.push(Entry {
                    value,
                    weight: 1.0,
                    min_rank: before,
                    max_rank: before + 1.0,
                });
            }
        }
    }
    entries
}

fn propagate(levels: &mut Vec<Vec<Entry>>, mut local: Vec<Entry>, block: usize) {
    for at in 0.. {
        if levels.len() <= at {
            levels.push(Vec::new());
        }
        let current = std::mem::take(&mut levels[at]);
        let settles = current.is_empty();
        local = merged(local, current);
        if settles || local.len() <= block + 1 {
            levels[at] = local;
            return;
        }
        local = compressed(local, block);
    }
}

fn merged(one: Vec<Entry>, other: Vec<Entry>) -> Vec<Entry> {
    let (Some(last_one), Some(last_other)) = (one.last(), other.last()) else {
        return if one.is_empty() { other } else { one };
    };
    let (end_one, end_other) = (last_one.max_rank, last_other.max_rank);
    let mut entries = Vec::with_capacity(one.len() + other.len());
    let (mut i, mut j) = (0, 0);
    let (mut next_one, mut next_other) = (0.0, 0.0);
    loop {
        let (a, b) = (one.get(i).copied(), other.get(j).copied());
        let take = |entry: Entry, low: f64, high: f64| Entry {
            min_rank: entry.min_rank + low,
            max_rank: entry.max_rank + high,
            ..entry
        };
        match (a, b) {
            (None, None) => return entries,
            (Some(a), Some(b)) if a.value == b.value => {
                entries
                    .push(Entry { weight: a.weight + b.weight, ..take(a, b.min_rank, b.max_rank) });
                (next_one, next_other) = (a.next_min_rank(), b.next_min_rank());
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), b) if b.is_none_or(|b| a.value < b.value) => {
                let high = b.map_or(end_other, Entry::previous_max_rank);
                entries.push(take(a, next_other, high));
                next_one = a.next_min_rank();
                i += 1;
            }
            (a, Some(b)) => {
                let high = a.map_or(end_one, Entry::previous_max_rank);
                entries.push(take(b, next_one, high));
                next_other = b.next_min_rank();
                j += 1;
            }
            (Some(_), None) => return entries,
        }
    }
}

/// About `size` entries, the first and the last among them.
fn compressed(entries: Vec<Entry>, size: usize) -> Vec<Entry> {
    let size = size.max(2);
    let Some(last) = entries.last().copied() else { return entries };
    if entries.len() <= size {
        return entries;
    }
    let allowed = last.max_rank * (1.0 / size as f64).max(EPSILON);
    let step = entries.len() as i64;
    let mut accumulated = 0i64;
    let mut kept = vec![entries[0]];
    let (mut read, mut last_kept) = (0, 1);
    while read + 1 < entries.len() {
        let mut next = read + 1;
        while next < entries.len()
            && accumulated < step
            && entries[next].previous_max_rank() - entries[read].next_min_rank() <= allowed
        {
            accumulated += size as i64;
            next += 1;
        }
        read = if read == next - 1 { read + 1 } else { next - 1 };
        kept.push(entries[read]);
        last_kept = read;
        accumulated -= step;
    }
    if last_kept + 1 != entries.len() {
        kept.push(last);
    }
    kept
}

fn ranks(entries: &[Entry], quantiles: usize) -> (Vec<f64>, Vec<f64>) {
    let Some(last) = entries.last() else { return (Vec::new(), Vec::new()) };
    let quantiles = quantiles.max(2);
    let (mut values, mut weights) = (Vec::new(), Vec::new());
    let mut at = 0;
    for rank in 0..=quantiles {
        let twice = 2.0 * (rank as f64 * last.max_rank / quantiles as f64);
        let mut next = at + 1;
        while next < entries.len() && twice >= entries[next].min_rank + entries[next].max_rank {
            next += 1;
        }
        at = next - 1;
        let nearer = match entries.get(next) {
            Some(after) => twice < entries[at].next_min_rank() + after.previous_max_rank(),
            None => true,
        };
        let chosen = if nearer { entries[at] } else { entries[next] };
        values.push(chosen.value);
        weights.push(chosen.max_rank);
    }
    (values, weights)
}
