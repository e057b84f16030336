//! The calls that decide something: circuits, connections, flows, and what this node takes.

use std::net::{Ipv4Addr, SocketAddr};

use crate::engine::EmbeddedEngine;
use crate::failure::Failure;
use crate::options;
use crate::stats::{Carried, Stats, json};

fn circuit(id: f64) -> Result<u32, Failure> {
    options::id(id, "a circuit")
}

fn connection(id: f64) -> Result<u32, Failure> {
    options::id(id, "a connection")
}

fn flow(id: f64) -> Result<u32, Failure> {
    options::id(id, "a flow")
}

impl EmbeddedEngine {
    pub fn set_forwarding(&mut self, on: bool) -> Result<(), Failure> {
        self.open()?.engine.set_forwarding(on);
        Ok(())
    }

    pub fn drain(&mut self) -> Result<(), Failure> {
        self.open()?.engine.drain();
        Ok(())
    }

    pub fn next_hop_unreachable(&mut self, now_us: f64, peer: &str) -> Result<(), Failure> {
        let state = self.open()?;
        let (now, peer) = (state.at(now_us)?, options::node(peer)?);
        state.engine.next_hop_unreachable(now, peer);
        Ok(())
    }

    /// `hops`: id (32) and onion key (1216) of each, one after the other; `suite` empty for what suits this CPU.
    pub fn circuit_open(&mut self, now_us: f64, hops: &[u8], class: &str, suite: &str) -> Result<u32, Failure> {
        let state = self.open()?;
        let now = state.at(now_us)?;
        let (hops, class, suite) = (options::hops(hops)?, options::size_class(class)?, options::suite(suite)?);
        Ok(state.engine.circuit_open(now, &hops, class, suite)?)
    }

    pub fn circuit_close(&mut self, now_us: f64, id: f64) -> Result<(), Failure> {
        let state = self.open()?;
        let now = state.at(now_us)?;
        state.engine.circuit_close(now, circuit(id)?);
        Ok(())
    }

    /// JSON of what one of our own circuits carried; empty when there is none of this id.
    pub fn circuit_stats(&mut self, id: f64) -> Result<String, Failure> {
        let state = self.open()?;
        let info = state.engine.circuit_info(circuit(id)?);
        Ok(info.map_or_else(String::new, |info| json(&Carried::from(info))))
    }

    pub fn connection_open(&mut self, now_us: f64, over: f64) -> Result<u32, Failure> {
        let state = self.open()?;
        let now = state.at(now_us)?;
        Ok(state.engine.connection_open(now, circuit(over)?)?)
    }

    pub fn connection_move(&mut self, now_us: f64, id: f64, to: f64) -> Result<(), Failure> {
        let state = self.open()?;
        let now = state.at(now_us)?;
        Ok(state.engine.connection_move(now, connection(id)?, circuit(to)?)?)
    }

    pub fn connection_close(&mut self, now_us: f64, id: f64) -> Result<(), Failure> {
        let state = self.open()?;
        let now = state.at(now_us)?;
        state.engine.connection_close(now, connection(id)?);
        Ok(())
    }

    pub fn flow_open(&mut self, now_us: f64, over: f64, host: &str, port: f64) -> Result<u32, Failure> {
        let state = self.open()?;
        let now = state.at(now_us)?;
        Ok(state.engine.flow_open(now, connection(over)?, host, options::port(port)?)?)
    }

    /// Answers `flow_requested`. `local` is this exit's socket towards the origin, empty where there is none to name.
    pub fn flow_accept(&mut self, now_us: f64, id: f64, local: &str) -> Result<(), Failure> {
        let state = self.open()?;
        state.at(now_us)?;
        let id = flow(id)?;
        let local = match local {
            "" => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            text => text.parse().map_err(|_| Failure::invalid(format!("{text:?} is no address with a port")))?,
        };
        if state.asked.remove(&id) {
            state.engine.flow_accept(id, local);
        }
        Ok(())
    }

    /// Answers `flow_requested`; `code` says what the client is told.
    pub fn flow_refuse(&mut self, now_us: f64, id: f64, code: &str) -> Result<(), Failure> {
        let state = self.open()?;
        let now = state.at(now_us)?;
        let (id, status) = (flow(id)?, options::status(code)?);
        if state.asked.remove(&id) {
            state.engine.flow_refuse(now, id, status);
        }
        Ok(())
    }

    pub fn flow_finish(&mut self, now_us: f64, id: f64) -> Result<(), Failure> {
        let state = self.open()?;
        state.at(now_us)?;
        state.engine.flow_finish(flow(id)?);
        Ok(())
    }

    pub fn flow_reset(&mut self, now_us: f64, id: f64) -> Result<(), Failure> {
        let state = self.open()?;
        let (now, id) = (state.at(now_us)?, flow(id)?);
        state.asked.remove(&id);
        state.engine.flow_reset(now, id);
        Ok(())
    }

    pub fn flow_release(&mut self, now_us: f64, id: f64) -> Result<(), Failure> {
        let state = self.open()?;
        let (now, id) = (state.at(now_us)?, flow(id)?);
        state.asked.remove(&id);
        state.engine.flow_release(now, id);
        Ok(())
    }

    /// JSON of the totals since the start.
    pub fn stats(&mut self) -> Result<String, Failure> {
        let state = self.open()?;
        // What only the events tell is counted as well.
        state.collect();
        let totals = state.engine.stats();
        Ok(json(&Stats::new(totals, state.engine.counters())))
    }
}
