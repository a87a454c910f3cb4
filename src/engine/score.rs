//! Bins for scores in [0, 1]: monotone, and fine where models put their scores, near 0 and near 1.
//!
//! 2,048 fine bins. A score under 1/2 falls into an octave k, [2^-(k+1), 2^-k), that is cut into
//! equal bins; a score from 1/2 up is binned by 1 - p, mirrored. From octave 1, [1/4, 1/2), down:
//!
//! | octaves     | bins an octave |
//! |-------------|----------------|
//! | 1           | 256            |
//! | 2-3         | 128            |
//! | 4-7         | 64             |
//! | 8-11        | 32             |
//! | 12-15       | 16             |
//! | 16-19       | 8              |
//! | 20-23       | 4              |
//! | 24-27       | 2              |
//! | 28-34       | 1              |
//! | below 2^-35 | 1 in all       |
//!
//! So a bin is at most 2^-10 wide, and at most 1/32 of its distance from the nearer end down to
//! 2^-12 (odds of 1 in 4,000); scores of a rare-event or an overconfident model keep their order
//! down to 3e-11 from the end.
//!
//! 256 coarse bins, each the union of 8 neighbouring fine ones.

/// Number of fine bins.
pub const FINE_BINS: usize = 2048;
/// Number of coarse bins.
pub const COARSE_BINS: usize = 256;
/// Fine bins in one coarse bin.
const FINE_PER_COARSE: u16 = (FINE_BINS / COARSE_BINS) as u16;
const HALF: u16 = (FINE_BINS / 2) as u16;
/// Octaves that have bins of their own; below 2^-35 there is one bin.
const OCTAVES: usize = 34;

/// log2 of the bins in each octave, [1/4, 1/2) first.
const OCTAVE_BITS: [u32; OCTAVES] = {
    let mut bits = [0; OCTAVES];
    let mut octave = 0;
    while octave < OCTAVES {
        bits[octave] = match octave + 1 {
            1 => 8,
            2..=3 => 7,
            n if n <= 27 => 7 - n as u32 / 4,
            _ => 0,
        };
        octave += 1;
    }
    bits
};

/// First bin of each octave.
const OCTAVE_START: [u16; OCTAVES] = {
    let mut start = [0; OCTAVES];
    let mut next = HALF;
    let mut octave = 0;
    while octave < OCTAVES {
        next -= 1 << OCTAVE_BITS[octave];
        start[octave] = next;
        octave += 1;
    }
    assert!(next == 1, "the bin below the last octave is bin 0");
    start
};

/// How finely scores are binned.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// 2,048 bins: the whole model.
    Fine,
    /// 256 bins: a slice.
    Coarse,
}

impl Resolution {
    pub fn bins(self) -> usize {
        match self {
            Self::Fine => FINE_BINS,
            Self::Coarse => COARSE_BINS,
        }
    }

    /// The bin of this resolution that holds a fine bin.
    pub fn bin(self, fine: u16) -> u16 {
        match self {
            Self::Fine => fine,
            Self::Coarse => u16::from(coarse_bin(fine)),
        }
    }

    /// Lowest and highest score of a bin; see [`fine_edges`].
    pub fn edges(self, bin: u16) -> (f64, f64) {
        match self {
            Self::Fine => fine_edges(bin),
            Self::Coarse => coarse_edges(bin.min(255) as u8),
        }
    }
}

/// The fine bin of a score; 0 to 2,047. Scores outside [0, 1] count as the nearer end, NaN as 1.
pub fn fine_bin(p: f64) -> u16 {
    if p < 0.5 {
        lower_bin(p)
    } else {
        // Exact from 1/2 up, so equal scores share a bin and order is kept. NaN comes here.
        FINE_BINS as u16 - 1 - lower_bin(1.0 - p.clamp(0.5, 1.0))
    }
}

/// Bin of `p` in [0, 1/2], from its exponent and the top bits of its mantissa.
fn lower_bin(p: f64) -> u16 {
    if p >= 0.5 {
        return HALF - 1;
    }
    let bits = p.max(0.0).to_bits();
    // [1/4, 1/2) has the biased exponent 1021 and is octave 0 here.
    let octave = 1021 - (bits >> 52) as usize;
    if octave >= OCTAVES {
        return 0;
    }
    let mantissa = bits & ((1 << 52) - 1);
    OCTAVE_START[octave] + (mantissa >> (52 - OCTAVE_BITS[octave])) as u16
}

/// The coarse bin that a fine bin belongs to.
pub fn coarse_bin(fine: u16) -> u8 {
    (fine.min(FINE_BINS as u16 - 1) / FINE_PER_COARSE) as u8
}

/// Lowest and highest score of a fine bin. Under 1/2 a bin holds its lower edge and not its upper
/// one; from 1/2 up it is the other way round, except that the first of them holds 1/2.
pub fn fine_edges(bin: u16) -> (f64, f64) {
    let bin = bin.min(FINE_BINS as u16 - 1);
    if bin < HALF {
        (lower_edge(bin), lower_edge(bin + 1))
    } else {
        let mirror = FINE_BINS as u16 - 1 - bin;
        (1.0 - lower_edge(mirror + 1), 1.0 - lower_edge(mirror))
    }
}

/// Lower edge of bin `bin` of the lower half; 1/2 for the bin after the last.
fn lower_edge(bin: u16) -> f64 {
    if bin == 0 {
        return 0.0;
    }
    if bin >= HALF {
        return 0.5;
    }
    let octave = OCTAVE_START.iter().position(|&start| start <= bin).unwrap_or(OCTAVES - 1);
    let within = f64::from(bin - OCTAVE_START[octave]);
    let width = 2.0_f64.powi(-(octave as i32) - 2 - OCTAVE_BITS[octave] as i32);
    2.0_f64.powi(-(octave as i32) - 2) + within * width
}

/// Lowest and highest score of a coarse bin.
pub fn coarse_edges(bin: u8) -> (f64, f64) {
    let first = u16::from(bin) * FINE_PER_COARSE;
    (fine_edges(first).0, fine_edges(first + FINE_PER_COARSE - 1).1)
}
