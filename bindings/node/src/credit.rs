//! `Credit`: `CreditBinding` of ts/core/credit.ts over the embedded one, call for call. Numbers are checked below, not here.

use napi::Result;
use napi::bindgen_prelude::{Float64ArraySlice, Uint32ArraySlice};
use napi_derive::napi;
use wayfare_embed::EmbeddedCredit;

use crate::egress::{ids, numbers};
use crate::engine::thrown;

/// Credits between neighbours; see `CreditBinding`.
#[napi]
pub struct Credit(EmbeddedCredit);

#[napi]
impl Credit {
    /// `optionsJson` is `CreditOptions`.
    #[napi(constructor)]
    pub fn new(options_json: String, random_seed: &[u8], now_us: f64) -> Result<Self> {
        EmbeddedCredit::new(&options_json, random_seed, now_us).map(Self).map_err(thrown)
    }

    #[napi]
    pub fn configure(&mut self, now_us: f64, json: String) -> Result<()> {
        self.0.configure(now_us, &json).map_err(thrown)
    }

    #[napi]
    pub fn neighbour_add(&mut self, now_us: f64, opening: &[f64]) -> Result<u32> {
        self.0.neighbour_add(now_us, opening).map_err(thrown)
    }

    #[napi]
    pub fn neighbour_remove(&mut self, now_us: f64, neighbour: f64) -> Result<()> {
        self.0.neighbour_remove(now_us, neighbour).map_err(thrown)
    }

    #[napi]
    pub fn neighbour_expect(&mut self, now_us: f64, neighbour: f64, per_second: f64) -> Result<()> {
        self.0.neighbour_expect(now_us, neighbour, per_second).map_err(thrown)
    }

    #[napi]
    pub fn neighbour_report(&mut self, now_us: f64, neighbour: f64, balance: f64, per_second: f64) -> Result<bool> {
        self.0.neighbour_report(now_us, neighbour, balance, per_second).map_err(thrown)
    }

    #[napi]
    pub fn account(&mut self, now_us: f64, neighbour: f64) -> Result<f64> {
        self.0.account(now_us, neighbour).map_err(thrown)
    }

    #[napi]
    pub fn mirror(&mut self, now_us: f64, neighbour: f64) -> Result<f64> {
        self.0.mirror(now_us, neighbour).map_err(thrown)
    }

    #[napi]
    pub fn spend(&mut self, now_us: f64, neighbour: f64, credits: f64) -> Result<f64> {
        self.0.spend(now_us, neighbour, credits).map_err(thrown)
    }

    #[napi]
    pub fn earn(&mut self, now_us: f64, neighbour: f64, credits: f64) -> Result<f64> {
        self.0.earn(now_us, neighbour, credits).map_err(thrown)
    }

    #[napi]
    pub fn connection_open(&mut self, now_us: f64, previous: f64, next: f64, announced: f64) -> Result<f64> {
        self.0.connection_open(now_us, previous, next, announced).map_err(thrown)
    }

    #[napi]
    pub fn connection_announced(
        &mut self,
        now_us: f64,
        connection: f64,
        direction: f64,
        announced: f64,
    ) -> Result<bool> {
        self.0.connection_announced(now_us, connection, direction, announced).map_err(thrown)
    }

    #[napi]
    pub fn connection_own(&mut self, now_us: f64, connection: f64, own: f64) -> Result<()> {
        self.0.connection_own(now_us, connection, own).map_err(thrown)
    }

    #[napi]
    pub fn connection_keep(&mut self, now_us: f64, connection: f64) -> Result<()> {
        self.0.connection_keep(now_us, connection).map_err(thrown)
    }

    #[napi]
    pub fn connection_close(&mut self, now_us: f64, connection: f64) -> Result<()> {
        self.0.connection_close(now_us, connection).map_err(thrown)
    }

    #[napi]
    pub fn charge(&mut self, connection: f64, direction: f64, credits: f64, bytes: f64) -> Result<()> {
        self.0.charge(connection, direction, credits, bytes).map_err(thrown)
    }

    #[napi]
    pub fn charges(&mut self, records: &[f64], count: f64) -> Result<u32> {
        self.0.charges(records, count).map_err(thrown)
    }

    #[napi]
    pub fn weight(&mut self, connection: f64, direction: f64) -> Result<u32> {
        self.0.weight(connection, direction).map_err(thrown)
    }

    #[napi]
    pub fn weights(&mut self, mut out: Uint32ArraySlice<'_>) -> Result<u32> {
        self.0.weights(ids(&mut out)).map_err(thrown)
    }

    #[napi]
    pub fn settle(&mut self, now_us: f64) -> Result<u32> {
        self.0.settle(now_us).map_err(thrown)
    }

    #[napi]
    pub fn changes(&mut self, mut out: Float64ArraySlice<'_>) -> Result<u32> {
        self.0.changes(numbers(&mut out)).map_err(thrown)
    }

    #[napi]
    pub fn neighbour(&mut self, now_us: f64, neighbour: f64, mut out: Float64ArraySlice<'_>) -> Result<()> {
        self.0.neighbour(now_us, neighbour, numbers(&mut out)).map_err(thrown)
    }

    #[napi]
    pub fn neighbours(&mut self, now_us: f64, from: f64, mut out: Float64ArraySlice<'_>) -> Result<u32> {
        self.0.neighbours(now_us, from, numbers(&mut out)).map_err(thrown)
    }

    #[napi]
    pub fn connection(&mut self, connection: f64, mut out: Float64ArraySlice<'_>) -> Result<()> {
        self.0.connection(connection, numbers(&mut out)).map_err(thrown)
    }

    #[napi]
    pub fn connections(&mut self, from: f64, mut out: Float64ArraySlice<'_>) -> Result<u32> {
        self.0.connections(from, numbers(&mut out)).map_err(thrown)
    }

    #[napi]
    pub fn books(&mut self, now_us: f64, mut out: Float64ArraySlice<'_>) -> Result<()> {
        self.0.books(now_us, numbers(&mut out)).map_err(thrown)
    }

    #[napi]
    pub fn digest(&mut self) -> Result<String> {
        self.0.digest().map_err(thrown)
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
