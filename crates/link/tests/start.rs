//! Two sides meet over a pipe, honestly and not.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use wayfare_link::{Begin, LinkStart, Up};
use wayfare_quic::tls::Identity;
use wayfare_types::{NodeId, Reason};
use wayfare_wire::Control;

const CERTIFICATE: [u8; 32] = [7; 32];

fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32]).unwrap()
}

struct Side {
    identity: Identity,
    start: LinkStart,
    out: Vec<u8>,
    result: Result<Option<Up>, Reason>,
    left: Vec<u8>,
}

impl Side {
    fn new(seed: u8, begin: Begin) -> Self {
        let (identity, mut out) = (identity(seed), Vec::new());
        let start = LinkStart::new(begin, identity.id(), u32::from(seed) | 4, &mut out);
        Self { identity, start, out, result: Ok(None), left: Vec::new() }
    }

    fn take(&mut self, bytes: &[u8]) {
        let mut input = bytes;
        if let Ok(None) = self.result {
            self.result = self.start.take(&self.identity, &mut input, &mut self.out);
        }
        self.left.extend_from_slice(input);
    }
}

/// Passes bytes in pieces of `piece` until both are quiet; `meddle` sees what passes.
fn meet(a: &mut Side, b: &mut Side, piece: usize, mut meddle: impl FnMut(bool, &mut Vec<u8>)) {
    while !(a.out.is_empty() && b.out.is_empty()) {
        for forward in [true, false] {
            let (from, to) = if forward { (&mut *a, &mut *b) } else { (&mut *b, &mut *a) };
            let mut bytes = std::mem::take(&mut from.out);
            meddle(forward, &mut bytes);
            bytes.chunks(piece).for_each(|chunk| to.take(chunk));
        }
    }
}

fn dial(peer: NodeId, bindings: &[[u8; 32]]) -> Begin {
    Begin::Dial { peer, bindings: bindings.to_vec(), nonce: [1; 32] }
}

fn accept(binding: [u8; 32]) -> Begin {
    Begin::Accept { binding, nonce: [2; 32] }
}

fn up(seed: u8) -> Result<Option<Up>, Reason> {
    Ok(Some(Up { peer: identity(seed).id(), version: 1, features: 4 }))
}

#[test]
fn both_know_each_other_however_the_bytes_are_cut() {
    for piece in [1, 2, 3, 64, 163, 4096] {
        let mut a = Side::new(1, dial(identity(2).id(), &[[9; 32], CERTIFICATE]));
        let mut b = Side::new(2, accept(CERTIFICATE));
        meet(&mut a, &mut b, piece, |_, _| {});
        assert_eq!((a.result, b.result), (up(2), up(1)));
    }
}

#[test]
fn where_the_transport_has_proven_both_only_the_version_is_left() {
    let (mut a, mut b) = (Side::new(1, Begin::Proven(identity(2).id())), Side::new(2, Begin::Proven(identity(1).id())));
    assert_eq!(a.out.len(), 9);
    meet(&mut a, &mut b, 4, |_, _| {});
    assert_eq!((a.result, b.result), (up(2), up(1)));
}

#[test]
fn what_follows_hello_is_left_for_the_engine() {
    let (mut a, mut b) = (Side::new(1, dial(identity(2).id(), &[CERTIFICATE])), Side::new(2, accept(CERTIFICATE)));
    meet(&mut a, &mut b, 4096, |forward, bytes| {
        // The dialler's answer and HELLO come in one piece; its first frame is of 67 bytes.
        if forward && bytes.len() == 67 + 9 {
            Control::Destroy { cid: 5, reason: 1 }.encode(bytes);
        }
    });
    assert_eq!(b.left.len(), 8);
}

#[test]
fn another_node_than_the_one_dialled_is_refused() {
    let mut a = Side::new(1, dial(identity(3).id(), &[CERTIFICATE]));
    let mut b = Side::new(2, accept(CERTIFICATE));
    meet(&mut a, &mut b, 4096, |_, _| {});
    assert_eq!((a.result, b.result), (Err(Reason::LinkRefused), Ok(None)));
}

