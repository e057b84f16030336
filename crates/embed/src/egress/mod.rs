//! The choice of exits (`wayfare-stats`) as one value with flat calls; its methods are those of `EgressBinding` in
//! ts/core/egress.ts, one for one.

mod options;
mod rows;

use wayfare_stats::{Asked, DestinationId, Egress, FlowId, How, Moved, Refusal, Source};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::random::ChaChaRandom;

/// Longest key of a destination: a name of 255 bytes and a port, with room.
const KEY_BYTES_MAX: usize = 300;
/// Numbers per record: flow, time, bytes sent and received, packets sent and received.
const RECORD: usize = 6;
/// Numbers that an opening writes.
const OPENED: usize = 4;

/// See the module's first paragraph.
pub struct EmbeddedEgress {
    /// Until it is closed.
    state: Option<Box<State>>,
}

struct State {
    egress: Egress,
    random: ChaChaRandom,
    last_how: How,
    /// Records that were no numbers.
    malformed: u64,
}

fn refused(refusal: Refusal) -> Failure {
    let (code, text) = match refusal {
        Refusal::WindowEmpty => ("window_empty", "there is no exit to choose from: add one with hopAdd"),
        Refusal::Full => ("egress_full", "all that may be remembered is live: close some, or raise the limits"),
        Refusal::HopUnknown => (Failure::INVALID, "there is no such hop"),
        Refusal::HopGone => (Failure::INVALID, "the hop was removed from the window"),
        Refusal::DestinationUnknown => (Failure::INVALID, "there is no such destination: ask for its id again"),
        Refusal::FlowUnknown => (Failure::INVALID, "there is no such flow, or it is not live"),
    };
    Failure { code, text: text.into() }
}

fn how_number(how: How) -> u32 {
    match how {
        How::Sticky => 0,
        How::ByAll => 1,
        How::ByDestination => 2,
        How::Uniform => 3,
        How::Forced => 4,
        How::Given => 5,
    }
}

fn hop(number: f64) -> Result<u32, Failure> {
    crate::options::id(number, "a hop")
}

fn destination(number: f64) -> Result<DestinationId, Failure> {
    crate::options::time(number, "a destination").map(DestinationId::from_number)
}

fn flow(number: f64) -> Result<FlowId, Failure> {
    crate::options::time(number, "a flow").map(FlowId::from_number)
}

fn time(now_us: f64) -> Result<u64, Failure> {
    crate::options::time(now_us, "now_us")
}

/// A span or an end: what is beyond all time counts as that.
fn until(number: f64, what: &str) -> Result<u64, Failure> {
    if number >= 0.0 {
        return Ok(number as u64);
    }
    Err(Failure::invalid(format!("{what} is a time from 0 on, not {number}")))
}

fn source(bytes: &[u8]) -> Result<Source, Failure> {
    let bytes: &[u8; Source::BYTES] = bytes
        .try_into()
        .map_err(|_| Failure::invalid(format!("a source has {} bytes, not {}", Source::BYTES, bytes.len())))?;
    Ok(Source::from_bytes(bytes))
}

/// A count; `None` for what is no number, or below zero. Too large ones stay at the edge.
fn count(number: f64) -> Option<u64> {
    (number >= 0.0).then_some(number as u64)
}

/// What a record says moved, and when.
fn moved(record: &[f64; RECORD]) -> Option<(u64, Moved)> {
    let moved = Moved {
        sent_bytes: count(record[2])?,
        received_bytes: count(record[3])?,
        sent_packets: count(record[4])?.min(u32::MAX.into()) as u32,
        received_packets: count(record[5])?.min(u32::MAX.into()) as u32,
    };
    Some((count(record[1])?, moved))
}

impl EmbeddedEgress {
    /// `options_json` is `EgressOptions`.
    pub fn new(options_json: &str, random_seed: &[u8], now_us: f64) -> Result<Self, Failure> {
        let config = options::config(options_json)?;
        let seed: Zeroizing<[u8; 32]> = crate::options::seed(random_seed, "a seed of randomness")?;
        let mut random = ChaChaRandom::new(&seed);
        let egress = Egress::new(&config, time(now_us)?, &mut random);
        let state = State { egress, random, last_how: How::Uniform, malformed: 0 };
        Ok(Self { state: Some(Box::new(state)) })
    }

    fn state(&mut self) -> Result<&mut State, Failure> {
        self.state.as_deref_mut().ok_or_else(|| Failure {
            code: Failure::CLOSED,
            text: "the choice of exits is closed; make another".into(),
        })
    }

