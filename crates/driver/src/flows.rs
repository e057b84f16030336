//! Flows and what waits on them: the wakers of their readers and writers, and the engine's events.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use wayfare_engine::{Event as EngineEvent, FlowRead, FlowWrite};
use wayfare_quic::Instant;
use wayfare_types::Reason;

use crate::Failure;
use crate::event::Event;
use crate::world::{Job, Shared, World};

/// The most one read for JavaScript gives.
const READ_MAX: usize = 64 << 10;
/// An exit that neither connects nor refuses is given up after this.
pub(crate) const OPEN_WITHIN: Duration = Duration::from_secs(30);

/// How a flow ends that both sides finished.
pub(crate) const DONE: &str = "done";

/// A flow that someone here holds.
#[derive(Default)]
pub(crate) struct FlowSlot {
    reader: Option<Waker>,
    writer: Option<Waker>,
    watcher: Option<Waker>,
    /// The exit has connected, from this address.
    opened: Option<Option<SocketAddr>>,
    closed: Option<Reason>,
    /// Held by JavaScript, which is told when it closes.
    script: Option<ScriptFlow>,
}

#[derive(Clone, Copy, Default)]
struct ScriptFlow {
    received: u64,
    sent: u64,
    read_ended: bool,
    write_ended: bool,
}

impl FlowSlot {
    /// Of a flow that TypeScript holds.
    pub fn of_script() -> Self {
        Self { script: Some(ScriptFlow::default()), ..Self::default() }
    }

    fn wake_all(&mut self) {
        [self.reader.take(), self.writer.take(), self.watcher.take()].into_iter().flatten().for_each(Waker::wake);
    }
}

impl World {
    /// Something happened in the engine.
    pub fn engine_event(&mut self, now: Instant, event: EngineEvent) {
        match event {
            EngineEvent::FlowReadable(flow) => {
                if let Some(waker) = self.flows.get_mut(&flow).and_then(|f| f.reader.take()) {
                    waker.wake();
                }
            }
            EngineEvent::FlowWritable(flow) => {
                if let Some(waker) = self.flows.get_mut(&flow).and_then(|f| f.writer.take()) {
                    waker.wake();
                }
            }
            EngineEvent::FlowOpened { flow, local } => {
                if let Some(slot) = self.flows.get_mut(&flow) {
                    slot.opened = Some(local);
                    slot.wake_all();
                }
            }
            EngineEvent::FlowClosed { flow, reason } => {
                if let Some(slot) = self.flows.get_mut(&flow) {
                    slot.closed = Some(reason);
                    slot.wake_all();
                    if slot.script.is_some() && slot.opened.is_some() {
                        self.script_closed(now, flow, reason.name());
                    }
                } else {
                    self.engine.flow_release(now, flow);
                }
            }
            EngineEvent::FlowRequested { flow, host, port } => {
                if !self.inbound(now, flow, &host, port) {
                    self.flows.insert(flow, FlowSlot::default());
                    self.jobs.push(Job::Dial { flow, host, port });
                }
            }
            EngineEvent::UdpOpened(udp) => self.association_opened(now, udp),
            EngineEvent::UdpReceived { udp, address, data } => {
                self.association_datagram(now, udp, address, data.into())
            }
            EngineEvent::UdpClosed(udp) => self.association_closed(udp),
            EngineEvent::NextHopWanted(peer) => self.events.push(Event::NextHopWanted { peer: peer.to_string() }),
            EngineEvent::CircuitUp(circuit) => {
                if let Some(answer) = self.circuit_waits.remove(&circuit) {
                    answer.give(Ok(circuit));
                }
            }
            EngineEvent::CircuitDown { circuit, reason } => match self.circuit_waits.remove(&circuit) {
                Some(answer) => answer.give(Err(reason.into())),
                None => self.events.push(Event::CircuitDown { circuit, reason: reason.name() }),
            },
            EngineEvent::CircuitWorn(circuit) => self.events.push(Event::CircuitWorn { circuit }),
            EngineEvent::ConnectionUp(connection) => {
                if let Some(answer) = self.connection_waits.remove(&connection) {
                    answer.give(Ok(connection));
                }
            }
            EngineEvent::ConnectionDown { connection, reason } => match self.connection_waits.remove(&connection) {
                Some(answer) => answer.give(Err(reason.into())),
                None => self.events.push(Event::ConnectionDown { connection, reason: reason.name() }),
            },
            EngineEvent::ConnectionStalled { connection, circuit, silent_ms } => {
                let silent_ms = u32::try_from(silent_ms).unwrap_or(u32::MAX);
                self.events.push(Event::ConnectionStalled { connection, circuit, silent_ms });
            }
        }
    }

