//! Reads a payload once, checks all of it, and notes where the wanted values stand.

use super::scan::{DEPTH_MAX, Fault, Kind, Scanned, Scanner, unescape};
use super::shape::{Member, NONE, Place, RECORD_ROOT, ROW_ROOT, Shape};
use crate::engine::event::RefusalReason;

/// A longer payload is refused as `TooLarge`.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;
/// A record with more rows is refused as a whole, as `TooLarge`.
pub const ROWS_MAX: u32 = 10_000;
/// Slots that are kept allocated between records.
const SLOTS_KEPT: usize = 1 << 16;

/// What stands at a wanted place: a string's range is without its quotes.
#[derive(Clone, Copy)]
struct Slot {
    kind: Kind,
    start: u32,
    end: u32,
    /// The nearest double, of a number.
    number: f64,
}

/// Stands for the member before an object's first one.
const START: u32 = NONE - 1;

const MISSING: Slot = Slot { kind: Kind::Missing, start: 0, end: 0, number: f64::NAN };

/// Holds what the last payload had at the wanted places.
pub(super) struct Reader {
    shape: Shape,
    /// Those of the record, then those of each row.
    slots: Vec<Slot>,
    rows: u32,
    rows_kind: Kind,
    /// How many objects were read, ever.
    objects: u64,
    name: String,
}

/// A value as it stands in the payload, key or header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    pub kind: Kind,
    /// A string without its quotes, everything else as written; empty if missing.
    pub raw: &'a str,
    /// The nearest double, of a number.
    pub number: f64,
}

impl Value<'static> {
    pub const MISSING: Self = Self { kind: Kind::Missing, raw: "", number: f64::NAN };
}

/// A payload that was read.
#[derive(Clone, Copy)]
pub(super) struct Document<'a> {
    text: &'a str,
    slots: &'a [Slot],
    record_slots: usize,
    row_slots: usize,
    /// How many rows the array of rows has; 0 if there is none.
    pub rows: u32,
    /// What stands where the rows should be.
    pub rows_kind: Kind,
}

impl<'a> Document<'a> {
    /// The value at a place, for the row.
    #[inline]
    pub fn get(&self, place: Place, row: u32) -> Value<'a> {
        let base = if place.in_row { self.record_slots + row as usize * self.row_slots } else { 0 };
        let slot = self.slots[base + place.slot as usize];
        let raw = self.text.get(slot.start as usize..slot.end as usize).unwrap_or("");
        Value { kind: slot.kind, raw, number: slot.number }
    }
}

impl Reader {
    pub fn new(mut shape: Shape) -> Self {
        shape.finish();
        Self {
            shape,
            slots: Vec::new(),
            rows: 0,
            rows_kind: Kind::Missing,
            objects: 0,
            name: String::new(),
        }
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// It is too long, not UTF-8, not JSON, too deep, or has too many rows.
    pub fn read<'a>(&'a mut self, payload: &'a [u8]) -> Result<Document<'a>, Fault> {
        let text = check_text(payload)?;
        let record_slots = self.shape.record_slots as usize;
        self.slots.clear();
        self.slots.shrink_to(SLOTS_KEPT);
        self.slots.resize(record_slots, MISSING);
        self.rows = 0;
        self.rows_kind = Kind::Missing;
        let mut walk = Walk { scan: Scanner::new(text), base: 0, reader: self };
        walk.document().map_err(|_| walk.scan.why())?;
        Ok(Document {
            text,
            slots: &self.slots,
            record_slots,
            row_slots: self.shape.row_slots as usize,
            rows: self.rows,
            rows_kind: self.rows_kind,
        })
    }
}

fn check_text(payload: &[u8]) -> Result<&str, Fault> {
    let fault = |reason, at, what| Err(Fault { reason, at, what });
    if payload.len() > PAYLOAD_BYTES_MAX {
        return fault(RefusalReason::TooLarge, 0, "longer than 16 MiB");
    }
    match std::str::from_utf8(payload) {
        Ok(text) if text.starts_with('\u{FEFF}') => {
            fault(RefusalReason::Malformed, 0, "a byte order mark")
        }
        Ok(text) => Ok(text),
        Err(wrong) => fault(RefusalReason::Malformed, wrong.valid_up_to(), "not UTF-8"),
    }
}

/// One walk through a payload. Recursion follows configured pointers only, so it is bounded by
/// their length; everything else is read by the scanner's loop.
struct Walk<'a, 'r> {
    scan: Scanner<'a>,
    /// Slot 0 of the record or row that is being read.
    base: usize,
    reader: &'r mut Reader,
}

impl Walk<'_, '_> {
    fn document(&mut self) -> Scanned<()> {
        self.scan.skip_space();
        self.value(RECORD_ROOT, 0)?;
        self.scan.skip_space();
        match self.scan.at == self.scan.bytes.len() {
            true => Ok(()),
            false => self.scan.fault("something behind the end"),
        }
    }

