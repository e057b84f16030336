//! A browser's side of WebTransport, byte by byte, over quinn: as wrong as a test wants it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use quinn::crypto::rustls::QuicClientConfig;
use quinn::rustls;
use quinn::{Connection, ConnectionError, Endpoint, RecvStream, SendStream};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use wayfare_driver::NodeId;
use wayfare_link::{Begin, LinkStart};
use wayfare_quic::certificate_hash;
use wayfare_quic::tls::Identity;

use crate::common::{Peer, soon};

/// Pins a certificate by its hash, as a browser does.
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
        if self.0.is_some_and(|hash| hash != certificate_hash(certificate)) {
            return Err(Error::General("another certificate".into()));
        }
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
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.1.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.1.signature_verification_algorithms.supported_schemes()
    }
}

pub fn varint(value: u64) -> Vec<u8> {
    match value {
        0..=0x3f => vec![value as u8],
        0x40..=0x3fff => (0x4000 | value as u16).to_be_bytes().to_vec(),
        0x4000..=0x3fff_ffff => (0x8000_0000 | value as u32).to_be_bytes().to_vec(),
        _ => (0xc000_0000_0000_0000 | value).to_be_bytes().to_vec(),
    }
}

/// A control stream: its type, SETTINGS with SETTINGS_H3_DATAGRAM.
pub fn settings() -> Vec<u8> {
    vec![0, 4, 2, 0x33, 1]
}

/// HEADERS of an extended CONNECT, in literals.
pub fn connect_request(path: &str, protocol: &str) -> Vec<u8> {
    let mut section = vec![0, 0];
    for (name, value) in [
        (":method", "CONNECT"),
        (":scheme", "https"),
        (":authority", "127.0.0.1"),
        (":path", path),
        (":protocol", protocol),
    ] {
        // A literal name of up to 7 + 127 bytes, not Huffman-coded (RFC 9204, section 4.5.6).
        section.push(0x20 | name.len().min(7) as u8);
        if name.len() >= 7 {
            section.push((name.len() - 7) as u8);
        }
        section.extend_from_slice(name.as_bytes());
        section.push(value.len() as u8);
        section.extend_from_slice(value.as_bytes());
    }
    [varint(1), varint(section.len() as u64), section].concat()
}

/// A connection that has said nothing yet.
pub struct Client {
    pub connection: Connection,
    _endpoint: Endpoint,
    /// Streams that a client never ends.
    kept: Mutex<Vec<SendStream>>,
}

impl Client {
    pub async fn connect(to: SocketAddr, hash: Option<[u8; 32]>) -> Result<Self, ConnectionError> {
        let provider = Arc::new(default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned(hash, provider)))
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let connection = soon(endpoint.connect_with(config, to, "wayfare").unwrap()).await?;
        Ok(Self { connection, _endpoint: endpoint, kept: Mutex::default() })
    }

    /// What a client says first, on a stream that it keeps.
    pub async fn settle(&self) {
        let stream = self.uni(&settings()).await;
        self.kept.lock().unwrap().push(stream);
    }

    pub async fn uni(&self, bytes: &[u8]) -> SendStream {
        let mut send = soon(self.connection.open_uni()).await.unwrap();
        // The relay may have closed in the middle, which the test looks at afterwards.
        let _ = soon(send.write_all(bytes)).await;
        send
    }

    pub async fn try_bidi(&self, bytes: &[u8]) -> Option<(SendStream, RecvStream)> {
        let (mut send, recv) = soon(self.connection.open_bi()).await.ok()?;
        let _ = soon(send.write_all(bytes)).await;
        Some((send, recv))
    }

    pub async fn bidi(&self, bytes: &[u8]) -> (SendStream, RecvStream) {
        self.try_bidi(bytes).await.unwrap()
    }

    /// Asks for the session, and waits until it stands.
    pub async fn session(&self) -> (SendStream, RecvStream) {
        let (send, mut recv) = self.bidi(&connect_request("/wayfare", "webtransport")).await;
        let mut answer = [0; 5];
        soon(recv.read_exact(&mut answer)).await.unwrap();
        // HEADERS, three bytes, no table, entry 25 of RFC 9204: ":status: 200".
        assert_eq!(answer, [1, 3, 0, 0, 0xd9]);
        (send, recv)
    }
}