    /// A flow to `host:port`, not yet answered.
    pub fn flow_begin(&mut self, now: Instant, connection: u32, host: &str, port: u16) -> Result<u32, Reason> {
        let flow = self.engine.flow_open(now, connection, host, port)?;
        self.flows.insert(flow, FlowSlot::default());
        self.client_stats.flows_open += 1;
        self.client_stats.flows_total += 1;
        Ok(flow)
    }

    /// The end of a flow that `flow_begin` began.
    pub fn flow_end(&mut self, now: Instant, flow: u32) {
        if self.flows.remove(&flow).is_some() {
            self.client_stats.flows_open -= 1;
            self.engine.flow_release(now, flow);
        }
    }

    fn script(&mut self, flow: u32) -> Option<&mut ScriptFlow> {
        self.flows.get_mut(&flow).and_then(|f| f.script.as_mut())
    }

    fn script_closed(&mut self, now: Instant, flow: u32, reason: &'static str) {
        let Some(ScriptFlow { received, sent, .. }) = self.script(flow).copied() else { return };
        self.flow_end(now, flow);
        self.events.push(Event::FlowClosed { flow, reason, received, sent });
    }

    fn script_ended(&mut self, now: Instant, flow: u32, read: bool, write: bool) {
        let Some(script) = self.script(flow) else { return };
        script.read_ended |= read;
        script.write_ended |= write;
        if script.read_ended && script.write_ended {
            self.script_closed(now, flow, DONE);
        }
    }

    /// TypeScript takes a flow that it was asked for; whether there is such a one.
    pub fn flow_adopt(&mut self, flow: u32) -> bool {
        let Some(slot) = self.flows.get_mut(&flow).filter(|f| f.script.is_some() && f.opened.is_none()) else {
            return false;
        };
        slot.opened = Some(None);
        self.client_stats.flows_open += 1;
        self.client_stats.flows_total += 1;
        true
    }

    /// Tells TypeScript if the flow closed before it was taken.
    pub fn flow_settle(&mut self, now: Instant, flow: u32) {
        if let Some(reason) = self.flows.get(&flow).and_then(|f| f.closed) {
            self.script_closed(now, flow, reason.name());
        }
    }

    /// TypeScript does not want a flow that it was asked for; whether there is such a one.
    pub fn flow_forget(&mut self, flow: u32) -> bool {
        let asked = self.flows.get(&flow).is_some_and(|f| f.script.is_some() && f.opened.is_none());
        asked && self.flows.remove(&flow).is_some()
    }

    /// JavaScript will write no more.
    pub fn script_finish(&mut self, now: Instant, flow: u32) {
        if self.script(flow).is_some() {
            self.engine.flow_finish(flow);
            self.script_ended(now, flow, false, true);
        }
    }

    /// JavaScript breaks a flow off.
    pub fn script_reset(&mut self, now: Instant, flow: u32) {
        if self.script(flow).is_some() {
            self.engine.flow_reset(now, flow);
            if let Some(slot) = self.flows.get_mut(&flow) {
                slot.wake_all();
            }
            self.script_closed(now, flow, Reason::FlowReset.name());
        }
    }
}

