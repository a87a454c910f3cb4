//! The bytes of one checkpoint object.
//!
//! All integers are little-endian. Every byte is under a checksum or compared with a constant, so
//! a cut, a flipped bit and a foreign file are told from a whole one. Of a later format version we
//! rely on three things only: the magic, the version, and that `header_len` bytes from the start
//! end with the xxh3-64 of all before it. So damage is never mistaken for a newer version.
//!
//! ```text
//! offset  size  field
//!      0     8  magic "TIDEMARK"
//!      8     4  format version, 1
//!     12     4  header_len: length of the header with its section table and checksum
//!     16     4  kind: 0 full, 1 delta, 2 claim
//!     20     4  number of sections
//!     24    16  nonce of the writer, drawn anew each time a lineage is opened
//!     40     8  epoch of the writer, one more than the newest before it
//!     48     8  seq: the object's own name
//!     56     8  base: seq of the full checkpoint this builds on (of itself, if full; 0: none)
//!     64     8  previous: seq of the checkpoint this delta continues (0: none)
//!     72     8  header checksum of `previous` (0: none)
//!     80    16  hash of the plan it was written under
//!     96     8  created, microseconds since 1970, for people only
//!    104     8  length of the whole object
//!    112    24  a section: id u32, zero u32, length u64, xxh3-64 of its bytes u64; repeated
//!            8  xxh3-64 of everything above
//!            -  the sections' bytes, in the table's order
//!            8  footer "KRAMEDIT"
//! ```

use crate::engine::time::Timestamp;
use bytes::{BufMut, Bytes, BytesMut};
use xxhash_rust::xxh3::xxh3_64;

pub const MAGIC: [u8; 8] = *b"TIDEMARK";
pub const FOOTER: [u8; 8] = *b"KRAMEDIT";
pub const VERSION: u32 = 1;
/// A checkpoint with more is refused when written, and taken as damaged when read.
pub const SECTIONS_MAX: usize = 1 << 20;
/// S3 takes 5 GiB in one put. A larger checkpoint is refused when written.
pub const OBJECT_BYTES_MAX: u64 = 4 << 30;

const FIXED_BYTES: usize = 112;
const TABLE_ROW_BYTES: usize = 24;
const CHECKSUM_BYTES: usize = 8;
/// A header of a later version may be this long before it is taken as damage.
const HEADER_BYTES_MAX: usize = FIXED_BYTES + TABLE_ROW_BYTES * SECTIONS_MAX + CHECKSUM_BYTES;

/// What a section holds; the numbers are the owner's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SectionId(pub u32);

/// What an object is in its lineage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Stands alone.
    Full,
    /// What changed since the checkpoint before it.
    Delta,
    /// No state: a new writer says that it is there, so that an older one is fenced.
    Claim,
}

/// Everything about a checkpoint but its sections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: Kind,
    pub nonce: u128,
    pub epoch: u64,
    pub seq: u64,
    /// The full checkpoint this builds on.
    pub base: Option<u64>,
    /// What this delta continues.
    pub previous: Option<Previous>,
    pub plan_hash: u128,
    /// For people; nothing is decided by it.
    pub created_at: Timestamp,
}

/// A checkpoint as another one names it: the checksum keeps a delta from continuing a namesake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Previous {
    pub seq: u64,
    pub checksum: u64,
}

/// Why bytes are not a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("it does not start as a checkpoint does")]
    Foreign,
    #[error("it is cut short")]
    Truncated,
    #[error("the checksum of its header is wrong")]
    Header,
    #[error("its header contradicts itself")]
    Contradiction,
    #[error("the checksum of its section {index} (id {}) is wrong", .id.0)]
    Section { index: usize, id: SectionId },
    #[error("it does not end as a checkpoint does")]
    Footer,
    #[error("it is a whole checkpoint of format {version}, and this program knows up to {VERSION}")]
    TooNew { version: u32 },
    #[error("it says that it is checkpoint {found}")]
    WrongName { found: u64 },
    #[error("it is larger than {OBJECT_BYTES_MAX} bytes")]
    TooLarge,
    #[error("it was listed but cannot be found")]
    Vanished,
    #[error("it continues checkpoint {0}, which is damaged or missing")]
    BrokenChain(u64),
}

