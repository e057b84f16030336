//! For the benchmarks: what `wayfare_embed::PeelBench` measures, over the crossing.

use wasm_bindgen::prelude::*;

use crate::engine::thrown;

/// So many steps of 64-bit arithmetic.
#[wasm_bindgen]
pub fn arithmetic(steps: u32) -> u32 {
    wayfare_embed::arithmetic(steps)
}

/// A relay's table of circuits, and the client that fills packets for it.
#[wasm_bindgen]
pub struct PeelBench(wayfare_embed::PeelBench);

#[wasm_bindgen]
impl PeelBench {
    #[wasm_bindgen(constructor)]
    pub fn new(circuits: u32, payload_bytes: u32, suite: Option<String>) -> Result<Self, JsError> {
        wayfare_embed::PeelBench::new(circuits, payload_bytes, suite.as_deref()).map(Self).map_err(thrown)
    }

    /// Bytes of one packet.
    #[wasm_bindgen(getter)]
    pub fn stride(&self) -> u32 {
        self.0.stride() as u32
    }

    /// Fresh packets, one behind the other, each for a circuit drawn at random.
    pub fn packets(&mut self, count: u32) -> Result<Vec<u8>, JsError> {
        self.0.packets(count).map_err(thrown)
    }

    /// Peels each packet of a batch; `results` gets 0, or a reason's code plus one. Says how many were good.
    pub fn peel(&mut self, packets: &[u8], stride: u32, results: &mut [u32]) -> u32 {
        self.0.peel(packets, stride, results)
    }

    /// The same crossing with nothing done: a look at each packet's first byte.
    pub fn pass(&self, packets: &[u8], stride: u32, results: &mut [u32]) -> u32 {
        self.0.pass(packets, stride, results)
    }
}
