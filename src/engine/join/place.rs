//! Where a held prediction's labels are, and whether its row has been counted, in four bytes.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bit 31: counted. The others: 0 for a row that waits, else one more than the slot of its labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place(u32);

impl Place {
    /// A row that waits and has been counted already: it took the place of one that had a label
    /// which it does not meet itself.
    pub const COUNTED: Self = Self(1 << 31);

    pub fn is_counted(self) -> bool {
        self.0 & Self::COUNTED.0 != 0
    }

    /// The slot of its labels; `None` while it waits.
    pub fn labels(self) -> Option<u32> {
        (self.0 & !Self::COUNTED.0).checked_sub(1)
    }

    /// The same with labels in a slot. (There are fewer slots than `pending_max` may be, 10^9.)
    pub fn with(self, slot: u32) -> Self {
        assert!(slot < Self::COUNTED.0 - 1, "pending_max bounds the rows, so also their labels");
        Self(self.0 & Self::COUNTED.0 | (slot + 1))
    }
}

/// In a checkpoint the labels are beside their row.
impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.is_counted().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bool::deserialize(deserializer)
            .map(|counted| if counted { Self::COUNTED } else { Self::default() })
    }
}
