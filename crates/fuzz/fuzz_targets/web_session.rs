//! A client's streams at a WebTransport session: the same actions and the same fault however the bytes are cut, at most one
//! session, and no stream handed out twice or after it was refused.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use wayfare_webtransport::{Action, Fault, Session};

/// `(stream, end, bytes)`; `end` 0 says that the stream ends, 1 that it is broken off.
type Step = (u8, u8, Vec<u8>);

fn feed(session: &mut Session, stream: u64, mut bytes: &[u8], piece: usize) -> Result<(), Fault> {
    while !bytes.is_empty() {
        let take = session.wants(stream).min(piece).min(bytes.len());
        if take == 0 {
            break;
        }
        let (own, rest) = bytes.split_at(take);
        session.take(stream, own)?;
        bytes = rest;
    }
    Ok(())
}

fn run(steps: &[Step], piece: usize) -> (Vec<Action>, Option<Fault>) {
    let mut session = Session::new(b"/wayfare");
    let (mut opened, mut actions, mut fault) = (BTreeSet::new(), Vec::new(), None);
    for (stream, end, bytes) in steps {
        // Streams of a client's: bit 0 is clear. QUIC opens all of a kind below one that is used.
        let stream = u64::from(stream & 0x3e);
        for below in (stream & 3..=stream).step_by(4) {
            if opened.insert(below) {
                session.opened(below);
            }
        }
        let done = feed(&mut session, stream, bytes, piece).and_then(|()| match end {
            0 => session.ended(stream),
            1 => session.gone(stream),
            _ => Ok(()),
        });
        actions.extend(std::iter::from_fn(|| session.poll()));
        if let Err(broken) = done {
            fault = Some(broken);
            break;
        }
    }
    (actions, fault)
}

fuzz_target!(|steps: Vec<Step>| {
    let (actions, fault) = run(&steps, usize::MAX);
    assert_eq!(run(&steps, 1), (actions.clone(), fault));
    let opened = actions.iter().filter(|a| **a == Action::Open).count();
    assert!(opened <= 1);
    let (mut given, mut refused) = (BTreeSet::new(), BTreeSet::new());
    for action in &actions {
        match action {
            Action::Stream { stream, first } => {
                assert!(opened == 1 && !refused.contains(stream));
                assert_eq!(*first, given.is_empty());
                assert!(given.insert(*stream));
            }
            Action::Refuse { stream, .. } => assert!(!given.contains(stream) && refused.insert(*stream)),
            Action::Write { .. } | Action::Open | Action::Closed => {}
        }
    }
});
