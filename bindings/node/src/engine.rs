//! `Engine`: `EngineBinding` of ts/core/engine.ts over the embedded engine, call for call. Bytes are read where JavaScript has
//! them and written into what it hands over; numbers are checked below, not here.

use napi::Result;
use napi::bindgen_prelude::{Float64Array, Uint8ArraySlice};
use napi_derive::napi;
use wayfare_embed::{EmbeddedEngine, Failure};

use crate::kernels::error;

pub(crate) fn thrown(failure: Failure) -> napi::Error {
    error(failure.code, failure.text)
}

#[allow(unsafe_code)]
fn written<'a>(buffer: &'a mut Uint8ArraySlice<'_>) -> &'a mut [u8] {
    // SAFETY: JavaScript's thread is in this call, so nobody else reads or writes the array while the slice lives.
    unsafe { buffer.as_mut() }
}

/// The sans-IO engine; see `EngineBinding`.
#[napi]
pub struct Engine(EmbeddedEngine);

#[napi]
impl Engine {
    /// `optionsJson` is `EngineOptions`.
    #[napi(constructor)]
    pub fn new(
        options_json: String,
        identity_seed: &[u8],
        random_seed: &[u8],
        now_us: f64,
        unix_ms: f64,
    ) -> Result<Self> {
        EmbeddedEngine::new(&options_json, identity_seed, random_seed, now_us, unix_ms).map(Self).map_err(thrown)
    }

    #[napi]
    pub fn id(&mut self) -> Result<String> {
        self.0.id().map_err(thrown)
    }

    #[napi]
    #[allow(clippy::too_many_arguments, reason = "flat calls are what crosses the binding")]
    pub fn link_start(
        &mut self,
        now_us: f64,
        link: f64,
        dialling: bool,
        peer: String,
        proven: String,
        binding: &[u8],
        mtu: f64,
    ) -> Result<()> {
        self.0.link_start(now_us, link, dialling, &peer, &proven, binding, mtu).map_err(thrown)
    }

    #[napi]
    pub fn link_mtu(&mut self, link: f64, mtu: f64) -> Result<()> {
        self.0.link_mtu(link, mtu).map_err(thrown)
    }

    #[napi]
    pub fn link_stop(&mut self, now_us: f64, link: f64) -> Result<()> {
        self.0.link_stop(now_us, link).map_err(thrown)
    }

    #[napi]
    pub fn handle_control(&mut self, now_us: f64, link: f64, bytes: &[u8]) -> Result<()> {
        self.0.handle_control(now_us, link, bytes).map_err(thrown)
    }

    #[napi]
    pub fn handle_packets(&mut self, now_us: f64, link: f64, batch: &[u8]) -> Result<()> {
        self.0.handle_packets(now_us, link, batch).map_err(thrown)
    }

    #[napi]
    pub fn handle_timeout(&mut self, now_us: f64, unix_ms: f64) -> Result<()> {
        self.0.handle_timeout(now_us, unix_ms).map_err(thrown)
    }

    #[napi]
    pub fn outputs(&mut self, now_us: f64, mut buffer: Uint8ArraySlice<'_>) -> Result<u32> {
        self.0.outputs(now_us, written(&mut buffer)).map_err(thrown)
    }

    #[napi]
    pub fn events(&mut self) -> Result<String> {
        self.0.events().map_err(thrown)
    }

    #[napi]
    pub fn next_timeout(&mut self, now_us: f64) -> Result<f64> {
        self.0.next_timeout(now_us).map_err(thrown)
    }

    #[napi]
    pub fn set_onion_keys(&mut self, seeds: &[u8]) -> Result<()> {
        self.0.set_onion_keys(seeds).map_err(thrown)
    }

    #[napi]
    pub fn set_forwarding(&mut self, on: bool) -> Result<()> {
        self.0.set_forwarding(on).map_err(thrown)
    }

    #[napi]
    pub fn drain(&mut self) -> Result<()> {
        self.0.drain().map_err(thrown)
    }

    #[napi]
    pub fn next_hop_unreachable(&mut self, now_us: f64, peer: String) -> Result<()> {
        self.0.next_hop_unreachable(now_us, &peer).map_err(thrown)
    }

