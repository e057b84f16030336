//! For the benchmarks: what `wayfare_embed::PeelBench` measures, over the crossing.

use napi::Result;
use napi::bindgen_prelude::{Uint8Array, Uint32Array};
use napi_derive::napi;

use crate::engine::thrown;

#[allow(unsafe_code)]
fn written(results: &mut Uint32Array) -> &mut [u32] {
    // SAFETY: JavaScript's thread is in this call, so nobody else reads or writes the array while the slice lives.
    unsafe { results.as_mut() }
}

/// So many steps of 64-bit arithmetic.
#[napi]
pub fn arithmetic(steps: u32) -> u32 {
    wayfare_embed::arithmetic(steps)
}

/// A relay's table of circuits, and the client that fills packets for it.
#[napi]
pub struct PeelBench(wayfare_embed::PeelBench);

#[napi]
impl PeelBench {
    #[napi(constructor)]
    pub fn new(circuits: u32, payload_bytes: u32, suite: Option<String>) -> Result<Self> {
        wayfare_embed::PeelBench::new(circuits, payload_bytes, suite.as_deref()).map(Self).map_err(thrown)
    }

    /// Bytes of one packet.
    #[napi(getter)]
    pub fn stride(&self) -> u32 {
        self.0.stride() as u32
    }

    /// Fresh packets, one behind the other, each for a circuit drawn at random.
    #[napi]
    pub fn packets(&mut self, count: u32) -> Result<Uint8Array> {
        Ok(self.0.packets(count).map_err(thrown)?.into())
    }

    /// Peels each packet of a batch; `results` gets 0, or a reason's code plus one. Says how many were good.
    #[napi]
    pub fn peel(&mut self, packets: &[u8], stride: u32, mut results: Uint32Array) -> u32 {
        self.0.peel(packets, stride, written(&mut results))
    }

    /// The same crossing with nothing done: a look at each packet's first byte.
    #[napi]
    pub fn pass(&self, packets: &[u8], stride: u32, mut results: Uint32Array) -> u32 {
        self.0.pass(packets, stride, written(&mut results))
    }
}
