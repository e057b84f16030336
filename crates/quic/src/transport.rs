//! The transport parameters of links and of inner connections, and why they differ.

use std::sync::Arc;
use std::time::Duration;

use quinn_proto::{AckFrequencyConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};

use crate::{InnerCubic, PassThrough};

/// The largest UDP payload that links try: Ethernet's 1,500 bytes less the headers of IPv6 and UDP.
pub const LINK_MTU_MAX: usize = 1452;

/// The largest inner datagram that may go in several packets of such a path; what is larger goes in a larger one.
pub const SPAN_MTU_MAX: usize = 5 * LINK_MTU_MAX;

/// What every circuit carries, and QUIC needs (RFC 9000, section 14).
const INNER_MTU_MIN: u16 = 1200;
/// How long after a jumbo connection has become smaller it looks whether its path takes more again.
const MTU_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// How long after probes that were lost a connection tries datagrams of several packets again.
const SPAN_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Acknowledgements are packets too, on every hop: ask for few (draft-ietf-quic-ack-frequency).
fn thin_acknowledgements(threshold: u32, max_delay_ms: u64) -> AckFrequencyConfig {
    let mut ack = AckFrequencyConfig::default();
    ack.ack_eliciting_threshold(VarInt::from_u32(threshold)).max_ack_delay(Some(Duration::from_millis(max_delay_ms)));
    ack
}

fn idle(ms: u32) -> Option<IdleTimeout> {
    Some(IdleTimeout::from(VarInt::from_u32(ms)))
}

/// A link between two nodes: packets as datagrams, a control stream, session streams.
///
/// `idle_ms` without a sign of life loses the link; keep-alives go every third of that.
pub fn link_transport(idle_ms: u32) -> TransportConfig {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(LINK_MTU_MAX as u16);
    let mut t = TransportConfig::default();
    t.max_idle_timeout(idle(idle_ms))
        .keep_alive_interval(Some(Duration::from_millis(u64::from(idle_ms) / 3)))
        .congestion_controller_factory(Arc::new(PassThrough { window_bytes: 64 << 20 }))
        .datagram_receive_buffer_size(Some(4 << 20))
        .datagram_send_buffer_size(2 << 20)
        .max_concurrent_bidi_streams(VarInt::from_u32(64))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(256 << 10))
        .receive_window(VarInt::from_u32(1 << 20))
        .send_window(2 << 20)
        .initial_mtu(1200)
        .mtu_discovery_config(Some(discovery))
        .packet_threshold(16)
        .ack_frequency_config(Some(thin_acknowledgements(32, 20)))
        .send_fairness(false);
    t
}

/// What an inner connection may hold.
#[derive(Clone, Copy, Debug)]
pub struct InnerWindows {
    /// Largest window of one stream; the flow window above it starts small and grows (see the engine's flows).
    pub stream_bytes: u32,
    /// Receive window of all streams.
    pub connection_bytes: u32,
}

/// Of jumbo packets, fewer are acknowledged at once: a small part of a window that fits the cache.
const ACK_EVERY_BYTES: u32 = 96 << 10;

/// The sizes of an inner connection's datagrams.
#[derive(Clone, Copy, Debug)]
pub struct InnerSizes {
    /// What one packet of its circuit takes.
    pub packet: u16,
    /// What is sent in several packets where that brings something; else the same.
    pub spanned: u16,
}

/// An inner connection between client and exit, whose datagrams go in onion packets of a fixed size, one or several each.
///
/// Datagrams of several packets are tried once there is a connection, by one probe of the largest size (as in RFC 8899), and given up where too many
/// are lost ([`QuicHost::may_span`](crate::QuicHost::may_span)).
///
/// Jumbo circuits end with the links that carry them, and their connections must be able to go on over smaller ones: so those begin
/// with what every circuit carries and find out what theirs takes (RFC 8899), anew whenever they have moved.
pub fn inner_transport(sizes: InnerSizes, windows: InnerWindows, idle_ms: u32) -> TransportConfig {
    let InnerSizes { packet: mtu, spanned } = sizes;
    let mut t = TransportConfig::default();
    t.max_idle_timeout(idle(idle_ms))
        .datagram_receive_buffer_size(Some(1 << 20))
        .datagram_send_buffer_size(1 << 20)
        .max_concurrent_bidi_streams(VarInt::from_u32(4096))
        .max_concurrent_uni_streams(VarInt::from_u32(1))
        .stream_receive_window(VarInt::from_u32(windows.stream_bytes))
        .receive_window(VarInt::from_u32(windows.connection_bytes))
        .send_window(u64::from(windows.connection_bytes))
        .congestion_controller_factory(Arc::new(InnerCubic))
        .packet_threshold(16)
        // The count thins acknowledgements where there are many. A slow or lossy path must not wait for the count: every
        // millisecond of delay is one more of round trip to congestion control.
        .ack_frequency_config(Some(thin_acknowledgements((ACK_EVERY_BYTES / u32::from(spanned)).clamp(4, 24), 4)));
    if usize::from(mtu) > LINK_MTU_MAX {
        let mut discovery = MtuDiscoveryConfig::default();
        discovery.upper_bound(mtu).minimum_change(64).interval(MTU_AGAIN_AFTER).black_hole_cooldown(MTU_AGAIN_AFTER);
        t.initial_mtu(INNER_MTU_MIN).min_mtu(INNER_MTU_MIN).mtu_discovery_config(Some(discovery));
    } else if spanned > mtu {
        let mut discovery = MtuDiscoveryConfig::default();
        // More than half of what there is between the two: no size but the largest is probed.
        let change = (spanned - mtu) / 2 + 2;
        discovery
            .upper_bound(spanned)
            .minimum_change(change)
            .interval(SPAN_AGAIN_AFTER)
            .black_hole_cooldown(SPAN_AGAIN_AFTER);
        t.initial_mtu(mtu).min_mtu(mtu).mtu_discovery_config(Some(discovery));
    } else {
        t.initial_mtu(mtu).min_mtu(mtu).mtu_discovery_config(None);
    }
    t
}