    /// The value of a node, at its first byte, `depth` containers being open already.
    fn value(&mut self, node: usize, depth: usize) -> Scanned<()> {
        let start = self.scan.at;
        let found = &self.reader.shape.nodes[node];
        let (slot, is_rows) = (found.slot, found.is_rows);
        let (kind, number) = match self.scan.peek() {
            b'{' if found.first != NONE => {
                self.object(node, depth)?;
                (Kind::Object, f64::NAN)
            }
            b'[' if is_rows => {
                self.rows(depth)?;
                (Kind::Array, f64::NAN)
            }
            b'[' if !found.elements.is_empty() => {
                self.array(node, depth)?;
                (Kind::Array, f64::NAN)
            }
            _ => self.scan.wanted(depth)?,
        };
        if is_rows {
            self.reader.rows_kind = kind;
        }
        if slot != NONE {
            self.note(slot, kind, start, number);
        }
        Ok(())
    }

    /// A value that is wanted as it is.
    #[inline]
    fn leaf(&mut self, slot: u32, depth: usize) -> Scanned<()> {
        let start = self.scan.at;
        let (kind, number) = self.scan.wanted(depth)?;
        self.note(slot, kind, start, number);
        Ok(())
    }

    #[inline]
    fn note(&mut self, slot: u32, kind: Kind, start: usize, number: f64) {
        let quote = usize::from(matches!(kind, Kind::Text | Kind::Escaped));
        // A payload is shorter than 4 GiB.
        let (start, end) = ((start + quote) as u32, (self.scan.at - quote) as u32);
        self.reader.slots[self.base + slot as usize] = Slot { kind, start, end, number };
    }

    fn object(&mut self, node: usize, depth: usize) -> Scanned<()> {
        if depth == DEPTH_MAX {
            return self.scan.too_deep();
        }
        self.scan.at += 1;
        self.scan.skip_space();
        if self.scan.peek() == b'}' {
            self.scan.at += 1;
            return Ok(());
        }
        self.reader.objects += 1;
        let object = self.reader.objects;
        let mut last = START;
        let mut guess = self.reader.shape.nodes[node].first;
        loop {
            let member = self.member(node, last, guess)?;
            self.scan.skip_space();
            last = member;
            guess = NONE;
            if member == NONE {
                self.scan.value(depth + 1)?;
            } else {
                let found = &mut self.reader.shape.members[member as usize];
                guess = found.next;
                let Member { node: child, leaf, .. } = *found;
                let repeated = found.seen_in == object;
                found.seen_in = object;
                if leaf != NONE {
                    self.leaf(leaf, depth + 1)?;
                } else if child == NONE {
                    self.scan.value(depth + 1)?;
                } else {
                    if repeated {
                        self.forget(child as usize);
                    }
                    self.value(child as usize, depth + 1)?;
                }
            }
            self.scan.skip_space();
            match self.scan.peek() {
                b',' => self.scan.at += 1,
                b'}' => {
                    self.scan.at += 1;
                    return Ok(());
                }
                _ => return self.scan.fault("expected `,` or `}`"),
            }
            self.scan.skip_space();
        }
    }

