//! Flows: a TCP connection of an application, as one bidirectional stream of an inner connection.
//!
//! A flow begins with a request (client to exit) and its answer (wayfare-wire, `request`); then bytes go both ways, each
//! direction within the window its reader grants (`window`).

use std::collections::HashMap;
use std::time::Duration;

use bytes::{Buf, Bytes};
use wayfare_quic::{Connection, Instant, ReadError, ReadableError, StreamId, VarInt, WriteError};
use wayfare_types::Reason;

use crate::api::{ConnectionId, Event, FlowId, FlowRead, FlowWrite};
use crate::engine::Engine;
use crate::ids::IdMap;
use crate::inner::{Inner, Side};
use crate::window::{ReceiveWindow, SendWindow};

/// A reader that has taken nothing for so long counts as one that does not read.
const NOT_READING_AFTER: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Client: the answer has not come. Exit: the request has not come whole.
    Head,
    /// Exit: the request is with the host.
    Asked,
    Open,
    Closed(Reason),
}

pub(crate) struct Flow {
    pub connection: ConnectionId,
    pub stream: StreamId,
    pub side: Side,
    pub phase: Phase,
    /// Of the request or answer that is coming in.
    pub head_in: Vec<u8>,
    /// Of the request or answer that must go out before anything else.
    pub head_out: Bytes,
    /// What came behind the head in one piece with it.
    pub early: Bytes,
    pub receive: ReceiveWindow,
    pub send: SendWindow,
    /// Something waits to be read, since then.
    pub waiting_since: Option<Instant>,
    pub received_all: bool,
    pub sent_all: bool,
    /// At an exit, the class of credits that is added for it.
    pub adds: u8,
}

#[derive(Default)]
pub(crate) struct Flows {
    pub by_id: IdMap<Flow>,
    by_stream: HashMap<(ConnectionId, StreamId), FlowId>,
    next: FlowId,
    extra_bytes: u64,
}

impl Flows {
    pub fn any(&self) -> bool {
        !self.by_id.is_empty()
    }

    /// Bytes that readers who have not read may be holding.
    pub fn reader_bytes(&self) -> u64 {
        self.by_id.values().filter(|f| f.waiting_since.is_some()).map(|f| f.receive.outstanding()).sum()
    }

    pub fn insert(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        stream: StreamId,
        side: Side,
        head_out: Bytes,
    ) -> FlowId {
        self.next += 1;
        let flow = Flow {
            connection,
            stream,
            side,
            phase: Phase::Head,
            head_in: Vec::new(),
            head_out,
            early: Bytes::new(),
            receive: ReceiveWindow::new(now),
            send: SendWindow::new(),
            waiting_since: None,
            received_all: false,
            sent_all: false,
            adds: 0,
        };
        self.by_id.insert(self.next, flow);
        self.by_stream.insert((connection, stream), self.next);
        self.next
    }
}

impl Inner {
    /// The QUIC connection that a connection is, marked to be asked for datagrams.
    pub fn quic(&mut self, connection: ConnectionId) -> Option<&mut Connection> {
        let conn = self.conns.get(&connection)?;
        let handle = conn.handle;
        match conn.side {
            Side::Client => self.client.conn(handle),
            Side::Exit => self.exit.as_mut()?.conn(handle),
        }
    }
}

impl Engine {
    /// Reads up to `max` bytes; what is read counts as held until `flow_consumed`.
    pub fn flow_read(&mut self, id: FlowId, max: usize) -> FlowRead {
        let Some(flow) = self.inner.flows.by_id.get_mut(&id) else { return FlowRead::Closed(Reason::CircuitClosed) };
        match flow.phase {
            Phase::Closed(reason) => return FlowRead::Closed(reason),
            Phase::Head | Phase::Asked => return FlowRead::Blocked,
            Phase::Open => {}
        }
        if !flow.early.is_empty() {
            return FlowRead::Data(flow.early.split_to(max.min(flow.early.len())));
        }
        if flow.received_all {
            return FlowRead::Finished;
        }
        let (connection, stream) = (flow.connection, flow.stream);
        let read = match self.inner.quic(connection) {
            None => FlowRead::Closed(Reason::CircuitClosed),
            Some(quic) => read_stream(quic, stream, max),
        };
        if let Some(flow) = self.inner.flows.by_id.get_mut(&id) {
            match read {
                FlowRead::Blocked => flow.waiting_since = None,
                FlowRead::Finished => {
                    flow.received_all = true;
                    flow.waiting_since = None;
                }
                FlowRead::Closed(reason) => flow.phase = Phase::Closed(reason),
                FlowRead::Data(_) => {}
            }
        }
        read
    }

