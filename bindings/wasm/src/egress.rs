//! `Egress`: `EgressBinding` of ts/core/egress.ts over the embedded one, call for call. Numbers are checked below, not here.

use wasm_bindgen::prelude::*;
use wayfare_embed::EmbeddedEgress;

use crate::engine::thrown;

/// Which exit takes a flow; see `EgressBinding`.
#[wasm_bindgen]
pub struct Egress(EmbeddedEgress);

#[wasm_bindgen]
impl Egress {
    /// `optionsJson` is `EgressOptions`.
    #[wasm_bindgen(constructor)]
    pub fn new(options_json: &str, random_seed: &[u8], now_us: f64) -> Result<Self, JsError> {
        EmbeddedEgress::new(options_json, random_seed, now_us).map(Self).map_err(thrown)
    }

    #[wasm_bindgen(js_name = setWeighting)]
    pub fn set_weighting(&mut self, json: &str) -> Result<(), JsError> {
        self.0.set_weighting(json).map_err(thrown)
    }

    #[wasm_bindgen(js_name = hopAdd)]
    pub fn hop_add(&mut self, now_us: f64, estimate: f64) -> Result<u32, JsError> {
        self.0.hop_add(now_us, estimate).map_err(thrown)
    }

    #[wasm_bindgen(js_name = hopEstimate)]
    pub fn hop_estimate(&mut self, hop: f64, estimate: f64) -> Result<(), JsError> {
        self.0.hop_estimate(hop, estimate).map_err(thrown)
    }

    #[wasm_bindgen(js_name = hopRemove)]
    pub fn hop_remove(&mut self, now_us: f64, hop: f64) -> Result<(), JsError> {
        self.0.hop_remove(now_us, hop).map_err(thrown)
    }

    #[wasm_bindgen(js_name = hopRelease)]
    pub fn hop_release(&mut self, hop: f64) -> Result<bool, JsError> {
        self.0.hop_release(hop).map_err(thrown)
    }

    #[wasm_bindgen(js_name = hopExclude)]
    pub fn hop_exclude(&mut self, hop: f64, until_us: f64) -> Result<(), JsError> {
        self.0.hop_exclude(hop, until_us).map_err(thrown)
    }

    #[wasm_bindgen]
    pub fn destination(&mut self, now_us: f64, key: &str) -> Result<f64, JsError> {
        self.0.destination(now_us, key).map_err(thrown)
    }

    #[wasm_bindgen(js_name = destinationKey)]
    pub fn destination_key(&mut self, destination: f64) -> Result<String, JsError> {
        self.0.destination_key(destination).map_err(thrown)
    }

    #[wasm_bindgen(js_name = pairExclude)]
    pub fn pair_exclude(&mut self, now_us: f64, hop: f64, destination: f64, until_us: f64) -> Result<(), JsError> {
        self.0.pair_exclude(now_us, hop, destination, until_us).map_err(thrown)
    }

    #[wasm_bindgen]
    pub fn connections(&mut self, now_us: f64, destination: f64, span_us: f64) -> Result<f64, JsError> {
        self.0.connections(now_us, destination, span_us).map_err(thrown)
    }

    #[wasm_bindgen(js_name = connectionsPeak)]
    pub fn connections_peak(&mut self, now_us: f64) -> Result<u32, JsError> {
        self.0.connections_peak(now_us).map_err(thrown)
    }

    #[wasm_bindgen]
    pub fn draw(&mut self, now_us: f64, destination: f64, avoid: &[u32], out: &mut [u32]) -> Result<u32, JsError> {
        self.0.draw(now_us, destination, avoid, out).map_err(thrown)
    }

    #[wasm_bindgen(js_name = lastHow)]
    pub fn last_how(&mut self) -> Result<u32, JsError> {
        self.0.last_how().map_err(thrown)
    }

