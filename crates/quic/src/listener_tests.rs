#![allow(clippy::disallowed_methods, reason = "any instant serves as the origin of virtual time")]

use std::net::SocketAddr;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use bytes::BytesMut;
use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{ClientConfig, ConnectionError, ConnectionHandle, EndpointConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};

use super::*;
use crate::certificate::self_signed;
use crate::{HostConfig, Instant, QuicEvent, QuicHost, link_transport};

fn key() -> Vec<u8> {
    EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new()).unwrap().as_ref().to_vec()
}

fn web() -> WebCertificate {
    let key = key();
    WebCertificate::new(&self_signed(&key, [3; 16], 1_000, 2_000).unwrap(), &key).unwrap()
}

/// A browser that pins: this certificate by its hash, or none.
#[derive(Debug)]
struct Pinned(Option<[u8; 32]>, Arc<CryptoProvider>);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.0 == Some(certificate_hash(certificate)) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::General("not the certificate that was named".into()))
        }
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
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // webpki reads the certificate here: an independent look at what we made.
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.1.signature_verification_algorithms,
        )
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.1.signature_verification_algorithms.supported_schemes()
    }
}

fn browser(pin: Option<[u8; 32]>, protocols: &[&[u8]], groups: Vec<&'static dyn SupportedKxGroup>) -> ClientConfig {
    let provider = Arc::new(CryptoProvider { kx_groups: groups, ..rustls::crypto::aws_lc_rs::default_provider() });
    let mut tls = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned(pin, provider)))
        .with_no_client_auth();
    tls.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()))
}

fn host(server: Option<ServerConfig>) -> QuicHost {
    QuicHost::new(HostConfig {
        endpoint: Arc::new(EndpointConfig::default()),
        server: server.map(Arc::new),
        retry_above: 64,
        max_connections: 64,
        mtu_discovery: false,
        rng_seed: Some([5; 32]),
    })
}

/// Carries datagrams both ways until both sides are quiet.
struct Pair {
    client: QuicHost,
    server: QuicHost,
    now: Instant,
    seen: Option<ConnectionHandle>,
    lost: Option<ConnectionError>,
    up: bool,
}

impl Pair {
    fn new(server: ServerConfig, client: ClientConfig) -> Self {
        let mut pair = Self {
            client: host(None),
            server: host(Some(server)),
            now: Instant::now(),
            seen: None,
            lost: None,
            up: false,
        };
        pair.client.connect(pair.now, client, "127.0.0.1:4433".parse().unwrap(), "wayfare").unwrap();
        pair
    }

    fn run(mut self) -> Self {
        let (at_client, at_server): (SocketAddr, SocketAddr) =
            ("127.0.0.1:1111".parse().unwrap(), "127.0.0.1:4433".parse().unwrap());
        let mut buf = Vec::new();
        for _ in 0..200 {
            self.now += Duration::from_millis(5);
            for host in [&mut self.client, &mut self.server] {
                host.handle_timeout(self.now);
            }
            while let Some((_, event)) = self.client.poll_event() {
                match event {
                    QuicEvent::Connected => self.up = true,
                    QuicEvent::Lost(error) => self.lost = Some(error),
                    _ => {}
                }
            }
            while let Some((handle, event)) = self.server.poll_event() {
                if let QuicEvent::Connected = event {
                    self.seen = Some(handle);
                }
            }
            while self.client.poll_transmit(self.now, 1, &mut buf).is_some() {
                self.server.handle_datagram(self.now, at_client, None, None, BytesMut::from(&buf[..]));
            }
            while self.server.poll_transmit(self.now, 1, &mut buf).is_some() {
                self.client.handle_datagram(self.now, at_server, None, None, BytesMut::from(&buf[..]));
            }
        }
        self
    }

    fn protocol(&self) -> Option<Vec<u8>> {
        self.seen.and_then(|handle| self.server.protocol(handle))
    }
}

fn node(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32]).unwrap()
}

const HYBRID: &dyn SupportedKxGroup = kx_group::X25519MLKEM768;
const CLASSICAL: &dyn SupportedKxGroup = kx_group::X25519;

#[test]
fn browsers_and_neighbours_share_a_port() {
    let web = web();
    let server = || listener(&node(1), Some(&web), link_transport(3000)).unwrap();
    for groups in [vec![HYBRID, CLASSICAL], vec![CLASSICAL]] {
        let browser = Pair::new(server(), browser(Some(web.hash()), &[b"h3"], groups)).run();
        assert!(browser.up, "{:?}", browser.lost);
        assert_eq!(browser.protocol().as_deref(), Some(WEB_ALPN));
        assert_eq!(browser.server.peer_id(browser.seen.unwrap()), None, "a browser proves nothing here");
    }
    // The hybrid key share alone does not fit a datagram: the ClientHello comes in pieces in both cases.
    let neighbour = tls::link_client(&node(2), node(1).id(), link_transport(3000)).unwrap();
    let neighbour = Pair::new(server(), neighbour).run();
    assert!(neighbour.up, "{:?}", neighbour.lost);
    assert_eq!(neighbour.protocol().as_deref(), Some(LINK_ALPN));
    assert_eq!(neighbour.server.peer_id(neighbour.seen.unwrap()), Some(node(2).id()));
}