    /// As `flow_read`, of all that is there up to `max` bytes: appends the chunks and says how many bytes they are.
    ///
    /// # Errors
    /// What `flow_read` says where there is nothing to read.
    pub fn flow_read_chunks(&mut self, id: FlowId, max: usize, chunks: &mut Vec<Bytes>) -> Result<usize, FlowRead> {
        let mut taken = match self.flow_read(id, max) {
            FlowRead::Data(bytes) => {
                chunks.push(bytes);
                chunks.last().map_or(0, Bytes::len)
            }
            nothing => return Err(nothing),
        };
        let Some(flow) = self.inner.flows.by_id.get(&id).filter(|f| f.early.is_empty()) else { return Ok(taken) };
        let (connection, stream) = (flow.connection, flow.stream);
        let Some(quic) = self.inner.quic(connection) else { return Ok(taken) };
        let mut stream = quic.recv_stream(stream);
        let Ok(mut read) = stream.read(true) else { return Ok(taken) };
        let mut end = None;
        while taken < max && end.is_none() {
            match read.next(max - taken) {
                Ok(Some(chunk)) => {
                    taken += chunk.bytes.len();
                    chunks.push(chunk.bytes);
                }
                other => end = Some(other.map(drop)),
            }
        }
        let _ = read.finalize();
        if let Some(flow) = self.inner.flows.by_id.get_mut(&id) {
            match end {
                None => {}
                Some(Ok(())) => (flow.received_all, flow.waiting_since) = (true, None),
                Some(Err(ReadError::Blocked)) => flow.waiting_since = None,
                Some(Err(ReadError::Reset(_))) => flow.phase = Phase::Closed(Reason::FlowReset),
            }
        }
        Ok(taken)
    }

    /// So many bytes that were read have left this node's buffers.
    pub fn flow_consumed(&mut self, now: Instant, id: FlowId, bytes: usize) {
        let quota = self.config.limits.reader_bytes;
        let max = u64::from(self.config.limits.window_bytes_max);
        let Some(connection) = self.inner.flows.by_id.get(&id).map(|f| f.connection) else { return };
        let Some((rtt, min_rtt)) = self.inner.quic(connection).map(|q| (q.rtt(), q.min_rtt())) else { return };
        let flows = &mut self.inner.flows;
        let Some(flow) = flows.by_id.get_mut(&id) else { return };
        flow.waiting_since = flow.waiting_since.map(|_| now);
        let before = flow.receive.extra();
        let own = max.saturating_sub(crate::window::INITIAL + before);
        let room = own.min(quota.saturating_sub(flows.extra_bytes));
        let told = flow.receive.consume(now, bytes as u64, rtt, min_rtt, room);
        flows.extra_bytes += flow.receive.extra() - before;
        let stream = flow.stream;
        if let Some(limit) = told {
            self.tell_window(connection, stream, limit);
        }
    }

