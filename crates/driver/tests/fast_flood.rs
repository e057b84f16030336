//! Fast packets with somebody on the path who sends one of his own with each: noise, changed packets and packets of before, and
//! each packet itself, ahead of the neighbour, from addresses that are nobody's (threat 5). What is honest arrives, streams do
//! not notice, and he is counted.
#![allow(clippy::unwrap_used)]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::{Book, CLIENT, EXIT, Peer, RELAY, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use wayfare_driver::{CircuitSpec, ExitRules, HopSpec, Protocol, ProxyOptions, SizeClass, ask};
use wayfare_testkit::Seeded;
use wayfare_types::Random;
use wayfare_wire::fast::is_fast;

const BYTES: usize = 4 << 20;

/// What he sends with a packet, and whether before or after it.
fn hostile(packet: &[u8], old: &[Vec<u8>], rng: &mut Seeded) -> (Vec<u8>, bool) {
    let mut own = packet.to_vec();
    match rng.next_u64() % 4 {
        0 => {
            rng.fill(&mut own[1..]);
            (own, true)
        }
        1 => {
            let at = 1 + rng.next_u64() as usize % 32;
            own[at] ^= 1 << (rng.next_u64() % 8);
            (own, true)
        }
        2 => {
            own[0] ^= 2;
            (own, true)
        }
        _ => (old[rng.next_u64() as usize % old.len()].clone(), false),
    }
}

/// How many addresses he has that are nobody's.
const STRANGERS: usize = 16;

/// Passes on one direction, with as many packets of his own.
async fn meddle(from: Arc<UdpSocket>, to: Arc<UdpSocket>, peer: SocketAddr, sent: Arc<AtomicU64>, seed: u64) {
    let (mut rng, mut old, mut buffer) = (Seeded::new(seed), Vec::<Vec<u8>>::new(), vec![0; 1 << 16]);
    let mut strangers = Vec::new();
    for _ in 0..STRANGERS {
        strangers.push(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    }
    while let Ok((bytes, _)) = from.recv_from(&mut buffer).await {
        let packet = &buffer[..bytes];
        if packet.first().is_none_or(|&first| !is_fast(first)) {
            let _ = to.send_to(packet, peer).await;
            continue;
        }
        old.push(packet.to_vec());
        if old.len() > 500 {
            old.swap_remove(rng.next_u64() as usize % 500);
        }
        let (own, before) = hostile(packet, &old, &mut rng);
        let both = if before { [&own[..], packet] } else { [packet, &own[..]] };
        // Nothing is wrong with it but where it comes from: were it taken, the neighbour's own would be a replay.
        let _ = strangers[rng.next_u64() as usize % STRANGERS].send_to(packet, peer).await;
        for packet in both {
            let _ = to.send_to(packet, peer).await;
        }
        sent.fetch_add(1, Ordering::Relaxed);
    }
}

/// The address under which a node reaches `target` through him, and how many packets he has sent.
async fn on_path(client: SocketAddr, target: SocketAddr) -> (SocketAddr, Arc<AtomicU64>) {
    let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let (address, sent) = (front.local_addr().unwrap(), Arc::new(AtomicU64::new(0)));
    tokio::spawn(meddle(front.clone(), back.clone(), target, sent.clone(), 1));
    tokio::spawn(meddle(back, front, client, sent.clone(), 2));
    (address, sent)
}

#[tokio::test]
async fn streams_pass_one_to_one_with_hostile_packets() {
    let book = Book::default();
    let client = Peer::start(1, CLIENT, &book).await;
    let relay = Peer::start(2, RELAY, &book).await;
    let exit = Peer::start(3, EXIT, &book).await;
    exit.node.set_exit_rules(&ExitRules { allow_loopback: true, ..ExitRules::default() }).unwrap();
    let (address, hostile) = on_path(client.address, relay.address).await;
    soon(ask(|answer| client.node.link_open(relay.node.id(), vec![address], answer))).await.unwrap();
    if !wayfare_fast::hardware_aes() {
        return; // no link is fast here
    }
    soon(async { while client.stats().await.links[0].fast_bytes == 0 {} }).await;

    let hops = [&relay, &exit].map(|peer| HopSpec { node: peer.node.id(), onion_key: peer.onion.public() }).to_vec();
    let spec = CircuitSpec { hops, class: SizeClass::M, suite: None, flow: 0 };
    let circuit = soon(ask(|answer| client.node.circuit_open(spec, answer))).await.unwrap();
    let connection = soon(ask(|answer| client.node.connection_open(circuit, answer))).await.unwrap();
    book.connection(Some(connection));
    let options = ProxyOptions::new("127.0.0.1:0", None).unwrap();
    let (_, socks) = soon(ask(|answer| client.node.proxy_listen(Protocol::Socks5, options, answer))).await.unwrap();

    let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = origin.local_addr().unwrap().port();
    let content: Vec<u8> = (0..BYTES).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let (up, down) = (content.clone(), content.clone());
    let serving = tokio::spawn(async move {
        let (mut tcp, _) = origin.accept().await.unwrap();
        let mut got = Vec::new();
        tcp.read_to_end(&mut got).await.unwrap();
        tcp.write_all(&down).await.unwrap();
        got
    });
    let mut tcp = TcpStream::connect(socks).await.unwrap();
    // SOCKS5 without credentials, to 127.0.0.1 (RFC 1928).
    let [high, low] = port.to_be_bytes();
    tcp.write_all(&[5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, high, low]).await.unwrap();
    let mut reply = [0; 12];
    soon(tcp.read_exact(&mut reply)).await.unwrap();
    assert_eq!(reply[3], 0);
    let (mut reader, mut writer) = tcp.into_split();
    let sending = tokio::spawn(async move {
        writer.write_all(&up).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    let mut got = Vec::new();
    soon(reader.read_to_end(&mut got)).await.unwrap();
    assert!(got == content, "what came down is what was sent");
    assert!(soon(serving).await.unwrap() == content, "what went up is what was sent");
    sending.await.unwrap();

    // Each way takes as many packets as the content has at the least, and each came with one of his.
    let hostile = hostile.load(Ordering::Relaxed);
    assert!(hostile as usize > 2 * BYTES / 1200, "{hostile}");
    assert!(client.stats().await.links[0].fast_bytes > 0, "the link is still fast");
    let counted = async |reason: &str| client.drops(reason).await + relay.drops(reason).await;
    for reason in ["packet_forged", "packet_version", "packet_replayed"] {
        let count = counted(reason).await;
        assert!(count as usize > BYTES / 1200 / 8 && count <= hostile, "{reason}: {count} of {hostile}");
    }
    let strange = counted("fast_unknown").await;
    assert!(strange as usize > BYTES / 1200, "{strange} of {hostile}");
}
