//! `Egress`: `EgressBinding` of ts/core/egress.ts over the embedded one, call for call. Numbers are checked below, not here.

use napi::Result;
use napi::bindgen_prelude::{Float64ArraySlice, Uint32ArraySlice};
use napi_derive::napi;
use wayfare_embed::EmbeddedEgress;

use crate::engine::thrown;

#[allow(unsafe_code)]
pub(crate) fn ids<'a>(out: &'a mut Uint32ArraySlice<'_>) -> &'a mut [u32] {
    // SAFETY: JavaScript's thread is in this call, so nobody else reads or writes the array while the slice lives.
    unsafe { out.as_mut() }
}

#[allow(unsafe_code)]
pub(crate) fn numbers<'a>(out: &'a mut Float64ArraySlice<'_>) -> &'a mut [f64] {
    // SAFETY: as above.
    unsafe { out.as_mut() }
}

/// Which exit takes a flow; see `EgressBinding`.
#[napi]
pub struct Egress(EmbeddedEgress);

#[napi]
impl Egress {
    /// `optionsJson` is `EgressOptions`.
    #[napi(constructor)]
    pub fn new(options_json: String, random_seed: &[u8], now_us: f64) -> Result<Self> {
        EmbeddedEgress::new(&options_json, random_seed, now_us).map(Self).map_err(thrown)
    }

    #[napi]
    pub fn set_weighting(&mut self, json: String) -> Result<()> {
        self.0.set_weighting(&json).map_err(thrown)
    }

    #[napi]
    pub fn hop_add(&mut self, now_us: f64, estimate: f64) -> Result<u32> {
        self.0.hop_add(now_us, estimate).map_err(thrown)
    }

    #[napi]
    pub fn hop_estimate(&mut self, hop: f64, estimate: f64) -> Result<()> {
        self.0.hop_estimate(hop, estimate).map_err(thrown)
    }

    #[napi]
    pub fn hop_remove(&mut self, now_us: f64, hop: f64) -> Result<()> {
        self.0.hop_remove(now_us, hop).map_err(thrown)
    }

    #[napi]
    pub fn hop_release(&mut self, hop: f64) -> Result<bool> {
        self.0.hop_release(hop).map_err(thrown)
    }

    #[napi]
    pub fn hop_exclude(&mut self, hop: f64, until_us: f64) -> Result<()> {
        self.0.hop_exclude(hop, until_us).map_err(thrown)
    }

    #[napi]
    pub fn destination(&mut self, now_us: f64, key: String) -> Result<f64> {
        self.0.destination(now_us, &key).map_err(thrown)
    }

    #[napi]
    pub fn destination_key(&mut self, destination: f64) -> Result<String> {
        self.0.destination_key(destination).map_err(thrown)
    }

    #[napi]
    pub fn pair_exclude(&mut self, now_us: f64, hop: f64, destination: f64, until_us: f64) -> Result<()> {
        self.0.pair_exclude(now_us, hop, destination, until_us).map_err(thrown)
    }

    #[napi]
    pub fn connections(&mut self, now_us: f64, destination: f64, span_us: f64) -> Result<f64> {
        self.0.connections(now_us, destination, span_us).map_err(thrown)
    }

    #[napi]
    pub fn connections_peak(&mut self, now_us: f64) -> Result<u32> {
        self.0.connections_peak(now_us).map_err(thrown)
    }

    #[napi]
    pub fn draw(&mut self, now_us: f64, destination: f64, avoid: &[u32], mut out: Uint32ArraySlice<'_>) -> Result<u32> {
        self.0.draw(now_us, destination, avoid, ids(&mut out)).map_err(thrown)
    }

    #[napi]
    pub fn last_how(&mut self) -> Result<u32> {
        self.0.last_how().map_err(thrown)
    }

    #[napi]
    pub fn retry_of(
        &mut self,
        now_us: f64,
        source: &[u8],
        destination: f64,
        mut out: Uint32ArraySlice<'_>,
    ) -> Result<u32> {
        self.0.retry_of(now_us, source, destination, ids(&mut out)).map_err(thrown)
    }

    #[napi]
    pub fn flow_find(&mut self, source: &[u8], destination: f64) -> Result<f64> {
        self.0.flow_find(source, destination).map_err(thrown)
    }

    #[napi]
    pub fn flow_open(
        &mut self,
        now_us: f64,
        source: &[u8],
        destination: f64,
        hop: f64,
        avoid: &[u32],
        mut out: Float64ArraySlice<'_>,
    ) -> Result<f64> {
        self.0.flow_open(now_us, source, destination, hop, avoid, numbers(&mut out)).map_err(thrown)
    }

    #[napi]
    pub fn flow_move(&mut self, now_us: f64, flow: f64, hop: f64) -> Result<bool> {
        self.0.flow_move(now_us, flow, hop).map_err(thrown)
    }

    #[napi]
    pub fn flow_close(&mut self, now_us: f64, flow: f64, failed: bool) -> Result<()> {
        self.0.flow_close(now_us, flow, failed).map_err(thrown)
    }

    #[napi]
    pub fn flow_forget(&mut self, flow: f64) -> Result<()> {
        self.0.flow_forget(flow).map_err(thrown)
    }

    #[napi]
    pub fn attempt_open(&mut self, now_us: f64, destination: f64, hop: f64) -> Result<()> {
        self.0.attempt_open(now_us, destination, hop).map_err(thrown)
    }

    #[napi]
    pub fn attempt_close(&mut self, now_us: f64, destination: f64, hop: f64, failed: bool) -> Result<()> {
        self.0.attempt_close(now_us, destination, hop, failed).map_err(thrown)
    }

    #[napi]
    pub fn record(&mut self, now_us: f64, records: &[f64], count: f64) -> Result<u32> {
        self.0.record(now_us, records, count).map_err(thrown)
    }

    #[napi]
    pub fn record_tuples(&mut self, now_us: f64, sources: &[u8], records: &[f64], count: f64) -> Result<u32> {
        self.0.record_tuples(now_us, sources, records, count).map_err(thrown)
    }

    #[napi]
    pub fn hops(&mut self, now_us: f64, mut out: Float64ArraySlice<'_>) -> Result<u32> {
        self.0.hops(now_us, numbers(&mut out)).map_err(thrown)
    }

    #[napi]
    pub fn pairs(&mut self, now_us: f64, destination: f64, mut out: Float64ArraySlice<'_>) -> Result<u32> {
        self.0.pairs(now_us, destination, numbers(&mut out)).map_err(thrown)
    }

    #[napi]
    pub fn destinations(&mut self, now_us: f64, from: f64, mut out: Float64ArraySlice<'_>) -> Result<u32> {
        self.0.destinations(now_us, from, numbers(&mut out)).map_err(thrown)
    }

    #[napi]
    pub fn flows(&mut self, from: f64, mut out: Float64ArraySlice<'_>) -> Result<u32> {
        self.0.flows(from, numbers(&mut out)).map_err(thrown)
    }

    #[napi]
    pub fn groups(&mut self, now_us: f64, tolerance_us: f64) -> Result<String> {
        self.0.groups(now_us, tolerance_us).map_err(thrown)
    }

    #[napi]
    pub fn stats(&mut self) -> Result<String> {
        self.0.stats().map_err(thrown)
    }

    #[napi]
    pub fn close(&mut self) {
        self.0.close();
    }
}
