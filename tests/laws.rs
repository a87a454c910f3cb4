//! The laws that every sketch keeps: what is in it does not depend on how its rows were split over
//! shards, in which order they came, or which corrections came and went.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tidemark::engine::sketch::{Sign, Sketch};

/// A small seeded generator (SplitMix64, Steele et al. 2014): a failure comes back with its seed.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in 0 .. `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Standard normal (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

fn bytes<S: Serialize>(sketch: &S) -> Vec<u8> {
    postcard::to_stdvec(sketch).expect("a sketch can be written")
}

/// Checks the laws on these rows, over several random orders and splits; returns the sketch of all
/// rows. `empty` is a new sketch.
pub fn check_laws<S>(empty: &S, rows: &[S::Row]) -> S
where
    S: Sketch + Serialize + DeserializeOwned,
{
    assert!(empty.is_empty(), "a new sketch is empty");
    let mut whole = empty.clone();
    for row in rows {
        whole.add(row, Sign::Add);
    }
    assert_eq!(whole.is_empty(), rows.is_empty(), "it holds the rows");
    let expected = bytes(&whole);
    for seed in 1..=5 {
        let mut random = Random(seed);
        let merged = split_shuffled_and_merged(empty, rows, &mut random);
        assert!(merged == whole && bytes(&merged) == expected, "split and merged, seed {seed}");
        let corrected = with_detours(empty, rows, &mut random);
        assert!(corrected == whole && bytes(&corrected) == expected, "corrected, seed {seed}");
    }
    let read: S = postcard::from_bytes(&expected).expect("what was written can be read");
    assert!(read == whole, "written and read back");
    let mut order: Vec<&S::Row> = rows.iter().collect();
    Random(6).shuffle(&mut order);
    for row in order {
        whole.add(row, Sign::Remove);
    }
    assert!(whole.is_empty(), "what was added has been removed");
    assert!(whole == *empty && bytes(&whole) == bytes(empty), "nothing is left behind");
    read
}

/// Rows in random order over three parts, merged in random order; a part may be empty.
fn split_shuffled_and_merged<S: Sketch>(empty: &S, rows: &[S::Row], random: &mut Random) -> S {
    let mut order: Vec<&S::Row> = rows.iter().collect();
    random.shuffle(&mut order);
    let mut parts = vec![empty.clone(); 4];
    for row in order {
        parts[random.below(3)].add(row, Sign::Add);
    }
    random.shuffle(&mut parts);
    let mut merged = empty.clone();
    for part in &parts {
        merged.merge(part);
    }
    merged
}

/// As a shard sees corrections: some rows are added twice, and removed in another part, perhaps
/// before they are added.
fn with_detours<S: Sketch>(empty: &S, rows: &[S::Row], random: &mut Random) -> S {
    let (mut one, mut other) = (empty.clone(), empty.clone());
    for row in rows {
        one.add(row, Sign::Add);
        if random.below(3) == 0 {
            let (adds, removes) =
                if random.below(2) == 0 { (&mut one, &mut other) } else { (&mut other, &mut one) };
            removes.add(row, Sign::Remove);
            adds.add(row, Sign::Add);
        }
    }
    other.merge(&one);
    other
}
