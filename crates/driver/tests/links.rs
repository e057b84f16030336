//! Links between nodes: identities, sessions, refusals (threats, row 3).
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests and benchmarks stand on the machine")]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use common::{Book, CLIENT, Peer, RELAY, soon};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::rustls;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use wayfare_driver::{Event, Failure, ask};

#[tokio::test]
async fn both_ends_of_a_link_know_each_other_and_hear_of_its_end() {
    let book = Book::default();
    let (mut a, mut b) = (Peer::start(1, CLIENT, &book).await, Peer::start(2, RELAY, &book).await);
    let link = a.link(&b).await.unwrap();
    let at_a = a.event(|e| matches!(e, Event::LinkUp { .. }).then(|| e.clone())).await;
    let expected = Event::LinkUp {
        link,
        peer: b.node.id().to_string(),
        address: b.address.to_string(),
        incoming: false,
        version: 1,
        transport: "quic",
    };
    assert_eq!(at_a, expected);
    let (seen, address) = b
        .event(|e| match e {
            Event::LinkUp { peer, address, incoming: true, .. } => Some((peer.clone(), address.clone())),
            _ => None,
        })
        .await;
    assert_eq!((seen, address), (a.node.id().to_string(), a.address.to_string()));

    a.node.link_close(link, "circuit_closed");
    let reason = b
        .event(|e| match e {
            Event::LinkDown { reason, .. } => Some(*reason),
            _ => None,
        })
        .await;
    assert_eq!(reason, "circuit_closed", "the peer is told why");
    a.event(|e| matches!(e, Event::LinkDown { .. }).then_some(())).await;
    assert!(a.stats().await.links.is_empty() && b.stats().await.links.is_empty());
    a.close().await;
    b.close().await;
}

#[tokio::test]
async fn links_run_over_ipv6() {
    let book = Book::default();
    let resolver = || Arc::new(wayfare_driver::SystemResolver);
    let a = Peer::start_with(1, CLIENT, "[::1]:0", &book, resolver()).await;
    let b = Peer::start_with(2, RELAY, "[::1]:0", &book, resolver()).await;
    a.link(&b).await.unwrap();
    assert!(a.stats().await.links[0].address.starts_with("[::1]:"));
}

#[tokio::test]
async fn a_node_with_another_identity_is_refused() {
    let book = Book::default();
    let (a, b, c) =
        (Peer::start(1, CLIENT, &book).await, Peer::start(2, RELAY, &book).await, Peer::start(3, RELAY, &book).await);
    let failed = soon(ask(|answer| a.node.link_open(c.node.id(), vec![b.address], answer))).await.unwrap_err();
    assert_eq!(failed.code, "link_refused");
    assert_eq!(a.drops("link_refused").await, 1);
    assert!(a.stats().await.links.is_empty() && b.stats().await.links.is_empty());
    let own = soon(ask(|answer| a.node.link_open(a.node.id(), vec![b.address], answer))).await.unwrap_err();
    assert_eq!(own.code, "link_refused");
}

#[tokio::test]
async fn an_address_where_nobody_answers_is_passed_over() {
    let book = Book::default();
    let (a, b) = (Peer::start(1, CLIENT, &book).await, Peer::start(2, RELAY, &book).await);
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let addresses = vec![silent.local_addr().unwrap(), b.address];
    soon(ask(|answer| a.node.link_open(b.node.id(), addresses, answer))).await.unwrap();
    let only = vec![silent.local_addr().unwrap()];
    let failed = soon(ask(|answer| a.node.link_open(b.node.id(), only, answer))).await.unwrap_err();
    assert_eq!(failed.code, "timeout");
}

