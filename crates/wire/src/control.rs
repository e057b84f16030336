//! Control frames of a link, on its one control stream: `type u8 | length u16 | content`.
//!
//! Invariant: the decoder never holds more than one frame of the largest type, and knows a frame's length before it
//! keeps a byte of its content. A set-up of any other size than five slots is an error that ends the link: that size is
//! what bounds the hops of a path.

use wayfare_types::Reason;

use crate::read::Reader;
use crate::{REPLY_BYTES, SETUP_BYTES};

const HELLO: u8 = 1;
const SETUP: u8 = 2;
const REPLY: u8 = 3;
const DESTROY: u8 = 4;
const FLOW: u8 = 5;
const CREDIT: u8 = 6;
const PREFIX: usize = 3;

/// A control frame.
#[allow(clippy::large_enum_variant, reason = "frames are rare and never stored")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// The first frame of either side: the packet versions it speaks, inclusive, and what else it can do.
    Hello { version_min: u8, version_max: u8, features: u32 },
    /// Opens a circuit. Packets that come back on it shall carry `back_cid`.
    Setup { back_cid: u32, message: Box<[u8; SETUP_BYTES]> },
    /// The circuit opened as `back_cid` stands; packets that go forward on it shall carry `forward_cid`.
    Reply { back_cid: u32, forward_cid: u32, message: [u8; REPLY_BYTES] },
    /// A circuit has ended. The id is the one that the receiver of this frame allocated.
    Destroy { cid: u32, reason: u8 },
    /// From now on the sender announces this class of credits per second on a circuit, away from itself: 0 is none, c from 1 to 8 is
    /// 1,000·4^(c − 1). The id is the one that the receiver of this frame allocated; 0 is the set-up that follows on this stream. For ends
    /// that say in HELLO that they keep accounts.
    Flow { cid: u32, class: u8 },
    /// What the receiver may spend at the sender, and what it is minted there per second: the sender's own view. Likewise.
    Credit { account: u64, increase: u64 },
}

impl Control {
    /// Appends the frame to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut frame = |kind: u8, parts: &[&[u8]]| {
            let length: usize = parts.iter().map(|p| p.len()).sum();
            out.reserve(PREFIX + length);
            out.push(kind);
            out.extend_from_slice(&(length as u16).to_be_bytes());
            parts.iter().for_each(|p| out.extend_from_slice(p));
        };
        match self {
            Self::Hello { version_min, version_max, features } => {
                frame(HELLO, &[&[*version_min, *version_max], &features.to_be_bytes()])
            }
            Self::Setup { back_cid, message } => frame(SETUP, &[&back_cid.to_be_bytes(), &message[..]]),
            Self::Reply { back_cid, forward_cid, message } => {
                frame(REPLY, &[&back_cid.to_be_bytes(), &forward_cid.to_be_bytes(), message])
            }
            Self::Destroy { cid, reason } => frame(DESTROY, &[&cid.to_be_bytes(), &[*reason]]),
            Self::Flow { cid, class } => frame(FLOW, &[&cid.to_be_bytes(), &[*class]]),
            Self::Credit { account, increase } => frame(CREDIT, &[&account.to_be_bytes(), &increase.to_be_bytes()]),
        }
    }

    fn content_bytes(kind: u8) -> Option<usize> {
        match kind {
            HELLO => Some(6),
            SETUP => Some(4 + SETUP_BYTES),
            REPLY => Some(8 + REPLY_BYTES),
            DESTROY | FLOW => Some(5),
            CREDIT => Some(16),
            _ => None,
        }
    }

    fn decode(kind: u8, content: &[u8]) -> Option<Self> {
        let mut r = Reader::new(content);
        match kind {
            HELLO => Some(Self::Hello { version_min: r.u8()?, version_max: r.u8()?, features: r.u32()? }),
            SETUP => Some(Self::Setup { back_cid: r.u32()?, message: Box::<[u8]>::from(r.rest()).try_into().ok()? }),
            REPLY => Some(Self::Reply { back_cid: r.u32()?, forward_cid: r.u32()?, message: r.array()? }),
            DESTROY => Some(Self::Destroy { cid: r.u32()?, reason: r.u8()? }),
            FLOW => Some(Self::Flow { cid: r.u32()?, class: r.u8()? }),
            CREDIT => Some(Self::Credit { account: r.u64()?, increase: r.u64()? }),
            _ => None,
        }
    }
}

/// Cuts a control stream into frames.
#[derive(Default)]
pub struct ControlDecoder {
    buffer: Vec<u8>,
    failed: Option<Reason>,
}

