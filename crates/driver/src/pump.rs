//! Bytes between a TCP socket and a flow, both ways, half-closed ends included.
//!
//! What is read from sockets lands in one arena that all of a thread's pumps share, so that a flow that is silent holds no
//! memory; from there it goes to the flow without a copy. Small pieces are copied out, or one of them could keep
//! a whole arena alive.
//!
//! Invariant: a pump reads on only when what it has read was taken, and tells a flow's window that bytes were consumed
//! only once the socket has them. So a reader that stops, stops its writer.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::rc::Rc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use socket2::SockRef;
use tokio::net::TcpStream;
use wayfare_proxy::Body;
use wayfare_quic::Instant;
use wayfare_types::Reason;

use crate::moved::Moved;
use crate::parking;
use crate::world::Shared;

/// The most one read takes off a socket, and the most a flow is read ahead of its socket.
const READ: usize = 64 << 10;
/// The least room for a read; with less left, the arena is begun anew.
const READ_MIN: usize = 32 << 10;
/// What the kernel may hold of a stream and has not sent.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NOT_SENT: u32 = 64 << 10;
/// Pieces up to this size are copied.
const COPY_UP_TO: usize = 16 << 10;
/// Pieces handed to one system call.
const SLICES: usize = 256;
/// Bytes moved in one go before the other tasks of the thread have their turn.
const SHARE: usize = 4 * READ;

/// Which end of a flow this node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Client,
    Exit,
}

pub(crate) struct Pump<'a> {
    pub node: &'a Rc<Shared>,
    pub flow: u32,
    pub end: End,
    pub tcp: &'a TcpStream,
    pub moved: &'a Moved,
}

impl Pump<'_> {
    /// Runs until both directions have ended, or either broke. `early` was read from the socket before.
    pub async fn run(&self, early: Bytes, mut body: Body) -> Result<(), Reason> {
        hold_little(self.tcp);
        let (up_ended, down_ended) = (Cell::new(false), Cell::new(false));
        let up = async { self.up(early, &mut body, &down_ended).await.inspect(|()| up_ended.set(true)) };
        let down = async { self.down(&up_ended).await.inspect(|()| down_ended.set(true)) };
        let both = async { tokio::try_join!(up, down) };
        let ended = tokio::select! {
            ended = both => ended.map(|_| ()),
            reason = self.node.flow_broken(self.flow) => Err(reason),
        };
        let world = &mut *self.node.world.borrow_mut();
        if ended.is_err() {
            world.engine.flow_reset(Instant::now(), self.flow);
            // The application is to see that the stream broke, and not a clean end in the middle of it.
            let _ = SockRef::from(self.tcp).set_linger(Some(std::time::Duration::ZERO));
        } else {
            world.engine.flow_finish(self.flow);
        }
        self.kick_at_end(ended.is_ok());
        ended
    }

    /// Socket to flow.
    async fn up(&self, early: Bytes, body: &mut Body, down_ended: &Cell<bool>) -> Result<(), Reason> {
        if !early.is_empty() {
            self.put(early, body).await?;
        }
        let mut share = 0;
        loop {
            match read_some(&self.node.arena, self.tcp) {
                Ok(bytes) if bytes.is_empty() => break,
                Ok(bytes) => {
                    share += bytes.len();
                    self.put(bytes, body).await?;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    share = 0;
                    self.tcp.readable().await.map_err(|_| Reason::FlowReset)?;
                }
                Err(_) => return Err(Reason::FlowReset),
            }
            if share >= SHARE {
                share = 0;
                tokio::task::yield_now().await;
            }
        }
        // A request whose body has ended is complete without this, and some servers take it for a hang-up.
        if !body.is_finished() {
            self.node.world.borrow_mut().engine.flow_finish(self.flow);
            self.kick_at_end(down_ended.get());
        }
        Ok(())
    }

    /// A client that has had all that it asked for waits for nothing any more; what has to be said of its leaving goes with what the
    /// next one wants. The other end's client may wait for the end to come.
    fn kick_at_end(&self, over: bool) {
        if over && self.end == End::Client {
            self.node.kick_soon();
        } else {
            self.node.kick();
        }
    }

    async fn put(&self, mut bytes: Bytes, body: &mut Body) -> Result<(), Reason> {
        let belongs = body.accept(&bytes)?;
        bytes.truncate(belongs);
        if bytes.is_empty() {
            return Ok(());
        }
        let moved = bytes.len() as u64;
        self.node.flow_put(self.flow, bytes).await?;
        self.moved.sent(moved);
        let world = &mut *self.node.world.borrow_mut();
        match self.end {
            End::Client => {
                world.client_stats.bytes_out += moved;
                self.node.later.hasten(Instant::now());
            }
            End::Exit => world.exit_stats.bytes_in += moved,
        }
        Ok(())
    }

    /// Flow to socket.
    async fn down(&self, up_ended: &Cell<bool>) -> Result<(), Reason> {
        let mut chunks = Vec::with_capacity(SLICES);
        let mut share = 0;
        while self.node.flow_take(self.flow, READ, &mut chunks).await? {
            let moved: usize = chunks.iter().map(Bytes::len).sum();
            write_all(self.tcp, &mut chunks).await.map_err(|_| Reason::FlowReset)?;
            self.moved.received(moved as u64);
            {
                let world = &mut *self.node.world.borrow_mut();
                world.engine.flow_consumed(Instant::now(), self.flow, moved);
                match self.end {
                    End::Client => world.client_stats.bytes_in += moved as u64,
                    End::Exit => world.exit_stats.bytes_out += moved as u64,
                }
            }
            self.node.kick();
            share += moved;
            if share >= SHARE {
                share = 0;
                tokio::task::yield_now().await;
            }
        }
        // The whole socket is closed once both have ended.
        if !up_ended.get() {
            // Fails when the peer is gone altogether, which is an end as well.
            let _ = SockRef::from(self.tcp).shutdown(Shutdown::Write);
        }
        Ok(())
    }
}

