//! The most frequent values of a column in bounded memory (Misra and Gries 1982).

use hashbrown::HashMap;
use std::borrow::Borrow;
use std::hash::Hash;

/// Counts of at most `capacity` values. As long as no more have come they are exact; after that a
/// value with more than `lost` rows is certainly kept, and its count is short by at most `lost`.
#[derive(Clone, Debug)]
pub(super) struct Frequent<K> {
    counts: HashMap<K, u64, foldhash::fast::FixedState>,
    capacity: usize,
    lost: u64,
}

impl<K: Eq + Hash + Ord> Frequent<K> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { counts: HashMap::default(), capacity, lost: 0 }
    }

    pub(super) fn add<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(count) = self.counts.get_mut(key) {
            *count += 1;
        } else if self.counts.len() < self.capacity {
            self.counts.insert(key.to_owned(), 1);
        } else {
            // One row of each kept value is set off against this one.
            self.lost += 1;
            self.counts.retain(|_, count| {
                *count -= 1;
                *count > 0
            });
        }
    }

    /// How many different values came, if all are kept.
    pub(super) fn distinct(&self) -> Option<usize> {
        (self.lost == 0).then_some(self.counts.len())
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// The kept values in ascending order with their counts.
    pub(super) fn sorted(&self) -> Vec<(&K, u64)> {
        let mut kept: Vec<(&K, u64)> = self.counts.iter().map(|(key, &n)| (key, n)).collect();
        kept.sort_unstable();
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frequent_value_is_kept_among_more_values_than_there_is_room_for() {
        let mut frequent = Frequent::<u64>::new(100);
        for i in 0..100_000u64 {
            frequent.add(&if i % 50 == 0 { 7 } else { i });
        }
        assert_eq!(frequent.distinct(), None);
        let (_, count) = frequent.sorted().into_iter().find(|(key, _)| **key == 7).unwrap();
        assert!(count <= 2_000 && count + frequent.lost() >= 2_000);
        assert!(frequent.lost() <= 1_000);
    }
}
