//! The handle of a running node, for other threads: every method hands a command to the node's thread and returns.
//!
//! Invariant: nothing here blocks, except where the name says so; dropping the handle closes the node.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use wayfare_engine::{Account, Additions, CircuitCredit, HopSpec, SizeClass, Suite};
use wayfare_quic::tls::Identity;
use wayfare_quic::{Instant, WebCertificate};
use wayfare_types::{NodeId, Reason};
use zeroize::Zeroizing;

use crate::ahead::{Decided, SharedAhead, Wanted};
use crate::answer::Answer;
use crate::attached::Attachment;
use crate::event::{Event, MovedSince};
use crate::options::{Credits, ExitRules, Options, ProxyOptions};
use crate::proxy::{self, Decision, Protocol};
use crate::resolve::{Resolver, SystemResolver};
use crate::stats::{CircuitStats, Stats};
use crate::world::Shared;
use crate::{Failure, flows, sessions, thread};

type Act = Box<dyn FnOnce(&Rc<Shared>) + Send>;

/// What other threads send.
pub(crate) enum Command {
    Do(Act),
    Close,
}

/// A circuit to build; see `CircuitSpec` in ts/core/host.ts.
pub struct CircuitSpec {
    pub hops: Vec<HopSpec>,
    pub class: SizeClass,
    pub suite: Option<Suite>,
    /// The class of credits per second that it begins with, 0 (none) to 8.
    pub flow: u8,
}

/// A node.
pub struct Node {
    id: NodeId,
    commands: mpsc::UnboundedSender<Command>,
    ahead: SharedAhead,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Node {
    /// Starts a node's thread; `started` gets the addresses its sockets are bound to.
    pub fn start(
        options: Options,
        on_events: impl Fn(Vec<Event>) + Send + 'static,
        started: Answer<Vec<String>>,
    ) -> Result<Self, Failure> {
        Self::start_with(options, Arc::new(SystemResolver), on_events, started)
    }

    /// The same with another resolver.
    pub fn start_with(
        options: Options,
        resolver: Arc<dyn Resolver>,
        on_events: impl Fn(Vec<Event>) + Send + 'static,
        started: Answer<Vec<String>>,
    ) -> Result<Self, Failure> {
        let system = |text: String| Failure::new(Failure::SYSTEM, text);
        let id = Identity::from_seed(&options.identity_seed).map_err(|e| system(e.to_string()))?.id();
        let (commands, receiver) = mpsc::unbounded_channel();
        let ahead = SharedAhead::default();
        let start = thread::Start {
            options,
            resolver,
            on_events: Box::new(on_events),
            commands: receiver,
            ahead: ahead.clone(),
            started,
        };
        let thread = std::thread::Builder::new()
            .name(format!("node {id:?}"))
            .spawn(move || thread::run(start))
            .map_err(|e| system(format!("the system gives no thread: {e}")))?;
        Ok(Self { id, commands, ahead, thread: Mutex::new(Some(thread)) })
    }

    pub fn id(&self) -> NodeId {
        self.id
    }

    /// A node that is closed drops the command, and with it the answer, which then says so.
    fn act(&self, act: impl FnOnce(&Rc<Shared>) + Send + 'static) {
        let _ = self.commands.send(Command::Do(Box::new(act)));
    }

    pub fn link_open(&self, peer: NodeId, addresses: Vec<SocketAddr>, answer: Answer<u32>) {
        self.act(move |node| node.world.borrow_mut().link_open(Instant::now(), peer, addresses, answer));
    }

    /// `reason` is a drop reason's name; others are told as "link_gone".
    pub fn link_close(&self, link: u32, reason: &str) {
        let reason = Reason::ALL.iter().copied().find(|r| r.name() == reason).unwrap_or(Reason::LinkGone);
        self.act(move |node| node.world.borrow_mut().link_close(Instant::now(), link, reason));
    }

    /// Begins a link over a session whose bytes the caller moves.
    pub fn link_attach(&self, attachment: Attachment, answer: Answer<u32>) {
        self.act(move |node| {
            let attached = node.world.borrow_mut().attach(Instant::now(), attachment);
            answer.give(attached);
        });
    }

    /// What came on its control stream, and packets, each behind its length (u16).
    pub fn link_take(&self, link: u32, control: Bytes, packets: Bytes, answer: Answer<()>) {
        self.act(move |node| {
            let taken = node.world.borrow_mut().attached_take(Instant::now(), link, &control, &packets);
            answer.give(taken);
        });
    }

    /// Answers with the next batch that is to go out, as records `kind u8 | length u32 | bytes`, kinds 1 (a packet) and 2
    /// (control); fails with why the link ended.
    pub fn link_give(&self, link: u32, answer: Answer<Option<Bytes>>) {
        self.act(move |node| node.world.borrow_mut().attached_give(link, answer));
    }

    pub fn next_hop_unreachable(&self, peer: NodeId) {
        self.act(move |node| node.world.borrow_mut().engine.next_hop_unreachable(Instant::now(), peer));
    }

    pub fn stream_open(&self, link: u32, answer: Answer<u32>) {
        self.act(move |node| {
            let node = node.clone();
            spawn_local(async move { answer.give(sessions::open(node, link).await) });
        });
    }

    pub fn stream_read(&self, stream: u32, answer: Answer<Option<Bytes>>) {
        self.act(move |node| {
            let node = node.clone();
            spawn_local(async move { answer.give(sessions::read(node, stream).await) });
        });
    }

    pub fn stream_write(&self, stream: u32, data: Bytes, answer: Answer<()>) {
        self.act(move |node| {
            let node = node.clone();
            spawn_local(async move { answer.give(sessions::write(node, stream, data).await) });
        });
    }

    /// Once the writes have been answered.
    pub fn stream_finish(&self, stream: u32) {
        self.act(move |node| node.world.borrow_mut().session_finish(stream));
    }

    pub fn stream_reset(&self, stream: u32, code: u32) {
        self.act(move |node| node.world.borrow_mut().session_reset(stream, code));
    }

    pub fn datagram_send(&self, link: u32, data: Bytes) {
        self.act(move |node| node.world.borrow_mut().datagram_send(link, &data));
    }

    pub fn set_onion_keys(&self, seeds: Zeroizing<Vec<[u8; 32]>>) {
        self.act(move |node| node.world.borrow_mut().engine.set_onion_keys(&seeds));
    }

    /// What browsers are shown from now on: certificates (DER) and their keys (PKCS#8), the current one first. Without any,
    /// nobody is let in by WebTransport.
    pub fn set_certificates(&self, certificates: &[(&[u8], &[u8])]) -> Result<(), Failure> {
        let checked = certificates
            .iter()
            .map(|(certificate, key)| WebCertificate::new(certificate, key))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| Failure::new(Failure::INVALID, format!("a certificate for browsers: {e}")))?;
        self.act(move |node| {
            let world = &mut *node.world.borrow_mut();
            if world.set_certificate(checked.first()).is_err() {
                // The identity was good enough to start with, so this is the system's doing; the old one stays.
                world.count(Reason::LinkRefused);
            }
        });
        Ok(())
    }