/// Keeps the kernel from taking what it cannot send yet: megabytes of that would look like a reader that reads, and its
/// window would grow. Without such an option the window grows, and the quota of all windows is what bounds it.
fn hold_little(tcp: &TcpStream) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = SockRef::from(tcp).set_tcp_notsent_lowat(NOT_SENT);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = tcp;
}

/// One read; empty at the end of the stream.
fn read_some(arena: &std::cell::RefCell<BytesMut>, tcp: &TcpStream) -> io::Result<Bytes> {
    let arena = &mut *arena.borrow_mut();
    if arena.capacity() < READ_MIN {
        arena.reserve(READ);
    }
    let room = arena.capacity();
    let count = tcp.try_read_buf(&mut (&mut *arena).limit(room))?;
    parking::moved(count);
    if count <= COPY_UP_TO {
        let bytes = Bytes::copy_from_slice(arena);
        arena.clear();
        return Ok(bytes);
    }
    Ok(arena.split().freeze())
}

/// Writes all chunks and clears them.
pub(crate) async fn write_all(tcp: &TcpStream, chunks: &mut Vec<Bytes>) -> io::Result<()> {
    let mut first = 0;
    while first < chunks.len() {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = SLICES.min(chunks.len() - first);
        for (slice, chunk) in slices.iter_mut().zip(&chunks[first..]) {
            *slice = IoSlice::new(chunk);
        }
        match tcp.try_write_vectored(&slices[..count]) {
            Ok(mut written) => {
                while first < chunks.len() && written >= chunks[first].len() {
                    written -= chunks[first].len();
                    first += 1;
                }
                if written > 0 {
                    chunks[first].advance(written);
                }
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => tcp.writable().await?,
            Err(e) => return Err(e),
        }
    }
    chunks.clear();
    Ok(())
}
