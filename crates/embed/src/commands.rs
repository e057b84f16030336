//! The calls that decide something: circuits, connections, flows, and what this node takes.

use std::net::{Ipv4Addr, SocketAddr};

use wayfare_engine::{Account, Additions};

use crate::engine::EmbeddedEngine;
use crate::failure::Failure;
use crate::options;
use crate::stats::{CircuitStats, Stats, json};

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

    /// `hops`: id (32) and onion key (1216) of each, one after the other; `suite` empty for what suits this CPU; `flow` a class of credits.
    pub fn circuit_open(
        &mut self,
        now_us: f64,
        hops: &[u8],
        class: &str,
        suite: &str,
        flow: f64,
    ) -> Result<u32, Failure> {
        let state = self.open()?;
        let now = state.at(now_us)?;
        let (hops, class, suite) = (options::hops(hops)?, options::size_class(class)?, options::suite(suite)?);
        let flow = options::id(flow, "a class")?.try_into().unwrap_or(u8::MAX);
        Ok(state.engine.circuit_open_with(now, &hops, class, suite, flow)?)
    }

    pub fn circuit_close(&mut self, now_us: f64, id: f64) -> Result<(), Failure> {
        let state = self.open()?;
        let now = state.at(now_us)?;
        state.engine.circuit_close(now, circuit(id)?);
        Ok(())
    }

    /// What this engine adds to a circuit that begins or ends here: a class of credits per second, 0 (none) to 8.
    pub fn circuit_flow(&mut self, now_us: f64, id: f64, class: f64) -> Result<(), Failure> {
        let state = self.open()?;
        let now = state.at(now_us)?;
        // What is no class at all is none of the eight, either.
        let class = options::id(class, "a class")?.try_into().unwrap_or(u8::MAX);
        Ok(state.engine.circuit_flow(now, circuit(id)?, class)?)
    }

    /// JSON of the accounts with all neighbours, and the books.
    pub fn credits(&mut self, now_us: f64) -> Result<String, Failure> {
        let state = self.open()?;
        let now = state.at(now_us)?;
        Ok(state.engine.credits(now))
    }

    /// JSON of the flows of all circuits.
    pub fn credits_circuits(&mut self) -> Result<String, Failure> {
        Ok(self.open()?.engine.credits_circuits())
    }

    /// JSON of what is to be kept of the accounts through a restart.
    pub fn credits_export(&mut self, now_us: f64) -> Result<String, Failure> {
        let state = self.open()?;
        let now = state.at(now_us)?;
        Ok(Account::to_json(&state.engine.credits_export(now)))
    }

    /// Takes accounts as they were so long ago, before links to those neighbours are up: ids with spaces between them, and five numbers
    /// for each as `Account` has them. How many were taken. A time below zero is none.
    pub fn credits_restore(&mut self, now_us: f64, ago_us: f64, peers: &str, numbers: &[f64]) -> Result<u32, Failure> {
        let state = self.open()?;
        let now = state.at(now_us)?;
        let account = |(peer, of): (&str, &[f64; 5])| Account::from_numbers(peer.parse().ok()?, *of);
        let accounts: Vec<Account> = peers.split(' ').zip(numbers.as_chunks::<5>().0).filter_map(account).collect();
        Ok(state.engine.credits_restore(now, ago_us as u64, &accounts) as u32)
    }

    /// Tells neighbours what they have here.
    pub fn credits_report(&mut self, now_us: f64) -> Result<(), Failure> {
        let state = self.open()?;
        let now = state.at(now_us)?;
        state.engine.credits_report(now);
        Ok(())
    }

    /// JSON of `CreditOptions`, from now on; half-life and periods stay.
    pub fn credits_configure(&mut self, now_us: f64, options: &str) -> Result<(), Failure> {
        let state = self.open()?;
        let now = state.at(now_us)?;
        let changed = state.engine.credits_configure(now, crate::credit::config(options)?);
        changed.map_err(|e| Failure::invalid(e.to_string()))
    }

    /// What is added to the flow of circuits that end here, from now on: rules, a line each, as [`Additions::parse`] has them.
    pub fn credits_add(&mut self, rules: &str) -> Result<(), Failure> {
        let state = self.open()?;
        let rules = Additions::parse(rules).ok_or_else(|| Failure::invalid("these are no rules"))?;
        state.engine.credits_add(rules);
        Ok(())
    }

    /// JSON of what one of our own circuits carried; empty when there is none of this id.
    pub fn circuit_stats(&mut self, id: f64) -> Result<String, Failure> {
        let state = self.open()?;
        let info = state.engine.circuit_info(circuit(id)?);
        Ok(info.map_or_else(String::new, |info| json(&CircuitStats::from(info))))
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
