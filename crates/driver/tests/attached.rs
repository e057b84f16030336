//! Links whose bytes someone else moves: how they begin, what they carry, what is refused and what is bounded.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests and benchmarks stand on the machine")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use common::{Book, CLIENT, EXIT, Peer, RELAY, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wayfare_driver::{Attachment, CircuitSpec, Event, ExitRules, Failure, HopSpec, Node, NodeId, SizeClass, ask};

const BINDING: [u8; 32] = [7; 32];

fn attachment(peer: Option<NodeId>, bindings: Vec<[u8; 32]>) -> Attachment {
    Attachment { peer, bindings, address: "192.0.2.1:443".into(), transport: "http2", mtu: 1452 }
}

async fn attach(node: &Arc<Node>, attachment: Attachment) -> Result<u32, Failure> {
    soon(ask(|answer| node.link_attach(attachment, answer))).await
}

/// The control bytes, and the packets each behind its length, of a batch.
fn split(mut batch: Bytes) -> (BytesMut, BytesMut) {
    let (mut control, mut packets) = (BytesMut::new(), BytesMut::new());
    while batch.has_remaining() {
        let kind = batch.get_u8();
        let bytes = {
            let length = batch.get_u32() as usize;
            batch.split_to(length)
        };
        match kind {
            1 => {
                packets.put_u16(u16::try_from(bytes.len()).unwrap());
                packets.put_slice(&bytes);
            }
            2 => control.put_slice(&bytes),
            _ => panic!("a record of kind {kind}"),
        }
    }
    (control, packets)
}

/// Moves what one gives to the other; why it ended.
async fn pump(from: Arc<Node>, link: u32, to: Arc<Node>, there: u32) -> Failure {
    loop {
        let batch = match ask(|answer| from.link_give(link, answer)).await {
            Ok(batch) => batch.unwrap(),
            Err(failure) => return failure,
        };
        let (control, packets) = split(batch);
        let (control, packets) = (control.freeze(), packets.freeze());
        if let Err(failure) = ask(|answer| to.link_take(there, control, packets, answer)).await {
            return failure;
        }
    }
}

/// Links `a` to `b`, which is shown to have the certificate of `shown`.
async fn join(a: &Peer, b: &Peer, peer: NodeId, named: Vec<[u8; 32]>, shown: [u8; 32]) -> (u32, u32) {
    let here = attach(&a.node, attachment(Some(peer), named)).await.unwrap();
    let there = attach(&b.node, attachment(None, vec![shown])).await.unwrap();
    tokio::spawn(pump(a.node.clone(), here, b.node.clone(), there));
    tokio::spawn(pump(b.node.clone(), there, a.node.clone(), here));
    (here, there)
}

#[tokio::test]
async fn a_circuit_over_an_attached_link_carries_a_stream() {
    let book = Book::default();
    let mut client = Peer::start(1, CLIENT, &book).await;
    let mut relay = Peer::start(2, RELAY, &book).await;
    let exit = Peer::start(3, EXIT, &book).await;
    exit.node.set_exit_rules(&ExitRules { allow_loopback: true, ..ExitRules::default() }).unwrap();
    let (link, _) = join(&client, &relay, relay.node.id(), vec![[1; 32], BINDING], BINDING).await;
    let up = client.event(|e| matches!(e, Event::LinkUp { .. }).then(|| e.clone())).await;
    let peer = relay.node.id().to_string();
    let address = "192.0.2.1:443".to_owned();
    assert_eq!(up, Event::LinkUp { link, peer, address, incoming: false, version: 1, transport: "http2" });
    let caller = relay.event(|e| match e {
        Event::LinkUp { peer, incoming: true, transport: "http2", .. } => Some(peer.clone()),
        _ => None,
    });
    assert_eq!(caller.await, client.node.id().to_string());

    let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = origin.local_addr().unwrap().port();
    let sent: Vec<u8> = (0..3_000_000u32).map(|i| (i * 7) as u8).collect();
    let content = sent.clone();
    tokio::spawn(async move {
        let (mut socket, _) = origin.accept().await.unwrap();
        let mut asked = [0; 4];
        socket.read_exact(&mut asked).await.unwrap();
        socket.write_all(&content).await.unwrap();
    });
    let hops = [&relay, &exit].map(|peer| HopSpec { node: peer.node.id(), onion_key: peer.onion.public() }).to_vec();
    let spec = CircuitSpec { hops, class: SizeClass::L, suite: None, flow: 0 };
    let circuit = soon(ask(|answer| client.node.circuit_open(spec, answer))).await.unwrap();
    let connection = soon(ask(|answer| client.node.connection_open(circuit, answer))).await.unwrap();
    let (flow, _) =
        soon(ask(|answer| client.node.flow_open(connection, "127.0.0.1".into(), port, answer))).await.unwrap();
    soon(ask(|answer| client.node.flow_write(flow, Bytes::from_static(b"give"), answer))).await.unwrap();
    let mut got = Vec::new();
    while let Some(bytes) = soon(ask(|answer| client.node.flow_read(flow, answer))).await.unwrap() {
        got.extend(bytes);
    }
    assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
    let stats = client.stats().await;
    assert_eq!(stats.links.len(), 1);
    assert_eq!(stats.links[0].transport, "http2");
    assert!(stats.links[0].packets_received > 2_000);

    // Its end is told, and its circuits end at once.
    client.node.link_close(link, "link_gone");
    client.event(|e| matches!(e, Event::LinkDown { .. }).then_some(())).await;
    client.event(|e| matches!(e, Event::CircuitDown { .. }).then_some(())).await;
}

