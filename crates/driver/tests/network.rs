//! Three hops between a program and its destination: proxies, exit, policy (threats, rows 18 and 19).
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests and benchmarks stand on the machine")]

mod common;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Chain, socks, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use wayfare_driver::{Event, ExitRules, Failure, Resolver, Resolving, ask};

fn pattern(len: usize, salt: usize) -> Vec<u8> {
    (0..len).map(|i| (((i + salt) * 2_654_435_761) >> 13) as u8).collect()
}

#[tokio::test]
async fn a_stream_passes_three_hops_both_ways_and_half_closes() {
    let chain = Chain::start().await;
    let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = origin.local_addr().unwrap().port();
    let (up, down) = (pattern(3 << 20, 1), pattern(5 << 20, 2));
    let (expected, answer) = (up.clone(), down.clone());
    let serving = tokio::spawn(async move {
        let (mut tcp, peer) = origin.accept().await.unwrap();
        let mut got = Vec::new();
        tcp.read_to_end(&mut got).await.unwrap();
        assert!(got == expected, "what was sent arrives, and then its end");
        tcp.write_all(&answer).await.unwrap();
        peer
    });
    let (tcp, code, bound) = socks(chain.socks, 1, "localhost", port).await;
    assert_eq!(code, 0);
    let (mut reader, mut writer) = tcp.into_split();
    let sending = tokio::spawn(async move {
        writer.write_all(&up).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    let mut got = Vec::new();
    soon(reader.read_to_end(&mut got)).await.unwrap();
    assert!(got == down);
    sending.await.unwrap();
    assert_eq!(soon(serving).await.unwrap(), bound, "the origin sees the socket that the proxy named: the exit's own");

    let mut client = chain.client;
    let (received, sent, reason) = client
        .event(|e| match e {
            Event::ProxyClosed { received, sent, reason, .. } => Some((*received, *sent, *reason)),
            _ => None,
        })
        .await;
    assert_eq!((received, sent, reason), (5 << 20, 3 << 20, "done"));
    let (at_client, at_exit) = (client.stats().await.client, chain.exit.stats().await.exit);
    assert_eq!(
        (at_client.bytes_in, at_client.bytes_out, at_client.flows_open, at_client.flows_total),
        (5 << 20, 3 << 20, 0, 1)
    );
    assert_eq!((at_exit.bytes_in, at_exit.bytes_out, at_exit.flows_total), (5 << 20, 3 << 20, 1));
    for relay in &chain.relays {
        let relayed = relay.stats().await.relayed;
        assert!(relayed.bytes_forward >= 3 << 20 && relayed.bytes_backward >= 5 << 20, "{relayed:?}");
    }
}

#[tokio::test]
async fn the_http_proxy_tunnels_and_forwards() {
    let chain = Chain::start().await;
    let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = origin.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let mut heads = Vec::new();
        for _ in 0..2 {
            let (mut tcp, _) = origin.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(tcp.read_u8().await.unwrap());
            }
            tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").await.unwrap();
            heads.push(String::from_utf8(head).unwrap());
        }
        heads
    });
    let request = async |head: String| {
        let mut tcp = TcpStream::connect(chain.http).await.unwrap();
        tcp.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        soon(tcp.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8(answer).unwrap()
    };
    let forwarded =
        request(format!("GET http://127.0.0.1:{port}/x HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\n\r\n"));
    assert!(forwarded.await.ends_with("\r\n\r\nok"));
    let tunnelled = request(format!(
        "CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\nGET /y HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n"
    ));
    let answer = tunnelled.await;
    assert!(
        answer.starts_with("HTTP/1.1 200 Connection Established\r\n\r\nHTTP/1.1 200 OK\r\n") && answer.ends_with("ok")
    );
    let heads = soon(serving).await.unwrap();
    assert!(heads[0].starts_with("GET /x HTTP/1.1\r\n") && !heads[0].contains("Proxy-Connection"), "{}", heads[0]);
    assert!(heads[1].starts_with("GET /y HTTP/1.1\r\n"));

    let refused = request("CONNECT 10.0.0.1:443 HTTP/1.1\r\n\r\n".into()).await;
    assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
    let malformed = request("NONSENSE\r\n\r\n".into()).await;
    assert!(malformed.starts_with("HTTP/1.1 400 "), "{malformed}");
    assert_eq!(chain.client.drops("proxy_malformed").await, 1);
}

