//! A whole engine under a neighbour who sends anything: packets, control frames in pieces, time passing between them.
#![no_main]

use std::time::{Duration, Instant};

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use wayfare_engine::{CreditConfig, Engine, EngineConfig, Limits, NodeId, Roles};
use wayfare_types::Random;

struct Counting(u8);

impl Random for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
    }
}

/// What the neighbour does: a datagram or control bytes, and how long it waits before.
type Event = (bool, u8, Vec<u8>);

fuzz_target!(|events: Vec<Event>| {
    let mut now = Instant::now();
    let roles = Roles { client: true, relay: true, exit: true };
    let limits = Limits { circuits: 64, ..Limits::default() };
    let config = EngineConfig { identity_seed: [7; 32], roles, limits, credits: CreditConfig::default() };
    let mut engine = Engine::new(config, now, 1_800_000_000_000, Box::new(Counting(0))).expect("a node");
    engine.set_onion_keys(&[[9; 32]]);
    engine.link_up_with(now, 1, NodeId([3; 32]), 1400, true);
    for (control, wait_ms, bytes) in events {
        now += Duration::from_millis(wait_ms.into());
        if control {
            if engine.handle_control(now, 1, &bytes).is_err() {
                engine.link_down(now, 1);
                engine.link_up_with(now, 1, NodeId([3; 32]), 1400, true);
            }
        } else {
            engine.handle_packet(now, 1, BytesMut::from(&bytes[..]));
        }
        engine.handle_timeout(now, 1_800_000_000_000);
        while engine.poll_output(now).is_some() {}
        while engine.poll_event().is_some() {}
    }
    // Nobody can make this node hold a circuit without a set-up sealed to its key.
    let stats = engine.stats();
    assert_eq!((stats.circuits_relay, stats.circuits_exit), (0, 0));
});
