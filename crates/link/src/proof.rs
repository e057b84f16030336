//! The frames in which both sides prove who they are: `type u8 | length u16 | content`, as control frames are.

use wayfare_types::{NodeId, Reason};

/// `id 32 | nonce 32`, of the dialler.
pub(crate) const HELLO: u8 = 0x41;
/// `id 32 | nonce 32 | binding 32 | signature 64`, of the acceptor.
pub(crate) const PROOF: u8 = 0x42;
/// `signature 64`, of the dialler.
pub(crate) const ANSWER: u8 = 0x43;

const PREFIX: usize = 3;

const fn content_bytes(kind: u8) -> usize {
    match kind {
        HELLO => 64,
        PROOF => 160,
        _ => 64,
    }
}

pub(crate) fn frame(kind: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(&(content_bytes(kind) as u16).to_be_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// What both sign, each under a name of its own, so that neither's signature serves as the other's.
pub(crate) struct Transcript {
    pub dialler: NodeId,
    pub acceptor: NodeId,
    pub dialler_nonce: [u8; 32],
    pub acceptor_nonce: [u8; 32],
    pub binding: [u8; 32],
}

impl Transcript {
    pub fn as_acceptor(&self) -> Vec<u8> {
        self.under(b"wayfare link 1 acceptor")
    }

    pub fn as_dialler(&self) -> Vec<u8> {
        self.under(b"wayfare link 1 dialler")
    }

    fn under(&self, name: &[u8]) -> Vec<u8> {
        let Self { dialler, acceptor, dialler_nonce, acceptor_nonce, binding } = self;
        [name, &dialler.0, &acceptor.0, dialler_nonce, acceptor_nonce, binding].concat()
    }
}

pub(crate) fn read_hello(content: &[u8]) -> Option<(NodeId, [u8; 32])> {
    let (id, rest) = content.split_first_chunk()?;
    Some((NodeId(*id), rest.try_into().ok()?))
}

pub(crate) struct Proof {
    pub acceptor: NodeId,
    pub nonce: [u8; 32],
    pub binding: [u8; 32],
    pub signature: [u8; 64],
}

pub(crate) fn read_proof(content: &[u8]) -> Option<Proof> {
    let (id, rest) = content.split_first_chunk()?;
    let (nonce, rest) = rest.split_first_chunk()?;
    let (binding, rest) = rest.split_first_chunk()?;
    Some(Proof { acceptor: NodeId(*id), nonce: *nonce, binding: *binding, signature: rest.try_into().ok()? })
}

/// Cuts the stream into frames of the one kind that may come next.
#[derive(Default)]
pub(crate) struct Frames {
    held: Vec<u8>,
}

impl Frames {
    /// Consumes from the front of `input` up to the end of the frame; `None` when all was consumed and more is needed.
    pub fn next(&mut self, kind: u8, input: &mut &[u8]) -> Result<Option<Vec<u8>>, Reason> {
        if !self.fill(PREFIX, input) {
            return Ok(None);
        }
        let length = content_bytes(kind);
        if self.held[0] != kind || usize::from(u16::from_be_bytes([self.held[1], self.held[2]])) != length {
            return Err(Reason::ControlMalformed);
        }
        if !self.fill(PREFIX + length, input) {
            return Ok(None);
        }
        Ok(Some(std::mem::take(&mut self.held).split_off(PREFIX)))
    }

    fn fill(&mut self, want: usize, input: &mut &[u8]) -> bool {
        let (head, rest) = input.split_at(want.saturating_sub(self.held.len()).min(input.len()));
        self.held.extend_from_slice(head);
        *input = rest;
        self.held.len() >= want
    }
}
