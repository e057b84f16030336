//! How a control stream begins a link: proof of both identities where the transport gives none, then HELLO, which agrees on
//! a version. What follows is the engine's (`Engine::handle_control`).
//!
//! Invariant: nothing is believed of a peer before it has signed our nonce and the certificate that our transport saw;
//! never more than one frame is held.
//!
//! Source: docs/decisions/0005. The proofs are a signed two-party authentication in the manner of SIGMA (Krawczyk, 2003)
//! without its key exchange, which TLS below has done; the certificate's hash binds the two together.

mod proof;

use wayfare_quic::tls::{self, Identity};
use wayfare_types::{NodeId, Reason};
use wayfare_wire::{Control, ControlDecoder};

use proof::{ANSWER, Frames, HELLO, PROOF, Proof, Transcript};

/// Link versions this node speaks, which are those of the packets on it.
pub const VERSION_MIN: u8 = 1;
/// See [`VERSION_MIN`].
pub const VERSION_MAX: u8 = 1;

/// A bit of HELLO's features: this end takes fast packets beside the session (docs/decisions/0008).
pub const FEATURE_FAST: u32 = 1;
/// Another: this end keeps accounts, and is to be told of flows (docs/decisions/0011).
pub const FEATURE_CREDIT: u32 = 2;

/// What the transport below has shown already.
#[derive(Clone, Debug)]
pub enum Begin {
    /// It has proven who is at the other end.
    Proven(NodeId),
    /// We dialled `peer`, and our transport accepts certificates of these hashes only; none where it cannot say.
    Dial { peer: NodeId, bindings: Vec<[u8; 32]>, nonce: [u8; 32] },
    /// Someone called. `binding` is our certificate's hash, or zeros without one.
    Accept { binding: [u8; 32], nonce: [u8; 32] },
}

/// A link that may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Up {
    /// Who is at the other end.
    pub peer: NodeId,
    /// The highest version both speak.
    pub version: u8,
    /// What both can do besides.
    pub features: u32,
}

enum State {
    /// A dialler waits for the acceptor's proof.
    Proof {
        peer: NodeId,
        bindings: Vec<[u8; 32]>,
        nonce: [u8; 32],
    },
    /// An acceptor waits to be told who calls.
    Caller {
        binding: [u8; 32],
        nonce: [u8; 32],
    },
    /// An acceptor waits for the caller's proof.
    Answer(Transcript),
    /// Both are known; a version remains.
    Version {
        peer: NodeId,
        decoder: ControlDecoder,
    },
    Done,
    Failed(Reason),
}

/// One side of a link's beginning.
pub struct LinkStart {
    own: NodeId,
    features: u32,
    state: State,
    frames: Frames,
}

fn say_hello(features: u32, out: &mut Vec<u8>) {
    Control::Hello { version_min: VERSION_MIN, version_max: VERSION_MAX, features }.encode(out);
}

impl LinkStart {
    /// Begins; `out` gets what goes out first. `features` is what this end can do over this transport.
    pub fn new(begin: Begin, own: NodeId, features: u32, out: &mut Vec<u8>) -> Self {
        let state = match begin {
            Begin::Proven(peer) if peer == own => State::Failed(Reason::LinkRefused),
            Begin::Dial { peer, .. } if peer == own => State::Failed(Reason::LinkRefused),
            Begin::Proven(peer) => {
                say_hello(features, out);
                State::Version { peer, decoder: ControlDecoder::default() }
            }
            Begin::Dial { peer, bindings, nonce } => {
                proof::frame(HELLO, &[&own.0, &nonce], out);
                State::Proof { peer, bindings, nonce }
            }
            Begin::Accept { binding, nonce } => State::Caller { binding, nonce },
        };
        Self { own, features, state, frames: Frames::default() }
    }

    /// Takes bytes off the control stream. `Ok(None)` means that more are needed; after `Up`, what is left of `input` is
    /// the engine's. After an error the stream is lost: every further call gives the same error.
    ///
    /// # Errors
    /// [`Reason::ControlMalformed`] for frames that are none; [`Reason::LinkRefused`] for another identity than expected, a
    /// proof that does not hold, a certificate that is not the one we named, or no version that both speak.
    pub fn take(&mut self, identity: &Identity, input: &mut &[u8], out: &mut Vec<u8>) -> Result<Option<Up>, Reason> {
        loop {
            if let State::Version { peer, decoder } = &mut self.state {
                let (peer, hello) = (*peer, decoder.next(input));
                match hello {
                    Ok(None) => return Ok(None),
                    Ok(Some(Control::Hello { version_min, version_max, features })) => {
                        let version = version_max.min(VERSION_MAX);
                        if version < version_min.max(VERSION_MIN) {
                            return self.fail(Reason::LinkRefused);
                        }
                        self.state = State::Done;
                        return Ok(Some(Up { peer, version, features: features & self.features }));
                    }
                    Ok(Some(_)) | Err(_) => return self.fail(Reason::ControlMalformed),
                }
            }
            let kind = match &self.state {
                State::Proof { .. } => PROOF,
                State::Caller { .. } => HELLO,
                State::Answer(_) => ANSWER,
                State::Failed(reason) => return Err(*reason),
                State::Done | State::Version { .. } => return Ok(None),
            };
            let next = match self.frames.next(kind, input) {
                Err(reason) => return self.fail(reason),
                Ok(None) => return Ok(None),
                Ok(Some(content)) => self.advance(identity, &content, out),
            };
            match next {
                Some(state) => self.state = state,
                None => return self.fail(Reason::LinkRefused),
            }
        }
    }

    fn fail(&mut self, reason: Reason) -> Result<Option<Up>, Reason> {
        self.state = State::Failed(reason);
        Err(reason)
    }

    /// The state after a whole frame; `None` when it shows that this peer is not to be linked to.
    fn advance(&mut self, identity: &Identity, content: &[u8], out: &mut Vec<u8>) -> Option<State> {
        match &self.state {
            State::Caller { binding, nonce } => {
                let (dialler, dialler_nonce) = proof::read_hello(content)?;
                if dialler == self.own {
                    return None;
                }
                let all = Transcript {
                    dialler,
                    acceptor: self.own,
                    dialler_nonce,
                    acceptor_nonce: *nonce,
                    binding: *binding,
                };
                let signature = identity.sign(&all.as_acceptor());
                proof::frame(PROOF, &[&self.own.0, nonce, binding, &signature], out);
                Some(State::Answer(all))
            }
            State::Proof { peer, bindings, nonce } => {
                let Proof { acceptor, nonce: acceptor_nonce, binding, signature } = proof::read_proof(content)?;
                let named = if bindings.is_empty() { binding == [0; 32] } else { bindings.contains(&binding) };
                let all = Transcript { dialler: self.own, acceptor, dialler_nonce: *nonce, acceptor_nonce, binding };
                if acceptor != *peer || !named || !tls::verify(&acceptor, &all.as_acceptor(), &signature) {
                    return None;
                }
                proof::frame(ANSWER, &[&identity.sign(&all.as_dialler())], out);
                say_hello(self.features, out);
                Some(State::Version { peer: acceptor, decoder: ControlDecoder::default() })
            }
            State::Answer(all) => {
                if !tls::verify(&all.dialler, &all.as_dialler(), content) {
                    return None;
                }
                say_hello(self.features, out);
                Some(State::Version { peer: all.dialler, decoder: ControlDecoder::default() })
            }
            State::Version { .. } | State::Done | State::Failed(_) => None,
        }
    }
}
