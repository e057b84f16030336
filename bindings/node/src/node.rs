//! `NativeNode`: the methods of `NodeHost` in ts/core/host.ts, one for one, over the driver's handle.
//!
//! What differs, for a thin adapter in TypeScript to smooth: options come as JSON text and the identity's seed beside it;
//! events come as one JSON text a batch; an error's message begins with its code and a colon.

use std::sync::Mutex;

use bytes::Bytes;
use napi::bindgen_prelude::Either;
use napi::bindgen_prelude::{Float64Array, Null, Object, Uint8Array};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Result, Status};
use napi_derive::napi;
use wayfare_driver as driver;
use wayfare_driver::{Event, Node, Options, Protocol, SizeClass, Suite, ask_blocking};
use wayfare_types::NodeId;
use zeroize::Zeroizing;

use crate::certificate::WebCertificate;
use crate::kernels::{error, seed};
use crate::settle::{Parsed, promise, thrown};

type OnEvents = ThreadsafeFunction<String, (), String, Status, false>;

enum State {
    Made(Box<(Options, OnEvents)>),
    Running(Node),
    Closed,
}

/// A key that set-ups may be sealed to.
#[napi(object)]
pub struct OnionKeySeed {
    pub seed: Uint8Array,
}

#[napi(object)]
pub struct HopSpec {
    /// Node id, 64 hex digits.
    pub id: String,
    /// X-Wing public key, 1216 bytes.
    pub onion_key: Uint8Array,
}

#[napi(object)]
pub struct CircuitSpec {
    pub hops: Vec<HopSpec>,
    #[napi(ts_type = "'M' | 'L' | 'J' | 'X'")]
    pub size_class: Option<String>,
    #[napi(ts_type = "'aes128gcm' | 'aes256gcm' | 'chacha20poly1305'")]
    pub suite: Option<String>,
    /// A class of credits per second, 0 to 8.
    pub flow: Option<u32>,
}

/// See `LinkAttachment` in ts/core/host.ts.
#[napi(object)]
pub struct LinkAttachment {
    pub peer: Option<String>,
    pub bindings: Vec<Uint8Array>,
    pub address: String,
    #[napi(ts_type = "import('../../ts/core/host.js').LinkTransport")]
    pub transport: String,
    pub mtu: u32,
}

/// See `ExitRules` in ts/core/host.ts.
#[napi(object)]
pub struct ExitRules {
    pub allow_loopback: Option<bool>,
    pub deny_ports: Option<Vec<u16>>,
    pub deny: Option<Vec<String>>,
    pub allow: Option<Vec<String>>,
    pub drop: Option<Vec<String>>,
}

#[napi(object)]
pub struct OpenedFlow {
    pub flow: u32,
    pub local: String,
}

#[napi(object)]
pub struct ProxyCredentials {
    pub user: String,
    pub password: String,
}

#[napi(object)]
pub struct ProxyOptions {
    pub listen: String,
    pub credentials: Option<ProxyCredentials>,
}

/// See `ProxyAhead` in ts/core/host.ts.
#[napi(object)]
pub struct ProxyAhead {
    pub id: u32,
    #[napi(ts_type = "'socks5' | 'http'")]
    pub protocol: String,
    pub user: Option<String>,
    pub host: String,
    pub port: u16,
    pub connection: u32,
}

#[napi(object)]
pub struct OpenedProxy {
    pub proxy: u32,
    pub address: String,
}

fn peer_id(text: &str) -> Result<NodeId> {
    text.parse().map_err(|e| error("argument_invalid", e))
}

/// Copies: the caller may change or detach its buffer as soon as the call returns.
fn copied(data: &[u8]) -> Bytes {
    Bytes::copy_from_slice(data)
}

fn read(bytes: Option<Bytes>) -> Either<Uint8Array, Null> {
    bytes.map_or(Either::B(Null), |b| Either::A(Vec::from(b).into()))
}

/// A node; see `NodeHost`.
#[napi]
pub struct NativeNode {
    id: NodeId,
    state: Mutex<State>,
}

#[napi]
impl NativeNode {
    /// `optionsJson` is `HostOptions` without its seed; events come as JSON arrays.
    #[napi(constructor)]
    pub fn new(
        options_json: String,
        identity_seed: &[u8],
        #[napi(ts_arg_type = "(json: string) => void")] on_events: OnEvents,
    ) -> Result<Self> {
        let options = Options::from_json(&options_json, identity_seed).map_err(thrown)?;
        let id = wayfare_quic::tls::Identity::from_seed(&options.identity_seed)
            .map_err(|e| error("argument_invalid", e))?
            .id();
        Ok(Self { id, state: Mutex::new(State::Made(Box::new((options, on_events)))) })
    }