/// One checkpoint as it was read.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    pub header: Header,
    pub sections: Vec<(SectionId, Bytes)>,
    /// Of the header: what a following delta refers to.
    pub checksum: u64,
    /// Length of the whole object.
    pub bytes: u64,
}

/// An object ready to be put: its header with the table, its sections, its footer.
pub struct Encoded {
    pub parts: Vec<Bytes>,
    pub checksum: u64,
    pub bytes: u64,
}

/// Lays out an object without copying its sections. `None` if it would exceed a maximum.
pub fn encode(header: &Header, sections: &[(SectionId, Bytes)]) -> Option<Encoded> {
    if sections.len() > SECTIONS_MAX {
        return None;
    }
    let header_len = FIXED_BYTES + TABLE_ROW_BYTES * sections.len() + CHECKSUM_BYTES;
    let body: u64 = sections.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    let bytes = header_len as u64 + body + FOOTER.len() as u64;
    if bytes > OBJECT_BYTES_MAX {
        return None;
    }
    let mut out = BytesMut::with_capacity(header_len);
    out.put_slice(&MAGIC);
    out.put_u32_le(VERSION);
    out.put_u32_le(u32::try_from(header_len).ok()?);
    out.put_u32_le(match header.kind {
        Kind::Full => 0,
        Kind::Delta => 1,
        Kind::Claim => 2,
    });
    out.put_u32_le(u32::try_from(sections.len()).ok()?);
    out.put_u128_le(header.nonce);
    out.put_u64_le(header.epoch);
    out.put_u64_le(header.seq);
    out.put_u64_le(header.base.unwrap_or(0));
    out.put_u64_le(header.previous.map_or(0, |previous| previous.seq));
    out.put_u64_le(header.previous.map_or(0, |previous| previous.checksum));
    out.put_u128_le(header.plan_hash);
    out.put_i64_le(header.created_at.0);
    out.put_u64_le(bytes);
    for (id, section) in sections {
        out.put_u32_le(id.0);
        out.put_u32_le(0);
        out.put_u64_le(section.len() as u64);
        out.put_u64_le(xxh3_64(section));
    }
    let checksum = xxh3_64(&out);
    out.put_u64_le(checksum);
    let mut parts = vec![out.freeze()];
    parts.extend(sections.iter().map(|(_, section)| section.clone()));
    parts.push(Bytes::from_static(&FOOTER));
    Some(Encoded { parts, checksum, bytes })
}

/// Reads a whole object; the sections share its memory.
pub fn decode(object: &Bytes) -> Result<Checkpoint, Damage> {
    let (header, table, checksum) = decode_header(object)?;
    let header_len = FIXED_BYTES + TABLE_ROW_BYTES * table.len() + CHECKSUM_BYTES;
    let mut at = header_len;
    let mut sections = Vec::with_capacity(table.len());
    for (index, row) in table.iter().enumerate() {
        // The header's checksum held, so a length beyond the end means a cut, not nonsense.
        let len = usize::try_from(row.len).map_err(|_| Damage::Truncated)?;
        let end = at.checked_add(len).ok_or(Damage::Truncated)?;
        if end > object.len() {
            return Err(Damage::Truncated);
        }
        let section = object.slice(at..end);
        if xxh3_64(&section) != row.checksum {
            return Err(Damage::Section { index, id: row.id });
        }
        sections.push((row.id, section));
        at = end;
    }
    match object.len() - at {
        rest if rest < FOOTER.len() => Err(Damage::Truncated),
        rest if rest > FOOTER.len() || object[at..] != FOOTER => Err(Damage::Footer),
        _ => Ok(Checkpoint { header, sections, checksum, bytes: object.len() as u64 }),
    }
}

/// What the first bytes of an object say that it is, its checksums unseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    pub kind: Kind,
    pub epoch: u64,
    pub plan_hash: u128,
    pub created_at: Timestamp,
}

