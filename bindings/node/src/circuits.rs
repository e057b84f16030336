//! `NativeNode`'s circuits, the connections over them, and credits.

use napi::bindgen_prelude::{Float64Array, Object, Uint8Array};
use napi::{Env, Result};
use napi_derive::napi;
use wayfare_driver as driver;
use wayfare_driver::{SizeClass, Suite, ask_blocking};

use crate::kernels::error;
use crate::node::{NativeNode, peer_id};
use crate::settle::{Parsed, promise, thrown};

#[napi(object)]
pub struct HopSpec {
    /// Node id, 64 hex digits.
    pub id: String,
    /// X-Wing public key, 1216 bytes.
    pub onion_key: Uint8Array,
}

#[napi(object)]
pub struct CircuitSpec {
    pub hops: Vec<HopSpec>,
    #[napi(ts_type = "'M' | 'L' | 'J' | 'X'")]
    pub size_class: Option<String>,
    #[napi(ts_type = "'aes128gcm' | 'aes256gcm' | 'chacha20poly1305'")]
    pub suite: Option<String>,
    /// A class of credits per second, 0 to 8.
    pub flow: Option<u32>,
}

#[napi]
impl NativeNode {
    #[napi(ts_return_type = "Promise<number>")]
    pub fn circuit_open<'env>(&self, env: &'env Env, spec: CircuitSpec) -> Result<Object<'env>> {
        let hops = spec
            .hops
            .iter()
            .map(|hop| {
                let key = driver::OnionPublic::from_bytes(&hop.onion_key)
                    .map_err(|_| error("argument_invalid", "an onion key is an X-Wing public key of 1216 bytes"))?;
                Ok(driver::HopSpec { node: peer_id(&hop.id)?, onion_key: key })
            })
            .collect::<Result<Vec<_>>>()?;
        let class = match spec.size_class.as_deref() {
            Some("M") => SizeClass::M,
            None | Some("L") => SizeClass::L,
            Some("J") => SizeClass::J,
            Some("X") => SizeClass::X,
            Some(other) => {
                return Err(error("argument_invalid", format!("there is no size class {other:?}; M, L, J and X are")));
            }
        };
        let suite = match &spec.suite {
            None => None,
            Some(name) => Some(
                Suite::from_name(name)
                    .ok_or_else(|| error("argument_invalid", format!("there is no cipher suite {name:?}")))?,
            ),
        };
        let (answer, circuit) = promise(env, |circuit: u32| circuit)?;
        self.with(|node| {
            node.circuit_open(
                driver::CircuitSpec { hops, class, suite, flow: spec.flow.unwrap_or(0).try_into().unwrap_or(u8::MAX) },
                answer,
            )
        })?;
        Ok(circuit)
    }

    #[napi]
    pub fn circuit_close(&self, circuit: u32) -> Result<()> {
        self.with(|node| node.circuit_close(circuit))
    }

    /// Waits for the node's thread, a turn of it at most; so do the others about credits.
    #[napi]
    pub fn circuit_flow(&self, circuit: u32, credit_class: u32) -> Result<()> {
        let class = credit_class.try_into().unwrap_or(u8::MAX);
        self.with(|node| ask_blocking(|answer| node.circuit_flow(circuit, class, answer)))?.map_err(thrown)
    }

    /// JSON of `NodeCredits`.
    #[napi]
    pub fn credits(&self) -> Result<String> {
        self.with(|node| ask_blocking(|answer| node.credits(answer)))?.map_err(thrown)
    }

    /// JSON of `CircuitCredits[]`.
    #[napi]
    pub fn credits_circuits(&self) -> Result<String> {
        self.with(|node| ask_blocking(|answer| node.credits_circuits(answer)))?.map_err(thrown)
    }

    /// JSON of `KeptAccount[]`.
    #[napi]
    pub fn credits_export(&self) -> Result<String> {
        let kept = self.with(|node| ask_blocking(|answer| node.credits_export(answer)))?.map_err(thrown)?;
        Ok(driver::Account::to_json(&kept))
    }

    /// Accounts as they were so long ago: of each its peer, and five numbers: `account`, `mirror`, `contributed`, `value`, `expected`. How
    /// many were taken. A time below zero is none.
    #[napi]
    pub fn credits_restore(&self, ago_us: f64, peers: Vec<String>, numbers: Float64Array) -> Result<u32> {
        let account = |(peer, of): (&String, &[f64; 5])| driver::Account::from_numbers(peer.parse().ok()?, *of);
        let accounts = peers.iter().zip(numbers.as_chunks::<5>().0).filter_map(account).collect();
        let taken = self.with(|node| ask_blocking(|answer| node.credits_restore(ago_us as u64, accounts, answer)))?;
        let taken = taken.map_err(thrown)?;
        Ok(taken as u32)
    }

    #[napi]
    pub fn credits_report(&self) -> Result<()> {
        self.with(|node| node.credits_report())
    }

    /// JSON of `CreditChangeable`.
    #[napi]
    pub fn credits_configure(&self, options: String) -> Result<()> {
        let credits = driver::Credits::from_json(&options).map_err(thrown)?;
        self.with(|node| ask_blocking(|answer| node.credits_configure(credits, answer)))?.map_err(thrown)
    }

    /// What is added to circuits that end here: rules, a line each.
    #[napi]
    pub fn credits_add(&self, rules: String) -> Result<()> {
        self.with(|node| node.credits_add(&rules))?.map_err(thrown)
    }

    /// Waits for the node's thread, a turn of it at most.
    #[napi(ts_return_type = "import('../../ts/core/host.js').CircuitStats | null")]
    pub fn circuit_stats(&self, circuit: u32) -> Result<Parsed> {
        let stats = self.with(|node| ask_blocking(|answer| node.circuit_stats(circuit, answer)))?.map_err(thrown)?;
        Ok(Parsed::of(&stats))
    }

    #[napi(ts_return_type = "Promise<number>")]
    pub fn connection_open<'env>(&self, env: &'env Env, circuit: u32) -> Result<Object<'env>> {
        let (answer, connection) = promise(env, |connection: u32| connection)?;
        self.with(|node| node.connection_open(circuit, answer))?;
        Ok(connection)
    }

    #[napi]
    pub fn connection_move(&self, connection: u32, circuit: u32) -> Result<()> {
        self.with(|node| node.connection_move(connection, circuit))
    }

    #[napi]
    pub fn connection_close(&self, connection: u32) -> Result<()> {
        self.with(|node| node.connection_close(connection))
    }
}