    /// 64 hex digits.
    #[napi(getter)]
    pub fn id(&self) -> String {
        self.id.to_string()
    }

    fn with<T>(&self, act: impl FnOnce(&Node) -> T) -> Result<T> {
        let state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match &*state {
            State::Running(node) => Ok(act(node)),
            State::Made(_) => Err(error("not_started", "the node has not been started; await start() first")),
            State::Closed => Err(error("closed", "the node is closed; make another with createNode()")),
        }
    }

    #[napi(ts_return_type = "Promise<string[]>")]
    pub fn start<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let (answer, started) = promise(env, |addresses: Vec<String>| addresses)?;
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Closed) {
            State::Made(made) => {
                let (options, on_events) = *made;
                let hand_over = move |events: Vec<Event>| {
                    if let Ok(json) = serde_json::to_string(&events) {
                        on_events.call(json, ThreadsafeFunctionCallMode::NonBlocking);
                    }
                };
                *state = State::Running(Node::start(options, hand_over, answer).map_err(thrown)?);
                Ok(started)
            }
            other => {
                *state = other;
                Err(error("argument_invalid", "a node is started once"))
            }
        }
    }

    #[napi(ts_return_type = "Promise<number>")]
    pub fn link_open<'env>(&self, env: &'env Env, peer: String, addresses: Vec<String>) -> Result<Object<'env>> {
        let peer = peer_id(&peer)?;
        let addresses = addresses
            .iter()
            .map(|a| {
                a.parse()
                    .map_err(|_| error("argument_invalid", format!("{a:?} is no address of a peer; write ip:port")))
            })
            .collect::<Result<Vec<_>>>()?;
        let (answer, link) = promise(env, |link: u32| link)?;
        self.with(|node| node.link_open(peer, addresses, answer))?;
        Ok(link)
    }

    #[napi]
    pub fn link_close(&self, link: u32, reason: String) -> Result<()> {
        self.with(|node| node.link_close(link, &reason))
    }

    /// Begins a link over a session whose bytes TypeScript moves.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn link_attach<'env>(&self, env: &'env Env, attachment: LinkAttachment) -> Result<Object<'env>> {
        let bindings = attachment
            .bindings
            .iter()
            .map(|b| {
                <[u8; 32]>::try_from(&b[..]).map_err(|_| error("argument_invalid", "a certificate's hash is 32 bytes"))
            })
            .collect::<Result<Vec<_>>>()?;
        let transport = ["http2", "websocket", "webtransport", "memory"]
            .into_iter()
            .find(|name| *name == attachment.transport)
            .ok_or_else(|| error("argument_invalid", format!("there is no transport {:?}", attachment.transport)))?;
        let attachment = driver::Attachment {
            peer: attachment.peer.as_deref().map(peer_id).transpose()?,
            bindings,
            address: attachment.address,
            transport,
            mtu: attachment.mtu as usize,
        };
        let (answer, link) = promise(env, |link: u32| link)?;
        self.with(|node| node.link_attach(attachment, answer))?;
        Ok(link)
    }

    #[napi(ts_return_type = "Promise<void>")]
    pub fn link_take<'env>(&self, env: &'env Env, link: u32, control: &[u8], packets: &[u8]) -> Result<Object<'env>> {
        let (answer, taken) = promise(env, |()| ())?;
        self.with(|node| node.link_take(link, copied(control), copied(packets), answer))?;
        Ok(taken)
    }

    #[napi(ts_return_type = "Promise<Uint8Array | null>")]
    pub fn link_give<'env>(&self, env: &'env Env, link: u32) -> Result<Object<'env>> {
        let (answer, batch) = promise(env, read)?;
        self.with(|node| node.link_give(link, answer))?;
        Ok(batch)
    }

    #[napi]
    pub fn next_hop_unreachable(&self, peer: String) -> Result<()> {
        let peer = peer_id(&peer)?;
        self.with(|node| node.next_hop_unreachable(peer))
    }

    #[napi(ts_return_type = "Promise<number>")]
    pub fn stream_open<'env>(&self, env: &'env Env, link: u32) -> Result<Object<'env>> {
        let (answer, stream) = promise(env, |stream: u32| stream)?;
        self.with(|node| node.stream_open(link, answer))?;
        Ok(stream)
    }

    #[napi(ts_return_type = "Promise<Uint8Array | null>")]
    pub fn stream_read<'env>(&self, env: &'env Env, stream: u32) -> Result<Object<'env>> {
        let (answer, bytes) = promise(env, read)?;
        self.with(|node| node.stream_read(stream, answer))?;
        Ok(bytes)
    }

    #[napi(ts_return_type = "Promise<void>")]
    pub fn stream_write<'env>(&self, env: &'env Env, stream: u32, data: &[u8]) -> Result<Object<'env>> {
        let (answer, written) = promise(env, |()| ())?;
        self.with(|node| node.stream_write(stream, copied(data), answer))?;
        Ok(written)
    }

    #[napi]
    pub fn stream_finish(&self, stream: u32) -> Result<()> {
        self.with(|node| node.stream_finish(stream))
    }

    #[napi]
    pub fn stream_reset(&self, stream: u32, code: u32) -> Result<()> {
        self.with(|node| node.stream_reset(stream, code))
    }

    #[napi]
    pub fn datagram_send(&self, link: u32, data: &[u8]) -> Result<()> {
        self.with(|node| node.datagram_send(link, copied(data)))
    }

    #[napi]
    pub fn set_onion_keys(&self, keys: Vec<OnionKeySeed>) -> Result<()> {
        let seeds =
            keys.iter().map(|k| seed(&k.seed, "an onion key's seed").map(|s| *s)).collect::<Result<Vec<_>>>()?;
        self.with(|node| node.set_onion_keys(Zeroizing::new(seeds)))
    }

    /// What browsers are shown, the current one first.
    #[napi]
    pub fn set_certificates(&self, certificates: Vec<WebCertificate>) -> Result<()> {
        let pairs: Vec<(&[u8], &[u8])> = certificates.iter().map(|c| (&c.certificate[..], &c.key[..])).collect();
        self.with(|node| node.set_certificates(&pairs))?.map_err(thrown)
    }

    #[napi]
    pub fn set_exit_rules(&self, rules: ExitRules) -> Result<()> {
        let defaults = driver::ExitRules::default();
        let rules = driver::ExitRules {
            allow_loopback: rules.allow_loopback.unwrap_or(defaults.allow_loopback),
            deny_ports: rules.deny_ports.unwrap_or(defaults.deny_ports),
            deny: rules.deny.unwrap_or(defaults.deny),
            allow: rules.allow.unwrap_or(defaults.allow),
            drop: rules.drop.unwrap_or(defaults.drop),
        };
        self.with(|node| node.set_exit_rules(&rules))?.map_err(thrown)
    }

    #[napi]
    pub fn set_forwarding(&self, on: bool) -> Result<()> {
        self.with(|node| node.set_forwarding(on))
    }

    #[napi]
    pub fn drain(&self) -> Result<()> {
        self.with(Node::drain)
    }

    #[napi(ts_return_type = "Promise<number>")]
    pub fn circuit_open<'env>(&self, env: &'env Env, spec: CircuitSpec) -> Result<Object<'env>> {
        let hops = spec
            .hops
            .iter()
            .map(|hop| {
                let key = driver::OnionPublic::from_bytes(&hop.onion_key)
                    .map_err(|_| error("argument_invalid", "an onion key is an X-Wing public key of 1216 bytes"))?;
                Ok(driver::HopSpec { node: peer_id(&hop.id)?, onion_key: key })
            })
            .collect::<Result<Vec<_>>>()?;
        let class = match spec.size_class.as_deref() {
            Some("M") => SizeClass::M,
            None | Some("L") => SizeClass::L,
            Some("J") => SizeClass::J,
            Some("X") => SizeClass::X,
            Some(other) => {
                return Err(error("argument_invalid", format!("there is no size class {other:?}; M, L, J and X are")));
            }
        };
        let suite = match &spec.suite {
            None => None,
            Some(name) => Some(
                Suite::from_name(name)
                    .ok_or_else(|| error("argument_invalid", format!("there is no cipher suite {name:?}")))?,
            ),
        };
        let (answer, circuit) = promise(env, |circuit: u32| circuit)?;
        self.with(|node| {
            node.circuit_open(
                driver::CircuitSpec { hops, class, suite, flow: spec.flow.unwrap_or(0).try_into().unwrap_or(u8::MAX) },
                answer,
            )
        })?;
        Ok(circuit)
    }

    #[napi]
    pub fn circuit_close(&self, circuit: u32) -> Result<()> {
        self.with(|node| node.circuit_close(circuit))
    }

    /// Waits for the node's thread, a turn of it at most; so do the others about credits.
    #[napi]
    pub fn circuit_flow(&self, circuit: u32, credit_class: u32) -> Result<()> {
        let class = credit_class.try_into().unwrap_or(u8::MAX);
        self.with(|node| ask_blocking(|answer| node.circuit_flow(circuit, class, answer)))?.map_err(thrown)
    }

    /// JSON of `NodeCredits`.
    #[napi]
    pub fn credits(&self) -> Result<String> {
        self.with(|node| ask_blocking(|answer| node.credits(answer)))?.map_err(thrown)
    }

    /// JSON of `CircuitCredits[]`.
    #[napi]
    pub fn credits_circuits(&self) -> Result<String> {
        self.with(|node| ask_blocking(|answer| node.credits_circuits(answer)))?.map_err(thrown)
    }

    /// JSON of `KeptAccount[]`.
    #[napi]
    pub fn credits_export(&self) -> Result<String> {
        let kept = self.with(|node| ask_blocking(|answer| node.credits_export(answer)))?.map_err(thrown)?;
        Ok(driver::Account::to_json(&kept))
    }

    /// Accounts as they were so long ago: of each its peer, and five numbers: `account`, `mirror`, `contributed`, `value`, `expected`. How
    /// many were taken. A time below zero is none.
    #[napi]
    pub fn credits_restore(&self, ago_us: f64, peers: Vec<String>, numbers: Float64Array) -> Result<u32> {
        let account = |(peer, of): (&String, &[f64; 5])| driver::Account::from_numbers(peer.parse().ok()?, *of);
        let accounts = peers.iter().zip(numbers.as_chunks::<5>().0).filter_map(account).collect();
        let taken = self.with(|node| ask_blocking(|answer| node.credits_restore(ago_us as u64, accounts, answer)))?;
        let taken = taken.map_err(thrown)?;
        Ok(taken as u32)
    }

    #[napi]
    pub fn credits_report(&self) -> Result<()> {
        self.with(|node| node.credits_report())
    }

    /// JSON of `CreditChangeable`.
    #[napi]
    pub fn credits_configure(&self, options: String) -> Result<()> {
        let credits = driver::Credits::from_json(&options).map_err(thrown)?;
        self.with(|node| ask_blocking(|answer| node.credits_configure(credits, answer)))?.map_err(thrown)
    }

    /// What is added to circuits that end here: rules, a line each.
    #[napi]
    pub fn credits_add(&self, rules: String) -> Result<()> {
        self.with(|node| node.credits_add(&rules))?.map_err(thrown)
    }

    /// Waits for the node's thread, a turn of it at most.
    #[napi(ts_return_type = "import('../../ts/core/host.js').CircuitStats | null")]
    pub fn circuit_stats(&self, circuit: u32) -> Result<Parsed> {
        let stats = self.with(|node| ask_blocking(|answer| node.circuit_stats(circuit, answer)))?.map_err(thrown)?;
        Ok(Parsed::of(&stats))
    }

    #[napi(ts_return_type = "Promise<number>")]
    pub fn connection_open<'env>(&self, env: &'env Env, circuit: u32) -> Result<Object<'env>> {
        let (answer, connection) = promise(env, |connection: u32| connection)?;
        self.with(|node| node.connection_open(circuit, answer))?;
        Ok(connection)
    }

    #[napi]
    pub fn connection_move(&self, connection: u32, circuit: u32) -> Result<()> {
        self.with(|node| node.connection_move(connection, circuit))
    }

    #[napi]
    pub fn connection_close(&self, connection: u32) -> Result<()> {
        self.with(|node| node.connection_close(connection))
    }

    #[napi(ts_return_type = "Promise<OpenedFlow>")]
    pub fn flow_open<'env>(&self, env: &'env Env, connection: u32, host: String, port: u16) -> Result<Object<'env>> {
        let (answer, flow) = promise(env, |(flow, local)| OpenedFlow { flow, local })?;
        self.with(|node| node.flow_open(connection, host, port, answer))?;
        Ok(flow)
    }

    #[napi(ts_return_type = "Promise<Uint8Array | null>")]
    pub fn flow_read<'env>(&self, env: &'env Env, flow: u32) -> Result<Object<'env>> {
        let (answer, bytes) = promise(env, read)?;
        self.with(|node| node.flow_read(flow, answer))?;
        Ok(bytes)
    }

    #[napi(ts_return_type = "Promise<void>")]
    pub fn flow_write<'env>(&self, env: &'env Env, flow: u32, data: &[u8]) -> Result<Object<'env>> {
        let (answer, written) = promise(env, |()| ())?;
        self.with(|node| node.flow_write(flow, copied(data), answer))?;
        Ok(written)
    }

    #[napi]
    pub fn inbound_accept(&self, flow: u32, port: u16) -> Result<()> {
        self.with(|node| node.inbound_accept(flow, port))
    }

    #[napi]
    pub fn inbound_refuse(&self, flow: u32, overloaded: bool) -> Result<()> {
        self.with(|node| node.inbound_refuse(flow, overloaded))
    }

    #[napi]
    pub fn flow_finish(&self, flow: u32) -> Result<()> {
        self.with(|node| node.flow_finish(flow))
    }

    #[napi]
    pub fn flow_reset(&self, flow: u32) -> Result<()> {
        self.with(|node| node.flow_reset(flow))
    }

    #[napi(ts_return_type = "Promise<OpenedProxy>")]
    pub fn socks_listen<'env>(&self, env: &'env Env, options: ProxyOptions) -> Result<Object<'env>> {
        self.listen(env, Protocol::Socks5, &options)
    }

    #[napi(ts_return_type = "Promise<OpenedProxy>")]
    pub fn http_listen<'env>(&self, env: &'env Env, options: ProxyOptions) -> Result<Object<'env>> {
        self.listen(env, Protocol::Http, &options)
    }

    fn listen<'env>(&self, env: &'env Env, protocol: Protocol, options: &ProxyOptions) -> Result<Object<'env>> {
        let credentials = options.credentials.as_ref().map(|c| (c.user.as_str(), c.password.as_str()));
        let options = driver::ProxyOptions::new(&options.listen, credentials).map_err(thrown)?;
        let (answer, proxy) = promise(env, |(proxy, address): (u32, std::net::SocketAddr)| OpenedProxy {
            proxy,
            address: address.to_string(),
        })?;
        self.with(|node| node.proxy_listen(protocol, options, answer))?;
        Ok(proxy)
    }

    #[napi]
    pub fn proxy_close(&self, proxy: u32) -> Result<()> {
        self.with(|node| node.proxy_close(proxy))
    }

    #[napi]
    pub fn proxy_assign(&self, request: u32, connection: u32) -> Result<()> {
        self.with(|node| node.proxy_assign(request, connection))
    }

    #[napi]
    pub fn proxy_accept(&self, request: u32) -> Result<()> {
        self.with(|node| node.proxy_accept(request))
    }

    /// See `ProxyAhead` in ts/core/host.ts.
    #[napi]
    pub fn proxy_ahead(&self, ahead: ProxyAhead) -> Result<()> {
        let protocol = if ahead.protocol == "http" { Protocol::Http } else { Protocol::Socks5 };
        let wanted = driver::Wanted { protocol, user: ahead.user, host: ahead.host, port: ahead.port };
        self.with(|node| node.proxy_ahead(ahead.id, wanted, ahead.connection))
    }

    /// Whether it stood.
    #[napi(ts_return_type = "Promise<boolean>")]
    pub fn proxy_ahead_revoke<'env>(&self, env: &'env Env, id: u32) -> Result<Object<'env>> {
        let (answer, stood) = promise(env, |stood: bool| stood)?;
        self.with(|node| node.proxy_ahead_revoke(id, answer))?;
        Ok(stood)
    }

    /// Rows of `PROXY_MOVED` numbers.
    #[napi(ts_return_type = "Promise<Float64Array>")]
    pub fn proxy_moved<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let (answer, moved) = promise(env, |rows: Vec<(u32, driver::MovedSince)>| {
            let numbers = |(request, of): (u32, driver::MovedSince)| {
                let moved = [of.first_us, of.last_us, of.sent, of.received, of.pieces_sent, of.pieces_received];
                std::iter::once(f64::from(request)).chain(moved.map(|number| number as f64))
            };
            Float64Array::new(rows.into_iter().flat_map(numbers).collect())
        })?;
        self.with(|node| node.proxy_moved(answer))?;
        Ok(moved)
    }

    #[napi]
    pub fn proxy_refuse(&self, request: u32, code: String) -> Result<()> {
        self.with(|node| node.proxy_refuse(request, code))
    }

    /// `HostStats`.
    #[napi(ts_return_type = "Promise<import('../../ts/core/host.js').HostStats>")]
    pub fn stats<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let (answer, stats) = promise(env, |stats: driver::Stats| Parsed::of(&stats))?;
        self.with(|node| node.stats(answer))?;
        Ok(stats)
    }

    /// Resolves when the thread has ended; again, at once.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let (answer, closed) = promise(env, |()| ())?;
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Closed) {
            State::Running(node) => node.close(answer),
            State::Made(_) | State::Closed => answer.give(Ok(())),
        }
        Ok(closed)
    }
}
