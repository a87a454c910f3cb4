//! A map from small keys to counts: a bitmap of the keys that are there, and their values in order.
//!
//! The position of a value is the number of keys below it: the keys in the words before (kept) plus
//! a population count. So an update of a known key costs a few nanoseconds, iteration is sorted,
//! and an empty part of the key space costs one bit a key. A value that becomes zero leaves, so
//! equal contents have equal bytes.

use super::{Group, Sign};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Clone, Debug, PartialEq)]
pub struct Sparse<V> {
    /// Keys are below this.
    universe: u16,
    bitmap: Box<[u64]>,
    /// How many keys are in the words before each.
    ranks: Box<[u16]>,
    values: Vec<V>,
}

impl<V> Sparse<V> {
    /// For keys from 0 up to and without `universe`.
    pub fn new(universe: u16) -> Self {
        let words = usize::from(universe).div_ceil(64);
        Self {
            universe,
            bitmap: vec![0; words].into(),
            ranks: vec![0; words].into(),
            values: Vec::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Position of `key`'s value, or where it would be put.
    fn position(&self, key: u16) -> Result<usize, usize> {
        let (word, bit) = (usize::from(key / 64), u32::from(key % 64));
        let below = (self.bitmap[word] & ((1 << bit) - 1)).count_ones() as usize;
        let position = usize::from(self.ranks[word]) + below;
        if self.bitmap[word] >> bit & 1 == 1 { Ok(position) } else { Err(position) }
    }

    /// Keys in ascending order with their values.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &V)> {
        let keys = self.bitmap.iter().enumerate().flat_map(|(word, &bits)| {
            let mut rest = bits;
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let bit = rest.trailing_zeros();
                    rest &= rest - 1;
                    (word * 64) as u16 + bit as u16
                })
            })
        });
        keys.zip(&self.values)
    }
}

impl<V: Copy> Sparse<V> {
    fn insert(&mut self, position: usize, key: u16, value: V) {
        if self.values.len() == self.values.capacity() {
            // A quarter at a time: there are many of these, and they grow rarely.
            self.values.reserve_exact(self.values.len() / 4 + 4);
        }
        self.values.insert(position, value);
        let word = usize::from(key / 64);
        self.bitmap[word] |= 1 << (key % 64);
        for rank in &mut self.ranks[word + 1..] {
            *rank += 1;
        }
    }

    fn remove(&mut self, position: usize, key: u16) {
        self.values.remove(position);
        let word = usize::from(key / 64);
        self.bitmap[word] &= !(1 << (key % 64));
        for rank in &mut self.ranks[word + 1..] {
            *rank -= 1;
        }
    }
}

impl<V: Group> Sparse<V> {
    /// Adds to or takes from the value of `key`, which must be in the universe.
    pub fn apply(&mut self, key: u16, value: &V, sign: Sign) {
        match self.position(key) {
            Ok(position) => {
                let held = &mut self.values[position];
                held.apply(value, sign);
                if held.is_zero() {
                    self.remove(position, key);
                }
            }
            Err(position) => {
                let mut held = V::default();
                held.apply(value, sign);
                if !held.is_zero() {
                    self.insert(position, key, held);
                }
            }
        }
    }

    /// Adds all values of `other`, whose universe must be the same.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.universe, other.universe, "only sketches that were made alike merge");
        if self.is_empty() {
            self.clone_from(other);
            return;
        }
        for (key, value) in other.iter() {
            self.apply(key, value, Sign::Add);
        }
    }
}

impl<V: Serialize> Serialize for Sparse<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries: Vec<(u16, &V)> = self.iter().collect();
        (self.universe, entries).serialize(serializer)
    }
}

impl<'de, V: Group> Deserialize<'de> for Sparse<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (universe, entries) = <(u16, Vec<(u16, V)>)>::deserialize(deserializer)?;
        let mut sparse = Self::new(universe);
        let mut previous = None;
        for (key, value) in entries {
            if key >= universe || previous.is_some_and(|previous| key <= previous) {
                return Err(D::Error::custom(format!("key {key} is out of order or range")));
            }
            if value.is_zero() {
                return Err(D::Error::custom(format!("key {key} has an empty value")));
            }
            previous = Some(key);
            sparse.insert(sparse.values.len(), key, value);
        }
        Ok(sparse)
    }
}