    pub fn set_weighting(&mut self, json: &str) -> Result<(), Failure> {
        let egress = &mut self.state()?.egress;
        egress.set_weighting(options::weighting(json, egress.weighting())?);
        Ok(())
    }

    pub fn hop_add(&mut self, now_us: f64, estimate: f64) -> Result<u32, Failure> {
        self.state()?.egress.hop_add(time(now_us)?, estimate).map_err(refused)
    }

    pub fn hop_estimate(&mut self, hop: f64, estimate: f64) -> Result<(), Failure> {
        self.state()?.egress.hop_estimate(self::hop(hop)?, estimate).map_err(refused)
    }

    pub fn hop_remove(&mut self, now_us: f64, hop: f64) -> Result<(), Failure> {
        self.state()?.egress.hop_remove(time(now_us)?, self::hop(hop)?).map_err(refused)
    }

    pub fn hop_release(&mut self, hop: f64) -> Result<bool, Failure> {
        self.state()?.egress.hop_release(self::hop(hop)?).map_err(refused)
    }

    pub fn hop_exclude(&mut self, hop: f64, until_us: f64) -> Result<(), Failure> {
        let until_us = until(until_us, "until_us")?;
        self.state()?.egress.hop_exclude(self::hop(hop)?, until_us).map_err(refused)
    }