#[tokio::test]
async fn another_certificate_another_identity_and_ones_own_are_refused() {
    let book = Book::default();
    let (client, relay) = (Peer::start(1, CLIENT, &book).await, Peer::start(2, RELAY, &book).await);
    for (peer, named, shown) in [
        (relay.node.id(), vec![BINDING], [8; 32]),
        (relay.node.id(), vec![], BINDING),
        (NodeId([9; 32]), vec![BINDING], BINDING),
    ] {
        let here = attach(&client.node, attachment(Some(peer), named)).await.unwrap();
        let there = attach(&relay.node, attachment(None, vec![shown])).await.unwrap();
        let back = tokio::spawn(pump(relay.node.clone(), there, client.node.clone(), here));
        let why = soon(pump(client.node.clone(), here, relay.node.clone(), there)).await;
        assert_eq!(why.code, "link_refused");
        back.abort();
    }
    let own = attach(&client.node, attachment(Some(client.node.id()), vec![BINDING])).await;
    assert_eq!(own.unwrap_err().code, "link_refused");
    assert!(client.stats().await.links.is_empty() && relay.stats().await.links.is_empty());
}

#[tokio::test]
async fn junk_closes_and_is_counted() {
    let book = Book::default();
    let relay = Peer::start(2, RELAY, &book).await;
    let before = relay.stats().await.drops["control_malformed"];
    let link = attach(&relay.node, attachment(None, vec![BINDING])).await.unwrap();
    let give = {
        let node = relay.node.clone();
        tokio::spawn(async move { ask(|answer| node.link_give(link, answer)).await })
    };
    let junk = Bytes::from_static(&[0xff; 4000]);
    soon(ask(|answer| relay.node.link_take(link, junk, Bytes::new(), answer))).await.unwrap();
    assert_eq!(soon(give).await.unwrap().unwrap_err().code, "control_malformed");
    assert_eq!(relay.stats().await.drops["control_malformed"], before + 1);
    let after = soon(ask(|answer| relay.node.link_take(link, Bytes::new(), Bytes::new(), answer))).await;
    assert_eq!(after.unwrap_err().code, "closed");

    // Packets before the proofs are nobody's, and a batch that ends inside one is the caller's mistake.
    let link = attach(&relay.node, attachment(None, vec![BINDING])).await.unwrap();
    let unknown = relay.stats().await.drops["circuit_unknown"];
    let packet = Bytes::from_static(&[0, 3, 1, 2, 3]);
    soon(ask(|answer| relay.node.link_take(link, Bytes::new(), packet, answer))).await.unwrap();
    assert_eq!(relay.stats().await.drops["circuit_unknown"], unknown + 1);
    let cut =
        soon(ask(|answer| relay.node.link_take(link, Bytes::new(), Bytes::from_static(&[0, 3, 1]), answer))).await;
    assert_eq!(cut.unwrap_err().code, "argument_invalid");
}

#[tokio::test]
async fn one_that_never_proves_itself_is_closed() {
    let book = Book::default();
    let relay = Peer::start(2, RELAY, &book).await;
    let link = attach(&relay.node, attachment(None, vec![BINDING])).await.unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(15), ask(|answer| relay.node.link_give(link, answer)));
    assert_eq!(waited.await.unwrap().unwrap_err().code, "timeout");
}
