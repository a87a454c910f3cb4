//! Things in numbered slots, for rows that keep a small number instead of the thing.
//!
//! Slots come in blocks that never move: growing takes a block, not a copy of all there is.

/// Slots of a block.
const BLOCK: usize = 4_096;

/// Slots from 0 on; freed ones are given out again first.
#[derive(Clone, Debug)]
pub struct Slab<T> {
    blocks: Vec<Vec<Option<T>>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { blocks: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// The slot that holds it now.
    pub fn put(&mut self, thing: T) -> u32 {
        if let Some(slot) = self.free.pop() {
            let (block, at) = place(slot);
            self.blocks[block][at] = Some(thing);
            return slot;
        }
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        let block = self.blocks.len() - 1;
        self.blocks[block].push(Some(thing));
        (block * BLOCK + self.blocks[block].len() - 1) as u32
    }

    pub fn get(&self, slot: u32) -> Option<&T> {
        let (block, at) = place(slot);
        self.blocks.get(block)?.get(at)?.as_ref()
    }

    pub fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        let (block, at) = place(slot);
        self.blocks.get_mut(block)?.get_mut(at)?.as_mut()
    }

    /// Empties a slot; `None` if it is empty already.
    pub fn take(&mut self, slot: u32) -> Option<T> {
        let (block, at) = place(slot);
        let thing = self.blocks.get_mut(block)?.get_mut(at)?.take()?;
        self.free.push(slot);
        Some(thing)
    }
}

fn place(slot: u32) -> (usize, usize) {
    (slot as usize / BLOCK, slot as usize % BLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_given_out_again_only_after_it_was_emptied() {
        let mut slab = Slab::default();
        let slots: Vec<u32> = (0..3 * BLOCK).map(|thing| slab.put(thing)).collect();
        assert!(slots.iter().enumerate().all(|(thing, &slot)| slab.get(slot) == Some(&thing)));
        assert_eq!(slab.take(slots[5_000]), Some(5_000));
        assert_eq!((slab.take(slots[5_000]), slab.get(slots[5_000])), (None, None));
        assert_eq!(slab.put(7), slots[5_000]);
        assert_eq!(slab.put(8), 3 * BLOCK as u32);
        assert_eq!(slab.get(u32::MAX), None);
    }
}