    /// Writes what the stream takes, from the front of `chunks`, which are advanced.
    pub fn flow_write(&mut self, id: FlowId, chunks: &mut [Bytes]) -> FlowWrite {
        let Some(flow) = self.inner.flows.by_id.get(&id) else { return FlowWrite::Closed(Reason::CircuitClosed) };
        match flow.phase {
            Phase::Closed(reason) => return FlowWrite::Closed(reason),
            Phase::Head | Phase::Asked => return FlowWrite::Blocked,
            Phase::Open => {}
        }
        if !self.inner.push_head(id) {
            return FlowWrite::Blocked;
        }
        let Some(flow) = self.inner.flows.by_id.get(&id) else { return FlowWrite::Blocked };
        let (connection, stream, mut room) = (flow.connection, flow.stream, flow.send.room());
        let Some(quic) = self.inner.quic(connection) else { return FlowWrite::Closed(Reason::CircuitClosed) };
        let mut total = 0;
        let mut failed = None;
        for chunk in chunks.iter_mut() {
            while !chunk.is_empty() && room > 0 && failed.is_none() {
                let take = chunk.len().min(usize::try_from(room).unwrap_or(usize::MAX));
                match quic.send_stream(stream).write_chunks(&mut [chunk.slice(..take)]) {
                    Ok(written) => {
                        chunk.advance(written.bytes);
                        room -= written.bytes as u64;
                        total += written.bytes;
                    }
                    Err(error) => failed = Some(error),
                }
            }
        }
        if let Some(flow) = self.inner.flows.by_id.get_mut(&id) {
            flow.send.spend(total as u64);
            if let Some(WriteError::Stopped(_) | WriteError::ClosedStream) = failed {
                flow.phase = Phase::Closed(Reason::FlowReset);
                if total == 0 {
                    return FlowWrite::Closed(Reason::FlowReset);
                }
            }
        }
        if total == 0 { FlowWrite::Blocked } else { FlowWrite::Wrote(total) }
    }

    /// No more will be written.
    pub fn flow_finish(&mut self, id: FlowId) {
        let gone = self.inner.push_head(id);
        let Some(flow) = self.inner.flows.by_id.get_mut(&id) else { return };
        if flow.sent_all {
            return;
        }
        flow.sent_all = true;
        let (connection, stream) = (flow.connection, flow.stream);
        if let Some(quic) = self.inner.quic(connection) {
            let mut send = quic.send_stream(stream);
            // A head that does not go out leaves nothing to finish: say that it broke.
            let _ = if gone { send.finish().is_ok() } else { send.reset(VarInt::from_u32(1)).is_ok() };
        }
    }

    /// Breaks off both directions and forgets the flow.
    pub fn flow_reset(&mut self, now: Instant, id: FlowId) {
        let Some(flow) = self.inner.flows.by_id.get_mut(&id) else { return };
        let (connection, stream) = (flow.connection, flow.stream);
        (flow.sent_all, flow.received_all) = (true, true);
        if let Some(quic) = self.inner.quic(connection) {
            let _ = quic.send_stream(stream).reset(VarInt::from_u32(0));
            let _ = quic.recv_stream(stream).stop(VarInt::from_u32(0));
        }
        self.flow_release(now, id);
    }

    /// Forgets a flow; a direction that has not ended is broken off.
    pub fn flow_release(&mut self, now: Instant, id: FlowId) {
        let Some(flow) = self.inner.flows.by_id.get(&id) else { return };
        if (!flow.sent_all || !flow.received_all) && (flow.sent_all || !matches!(flow.phase, Phase::Closed(_))) {
            let (connection, stream, sent_all) = (flow.connection, flow.stream, flow.sent_all);
            if let Some(quic) = self.inner.quic(connection) {
                if !sent_all {
                    let _ = quic.send_stream(stream).reset(VarInt::from_u32(0));
                }
                let _ = quic.recv_stream(stream).stop(VarInt::from_u32(0));
            }
        }
        let flows = &mut self.inner.flows;
        if let Some(flow) = flows.by_id.remove(&id) {
            flows.by_stream.remove(&(flow.connection, flow.stream));
            flows.extra_bytes -= flow.receive.extra();
            self.count_live(now, flow.connection, -1);
            self.add_end(now, flow.connection, flow.adds);
        }
    }

    pub(crate) fn flow_stream_readable(&mut self, now: Instant, connection: ConnectionId, stream: StreamId) {
        let Some(&id) = self.inner.flows.by_stream.get(&(connection, stream)) else { return };
        let Some(flow) = self.inner.flows.by_id.get_mut(&id) else { return };
        match flow.phase {
            Phase::Head => self.read_head(now, id),
            Phase::Open => {
                flow.waiting_since.get_or_insert(now);
                self.events.push_back(Event::FlowReadable(id));
            }
            Phase::Asked | Phase::Closed(_) => {}
        }
    }

