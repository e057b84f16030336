//! Streams to a node by its id: what a listener takes, what everyone else refuses, and that a listener dials nothing.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests and benchmarks stand on the machine")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use common::{Book, CLIENT, EXIT, Peer, RELAY, soon};
use wayfare_driver::{CircuitSpec, Event, ExitRules, Failure, HopSpec, Resolver, Resolving, SizeClass, ask};

const LISTENER: &str = r#"{"client":false,"relay":false,"exit":false,"listener":true}"#;

/// Counts what it is asked, and knows nothing.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Resolver for Counting {
    fn resolve(&self, _: &str) -> Resolving {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Err(std::io::Error::other("unknown")) })
    }
}

/// A client, and a connection over one relay to a node of these roles that may dial loopback.
async fn reach(roles: &str, resolver: Arc<Counting>) -> (Peer, Peer, Peer, u32) {
    let book = Book::default();
    let client = Peer::start(1, CLIENT, &book).await;
    let relay = Peer::start(2, RELAY, &book).await;
    let last = Peer::start_with(3, roles, "127.0.0.1:0", &book, resolver).await;
    last.node.set_exit_rules(&ExitRules { allow_loopback: true, ..ExitRules::default() }).unwrap();
    last.stats().await; // and has the rules
    client.link(&relay).await.unwrap();
    let hops = [&relay, &last].map(|peer| HopSpec { node: peer.node.id(), onion_key: peer.onion.public() }).to_vec();
    let spec = CircuitSpec { hops, class: SizeClass::M, suite: None, flow: 0 };
    let circuit = soon(ask(|answer| client.node.circuit_open(spec, answer))).await.unwrap();
    let connection = soon(ask(|answer| client.node.connection_open(circuit, answer))).await.unwrap();
    (client, relay, last, connection)
}

async fn open(client: &Peer, connection: u32, host: &str, port: u16) -> Result<(u32, String), Failure> {
    soon(ask(|answer| client.node.flow_open(connection, host.into(), port, answer))).await
}

async fn read_all(peer: &Peer, flow: u32) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(bytes) = soon(ask(|answer| peer.node.flow_read(flow, answer))).await.unwrap() {
        all.extend(bytes);
    }
    all
}

#[tokio::test]
async fn a_stream_to_a_listener_carries_bytes_both_ways_and_ends_by_halves() {
    let (mut client, _relay, mut listener, connection) = reach(LISTENER, Arc::default()).await;
    let name = format!("{}.WAYFARE", listener.node.id());
    let serving = tokio::spawn(async move {
        let flow = listener
            .event(|event| match event {
                Event::InboundRequested { flow, port } => {
                    assert_eq!(*port, 7);
                    Some(*flow)
                }
                _ => None,
            })
            .await;
        listener.node.inbound_accept(flow, 7);
        let question = read_all(&listener, flow).await;
        soon(ask(|answer| listener.node.flow_write(flow, Bytes::from(question.repeat(2)), answer))).await.unwrap();
        listener.node.flow_finish(flow);
        let done = |event: &Event| match event {
            Event::FlowClosed { flow: closed, reason, received, sent } if *closed == flow => {
                Some((*reason, *received, *sent))
            }
            _ => None,
        };
        (listener.event(done).await, listener)
    });
    let (flow, local) = open(&client, connection, &name, 7).await.unwrap();
    assert_eq!(local, "0.0.0.0:7", "no socket of the listener's is told");
    let question: Vec<u8> = (0..300_000u32).map(|i| (i * 7) as u8).collect();
    soon(ask(|answer| client.node.flow_write(flow, Bytes::from(question.clone()), answer))).await.unwrap();
    client.node.flow_finish(flow);
    assert!(read_all(&client, flow).await == question.repeat(2));
    let ((reason, received, sent), listener) = serving.await.unwrap();
    assert_eq!((reason, received, sent), ("done", 300_000, 600_000));
    client.event(|e| matches!(e, Event::FlowClosed { .. }).then_some(())).await;
    let stats = listener.stats().await;
    assert_eq!((stats.client.flows_open, stats.client.flows_total, stats.exit.flows_total), (0, 1, 0));
}

#[tokio::test]
async fn what_is_refused_says_so_and_a_listener_dials_and_resolves_nothing() {
    let resolver = Arc::new(Counting::default());
    let (client, _relay, mut listener, connection) = reach(LISTENER, resolver.clone()).await;
    let code = async |host: String, port| open(&client, connection, &host, port).await.unwrap_err().code;
    let other = format!("{}.wayfare", client.node.id());
    assert_eq!(code(other, 1).await, "exit_name_unresolved");
    assert_eq!(code("x.wayfare.".into(), 1).await, "exit_name_unresolved");
    assert_eq!(code("127.0.0.1".into(), 80).await, "exit_address_denied");
    assert_eq!(code("example.com".into(), 80).await, "exit_address_denied");
    assert_eq!(resolver.0.load(Ordering::Relaxed), 0);

    let own = format!("{}.wayfare", listener.node.id());
    for (overloaded, expected) in [(false, "exit_connect_failed"), (true, "exit_overloaded")] {
        let opening = async { open(&client, connection, &own, 9).await.unwrap_err().code };
        let refusing = async {
            let flow = listener
                .event(|e| match e {
                    Event::InboundRequested { flow, .. } => Some(*flow),
                    _ => None,
                })
                .await;
            listener.node.inbound_refuse(flow, overloaded);
            // Once answered, it is nobody's.
            listener.node.inbound_accept(flow, 9);
            listener.node.inbound_refuse(flow, overloaded);
        };
        assert_eq!(tokio::join!(opening, refusing).0, expected);
    }
    assert_eq!(listener.stats().await.client.flows_total, 0);
}

#[tokio::test]
async fn an_exit_that_does_not_listen_takes_no_streams_to_itself() {
    let resolver = Arc::new(Counting::default());
    let (client, _relay, exit, connection) = reach(EXIT, resolver.clone()).await;
    let own = format!("{}.wayfare", exit.node.id());
    assert_eq!(open(&client, connection, &own, 1).await.unwrap_err().code, "exit_connect_failed");
    assert_eq!(open(&client, connection, "a.wayfare", 1).await.unwrap_err().code, "exit_name_unresolved");
    assert_eq!(resolver.0.load(Ordering::Relaxed), 0);
    assert_eq!(open(&client, connection, "name.example", 1).await.unwrap_err().code, "exit_name_unresolved");
    assert_eq!(resolver.0.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_client_that_leaves_before_it_is_taken_is_told_as_closed() {
    let (client, _relay, mut listener, connection) = reach(LISTENER, Arc::default()).await;
    let own = format!("{}.wayfare", listener.node.id());
    let node = client.node.clone();
    let opening = tokio::spawn(async move {
        ask(|answer: wayfare_driver::Answer<(u32, String)>| node.flow_open(connection, own, 1, answer)).await
    });
    let flow = listener
        .event(|e| match e {
            Event::InboundRequested { flow, .. } => Some(*flow),
            _ => None,
        })
        .await;
    client.node.connection_close(connection);
    assert!(soon(opening).await.unwrap().is_err());
    listener.node.inbound_accept(flow, 1);
    let reason = listener
        .event(|e| match e {
            Event::FlowClosed { flow: closed, reason, .. } if *closed == flow => Some(*reason),
            _ => None,
        })
        .await;
    assert_ne!(reason, "done");
    assert_eq!(listener.stats().await.client.flows_open, 0);
}
