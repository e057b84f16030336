//! `Engine`: `EngineBinding` of ts/core/engine.ts over the embedded engine, call for call. What goes out in bytes is gathered
//! in memory of ours and copied into the caller's array at once; numbers are checked below, not here.

use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;
use wayfare_embed::{EmbeddedEngine, Failure};

use crate::error;

pub(crate) fn thrown(failure: Failure) -> JsError {
    error(failure.code, failure.text)
}

/// What one call hands out at most: more would only make our memory grow, which never shrinks.
const ROOM_MAX: u32 = 1 << 20;

fn room(buffer: &Uint8Array) -> usize {
    buffer.length().min(ROOM_MAX) as usize
}

/// Copies to the front of an array that has room for it.
fn give(bytes: &[u8], buffer: &Uint8Array) {
    if !bytes.is_empty() {
        buffer.subarray(0, bytes.len() as u32).copy_from(bytes);
    }
}

/// The sans-IO engine; see `EngineBinding`.
#[wasm_bindgen]
pub struct Engine {
    engine: EmbeddedEngine,
    /// What the next array gets.
    scratch: Vec<u8>,
}

#[wasm_bindgen]
impl Engine {
    /// `optionsJson` is `EngineOptions`.
    #[wasm_bindgen(constructor)]
    pub fn new(
        options_json: &str,
        identity_seed: &[u8],
        random_seed: &[u8],
        now_us: f64,
        unix_ms: f64,
    ) -> Result<Self, JsError> {
        EmbeddedEngine::new(options_json, identity_seed, random_seed, now_us, unix_ms)
            .map(|engine| Self { engine, scratch: Vec::new() })
            .map_err(thrown)
    }

    #[wasm_bindgen]
    pub fn id(&mut self) -> Result<String, JsError> {
        self.engine.id().map_err(thrown)
    }

    #[wasm_bindgen(js_name = linkStart)]
    #[allow(clippy::too_many_arguments, reason = "flat calls are what crosses the binding")]
    pub fn link_start(
        &mut self,
        now_us: f64,
        link: f64,
        dialling: bool,
        peer: &str,
        proven: &str,
        binding: &[u8],
        mtu: f64,
    ) -> Result<(), JsError> {
        self.engine.link_start(now_us, link, dialling, peer, proven, binding, mtu).map_err(thrown)
    }

    #[wasm_bindgen(js_name = linkMtu)]
    pub fn link_mtu(&mut self, link: f64, mtu: f64) -> Result<(), JsError> {
        self.engine.link_mtu(link, mtu).map_err(thrown)
    }

    #[wasm_bindgen(js_name = linkStop)]
    pub fn link_stop(&mut self, now_us: f64, link: f64) -> Result<(), JsError> {
        self.engine.link_stop(now_us, link).map_err(thrown)
    }

    #[wasm_bindgen(js_name = handleControl)]
    pub fn handle_control(&mut self, now_us: f64, link: f64, bytes: &[u8]) -> Result<(), JsError> {
        self.engine.handle_control(now_us, link, bytes).map_err(thrown)
    }

    #[wasm_bindgen(js_name = handlePackets)]
    pub fn handle_packets(&mut self, now_us: f64, link: f64, batch: &[u8]) -> Result<(), JsError> {
        self.engine.handle_packets(now_us, link, batch).map_err(thrown)
    }

    #[wasm_bindgen(js_name = handleTimeout)]
    pub fn handle_timeout(&mut self, now_us: f64, unix_ms: f64) -> Result<(), JsError> {
        self.engine.handle_timeout(now_us, unix_ms).map_err(thrown)
    }

    #[wasm_bindgen]
    pub fn outputs(&mut self, now_us: f64, buffer: &Uint8Array) -> Result<u32, JsError> {
        let Self { engine, scratch } = self;
        scratch.resize(room(buffer), 0);
        let used = engine.outputs(now_us, scratch).map_err(thrown)?;
        give(&scratch[..used as usize], buffer);
        Ok(used)
    }

    #[wasm_bindgen]
    pub fn events(&mut self) -> Result<String, JsError> {
        self.engine.events().map_err(thrown)
    }

    #[wasm_bindgen(js_name = nextTimeout)]
    pub fn next_timeout(&mut self, now_us: f64) -> Result<f64, JsError> {
        self.engine.next_timeout(now_us).map_err(thrown)
    }

    #[wasm_bindgen(js_name = setOnionKeys)]
    pub fn set_onion_keys(&mut self, seeds: &[u8]) -> Result<(), JsError> {
        self.engine.set_onion_keys(seeds).map_err(thrown)
    }

    #[wasm_bindgen(js_name = setForwarding)]
    pub fn set_forwarding(&mut self, on: bool) -> Result<(), JsError> {
        self.engine.set_forwarding(on).map_err(thrown)
    }

    #[wasm_bindgen]
    pub fn drain(&mut self) -> Result<(), JsError> {
        self.engine.drain().map_err(thrown)
    }

    #[wasm_bindgen(js_name = nextHopUnreachable)]
    pub fn next_hop_unreachable(&mut self, now_us: f64, peer: &str) -> Result<(), JsError> {
        self.engine.next_hop_unreachable(now_us, peer).map_err(thrown)
    }

    #[wasm_bindgen(js_name = circuitOpen)]
    pub fn circuit_open(
        &mut self,
        now_us: f64,
        hops: &[u8],
        size_class: &str,
        suite: &str,
        flow: f64,
    ) -> Result<u32, JsError> {
        self.engine.circuit_open(now_us, hops, size_class, suite, flow).map_err(thrown)
    }

