//! A node is no amplifier: what it sends to an address that has proven nothing (threats, row 4; RFC 9000, section 8.1).
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests and benchmarks stand on the machine")]

mod common;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Book, Peer, RELAY};
use wayfare_quic::tls::{self, Identity};
use wayfare_quic::{EndpointConfig, HostConfig, QuicHost, link_transport};

/// The first datagram of a handshake with `node`.
fn initial(node: &Peer, number: u8) -> Vec<u8> {
    let mut client = QuicHost::new(HostConfig {
        endpoint: Arc::new(EndpointConfig::default()),
        server: None,
        retry_above: 0,
        max_connections: 1,
        mtu_discovery: true,
        rng_seed: Some([number; 32]),
    });
    let identity = Identity::from_seed(&[number; 32]).unwrap();
    let config = tls::link_client(&identity, node.node.id(), link_transport(3000)).unwrap();
    let now = Instant::now();
    client.connect(now, config, node.address, tls::SERVER_NAME).unwrap();
    let (mut all, mut buffer) = (Vec::new(), Vec::new());
    while let Some((_, transmit)) = client.poll_transmit(now, 1, &mut buffer) {
        all.push(buffer[..transmit.size].to_vec());
    }
    all.concat()
}

/// The client hello with its hybrid key share takes two datagrams of 1,200 bytes.
const DATAGRAM: usize = 1200;

fn send(from: &UdpSocket, to: SocketAddr, initial: &[u8]) -> usize {
    initial.chunks(DATAGRAM).map(|datagram| from.send_to(datagram, to).unwrap()).sum()
}

/// Everything that comes until `deadline`, in bytes and datagrams.
fn collect(socket: &UdpSocket, deadline: Instant) -> (usize, usize) {
    let (mut bytes, mut datagrams) = (0, 0);
    let mut buffer = [0; 2048];
    while let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()) {
        socket.set_read_timeout(Some(left)).unwrap();
        if let Ok(len) = socket.recv(&mut buffer) {
            bytes += len;
            datagrams += 1;
        }
    }
    (bytes, datagrams)
}

#[tokio::test]
async fn a_source_that_never_answers_gets_at_most_three_times_what_it_sent() {
    let node = Peer::start(2, RELAY, &Book::default()).await;
    let spoofed = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sent = send(&spoofed, node.address, &initial(&node, 50));
    // Long enough for the server's probes, which count too.
    let deadline = Instant::now() + Duration::from_millis(2500);
    let (bytes, datagrams) = tokio::task::spawn_blocking(move || collect(&spoofed, deadline)).await.unwrap();
    assert!(datagrams > 0, "the server does answer a handshake");
    assert!(bytes <= 3 * sent, "{bytes} bytes for {sent}");
}

#[tokio::test]
async fn in_a_flood_new_sources_get_a_retry_and_no_more() {
    let node = Peer::start(2, RELAY, &Book::default()).await;
    let to = node.address;
    // Fills the handshakes that are let in without proof.
    let flood: Vec<UdpSocket> = (0..80).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    for (number, socket) in flood.iter().enumerate() {
        send(socket, to, &initial(&node, number as u8));
    }
    // The node has taken all of the flood once it has answered this.
    assert!(node.stats().await.links.is_empty());
    let late = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sent = send(&late, to, &initial(&node, 200));
    let deadline = Instant::now() + Duration::from_millis(700);
    let (bytes, datagrams) = tokio::task::spawn_blocking(move || collect(&late, deadline)).await.unwrap();
    assert!(datagrams >= 1, "a Retry lets honest newcomers in");
    assert!(bytes < sent / 2, "{bytes} bytes for {sent}");
}
