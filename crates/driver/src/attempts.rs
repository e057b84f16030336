//! One proxied request over several connections at once, until an exit has connected it.

use std::net::SocketAddr;
use std::rc::Rc;

use tokio::sync::mpsc;
use tokio::time::sleep;
use wayfare_proxy::Request;
use wayfare_quic::Instant;
use wayfare_types::Reason;

use crate::event::Event;
use crate::flows::OPEN_WITHIN;
use crate::proxy::{ASSIGN_WITHIN, Decision};
use crate::world::Shared;

pub(crate) type Decisions = mpsc::UnboundedReceiver<(u32, Decision)>;

/// The attempts of one request: flows over several connections, of which the first that an exit connects has it.
///
/// Invariant: those that are left when this is dropped are reset.
pub(crate) struct Attempts<'a> {
    node: &'a Rc<Shared>,
    id: u32,
    /// Connection and flow.
    flows: Vec<(u32, u32)>,
}

impl<'a> Attempts<'a> {
    pub fn new(node: &'a Rc<Shared>, id: u32) -> Self {
        Self { node, id, flows: Vec::new() }
    }

    /// The flow that won. `Err`: with which code TypeScript refuses; without one, it has said nothing in time.
    pub async fn race(
        &mut self,
        decisions: &mut Decisions,
        request: &Request,
    ) -> Result<(u32, Option<SocketAddr>), Option<String>> {
        loop {
            // Whoever decides has its own patience; this one is for when it says nothing at all.
            let patience = if self.flows.is_empty() { ASSIGN_WITHIN } else { OPEN_WITHIN };
            let (at, answer) = tokio::select! {
                biased;
                decision = decisions.recv() => match decision {
                    Some((_, Decision::Assign(connection))) => {
                        self.begin(connection, request);
                        continue;
                    }
                    Some((_, Decision::Refuse(code))) => return Err(Some(code)),
                    Some((_, Decision::Accept)) | None => return Err(None),
                },
                answered = self.node.first_opened(&self.flows), if !self.flows.is_empty() => answered,
                () = sleep(patience) => return Err(None),
            };
            let (connection, flow) = self.flows.swap_remove(at);
            match answer {
                Ok(local) => {
                    self.node.world.borrow_mut().events.push(Event::ProxyOpened { request: self.id, connection });
                    self.node.kick();
                    return Ok((flow, local));
                }
                Err(reason) => {
                    self.node.world.borrow_mut().flow_end(Instant::now(), flow);
                    self.failed(connection, reason);
                }
            }
        }
    }

    pub fn begin(&mut self, connection: u32, request: &Request) {
        let begun = self.node.world.borrow_mut().flow_begin(Instant::now(), connection, &request.host, request.port);
        match begun {
            Ok(flow) => self.flows.push((connection, flow)),
            Err(reason) => self.failed(connection, reason),
        }
        self.node.kick();
    }

    fn failed(&self, connection: u32, reason: Reason) {
        let event = Event::ProxyFailed { request: self.id, connection, reason: reason.name() };
        self.node.world.borrow_mut().events.push(event);
        self.node.kick();
    }
}

impl Drop for Attempts<'_> {
    fn drop(&mut self) {
        for (_, flow) in self.flows.drain(..) {
            let world = &mut *self.node.world.borrow_mut();
            world.engine.flow_reset(Instant::now(), flow);
            world.flow_end(Instant::now(), flow);
            self.node.kick();
        }
    }
}