    pub fn destination(&mut self, now_us: f64, key: &str) -> Result<f64, Failure> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(Failure::invalid(format!("a destination's key has 1 to {KEY_BYTES_MAX} bytes")));
        }
        let id = self.state()?.egress.destination(time(now_us)?, key.as_bytes()).map_err(refused)?;
        Ok(id.number() as f64)
    }

    pub fn destination_key(&mut self, destination: f64) -> Result<String, Failure> {
        let key = self.state()?.egress.destination_key(self::destination(destination)?);
        Ok(String::from_utf8_lossy(key).into_owned())
    }

    pub fn pair_exclude(&mut self, now_us: f64, hop: f64, destination: f64, until_us: f64) -> Result<(), Failure> {
        let (hop, destination) = (self::hop(hop)?, self::destination(destination)?);
        let (now_us, until_us) = (time(now_us)?, until(until_us, "until_us")?);
        self.state()?.egress.pair_exclude(now_us, hop, destination, until_us).map_err(refused)
    }

    pub fn connections(&mut self, now_us: f64, destination: f64, span_us: f64) -> Result<f64, Failure> {
        let (destination, span_us) = (self::destination(destination)?, until(span_us, "span_us")?);
        self.state()?.egress.connections(time(now_us)?, destination, span_us).map_err(refused)
    }

    pub fn connections_peak(&mut self, now_us: f64) -> Result<u32, Failure> {
        Ok(self.state()?.egress.connections_peak(time(now_us)?))
    }

    pub fn draw(&mut self, now_us: f64, destination: f64, avoid: &[u32], out: &mut [u32]) -> Result<u32, Failure> {
        let (now_us, destination) = (time(now_us)?, self::destination(destination)?);
        let State { egress, random, last_how, .. } = self.state()?;
        let (drawn, how) = egress.draw(now_us, destination, avoid, out, random).map_err(refused)?;
        *last_how = how;
        Ok(drawn as u32)
    }

    pub fn last_how(&mut self) -> Result<u32, Failure> {
        Ok(how_number(self.state()?.last_how))
    }

    pub fn retry_of(&mut self, now_us: f64, source: &[u8], destination: f64, out: &mut [u32]) -> Result<u32, Failure> {
        let (now_us, source, destination) = (time(now_us)?, self::source(source)?, self::destination(destination)?);
        let hops = self.state()?.egress.retry_of(now_us, &source, destination).map_err(refused)?;
        let fits = hops.len().min(out.len());
        out[..fits].copy_from_slice(&hops[..fits]);
        Ok(fits as u32)
    }

    pub fn flow_find(&mut self, source: &[u8], destination: f64) -> Result<f64, Failure> {
        let (source, destination) = (self::source(source)?, self::destination(destination)?);
        Ok(self.state()?.egress.flow_find(&source, destination).map_or(-1.0, |flow| flow.number() as f64))
    }

    pub fn flow_open(
        &mut self,
        now_us: f64,
        source: &[u8],
        destination: f64,
        hop: f64,
        avoid: &[u32],
        out: &mut [f64],
    ) -> Result<f64, Failure> {
        let (now_us, source, destination) = (time(now_us)?, self::source(source)?, self::destination(destination)?);
        let hop = if hop == -1.0 { None } else { Some(self::hop(hop)?) };
        let out = out
            .first_chunk_mut::<OPENED>()
            .ok_or_else(|| Failure::invalid(format!("what an opening says takes {OPENED} numbers")))?;
        let State { egress, random, .. } = self.state()?;
        let opened = egress.flow_open(now_us, &source, destination, Asked { hop, avoid }, random).map_err(refused)?;
        *out = [opened.hop.into(), how_number(opened.how).into(), opened.connections.into(), opened.peak.into()];
        Ok(opened.flow.number() as f64)
    }

    pub fn flow_move(&mut self, now_us: f64, flow: f64, hop: f64) -> Result<bool, Failure> {
        let (now_us, flow, hop) = (time(now_us)?, self::flow(flow)?, self::hop(hop)?);
        self.state()?.egress.flow_move(now_us, flow, hop).map_err(refused)
    }

    pub fn flow_close(&mut self, now_us: f64, flow: f64, failed: bool) -> Result<(), Failure> {
        let (now_us, flow) = (time(now_us)?, self::flow(flow)?);
        self.state()?.egress.flow_close(now_us, flow, failed).map_err(refused)
    }

    pub fn flow_forget(&mut self, flow: f64) -> Result<(), Failure> {
        self.state()?.egress.flow_forget(self::flow(flow)?).map_err(refused)
    }

    pub fn attempt_open(&mut self, now_us: f64, destination: f64, hop: f64) -> Result<(), Failure> {
        let (now_us, destination, hop) = (time(now_us)?, self::destination(destination)?, self::hop(hop)?);
        self.state()?.egress.attempt_open(now_us, destination, hop).map_err(refused)
    }

    pub fn attempt_close(&mut self, now_us: f64, destination: f64, hop: f64, failed: bool) -> Result<(), Failure> {
        let (now_us, destination, hop) = (time(now_us)?, self::destination(destination)?, self::hop(hop)?);
        self.state()?.egress.attempt_close(now_us, destination, hop, failed).map_err(refused)
    }

    pub fn record(&mut self, now_us: f64, records: &[f64], count: f64) -> Result<u32, Failure> {
        let now_us = time(now_us)?;
        let count = crate::options::id(count, "a count of records")? as usize;
        let State { egress, malformed, .. } = self.state()?;
        egress.advance(now_us);
        let mut counted = 0;
        for record in records.as_chunks::<RECORD>().0.iter().take(count) {
            match (self::count(record[0]), moved(record)) {
                (Some(flow), Some((at_us, moved))) => {
                    counted += u32::from(egress.record(FlowId::from_number(flow), at_us, &moved));
                }
                _ => *malformed += 1,
            }
        }
        Ok(counted)
    }

    pub fn record_tuples(&mut self, now_us: f64, sources: &[u8], records: &[f64], count: f64) -> Result<u32, Failure> {
        let now_us = time(now_us)?;
        let count = crate::options::id(count, "a count of records")? as usize;
        let State { egress, malformed, .. } = self.state()?;
        egress.advance(now_us);
        let mut counted = 0;
        let sources = sources.as_chunks::<{ Source::BYTES }>().0.iter();
        for (source, record) in sources.zip(records.as_chunks::<RECORD>().0).take(count) {
            match (self::count(record[0]), moved(record)) {
                (Some(to), Some((at_us, moved))) => {
                    let to = DestinationId::from_number(to);
                    counted += u32::from(egress.record_tuple(&Source::from_bytes(source), to, at_us, &moved));
                }
                _ => *malformed += 1,
            }
        }
        Ok(counted)
    }

    pub fn groups(&mut self, now_us: f64, tolerance_us: f64) -> Result<String, Failure> {
        let (now_us, tolerance_us) = (time(now_us)?, until(tolerance_us, "tolerance_us")?);
        let (connections, found) = self.state()?.egress.groups(now_us, tolerance_us);
        Ok(rows::groups(&connections, &found))
    }

    pub fn stats(&mut self) -> Result<String, Failure> {
        let State { egress, malformed, .. } = self.state()?;
        Ok(rows::stats(&egress.held(), egress.counters(), *malformed))
    }

    pub fn close(&mut self) {
        self.state = None;
    }
}
