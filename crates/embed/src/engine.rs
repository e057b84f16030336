//! The state behind the calls, and what moves bytes: datagrams and control frames in, records out, flows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use wayfare_engine::{Engine, FlowRead, FlowWrite, Instant, Output, Payer, Reason, plain_packets};
use wayfare_quic::tls::Identity;
use zeroize::Zeroizing;

use crate::event::Event;
use crate::failure::Failure;
use crate::link::Link;
use crate::options::{self, Options};
use crate::random::ChaChaRandom;
use crate::{FLOW_BLOCKED, FLOW_CLOSED, FLOW_FINISHED, OUTPUT_BYTES_MIN, OUTPUT_CONTROL, OUTPUT_HEADER, OUTPUT_PACKET};

/// What one call takes to write: more would be copied only to be refused.
const WRITE_BYTES_MAX: usize = 256 << 10;

/// See the crate's first paragraph; its methods are those of `EngineBinding`, one for one.
pub struct EmbeddedEngine {
    /// Until it is closed.
    state: Option<Box<State>>,
}

pub(crate) struct State {
    pub engine: Engine,
    pub identity: Identity,
    /// For what is drawn here; the engine has a branch of its own.
    pub random: ChaChaRandom,
    origin: Instant,
    /// The latest time that was passed in.
    pub now: Instant,
    pub links: BTreeMap<u32, Link>,
    /// What links say before the engine knows them.
    pub own_outputs: VecDeque<(u32, Vec<u8>)>,
    /// Packets of a batch that are still to become records.
    batch: VecDeque<(u32, Bytes)>,
    /// A record that did not fit in the last buffer.
    held: Option<(u8, u32, Bytes)>,
    pub events: VecDeque<Event>,
    /// Flows at this exit that wait for an answer.
    pub asked: BTreeSet<u32>,
}

impl State {
    /// Time never falls: an earlier one than before counts as the same.
    pub fn at(&mut self, now_us: f64) -> Result<Instant, Failure> {
        let since = Duration::from_micros(options::time(now_us, "now_us")?);
        let at = self.origin.checked_add(since).ok_or_else(|| Failure::invalid("now_us is too far from its origin"))?;
        self.now = self.now.max(at);
        Ok(self.now)
    }

    /// In microseconds since the origin, rounded up so that at that time it is due.
    fn us_of(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.origin).as_nanos().div_ceil(1000) as f64
    }

    fn next_record(&mut self) -> Option<(u8, u32, Bytes)> {
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        loop {
            let polled = if let Some((link, packet)) = self.batch.pop_front() {
                Output::Packet { link, data: packet, payer: Payer::LINK }
            } else if let Some((link, bytes)) = self.own_outputs.pop_front() {
                Output::Control { link, data: bytes }
            } else {
                self.engine.poll_output(self.now)?
            };
            let (kind, link, data) = match polled {
                Output::Packet { link, data, .. } => (OUTPUT_PACKET, link, data),
                Output::Packets { link, data, stride, .. } => {
                    self.batch.extend(plain_packets(data, stride).map(|packet| (link, packet)));
                    continue;
                }
                Output::Control { link, data } => (OUTPUT_CONTROL, link, data.into()),
                Output::CloseLink { link, reason } => {
                    self.refuse(self.now, link, reason);
                    continue;
                }
                // Kept in the engine's memory alone: after a start with kept keys it refuses what it cannot know.
                Output::RememberSetup(_) => continue,
            };
            if self.has_link(link) {
                return Some((kind, link, data));
            }
            if kind == OUTPUT_PACKET {
                self.engine.counters().count(Reason::LinkGone);
            }
        }
    }
}