    #[napi]
    pub fn circuit_open(
        &mut self,
        now_us: f64,
        hops: &[u8],
        size_class: String,
        suite: String,
        flow: f64,
    ) -> Result<u32> {
        self.0.circuit_open(now_us, hops, &size_class, &suite, flow).map_err(thrown)
    }

    #[napi]
    pub fn circuit_close(&mut self, now_us: f64, circuit: f64) -> Result<()> {
        self.0.circuit_close(now_us, circuit).map_err(thrown)
    }

    #[napi]
    pub fn circuit_stats(&mut self, circuit: f64) -> Result<String> {
        self.0.circuit_stats(circuit).map_err(thrown)
    }

    #[napi]
    pub fn circuit_flow(&mut self, now_us: f64, circuit: f64, credit_class: f64) -> Result<()> {
        self.0.circuit_flow(now_us, circuit, credit_class).map_err(thrown)
    }

    #[napi]
    pub fn credits(&mut self, now_us: f64) -> Result<String> {
        self.0.credits(now_us).map_err(thrown)
    }

    #[napi]
    pub fn credits_circuits(&mut self) -> Result<String> {
        self.0.credits_circuits().map_err(thrown)
    }

    #[napi]
    pub fn credits_export(&mut self, now_us: f64) -> Result<String> {
        self.0.credits_export(now_us).map_err(thrown)
    }

    #[napi]
    pub fn credits_restore(&mut self, now_us: f64, ago_us: f64, peers: String, numbers: Float64Array) -> Result<u32> {
        self.0.credits_restore(now_us, ago_us, &peers, &numbers).map_err(thrown)
    }

    #[napi]
    pub fn credits_add(&mut self, rules: String) -> Result<()> {
        self.0.credits_add(&rules).map_err(thrown)
    }

    #[napi]
    pub fn credits_report(&mut self, now_us: f64) -> Result<()> {
        self.0.credits_report(now_us).map_err(thrown)
    }

    #[napi]
    pub fn credits_configure(&mut self, now_us: f64, options: String) -> Result<()> {
        self.0.credits_configure(now_us, &options).map_err(thrown)
    }

    #[napi]
    pub fn connection_open(&mut self, now_us: f64, circuit: f64) -> Result<u32> {
        self.0.connection_open(now_us, circuit).map_err(thrown)
    }

    #[napi]
    pub fn connection_move(&mut self, now_us: f64, connection: f64, circuit: f64) -> Result<()> {
        self.0.connection_move(now_us, connection, circuit).map_err(thrown)
    }

    #[napi]
    pub fn connection_close(&mut self, now_us: f64, connection: f64) -> Result<()> {
        self.0.connection_close(now_us, connection).map_err(thrown)
    }

    #[napi]
    pub fn flow_open(&mut self, now_us: f64, connection: f64, host: String, port: f64) -> Result<u32> {
        self.0.flow_open(now_us, connection, &host, port).map_err(thrown)
    }

    #[napi]
    pub fn flow_accept(&mut self, now_us: f64, flow: f64, local: String) -> Result<()> {
        self.0.flow_accept(now_us, flow, &local).map_err(thrown)
    }

    #[napi]
    pub fn flow_refuse(&mut self, now_us: f64, flow: f64, code: String) -> Result<()> {
        self.0.flow_refuse(now_us, flow, &code).map_err(thrown)
    }

    #[napi]
    pub fn flow_read(&mut self, now_us: f64, flow: f64, mut buffer: Uint8ArraySlice<'_>) -> Result<i32> {
        self.0.flow_read(now_us, flow, written(&mut buffer)).map_err(thrown)
    }

    #[napi]
    pub fn flow_write(&mut self, now_us: f64, flow: f64, data: &[u8]) -> Result<i32> {
        self.0.flow_write(now_us, flow, data).map_err(thrown)
    }

    #[napi]
    pub fn flow_finish(&mut self, now_us: f64, flow: f64) -> Result<()> {
        self.0.flow_finish(now_us, flow).map_err(thrown)
    }

    #[napi]
    pub fn flow_reset(&mut self, now_us: f64, flow: f64) -> Result<()> {
        self.0.flow_reset(now_us, flow).map_err(thrown)
    }

    #[napi]
    pub fn flow_release(&mut self, now_us: f64, flow: f64) -> Result<()> {
        self.0.flow_release(now_us, flow).map_err(thrown)
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