    #[wasm_bindgen(js_name = retryOf)]
    pub fn retry_of(&mut self, now_us: f64, source: &[u8], destination: f64, out: &mut [u32]) -> Result<u32, JsError> {
        self.0.retry_of(now_us, source, destination, out).map_err(thrown)
    }

    #[wasm_bindgen(js_name = flowFind)]
    pub fn flow_find(&mut self, source: &[u8], destination: f64) -> Result<f64, JsError> {
        self.0.flow_find(source, destination).map_err(thrown)
    }

    #[wasm_bindgen(js_name = flowOpen)]
    pub fn flow_open(
        &mut self,
        now_us: f64,
        source: &[u8],
        destination: f64,
        hop: f64,
        avoid: &[u32],
        out: &mut [f64],
    ) -> Result<f64, JsError> {
        self.0.flow_open(now_us, source, destination, hop, avoid, out).map_err(thrown)
    }

    #[wasm_bindgen(js_name = flowMove)]
    pub fn flow_move(&mut self, now_us: f64, flow: f64, hop: f64) -> Result<bool, JsError> {
        self.0.flow_move(now_us, flow, hop).map_err(thrown)
    }

    #[wasm_bindgen(js_name = flowClose)]
    pub fn flow_close(&mut self, now_us: f64, flow: f64, failed: bool) -> Result<(), JsError> {
        self.0.flow_close(now_us, flow, failed).map_err(thrown)
    }

    #[wasm_bindgen(js_name = flowForget)]
    pub fn flow_forget(&mut self, flow: f64) -> Result<(), JsError> {
        self.0.flow_forget(flow).map_err(thrown)
    }

    #[wasm_bindgen(js_name = attemptOpen)]
    pub fn attempt_open(&mut self, now_us: f64, destination: f64, hop: f64) -> Result<(), JsError> {
        self.0.attempt_open(now_us, destination, hop).map_err(thrown)
    }

    #[wasm_bindgen(js_name = attemptClose)]
    pub fn attempt_close(&mut self, now_us: f64, destination: f64, hop: f64, failed: bool) -> Result<(), JsError> {
        self.0.attempt_close(now_us, destination, hop, failed).map_err(thrown)
    }

    #[wasm_bindgen]
    pub fn record(&mut self, now_us: f64, records: &[f64], count: f64) -> Result<u32, JsError> {
        self.0.record(now_us, records, count).map_err(thrown)
    }

    #[wasm_bindgen(js_name = recordTuples)]
    pub fn record_tuples(&mut self, now_us: f64, sources: &[u8], records: &[f64], count: f64) -> Result<u32, JsError> {
        self.0.record_tuples(now_us, sources, records, count).map_err(thrown)
    }

    #[wasm_bindgen]
    pub fn hops(&mut self, now_us: f64, out: &mut [f64]) -> Result<u32, JsError> {
        self.0.hops(now_us, out).map_err(thrown)
    }

    #[wasm_bindgen]
    pub fn pairs(&mut self, now_us: f64, destination: f64, out: &mut [f64]) -> Result<u32, JsError> {
        self.0.pairs(now_us, destination, out).map_err(thrown)
    }

    #[wasm_bindgen]
    pub fn destinations(&mut self, now_us: f64, from: f64, out: &mut [f64]) -> Result<u32, JsError> {
        self.0.destinations(now_us, from, out).map_err(thrown)
    }

    #[wasm_bindgen]
    pub fn flows(&mut self, from: f64, out: &mut [f64]) -> Result<u32, JsError> {
        self.0.flows(from, out).map_err(thrown)
    }

    #[wasm_bindgen]
    pub fn groups(&mut self, now_us: f64, tolerance_us: f64) -> Result<String, JsError> {
        self.0.groups(now_us, tolerance_us).map_err(thrown)
    }

    #[wasm_bindgen]
    pub fn stats(&mut self) -> Result<String, JsError> {
        self.0.stats().map_err(thrown)
    }

    #[wasm_bindgen]
    pub fn close(&mut self) {
        self.0.close();
    }
}
