//! Counts of bins that serialize small: most bins of a short stretch of time are empty or nearly
//! so.

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// More bins than any layout has; a longer row of counts is not ours.
const COUNTS_MAX: usize = 1 << 20;

/// One count a bin; empty as long as nothing was counted.
///
/// Serialized as bytes: the length, then for each bin its count in LEB128 (seven bits a byte, low
/// ones first), where a zero is followed by how many more zeros come after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(Vec<u64>);

impl Counts {
    pub fn as_slice(&self) -> &[u64] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The counts to add to, made `bins` long if nothing was counted yet.
    pub(super) fn for_bins(&mut self, bins: usize) -> &mut [u64] {
        if self.0.is_empty() {
            self.0.resize(bins, 0);
        }
        assert_eq!(self.0.len(), bins, "a sketch is only used with the layout that it began with");
        &mut self.0
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if other.0.is_empty() {
            return;
        }
        for (count, more) in self.for_bins(other.0.len()).iter_mut().zip(&other.0) {
            *count += more;
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 + self.0.len());
        push_varint(&mut bytes, self.0.len() as u64);
        let mut at = 0;
        while at < self.0.len() {
            push_varint(&mut bytes, self.0[at]);
            at += 1;
            if self.0[at - 1] == 0 {
                let zeros = self.0[at..].iter().take_while(|&&count| count == 0).count();
                push_varint(&mut bytes, zeros as u64);
                at += zeros;
            }
        }
        bytes
    }

    /// `None` if the bytes are not what `encode` writes.
    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let len = usize::try_from(take_varint(&mut bytes)?).ok().filter(|&n| n <= COUNTS_MAX)?;
        let mut counts = Vec::with_capacity(len);
        while counts.len() < len {
            let count = take_varint(&mut bytes)?;
            counts.push(count);
            if count == 0 {
                let zeros = usize::try_from(take_varint(&mut bytes)?).ok()?;
                if zeros > len - counts.len() {
                    return None;
                }
                counts.resize(counts.len() + zeros, 0);
            }
        }
        bytes.is_empty().then_some(Self(counts))
    }
}

fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.encode())
    }
}

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(CountsVisitor)
    }
}

struct CountsVisitor;

impl<'de> Visitor<'de> for CountsVisitor {
    type Value = Counts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes of a row of counts")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Counts, E> {
        Counts::decode(bytes).ok_or_else(|| E::custom("a row of counts is damaged"))
    }

    /// Formats without bytes (JSON) write a list of numbers.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Counts, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = list.next_element::<u8>()? {
            if bytes.len() > 11 * COUNTS_MAX {
                return Err(A::Error::custom("a row of counts is too long"));
            }
            bytes.push(byte);
        }
        self.visit_bytes(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_back_from_bytes_as_they_went_and_damaged_bytes_are_refused() {
        for counts in [
            vec![],
            vec![0; 300],
            vec![7],
            vec![0, 1, 0, 0, u64::MAX, 127, 128, 0],
            (0..258).map(|i| i * 1_000_003).collect(),
        ] {
            let counts = Counts(counts);
            let bytes = counts.encode();
            assert_eq!(Counts::decode(&bytes), Some(counts));
            for len in 0..bytes.len() {
                assert_eq!(Counts::decode(&bytes[..len]), None);
            }
        }
        assert_eq!(Counts(vec![0; 300]).encode().len(), 5);
        assert_eq!(Counts::decode(&[0xff; 20]), None);
        assert_eq!(Counts::decode(&[3, 0, 3]), None);
    }
}
