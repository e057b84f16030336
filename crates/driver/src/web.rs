//! Connections that speak WebTransport: HTTP/3 in front, a link behind it.
//!
//! The client asks for a session at `PATH`. Its first stream is the control stream, on which it proves who it is and hears who
//! we are, bound to the certificate it was shown; what follows is a link like any other, whose streams and datagrams begin
//! with the session's name. Source: docs/decisions/0005.
//!
//! Invariant: what breaks HTTP/3's rules ends its own connection, is counted, and touches nothing else.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use wayfare_link::Begin;
use wayfare_quic::{
    ConnectionHandle, Dir, Instant, ReadError, StreamId, VarInt, WebCertificate, WriteError, link_transport, listener,
};
use wayfare_types::{Random, Reason};
use wayfare_webtransport::{Action, Fault, Session, code};

use crate::Failure;
use crate::links::LinkId;
use crate::random::SystemRandom;
use crate::world::World;

/// Where a relay offers its links.
const PATH: &[u8] = b"/wayfare";
/// How long a client has to close a connection after its session was closed.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// The HTTP/3 of one connection.
pub(crate) struct Web {
    pub session: Session,
    /// What precedes our datagrams, and the streams that we open; empty before the session stands.
    pub prefix: Bytes,
    pub head: Bytes,
}

impl Web {
    /// Whether HTTP/3 has yet to read from this stream.
    pub fn wants(&self, stream: StreamId) -> bool {
        self.session.wants(raw(stream)) > 0
    }

    pub fn prefixed(&self, data: &Bytes) -> Bytes {
        let mut framed = BytesMut::with_capacity(self.prefix.len() + data.len());
        framed.put_slice(&self.prefix);
        framed.put_slice(data);
        framed.freeze()
    }
}

fn raw(stream: StreamId) -> u64 {
    VarInt::from(stream).into_inner()
}

fn stream_id(raw: u64) -> StreamId {
    // The session only names streams that it was told of, whose ids are such integers.
    StreamId::from(VarInt::from_u64(raw).unwrap_or(VarInt::MAX))
}

/// Codes of ours fit in such an integer.
fn error_code(code: u64) -> VarInt {
    VarInt::from_u64(code).unwrap_or(VarInt::MAX)
}

/// What a reset of ours says on the wire.
pub(crate) fn reset_code(web: bool, code: u32) -> VarInt {
    if web { error_code(code::of_application(code)) } else { VarInt::from_u32(code) }
}

impl World {
    /// From now on browsers are shown this certificate; without one they are not let in.
    pub fn set_certificate(&mut self, certificate: Option<&WebCertificate>) -> Result<(), Failure> {
        let server = listener(&self.identity, certificate, link_transport(self.link_idle_ms))
            .map_err(|e| Failure::new(Failure::SYSTEM, e.to_string()))?;
        self.binding = certificate.map(WebCertificate::hash).unwrap_or_default();
        self.quic.accept_as(server.into());
        Ok(())
    }

    pub(crate) fn web_connected(&mut self, now: Instant, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.web = Some(Box::new(Web { session: Session::new(PATH), prefix: Bytes::new(), head: Bytes::new() }));
        let handle = link.handle;
        self.watch_mtu(now, id);
        let control = self.quic.conn(handle).and_then(|conn| {
            // Without datagrams there are no packets.
            conn.datagrams().max_size()?;
            conn.streams().open(Dir::Uni)
        });
        // Three such streams at least are every HTTP/3 server's (RFC 9114, section 6.2).
        if !control.is_some_and(|stream| self.write_whole(handle, stream, &Session::control())) {
            self.link_close(now, id, Reason::LinkRefused);
        }
    }

    /// A few bytes that any client has room for; whether this one had.
    fn write_whole(&mut self, handle: ConnectionHandle, stream: StreamId, mut data: &[u8]) -> bool {
        let Some(conn) = self.quic.conn(handle) else { return false };
        while !data.is_empty() {
            match conn.send_stream(stream).write(data) {
                Ok(written) => data = &data[written..],
                Err(WriteError::Blocked | WriteError::Stopped(_) | WriteError::ClosedStream) => return false,
            }
        }
        true
    }

    pub(crate) fn web_opened(&mut self, now: Instant, id: LinkId, dir: Dir) {
        loop {
            let Some(link) = self.links.get_mut(&id) else { return };
            let Some(stream) = self.quic.conn(link.handle).and_then(|c| c.streams().accept(dir)) else { return };
            let Some(web) = &mut link.web else { return };
            web.session.opened(raw(stream));
            self.web_read(now, id, stream);
        }
    }

