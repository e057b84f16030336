//! Requests whose first connection was decided on before they came end as those do that are asked about.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests and benchmarks stand on the machine")]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;

use common::{Chain, socks, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wayfare_driver::{Event, ExitRules, Protocol, Resolver, Resolving, Wanted, ask};

fn wanted(host: &str, port: u16) -> Wanted {
    Wanted { protocol: Protocol::Socks5, user: None, host: host.into(), port }
}

impl Chain {
    fn decide(&self, id: u32, wanted: Wanted) {
        self.client.node.proxy_ahead(id, wanted, self.connection);
    }

    async fn revoke(&self, id: u32) -> bool {
        soon(ask(|answer| self.client.node.proxy_ahead_revoke(id, answer))).await.unwrap()
    }

    /// The next request's number and the decision that it has taken.
    async fn request(&mut self) -> (u32, Option<u32>) {
        self.client
            .event(|e| match e {
                Event::ProxyRequest { request, ahead, .. } => Some((*request, *ahead)),
                _ => None,
            })
            .await
    }
}

/// Sends one byte to whoever connects, and ends.
async fn origin() -> SocketAddr {
    let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = origin.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut tcp, _) = origin.accept().await.unwrap();
            tokio::spawn(async move { tcp.write_all(b"x").await });
        }
    });
    address
}

async fn one_byte(mut tcp: TcpStream) {
    let mut got = Vec::new();
    soon(tcp.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got, b"x");
}

#[tokio::test]
async fn a_request_takes_its_decision_once_and_is_told_of() {
    let mut chain = Chain::start().await;
    // Whoever is asked refuses.
    chain.client.book.connection(None);
    let port = origin().await.port();
    for id in 1..=3 {
        chain.decide(id, wanted("127.0.0.1", port));
        let (tcp, code, _) = socks(chain.socks, 1, "127.0.0.1", port).await;
        assert_eq!(code, 0);
        one_byte(tcp).await;
        let (request, ahead) = chain.request().await;
        assert_eq!(ahead, Some(id));
        let opened = chain.client.event(|e| match e {
            Event::ProxyOpened { request, connection } => Some((*request, *connection)),
            _ => None,
        });
        assert_eq!(opened.await, (request, chain.connection));
        let closed = chain.client.event(|e| match e {
            Event::ProxyClosed { request, received, sent, .. } => Some((*request, *received, *sent)),
            _ => None,
        });
        assert_eq!(closed.await, (request, 1, 0));
        assert!(!chain.revoke(id).await, "it was used");
        assert_eq!(socks(chain.socks, 1, "127.0.0.1", port).await.1, 3, "no path");
        assert_eq!(chain.request().await.1, None);
    }
}

/// Nothing else is going on that the end could go with.
#[tokio::test]
async fn a_destination_that_has_ended_its_side_sees_the_client_leave() {
    let chain = Chain::start().await;
    let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = origin.local_addr().unwrap().port();
    let left = tokio::spawn(async move {
        let (mut tcp, _) = origin.accept().await.unwrap();
        tcp.write_all(b"x").await.unwrap();
        tcp.shutdown().await.unwrap();
        tcp.read_to_end(&mut Vec::new()).await.unwrap()
    });
    let (tcp, code, _) = socks(chain.socks, 1, "127.0.0.1", port).await;
    assert_eq!(code, 0);
    one_byte(tcp).await;
    assert_eq!(soon(left).await.unwrap(), 0);
}

#[tokio::test]
async fn a_revoked_decision_is_not_taken() {
    let mut chain = Chain::start().await;
    chain.client.book.connection(None);
    let port = origin().await.port();
    chain.decide(1, wanted("127.0.0.1", port));
    assert!(chain.revoke(1).await);
    assert!(!chain.revoke(1).await);
    assert_eq!(socks(chain.socks, 1, "127.0.0.1", port).await.1, 3);
    assert_eq!(chain.request().await.1, None);
}

