//! Session streams: the bidirectional streams of links that belong to TypeScript.
//!
//! Invariant: a stream is forgotten when both its directions have ended, or when its link has.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use bytes::Bytes;
use wayfare_quic::{Dir, ReadError, ReadableError, StreamId, WriteError};
use wayfare_types::Reason;

use crate::Failure;
use crate::event::Event;
use crate::links::LinkId;
use crate::web::reset_code;
use crate::world::{Shared, World};

/// The most one read gives.
pub const READ_MAX: usize = 64 << 10;

pub(crate) struct Session {
    link: LinkId,
    stream: StreamId,
    /// What the link's transport puts before the first byte of ours, as far as it is unwritten.
    head: Bytes,
    reader: Option<Waker>,
    writer: Option<Waker>,
    read_ended: bool,
    write_ended: bool,
}

enum Step<T> {
    Done(T),
    Blocked,
}

fn gone() -> Failure {
    Failure::new(Reason::LinkGone.name(), "the stream, or its link, is gone")
}

fn reset() -> Failure {
    Failure::new(Reason::FlowReset.name(), "the peer broke the stream off")
}

impl World {
    fn session_insert(&mut self, link: LinkId, stream: StreamId, head: Bytes) -> u32 {
        let id = self.next_id();
        let session = Session { link, stream, head, reader: None, writer: None, read_ended: false, write_ended: false };
        self.sessions.insert(id, session);
        self.session_ids.insert((link, stream), id);
        id
    }

    pub fn session_opened(&mut self, link: LinkId, stream: StreamId) {
        let id = self.session_insert(link, stream, Bytes::new());
        self.events.push(Event::StreamOpened { link, stream: id });
    }

    fn session_of(&mut self, link: LinkId, stream: StreamId) -> Option<&mut Session> {
        self.session_ids.get(&(link, stream)).and_then(|id| self.sessions.get_mut(id))
    }

    pub fn session_wake_reader(&mut self, link: LinkId, stream: StreamId) {
        if let Some(waker) = self.session_of(link, stream).and_then(|s| s.reader.take()) {
            waker.wake();
        }
    }

    pub fn session_wake_writer(&mut self, link: LinkId, stream: StreamId) {
        if let Some(waker) = self.session_of(link, stream).and_then(|s| s.writer.take()) {
            waker.wake();
        }
    }

    /// Streams can be opened on a link again.
    pub fn sessions_available(&mut self, link: LinkId) {
        if let Some(link) = self.links.get_mut(&link) {
            link.waiting_to_open.drain(..).for_each(Waker::wake);
        }
    }

    pub fn sessions_gone(&mut self, link: LinkId) {
        self.session_ids.retain(|(of, _), _| *of != link);
        self.sessions.retain(|_, session| {
            let keep = session.link != link;
            if !keep {
                session.reader.take().into_iter().chain(session.writer.take()).for_each(Waker::wake);
            }
            keep
        });
    }

    fn session_remove(&mut self, id: u32) {
        if let Some(mut session) = self.sessions.remove(&id) {
            self.session_ids.remove(&(session.link, session.stream));
            session.reader.take().into_iter().chain(session.writer.take()).for_each(Waker::wake);
        }
    }

