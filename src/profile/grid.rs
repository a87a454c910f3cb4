//! Where the bins of a numeric reference lie.

use super::column::ColumnScan;
use crate::engine::reference::FINE_BINS_MAX;

/// Coarse bins aimed at; a few more where heavy values stand between them.
const COARSE_BINS: u64 = 10;
/// Values with bins of their own at most; each may part a bin of its neighbours in two.
const ATOMS_MAX: usize = 100;
/// With no more different values than this, each has a bin and so has each gap between them.
const EXACT_WITH_GAPS_MAX: usize = FINE_BINS_MAX / 2;

/// Ascending edges for the numbers of a column; it has at least one.
///
/// Up to 128 different values: [v, next double) for each, and the gaps. Up to 256: [v, next value).
/// More: [a, next double) for each atom (a value that may have more than a 256th of the rows), and
/// equal shares of the other rows.
pub(super) fn edges(scan: &ColumnScan) -> Vec<f64> {
    let frequent = scan.frequent_numbers.sorted();
    let mut edges = vec![scan.min, scan.max];
    match scan.frequent_numbers.distinct() {
        Some(distinct) if distinct <= FINE_BINS_MAX => {
            let values = frequent.iter().map(|(bits, _)| f64::from_bits(**bits));
            edges.extend(values.clone());
            if distinct <= EXACT_WITH_GAPS_MAX {
                edges.extend(values.map(f64::next_up));
            } else {
                edges.push(scan.max.next_up());
            }
        }
        _ => {
            let atoms = atoms(scan, &frequent);
            let cuts = FINE_BINS_MAX - 2 * atoms.len() - 1;
            edges.extend(cut_points(scan, &atoms, cuts));
            edges.extend(atoms.iter().flat_map(|atom| [*atom, atom.next_up()]));
        }
    }
    // The greatest double has none after it.
    edges.retain(|edge| edge.is_finite());
    edges.sort_unstable_by(f64::total_cmp);
    edges.dedup();
    if edges.len() == 1 {
        edges.insert(0, edges[0].next_down());
    }
    edges
}

/// Ascending. All values that have more than a 256th of the rows, and some that nearly have.
fn atoms(scan: &ColumnScan, frequent: &[(&u64, u64)]) -> Vec<f64> {
    let lost = scan.frequent_numbers.lost();
    let heavy = |count: u64| (count + lost) * FINE_BINS_MAX as u64 > scan.numbers;
    let mut atoms: Vec<(u64, f64)> = frequent
        .iter()
        .filter(|(_, count)| heavy(*count))
        .map(|(bits, count)| (*count, f64::from_bits(**bits)))
        .collect();
    atoms.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.total_cmp(&b.1)));
    atoms.truncate(ATOMS_MAX);
    let mut atoms: Vec<f64> = atoms.into_iter().map(|(_, value)| value).collect();
    atoms.sort_unstable_by(f64::total_cmp);
    atoms
}

/// `bins` - 1 values that part the rows which are not atoms into equal shares.
fn cut_points(scan: &ColumnScan, atoms: &[f64], bins: usize) -> Vec<f64> {
    let is_atom = |value: f64| atoms.binary_search_by(|atom| atom.total_cmp(&value)).is_ok();
    let mut rest = scan.quantiles.weighted();
    rest.retain(|(value, _)| !is_atom(*value));
    let rows: u64 = rest.iter().map(|(_, weight)| weight).sum();
    let mut cuts = Vec::with_capacity(bins);
    let (mut below, mut next) = (0u64, 1u64);
    for (value, weight) in rest {
        while next < bins as u64 && u128::from(below) * bins as u128 >= u128::from(rows * next) {
            cuts.push(value);
            next += 1;
        }
        below += weight;
    }
    cuts
}

/// First fine bin of each coarse bin. A fine bin with a tenth of the rows stands alone; the others
/// are joined to equal shares of the rest. Each coarse bin has rows.
pub(super) fn coarse(counts: &[u64]) -> Vec<u16> {
    let rows: u64 = counts.iter().sum();
    let heavy = |count: u64| count * COARSE_BINS >= rows;
    let heavy_rows: u64 = counts.iter().copied().filter(|&count| heavy(count)).sum();
    let heavy_bins = counts.iter().filter(|&&count| heavy(count)).count() as u64;
    let share = (rows - heavy_rows).div_ceil(COARSE_BINS.saturating_sub(heavy_bins).max(1)).max(1);
    let mut starts = vec![0u16];
    // Rows of the coarse bin that is open, and whether it takes no more.
    let (mut open, mut closed) = (0u64, false);
    for (bin, &count) in (0u16..).zip(counts) {
        if count == 0 {
            continue;
        }
        // The one that crosses the share goes where the share is met more closely.
        let over = !heavy(count) && open + count / 2 > share;
        if open > 0 && (closed || heavy(count) || over) {
            starts.push(bin);
            open = 0;
        }
        open += count;
        closed = heavy(count) || open >= share;
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(values: impl Iterator<Item = f64>) -> ColumnScan {
        let mut scan = ColumnScan::new(None, 1_000);
        values.for_each(|value| scan.add(crate::profile::cell::Cell::Number(value)));
        scan
    }

    #[test]
    fn a_column_of_few_values_gets_a_bin_for_each_and_for_each_gap() {
        let edges = edges(&scan([3.0, 1.0, 3.0, 7.0].into_iter()));
        let expected = [1.0, 1f64.next_up(), 3.0, 3f64.next_up(), 7.0, 7f64.next_up()];
        assert_eq!(edges, expected);
    }

    #[test]
    fn a_column_of_200_values_gets_a_bin_for_each() {
        let edges = edges(&scan((0..1000).map(|i| f64::from(i % 200))));
        assert_eq!(edges.len(), 201);
        assert_eq!(edges[17], 17.0);
    }

    #[test]
    fn the_ends_of_what_a_double_holds_have_bins_too() {
        assert_eq!(edges(&scan([f64::MAX].into_iter())), [f64::MAX.next_down(), f64::MAX]);
        let both = edges(&scan([f64::MAX, -f64::MAX].into_iter()));
        assert_eq!(both, [-f64::MAX, (-f64::MAX).next_up(), f64::MAX]);
    }

    #[test]
    fn an_atom_in_a_column_of_many_values_has_a_bin_of_its_own() {
        let mixed = (0..100_000u32).map(|i| if i % 3 == 0 { 5.0 } else { f64::from(i) / 7.0 });
        let edges = edges(&scan(mixed));
        let at = edges.iter().position(|&edge| edge == 5.0).unwrap();
        assert_eq!(edges[at + 1], 5f64.next_up());
        assert!(edges.len() > 240 && edges.len() <= 257, "{}", edges.len());
        assert!(edges.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn coarse_bins_have_equal_shares_and_leave_heavy_bins_alone() {
        assert_eq!(coarse(&[1; 100]), (0..10).map(|i| i * 10).collect::<Vec<u16>>());
        // Nine tenths in one bin, the rest in ninety: nine shares and the heavy one.
        let mut counts = vec![10u64; 91];
        counts[0] = 8_100;
        assert_eq!(coarse(&counts), [0, 1, 11, 21, 31, 41, 51, 61, 71, 81]);
        assert_eq!(coarse(&[0, 0, 5]), [0]);
        assert_eq!(coarse(&[5, 0, 5, 0]), [0, 2]);
    }
}
