//! How flows begin: a request from client to exit, and its answer (wayfare-wire, `request`).

use std::net::SocketAddr;

use bytes::{Buf, Bytes};
use wayfare_quic::{Dir, Instant};
use wayfare_types::Reason;
use wayfare_wire::Host;
use wayfare_wire::request::{Answer, Request, Status};

use crate::api::{ConnectionId, Event, FlowId, FlowRead};
use crate::engine::Engine;
use crate::flows::{Phase, read_stream};
use crate::inner::{Inner, Side};

/// As much of a stream as one look at it takes.
const HEAD_BYTES_MAX: usize = Request::MAX;

impl Inner {
    /// As much of the head as the stream takes. Whether all of it has gone.
    pub fn push_head(&mut self, id: FlowId) -> bool {
        let Some(flow) = self.flows.by_id.get(&id) else { return false };
        let (connection, stream, mut head) = (flow.connection, flow.stream, flow.head_out.clone());
        if head.is_empty() {
            return true;
        }
        if let Some(quic) = self.quic(connection)
            && let Ok(taken) = quic.send_stream(stream).write(&head)
        {
            head.advance(taken);
        }
        let gone = head.is_empty();
        if let Some(flow) = self.flows.by_id.get_mut(&id) {
            flow.head_out = head;
        }
        gone
    }
}

fn status_reason(status: Status) -> Reason {
    match status {
        Status::Ok | Status::Malformed => Reason::RequestMalformed,
        Status::AddressDenied => Reason::ExitAddressDenied,
        Status::PortDenied => Reason::ExitPortDenied,
        Status::NameUnresolved => Reason::ExitNameUnresolved,
        Status::Refused => Reason::ExitConnectFailed,
        Status::Unreachable => Reason::ExitUnreachable,
        Status::TimedOut => Reason::Timeout,
        Status::Overloaded => Reason::ExitOverloaded,
    }
}

impl Engine {
    /// Asks the exit of a connection to connect to `host`; `FlowOpened` or `FlowClosed` follows.
    ///
    /// # Errors
    /// `RequestMalformed` for a host that is none, `CircuitUnknown` without such a connection, `ExitOverloaded` when it
    /// carries as many flows as it may.
    pub fn flow_open(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        host: &str,
        port: u16,
    ) -> Result<FlowId, Reason> {
        let request = Request { host: Host::new(host)?, port };
        let mut head = Vec::new();
        request.encode(&mut head);
        let quic = self.inner.quic(connection).ok_or(Reason::CircuitUnknown)?;
        let stream = quic.streams().open(Dir::Bi).ok_or(Reason::ExitOverloaded)?;
        let id = self.inner.flows.insert(now, connection, stream, Side::Client, head.into());
        self.inner.push_head(id);
        self.count_live(now, connection, 1);
        Ok(id)
    }

    /// At an exit: clients opened streams.
    pub(crate) fn accept_flows(&mut self, now: Instant, connection: ConnectionId) {
        while let Some(stream) = self.inner.quic(connection).and_then(|q| q.streams().accept(Dir::Bi)) {
            if self.inner.conns.get(&connection).is_none_or(|c| c.side == Side::Client) {
                continue;
            }
            let id = self.inner.flows.insert(now, connection, stream, Side::Exit, Bytes::new());
            self.count_live(now, connection, 1);
            self.read_head(now, id);
        }
    }

    /// At an exit: the host connected; `local` is its socket's address.
    pub fn flow_accept(&mut self, id: FlowId, local: SocketAddr) {
        self.answer(id, Answer { status: Status::Ok, local: Some(local) });
        if let Some(flow) = self.inner.flows.by_id.get_mut(&id)
            && flow.phase == Phase::Asked
        {
            flow.phase = Phase::Open;
            self.events.push_back(Event::FlowReadable(id));
            self.events.push_back(Event::FlowWritable(id));
        }
    }

    /// At an exit: it is not to be.
    pub fn flow_refuse(&mut self, now: Instant, id: FlowId, status: Status) {
        self.counters.count(status_reason(status));
        self.answer(id, Answer { status, local: None });
        self.flow_finish(id);
        // What the client sends on is left unread until it hears the answer: to stop it could overtake that.
        if let Some(flow) = self.inner.flows.by_id.get_mut(&id) {
            flow.received_all = true;
        }
        self.flow_release(now, id);
    }

    fn answer(&mut self, id: FlowId, answer: Answer) {
        let mut head = Vec::new();
        answer.encode(&mut head);
        if let Some(flow) = self.inner.flows.by_id.get_mut(&id) {
            flow.head_out = head.into();
            self.inner.push_head(id);
        }
    }

    /// Reads on in a request or an answer.
    pub(crate) fn read_head(&mut self, now: Instant, id: FlowId) {
        loop {
            let Some(flow) = self.inner.flows.by_id.get(&id) else { return };
            let (connection, stream, side) = (flow.connection, flow.stream, flow.side);
            let Some(quic) = self.inner.quic(connection) else { return };
            let bytes = match read_stream(quic, stream, HEAD_BYTES_MAX) {
                FlowRead::Data(bytes) => bytes,
                FlowRead::Blocked => return,
                FlowRead::Finished => return self.close_flow(id, Reason::RequestMalformed),
                FlowRead::Closed(reason) => return self.close_flow(id, reason),
            };
            let Some(flow) = self.inner.flows.by_id.get_mut(&id) else { return };
            flow.head_in.extend_from_slice(&bytes);
            let parsed = match side {
                Side::Exit => Request::parse(&flow.head_in).map(|p| p.map(|(r, n)| (Ok(r), n))),
                Side::Client => Answer::parse(&flow.head_in).map(|p| p.map(|(a, n)| (Err(a), n))),
            };
            match parsed {
                Ok(None) => continue,
                Ok(Some((head, consumed))) => {
                    flow.early = Bytes::from(flow.head_in.split_off(consumed));
                    flow.head_in = Vec::new();
                    return self.head_arrived(now, id, head);
                }
                Err(_) if side == Side::Exit => return self.flow_refuse(now, id, Status::Malformed),
                Err(reason) => {
                    self.counters.count(reason);
                    return self.close_flow(id, reason);
                }
            }
        }
    }

    fn head_arrived(&mut self, now: Instant, id: FlowId, head: Result<Request, Answer>) {
        let Some(flow) = self.inner.flows.by_id.get_mut(&id) else { return };
        match head {
            Ok(_) if self.draining => self.flow_refuse(now, id, Status::Overloaded),
            Ok(request) => {
                flow.phase = Phase::Asked;
                let host = request.host.as_str().to_owned();
                flow.adds = self.adding.rules.class_for(&host, request.port);
                let (connection, class) = (flow.connection, flow.adds);
                self.add_begin(now, connection, class);
                self.events.push_back(Event::FlowRequested { flow: id, host, port: request.port });
            }
            Err(Answer { status: Status::Ok, local }) => {
                flow.phase = Phase::Open;
                self.events.push_back(Event::FlowOpened { flow: id, local });
                self.events.push_back(Event::FlowReadable(id));
            }
            Err(Answer { status, .. }) => self.close_flow(id, status_reason(status)),
        }
    }
}