/// A client with a link.
pub struct Browser {
    pub client: Client,
    pub connection: Connection,
    pub request_send: SendStream,
    pub request_recv: RecvStream,
    pub id: NodeId,
    _control: (SendStream, RecvStream),
}

impl Browser {
    /// Links to the relay, whose certificate has this hash, as far as was told; else the reason why this side refuses.
    pub async fn link(relay: &Peer, named: &[u8; 32], seed: [u8; 32]) -> Result<Self, &'static str> {
        // TLS takes any certificate here: what is looked at is the proof on the control stream.
        let client = Client::connect(relay.address, None).await.unwrap();
        client.settle().await;
        let (request_send, request_recv) = client.session().await;
        let identity = Identity::from_seed(&seed).unwrap();
        let (mut send, mut recv) = client.bidi(&[0x40, 0x41, 0]).await;
        let mut out = Vec::new();
        let begin = Begin::Dial { peer: relay.node.id(), bindings: vec![*named], nonce: [3; 32] };
        let mut start = LinkStart::new(begin, identity.id(), 0, &mut out);
        loop {
            soon(send.write_all(&out)).await.unwrap();
            out.clear();
            let chunk = soon(recv.read_chunk(4096, true)).await.unwrap().expect("the relay goes on");
            let taken = start.take(&identity, &mut &chunk.bytes[..], &mut out).map_err(|reason| reason.name())?;
            if let Some(up) = taken {
                assert_eq!((up.peer, up.version), (relay.node.id(), 1));
                break;
            }
        }
        soon(send.write_all(&out)).await.unwrap();
        let connection = client.connection.clone();
        // The relay's turn comes when it has read our HELLO.
        soon(async {
            while !relay.stats().await.links.iter().any(|l| l.peer == identity.id().to_string()) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        Ok(Self { client, connection, request_send, request_recv, id: identity.id(), _control: (send, recv) })
    }

    /// Claims an identity whose key it does not have; how the relay closes.
    pub async fn impostor(relay: &Peer, named: &[u8; 32]) -> ConnectionError {
        let client = Client::connect(relay.address, Some(*named)).await.unwrap();
        client.settle().await;
        let _session = client.session().await;
        let victim = Identity::from_seed(&[1; 32]).unwrap().id();
        let (mut send, mut recv) = client.bidi(&[0x40, 0x41, 0]).await;
        // AUTH_HELLO, then after the proof an AUTH_ANSWER that nobody signed.
        soon(send.write_all(&[&[0x41, 0, 64][..], &victim.0, &[3; 32]].concat())).await.unwrap();
        let mut proof = [0; 3 + 160];
        soon(recv.read_exact(&mut proof)).await.unwrap();
        let own = Identity::from_seed(&[9; 32]).unwrap();
        let signature = own.sign(&proof);
        soon(send.write_all(&[&[0x43, 0, 64][..], &signature].concat())).await.unwrap();
        soon(client.connection.closed()).await
    }

    /// A stream of the session.
    pub async fn open(&mut self) -> (SendStream, RecvStream) {
        self.client.bidi(&[0x40, 0x41, 0]).await
    }

    /// One that the relay opens.
    pub async fn accept(&mut self) -> (SendStream, RecvStream) {
        let (send, mut recv) = soon(self.connection.accept_bi()).await.unwrap();
        let mut head = [0; 3];
        soon(recv.read_exact(&mut head)).await.unwrap();
        assert_eq!(head, [0x40, 0x41, 0]);
        (send, recv)
    }

    /// A datagram of the session.
    pub fn datagram(&self, data: &[u8]) {
        self.connection.send_datagram([&[0], data].concat().into()).unwrap();
    }
}