    pub(crate) fn flow_stream_writable(&mut self, connection: ConnectionId, stream: StreamId) {
        let Some(&id) = self.inner.flows.by_stream.get(&(connection, stream)) else { return };
        if self.inner.push_head(id) {
            self.events.push_back(Event::FlowWritable(id));
        }
    }

    pub(crate) fn flow_stream_stopped(&mut self, connection: ConnectionId, stream: StreamId) {
        if let Some(&id) = self.inner.flows.by_stream.get(&(connection, stream)) {
            self.close_flow(id, Reason::FlowReset);
        }
    }

    /// The other end may be sent more.
    pub(crate) fn flow_limit(&mut self, connection: ConnectionId, stream: u64, limit: u64) {
        let Ok(stream) = VarInt::try_from(stream).map(StreamId::from) else { return };
        let Some(&id) = self.inner.flows.by_stream.get(&(connection, stream)) else { return };
        if let Some(flow) = self.inner.flows.by_id.get_mut(&id) {
            flow.send.raise(limit);
            self.events.push_back(Event::FlowWritable(id));
        }
    }

    pub(crate) fn close_flow(&mut self, id: FlowId, reason: Reason) {
        let Some(flow) = self.inner.flows.by_id.get_mut(&id) else { return };
        if !matches!(flow.phase, Phase::Closed(_)) {
            flow.phase = Phase::Closed(reason);
            flow.waiting_since = None;
            self.events.push_back(Event::FlowClosed { flow: id, reason });
        }
    }

    pub(crate) fn close_flows_of(&mut self, connection: ConnectionId, reason: Reason) {
        // In the order of their ids, so that a run can be repeated.
        let mut on_it: Vec<FlowId> =
            self.inner.flows.by_id.iter().filter(|(_, f)| f.connection == connection).map(|(&id, _)| id).collect();
        on_it.sort_unstable();
        for id in on_it {
            self.close_flow(id, reason);
        }
    }

    /// While readers who do not read hold more than the quota, the one that holds most, longest first, is broken off.
    pub(crate) fn drop_worst_readers(&mut self, now: Instant) {
        let quota = self.config.limits.reader_bytes;
        let mut held = self.inner.flows.reader_bytes();
        while held > quota {
            let stalled =
                |f: &Flow| f.waiting_since.filter(|&at| now.saturating_duration_since(at) > NOT_READING_AFTER);
            let worst = self
                .inner
                .flows
                .by_id
                .iter()
                .filter_map(|(&id, f)| Some((f.receive.outstanding(), std::cmp::Reverse(stalled(f)?), id)))
                .max();
            let Some((bytes, _, id)) = worst else { return };
            held -= bytes;
            self.counters.count(Reason::MemoryQuota);
            let Some(flow) = self.inner.flows.by_id.get(&id) else { return };
            let (connection, stream) = (flow.connection, flow.stream);
            if let Some(quic) = self.inner.quic(connection) {
                let _ = quic.send_stream(stream).reset(VarInt::from_u32(2));
                let _ = quic.recv_stream(stream).stop(VarInt::from_u32(2));
            }
            self.close_flow(id, Reason::MemoryQuota);
        }
    }
}

pub(crate) fn read_stream(quic: &mut Connection, stream: StreamId, max: usize) -> FlowRead {
    let mut stream = quic.recv_stream(stream);
    let mut chunks = match stream.read(true) {
        Ok(chunks) => chunks,
        Err(ReadableError::ClosedStream | ReadableError::IllegalOrderedRead) => {
            return FlowRead::Closed(Reason::FlowReset);
        }
    };
    let read = match chunks.next(max) {
        Ok(Some(chunk)) => FlowRead::Data(chunk.bytes),
        Ok(None) => FlowRead::Finished,
        Err(ReadError::Blocked) => FlowRead::Blocked,
        Err(ReadError::Reset(_)) => FlowRead::Closed(Reason::FlowReset),
    };
    let _ = chunks.finalize();
    read
}
