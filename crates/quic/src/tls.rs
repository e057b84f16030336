//! TLS 1.3 with raw public keys (RFC 7250): a node's identity is its Ed25519 key, on links proven by both sides, inside
//! circuits by the exit alone. Links take the hybrid X25519MLKEM768 only: a peer that offers classical groups is refused, so
//! that what is recorded today stays closed to a quantum computer. Inner connections run inside an onion layer that is
//! hybrid already, between exactly these two ends, and save the bytes; their application data is left to that layer's cipher.

use std::sync::Arc;

use quinn_proto::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use quinn_proto::{ClientConfig, NoneTokenStore, ServerConfig, TransportConfig, ValidationTokenConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use wayfare_types::NodeId;
use zeroize::Zeroizing;

use crate::bare::OnCircuits;
use crate::provider::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use crate::provider::{self, cipher_suite};

/// The ALPN of links; a later incompatible version has another.
pub const LINK_ALPN: &[u8] = b"wayfare-link/1";
/// The ALPN of inner connections.
pub const INNER_ALPN: &[u8] = b"wayfare-inner/2";
/// TLS wants a name; peers are known by their keys, so all are called this.
pub const SERVER_NAME: &str = "wayfare";

/// An Ed25519 SubjectPublicKeyInfo up to the key (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// A PKCS#8 Ed25519 private key up to the seed (RFC 8410).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A node's Ed25519 key pair.
pub struct Identity {
    pair: Ed25519KeyPair,
    certified: Arc<CertifiedKey>,
    id: NodeId,
}

impl Identity {
    /// The identity that a 32-byte seed stands for (RFC 8032).
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, Error> {
        let broken = || Error::General("the Ed25519 seed was refused".into());
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| broken())?;
        let id = NodeId(pair.public_key().as_ref().try_into().map_err(|_| broken())?);
        let pkcs8 = Zeroizing::new([&PKCS8_PREFIX[..], seed].concat());
        let key = provider::default_provider()
            .key_provider
            .load_private_key(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.as_slice())).clone_key())?;
        let spki = CertificateDer::from([&SPKI_PREFIX[..], &id.0].concat());
        Ok(Self { pair, certified: Arc::new(CertifiedKey::new(vec![spki], key)), id })
    }

    /// Its public half.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Signs a message (RFC 8032).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut out = [0; 64];
        out.copy_from_slice(self.pair.sign(message).as_ref());
        out
    }
}

/// Whether `signature` is `id`'s over `message`.
pub fn verify(id: &NodeId, message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, id.0).verify(message, signature).is_ok()
}

/// The node whose raw public key a handshake presented.
pub(crate) fn node_id(spki: &[u8]) -> Option<NodeId> {
    let key = spki.strip_prefix(&SPKI_PREFIX)?;
    Some(NodeId(key.try_into().ok()?))
}

fn crypto(hybrid: bool) -> Arc<CryptoProvider> {
    let mut p = provider::default_provider();
    p.cipher_suites = vec![
        cipher_suite::TLS13_AES_128_GCM_SHA256,
        cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    p.kx_groups = if hybrid { provider::hybrid_groups() } else { provider::classical_groups() };
    Arc::new(p)
}

/// A raw-key verifier: `expected` or, for a server that takes anyone, any well-formed Ed25519 key.
#[derive(Debug)]
struct RawKey {
    expected: Option<NodeId>,
    provider: Arc<CryptoProvider>,
}

impl RawKey {
    fn check(&self, spki: &CertificateDer<'_>) -> Result<(), Error> {
        let id = node_id(spki).ok_or_else(|| Error::General("not an Ed25519 raw public key".into()))?;
        match self.expected {
            Some(expected) if expected != id => Err(Error::General(format!("the peer is {id}, not {expected}"))),
            _ => Ok(()),
        }
    }

    fn signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, dss, &self.provider.signature_verification_algorithms)
    }
}

fn no_tls12<T>() -> Result<T, Error> {
    Err(Error::General("TLS 1.2 is not spoken here".into()))
}