impl ControlDecoder {
    /// Consumes bytes from the front of `input` up to the end of the next frame. `Ok(None)` means that all of `input`
    /// was consumed and more is needed. After an error the stream is lost: every further call gives the same error.
    ///
    /// # Errors
    /// [`Reason::SetupSize`] for a set-up of another size; [`Reason::ControlMalformed`] for anything else that is wrong.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Control>, Reason> {
        if let Some(reason) = self.failed {
            return Err(reason);
        }
        let taken = self.advance(input);
        self.failed = taken.as_ref().err().copied();
        taken
    }

    fn advance(&mut self, input: &mut &[u8]) -> Result<Option<Control>, Reason> {
        if !self.fill(PREFIX, input) {
            return Ok(None);
        }
        let (kind, length) = (self.buffer[0], usize::from(u16::from_be_bytes([self.buffer[1], self.buffer[2]])));
        if Control::content_bytes(kind).ok_or(Reason::ControlMalformed)? != length {
            return Err(if kind == SETUP { Reason::SetupSize } else { Reason::ControlMalformed });
        }
        if !self.fill(PREFIX + length, input) {
            return Ok(None);
        }
        let frame = Control::decode(kind, &self.buffer[PREFIX..]).ok_or(Reason::ControlMalformed)?;
        // Set-ups are rare; an idle link should not keep six kilobytes for the next one.
        self.buffer = Vec::new();
        Ok(Some(frame))
    }

    fn fill(&mut self, want: usize, input: &mut &[u8]) -> bool {
        let take = want.saturating_sub(self.buffer.len()).min(input.len());
        let (head, rest) = input.split_at(take);
        self.buffer.extend_from_slice(head);
        *input = rest;
        self.buffer.len() >= want
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_control() -> impl Strategy<Value = Control> {
        prop_oneof![
            any::<(u8, u8, u32)>().prop_map(|(version_min, version_max, features)| Control::Hello {
                version_min,
                version_max,
                features
            }),
            any::<(u32, u8)>()
                .prop_map(|(back_cid, b)| Control::Setup { back_cid, message: Box::new([b; SETUP_BYTES]) }),
            any::<(u32, u32, u8)>().prop_map(|(back_cid, forward_cid, b)| Control::Reply {
                back_cid,
                forward_cid,
                message: [b; REPLY_BYTES]
            }),
            any::<(u32, u8)>().prop_map(|(cid, reason)| Control::Destroy { cid, reason }),
            any::<(u32, u8)>().prop_map(|(cid, class)| Control::Flow { cid, class }),
            any::<(u64, u64)>().prop_map(|(account, increase)| Control::Credit { account, increase }),
        ]
    }

    fn decode_in_pieces(bytes: &[u8], piece: usize) -> Result<Vec<Control>, Reason> {
        let (mut decoder, mut frames) = (ControlDecoder::default(), Vec::new());
        for mut chunk in bytes.chunks(piece) {
            while let Some(frame) = decoder.next(&mut chunk)? {
                frames.push(frame);
            }
            assert!(chunk.is_empty() && decoder.buffer.len() < PREFIX + 4 + SETUP_BYTES);
        }
        Ok(frames)
    }

    proptest! {
        #[test]
        fn frames_round_trip_in_any_pieces(frames in prop::collection::vec(any_control(), 0..5), piece in 1..9000usize) {
            let mut bytes = Vec::new();
            frames.iter().for_each(|f| f.encode(&mut bytes));
            prop_assert_eq!(decode_in_pieces(&bytes, piece), Ok(frames));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), piece in 1..40usize) {
            let _ = decode_in_pieces(&bytes, piece);
        }
    }

    #[test]
    fn wrong_sizes_end_the_stream() {
        for (bytes, reason) in [
            ([SETUP, 0x18, 0x63], Reason::SetupSize), // one byte short of 4 + 6240
            ([SETUP, 0x1d, 0x44], Reason::SetupSize), // six slots
            ([HELLO, 0, 7], Reason::ControlMalformed),
            ([FLOW, 0, 4], Reason::ControlMalformed),
            ([CREDIT, 0, 17], Reason::ControlMalformed),
            ([9, 0, 0], Reason::ControlMalformed),
        ] {
            let mut decoder = ControlDecoder::default();
            assert_eq!(decoder.next(&mut &bytes[..]), Err(reason));
            assert_eq!(decoder.next(&mut &[HELLO, 0, 6, 1, 1, 0, 0, 0, 0][..]), Err(reason));
        }
    }
}