    /// Takes what HTTP/3 wants of a stream, and does what follows from it.
    pub(crate) fn web_read(&mut self, now: Instant, id: LinkId, stream: StreamId) {
        let mut ended = false;
        while !ended {
            let Some(link) = self.links.get_mut(&id) else { return };
            let (Some(conn), Some(web)) = (self.quic.conn(link.handle), &mut link.web) else { return };
            let want = web.session.wants(raw(stream));
            if want == 0 {
                break;
            }
            let mut receive = conn.recv_stream(stream);
            let read = match receive.read(true) {
                Ok(mut chunks) => {
                    let read = chunks.next(want);
                    let _ = chunks.finalize();
                    read
                }
                // It has ended before.
                Err(_) => Ok(None),
            };
            let taken = match read {
                Ok(Some(chunk)) => web.session.take(raw(stream), &chunk.bytes),
                Err(ReadError::Blocked) => break,
                Ok(None) => {
                    ended = true;
                    web.session.ended(raw(stream))
                }
                Err(ReadError::Reset(_)) => {
                    ended = true;
                    web.session.gone(raw(stream))
                }
            };
            if let Err(fault) = taken {
                return self.web_fault(now, id, &fault);
            }
        }
        while let Some(action) = self.links.get_mut(&id).and_then(|l| l.web.as_mut()?.session.poll()) {
            self.web_act(now, id, action);
        }
    }

    fn web_act(&mut self, now: Instant, id: LinkId, action: Action) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let handle = link.handle;
        match action {
            Action::Write { stream, data } => {
                if !self.write_whole(handle, stream_id(stream), &data) {
                    self.link_close(now, id, Reason::LinkRefused);
                }
            }
            Action::Open => {
                let Some(web) = &mut link.web else { return };
                web.prefix = web.session.datagram_prefix().into();
                web.head = web.session.stream_head().into();
                // The prefix takes its part of every datagram.
                link.path_mtu = 0;
                self.watch_mtu(now, id);
            }
            Action::Stream { stream, first: false } => self.link_stream(id, stream_id(stream)),
            Action::Stream { stream, first: true } => {
                link.control = Some(stream_id(stream));
                let binding = link.binding;
                let mut nonce = [0; 32];
                SystemRandom.fill(&mut nonce);
                self.control_begin(now, id, Begin::Accept { binding, nonce });
                self.link_control(now, id);
            }
            Action::Refuse { stream, answer, code } => {
                self.count(Reason::WebRefused);
                let stream = stream_id(stream);
                let answered = answer.is_some_and(|answer| self.write_whole(handle, stream, &answer));
                let Some(conn) = self.quic.conn(handle) else { return };
                let code = error_code(code);
                if stream.dir() == Dir::Bi && !(answered && conn.send_stream(stream).finish().is_ok()) {
                    // One that the client has stopped already needs no reset.
                    let _ = conn.send_stream(stream).reset(code);
                }
                let _ = conn.recv_stream(stream).stop(code);
            }
            Action::Closed => self.link_close(now, id, Reason::LinkGone),
        }
    }

    fn web_fault(&mut self, now: Instant, id: LinkId, fault: &Fault) {
        let Some(handle) = self.links.get(&id).map(|l| l.handle) else { return };
        self.count(fault.reason);
        if let Some(conn) = self.quic.conn(handle) {
            conn.close(now, error_code(fault.code), Bytes::from_static(fault.text.as_bytes()));
        }
        self.link_lost(now, id, fault.reason);
    }

    /// Tells a browser why, in the way its `closed` shows, and leaves the connection to it for a moment.
    pub(crate) fn web_close(&mut self, now: Instant, id: LinkId, reason: Reason) {
        let Some(link) = self.links.get(&id) else { return };
        let handle = link.handle;
        let session = link.web.as_ref().and_then(|web| web.session.id()).filter(|_| link.up).map(stream_id);
        let told = session.is_some_and(|stream| {
            self.write_whole(handle, stream, &Session::closing(reason as u32, reason.name()))
                && self.quic.conn(handle).is_some_and(|c| c.send_stream(stream).finish().is_ok())
        });
        if told {
            self.leaving.push_back((now + LEAVE_WITHIN, handle));
        } else if let Some(conn) = self.quic.conn(handle) {
            conn.close(now, error_code(code::NO_ERROR), Bytes::from_static(reason.name().as_bytes()));
        }
    }

    /// Closes the connections whose sessions were closed until `due`.
    pub(crate) fn close_leaving(&mut self, now: Instant, due: Instant) {
        while let Some(&(_, handle)) = self.leaving.front().filter(|(at, _)| *at <= due) {
            self.leaving.pop_front();
            if let Some(conn) = self.quic.conn(handle) {
                conn.close(now, error_code(code::NO_ERROR), Bytes::new());
            }
        }
    }
}
