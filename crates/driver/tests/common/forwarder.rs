//! A path between a caller and a node on loopback, as a NAT is: it can lose fast packets, change its port and repeat what it saw.

#![allow(dead_code)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// Fast packets' first bytes (docs/decisions/0008).
fn is_fast(packet: &[u8]) -> bool {
    packet.first().is_some_and(|first| (0x10..=0x13).contains(first))
}

#[derive(Clone, Default)]
pub struct Rules {
    /// Fast packets longer than this are lost; 0 loses all.
    pub fast_bytes_max: Option<usize>,
    /// Keeps the caller's fast packets.
    pub record: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub fast_bytes: u64,
    pub other_bytes: u64,
}

#[derive(Default)]
struct State {
    rules: Rules,
    recorded: Vec<Vec<u8>>,
    /// Towards the node, and back.
    counts: [Counts; 2],
    caller: Option<SocketAddr>,
}

pub struct Forwarder {
    pub address: SocketAddr,
    target: SocketAddr,
    front: Arc<UdpSocket>,
    back: Arc<Mutex<Arc<UdpSocket>>>,
    state: Arc<Mutex<State>>,
    tasks: JoinSet<()>,
}

impl State {
    fn passes(&mut self, way: usize, packet: &[u8]) -> bool {
        let fast = is_fast(packet);
        if fast && self.rules.fast_bytes_max.is_some_and(|max| packet.len() > max) {
            return false;
        }
        let counts = &mut self.counts[way];
        *if fast { &mut counts.fast_bytes } else { &mut counts.other_bytes } += packet.len() as u64;
        if fast && way == 0 && self.rules.record {
            self.recorded.push(packet.to_vec());
        }
        true
    }
}

async fn bind() -> Arc<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    // Bursts come faster than one task reads them.
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20);
    Arc::new(socket)
}

impl Forwarder {
    pub async fn start(target: SocketAddr) -> Self {
        let (front, back) = (bind().await, bind().await);
        let mut forwarder = Self {
            address: front.local_addr().unwrap(),
            target,
            front,
            back: Arc::new(Mutex::new(back)),
            state: Arc::default(),
            tasks: JoinSet::new(),
        };
        let (front, back, state) = (forwarder.front.clone(), forwarder.back.clone(), forwarder.state.clone());
        forwarder.tasks.spawn(async move {
            let mut buffer = vec![0; 65_536];
            while let Ok((len, caller)) = front.recv_from(&mut buffer).await {
                let passes = {
                    let mut state = state.lock().unwrap();
                    state.caller = Some(caller);
                    state.passes(0, &buffer[..len])
                };
                let back = back.lock().unwrap().clone();
                if passes {
                    let _ = back.send_to(&buffer[..len], target).await;
                }
            }
        });
        forwarder.answers();
        forwarder
    }

    /// Passes back what comes to the socket that is in use.
    fn answers(&mut self) {
        let (front, state, shared) = (self.front.clone(), self.state.clone(), self.back.clone());
        let back = shared.lock().unwrap().clone();
        self.tasks.spawn(async move {
            let mut buffer = vec![0; 65_536];
            while let Ok((len, _)) = back.recv_from(&mut buffer).await {
                // A mapping that is gone passes nothing.
                if !Arc::ptr_eq(&back, &shared.lock().unwrap()) {
                    return;
                }
                let caller = {
                    let mut state = state.lock().unwrap();
                    state.caller.filter(|_| state.passes(1, &buffer[..len]))
                };
                if let Some(caller) = caller {
                    let _ = front.send_to(&buffer[..len], caller).await;
                }
            }
        });
    }

    pub fn set(&self, rules: Rules) {
        self.state.lock().unwrap().rules = rules;
    }

    /// What passed towards the node, and back.
    pub fn counts(&self) -> [Counts; 2] {
        self.state.lock().unwrap().counts
    }

    pub fn take_recorded(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.state.lock().unwrap().recorded)
    }

    /// Where the node sees the caller.
    pub fn back(&self) -> Arc<UdpSocket> {
        self.back.lock().unwrap().clone()
    }

    /// From now on the caller is at another port; returns the socket of the old one.
    pub async fn rebind(&mut self) -> Arc<UdpSocket> {
        let new = bind().await;
        let old = std::mem::replace(&mut *self.back.lock().unwrap(), new);
        self.answers();
        old
    }
}