    fn session_end(&mut self, id: u32, read: bool, write: bool) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.read_ended |= read;
        session.write_ended |= write;
        if session.read_ended && session.write_ended {
            self.session_remove(id);
        }
    }

    fn session_read(&mut self, id: u32, waker: &Waker) -> Result<Step<Option<Bytes>>, Failure> {
        let Some(session) = self.sessions.get_mut(&id) else { return Err(gone()) };
        if session.read_ended {
            return Ok(Step::Done(None));
        }
        let stream = session.stream;
        let handle = self.links.get(&session.link).ok_or_else(gone)?.handle;
        let conn = self.quic.conn(handle).ok_or_else(gone)?;
        let mut receive = conn.recv_stream(stream);
        let read = match receive.read(true) {
            Ok(mut chunks) => {
                let read = chunks.next(READ_MAX);
                let _ = chunks.finalize();
                read
            }
            Err(ReadableError::ClosedStream) => Ok(None),
            Err(ReadableError::IllegalOrderedRead) => return Err(gone()),
        };
        match read {
            Ok(Some(chunk)) => Ok(Step::Done(Some(chunk.bytes))),
            Ok(None) => {
                self.session_end(id, true, false);
                Ok(Step::Done(None))
            }
            Err(ReadError::Blocked) => {
                session.reader = Some(waker.clone());
                Ok(Step::Blocked)
            }
            Err(ReadError::Reset(_)) => {
                self.session_end(id, true, false);
                Err(reset())
            }
        }
    }

    fn session_write(&mut self, id: u32, data: &mut Bytes, waker: &Waker) -> Result<Step<()>, Failure> {
        let Some(session) = self.sessions.get_mut(&id).filter(|s| !s.write_ended) else { return Err(gone()) };
        let stream = session.stream;
        let handle = self.links.get(&session.link).ok_or_else(gone)?.handle;
        let conn = self.quic.conn(handle).ok_or_else(gone)?;
        while !session.head.is_empty() || !data.is_empty() {
            let part = if session.head.is_empty() { &mut *data } else { &mut session.head };
            match conn.send_stream(stream).write_chunks(std::slice::from_mut(part)) {
                Ok(written) if written.bytes > 0 => {}
                Ok(_) | Err(WriteError::Blocked) => {
                    session.writer = Some(waker.clone());
                    return Ok(Step::Blocked);
                }
                Err(WriteError::Stopped(_)) => {
                    self.session_end(id, false, true);
                    return Err(reset());
                }
                Err(WriteError::ClosedStream) => return Err(gone()),
            }
        }
        Ok(Step::Done(()))
    }

    /// Writes what is unwritten of the head; whether all of it is.
    fn session_write_head(&mut self, id: u32) -> bool {
        let Some(session) = self.sessions.get_mut(&id) else { return true };
        if let Some(conn) = self.links.get(&session.link).and_then(|l| self.quic.conn(l.handle)) {
            // Where there is no room yet, the first write brings it.
            let _ = conn.send_stream(session.stream).write_chunks(std::slice::from_mut(&mut session.head));
        }
        session.head.is_empty()
    }

    pub fn session_finish(&mut self, id: u32) {
        // A stream without its head would be none of the session's.
        if !self.session_write_head(id) {
            return self.session_reset(id, 0);
        }
        let Some(session) = self.sessions.get(&id) else { return };
        let stream = session.stream;
        if let Some(conn) = self.links.get(&session.link).and_then(|l| self.quic.conn(l.handle)) {
            // Finishing what the peer has stopped is no error: both have ended it.
            let _ = conn.send_stream(stream).finish();
        }
        self.session_end(id, false, true);
    }

    pub fn session_reset(&mut self, id: u32, code: u32) {
        let Some(session) = self.sessions.get(&id) else { return };
        let stream = session.stream;
        let Some(link) = self.links.get(&session.link) else { return };
        let code = reset_code(link.web.is_some(), code);
        if let Some(conn) = self.quic.conn(link.handle) {
            let _ = conn.send_stream(stream).reset(code);
            let _ = conn.recv_stream(stream).stop(code);
        }
        self.session_remove(id);
    }
}

/// Opens a stream, once the peer's limit allows it.
pub(crate) async fn open(node: Rc<Shared>, link: LinkId) -> Result<u32, Failure> {
    let opened = poll_fn(|cx| {
        let world = &mut *node.world.borrow_mut();
        let Some(l) = world.links.get_mut(&link).filter(|l| l.up) else {
            return Poll::Ready(Err(Failure::unknown("link", link)));
        };
        let Some(conn) = world.quic.conn(l.handle) else { return Poll::Ready(Err(gone())) };
        match conn.streams().open(Dir::Bi) {
            Some(stream) => {
                let head = l.web.as_ref().map_or_else(Bytes::new, |web| web.head.clone());
                let id = world.session_insert(link, stream, head);
                world.session_write_head(id);
                Poll::Ready(Ok(id))
            }
            None => {
                l.waiting_to_open.push(cx.waker().clone());
                Poll::Pending
            }
        }
    });
    let opened = opened.await;
    node.kick();
    opened
}

/// Reads what there is, waiting for something; `None` at the end.
pub(crate) async fn read(node: Rc<Shared>, id: u32) -> Result<Option<Bytes>, Failure> {
    let read = poll_fn(|cx| match node.world.borrow_mut().session_read(id, cx.waker()) {
        Ok(Step::Done(bytes)) => Poll::Ready(Ok(bytes)),
        Ok(Step::Blocked) => Poll::Pending,
        Err(failure) => Poll::Ready(Err(failure)),
    });
    let read = read.await;
    node.kick();
    read
}

/// Writes all of it.
pub(crate) async fn write(node: Rc<Shared>, id: u32, mut data: Bytes) -> Result<(), Failure> {
    poll_fn(|cx| {
        let step = node.world.borrow_mut().session_write(id, &mut data, cx.waker());
        node.kick();
        match step {
            Ok(Step::Done(())) => Poll::Ready(Ok(())),
            Ok(Step::Blocked) => Poll::Pending,
            Err(failure) => Poll::Ready(Err(failure)),
        }
    })
    .await
}
