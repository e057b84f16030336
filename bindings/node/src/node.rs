//! `NativeNode`: the methods of `NodeHost` in ts/core/host.ts, one for one, over the driver's handle; those of circuits, credits, flows
//! and proxies are beside it.
//!
//! What differs, for a thin adapter in TypeScript to smooth: options come as JSON text and the identity's seed beside it;
//! events come as one JSON text a batch; an error's message begins with its code and a colon.

use std::sync::Mutex;

use bytes::Bytes;
use napi::bindgen_prelude::Either;
use napi::bindgen_prelude::{Null, Object, Uint8Array};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Result, Status};
use napi_derive::napi;
use wayfare_driver as driver;
use wayfare_driver::{Event, Node, Options};
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

pub(crate) fn peer_id(text: &str) -> Result<NodeId> {
    text.parse().map_err(|e| error("argument_invalid", e))
}

/// Copies: the caller may change or detach its buffer as soon as the call returns.
pub(crate) fn copied(data: &[u8]) -> Bytes {
    Bytes::copy_from_slice(data)
}

pub(crate) fn read(bytes: Option<Bytes>) -> Either<Uint8Array, Null> {
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

    pub(crate) fn with<T>(&self, act: impl FnOnce(&Node) -> T) -> Result<T> {
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