#[test]
fn a_certificate_that_the_dialler_did_not_name_is_refused() {
    for (named, shown) in [(&[CERTIFICATE][..], [8; 32]), (&[CERTIFICATE], [0; 32]), (&[], CERTIFICATE)] {
        let mut a = Side::new(1, dial(identity(2).id(), named));
        let mut b = Side::new(2, accept(shown));
        meet(&mut a, &mut b, 4096, |_, _| {});
        assert_eq!(a.result, Err(Reason::LinkRefused));
    }
}

#[test]
fn a_caller_who_only_claims_a_name_is_refused() {
    let mut a = Side::new(1, dial(identity(2).id(), &[CERTIFICATE]));
    let mut b = Side::new(2, accept(CERTIFICATE));
    let victim = identity(3).id();
    // Node 1 says that it is node 3, but signs as itself.
    meet(&mut a, &mut b, 4096, |forward, bytes| {
        if forward && bytes.len() == 67 {
            bytes[3..35].copy_from_slice(&victim.0);
        }
    });
    assert!(a.result.is_err() || b.result.is_err());
    assert_ne!(b.result, up(3));
}

#[test]
fn nobody_links_to_itself() {
    let own = identity(1).id();
    for begin in [Begin::Proven(own), dial(own, &[CERTIFICATE])] {
        let mut a = Side::new(1, begin);
        a.take(&[0]);
        assert_eq!(a.result, Err(Reason::LinkRefused));
    }
    // A reflected call.
    let (mut a, mut b) = (Side::new(1, dial(identity(2).id(), &[])), Side::new(1, accept([0; 32])));
    meet(&mut a, &mut b, 4096, |_, _| {});
    assert_eq!(b.result, Err(Reason::LinkRefused));
}

#[test]
fn versions_that_do_not_meet_are_refused() {
    let mut a = Side::new(1, Begin::Proven(identity(2).id()));
    let mut hello = Vec::new();
    Control::Hello { version_min: 2, version_max: 9, features: 0 }.encode(&mut hello);
    a.take(&hello);
    assert_eq!(a.result, Err(Reason::LinkRefused));
    let mut newer = Side::new(1, Begin::Proven(identity(2).id()));
    hello.clear();
    Control::Hello { version_min: 1, version_max: 9, features: 4 }.encode(&mut hello);
    newer.take(&hello);
    assert_eq!(newer.result, up(2));
}

proptest! {
    /// Any single bit changed on the way is noticed by the one who receives it or by the other, before both are up.
    #[test]
    fn no_bit_of_the_proofs_can_be_changed(bit in 0usize..(67 + 163 + 67) * 8) {
        let mut a = Side::new(1, dial(identity(2).id(), &[CERTIFICATE]));
        let mut b = Side::new(2, accept(CERTIFICATE));
        let mut passed = 0;
        meet(&mut a, &mut b, 4096, |_, bytes| {
            let proofs = bytes.len().min((67 + 163 + 67usize).saturating_sub(passed));
            if (passed..passed + proofs).contains(&(bit / 8)) {
                bytes[bit / 8 - passed] ^= 1 << (bit % 8);
            }
            passed += proofs;
        });
        prop_assert!(a.result != up(2) || b.result != up(1));
        prop_assert!(a.result.is_err() || b.result.is_err());
    }

    #[test]
    fn junk_is_refused_once_and_for_all(junk in prop::collection::vec(any::<u8>(), 1..600), piece in 1usize..200) {
        for begin in [dial(identity(2).id(), &[]), accept(CERTIFICATE), Begin::Proven(identity(2).id())] {
            let mut a = Side::new(1, begin);
            junk.chunks(piece).for_each(|chunk| a.take(chunk));
            prop_assert!(!matches!(a.result, Ok(Some(_))) || junk.starts_with(&[1, 0, 6]));
        }
    }
}
