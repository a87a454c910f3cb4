//! Finds the bin of a number in a few nanoseconds.
//!
//! A monotone map sends a number to a cell of a table; the table says which edges lie in that cell,
//! and comparisons with those settle the bin exactly. The map is linear in the number or in the
//! bits of the double (roughly its logarithm), whichever parts more edges where the reference's
//! rows are; if neither parts enough, all edges are halved.

/// Cells of the table: 4 KiB a feature stays in the first-level cache while a column is folded.
const CELLS: usize = 2048;

#[derive(Clone, Debug)]
pub(super) struct Grid {
    map: CellMap,
    /// How many edges lie in lower cells; one more than there are cells.
    edges_before: Vec<u16>,
}

#[derive(Clone, Copy, Debug)]
enum CellMap {
    Linear {
        start: f64,
        cells_per_unit: f64,
    },
    Bits {
        start: u64,
        shift: u32,
    },
    /// All in one cell: halving alone.
    Whole,
}

impl CellMap {
    /// Never falls when x rises: subtraction, multiplication and the cut to a whole number keep
    /// order.
    #[inline]
    fn cell(self, x: f64) -> usize {
        let cell = match self {
            Self::Linear { start, cells_per_unit } => ((x - start) * cells_per_unit) as usize,
            Self::Bits { start, shift } => {
                (ordered_bits(x).saturating_sub(start) >> shift) as usize
            }
            Self::Whole => 0,
        };
        cell.min(CELLS - 1)
    }
}

/// The double's bits as a whole number that sorts like the double. Both zeros: see `Grid::bin`.
#[inline]
fn ordered_bits(x: f64) -> u64 {
    let bits = x.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

impl Grid {
    /// `edges`: at least two, ascending, finite, no negative zero. `counts`: one fewer, the
    /// weights.
    pub(super) fn new(edges: &[f64], counts: &[u64]) -> Self {
        let (start, end) = (edges[0], edges[edges.len() - 1]);
        let span = ordered_bits(end) - ordered_bits(start);
        let shift = (span / CELLS as u64).checked_ilog2().map_or(0, |bits| bits + 1);
        let mut best = Self::of(CellMap::Bits { start: ordered_bits(start), shift }, edges);
        let mut cost = best.cost(edges, counts);
        let cells_per_unit = CELLS as f64 / (end - start);
        if cells_per_unit.is_normal() && (end - start).is_finite() {
            let linear = Self::of(CellMap::Linear { start, cells_per_unit }, edges);
            let linear_cost = linear.cost(edges, counts);
            if linear_cost <= cost {
                (best, cost) = (linear, linear_cost);
            }
        }
        // Halving parts of changing length is slower than halving all of the edges each time.
        let rows: u128 = counts.iter().map(|&count| u128::from(count)).sum();
        if cost * 4 > rows { Self::of(CellMap::Whole, edges) } else { best }
    }

    fn of(map: CellMap, edges: &[f64]) -> Self {
        let mut edges_before = vec![0u16; CELLS + 1];
        for &edge in edges {
            edges_before[map.cell(edge) + 1] += 1;
        }
        for cell in 0..CELLS {
            edges_before[cell + 1] += edges_before[cell];
        }
        Self { map, edges_before }
    }

    /// How many of the reference's rows fall into cells with more than one edge, about.
    fn cost(&self, edges: &[f64], counts: &[u64]) -> u128 {
        let of_bin = |(&edge, &count): (&f64, &u64)| {
            let cell = self.map.cell(edge);
            let inside = self.edges_before[cell + 1] - self.edges_before[cell];
            if inside > 1 { u128::from(count) } else { 0 }
        };
        edges.iter().zip(counts).map(of_bin).sum()
    }

    /// The i with edges[i] <= x < edges[i + 1], or the last bin at the last edge.
    /// `x` lies in [first edge, last edge] and is not negative zero; `edges` are those of `new`.
    #[inline]
    pub(super) fn bin(&self, edges: &[f64], x: f64) -> usize {
        let cell = self.map.cell(x);
        let from = self.edges_before[cell] as usize;
        let to = self.edges_before[cell + 1] as usize;
        // The edge at `from` is there: the last one is not below `x`, so not in a lower cell. If it
        // is in a higher cell it is above `x`. No branch, as none could be foreseen.
        let mut below = from + usize::from(edges[from] <= x);
        if to - from > 1 {
            below = from + edges[from..to].partition_point(|&edge| edge <= x);
        }
        below.saturating_sub(1).min(edges.len() - 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(edges: &[f64], x: f64) -> usize {
        (edges.partition_point(|&edge| edge <= x) - 1).min(edges.len() - 2)
    }

    #[test]
    fn the_grid_finds_the_bin_that_halving_finds_whatever_the_edges() {
        let even: Vec<f64> = (0..=256).map(|i| f64::from(i) / 7.0 - 11.0).collect();
        let steep: Vec<f64> = (0..=256).map(|i| (f64::from(i) / 20.0 - 5.0).exp()).collect();
        let wide: Vec<f64> = (-100..=100).map(|i| f64::from(i).powi(61) * 1e180).collect();
        let dense: Vec<f64> = (0..200).map(|i| f64::from_bits(1e9f64.to_bits() + i)).collect();
        let mut atoms = vec![-f64::MAX, -3.0];
        (0..90).for_each(|i| atoms.extend([f64::from(i), f64::from(i).next_up()]));
        atoms.push(f64::MAX);
        let tiny = vec![0.0, f64::from_bits(1)];
        for edges in [even, steep, wide, dense, atoms, tiny] {
            let counts: Vec<u64> = (1..edges.len() as u64).collect();
            let best = Grid::new(&edges, &counts);
            let mut state = 1u64;
            for &edge in &edges {
                for step in 0..40 {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(step | 1);
                    let far = f64::from_bits(state);
                    for x in [edge, edge.next_down(), edge.next_up(), edge * 1.01, far] {
                        let x = x + 0.0;
                        if x >= edges[0] && x <= edges[edges.len() - 1] {
                            assert_eq!(best.bin(&edges, x), plain(&edges, x), "{x:e} in {edges:?}");
                        }
                    }
                }
            }
        }
    }
}
