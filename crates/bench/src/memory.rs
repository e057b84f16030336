//! What an idle circuit costs a relay: the growth of the process while an engine takes ten thousand, by the kernel's
//! account, so that nothing any allocator holds is left out.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use wayfare_engine::{CreditConfig, Engine, EngineConfig, Limits, Output, Roles};
use wayfare_onion::{ClientSetup, HopSpec, OnionSecret, Suite};
use wayfare_quic::Instant;
use wayfare_quic::tls::Identity;
use wayfare_testkit::Seeded;
use wayfare_types::NodeId;
use wayfare_wire::{Control, REPLY_BYTES, SizeClass};

use crate::load::Fault;
use crate::resident_bytes;

/// Brings allocators and tables to their working state before the count begins.
const BEFORE: u32 = 2_000;
const COUNTED: u32 = 10_000;
const CLIENT: u32 = 1;
const EXIT: u32 = 2;
const ONION_SEED: [u8; 32] = [5; 32];

/// A relay's engine between a client's and an exit's link.
struct Relay {
    engine: Engine,
    exit: NodeId,
    now: Instant,
    unix_ms: u64,
    random: Seeded,
}

impl Relay {
    fn new() -> Result<Self, Fault> {
        let identity = |seed: u8| Identity::from_seed(&[seed; 32]).map(|i| i.id()).map_err(|e| e.to_string());
        let now = Instant::now();
        let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
        let config = EngineConfig {
            identity_seed: [1; 32],
            roles: Roles { client: false, relay: true, exit: false },
            limits: Limits { setups_per_s: 1_000_000, ..Limits::default() },
            credits: CreditConfig::default(),
        };
        let mut engine = Engine::new(config, now, unix_ms, Box::new(Seeded::new(1)))?;
        engine.set_onion_keys(&[ONION_SEED]);
        engine.link_up(now, CLIENT, identity(2)?, 1_400);
        engine.link_up(now, EXIT, identity(3)?, 1_400);
        Ok(Self { engine, exit: identity(3)?, now, unix_ms, random: Seeded::new(2) })
    }

    fn control(&mut self, link: u32, frame: &Control) -> Result<(), Fault> {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.engine.handle_control(self.now, link, &bytes).map_err(|r| format!("{r:?}"))
    }

    /// What the relay asked the exit; everything else is taken and dropped.
    fn passed_on(&mut self) -> Option<u32> {
        let mut back_cid = None;
        while let Some(output) = self.engine.poll_output(self.now) {
            if let Output::Control { link: EXIT, data } = output {
                // `type u8 | length u16 | back_cid u32 | message`
                back_cid = data[3..].first_chunk().map(|b| u32::from_be_bytes(*b));
            }
        }
        back_cid
    }

    /// One circuit through the relay, answered by the exit and then left alone.
    fn circuit(&mut self, n: u32) -> Result<(), Fault> {
        let relay = HopSpec { node: self.engine.id(), onion_key: OnionSecret::from_seed(ONION_SEED).public() };
        let exit = HopSpec { node: self.exit, onion_key: OnionSecret::from_seed([6; 32]).public() };
        let minute = (self.unix_ms / 60_000) as u32;
        let hops = [relay, exit];
        let (_, message) = ClientSetup::build(&hops, Suite::preferred(), SizeClass::M, minute, &mut self.random)
            .map_err(|e| format!("{e:?}"))?;
        self.control(CLIENT, &Control::Setup { back_cid: n, message })?;
        let back_cid = self.passed_on().ok_or("the relay passed nothing on")?;
        // A relay cannot tell an exit's answer from noise; it adds its own part and its layer.
        self.control(EXIT, &Control::Reply { back_cid, forward_cid: n, message: [0; REPLY_BYTES] })?;
        self.passed_on();
        Ok(())
    }
}

pub fn run() -> Result<Value, Fault> {
    let mut relay = Relay::new()?;
    (0..BEFORE).try_for_each(|n| relay.circuit(n))?;
    let before = resident_bytes()?;
    (BEFORE..BEFORE + COUNTED).try_for_each(|n| relay.circuit(n))?;
    let grown = resident_bytes()?.saturating_sub(before);
    let circuits = relay.engine.stats().circuits_relay;
    if circuits != BEFORE + COUNTED {
        return Err(format!("{circuits} circuits stand, not {}", BEFORE + COUNTED));
    }
    Ok(json!({ "circuits": COUNTED, "bytes_per_idle_circuit": grown / u64::from(COUNTED) }))
}