impl ServerCertVerifier for RawKey {
    fn verify_server_cert(
        &self,
        key: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(key).map(|()| ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, key, dss)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for RawKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }
    fn verify_client_cert(
        &self,
        key: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(key).map(|()| ClientCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, key, dss)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

pub(crate) fn no_suite(_: NoInitialCipherSuite) -> Error {
    Error::General("the provider lacks the suite of QUIC's initial packets".into())
}

/// Resumption would let an exit link a client's circuits, and on links it saves nothing that matters.
pub(crate) fn forget_sessions(tls: &mut rustls::ServerConfig) {
    tls.send_tls13_tickets = 0;
    tls.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
}

/// What answers browsers: those that know the hybrid group use it, older ones are not shut out.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn web_crypto() -> Arc<CryptoProvider> {
    let groups = [provider::hybrid_groups(), provider::classical_groups()].concat();
    Arc::new(CryptoProvider { kx_groups: groups, ..CryptoProvider::clone(&crypto(true)) })
}

fn raw_key_crypto(id: &Identity, link: bool) -> Result<Arc<QuicServerConfig>, Error> {
    let provider = crypto(link);
    let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let resolver = Arc::new(rustls::server::AlwaysResolvesServerRawPublicKeys::new(id.certified.clone()));
    let mut tls = if link {
        builder.with_client_cert_verifier(Arc::new(RawKey { expected: None, provider })).with_cert_resolver(resolver)
    } else {
        builder.with_no_client_auth().with_cert_resolver(resolver)
    };
    tls.alpn_protocols = vec![if link { LINK_ALPN } else { INNER_ALPN }.to_vec()];
    forget_sessions(&mut tls);
    Ok(Arc::new(QuicServerConfig::try_from(tls).map_err(no_suite)?))
}

pub(crate) fn link_crypto(id: &Identity) -> Result<Arc<QuicServerConfig>, Error> {
    raw_key_crypto(id, true)
}

pub(crate) fn server_config(
    crypto: Arc<dyn quinn_proto::crypto::ServerConfig>,
    transport: TransportConfig,
) -> ServerConfig {
    let mut config = ServerConfig::with_crypto(crypto);
    let mut tokens = ValidationTokenConfig::default();
    tokens.sent(0);
    config.transport_config(Arc::new(transport)).validation_token_config(tokens).migration(true);
    config
}

fn client(id: Option<&Identity>, expected: NodeId, transport: TransportConfig) -> Result<ClientConfig, Error> {
    let provider = crypto(id.is_some());
    let verifier = Arc::new(RawKey { expected: Some(expected), provider: provider.clone() });
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut tls = match id {
        Some(id) => builder.with_client_cert_resolver(Arc::new(
            rustls::client::AlwaysResolvesClientRawPublicKeys::new(id.certified.clone()),
        )),
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![if id.is_some() { LINK_ALPN } else { INNER_ALPN }.to_vec()];
    tls.resumption = rustls::client::Resumption::disabled();
    let tls = Arc::new(QuicClientConfig::try_from(tls).map_err(no_suite)?);
    let mut config = ClientConfig::new(if id.is_some() { tls } else { Arc::new(OnCircuits(tls)) });
    config.transport_config(Arc::new(transport)).token_store(Arc::new(NoneTokenStore));
    Ok(config)
}

/// Accepts links from any node, whose identity the handshake proves.
pub fn link_server(id: &Identity, transport: TransportConfig) -> Result<ServerConfig, Error> {
    Ok(server_config(link_crypto(id)?, transport))
}

/// Dials `expected` and nobody else, proving who we are.
pub fn link_client(id: &Identity, expected: NodeId, transport: TransportConfig) -> Result<ClientConfig, Error> {
    client(Some(id), expected, transport)
}

/// The exit's side of inner connections.
pub fn inner_server(id: &Identity, transport: TransportConfig) -> Result<ServerConfig, Error> {
    Ok(server_config(Arc::new(OnCircuits(raw_key_crypto(id, false)?)), transport))
}

/// The client's side: nameless itself, it accepts the exit `expected` only.
pub fn inner_client(expected: NodeId, transport: TransportConfig) -> Result<ClientConfig, Error> {
    client(None, expected, transport)
}