/// `None` if the bytes are not a checkpoint's of this name, or too few.
pub fn outline_of(head: &[u8], seq: u64) -> Option<Outline> {
    if head.len() < FIXED_BYTES || head[..MAGIC.len()] != MAGIC {
        return None;
    }
    let mut fields = Cursor(&head[16..]);
    let kind = match fields.u32() {
        0 => Kind::Full,
        1 => Kind::Delta,
        2 => Kind::Claim,
        _ => return None,
    };
    fields.u32();
    fields.u128();
    let (epoch, name) = (fields.u64(), fields.u64());
    let (_base, _previous, _checksum) = (fields.u64(), fields.u64(), fields.u64());
    let plan_hash = fields.u128();
    let created_at = Timestamp(fields.u64() as i64);
    (name == seq).then_some(Outline { kind, epoch, plan_hash, created_at })
}

struct TableRow {
    id: SectionId,
    len: u64,
    checksum: u64,
}

/// Takes little-endian integers from the front; the caller has checked the length.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, rest) = self.0.split_first_chunk().expect("the header's length was checked");
        self.0 = rest;
        *head
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    fn u128(&mut self) -> u128 {
        u128::from_le_bytes(self.take())
    }
}

fn decode_header(object: &[u8]) -> Result<(Header, Vec<TableRow>, u64), Damage> {
    if object.len() < MAGIC.len() || object[..MAGIC.len()] != MAGIC {
        return Err(if MAGIC.starts_with(object) { Damage::Truncated } else { Damage::Foreign });
    }
    if object.len() < 16 {
        return Err(Damage::Truncated);
    }
    let mut start = Cursor(&object[MAGIC.len()..16]);
    let (version, header_len) = (start.u32(), start.u32() as usize);
    if !(16 + CHECKSUM_BYTES..=HEADER_BYTES_MAX).contains(&header_len) {
        return Err(Damage::Header);
    }
    if header_len > object.len() {
        return Err(Damage::Truncated);
    }
    let (covered, checksum) = object[..header_len].split_at(header_len - CHECKSUM_BYTES);
    let checksum = Cursor(checksum).u64();
    if xxh3_64(covered) != checksum {
        return Err(Damage::Header);
    }
    if version > VERSION {
        return Err(Damage::TooNew { version });
    }
    if version != VERSION || covered.len() < FIXED_BYTES {
        return Err(Damage::Contradiction);
    }
    let (header, table) = decode_fields(&covered[16..], object.len() as u64)?;
    Ok((header, table, checksum))
}

/// `fields` starts at offset 16 and is at least as long as the fixed part.
fn decode_fields(fields: &[u8], object_len: u64) -> Result<(Header, Vec<TableRow>), Damage> {
    let mut fields = Cursor(fields);
    let kind = match fields.u32() {
        0 => Kind::Full,
        1 => Kind::Delta,
        2 => Kind::Claim,
        _ => return Err(Damage::Contradiction),
    };
    let count = fields.u32() as usize;
    let (nonce, epoch, seq) = (fields.u128(), fields.u64(), fields.u64());
    let base = Some(fields.u64()).filter(|&base| base != 0);
    let previous = Previous { seq: fields.u64(), checksum: fields.u64() };
    let previous = Some(previous).filter(|previous| previous.seq != 0);
    let plan_hash = fields.u128();
    let created_at = Timestamp(fields.u64() as i64);
    let total = fields.u64();
    if fields.0.len() != count.saturating_mul(TABLE_ROW_BYTES) {
        return Err(Damage::Contradiction);
    }
    let links_fit = match kind {
        Kind::Full => base == Some(seq) && previous.is_none(),
        Kind::Delta => base.is_some_and(|base| base < seq) && previous.is_some(),
        Kind::Claim => count == 0,
    };
    if !links_fit || previous.is_some_and(|previous| previous.seq >= seq) {
        return Err(Damage::Contradiction);
    }
    let table = (0..count)
        .map(|_| {
            let id = SectionId(fields.u32());
            fields.u32();
            TableRow { id, len: fields.u64(), checksum: fields.u64() }
        })
        .collect();
    if object_len < total {
        return Err(Damage::Truncated);
    }
    if object_len > total {
        return Err(Damage::Footer);
    }
    let header = Header { kind, nonce, epoch, seq, base, previous, plan_hash, created_at };
    Ok((header, table))
}
