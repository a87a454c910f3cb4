//! Rows by id, and queues that give them back in event-time order.
//!
//! Ids are 128-bit hashes already, so their low half serves as the hash. The rows are spread over
//! many small tables: a table that grows moves a small part of the rows, not all of them at once.

use super::time::Timestamp;
use hashbrown::HashTable;
use std::collections::BTreeMap;

const TABLES: usize = 256;

/// A row with an id. Several rows may share one.
pub trait Keyed {
    fn id(&self) -> u128;
    fn event_time(&self) -> Timestamp;
}

/// A multimap from id to rows.
#[derive(Clone)]
pub struct Table<T> {
    parts: Vec<HashTable<T>>,
    len: usize,
}

impl<T: Keyed> Table<T> {
    pub fn new() -> Self {
        Self { parts: (0..TABLES).map(|_| HashTable::new()).collect(), len: 0 }
    }

    /// Stands in for a table that is taken out for a while; nothing can be put into it.
    pub const fn hollow() -> Self {
        Self { parts: Vec::new(), len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn insert(&mut self, row: T) {
        let hash = row.id() as u64;
        self.parts[part(hash)].insert_unique(hash, row, |row| row.id() as u64);
        self.len += 1;
    }

    /// Rows with this id, in no particular order.
    pub fn get(&self, id: u128) -> impl Iterator<Item = &T> {
        self.get_short(id as u64).filter(move |row| row.id() == id)
    }

    /// Rows whose id has this low half.
    pub fn get_short(&self, hash: u64) -> impl Iterator<Item = &T> {
        self.parts[part(hash)].iter_hash(hash).filter(move |row| row.id() as u64 == hash)
    }

    pub fn get_mut(&mut self, id: u128) -> impl Iterator<Item = &mut T> {
        let hash = id as u64;
        self.parts[part(hash)].iter_hash_mut(hash).filter(move |row| row.id() == id)
    }

    /// Takes out one row whose id has this low half and that fits.
    pub fn take(&mut self, hash: u64, fits: impl Fn(&T) -> bool) -> Option<T> {
        let found =
            self.parts[part(hash)].find_entry(hash, |row| row.id() as u64 == hash && fits(row));
        let (row, _) = found.ok()?.remove();
        self.len -= 1;
        Some(row)
    }

    /// How many of our rows whose id has this low half are due before `limit`; our others are
    /// listed in `later`, to be pushed again.
    pub fn due_before(
        &self,
        hash: u64,
        limit: Timestamp,
        ours: impl Fn(&T) -> bool,
        later: &mut Vec<(Timestamp, u64)>,
    ) -> usize {
        let mut due = 0;
        for row in self.get_short(hash).filter(|row| ours(row)) {
            if row.event_time() < limit {
                due += 1;
            } else {
                later.push((row.event_time(), hash));
            }
        }
        due
    }

    /// Looks ids up for nothing but the memory they lie in: the processor waits for many of these
    /// at once, and for one after the other when each is worked on.
    pub fn fetch(&self, hashes: impl Iterator<Item = u64>) {
        let here = |hash: &u64| self.get_short(*hash).next().is_some();
        std::hint::black_box(hashes.filter(here).count());
    }

    /// All rows, in no particular order: sort before anything leaves.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.parts.iter().flat_map(HashTable::iter)
    }
}

impl<T: Keyed> Default for Table<T> {
    fn default() -> Self {
        Self::new()
    }
}

fn part(hash: u64) -> usize {
    // The table itself uses the top seven bits and the low ones.
    (hash >> 32) as usize % TABLES
}

/// Sorts ids, each once, so that looking them up one after the other goes through one small table
/// after the other.
pub fn sort_by_table(ids: &mut Vec<u128>) {
    // Puts the bits that choose the table first, and loses none.
    ids.sort_unstable_by_key(|id| id.rotate_right(40));
    ids.dedup();
}

/// Short ids by second of event time.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    seconds: BTreeMap<i64, Vec<u64>>,
    /// The newest second, kept out of the map: in a log most rows are of the one at hand.
    open: Option<(i64, Vec<u64>)>,
}

impl Queue {
    pub fn push(&mut self, event_time: Timestamp, id: u128) {
        self.push_short(event_time, id as u64);
    }

    /// Whether something may be due before `limit`.
    pub fn is_due(&self, limit: Timestamp) -> bool {
        let first = self.seconds.first_key_value().map(|(&first, _)| first);
        let open = self.open.as_ref().map(|&(open, _)| open);
        first.into_iter().chain(open).any(|second| Timestamp::from_secs(second) < limit)
    }

    /// Moves the ids of the oldest second that starts before `limit` to `out`. Some of them may
    /// have an event time at or after the limit: the caller pushes those again.
    pub fn pop(&mut self, limit: Timestamp, out: &mut Vec<u64>) -> bool {
        if !self.is_due(limit) {
            return false;
        }
        self.close();
        let Some((_, ids)) = self.seconds.pop_first() else { return false };
        out.extend(ids);
        true
    }

    /// As `push`; also puts back what `pop` gave too early.
    pub fn push_short(&mut self, event_time: Timestamp, id: u64) {
        let second = second(event_time);
        match &mut self.open {
            Some((open, ids)) if *open == second => ids.push(id),
            Some((open, _)) if *open > second => self.seconds.entry(second).or_default().push(id),
            _ => {
                self.close();
                let mut ids = self.seconds.remove(&second).unwrap_or_default();
                ids.push(id);
                self.open = Some((second, ids));
            }
        }
    }

    fn close(&mut self) {
        if let Some((second, ids)) = self.open.take() {
            self.seconds.insert(second, ids);
        }
    }
}

fn second(event_time: Timestamp) -> i64 {
    event_time.0.div_euclid(1_000_000)
}
