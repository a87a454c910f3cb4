//! Which partitioner a topic's keys were placed by: the defaults of the common clients.

/// Keyed records looked at, at most.
const LOOK_AT: u32 = 2_000;
/// Fewer say nothing.
const ENOUGH: u32 = 50;

/// A way to place a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partitioner {
    /// The Java client's default.
    Murmur2,
    /// librdkafka's default (Python, Rust, .NET, PHP).
    Crc32,
    /// Sarama's default (Go).
    Fnv1a,
}

impl Partitioner {
    pub const ALL: [Self; 3] = [Self::Murmur2, Self::Crc32, Self::Fnv1a];

    /// Where the key goes among so many partitions.
    pub fn place(self, key: &[u8], partitions: i32) -> i32 {
        let positive = |hash: u32| i64::from(hash & 0x7fff_ffff);
        let hash = match self {
            Self::Murmur2 => positive(murmur2(key)),
            Self::Crc32 => i64::from(crc32fast::hash(key)),
            Self::Fnv1a => i64::from(fnv1a(key).cast_signed()).abs(),
        };
        (hash % i64::from(partitions.max(1))) as i32
    }

    /// The name in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Murmur2 => "murmur2 (the Java client's default)",
            Self::Crc32 => "CRC32 (librdkafka's default)",
            Self::Fnv1a => "FNV-1a (Sarama's default)",
        }
    }
}

/// What the first keyed records of a topic say.
#[derive(Clone, Debug, Default)]
pub struct Placement {
    looked_at: u32,
    agree: [u32; 3],
}

impl Placement {
    /// A record with this key lies in this partition.
    pub fn look(&mut self, key: &[u8], partition: i32, partitions: i32) {
        if self.looked_at < LOOK_AT && partitions > 1 {
            self.looked_at += 1;
            for (agree, partitioner) in self.agree.iter_mut().zip(Partitioner::ALL) {
                *agree += u32::from(partitioner.place(key, partitions) == partition);
            }
        }
    }

    /// The partitioner that explains nearly all of them.
    pub fn partitioner(&self) -> Option<Partitioner> {
        let nearly = |agree: u32| agree >= ENOUGH && agree * 100 >= self.looked_at * 98;
        Partitioner::ALL.into_iter().zip(self.agree).find(|(_, a)| nearly(*a)).map(|(p, _)| p)
    }
}

/// MurmurHash2 as in `org.apache.kafka.common.utils.Utils`.
fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ key.len() as u32;
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (at, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * at);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

fn fnv1a(key: &[u8]) -> u32 {
    key.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_is_the_java_clients() {
        // From the Java client's own test, UtilsTest.testMurmur2.
        let cases: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (key, hash) in cases {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn a_few_keys_tell_the_partitioner() {
        for partitioner in Partitioner::ALL {
            let mut placement = Placement::default();
            for n in 0..60 {
                let key = format!("id-{n}");
                placement.look(key.as_bytes(), partitioner.place(key.as_bytes(), 8), 8);
            }
            assert_eq!(placement.partitioner(), Some(partitioner));
        }
        let mut scattered = Placement::default();
        (0..500).for_each(|n: i32| scattered.look(&n.to_le_bytes(), n % 8, 8));
        assert_eq!(scattered.partitioner(), None);
    }
}
