//! One port for neighbours and browsers: which TLS configuration answers is chosen once the ClientHello is whole.
//!
//! Neighbours must prove an identity with a raw public key, browsers want a certificate and prove nothing here; no one rustls
//! configuration does both, and quinn-proto takes one before it has seen what the client offers. So the session in front
//! holds the handshake's first bytes, reads the protocols offered, and hands everything to the session that is meant.
//!
//! Invariant: never holds more than `HELLO_BYTES_MAX`; whoever offers the link protocol gets exactly the link's session, and
//! whoever offers neither is refused by it (TLS alert 120).

use std::any::Any;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use quinn_proto::crypto::rustls::QuicServerConfig;
use quinn_proto::crypto::{
    self, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, Session, UnsupportedVersion,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectionId, ServerConfig, Side, TransportConfig, TransportError, TransportErrorCode, VarInt};
use rustls::Error;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::hello;
use crate::tls::{self, Identity, LINK_ALPN};

/// The ALPN of HTTP/3, on which WebTransport runs (RFC 9114).
pub const WEB_ALPN: &[u8] = b"h3";
/// What HTTP/3 needs at once (three, RFC 9114 section 6.2) and some for greasing.
const WEB_UNI_STREAMS: u32 = 8;
/// More than any client says at first; quinn-proto's own limit on handshake bytes.
const HELLO_BYTES_MAX: usize = 16 << 10;
/// TLS alert decode_error.
const DECODE_ERROR: u8 = 50;

/// What browsers are shown: a self-signed P-256 certificate (DER) and its key (PKCS#8).
#[derive(Clone)]
pub struct WebCertificate {
    certificate: CertificateDer<'static>,
    config: Arc<QuicServerConfig>,
}

impl WebCertificate {
    /// # Errors
    /// For a key that is no P-256 key, or not the certificate's.
    pub fn new(certificate: &[u8], key: &[u8]) -> Result<Self, Error> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key)
            .map_err(|_| Error::General("the key is no P-256 key in PKCS#8".into()))?;
        let certificate = CertificateDer::from(certificate.to_vec());
        let mut tls = rustls::ServerConfig::builder_with_provider(tls::web_crypto())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], PrivatePkcs8KeyDer::from(key).clone_key().into())?;
        tls.alpn_protocols = vec![WEB_ALPN.to_vec()];
        tls::forget_sessions(&mut tls);
        let config = Arc::new(QuicServerConfig::try_from(tls).map_err(tls::no_suite)?);
        Ok(Self { certificate, config })
    }

    /// What a descriptor names and a browser pins: SHA-256 of the DER.
    pub fn hash(&self) -> [u8; 32] {
        certificate_hash(&self.certificate)
    }
}

/// SHA-256, as `serverCertificateHashes` has it.
pub fn certificate_hash(certificate: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, certificate).as_ref());
    hash
}

/// Accepts links from any node and, with a certificate, WebTransport from any browser.
pub fn listener(
    id: &Identity,
    web: Option<&WebCertificate>,
    mut transport: TransportConfig,
) -> Result<ServerConfig, Error> {
    let link = tls::link_crypto(id)?;
    if web.is_some() {
        transport.max_concurrent_uni_streams(VarInt::from_u32(WEB_UNI_STREAMS));
    }
    Ok(tls::server_config(
        match web {
            None => link,
            Some(web) => Arc::new(Chooser { link, web: web.config.clone() }),
        },
        transport,
    ))
}

struct Chooser {
    link: Arc<dyn crypto::ServerConfig>,
    web: Arc<QuicServerConfig>,
}

impl crypto::ServerConfig for Chooser {
    fn initial_keys(&self, version: u32, dst_cid: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        self.link.initial_keys(version, dst_cid)
    }

    fn retry_tag(&self, version: u32, orig_dst_cid: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.link.retry_tag(version, orig_dst_cid, packet)
    }

    fn start_session(self: Arc<Self>, version: u32, params: &TransportParameters) -> Box<dyn Session> {
        let choice = Choice { web: self.web.clone(), version, params: *params, held: Vec::new() };
        Box::new(Chosen { session: self.link.clone().start_session(version, params), choice: Some(choice) })
    }
}

/// Of a session that has not seen its whole ClientHello.
struct Choice {
    web: Arc<QuicServerConfig>,
    version: u32,
    params: TransportParameters,
    held: Vec<u8>,
}

struct Chosen {
    /// The link's, untouched, until something else is chosen.
    session: Box<dyn Session>,
    choice: Option<Choice>,
}

impl Session for Chosen {
    fn initial_keys(&self, dst_cid: &ConnectionId, side: Side) -> Keys {
        self.session.initial_keys(dst_cid, side)
    }
    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        self.session.handshake_data()
    }
    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        self.session.peer_identity()
    }
    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        self.session.early_crypto()
    }
    fn early_data_accepted(&self) -> Option<bool> {
        self.session.early_data_accepted()
    }
    fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }
    fn read_handshake(&mut self, buf: &[u8]) -> Result<bool, TransportError> {
        let Some(mut choice) = self.choice.take() else { return self.session.read_handshake(buf) };
        if choice.held.len() + buf.len() > HELLO_BYTES_MAX {
            return Err(TransportError {
                code: TransportErrorCode::crypto(DECODE_ERROR),
                frame: None,
                reason: "the ClientHello is too long".into(),
            });
        }
        choice.held.extend_from_slice(buf);
        match hello::offered(&choice.held) {
            Ok(None) => {
                self.choice = Some(choice);
                return Ok(false);
            }
            Ok(Some(offer)) if offer.has(WEB_ALPN) && !offer.has(LINK_ALPN) => {
                self.session = crypto::ServerConfig::start_session(choice.web, choice.version, &choice.params);
            }
            // What offers nothing known, or is broken, is refused by rustls with the alert that is due.
            Ok(Some(_)) | Err(hello::Malformed) => {}
        }
        self.session.read_handshake(&choice.held)
    }
    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        self.session.transport_parameters()
    }
    fn write_handshake(&mut self, buf: &mut Vec<u8>) -> Option<Keys> {
        self.session.write_handshake(buf)
    }
    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        self.session.next_1rtt_keys()
    }
    fn is_valid_retry(&self, orig_dst_cid: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        self.session.is_valid_retry(orig_dst_cid, header, payload)
    }
    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        self.session.export_keying_material(output, label, context)
    }
}

#[cfg(test)]
#[path = "listener_tests.rs"]
mod tests;