impl Shared {
    /// Waits until the exit has connected.
    pub async fn flow_opened(&self, flow: u32) -> Result<Option<SocketAddr>, Reason> {
        let opened = poll_fn(|cx| {
            let mut world = self.world.borrow_mut();
            let Some(slot) = world.flows.get_mut(&flow) else { return Poll::Ready(Err(Reason::CircuitClosed)) };
            match (slot.closed, slot.opened) {
                (Some(reason), _) => Poll::Ready(Err(reason)),
                (None, Some(local)) => Poll::Ready(Ok(local)),
                (None, None) => {
                    slot.watcher = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        });
        tokio::time::timeout(OPEN_WITHIN, opened).await.unwrap_or(Err(Reason::Timeout))
    }

    /// Waits until one of the flows, each beside its connection, is opened or refused; which, by its place.
    pub async fn first_opened(&self, flows: &[(u32, u32)]) -> (usize, Result<Option<SocketAddr>, Reason>) {
        poll_fn(|cx| {
            let mut world = self.world.borrow_mut();
            for (at, (_, flow)) in flows.iter().enumerate() {
                let Some(slot) = world.flows.get_mut(flow) else {
                    return Poll::Ready((at, Err(Reason::CircuitClosed)));
                };
                match (slot.closed, slot.opened) {
                    (Some(reason), _) => return Poll::Ready((at, Err(reason))),
                    (None, Some(local)) => return Poll::Ready((at, Ok(local))),
                    (None, None) => slot.watcher = Some(cx.waker().clone()),
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Waits until the flow breaks.
    pub async fn flow_broken(&self, flow: u32) -> Reason {
        poll_fn(|cx| {
            let mut world = self.world.borrow_mut();
            let Some(slot) = world.flows.get_mut(&flow) else { return Poll::Ready(Reason::CircuitClosed) };
            match slot.closed {
                Some(reason) => Poll::Ready(reason),
                None => {
                    slot.watcher = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Takes what can be read at once, in chunks, up to about `max` bytes, waiting for something. `Ok(false)` at the end.
    pub async fn flow_take(&self, flow: u32, max: usize, chunks: &mut Vec<Bytes>) -> Result<bool, Reason> {
        poll_fn(|cx| {
            let world = &mut *self.world.borrow_mut();
            match world.engine.flow_read_chunks(flow, max, chunks) {
                Ok(_) => Poll::Ready(Ok(true)),
                Err(FlowRead::Closed(reason)) => Poll::Ready(Err(reason)),
                Err(FlowRead::Blocked) => {
                    let Some(slot) = world.flows.get_mut(&flow) else {
                        return Poll::Ready(Err(Reason::CircuitClosed));
                    };
                    slot.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
                Err(FlowRead::Finished | FlowRead::Data(_)) => Poll::Ready(Ok(false)),
            }
        })
        .await
    }

    /// Writes all of `data`, in as many steps as the flow's window takes.
    pub async fn flow_put(&self, flow: u32, mut data: Bytes) -> Result<(), Reason> {
        poll_fn(|cx| {
            while !data.is_empty() {
                let world = &mut *self.world.borrow_mut();
                match world.engine.flow_write(flow, std::slice::from_mut(&mut data)) {
                    FlowWrite::Wrote(_) => self.kick(),
                    FlowWrite::Closed(reason) => return Poll::Ready(Err(reason)),
                    FlowWrite::Blocked => {
                        let Some(slot) = world.flows.get_mut(&flow) else {
                            return Poll::Ready(Err(Reason::CircuitClosed));
                        };
                        slot.writer = Some(cx.waker().clone());
                        return Poll::Pending;
                    }
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }
}

/// For JavaScript: opens a flow and waits for the exit's answer.
pub(crate) async fn open(node: Rc<Shared>, connection: u32, host: String, port: u16) -> Result<(u32, String), Failure> {
    let flow = node.world.borrow_mut().flow_begin(Instant::now(), connection, &host, port)?;
    node.world.borrow_mut().flows.insert(flow, FlowSlot::of_script());
    node.kick();
    match node.flow_opened(flow).await {
        Ok(local) => Ok((flow, local.map(|l| l.to_string()).unwrap_or_default())),
        Err(reason) => {
            node.world.borrow_mut().flow_end(Instant::now(), flow);
            node.kick();
            Err(reason.into())
        }
    }
}

/// For JavaScript: what there is, waiting for something; `None` at the end.
pub(crate) async fn read(node: Rc<Shared>, flow: u32) -> Result<Option<Bytes>, Failure> {
    let mut chunks = Vec::new();
    match node.world.borrow_mut().script(flow) {
        None => return Err(Failure::unknown("flow", flow)),
        Some(script) if script.read_ended => return Ok(None),
        Some(_) => {}
    }
    let more = node.flow_take(flow, READ_MAX, &mut chunks).await?;
    let now = Instant::now();
    let world = &mut *node.world.borrow_mut();
    if !more {
        world.script_ended(now, flow, true, false);
        node.kick();
        return Ok(None);
    }
    let bytes = match chunks.len() {
        1 => chunks.remove(0),
        _ => Bytes::from(chunks.concat()),
    };
    // What JavaScript has been given is no longer held here.
    world.engine.flow_consumed(now, flow, bytes.len());
    world.client_stats.bytes_in += bytes.len() as u64;
    if let Some(script) = world.script(flow) {
        script.received += bytes.len() as u64;
    }
    node.kick();
    Ok(Some(bytes))
}

/// For JavaScript: all of it.
pub(crate) async fn write(node: Rc<Shared>, flow: u32, data: Bytes) -> Result<(), Failure> {
    let bytes = data.len() as u64;
    match node.world.borrow_mut().script(flow) {
        None => return Err(Failure::unknown("flow", flow)),
        Some(script) if script.write_ended => {
            return Err(Failure::new(Failure::INVALID, "the flow was finished before"));
        }
        Some(_) => {}
    }
    node.flow_put(flow, data).await?;
    let world = &mut *node.world.borrow_mut();
    world.client_stats.bytes_out += bytes;
    if let Some(script) = world.script(flow) {
        script.sent += bytes;
    }
    Ok(())
}
