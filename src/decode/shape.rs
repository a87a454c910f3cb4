//! Which places of a payload somebody asks for: a trie of the configured pointers.
//!
//! Each place that is wanted has a slot, into which the reader writes the kind and the range of
//! what stands there. There are two tries when a record carries rows: one for the record, one for
//! a row.
//!
//! Members usually come in the order of the last record, so every member remembers which one
//! followed it, and the reader compares the next name with that one first. This is a guess: it
//! decides how fast a name is found, never what is found.

use super::selector::JsonPointer;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// No member, no child, no slot.
pub(super) const NONE: u32 = u32::MAX;
/// Names that nobody asked for are remembered up to this many in an object; others are still read,
/// but never guessed.
const LEARNED_MAX: u32 = 64;
/// Longer names that nobody asked for are not remembered.
const LEARNED_BYTES_MAX: usize = 64;

/// A place that is wanted, or on the way to one.
#[derive(Default)]
pub(super) struct Node {
    /// Slot of this place, or `NONE`.
    pub slot: u32,
    /// It is the array of rows.
    pub is_rows: bool,
    /// Position in an array -> node, ascending.
    pub elements: Vec<(u32, u32)>,
    /// Name -> member, for names as they are after unescaping.
    names: HashMap<Box<[u8]>, u32, FixedState>,
    /// The member that came first last time.
    pub first: u32,
    learned: u32,
}

/// A member of an object: one that leads to a wanted place, or one that was seen there.
#[derive(Clone, Copy)]
pub(super) struct Member {
    /// Node of its value; `NONE` if nobody asks for it.
    pub node: u32,
    /// The member that followed it last time.
    pub next: u32,
    /// The object in which it was seen last, to notice a repeated name.
    pub seen_in: u64,
    /// Slot of its value if nothing inside it is asked for; else `NONE`.
    pub leaf: u32,
    /// Its name as it is normally written, with quotes and colon: a range of `Shape::written`.
    /// Empty if it cannot be written without escapes.
    written: (u32, u32),
}

pub(super) struct Shape {
    pub nodes: Vec<Node>,
    pub members: Vec<Member>,
    /// Names as written, one after the other.
    written: Vec<u8>,
    /// Slots of the record, and of one row.
    pub record_slots: u32,
    pub row_slots: u32,
}

/// Where a pointer's value will be: a slot of the record or of the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub slot: u32,
    pub in_row: bool,
}

pub(super) const RECORD_ROOT: usize = 0;
pub(super) const ROW_ROOT: usize = 1;

impl Shape {
    /// `rows`: where the array of rows is, if a record has one.
    pub fn new(rows: Option<&JsonPointer>) -> Self {
        let mut shape = Self {
            nodes: Vec::new(),
            members: Vec::new(),
            written: Vec::new(),
            record_slots: 0,
            row_slots: 0,
        };
        shape.node();
        shape.node();
        if let Some(rows) = rows {
            let node = shape.path(RECORD_ROOT, rows.parts());
            shape.nodes[node].is_rows = true;
        }
        shape
    }

    /// Asks for what the pointer points to. The same pointer always has the same place.
    pub fn want(&mut self, pointer: &JsonPointer) -> Place {
        let in_row = pointer.is_from_row() && self.nodes.iter().any(|node| node.is_rows);
        let node = self.path(if in_row { ROW_ROOT } else { RECORD_ROOT }, pointer.parts());
        if self.nodes[node].slot == NONE {
            let slots = if in_row { &mut self.row_slots } else { &mut self.record_slots };
            self.nodes[node].slot = *slots;
            *slots += 1;
        }
        Place { slot: self.nodes[node].slot, in_row }
    }

    fn node(&mut self) -> usize {
        self.nodes.push(Node { slot: NONE, first: NONE, ..Node::default() });
        self.nodes.len() - 1
    }

    fn path(&mut self, root: usize, parts: &[String]) -> usize {
        let mut node = root;
        for part in parts {
            node = self.step(node, part);
        }
        node
    }

    /// The node of one more part. A part that can be a position leads to the same node in an
    /// array.
    fn step(&mut self, node: usize, part: &str) -> usize {
        if let Some(&member) = self.nodes[node].names.get(part.as_bytes()) {
            return self.members[member as usize].node as usize;
        }
        let child = self.node();
        let member = self.member(node, part.as_bytes(), child as u32);
        if self.nodes[node].first == NONE {
            self.nodes[node].first = member;
        }
        if let Some(position) = array_position(part) {
            let elements = &mut self.nodes[node].elements;
            let at = elements.partition_point(|&(earlier, _)| earlier < position);
            elements.insert(at, (position, child as u32));
        }
        child
    }

    fn member(&mut self, node: usize, name: &[u8], child: u32) -> u32 {
        let start = self.written.len() as u32;
        if !name.iter().any(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
            self.written.push(b'"');
            self.written.extend_from_slice(name);
            self.written.extend_from_slice(b"\":");
        }
        let member = self.members.len() as u32;
        let written = (start, self.written.len() as u32);
        self.members.push(Member { node: child, next: NONE, seen_in: 0, leaf: NONE, written });
        self.nodes[node].names.insert(name.into(), member);
        member
    }

    /// The member of this name in the node's object.
    #[inline]
    pub fn find(&self, node: usize, name: &[u8]) -> Option<u32> {
        self.nodes[node].names.get(name).copied()
    }

    /// Remembers a name that nobody asked for, so that it can be guessed; `NONE` beyond the
    /// maximum.
    pub fn learn(&mut self, node: usize, name: &[u8]) -> u32 {
        if self.nodes[node].learned == LEARNED_MAX || name.len() > LEARNED_BYTES_MAX {
            return NONE;
        }
        self.nodes[node].learned += 1;
        self.member(node, name, NONE)
    }

    /// How many bytes the member's name and colon take if they stand, plainly written, at the
    /// start of `bytes`; 0 if they do not.
    #[inline]
    pub fn stands_at(&self, member: u32, bytes: &[u8]) -> usize {
        let (start, end) = self.members[member as usize].written;
        let written = &self.written[start as usize..end as usize];
        match bytes.get(..written.len()) {
            Some(found) if same(found, written) => written.len(),
            _ => 0,
        }
    }

    /// Settles which members are leaves, after all places were asked for.
    pub fn finish(&mut self) {
        for member in 0..self.members.len() {
            let node = self.members[member].node as usize;
            let found = &self.nodes[node];
            let plain = found.first == NONE && found.elements.is_empty() && !found.is_rows;
            self.members[member].leaf = if plain { found.slot } else { NONE };
        }
    }

    /// Nodes of everything directly below a node.
    pub fn children(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        let members = self.nodes[node].names.values();
        members
            .map(|&member| self.members[member as usize].node)
            .filter(|&node| node != NONE)
            .map(|node| node as usize)
    }
}

/// RFC 6901: digits without a leading zero.
fn array_position(part: &str) -> Option<u32> {
    let leading_zero = part.len() > 1 && part.starts_with('0');
    (!leading_zero && part.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| part.parse().ok())
        .flatten()
}

/// Equality of two texts of the same length, eight bytes at a time: for names, a call of `memcmp`
/// costs more than the comparison.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    // Names often differ at their end only.
    if a.last_chunk::<8>() != b.last_chunk::<8>() {
        return false;
    }
    let (a_chunks, a_rest) = a.as_chunks::<8>();
    let (b_chunks, b_rest) = b.as_chunks::<8>();
    let mut chunks = a_chunks.iter().zip(b_chunks);
    chunks.all(|(a, b)| a == b) && (!a_chunks.is_empty() || a_rest.iter().eq(b_rest))
}
