//! WebTransport at a node: a browser's way in, and what junk, half-open and oversized sessions come to (issue 4, bad input).
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests and benchmarks stand on the machine")]

mod common;
mod web_client;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use common::{Book, CLIENT, Peer, RELAY, soon};
use quinn::VarInt;
use wayfare_driver::{Event, NewCertificate, ask, new_certificate};
use web_client::{Browser, Client, connect_request, varint};

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn install(peer: &Peer) -> NewCertificate {
    let made = new_certificate(now_s() - 3600, now_s() + 86_400).unwrap();
    peer.node.set_certificates(&[(&made.certificate, &made.key)]).unwrap();
    made
}

/// A relay that browsers can call, and what they are told of its certificate.
async fn relay() -> (Peer, NewCertificate) {
    let peer = Peer::start(2, RELAY, &Book::default()).await;
    let certificate = install(&peer);
    // The answer to a later command says that the one before is in force.
    peer.stats().await;
    (peer, certificate)
}

/// What a future comes to without waiting.
async fn poll_once<T>(wanted: impl Future<Output = T>) -> Poll<T> {
    let mut wanted = pin!(wanted);
    poll_fn(|cx| Poll::Ready(wanted.as_mut().poll(cx))).await
}

async fn counted(peer: &Peer, reason: &str, count: u64) {
    soon(async {
        while peer.drops(reason).await < count {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_browser_becomes_a_link_with_streams_and_datagrams() {
    let (mut relay, certificate) = relay().await;
    let mut browser = Browser::link(&relay, &certificate.hash, [9; 32]).await.unwrap();
    let (link, peer) = relay
        .event(|e| match e {
            Event::LinkUp { link, peer, incoming: true, transport: "webtransport", version: 1, .. } => {
                Some((*link, peer.clone()))
            }
            _ => None,
        })
        .await;
    assert_eq!(peer, browser.id.to_string());
    let stats = relay.stats().await;
    assert_eq!((stats.links.len(), stats.links[0].transport), (1, "webtransport"));

    let (mut send, mut recv) = browser.open().await;
    let sent: Bytes = (0..300_000u32).map(|i| ((i * 31) >> 3) as u8).collect();
    let all = sent.clone();
    let writing = tokio::spawn(async move {
        send.write_all(&all).await.unwrap();
        send.finish().unwrap();
    });
    let stream = relay
        .event(|e| match e {
            Event::StreamOpened { stream, .. } => Some(*stream),
            _ => None,
        })
        .await;
    let mut got = Vec::new();
    while let Some(bytes) = soon(ask(|answer| relay.node.stream_read(stream, answer))).await.unwrap() {
        got.extend_from_slice(&bytes);
    }
    writing.await.unwrap();
    assert!(got == sent);
    soon(ask(|answer| relay.node.stream_write(stream, Bytes::from_static(b"thanks"), answer))).await.unwrap();
    relay.node.stream_finish(stream);
    assert_eq!(soon(recv.read_to_end(100)).await.unwrap(), b"thanks");

    // The other way round: the relay opens, and breaks off with its code.
    let opened = soon(ask(|answer| relay.node.stream_open(link, answer))).await.unwrap();
    soon(ask(|answer| relay.node.stream_write(opened, Bytes::from_static(b"hello"), answer))).await.unwrap();
    let (_send, mut recv) = browser.accept().await;
    let mut hello = [0; 5];
    soon(recv.read_exact(&mut hello)).await.unwrap();
    assert_eq!(&hello, b"hello");
    relay.node.stream_reset(opened, 7);
    let quinn::ReadExactError::ReadError(quinn::ReadError::Reset(code)) =
        soon(recv.read_exact(&mut hello)).await.unwrap_err()
    else {
        panic!("the stream is not reset");
    };
    // draft-ietf-webtrans-http3, section 4.3: 0x52e4a40fa8db and on.
    assert_eq!(code.into_inner(), 0x52e4_a40f_a8db + 7);

    relay.node.datagram_send(link, Bytes::from_static(b"hello"));
    let echoed = soon(browser.connection.read_datagram()).await.unwrap();
    assert_eq!(&echoed[2..], b"hello", "the session's name, the mark of an application's datagram, and it");
    browser.datagram(&[&echoed[1..2], b"back"].concat());
    let data = relay
        .event(|e| match e {
            Event::Datagram { data, .. } => Some(data.clone()),
            _ => None,
        })
        .await;
    assert_eq!(data, "YmFjaw==");

    // Closing says why in the session's own way; the connection is the browser's to close.
    relay.node.link_close(link, "draining");
    let closing = soon(browser.request_recv.read_to_end(2_000)).await.unwrap();
    assert!(closing.ends_with(b"draining"), "{closing:?}");
    relay.event(|e| matches!(e, Event::LinkDown { .. }).then_some(())).await;
    assert!(matches!(soon(browser.connection.closed()).await, quinn::ConnectionError::ApplicationClosed(_)));
}

#[tokio::test]
async fn native_links_go_on_beside_browsers() {
    let (relay, certificate) = relay().await;
    let client = Peer::start(1, CLIENT, &relay.book).await;
    let before = Browser::link(&relay, &certificate.hash, [9; 32]).await.unwrap();
    client.link(&relay).await.unwrap();
    let after = Browser::link(&relay, &certificate.hash, [8; 32]).await.unwrap();
    let mut transports: Vec<_> = relay.stats().await.links.iter().map(|l| l.transport).collect();
    transports.sort_unstable();
    assert_eq!(transports, ["quic", "webtransport", "webtransport"]);
    drop((before, after));
}

#[tokio::test]
async fn the_clients_close_ends_the_link() {
    let (mut relay, certificate) = relay().await;
    for by_capsule in [true, false] {
        let mut browser = Browser::link(&relay, &certificate.hash, [9; 32]).await.unwrap();
        if by_capsule {
            // DATA, CLOSE_WEBTRANSPORT_SESSION, code 0, no text.
            soon(browser.request_send.write_all(&[0, 7, 0x68, 0x43, 4, 0, 0, 0, 0])).await.unwrap();
        } else {
            browser.connection.close(VarInt::from_u32(0x100), b"");
        }
        let reason = relay
            .event(|e| match e {
                Event::LinkDown { reason, .. } => Some(*reason),
                _ => None,
            })
            .await;
        assert_eq!(reason, "link_gone");
    }
    assert!(relay.stats().await.links.is_empty());
}

#[tokio::test]
async fn without_a_certificate_browsers_are_not_let_in() {
    let relay = Peer::start(2, RELAY, &Book::default()).await;
    assert!(Client::connect(relay.address, None).await.is_err());
    assert!(relay.drops("link_refused").await >= 1);
}

#[tokio::test]
async fn a_proof_bound_to_another_certificate_is_refused_by_the_dialler() {
    let (relay, first) = relay().await;
    let second = install(&relay);
    relay.stats().await;
    // The relay shows and signs the second; whoever was told of the first only does not go on.
    let refused = Browser::link(&relay, &first.hash, [9; 32]).await.err().unwrap();
    assert_eq!(refused, "link_refused");
    Browser::link(&relay, &second.hash, [9; 32]).await.unwrap();
}

#[tokio::test]
async fn whoever_cannot_prove_an_identity_is_refused_and_counted() {
    let (relay, certificate) = relay().await;
    let refused = Browser::impostor(&relay, &certificate.hash).await;
    assert!(matches!(refused, quinn::ConnectionError::ApplicationClosed(_)), "{refused}");
    counted(&relay, "link_refused", 1).await;
    assert!(relay.stats().await.links.is_empty());
}

/// What a client does with its connection, in bytes, and how the relay takes it.
enum Way {
    /// On a stream of its own of this kind.
    Bidi(Vec<u8>),
    Uni(Vec<u8>),
    /// On the control stream of a session that stands.
    Control(Vec<u8>),
}

#[tokio::test]
async fn junk_is_closed_and_counted_and_harms_nobody_else() {
    let (relay, certificate) = relay().await;
    let mut bystander = Browser::link(&relay, &certificate.hash, [7; 32]).await.unwrap();
    let mut counts = std::collections::HashMap::<&str, u64>::new();
    let frame = |kind: u64, content: &[u8]| [&varint(kind)[..], &varint(content.len() as u64), content].concat();
    let ways = [
        (Way::Bidi(frame(0, b"data first")), "web_malformed", 0x105),
        (Way::Bidi(frame(1, &[0x80; 40])), "web_malformed", 0x200),
        (Way::Bidi(frame(1, &[0xff; 300])), "web_malformed", 0x200),
        (Way::Bidi([varint(1), varint(1 << 40)].concat()), "web_oversized", 0x107),
        (Way::Bidi([varint(0x21), varint(1 << 61)].concat()), "web_oversized", 0x107),
        (Way::Bidi([varint(0x41), varint(3)].concat()), "web_malformed", 0x108),
        (Way::Uni(vec![1, 0]), "web_malformed", 0x103),
        (Way::Uni([vec![0], frame(7, &[0])].concat()), "web_malformed", 0x103),
        (Way::Uni(vec![2, 0x3f, 0xe1, 0x1f]), "web_malformed", 0x201),
        (Way::Control(b"GET / HTTP/1.1\r\n\r\n".to_vec()), "control_malformed", 0x100),
        (Way::Control(vec![0x41, 0xff, 0xff]), "control_malformed", 0x100),
        (Way::Control(vec![0x43, 0, 64]), "control_malformed", 0x100),
    ];
    for (at, (way, reason, code)) in ways.into_iter().enumerate() {
        let client = Client::connect(relay.address, Some(certificate.hash)).await.unwrap();
        let connection = client.connection.clone();
        client.settle().await;
        // Kept until the relay has closed, so that nothing is broken off from here.
        let _held: Box<dyn std::any::Any> = match way {
            Way::Bidi(bytes) => Box::new(client.bidi(&bytes).await),
            Way::Uni(bytes) => Box::new(client.uni(&bytes).await),
            Way::Control(bytes) => {
                let session = client.session().await;
                let (send, recv) = client.bidi(&[&[0x40, 0x41, 0][..], &bytes].concat()).await;
                Box::new((session, send, recv))
            }
        };
        let quinn::ConnectionError::ApplicationClosed(close) = soon(connection.closed()).await else {
            panic!("way {at}: the relay does not close");
        };
        assert_eq!(close.error_code.into_inner(), code, "way {at}");
        let count = counts.entry(reason).or_default();
        *count += 1;
        counted(&relay, reason, *count).await;
    }
    let (mut send, _recv) = bystander.open().await;
    soon(send.write_all(b"still here")).await.unwrap();
    assert_eq!(relay.stats().await.links.len(), 1);
}

#[tokio::test]
async fn requests_for_anything_else_are_answered_404() {
    let (relay, certificate) = relay().await;
    let client = Client::connect(relay.address, Some(certificate.hash)).await.unwrap();
    client.settle().await;
    for (at, (path, protocol)) in [("/", "webtransport"), ("/wayfare", "websocket")].into_iter().enumerate() {
        let (_send, mut recv) = client.bidi(&connect_request(path, protocol)).await;
        // HEADERS, three bytes, no table, entry 27 of RFC 9204: ":status: 404".
        assert_eq!(soon(recv.read_to_end(100)).await.unwrap(), [1, 3, 0, 0, 0xdb], "{path} {protocol}");
        counted(&relay, "web_refused", at as u64 + 1).await;
    }
    // What is refused too often is closed.
    let mut refused = Vec::new();
    while client.connection.close_reason().is_none() {
        refused.push(client.try_bidi(&connect_request("/", "webtransport")).await);
        assert!(refused.len() < 200);
    }
    let quinn::ConnectionError::ApplicationClosed(close) = soon(client.connection.closed()).await else {
        panic!("closed in another way");
    };
    assert_eq!(close.error_code.into_inner(), 0x107);
}

#[tokio::test]
async fn a_second_session_and_strangers_streams_are_refused_and_the_first_goes_on() {
    let (relay, certificate) = relay().await;
    let mut browser = Browser::link(&relay, &certificate.hash, [9; 32]).await.unwrap();
    let (_send, mut recv) = browser.client.bidi(&connect_request("/wayfare", "webtransport")).await;
    let quinn::ReadToEndError::Read(quinn::ReadError::Reset(code)) = soon(recv.read_to_end(100)).await.unwrap_err()
    else {
        panic!("not reset");
    };
    // H3_REQUEST_REJECTED.
    assert_eq!(code.into_inner(), 0x10b);
    let (_send, mut recv) = browser.client.bidi(&[0x40, 0x41, 0x40, 0x40]).await;
    let quinn::ReadToEndError::Read(quinn::ReadError::Reset(code)) = soon(recv.read_to_end(100)).await.unwrap_err()
    else {
        panic!("not reset");
    };
    // WEBTRANSPORT_BUFFERED_STREAM_REJECTED.
    assert_eq!(code.into_inner(), 0x3994_bd84);
    // A unidirectional stream of the session's has no use here.
    let uni = browser.client.uni(&[0x40, 0x54, 0]).await;
    assert_eq!(soon(uni.stopped()).await.unwrap().map(VarInt::into_inner), Some(0x103));
    counted(&relay, "web_refused", 3).await;
    // Datagrams of other sessions and of none.
    browser.connection.send_datagram(Bytes::from_static(&[5, 1, 2, 3])).unwrap();
    browser.connection.send_datagram(Bytes::new()).unwrap();
    counted(&relay, "web_refused", 4).await;
    counted(&relay, "packet_truncated", 1).await;
    let (mut send, _recv) = browser.open().await;
    soon(send.write_all(b"still here")).await.unwrap();
    assert_eq!(relay.stats().await.links.len(), 1);
}

#[tokio::test]
async fn streams_that_say_nothing_are_as_many_as_allowed() {
    let (relay, certificate) = relay().await;
    let browser = Browser::link(&relay, &certificate.hash, [9; 32]).await.unwrap();
    // As many as the relay lets us have at once; each is used, so that the relay hears of it, and says less than a head.
    let mut streams = Vec::new();
    while let Poll::Ready(Ok((mut send, recv))) = poll_once(browser.connection.open_bi()).await {
        soon(send.write_all(&[0x40])).await.unwrap();
        streams.push((send, recv));
        assert!(streams.len() <= 64, "the limit is 64, the session's own two among them");
    }
    assert_eq!(streams.len(), 62);
    let _other = Browser::link(&relay, &certificate.hash, [8; 32]).await.unwrap();
    assert_eq!(relay.stats().await.links.len(), 2);
}

#[tokio::test]
async fn half_open_sessions_are_closed_after_five_seconds() {
    let (relay, certificate) = relay().await;
    let started = tokio::time::Instant::now();
    let silent = Client::connect(relay.address, Some(certificate.hash)).await.unwrap();
    let settled = Client::connect(relay.address, Some(certificate.hash)).await.unwrap();
    settled.settle().await;
    let standing = Client::connect(relay.address, Some(certificate.hash)).await.unwrap();
    standing.settle().await;
    let _session = standing.session().await;
    let halfway = Client::connect(relay.address, Some(certificate.hash)).await.unwrap();
    halfway.settle().await;
    let _request = halfway.session().await;
    // Half of an AUTH_HELLO.
    let _control = halfway.bidi(&[&[0x40, 0x41, 0, 0x41, 0, 64][..], &[9; 30]].concat()).await;
    for client in [silent, settled, standing, halfway] {
        let quinn::ConnectionError::ApplicationClosed(close) = soon(client.connection.closed()).await else {
            panic!("not closed by the relay");
        };
        assert_eq!(&close.reason[..], b"timeout");
    }
    assert!(started.elapsed() >= std::time::Duration::from_millis(4_900));
    counted(&relay, "timeout", 4).await;
    assert!(relay.stats().await.links.is_empty());
}
