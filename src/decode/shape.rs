//! Which places of a payload somebody asks for: a trie of the configured pointers.
//!
//! Each place that is wanted has a slot, into which the reader writes the kind and the range of what
//! stands there. There are two tries when a record carries rows: one for the record, one for a row.
//!
//! Members usually come in the order of the last record, so every member remembers which one followed
//! it, and the reader compares the next name with that one first. This is a guess: it decides how fast
//! a name is found, never what is found.

use super::selector::JsonPointer;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// No member, no child, no slot.
pub(super) const NONE: u32 = u32::MAX;
/// Names that nobody asked for are remembered up to this many in an object; others are still read, but
/// never guessed.
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
    names: HashMap<Box<str>, u32, FixedState>,
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
    /// Its name as it is normally written, quotes included: a range of `Shape::written`. Empty if it
    /// cannot be written without escapes.
    written: (u32, u32),
}

pub(super) struct Shape {
    pub nodes: Vec<Node>,
    pub members: Vec<Member>,
    /// Names as written, quotes included, one after the other.
    written: String,
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
            written: String::new(),
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

    /// The node of one more part. A part that can be a position leads to the same node in an array.
    fn step(&mut self, node: usize, part: &str) -> usize {
        if let Some(&member) = self.nodes[node].names.get(part) {
            return self.members[member as usize].node as usize;
        }
        let child = self.node();
        let member = self.member(node, part, child as u32);
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

    fn member(&mut self, node: usize, name: &str, child: u32) -> u32 {
        let start = self.written.len() as u32;
        if !name.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
            self.written.push('"');
            self.written.push_str(name);
            self.written.push('"');
        }
        let member = self.members.len() as u32;
        let written = (start, self.written.len() as u32);
        self.members.push(Member { node: child, next: NONE, seen_in: 0, written });
        self.nodes[node].names.insert(name.into(), member);
        member
    }

    /// The member of this name in the node's object.
    pub fn find(&self, node: usize, name: &str) -> Option<u32> {
        self.nodes[node].names.get(name).copied()
    }

    /// Remembers a name that nobody asked for, so that it can be guessed; `NONE` beyond the maximum.
    pub fn learn(&mut self, node: usize, name: &str) -> u32 {
        if self.nodes[node].learned == LEARNED_MAX || name.len() > LEARNED_BYTES_MAX {
            return NONE;
        }
        self.nodes[node].learned += 1;
        self.member(node, name, NONE)
    }

    /// The member's name as written, quotes included; empty if there is no plain way to write it.
    #[inline]
    pub fn written(&self, member: u32) -> &[u8] {
        let (start, end) = self.members[member as usize].written;
        &self.written.as_bytes()[start as usize..end as usize]
    }

    /// Nodes of everything directly below a node.
    pub fn children(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        let members = self.nodes[node].names.values();
        members
            .map(|&member| self.members[member as usize].node)
            .filter(|&node| node != NONE)
            .map(|node| node as usize)
    }

    /// Whether anything inside this place is wanted.
    pub fn has_members(&self, node: usize) -> bool {
        self.nodes[node].first != NONE
    }
}

/// RFC 6901: digits without a leading zero.
fn array_position(part: &str) -> Option<u32> {
    let leading_zero = part.len() > 1 && part.starts_with('0');
    (!leading_zero && part.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| part.parse().ok())
        .flatten()
}
