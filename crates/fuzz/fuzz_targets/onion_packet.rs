//! A circuit under a hostile network: what the exit or the client delivers is what was sent, once.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use wayfare_onion::{BackwardHop, ClientPath, DirectionKeys, ForwardHop, HopKeys, Suite};
use wayfare_types::Random;
use wayfare_wire::TAGS;

struct Zeros;

impl Random for Zeros {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(0);
    }
}

/// What happens to a packet: sent with a counter moved and a byte changed, back or forth.
type Event = (bool, u64, u16, u8);

fuzz_target!(|input: (u8, u64, Vec<Event>)| {
    let (suite, start, events) = input;
    let suite = Suite::ALL[usize::from(suite) % 3];
    let direction = |key: u8| DirectionKeys { key: [key; 32], iv: [key; 12], step: start.rotate_left(key.into()) };
    let keys = [0, 1].map(|i| HopKeys {
        suite,
        forward: direction(2 * i),
        backward: direction(2 * i + 1),
        backward_start: start,
    });
    let mut client = ClientPath::new(&keys, start).expect("two hops");
    let mut forward = keys.each_ref().map(|k| ForwardHop::new(suite, &k.forward));
    let mut backward = keys.each_ref().map(|k| BackwardHop::new(suite, &k.backward, start));
    let (mut sent, mut delivered) = (0u64, HashSet::new());
    for (back, shift, at, change) in events {
        sent += 1;
        let mut body = vec![0; TAGS + 8];
        body[TAGS..].copy_from_slice(&sent.to_be_bytes());
        let at = usize::from(at) % body.len();
        let passed = if back {
            let counter = backward[1].origin(&mut body).expect("a young key");
            body[at] ^= change;
            let sealed = backward[0].seal(counter.wrapping_add(shift), &mut body);
            sealed.is_ok_and(|counter| client.open(counter, &mut body).is_ok())
        } else {
            let counter = client.wrap(&mut body, &mut Zeros).expect("a young key");
            body[at] ^= change;
            let opened = forward[0].open(counter.wrapping_add(shift), &mut body);
            opened.is_ok_and(|counter| forward[1].open(counter, &mut body).is_ok())
        };
        if passed {
            // Backwards the slot that falls out may have been changed; nothing else, and no counter.
            assert!(shift == 0 && (change == 0 || back && (64..TAGS).contains(&at)));
            assert_eq!(body[TAGS..], sent.to_be_bytes());
            assert!(delivered.insert(sent));
        }
    }
});
