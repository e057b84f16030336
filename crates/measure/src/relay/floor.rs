//! The floor of a relay: receive with GRO, one AEAD pass over each packet with the faster library, send with GSO to the
//! neighbour that the packet's first byte names. One key, no look-up, no window, no header, no other link.
//!
//! Packets are regrouped by the neighbour they go to and leave from the buffers they came in, one system call for all.

use std::io::IoSlice;
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, sendmmsg, setsockopt, sockopt};
use quinn_udp::{BATCH_SIZE, RecvMeta};
use wayfare_onion::Suite;
use wayfare_wire::SLOT;
use wayfare_wire::fast::FAST_HEADER;

use super::generator::Neighbours;
use super::plan::{Drawn, NEIGHBOURS_MAX, Way};
use super::wires::{BUFFER_BYTES, Wire};
use super::{Middle, polled};
use crate::floor::{AwsLc, Bare, Ring};
use crate::{Fault, cpu};

const KEY: [u8; 32] = [9; 32];
/// One nonce for all: nothing here is secret, and a pass costs the same with any.
const NONCE: [u8; 12] = [7; 12];
/// Passes by which the faster library is found.
const TRIAL: usize = 500;
const TRIALS: usize = 20;
/// Set in a packet's first byte when it goes back.
const BACKWARD: u8 = 0x80;
/// A datagram of one byte asks the thread for its account, or ends it.
const ACCOUNT: u8 = 0;
const END: u8 = 1;

/// The thread in the middle.
pub struct FloorHop {
    address: SocketAddr,
    accounts: Receiver<Duration>,
    asking: Wire,
    thread: Option<JoinHandle<()>>,
    /// The library that was the faster.
    pub library: &'static str,
}

/// The neighbours' packets: what the floor opens was sealed with its key.
pub struct FloorNeighbours {
    /// A sealed packet: nothing is remembered of a packet, so all may be the same.
    sealed: Vec<u8>,
}

impl FloorNeighbours {
    pub fn new(suite: Suite, packet_bytes: usize) -> Self {
        let mut sealed = vec![0; packet_bytes];
        let (header, body) = sealed.split_at_mut(FAST_HEADER);
        header[1..].copy_from_slice(&Ring::new(suite, KEY).seal(NONCE, body));
        Self { sealed }
    }
}

impl Neighbours for FloorNeighbours {
    fn write(&mut self, _: usize, drawn: Drawn, out: &mut [u8]) -> Result<(), Fault> {
        out.copy_from_slice(&self.sealed);
        out[0] = drawn.to as u8 | if drawn.way == Way::Backward { BACKWARD } else { 0 };
        Ok(())
    }

    fn take(&mut self, _: usize, bytes: &mut [u8], stride: usize) -> usize {
        if stride == self.sealed.len() { bytes.len() / stride } else { 0 }
    }
}

fn pass<B: Bare>(key: &B, packet: &mut [u8]) -> bool {
    let (header, body) = packet.split_at_mut(FAST_HEADER);
    if header[0] & BACKWARD == 0 {
        let mut tag = [0; SLOT];
        tag.copy_from_slice(&header[1..]);
        key.open(NONCE, &tag, body)
    } else {
        let (slot, rest) = body.split_at_mut(SLOT);
        slot.copy_from_slice(&key.seal(NONCE, rest));
        true
    }
}

/// The least that a pass over one packet cost this thread, nanoseconds.
fn trial<B: Bare>(key: &B, packet: &mut [u8]) -> f64 {
    let start = cpu::thread();
    for _ in 0..TRIAL {
        packet[0] = BACKWARD;
        pass(key, packet);
    }
    (cpu::thread() - start).as_nanos() as f64 / TRIAL as f64
}

/// Whether AWS-LC is the faster, by the best of trials in turn: a busy machine slows one or the other.
fn aws_lc_is_faster(suite: Suite, packet_bytes: usize) -> bool {
    let (aws_lc, ring, mut packet) = (AwsLc::new(suite, KEY), Ring::new(suite, KEY), vec![0; packet_bytes]);
    let mut least_ns = [f64::INFINITY; 2];
    for _ in 0..TRIALS {
        least_ns[0] = least_ns[0].min(trial(&aws_lc, &mut packet));
        least_ns[1] = least_ns[1].min(trial(&ring, &mut packet));
    }
    least_ns[0] < least_ns[1]
}