#[tokio::test]
async fn sessions_carry_streams_and_datagrams() {
    let book = Book::default();
    let (a, mut b) = (Peer::start(1, CLIENT, &book).await, Peer::start(2, RELAY, &book).await);
    let link = a.link(&b).await.unwrap();
    let stream = soon(ask(|answer| a.node.stream_open(link, answer))).await.unwrap();
    let sent: Bytes = (0..1_000_000u32).map(|i| ((i * 31) >> 3) as u8).collect();
    let (writer, data) = (a.node.clone(), sent.clone());
    let writing = tokio::spawn(async move {
        soon(ask(|answer| writer.stream_write(stream, data, answer))).await.unwrap();
        writer.stream_finish(stream);
    });
    let there = b
        .event(|e| match e {
            Event::StreamOpened { stream, .. } => Some(*stream),
            _ => None,
        })
        .await;
    let mut got = Vec::new();
    while let Some(bytes) = soon(ask(|answer| b.node.stream_read(there, answer))).await.unwrap() {
        assert!(bytes.len() <= 64 << 10);
        got.extend_from_slice(&bytes);
    }
    writing.await.unwrap();
    assert!(got == sent);

    soon(ask(|answer| b.node.stream_write(there, Bytes::from_static(b"thanks"), answer))).await.unwrap();
    assert_eq!(soon(ask(|answer| a.node.stream_read(stream, answer))).await.unwrap().as_deref(), Some(&b"thanks"[..]));
    b.node.stream_reset(there, 7);
    let broken: Failure = soon(ask(|answer| a.node.stream_read(stream, answer))).await.unwrap_err();
    assert_eq!(broken.code, "flow_reset");

    a.node.datagram_send(link, Bytes::from_static(b"hello"));
    let data = b
        .event(|e| match e {
            Event::Datagram { data, .. } => Some(data.clone()),
            _ => None,
        })
        .await;
    assert_eq!(data, "aGVsbG8=");
    a.close().await;
    // The streams went with the link.
    b.event(|e| matches!(e, Event::LinkDown { .. }).then_some(())).await;
    let gone = soon(ask(|answer| b.node.stream_read(there, answer))).await.unwrap_err();
    assert_eq!(gone.code, "link_gone");
}

#[tokio::test]
async fn a_closed_node_says_so() {
    let book = Book::default();
    let a = Peer::start(1, CLIENT, &book).await;
    let node = a.node.clone();
    a.close().await;
    let failed = soon(ask(|answer| node.connection_open(1, answer))).await.unwrap_err();
    assert_eq!(failed.code, Failure::CLOSED);
}

/// Accepts any server: this test is about what the server accepts.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2".into()))
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// A plain quinn client that offers these groups and presents an Ed25519 raw public key.
async fn handshake(to: SocketAddr, groups: Vec<&'static dyn SupportedKxGroup>) -> Result<(), quinn::ConnectionError> {
    let provider = Arc::new(CryptoProvider { kx_groups: groups, ..default_provider() });
    let mut pkcs8 = hex("302e020100300506032b657004220420");
    pkcs8.extend([9; 32]);
    let key = provider.key_provider.load_private_key(PrivatePkcs8KeyDer::from(pkcs8).into()).unwrap();
    let public = key.public_key().unwrap().to_vec();
    let certified = Arc::new(CertifiedKey::new(vec![CertificateDer::from(public)], key));
    let mut tls = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_client_cert_resolver(Arc::new(rustls::client::AlwaysResolvesClientRawPublicKeys::new(certified)));
    tls.alpn_protocols = vec![b"wayfare-link/1".to_vec()];
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    soon(endpoint.connect_with(config, to, "wayfare").unwrap()).await.map(|_| ())
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

#[tokio::test]
async fn an_offer_without_the_hybrid_group_is_refused() {
    let b = Peer::start(2, RELAY, &Book::default()).await;
    handshake(b.address, vec![kx_group::X25519MLKEM768])
        .await
        .expect("the same client with the hybrid group is let in");
    handshake(b.address, vec![kx_group::X25519, kx_group::X25519MLKEM768])
        .await
        .expect("an offer of both is led to the hybrid group");
    for group in [kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1] {
        let refused = handshake(b.address, vec![group]).await.unwrap_err();
        // CRYPTO_ERROR (RFC 9001, section 4.8) with TLS alert 40, handshake_failure.
        let quinn::ConnectionError::ConnectionClosed(close) = &refused else { panic!("{group:?}: {refused}") };
        assert_eq!(u64::from(close.error_code), 0x128, "{group:?}");
    }
    assert!(b.stats().await.links.is_empty());
}
