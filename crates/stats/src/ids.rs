//! Ids that name one use of a slot, and fit what JavaScript counts exactly.

use std::fmt;

const SLOT_BITS: u32 = 24;
/// Slots there can be of a kind.
pub const SLOTS_MAX: usize = 1 << SLOT_BITS;
const USES: u32 = 1 << 28;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u64);

        impl $name {
            pub(crate) fn new(slot: u32, used: u32) -> Self {
                Self(u64::from(used % USES) << SLOT_BITS | u64::from(slot))
            }

            /// From what [`Self::number`] gave, or from anything.
            pub fn from_number(number: u64) -> Self {
                Self(number)
            }

            /// Below 2^52.
            pub fn number(self) -> u64 {
                self.0
            }

            #[inline]
            pub(crate) fn slot(self) -> usize {
                self.0 as usize & (SLOTS_MAX - 1)
            }

            #[inline]
            pub(crate) fn used(self) -> u64 {
                self.0 >> SLOT_BITS
            }

            /// Whether it is of this use.
            #[inline]
            pub(crate) fn is_of(self, used: u32) -> bool {
                self.used() == u64::from(used % USES)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({}/{})", stringify!($name), self.slot(), self.used())
            }
        }
    };
}

id!(
    /// A tuple's flow.
    FlowId
);
id!(
    /// A (host, port).
    DestinationId
);
