//! A relay under a flood (threat 5): who floods is refused by his own budget, and others are served as if he were not there.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Book, CLIENT, EXIT, Peer, RELAY, soon};
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use wayfare_driver::{CircuitSpec, HopSpec, SizeClass, ask};
use wayfare_quic::tls::{self, Identity};
use wayfare_quic::{EndpointConfig, link_transport};
use wayfare_wire::{Control, SETUP_BYTES};

const HONEST: usize = 100;
/// Of all that arrives, one in a hundred is honest.
const JUNK_PER_HONEST: usize = 99;
/// What one set-up may take beside the flood; without it they take milliseconds.
const BOUND: Duration = Duration::from_secs(1);

/// A neighbour with an identity of its own who sends so many set-ups of noise.
async fn set_ups(relay: &Peer, due: Arc<Semaphore>) {
    let identity = Identity::from_seed(&[66; 32]).unwrap();
    let config = tls::link_client(&identity, relay.node.id(), link_transport(10_000)).unwrap();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let endpoint =
        quinn::Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(quinn::TokioRuntime)).unwrap();
    let link = soon(endpoint.connect_with(config, relay.address, tls::SERVER_NAME).unwrap()).await.unwrap();
    let (mut send, mut receive) = link.open_bi().await.unwrap();
    let mut hello = Vec::new();
    Control::Hello { version_min: 1, version_max: 1, features: 0 }.encode(&mut hello);
    send.write_all(&hello).await.unwrap();
    // The answers must be taken, or the relay lets go of the link.
    tokio::spawn(async move { while let Ok(Some(_)) = receive.read_chunk(1 << 16, true).await {} });
    tokio::spawn(async move {
        let _link = (endpoint, link);
        let mut frame = Vec::new();
        for back_cid in 0u32.. {
            let Ok(one) = due.acquire().await else { return };
            one.forget();
            frame.clear();
            let noise: [u8; SETUP_BYTES] =
                std::array::from_fn(|i| (i as u32 ^ back_cid.wrapping_mul(2_654_435_761)) as u8);
            Control::Setup { back_cid, message: Box::new(noise) }.encode(&mut frame);
            send.write_all(&frame).await.unwrap();
        }
    });
}

/// Handshakes that are none, from nobody in particular.
fn datagrams(relay: &Peer, due: Arc<Semaphore>) {
    let to = relay.address;
    tokio::spawn(async move {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut junk = [0x5a; 1200];
        // A long header of QUIC version 1 with two connection ids of eight bytes (RFC 9000, section 17.2).
        junk[..6].copy_from_slice(&[0xc3, 0, 0, 0, 1, 8]);
        junk[14] = 8;
        for round in 0u64.. {
            let Ok(one) = due.acquire().await else { return };
            one.forget();
            junk[6..14].copy_from_slice(&round.to_be_bytes());
            socket.send_to(&junk, to).await.unwrap();
        }
    });
}

#[tokio::test]
async fn honest_set_ups_pass_where_ninety_nine_in_a_hundred_are_junk() {
    let book = Book::default();
    let client = Peer::start(1, CLIENT, &book).await;
    let relay = Peer::start(2, RELAY, &book).await;
    let exit = Peer::start(3, EXIT, &book).await;
    soon(client.link(&relay)).await.unwrap();
    let hops: Vec<HopSpec> =
        [&relay, &exit].map(|peer| HopSpec { node: peer.node.id(), onion_key: peer.onion.public() }).into();
    let due = [Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0))];
    set_ups(&relay, due[0].clone()).await;
    datagrams(&relay, due[1].clone());

    let mut took = Vec::new();
    while took.len() < HONEST {
        due.iter().for_each(|flood| flood.add_permits(JUNK_PER_HONEST));
        let since = Instant::now();
        let spec = CircuitSpec { hops: hops.clone(), class: SizeClass::L, suite: None, flow: 0 };
        let circuit = soon(ask(|answer| client.node.circuit_open(spec, answer))).await.unwrap();
        took.push(since.elapsed());
        client.node.circuit_close(circuit);
    }
    // What is still on its way comes to the same.
    let junk = (HONEST * JUNK_PER_HONEST) as u64;
    let refused = |drops: &std::collections::BTreeMap<&str, u64>| drops["setup_budget"] + drops["setup_sealed"];
    soon(async { while refused(&relay.stats().await.drops) < junk {} }).await;
    took.sort_unstable();
    let p99 = took[HONEST * 99 / 100 - 1];
    assert!(p99 < BOUND, "p99 {p99:?} beside {junk} set-ups of junk");
    // The flooder's own allowance let some of it come as far as the cryptography, and no further.
    let drops = relay.stats().await.drops;
    assert!(drops["setup_sealed"] > 0 && drops["setup_budget"] > drops["setup_sealed"], "{drops:?}");
}