impl EmbeddedEngine {
    /// An engine without links. `unix_ms` is the wall clock at `now_us`.
    pub fn new(
        options_json: &str,
        identity_seed: &[u8],
        random_seed: &[u8],
        now_us: f64,
        unix_ms: f64,
    ) -> Result<Self, Failure> {
        let options = Options::parse(options_json)?;
        let identity_seed = options::seed(identity_seed, "an identity seed")?;
        let mut random = ChaChaRandom::new(&*options::seed(random_seed, "a seed of randomness")?);
        let identity = Identity::from_seed(&identity_seed).map_err(|e| Failure::invalid(e.to_string()))?;
        // What `now_us` counts from; only differences to it are ever seen.
        #[allow(clippy::disallowed_methods, reason = "an instant can be had in no other way")]
        let origin = Instant::now();
        let since = Duration::from_micros(options::time(now_us, "now_us")?);
        let now = origin.checked_add(since).ok_or_else(|| Failure::invalid("now_us is too far from its origin"))?;
        let unix_ms = options::time(unix_ms, "unix_ms")?;
        let mut engine = Engine::new(options.config(&identity_seed)?, now, unix_ms, Box::new(random.branch()))
            .map_err(|text| Failure { code: Failure::SYSTEM, text })?;
        if !options.fresh_keys {
            engine.refuse_older_setups(now);
        }
        let state = State {
            engine,
            identity,
            random,
            origin,
            now,
            links: BTreeMap::new(),
            own_outputs: VecDeque::new(),
            batch: VecDeque::new(),
            held: None,
            events: VecDeque::new(),
            asked: BTreeSet::new(),
        };
        Ok(Self { state: Some(Box::new(state)) })
    }

    pub(crate) fn open(&mut self) -> Result<&mut State, Failure> {
        self.state.as_deref_mut().ok_or_else(Failure::closed)
    }

    pub fn id(&mut self) -> Result<String, Failure> {
        Ok(self.open()?.id().to_string())
    }