#[tokio::test]
async fn udp_of_every_size_passes() {
    let chain = Chain::start().await;
    let origin = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = origin.local_addr().unwrap();
    let echo = tokio::spawn(async move {
        let mut buffer = vec![0; 65_535];
        loop {
            let (len, from) = origin.recv_from(&mut buffer).await.unwrap();
            origin.send_to(&buffer[..len], from).await.unwrap();
        }
    });
    let (control, code, relay) = socks(chain.socks, 3, "0.0.0.0", 0).await;
    assert_eq!(code, 0);
    let program = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let exchange = async |host: &[u8], port: u16, payload: &[u8]| {
        let mut datagram = vec![0, 0, 0];
        datagram.extend(host);
        datagram.extend(port.to_be_bytes());
        datagram.extend(payload);
        program.send_to(&datagram, relay).await.unwrap();
        let mut buffer = vec![0; 65_535];
        let len = soon(program.recv(&mut buffer)).await.unwrap();
        buffer.truncate(len);
        let (head, rest) = buffer.split_at(10);
        assert_eq!((head[3], &head[4..8]), (1, &[127, 0, 0, 1][..]), "where it comes from");
        assert_eq!(head[8..10], to.port().to_be_bytes());
        rest.to_vec()
    };
    let by_address = [1, 127, 0, 0, 1];
    let by_name = [&[3, 9][..], b"localhost"].concat();
    for len in [0, 1, 500, 1157, 1200, 1472, 4096] {
        let payload = pattern(len, len);
        assert!(exchange(&by_address, to.port(), &payload).await == payload, "{len}");
        assert!(exchange(&by_name, to.port(), &payload).await == payload, "{len} by name");
    }
    let exit = chain.exit.stats().await.exit;
    assert_eq!((exit.udp_out, exit.udp_in), (14, 14));

    // Denied, counted, and nothing comes back; what follows does.
    let mut denied = vec![0, 0, 0, 1, 10, 0, 0, 1, 0, 53];
    denied.extend(b"leak");
    program.send_to(&denied, relay).await.unwrap();
    assert_eq!(exchange(&by_address, to.port(), b"after").await, b"after");
    assert_eq!(chain.exit.drops("exit_address_denied").await, 1);

    // The association ends with its control connection.
    drop(control);
    let mut client = chain.client;
    let (received, sent) = client
        .event(|e| match e {
            Event::ProxyClosed { received, sent, reason: "done", .. } => Some((*received, *sent)),
            _ => None,
        })
        .await;
    let all = 2 * (1 + 500 + 1157 + 1200 + 1472 + 4096);
    assert_eq!((received, sent), (all + 5, all + 4 + 5));
    echo.abort();
}

/// Answers a good address first and a private one ever after.
struct Flipping(AtomicUsize);

impl Resolver for Flipping {
    fn resolve(&self, _: &str) -> Resolving {
        let asked = self.0.fetch_add(1, Ordering::SeqCst);
        let ip: IpAddr = if asked == 0 { Ipv4Addr::LOCALHOST } else { Ipv4Addr::new(10, 0, 0, 1) }.into();
        Box::pin(async move { Ok(vec![ip]) })
    }
}

#[tokio::test]
async fn a_name_is_resolved_once_a_request_and_its_answer_is_what_is_dialled() {
    let resolver = Arc::new(Flipping(AtomicUsize::new(0)));
    let rules = ExitRules { allow_loopback: true, ..ExitRules::default() };
    let chain = Chain::start_with(resolver.clone(), rules).await;
    let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = origin.local_addr().unwrap().port();
    let (_tcp, code, bound) = socks(chain.socks, 1, "rebinding.example", port).await;
    assert_eq!(code, 0);
    assert_eq!(soon(origin.accept()).await.unwrap().1, bound);
    assert_eq!(resolver.0.load(Ordering::SeqCst), 1, "one question for one request");
    // The owner of the name now answers with a private address: not allowed by ruleset (RFC 1928, section 6).
    let (_tcp, code, _) = socks(chain.socks, 1, "rebinding.example", port).await;
    assert_eq!(code, 2);
    assert_eq!(resolver.0.load(Ordering::SeqCst), 2);
    assert_eq!(chain.exit.drops("exit_address_denied").await, 1);
}

#[tokio::test]
async fn what_the_exit_refuses_is_said_in_the_clients_protocol() {
    let chain = Chain::start_with(Arc::new(wayfare_driver::SystemResolver), ExitRules::default()).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    for (host, port, code) in [
        ("127.0.0.1", 80, 2),
        ("localhost", 80, 2),
        ("0x7f.1", 80, 2),
        ("::ffff:127.0.0.1", 80, 2),
        ("169.254.169.254", 80, 2),
        ("1.1.1.1", 25, 2),
        ("nowhere.invalid", 80, 4),
        ("1.2.3.4.5", 80, 4),
    ] {
        assert_eq!(socks(chain.socks, 1, host, port).await.1, code, "{host}:{port}");
    }
    assert_eq!(chain.exit.drops("exit_address_denied").await, 5);
    assert_eq!(chain.exit.drops("exit_port_denied").await, 1);
    chain.exit.node.set_exit_rules(&ExitRules { allow_loopback: true, ..ExitRules::default() }).unwrap();
    assert_eq!(socks(chain.socks, 1, "127.0.0.1", closed).await.1, 5, "connection refused");
    chain.client.book.connection(None);
    assert_eq!(socks(chain.socks, 1, "127.0.0.1", closed).await.1, 3, "no path");
    assert_eq!(chain.exit.stats().await.exit.flows_total, 0);
}