/// CRYPTO_ERROR (RFC 9001, section 4.8) with this TLS alert.
fn alert(pair: &Pair) -> u64 {
    match &pair.lost {
        Some(ConnectionError::ConnectionClosed(close)) => u64::from(close.error_code),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_nobody_here_speaks_is_refused() {
    let web = web();
    for (certificate, protocols, what) in [
        (Some(&web), &[&b"h2"[..]][..], "another protocol"),
        (Some(&web), &[][..], "none"),
        (None, &[&b"h3"[..]][..], "WebTransport without a certificate"),
    ] {
        let server = listener(&node(1), certificate, link_transport(3000)).unwrap();
        let pair = Pair::new(server, browser(Some(web.hash()), protocols, vec![HYBRID])).run();
        // no_application_protocol, RFC 7301; without the extension the raw-key session refuses the certificate type.
        assert!(!pair.up && pair.seen.is_none(), "{what}");
        assert!([0x100 + 120, 0x100 + 43, 0x100 + 40].contains(&alert(&pair)), "{what}: {:x}", alert(&pair));
    }
}

#[test]
fn who_offers_both_is_a_neighbour_and_must_prove_it() {
    let web = web();
    let server = listener(&node(1), Some(&web), link_transport(3000)).unwrap();
    let pair = Pair::new(server, browser(Some(web.hash()), &[b"h3", LINK_ALPN], vec![HYBRID])).run();
    assert!(!pair.up && pair.seen.is_none(), "offering a link's protocol besides does not spare its proof");
}

#[test]
fn a_browser_refuses_a_certificate_that_was_swapped() {
    let (named, shown) = (web(), web());
    let server = listener(&node(1), Some(&shown), link_transport(3000)).unwrap();
    let pair = Pair::new(server, browser(Some(named.hash()), &[b"h3"], vec![HYBRID])).run();
    assert!(!pair.up && pair.seen.is_none());
}

#[test]
fn a_key_of_another_kind_or_certificate_is_not_taken() {
    let (own, other) = (key(), key());
    let certificate = self_signed(&own, [3; 16], 1_000, 2_000).unwrap();
    assert!(WebCertificate::new(&certificate, &own).is_ok());
    assert!(WebCertificate::new(&certificate, &other).is_err(), "another key");
    assert!(WebCertificate::new(&certificate[..certificate.len() - 1], &own).is_err(), "cut off");
    assert!(WebCertificate::new(b"", &own).is_err());
    assert!(WebCertificate::new(&certificate, b"junk").is_err());
}

/// Drives the session in front directly, as quinn-proto does with CRYPTO frames.
fn hand_over(pieces: &[&[u8]]) -> Result<(), TransportError> {
    let web = web();
    let config = Arc::new(Chooser { link: tls::link_crypto(&node(1)).unwrap(), web: web.config.clone() });
    let params = TransportParameters::read(Side::Client, &mut &[][..]).unwrap();
    let mut session = crypto::ServerConfig::start_session(config, 1, &params);
    for piece in pieces {
        session.read_handshake(piece)?;
        assert!(session.write_handshake(&mut Vec::new()).is_none(), "nothing is said before the ClientHello is whole");
    }
    Ok(())
}

#[test]
fn junk_and_endless_hellos_are_refused_and_nothing_is_held_of_them() {
    for junk in [&[2u8, 0, 0, 1, 0][..], &[1, 0, 0, 4, 9, 9, 9, 9], &[22, 3, 1, 2, 0, 1, 0, 1, 252]] {
        assert!(hand_over(&[junk]).is_err(), "{junk:?}");
        assert!(hand_over(&junk.chunks(1).collect::<Vec<_>>()).is_err(), "{junk:?} in pieces");
    }
    let endless = [&[1u8, 0, 0x40, 0][..], &[0; 20_000]].concat();
    let pieces: Vec<&[u8]> = endless.chunks(1_000).collect();
    assert!(hand_over(&pieces[..16]).is_ok(), "it may still come to be one");
    assert_eq!(hand_over(&pieces).unwrap_err().code, TransportErrorCode::crypto(DECODE_ERROR));
}