    /// Frees what it holds and wipes its keys; every later call is refused as `closed`, except this one.
    pub fn close(&mut self) {
        self.state = None;
    }

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
    ) -> Result<(), Failure> {
        self.open()?.link_start(now_us, link, dialling, peer, proven, binding, mtu)
    }

    pub fn link_mtu(&mut self, link: f64, mtu: f64) -> Result<(), Failure> {
        self.open()?.link_mtu(link, mtu)
    }

    pub fn link_stop(&mut self, now_us: f64, link: f64) -> Result<(), Failure> {
        self.open()?.link_stop(now_us, link)
    }

    pub fn handle_control(&mut self, now_us: f64, link: f64, bytes: &[u8]) -> Result<(), Failure> {
        let state = self.open()?;
        let (now, link) = (state.at(now_us)?, options::id(link, "a link")?);
        state.control(now, link, bytes);
        Ok(())
    }

    /// Datagrams of a link, each behind its length (u16).
    pub fn handle_packets(&mut self, now_us: f64, link: f64, mut batch: &[u8]) -> Result<(), Failure> {
        let state = self.open()?;
        let (now, link) = (state.at(now_us)?, options::id(link, "a link")?);
        let known = state.has_link(link);
        while let Some((length, rest)) = batch.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let Some((packet, rest)) = rest.split_at_checked(length) else { break };
            batch = rest;
            if known {
                state.engine.handle_packet(now, link, BytesMut::from(packet));
            } else {
                state.engine.counters().count(Reason::LinkGone);
            }
        }
        if batch.is_empty() { Ok(()) } else { Err(Failure::invalid("a batch of datagrams ends within one")) }
    }

    pub fn handle_timeout(&mut self, now_us: f64, unix_ms: f64) -> Result<(), Failure> {
        let state = self.open()?;
        let (now, unix_ms) = (state.at(now_us)?, options::time(unix_ms, "unix_ms")?);
        state.engine.handle_timeout(now, unix_ms);
        state.expire_starts(now);
        Ok(())
    }

    /// Fills `buffer` with whole records; how many bytes. 0 when there is nothing left.
    pub fn outputs(&mut self, now_us: f64, buffer: &mut [u8]) -> Result<u32, Failure> {
        let state = self.open()?;
        state.at(now_us)?;
        if buffer.len() < OUTPUT_BYTES_MIN {
            return Err(Failure::invalid(format!(
                "a buffer for outputs has at least {OUTPUT_BYTES_MIN} bytes, not {}",
                buffer.len()
            )));
        }
        let mut used = 0;
        while let Some((kind, link, data)) = state.next_record() {
            let end = used + OUTPUT_HEADER + data.len();
            let Some(record) = buffer.get_mut(used..end) else {
                if used == 0 {
                    // Larger than any frame or packet is: nothing could ever carry it.
                    state.engine.counters().count(Reason::PacketSize);
                    continue;
                }
                state.held = Some((kind, link, data));
                break;
            };
            record[0] = kind;
            record[1..5].copy_from_slice(&link.to_be_bytes());
            record[5..OUTPUT_HEADER].copy_from_slice(&(data.len() as u32).to_be_bytes());
            record[OUTPUT_HEADER..].copy_from_slice(&data);
            used = end;
        }
        Ok(used as u32)
    }

    /// A JSON array of events; empty when there is none.
    pub fn events(&mut self) -> Result<String, Failure> {
        let state = self.open()?;
        state.collect();
        if state.events.is_empty() {
            return Ok(String::new());
        }
        let events = std::mem::take(&mut state.events);
        Ok(crate::stats::json(&events))
    }

    /// When to call `handle_timeout`, in microseconds; -1 for never.
    pub fn next_timeout(&mut self, now_us: f64) -> Result<f64, Failure> {
        let state = self.open()?;
        let now = state.at(now_us)?;
        let due = [state.engine.poll_timeout(now), state.next_start_end()].into_iter().flatten().min();
        Ok(due.map_or(-1.0, |at| state.us_of(at)))
    }

    /// 32-byte seeds one after the other, the current one first.
    pub fn set_onion_keys(&mut self, seeds: &[u8]) -> Result<(), Failure> {
        let state = self.open()?;
        let seeds = Zeroizing::new(options::each_32(seeds, "seeds of onion keys")?.to_vec());
        state.engine.set_onion_keys(&seeds);
        Ok(())
    }

    /// Bytes put into `buffer`, which count as read, or one of `FLOW_*`.
    pub fn flow_read(&mut self, now_us: f64, flow: f64, buffer: &mut [u8]) -> Result<i32, Failure> {
        let state = self.open()?;
        let (now, flow) = (state.at(now_us)?, options::id(flow, "a flow")?);
        if buffer.is_empty() {
            return Err(Failure::invalid("a buffer to read into is not empty"));
        }
        let room = buffer.len().min(i32::MAX as usize);
        let mut used = 0;
        let end = loop {
            if used == room {
                break FLOW_BLOCKED;
            }
            match state.engine.flow_read(flow, room - used) {
                FlowRead::Data(data) => {
                    buffer[used..used + data.len()].copy_from_slice(&data);
                    used += data.len();
                }
                FlowRead::Blocked => break FLOW_BLOCKED,
                FlowRead::Finished => break FLOW_FINISHED,
                FlowRead::Closed(_) => break FLOW_CLOSED,
            }
        };
        if used == 0 {
            return Ok(end);
        }
        state.engine.flow_consumed(now, flow, used);
        Ok(used as i32)
    }

    /// Bytes taken from the front of `data`, or one of `FLOW_*`.
    pub fn flow_write(&mut self, now_us: f64, flow: f64, data: &[u8]) -> Result<i32, Failure> {
        let state = self.open()?;
        state.at(now_us)?;
        let flow = options::id(flow, "a flow")?;
        if data.is_empty() {
            return Err(Failure::invalid("there is nothing to write"));
        }
        let data = Bytes::copy_from_slice(&data[..data.len().min(WRITE_BYTES_MAX)]);
        Ok(match state.engine.flow_write(flow, &mut [data]) {
            FlowWrite::Wrote(bytes) => bytes as i32,
            FlowWrite::Blocked => FLOW_BLOCKED,
            FlowWrite::Closed(_) => FLOW_CLOSED,
        })
    }
}
