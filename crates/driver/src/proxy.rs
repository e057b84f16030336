//! The proxies that programs on this machine speak to: listen, understand, ask TypeScript, answer, pump.
//!
//! A complete request becomes a `proxy_request` event; TypeScript assigns it a connection, several, or refuses it; on the first of them it
//! may have decided ahead. The first whose exit connects has it: nothing of the client's has gone out before, and then the client is
//! answered in its own protocol.
//!
//! Invariant: a client holds a bounded buffer and a place among [`CLIENTS_MAX`], and loses both when a deadline passes.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use wayfare_proxy::socks5::{self, ReplyCode};
use wayfare_proxy::{Credentials, Failure as Refusal, Http, Kind, Progress, Request, Socks5, Step, http};
use wayfare_quic::Instant;
use wayfare_types::Reason;

use crate::ahead::{Decided, Wanted};
use crate::attempts::{Attempts, Decisions};
use crate::event::Event;
use crate::flows::DONE;
use crate::moved::Moved;
use crate::options::ProxyOptions;
use crate::pump::{End, Pump, write_all};
use crate::world::Shared;
use crate::{Failure, associate};

/// Clients of one proxy at a time; more wait in the kernel's queue.
const CLIENTS_MAX: usize = 4096;
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
pub(crate) const ASSIGN_WITHIN: Duration = Duration::from_secs(30);
/// For a refused client to read its answer.
const LINGER: Duration = Duration::from_secs(2);
/// What a client may send ahead of its answer.
const EARLY_MAX: usize = 64 << 10;
const BACKLOG: u32 = 1024;

/// What TypeScript says to a request.
#[derive(Debug)]
pub(crate) enum Decision {
    /// An attempt over this connection, beside those under way.
    Assign(u32),
    /// An association may be had.
    Accept,
    /// A drop reason or error code.
    Refuse(String),
}

/// Which protocol a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    Socks5,
    Http,
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::Socks5 => "socks5",
            Self::Http => "http",
        }
    }

    fn refusal(self, refusal: Refusal) -> Vec<u8> {
        match self {
            Self::Socks5 => refusal.socks5(),
            Self::Http => refusal.http(),
        }
    }
}

enum Conversation {
    Socks5(Box<Socks5>),
    Http(Box<Http>),
}

impl Conversation {
    fn new(protocol: Protocol, credentials: Option<Credentials>) -> Self {
        match protocol {
            Protocol::Socks5 => Self::Socks5(Box::new(Socks5::new(credentials))),
            Protocol::Http => Self::Http(Box::new(Http::new(credentials))),
        }
    }

    fn feed(&mut self, input: &[u8]) -> Step {
        match self {
            Self::Socks5(c) => c.feed(input),
            Self::Http(c) => c.feed(input),
        }
    }
}

