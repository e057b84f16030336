//! What goes in and out of the engine.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use wayfare_onion::WORN;
use wayfare_relay::LinkId;
use wayfare_relay::egress::Payer;
use wayfare_types::{NodeId, Reason};
use wayfare_wire::datagram::UdpAddress;
use wayfare_wire::{HEADER, fast::FAST_HEADER};

/// A circuit that begins, passes or ends here. Never used twice.
pub type CircuitId = u32;
/// An inner QUIC connection. Never used twice.
pub type ConnectionId = u32;
/// A TCP connection carried end to end. Never used twice.
pub type FlowId = u32;
/// A UDP association carried end to end. Never used twice.
pub type UdpId = u32;

/// What a node does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    pub client: bool,
    pub relay: bool,
    pub exit: bool,
}

/// Bounds of what others can make this node hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Circuits at a time, of all roles.
    pub circuits: usize,
    /// Set-ups a link may send per second; it may save up twice that.
    pub setups_per_s: u32,
    /// Bytes that readers who do not read may hold before the worst is dropped.
    pub reader_bytes: u64,
    /// Largest window of one flow.
    pub window_bytes_max: u32,
    /// Packets either way after which a circuit of this node's own is to be replaced: [`WORN`] unless for a test.
    pub renew_after_packets: u64,
    /// Threads of the host that work packets, each with its own circuits.
    pub shards: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            circuits: 100_000,
            setups_per_s: 200,
            reader_bytes: 64 << 20,
            window_bytes_max: 16 << 20,
            renew_after_packets: WORN,
            shards: 1,
        }
    }
}

/// What an engine is made of.
#[derive(Clone)]
pub struct EngineConfig {
    /// Ed25519 seed.
    pub identity_seed: [u8; 32],
    pub roles: Roles,
    pub limits: Limits,
    /// How its accounts with neighbours are kept; its `capacity` is that of circuits.
    pub credits: wayfare_credit::Config,
}

/// What the host must do, in this order.
#[derive(Debug)]
pub enum Output {
    /// Send on the link, as a datagram. `payer` is for where it has to wait.
    Packet { link: LinkId, data: Bytes, payer: Payer },
    /// Send on the link: packets behind one another, `stride` bytes each. The first [`FREE`] bytes of each are free, the plain
    /// header and the body follow, so that a fast header ([`FAST_HEADER`] bytes) can be written over both in place.
    Packets { link: LinkId, data: BytesMut, stride: usize, payer: Payer },
    /// Send on the link's control stream.
    Control { link: LinkId, data: Vec<u8> },
    /// Append to the file of set-ups seen, before anything that follows goes out.
    RememberSetup([u8; 20]),
    /// The neighbour broke the rules: close the link.
    CloseLink { link: LinkId, reason: Reason },
}

/// Bytes by which a fast header is longer than a plain one.
pub const FREE: usize = FAST_HEADER - HEADER;

/// The packets of [`Output::Packets`] as datagrams for links that are not fast, without a copy.
pub fn plain_packets(data: BytesMut, stride: usize) -> impl Iterator<Item = Bytes> {
    let data = data.freeze();
    (0..data.len() / stride).map(move |i| data.slice(i * stride + FREE..(i + 1) * stride))
}

/// What the host's policy should know.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A set-up waits for a link to this node; answer with `link_up` or `next_hop_unreachable`.
    NextHopWanted(NodeId),
    CircuitUp(CircuitId),
    CircuitDown {
        circuit: CircuitId,
        reason: Reason,
    },
    /// Its key nears its end; build another.
    CircuitWorn(CircuitId),
    ConnectionUp(ConnectionId),
    ConnectionDown {
        connection: ConnectionId,
        reason: Reason,
    },
    /// Flows are open, and nothing has come back for so long.
    ConnectionStalled {
        connection: ConnectionId,
        circuit: CircuitId,
        silent_ms: u64,
    },
    /// The exit connected; `local` is its socket's address towards the origin.
    FlowOpened {
        flow: FlowId,
        local: Option<SocketAddr>,
    },
    /// At an exit: a client wants this.
    FlowRequested {
        flow: FlowId,
        host: String,
        port: u16,
    },
    FlowReadable(FlowId),
    FlowWritable(FlowId),
    /// It ended before its time.
    FlowClosed {
        flow: FlowId,
        reason: Reason,
    },
    /// At an exit: a client's new association.
    UdpOpened(UdpId),
    /// At a client: from there. At an exit: to there.
    UdpReceived {
        udp: UdpId,
        address: UdpAddress,
        data: Vec<u8>,
    },
    UdpClosed(UdpId),
}

/// An attempt to read a flow.
#[derive(Debug, PartialEq, Eq)]
pub enum FlowRead {
    Data(Bytes),
    /// `FlowReadable` will say when.
    Blocked,
    /// The other side has sent all it had to.
    Finished,
    Closed(Reason),
}

/// An attempt to write to a flow.
#[derive(Debug, PartialEq, Eq)]
pub enum FlowWrite {
    /// So many bytes were taken, from the front of the chunks.
    Wrote(usize),
    /// `FlowWritable` will say when.
    Blocked,
    Closed(Reason),
}

/// Totals since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    pub relayed_packets_forward: u64,
    pub relayed_packets_backward: u64,
    pub relayed_bytes_forward: u64,
    pub relayed_bytes_backward: u64,
    pub exit_packets_forward: u64,
    pub exit_packets_backward: u64,
    pub exit_bytes_forward: u64,
    pub exit_bytes_backward: u64,
    pub client_packets_forward: u64,
    pub client_packets_backward: u64,
    pub client_bytes_forward: u64,
    pub client_bytes_backward: u64,
    pub setups_accepted: u64,
    pub circuits_client: u32,
    pub circuits_relay: u32,
    pub circuits_exit: u32,
    /// Bytes promised to readers that have not read them.
    pub reader_bytes: u64,
}

/// One circuit of this node's own.
#[derive(Clone, Copy, Debug, Default)]
pub struct CircuitInfo {
    pub packets_forward: u64,
    pub packets_backward: u64,
    pub bytes_forward: u64,
    pub bytes_backward: u64,
    /// Credits that it was given here, and that came home of it, as of the latest settlement.
    pub credits_paid: u64,
    pub credits_home: u64,
}