    pub fn set_exit_rules(&self, rules: &ExitRules) -> Result<(), Failure> {
        let policy = rules.policy()?;
        self.act(move |node| node.world.borrow_mut().policy = Rc::new(policy));
        Ok(())
    }

    pub fn set_forwarding(&self, on: bool) {
        self.act(move |node| node.world.borrow_mut().set_forwarding(on));
    }

    pub fn drain(&self) {
        self.act(|node| node.world.borrow_mut().engine.drain());
    }

    pub fn circuit_open(&self, spec: CircuitSpec, answer: Answer<u32>) {
        self.act(move |node| {
            let world = &mut *node.world.borrow_mut();
            match world.engine.circuit_open_with(Instant::now(), &spec.hops, spec.class, spec.suite, spec.flow) {
                Ok(circuit) => drop(world.circuit_waits.insert(circuit, answer)),
                Err(reason) => answer.give(Err(reason.into())),
            }
        });
    }

    pub fn circuit_close(&self, circuit: u32) {
        self.act(move |node| node.world.borrow_mut().engine.circuit_close(Instant::now(), circuit));
    }

    /// What this node adds to a circuit that begins or ends here, away from itself: a class of credits per second, 0 (none) to 8.
    pub fn circuit_flow(&self, circuit: u32, class: u8, answer: Answer<()>) {
        self.act(move |node| {
            let flowing = node.world.borrow_mut().engine.circuit_flow(Instant::now(), circuit, class);
            answer.give(flowing.map_err(Into::into));
        });
    }

    /// JSON of the accounts with all neighbours, and the books.
    pub fn credits(&self, answer: Answer<String>) {
        self.act(move |node| answer.give(Ok(node.world.borrow_mut().engine.credits(Instant::now()))));
    }

