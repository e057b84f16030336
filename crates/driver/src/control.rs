//! The control stream of a link: how it begins, then the engine's frames both ways.
//!
//! Invariant: what a neighbour does not take is held up to a limit, beyond which its link is closed.

use bytes::Bytes;
use wayfare_link::{Begin, FEATURE_CREDIT, FEATURE_FAST, LinkStart};
use wayfare_quic::{Instant, ReadError, WriteError};
use wayfare_types::Reason;

use crate::links::LinkId;
use crate::world::World;

/// A neighbour that takes less off its control stream than this behind is stuck or hostile.
const CONTROL_BACKLOG_MAX: usize = 1 << 20;
/// Bytes of the control stream taken in one go, so that a neighbour's set-ups do not hold up a turn.
const CONTROL_READ: usize = 64 << 10;

impl World {
    /// The control stream is there: says what comes first.
    pub fn control_begin(&mut self, now: Instant, id: LinkId, begin: Begin) {
        let mut out = Vec::new();
        let Some(link) = self.links.get_mut(&id) else { return };
        // Beside a browser's session nothing else can go.
        let fast = if self.fast.offered && link.web.is_none() { FEATURE_FAST } else { 0 };
        let start = LinkStart::new(begin, self.identity.id(), FEATURE_CREDIT | fast, &mut out);
        link.start = Some(start);
        self.send_control(now, id, out.into());
    }

    pub fn send_control(&mut self, now: Instant, id: LinkId, frame: Bytes) {
        let Some(link) = self.links.get_mut(&id) else { return self.engine.counters().count(Reason::LinkGone) };
        if frame.is_empty() {
            return;
        }
        link.backlog_bytes += frame.len();
        link.backlog.push_back(frame);
        if link.backlog_bytes > CONTROL_BACKLOG_MAX {
            self.count(Reason::QueueFull);
            return self.link_close(now, id, Reason::QueueFull);
        }
        self.write_control(now, id);
    }

    pub fn write_control(&mut self, now: Instant, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let (Some(conn), Some(control)) = (self.quic.conn(link.handle), link.control) else { return };
        let mut stream = conn.send_stream(control);
        while !link.backlog.is_empty() {
            match stream.write_chunks(link.backlog.make_contiguous()) {
                Ok(written) => {
                    link.backlog_bytes -= written.bytes;
                    link.backlog.drain(..written.chunks);
                    if written.bytes == 0 {
                        return;
                    }
                }
                Err(WriteError::Blocked) => return,
                Err(_) => return self.link_close(now, id, Reason::ControlMalformed),
            }
        }
    }

    /// Takes what the control stream has: the beginning for us, the rest for the engine.
    pub fn link_control(&mut self, now: Instant, id: LinkId) {
        let mut arrived: Vec<Bytes> = Vec::new();
        let mut ended = false;
        {
            let Some(link) = self.links.get(&id) else { return };
            let (Some(conn), Some(control)) = (self.quic.conn(link.handle), link.control) else { return };
            let mut stream = conn.recv_stream(control);
            let Ok(mut chunks) = stream.read(true) else { return };
            loop {
                match chunks.next(CONTROL_READ) {
                    Ok(Some(chunk)) => arrived.push(chunk.bytes),
                    Err(ReadError::Blocked) => break,
                    Ok(None) | Err(_) => {
                        ended = true;
                        break;
                    }
                }
            }
            let _ = chunks.finalize();
        }
        for bytes in arrived {
            let mut rest = &bytes[..];
            let Some(link) = self.links.get_mut(&id) else { return };
            if let Some(start) = &mut link.start {
                let mut out = Vec::new();
                let taken = start.take(&self.identity, &mut rest, &mut out);
                self.send_control(now, id, out.into());
                match taken {
                    Ok(None) => continue,
                    Ok(Some(up)) => self.link_up(now, id, up),
                    Err(reason) => return self.link_close(now, id, reason),
                }
            }
            if !rest.is_empty()
                && let Err(reason) = self.engine.handle_control(now, id, rest)
            {
                return self.link_close(now, id, reason);
            }
        }
        if ended {
            self.link_close(now, id, Reason::LinkGone);
        }
    }
}