#[tokio::test]
async fn what_is_decided_for_one_is_for_no_other_user_protocol_or_name() {
    let mut chain = Chain::start().await;
    chain.client.book.connection(None);
    let port = origin().await.port();
    chain.decide(1, Wanted { user: Some("ann:".into()), ..wanted("127.0.0.1", port) });
    chain.decide(2, Wanted { protocol: Protocol::Http, ..wanted("127.0.0.1", port) });
    chain.decide(3, wanted("localhost", port));
    assert_eq!(socks(chain.socks, 1, "127.0.0.1", port).await.1, 3);
    assert_eq!(chain.request().await.1, None);

    let mut tcp = TcpStream::connect(chain.socks).await.unwrap();
    // RFC 1929, with an empty password, which one byte's length of 0 says.
    tcp.write_all(&[5, 1, 2, 1, 3, b'a', b'n', b'n', 0, 5, 1, 0, 1, 127, 0, 0, 1]).await.unwrap();
    tcp.write_all(&port.to_be_bytes()).await.unwrap();
    let mut answers = [0; 2 + 2 + 10];
    soon(tcp.read_exact(&mut answers)).await.unwrap();
    assert_eq!(answers[..6], [5, 2, 1, 0, 5, 0]);
    one_byte(tcp).await;
    assert_eq!(chain.request().await.1, Some(1));

    let mut tcp = TcpStream::connect(chain.http).await.unwrap();
    tcp.write_all(format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    soon(tcp.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 200 Connection Established\r\n\r\nx");
    assert_eq!(chain.request().await.1, Some(2));
    assert!(chain.revoke(3).await);
}

/// Knows no name.
struct Nowhere;

impl Resolver for Nowhere {
    fn resolve(&self, _: &str) -> Resolving {
        Box::pin(async { Err(std::io::ErrorKind::NotFound.into()) })
    }
}

#[tokio::test]
async fn what_fails_is_told_and_answered_as_where_it_was_asked_about() {
    let rules = ExitRules { allow_loopback: true, ..ExitRules::default() };
    let mut chain = Chain::start_with(Arc::new(Nowhere), rules).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let destinations =
        [("127.0.0.1", closed), ("10.0.0.1", 80), ("1.1.1.1", 25), ("nowhere.invalid", 80), ("1.2.3.4.5", 80)];
    for (id, (host, port)) in (1..).zip(destinations) {
        let mut ends = Vec::new();
        for ahead in [None, Some(id)] {
            if ahead.is_some() {
                chain.decide(id, wanted(host, port));
            }
            let (tcp, code, _) = socks(chain.socks, 1, host, port).await;
            // Who has read the refusal is not waited for.
            drop(tcp);
            assert_eq!(chain.request().await.1, ahead, "{host}:{port}");
            let failed = chain.client.event(|e| match e {
                Event::ProxyFailed { connection, reason, .. } => Some((*connection, *reason)),
                _ => None,
            });
            let failed = failed.await;
            let closed = chain.client.event(|e| match e {
                Event::ProxyClosed { reason, .. } => Some(*reason),
                _ => None,
            });
            ends.push((code, failed, closed.await));
        }
        assert_eq!(ends[0], ends[1], "{host}:{port}");
    }
}

#[tokio::test]
async fn another_connection_is_tried_where_the_decided_one_is_gone() {
    let mut chain = Chain::start().await;
    let port = origin().await.port();
    chain.client.node.proxy_ahead(1, wanted("127.0.0.1", port), 4_000_000);
    let asking = tokio::spawn(socks_of(chain.socks, port));
    let (request, ahead) = chain.request().await;
    assert_eq!(ahead, Some(1));
    let failed = chain.client.event(|e| match e {
        Event::ProxyFailed { request, connection, reason } => Some((*request, *connection, *reason)),
        _ => None,
    });
    assert_eq!(failed.await, (request, 4_000_000, "circuit_unknown"));
    // The book refuses what has failed, as there is only one connection to give.
    assert_eq!(soon(asking).await.unwrap(), 3);
}

async fn socks_of(proxy: SocketAddr, port: u16) -> u8 {
    socks(proxy, 1, "127.0.0.1", port).await.1
}

/// A second attempt beside the one that was decided on; the first that connects has it.
#[tokio::test]
async fn a_decided_attempt_gets_company_like_any_other() {
    let mut chain = Chain::start().await;
    let port = origin().await.port();
    chain.decide(1, wanted("127.0.0.1", port));
    let (tcp, code, _) = socks(chain.socks, 1, "127.0.0.1", port).await;
    let (request, _) = chain.request().await;
    // Too late: nothing changes.
    chain.client.node.proxy_assign(request, chain.connection);
    chain.client.node.proxy_refuse(request, "timeout".into());
    assert_eq!(code, 0);
    one_byte(tcp).await;
    assert_eq!(chain.exit.stats().await.exit.flows_total, 1);
}

#[tokio::test]
async fn of_many_at_once_one_has_it_and_all_are_served() {
    let mut chain = Chain::start().await;
    let port = origin().await.port();
    chain.decide(7, wanted("127.0.0.1", port));
    let proxy = chain.socks;
    let asking: Vec<_> = (0..64)
        .map(|_| {
            tokio::spawn(async move {
                let (tcp, code, _) = socks(proxy, 1, "127.0.0.1", port).await;
                assert_eq!(code, 0);
                one_byte(tcp).await;
            })
        })
        .collect();
    let mut taken = Vec::new();
    for _ in 0..64 {
        taken.extend(chain.request().await.1);
    }
    for one in asking {
        soon(one).await.unwrap();
    }
    assert_eq!(taken, [7]);
    assert_eq!(chain.client.stats().await.client.flows_total, 64);
}

/// Its tuple had an exit, which TypeScript knows.
#[tokio::test]
async fn a_source_that_comes_again_is_asked_about() {
    let mut chain = Chain::start().await;
    let port = origin().await.port();
    let from = |source: Option<SocketAddr>| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(source.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)))).unwrap();
        // Else the port would be in TIME-WAIT.
        socket2::SockRef::from(&socket).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        socket
    };
    let mut source = None;
    for expected in [Some(1), None] {
        chain.decide(1, wanted("127.0.0.1", port));
        let mut tcp = soon(from(source).connect(chain.socks)).await.unwrap();
        source = Some(tcp.local_addr().unwrap());
        tcp.write_all(&[5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1]).await.unwrap();
        tcp.write_all(&port.to_be_bytes()).await.unwrap();
        soon(tcp.read_exact(&mut [0; 12])).await.unwrap();
        assert_eq!(chain.request().await.1, expected);
        drop(tcp);
        chain.client.event(|e| matches!(e, Event::ProxyClosed { .. }).then_some(())).await;
    }
}