    /// JSON of the flows of all circuits.
    pub fn credits_circuits(&self, answer: Answer<String>) {
        self.act(move |node| answer.give(Ok(node.world.borrow().engine.credits_circuits())));
    }

    /// The flows of all circuits, as of the latest settlement.
    pub fn circuit_credits(&self, answer: Answer<Vec<CircuitCredit>>) {
        self.act(move |node| answer.give(Ok(node.world.borrow().engine.circuit_credits())));
    }

    /// What is to be kept of the accounts through a restart.
    pub fn credits_export(&self, answer: Answer<Vec<Account>>) {
        self.act(move |node| answer.give(Ok(node.world.borrow_mut().engine.credits_export(Instant::now()))));
    }

    /// Takes accounts as they were so long ago, of neighbours to whom no link is up yet; how many.
    pub fn credits_restore(&self, ago_us: u64, accounts: Vec<Account>, answer: Answer<usize>) {
        self.act(move |node| {
            let taken = node.world.borrow_mut().engine.credits_restore(Instant::now(), ago_us, &accounts);
            answer.give(Ok(taken));
        });
    }

    /// Tells neighbours what they have here: once that is where a crash cannot take it back.
    pub fn credits_report(&self) {
        self.act(|node| node.world.borrow_mut().engine.credits_report(Instant::now()));
    }

    /// Other settings from now on: what is left out is as it is by default; half-life and periods stay.
    pub fn credits_configure(&self, credits: Credits, answer: Answer<()>) {
        self.act(move |node| {
            let changed = node.world.borrow_mut().engine.credits_configure(Instant::now(), credits.config());
            answer.give(changed.map_err(|e| Failure::new(Failure::INVALID, e.to_string())));
        });
    }

    /// Adds so much to the flow of circuits that end here, for what begins to run on them: rules, a line each, as [`Additions::parse`]
    /// has them.
    ///
    /// # Errors
    /// `argument_invalid` for what is no rule.
    pub fn credits_add(&self, rules: &str) -> Result<(), Failure> {
        let rules = Additions::parse(rules).ok_or_else(|| Failure::new(Failure::INVALID, "these are no rules"))?;
        self.act(|node| node.world.borrow_mut().engine.credits_add(rules));
        Ok(())
    }

    /// The circuits that a neighbour has set up through or to this node, over this link.
    pub fn circuits_from(&self, link: u32, answer: Answer<Vec<u32>>) {
        self.act(move |node| answer.give(Ok(node.world.borrow().engine.circuits_from(link))));
    }

    pub fn circuit_stats(&self, circuit: u32, answer: Answer<Option<CircuitStats>>) {
        self.act(move |node| {
            let info = node.world.borrow().engine.circuit_info(circuit);
            answer.give(Ok(info.map(|i| CircuitStats {
                circuit,
                role: "client",
                packets_forward: i.packets_forward,
                packets_backward: i.packets_backward,
                bytes_forward: i.bytes_forward,
                bytes_backward: i.bytes_backward,
                credits_paid: i.credits_paid,
                credits_home: i.credits_home,
            })));
        });
    }

    pub fn connection_open(&self, circuit: u32, answer: Answer<u32>) {
        self.act(move |node| {
            let world = &mut *node.world.borrow_mut();
            match world.engine.connection_open(Instant::now(), circuit) {
                Ok(connection) => drop(world.connection_waits.insert(connection, answer)),
                Err(reason) => answer.give(Err(reason.into())),
            }
        });
    }

    /// `connection_moved` follows, or, when the other circuit is of no use, `connection_stalled` with it.
    pub fn connection_move(&self, connection: u32, circuit: u32) {
        self.act(move |node| {
            let world = &mut *node.world.borrow_mut();
            world.events.push(match world.engine.connection_move(Instant::now(), connection, circuit) {
                Ok(()) => Event::ConnectionMoved { connection, circuit },
                Err(_) => Event::ConnectionStalled { connection, circuit, silent_ms: 0 },
            });
        });
    }

    pub fn connection_close(&self, connection: u32) {
        self.act(move |node| node.world.borrow_mut().engine.connection_close(Instant::now(), connection));
    }

    /// The answer is the flow and the exit's own socket address.
    pub fn flow_open(&self, connection: u32, host: String, port: u16, answer: Answer<(u32, String)>) {
        self.act(move |node| {
            let node = node.clone();
            spawn_local(async move { answer.give(flows::open(node, connection, host, port).await) });
        });
    }