#[tokio::test]
async fn a_reset_at_the_origin_reaches_the_program() {
    let chain = Chain::start().await;
    let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut tcp, code, _) = socks(chain.socks, 1, "127.0.0.1", origin.local_addr().unwrap().port()).await;
    assert_eq!(code, 0);
    let (held, _) = soon(origin.accept()).await.unwrap();
    socket2::SockRef::from(&held).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(held);
    let broken = soon(tcp.read(&mut [0; 16])).await.unwrap_err();
    assert_eq!(broken.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn javascript_reads_and_writes_flows() {
    let mut chain = Chain::start().await;
    let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = origin.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let (mut tcp, peer) = origin.accept().await.unwrap();
        let mut got = Vec::new();
        tcp.read_to_end(&mut got).await.unwrap();
        tcp.write_all(&got).await.unwrap();
        peer
    });
    let node = chain.client.node.clone();
    let connection = chain.connection;
    let (flow, local) = soon(ask(|a| node.flow_open(connection, "127.0.0.1".into(), port, a))).await.unwrap();
    let sent = pattern(500_000, 3);
    soon(ask(|a| node.flow_write(flow, sent.clone().into(), a))).await.unwrap();
    node.flow_finish(flow);
    let late = soon(ask(|a| node.flow_write(flow, vec![1].into(), a))).await.unwrap_err();
    assert_eq!(late.code, Failure::INVALID);
    let mut got = Vec::new();
    while let Some(bytes) = soon(ask(|a| node.flow_read(flow, a))).await.unwrap() {
        assert!(bytes.len() <= 64 << 10);
        got.extend_from_slice(&bytes);
    }
    assert!(got == sent);
    assert_eq!(soon(serving).await.unwrap().to_string(), local);
    let closed = chain
        .client
        .event(|e| match e {
            Event::FlowClosed { flow, reason, received, sent } => Some((*flow, *reason, *received, *sent)),
            _ => None,
        })
        .await;
    assert_eq!(closed, (flow, "done", 500_000, 500_000));

    let denied = soon(ask(|a| node.flow_open(connection, "10.0.0.1".into(), 80, a))).await.unwrap_err();
    assert_eq!(denied.code, "exit_address_denied");
    chain.exit.node.drain();
    let draining = soon(ask(|a| node.flow_open(connection, "127.0.0.1".into(), port, a))).await.unwrap_err();
    assert!(["exit_overloaded", "draining"].contains(&draining.code), "{draining}");
    chain.close().await;
}

#[tokio::test]
async fn a_relay_that_stops_forwarding_breaks_the_path_and_counts() {
    let mut chain = Chain::start().await;
    let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = origin.local_addr().unwrap().port();
    let (_tcp, code, _) = socks(chain.socks, 1, "127.0.0.1", port).await;
    assert_eq!(code, 0);
    chain.relays[1].node.set_forwarding(false);
    let (connection, circuit) = chain
        .client
        .event(|e| match e {
            Event::ConnectionStalled { connection, circuit, .. } => Some((*connection, *circuit)),
            _ => None,
        })
        .await;
    assert_eq!((connection, circuit), (chain.connection, chain.circuit));
    assert!(chain.relays[1].drops("forwarding_stopped").await > 0);
}

#[tokio::test]
async fn readers_that_do_not_read_hold_up_nobody_else() {
    let chain = Chain::start().await;
    let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = origin.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let body: &'static [u8] = pattern(1 << 20, 5).leak();
        loop {
            let (mut tcp, _) = origin.accept().await.unwrap();
            tokio::spawn(async move { tcp.write_all(body).await });
        }
    });
    // Together they want more than one connection's window was before it was set above the readers' quota.
    let mut held = Vec::new();
    for _ in 0..280 {
        let (tcp, code, _) = socks(chain.socks, 1, "127.0.0.1", port).await;
        assert_eq!(code, 0);
        socket2::SockRef::from(&tcp).set_recv_buffer_size(4096).unwrap();
        held.push(tcp);
    }
    let (mut reader, code, _) = socks(chain.socks, 1, "127.0.0.1", port).await;
    assert_eq!(code, 0);
    let mut got = vec![0; 1 << 20];
    soon(reader.read_exact(&mut got)).await.unwrap();
    assert!(got == pattern(1 << 20, 5));
    let stats = chain.client.stats().await;
    assert!(stats.reader_bytes <= 280 * (256 << 10), "{} bytes", stats.reader_bytes);
    assert_eq!(stats.client.flows_open, 281);
    serving.abort();
}
