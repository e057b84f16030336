//! What a hop reads of its set-up: `version, suite, class, role u8 each | next hop 32 | client's ephemeral 32 | minute u32
//! | zeros`, 112 bytes.

use wayfare_types::{NodeId, Reason};
use wayfare_wire::SizeClass;

use super::VERSION;
use crate::Suite;

pub const INFO_BYTES: usize = 112;
const USED: usize = 72;
/// How far a set-up's minute may be from the hop's own clock.
pub const MINUTES: u32 = 3;

const RELAY: u8 = 1;
const EXIT: u8 = 2;

/// What a hop does for a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Forwards to the next hop.
    Relay { next: NodeId },
    /// Ends the circuit.
    Exit,
}

/// An info, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    pub suite: Suite,
    pub class: SizeClass,
    pub role: Role,
    pub client_ephemeral: [u8; 32],
    pub minute: u32,
}

impl Info {
    pub fn to_bytes(self) -> [u8; INFO_BYTES] {
        let (role, next) = match self.role {
            Role::Relay { next } => (RELAY, next.0),
            Role::Exit => (EXIT, [0; 32]),
        };
        let mut out = [0; INFO_BYTES];
        out[..4].copy_from_slice(&[VERSION, self.suite.code(), self.class.code(), role]);
        out[4..36].copy_from_slice(&next);
        out[36..68].copy_from_slice(&self.client_ephemeral);
        out[68..USED].copy_from_slice(&self.minute.to_be_bytes());
        out
    }

    /// The info in these bytes; they are authentic, but their author may be anyone.
    pub fn parse(bytes: &[u8; INFO_BYTES]) -> Result<Self, Reason> {
        let [version, suite, class, role, rest @ ..] = *bytes;
        if version != VERSION {
            return Err(Reason::SetupVersion);
        }
        let suite = Suite::from_code(suite).ok_or(Reason::SetupSuite)?;
        let class = SizeClass::from_code(class).ok_or(Reason::SetupMalformed)?;
        let (mut next, mut client_ephemeral, mut minute) = ([0; 32], [0; 32], [0; 4]);
        next.copy_from_slice(&rest[..32]);
        client_ephemeral.copy_from_slice(&rest[32..64]);
        minute.copy_from_slice(&rest[64..68]);
        let role = match role {
            RELAY => Role::Relay { next: NodeId(next) },
            EXIT if next == [0; 32] => Role::Exit,
            _ => return Err(Reason::SetupMalformed),
        };
        if rest[68..].iter().any(|&b| b != 0) {
            return Err(Reason::SetupMalformed);
        }
        Ok(Self { suite, class, role, client_ephemeral, minute: u32::from_be_bytes(minute) })
    }

    /// Refuses a minute that is too far from ours, or before what this node remembers set-ups from.
    pub fn check_minute(&self, now_minute: u32, oldest_minute: u32) -> Result<(), Reason> {
        if self.minute.abs_diff(now_minute) > MINUTES || self.minute < oldest_minute {
            return Err(Reason::SetupStale);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_parses_is_emitted_unchanged(
            head in (0..3u8, 0..5u8, 0..4u8, 0..4u8), next in prop_oneof![Just([0; 32]), any::<[u8; 32]>()],
            ephemeral: [u8; 32], minute: [u8; 4], stray in prop_oneof![9 => Just(0), 1 => any::<u8>()],
        ) {
            let mut bytes = [0; INFO_BYTES];
            bytes[..4].copy_from_slice(&[head.0, head.1, head.2, head.3]);
            bytes[4..36].copy_from_slice(&next);
            bytes[36..68].copy_from_slice(&ephemeral);
            bytes[68..72].copy_from_slice(&minute);
            bytes[100] = stray;
            match Info::parse(&bytes) {
                Ok(info) => prop_assert_eq!(info.to_bytes(), bytes),
                Err(Reason::SetupVersion) => prop_assert!(head.0 != VERSION),
                Err(Reason::SetupSuite) => prop_assert!(!(1..=3).contains(&head.1)),
                Err(reason) => prop_assert_eq!(reason, Reason::SetupMalformed),
            }
        }
    }
}