    #[wasm_bindgen(js_name = circuitClose)]
    pub fn circuit_close(&mut self, now_us: f64, circuit: f64) -> Result<(), JsError> {
        self.engine.circuit_close(now_us, circuit).map_err(thrown)
    }

    #[wasm_bindgen(js_name = circuitStats)]
    pub fn circuit_stats(&mut self, circuit: f64) -> Result<String, JsError> {
        self.engine.circuit_stats(circuit).map_err(thrown)
    }

    #[wasm_bindgen(js_name = circuitFlow)]
    pub fn circuit_flow(&mut self, now_us: f64, circuit: f64, credit_class: f64) -> Result<(), JsError> {
        self.engine.circuit_flow(now_us, circuit, credit_class).map_err(thrown)
    }

    pub fn credits(&mut self, now_us: f64) -> Result<String, JsError> {
        self.engine.credits(now_us).map_err(thrown)
    }

    #[wasm_bindgen(js_name = creditsCircuits)]
    pub fn credits_circuits(&mut self) -> Result<String, JsError> {
        self.engine.credits_circuits().map_err(thrown)
    }

    #[wasm_bindgen(js_name = creditsExport)]
    pub fn credits_export(&mut self, now_us: f64) -> Result<String, JsError> {
        self.engine.credits_export(now_us).map_err(thrown)
    }

    #[wasm_bindgen(js_name = creditsRestore)]
    pub fn credits_restore(&mut self, now_us: f64, ago_us: f64, peers: &str, numbers: &[f64]) -> Result<u32, JsError> {
        self.engine.credits_restore(now_us, ago_us, peers, numbers).map_err(thrown)
    }

    #[wasm_bindgen(js_name = creditsAdd)]
    pub fn credits_add(&mut self, rules: &str) -> Result<(), JsError> {
        self.engine.credits_add(rules).map_err(thrown)
    }

    #[wasm_bindgen(js_name = creditsReport)]
    pub fn credits_report(&mut self, now_us: f64) -> Result<(), JsError> {
        self.engine.credits_report(now_us).map_err(thrown)
    }

    #[wasm_bindgen(js_name = creditsConfigure)]
    pub fn credits_configure(&mut self, now_us: f64, options: &str) -> Result<(), JsError> {
        self.engine.credits_configure(now_us, options).map_err(thrown)
    }

    #[wasm_bindgen(js_name = connectionOpen)]
    pub fn connection_open(&mut self, now_us: f64, circuit: f64) -> Result<u32, JsError> {
        self.engine.connection_open(now_us, circuit).map_err(thrown)
    }

    #[wasm_bindgen(js_name = connectionMove)]
    pub fn connection_move(&mut self, now_us: f64, connection: f64, circuit: f64) -> Result<(), JsError> {
        self.engine.connection_move(now_us, connection, circuit).map_err(thrown)
    }

    #[wasm_bindgen(js_name = connectionClose)]
    pub fn connection_close(&mut self, now_us: f64, connection: f64) -> Result<(), JsError> {
        self.engine.connection_close(now_us, connection).map_err(thrown)
    }

    #[wasm_bindgen(js_name = flowOpen)]
    pub fn flow_open(&mut self, now_us: f64, connection: f64, host: &str, port: f64) -> Result<u32, JsError> {
        self.engine.flow_open(now_us, connection, host, port).map_err(thrown)
    }

    #[wasm_bindgen(js_name = flowAccept)]
    pub fn flow_accept(&mut self, now_us: f64, flow: f64, local: &str) -> Result<(), JsError> {
        self.engine.flow_accept(now_us, flow, local).map_err(thrown)
    }

    #[wasm_bindgen(js_name = flowRefuse)]
    pub fn flow_refuse(&mut self, now_us: f64, flow: f64, code: &str) -> Result<(), JsError> {
        self.engine.flow_refuse(now_us, flow, code).map_err(thrown)
    }

    #[wasm_bindgen(js_name = flowRead)]
    pub fn flow_read(&mut self, now_us: f64, flow: f64, buffer: &Uint8Array) -> Result<i32, JsError> {
        let Self { engine, scratch } = self;
        scratch.resize(room(buffer), 0);
        let read = engine.flow_read(now_us, flow, scratch).map_err(thrown)?;
        give(&scratch[..usize::try_from(read).unwrap_or(0)], buffer);
        Ok(read)
    }

    #[wasm_bindgen(js_name = flowWrite)]
    pub fn flow_write(&mut self, now_us: f64, flow: f64, data: &[u8]) -> Result<i32, JsError> {
        self.engine.flow_write(now_us, flow, data).map_err(thrown)
    }

    #[wasm_bindgen(js_name = flowFinish)]
    pub fn flow_finish(&mut self, now_us: f64, flow: f64) -> Result<(), JsError> {
        self.engine.flow_finish(now_us, flow).map_err(thrown)
    }

    #[wasm_bindgen(js_name = flowReset)]
    pub fn flow_reset(&mut self, now_us: f64, flow: f64) -> Result<(), JsError> {
        self.engine.flow_reset(now_us, flow).map_err(thrown)
    }

    #[wasm_bindgen(js_name = flowRelease)]
    pub fn flow_release(&mut self, now_us: f64, flow: f64) -> Result<(), JsError> {
        self.engine.flow_release(now_us, flow).map_err(thrown)
    }

    #[wasm_bindgen]
    pub fn stats(&mut self) -> Result<String, JsError> {
        self.engine.stats().map_err(thrown)
    }

    #[wasm_bindgen]
    pub fn close(&mut self) {
        self.engine.close();
    }
}