    /// A member's name and colon: the guess if it stands here, else looked up. `NONE`: nobody asks
    /// for it.
    #[inline]
    fn member(&mut self, node: usize, last: u32, guess: u32) -> Scanned<u32> {
        if guess != NONE {
            let rest = self.scan.bytes.get(self.scan.at..).unwrap_or_default();
            let length = self.reader.shape.stands_at(guess, rest);
            if length > 0 {
                self.scan.at += length;
                return Ok(guess);
            }
        }
        let member = self.unexpected_member(node, last)?;
        self.scan.colon()?;
        Ok(member)
    }

    fn unexpected_member(&mut self, node: usize, last: u32) -> Scanned<u32> {
        let start = self.scan.at + 1;
        let escaped = self.scan.string()?;
        let reader = &mut *self.reader;
        let mut name = &self.scan.bytes[start..self.scan.at - 1];
        if escaped {
            reader.name.clear();
            unescape(std::str::from_utf8(name).unwrap_or(""), &mut reader.name);
            name = reader.name.as_bytes();
        }
        let member = match reader.shape.find(node, name) {
            Some(member) => member,
            None if escaped => NONE,
            None => reader.shape.learn(node, name),
        };
        if member != NONE {
            match last {
                NONE => {}
                START => reader.shape.nodes[node].first = member,
                last => reader.shape.members[last as usize].next = member,
            }
        }
        Ok(member)
    }

    /// A name came twice in an object: the last one counts, as in a map, so that nothing of the
    /// earlier value may stay.
    #[cold]
    fn forget(&mut self, node: usize) {
        let found = &self.reader.shape.nodes[node];
        if found.slot != NONE {
            self.reader.slots[self.base + found.slot as usize] = MISSING;
        }
        if found.is_rows {
            self.reader.rows = 0;
            self.reader.rows_kind = Kind::Missing;
            self.reader.slots.truncate(self.reader.shape.record_slots as usize);
        }
        for child in self.reader.shape.children(node).collect::<Vec<_>>() {
            self.forget(child);
        }
    }

    /// An array of which single elements are wanted.
    fn array(&mut self, node: usize, depth: usize) -> Scanned<()> {
        let mut next = 0;
        self.elements(depth, |walk, position| {
            let elements = &walk.reader.shape.nodes[node].elements;
            match elements.get(next) {
                Some(&(wanted, child)) if wanted == position => {
                    next += 1;
                    walk.value(child as usize, depth + 1)
                }
                _ => walk.scan.value(depth + 1).map(|_| ()),
            }
        })
    }

    fn rows(&mut self, depth: usize) -> Scanned<()> {
        let (record_slots, row_slots) =
            (self.reader.shape.record_slots as usize, self.reader.shape.row_slots as usize);
        let outcome = self.elements(depth, |walk, row| {
            if row == ROWS_MAX {
                let what = "more than 10000 rows in one record";
                return walk.scan.stop(RefusalReason::TooLarge, what);
            }
            walk.base = record_slots + row as usize * row_slots;
            walk.reader.slots.resize(walk.base + row_slots, MISSING);
            walk.reader.rows = row + 1;
            walk.value(ROW_ROOT, depth + 1)
        });
        self.base = 0;
        outcome
    }

    /// Calls `element` at the first byte of every element of an array.
    #[inline]
    fn elements(
        &mut self,
        depth: usize,
        mut element: impl FnMut(&mut Self, u32) -> Scanned<()>,
    ) -> Scanned<()> {
        if depth == DEPTH_MAX {
            return self.scan.too_deep();
        }
        self.scan.at += 1;
        self.scan.skip_space();
        if self.scan.peek() == b']' {
            self.scan.at += 1;
            return Ok(());
        }
        for position in 0.. {
            element(self, position)?;
            self.scan.skip_space();
            match self.scan.peek() {
                b',' => self.scan.at += 1,
                b']' => break,
                _ => return self.scan.fault("expected `,` or `]`"),
            }
            self.scan.skip_space();
        }
        self.scan.at += 1;
        Ok(())
    }
}