    /// Takes a stream that `InboundRequested` told of, at `port`.
    pub fn inbound_accept(&self, flow: u32, port: u16) {
        self.act(move |node| node.world.borrow_mut().inbound_accept(Instant::now(), flow, port));
    }

    /// Refuses it; `overloaded`: it would be taken at another time.
    pub fn inbound_refuse(&self, flow: u32, overloaded: bool) {
        self.act(move |node| node.world.borrow_mut().inbound_refuse(Instant::now(), flow, overloaded));
    }

    pub fn flow_read(&self, flow: u32, answer: Answer<Option<Bytes>>) {
        self.act(move |node| {
            let node = node.clone();
            spawn_local(async move { answer.give(flows::read(node, flow).await) });
        });
    }

    pub fn flow_write(&self, flow: u32, data: Bytes, answer: Answer<()>) {
        self.act(move |node| {
            let node = node.clone();
            spawn_local(async move { answer.give(flows::write(node, flow, data).await) });
        });
    }

    /// Once the writes have been answered.
    pub fn flow_finish(&self, flow: u32) {
        self.act(move |node| node.world.borrow_mut().script_finish(Instant::now(), flow));
    }

    pub fn flow_reset(&self, flow: u32) {
        self.act(move |node| node.world.borrow_mut().script_reset(Instant::now(), flow));
    }

    /// The answer is the proxy and the address it is bound to.
    pub fn proxy_listen(&self, protocol: Protocol, options: ProxyOptions, answer: Answer<(u32, SocketAddr)>) {
        self.act(move |node| answer.give(proxy::listen(node, protocol, options)));
    }

    /// No new clients; those it has go on.
    pub fn proxy_close(&self, proxy: u32) {
        self.act(move |node| {
            if let Some(task) = node.world.borrow_mut().proxies.remove(&proxy) {
                task.abort();
            }
        });
    }

    /// Tries the request over this connection, beside what is tried already: the first exit that connects has it.
    pub fn proxy_assign(&self, request: u32, connection: u32) {
        self.decide(request, Decision::Assign(connection));
    }

    /// Takes a request for an association, whose destinations are requests of their own.
    pub fn proxy_accept(&self, request: u32) {
        self.decide(request, Decision::Accept);
    }

    pub fn proxy_refuse(&self, request: u32, code: String) {
        self.decide(request, Decision::Refuse(code));
    }

    /// The next request like this takes this connection first, without being asked for; once.
    pub fn proxy_ahead(&self, id: u32, wanted: Wanted, connection: u32) {
        self.ahead.lock().decide(wanted, Decided { id, connection });
    }

    /// Takes that back. The answer: whether it stood; if not, the event of the request that has it has been told or will be.
    pub fn proxy_ahead_revoke(&self, id: u32, answer: Answer<bool>) {
        answer.give(Ok(self.ahead.lock().revoke(id)));
    }

    fn decide(&self, request: u32, decision: Decision) {
        self.act(move |node| {
            if let Some(waiting) = node.world.borrow().decisions.get(&request) {
                // A client that has just left needs no decision.
                let _ = waiting.send((request, decision));
            }
        });
    }

    /// What the requests of proxy clients have moved since this was last asked; those that moved nothing are left out.
    pub fn proxy_moved(&self, answer: Answer<Vec<(u32, MovedSince)>>) {
        self.act(move |node| {
            let now = Instant::now();
            let world = node.world.borrow();
            answer.give(Ok(world.moved.iter().filter_map(|(&id, moved)| Some((id, moved.take(now)?))).collect()));
        });
    }

    pub fn stats(&self, answer: Answer<Stats>) {
        self.act(move |node| answer.give(Ok(node.world.borrow_mut().stats(Instant::now()))));
    }

    /// Says goodbye to everyone; `closed` is answered when the thread has ended.
    pub fn close(&self, closed: Answer<()>) {
        let _ = self.commands.send(Command::Close);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        match thread {
            None => closed.give(Ok(())),
            Some(thread) => {
                // Waiting for a thread's end takes a thread, so that neither the caller nor the node is blocked.
                let waiter = std::thread::Builder::new().name("node closing".into()).spawn(move || {
                    let ended = thread.join();
                    closed.give(ended.map_err(|_| Failure::new(Failure::SYSTEM, "the node's thread broke")));
                });
                drop(waiter);
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Close);
    }
}