impl FloorHop {
    /// A floor between these neighbours.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn start(suite: Suite, packet_bytes: usize, neighbours: &[SocketAddr]) -> Result<Self, Fault> {
        let text = |e: std::io::Error| format!("no socket for the floor: {e}");
        let (wire, asking) = (Wire::bind().map_err(text)?, Wire::bind().map_err(text)?);
        let address = wire.io.local_addr().map_err(text)?;
        let segment = i32::try_from(packet_bytes).map_err(|e| e.to_string())?;
        if wire.state.max_gso_segments() > 1 {
            setsockopt(&wire.io, sockopt::UdpGsoSegment, &segment).map_err(|e| format!("no segmentation: {e}"))?;
        }
        let (accounts_in, accounts) = mpsc::channel();
        let to: Vec<Option<SockaddrIn>> = neighbours.iter().map(v4).collect();
        let aws_lc = aws_lc_is_faster(suite, packet_bytes);
        let hop = move || {
            let hop = Hop { wire, to, packet_bytes, accounts: accounts_in };
            if aws_lc { hop.run(&AwsLc::new(suite, KEY)) } else { hop.run(&Ring::new(suite, KEY)) }
        };
        let thread = super::pin::on_middle(|| std::thread::spawn(hop));
        let library = if aws_lc { AwsLc::NAME } else { Ring::NAME };
        Ok(Self { address, accounts, asking, thread: Some(thread), library })
    }
}

fn v4(address: &SocketAddr) -> Option<SockaddrIn> {
    match address {
        SocketAddr::V4(v4) => Some(SockaddrIn::from(SocketAddrV4::new(*v4.ip(), v4.port()))),
        SocketAddr::V6(_) => None,
    }
}

impl Middle for FloorHop {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn cpu(&self) -> Result<Duration, Fault> {
        self.asking.send(self.address, &[ACCOUNT], 1);
        self.accounts.recv_timeout(Duration::from_secs(5)).map_err(|_| "the floor does not answer".into())
    }
}

impl Drop for FloorHop {
    fn drop(&mut self) {
        self.asking.send(self.address, &[END], 1);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// What the thread holds.
struct Hop {
    wire: Wire,
    to: Vec<Option<SockaddrIn>>,
    packet_bytes: usize,
    accounts: Sender<Duration>,
}

impl Hop {
    fn run<B: Bare>(self, key: &B) {
        // More at once make larger groups where there are many neighbours, and only drive the cache out where there are few.
        let receives = self.to.len().clamp(4, BATCH_SIZE);
        let mut buffers = vec![vec![0; BUFFER_BYTES]; receives];
        let mut meta = [RecvMeta::default(); BATCH_SIZE];
        // Per neighbour, the buffers and places of what goes to it.
        let mut groups: Vec<Vec<(u32, u32)>> = vec![Vec::new(); NEIGHBOURS_MAX];
        loop {
            let count = self.wire.receive(&mut buffers, &mut meta);
            if count == 0 {
                polled(&self.wire);
                continue;
            }
            for (n, (meta, buffer)) in meta.iter().zip(&mut buffers).take(count).enumerate() {
                let mut at = 0;
                for packet in buffer[..meta.len].chunks_mut(meta.stride.max(1)) {
                    match packet {
                        [END] => return,
                        [ACCOUNT] => drop(self.accounts.send(cpu::thread())),
                        _ if packet.len() == self.packet_bytes => {
                            let to = usize::from(packet[0] & !BACKWARD);
                            if pass(key, packet) {
                                groups[to].push((n as u32, at));
                            }
                        }
                        _ => {}
                    }
                    at += packet.len() as u32;
                }
            }
            self.send(&buffers, &mut groups);
        }
    }

    fn send(&self, buffers: &[Vec<u8>], groups: &mut [Vec<(u32, u32)>]) {
        let bytes = self.packet_bytes;
        let per_send = self.wire.packets_per_send(bytes);
        let (mut slices, mut to) = (Vec::new(), Vec::new());
        for (group, address) in groups.iter().zip(&self.to) {
            for packets in group.chunks(per_send) {
                let mut gathered: Vec<IoSlice<'_>> = Vec::with_capacity(packets.len());
                // What lies behind one another goes as one piece.
                for run in packets.chunk_by(|a, b| a.0 == b.0 && a.1 + bytes as u32 == b.1) {
                    let (buffer, at) = (run[0].0 as usize, run[0].1 as usize);
                    gathered.push(IoSlice::new(&buffers[buffer][at..at + run.len() * bytes]));
                }
                slices.push(gathered);
                to.push(*address);
            }
        }
        let mut headers = MultiHeaders::preallocate(slices.len(), None);
        // Loopback takes everything at once; what it does not is a loss, and counted as one.
        let _ = sendmmsg(self.wire.io.as_raw_fd(), &mut headers, &slices, &to, [], MsgFlags::empty());
        groups.iter_mut().for_each(Vec::clear);
    }
}