/// Begins to listen.
pub(crate) fn listen(
    node: &Rc<Shared>,
    protocol: Protocol,
    options: ProxyOptions,
) -> Result<(u32, SocketAddr), Failure> {
    let bound = || -> io::Result<TcpListener> {
        let address = options.listen;
        let socket = if address.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    let listener = bound().map_err(|e| Failure::bind(&options.listen.to_string(), &e))?;
    let address = listener.local_addr().map_err(|e| Failure::bind(&options.listen.to_string(), &e))?;
    let task = tokio::task::spawn_local(accept(node.clone(), protocol, listener, options.credentials));
    let world = &mut *node.world.borrow_mut();
    let id = world.next_id();
    world.proxies.insert(id, task.abort_handle());
    Ok((id, address))
}

async fn accept(node: Rc<Shared>, protocol: Protocol, listener: TcpListener, credentials: Option<Credentials>) {
    let places = std::sync::Arc::new(Semaphore::new(CLIENTS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((tcp, source)) => {
                let (node, credentials) = (node.clone(), credentials.clone());
                tokio::task::spawn_local(async move {
                    client(&node, protocol, tcp, source, credentials).await;
                    drop(place);
                });
            }
            // Out of sockets, or the client was quicker to leave than we to accept: neither mends at once.
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn client(node: &Rc<Shared>, protocol: Protocol, tcp: TcpStream, source: SocketAddr, keys: Option<Credentials>) {
    let _ = tcp.set_nodelay(true);
    let mut input = BytesMut::new();
    match timeout(HANDSHAKE_WITHIN, converse(&tcp, Conversation::new(protocol, keys), &mut input)).await {
        Ok(Ok(request)) => serve(node, protocol, &tcp, source, request, input).await,
        Ok(Err(Some(reason))) => {
            node.world.borrow_mut().count(reason);
            part(&tcp).await;
        }
        Ok(Err(None)) => {}
        Err(_) => node.world.borrow_mut().count(Reason::Timeout),
    }
}

/// Speaks the protocol until there is a request. What came behind it is left in `input`.
async fn converse(
    tcp: &TcpStream,
    mut conversation: Conversation,
    input: &mut BytesMut,
) -> Result<Request, Option<Reason>> {
    loop {
        if read_more(tcp, input).await.map_err(|_| None)? == 0 {
            return Err(None);
        }
        let step = conversation.feed(input);
        let _ = input.split_to(step.consumed);
        if !step.send.is_empty() {
            send(tcp, step.send).await.map_err(|_| None)?;
        }
        match step.progress {
            Progress::NeedMore => {}
            Progress::Request(request) => return Ok(request),
            Progress::Refused(reason) => return Err(Some(reason)),
        }
    }
}

async fn serve(
    node: &Rc<Shared>,
    protocol: Protocol,
    tcp: &TcpStream,
    source: SocketAddr,
    request: Request,
    mut input: BytesMut,
) {
    let (decided, mut decisions) = mpsc::unbounded_channel();
    let wanted = (request.kind != Kind::UdpAssociate).then(|| Wanted::new(protocol, &request));
    let (id, ahead) = {
        let world = &mut *node.world.borrow_mut();
        let id = world.next_id();
        let ahead = wanted.as_ref().and_then(|wanted| world.ahead.lock().take(wanted, source));
        world.decisions.insert(id, decided);
        world.events.push(Event::ProxyRequest {
            request: id,
            kind: if request.kind == Kind::UdpAssociate { "udp" } else { "tcp" },
            protocol: protocol.name(),
            host: request.host.clone(),
            port: request.port,
            user: request.isolation.clone(),
            source: source.to_string(),
            ahead: ahead.map(|Decided { id, .. }| id),
        });
        (id, ahead)
    };
    node.kick();
    let moved = Rc::new(Moved::default());
    let ended = if request.kind == Kind::UdpAssociate {
        let decision = while_here(tcp, &mut input, timeout(ASSIGN_WITHIN, decisions.recv())).await;
        node.world.borrow_mut().decisions.remove(&id);
        match decision {
            None => "client_left",
            Some(Ok(Some((_, Decision::Refuse(code))))) => refused(tcp, protocol, &code).await,
            Some(Ok(Some(_))) => associate::serve(node, tcp, request.isolation, &moved).await,
            Some(Ok(None) | Err(_)) => unanswered(node, tcp, protocol).await,
        }
    } else {
        node.world.borrow_mut().moved.insert(id, moved.clone());
        carry(node, protocol, tcp, (id, ahead), &mut decisions, request, input, &moved).await
    };
    let (received, sent) = moved.total();
    let world = &mut *node.world.borrow_mut();
    if let Some(wanted) = wanted {
        world.ahead.lock().ended(&wanted, source);
    }
    world.decisions.remove(&id);
    let told = world.moved.remove(&id).and_then(|moved| moved.take(Instant::now()));
    world.events.push(Event::ProxyClosed { request: id, received, sent, reason: ended, moved: told });
    node.kick_soon();
}

/// TypeScript has said nothing in time.
async fn unanswered(node: &Rc<Shared>, tcp: &TcpStream, protocol: Protocol) -> &'static str {
    node.world.borrow_mut().count(Reason::Timeout);
    refuse(tcp, protocol, Refusal::Network).await;
    Reason::Timeout.name()
}

async fn refused(tcp: &TcpStream, protocol: Protocol, code: &str) -> &'static str {
    refuse(tcp, protocol, refusal(code)).await;
    Reason::ALL.iter().find(|r| r.name() == code).map_or("refused", |r| r.name())
}

/// Finds a connection whose exit connects, answers the client and pumps until the end; says how it ended.
#[allow(clippy::too_many_arguments, reason = "it is the second half of `serve`")]
async fn carry(
    node: &Rc<Shared>,
    protocol: Protocol,
    tcp: &TcpStream,
    (id, ahead): (u32, Option<Decided>),
    decisions: &mut Decisions,
    request: Request,
    mut input: BytesMut,
    moved: &Moved,
) -> &'static str {
    let mut attempts = Attempts::new(node, id);
    if let Some(Decided { connection, .. }) = ahead {
        attempts.begin(connection, &request);
    }
    let won = while_here(tcp, &mut input, attempts.race(decisions, &request)).await;
    node.world.borrow_mut().decisions.remove(&id);
    let (flow, local) = match won {
        None => return "client_left",
        Some(Err(None)) => return unanswered(node, tcp, protocol).await,
        Some(Err(Some(code))) => return refused(tcp, protocol, &code).await,
        Some(Ok(opened)) => opened,
    };
    // The others are over before a byte of the client's is on its way.
    drop(attempts);
    let (answer, head) = match (request.kind, protocol) {
        (Kind::Forward, _) => (Vec::new(), request.head),
        (_, Protocol::Http) => (http::ESTABLISHED.to_vec(), Vec::new()),
        (_, Protocol::Socks5) => {
            (socks5::reply(ReplyCode::Succeeded, local.unwrap_or(socks5::UNSPECIFIED)), Vec::new())
        }
    };
    let begun = async {
        send(tcp, answer).await.map_err(|_| Reason::FlowReset)?;
        if head.is_empty() {
            return Ok(());
        }
        moved.sent(head.len() as u64);
        node.flow_put(flow, head.into()).await
    };
    let pump = Pump { node, flow, end: End::Client, tcp, moved };
    let ended = match begun.await {
        Ok(()) => pump.run(input.freeze(), request.body).await,
        Err(reason) => Err(reason),
    };
    node.world.borrow_mut().flow_end(Instant::now(), flow);
    if ended.is_err() {
        node.kick();
    }
    ended.map_or_else(|reason| reason.name(), |()| DONE)
}

/// Waits for `wanted` while the client stays; `None` once it has left. What it sends meanwhile is kept, up to a bound.
async fn while_here<T>(tcp: &TcpStream, input: &mut BytesMut, wanted: impl Future<Output = T>) -> Option<T> {
    let leaving = async {
        while input.len() < EARLY_MAX {
            match read_more(tcp, input).await {
                // A client that has only finished sending still waits for its answer, and one that has gone shows when
                // it is written to. Most that end here have gone.
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        std::future::pending().await
    };
    tokio::select! {
        biased;
        got = wanted => Some(got),
        () = leaving => None,
    }
}

async fn read_more(tcp: &TcpStream, input: &mut BytesMut) -> io::Result<usize> {
    loop {
        tcp.readable().await?;
        input.reserve(2048);
        match tcp.try_read_buf(input) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}

pub(crate) async fn send(tcp: &TcpStream, bytes: Vec<u8>) -> io::Result<()> {
    write_all(tcp, &mut vec![Bytes::from(bytes)]).await
}

async fn refuse(tcp: &TcpStream, protocol: Protocol, refusal: Refusal) {
    if send(tcp, protocol.refusal(refusal)).await.is_ok() {
        part(tcp).await;
    }
}

/// Lets the client read what it was told: closing with unread input would throw it away.
async fn part(tcp: &TcpStream) {
    let _ = SockRef::from(tcp).shutdown(std::net::Shutdown::Write);
    let drained = async {
        let mut rest = BytesMut::new();
        while read_more(tcp, &mut rest).await.is_ok_and(|n| n > 0) {
            rest.clear();
        }
    };
    let _ = timeout(LINGER, drained).await;
}

/// What a client is told for a drop reason or an error code.
fn refusal(code: &str) -> Refusal {
    let is = |reason: Reason| reason.name() == code;
    if is(Reason::ExitAddressDenied) || is(Reason::ExitPortDenied) {
        Refusal::Denied
    } else if is(Reason::ExitNameUnresolved) || is(Reason::ExitUnreachable) || is(Reason::RequestMalformed) {
        Refusal::Unreachable
    } else if is(Reason::ExitConnectFailed) {
        Refusal::Refused
    } else if is(Reason::Timeout) {
        Refusal::TimedOut
    } else {
        Refusal::Network
    }
}
