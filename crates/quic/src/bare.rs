//! Inner connections leave the cipher of their application data to the circuit (docs/decisions/0010-inner-cipher.md).
//!
//! The exit's onion layer is an AEAD between exactly the two ends of an inner connection. TLS still proves the exit's identity,
//! under its own keys; from then on (QUIC's 1-RTT packets, RFC 9001 section 4) packets go as they are.
//!
//! Invariant: no packet of such a connection leaves for anything but a circuit, and none comes in but from one.

use std::any::Any;
use std::sync::Arc;

use bytes::BytesMut;
use quinn_proto::crypto::{
    ClientConfig, CryptoError, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, ServerConfig, Session,
    UnsupportedVersion,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectError, ConnectionId, Side, TransportError};

/// A configuration, of either side, whose sessions are [`CircuitSession`]s.
pub(crate) struct OnCircuits<C>(pub Arc<C>);

impl<C: ClientConfig> ClientConfig for OnCircuits<C> {
    fn start_session(
        self: Arc<Self>,
        version: u32,
        server_name: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        Ok(CircuitSession::boxed(self.0.clone().start_session(version, server_name, params)?))
    }
}

impl<C: ServerConfig> ServerConfig for OnCircuits<C> {
    fn initial_keys(&self, version: u32, dst_cid: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        self.0.initial_keys(version, dst_cid)
    }
    fn retry_tag(&self, version: u32, orig_dst_cid: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.0.retry_tag(version, orig_dst_cid, packet)
    }
    fn start_session(self: Arc<Self>, version: u32, params: &TransportParameters) -> Box<dyn Session> {
        CircuitSession::boxed(self.0.clone().start_session(version, params))
    }
}

/// TLS whose handshake is its own, and whose 1-RTT packets are the circuit's to seal.
struct CircuitSession {
    tls: Box<dyn Session>,
    /// The keys of handshake packets have been handed out: the next are those of 1-RTT packets.
    handshake_keyed: bool,
}

impl CircuitSession {
    fn boxed(tls: Box<dyn Session>) -> Box<dyn Session> {
        Box::new(Self { tls, handshake_keyed: false })
    }
}

fn bare() -> KeyPair<Box<dyn PacketKey>> {
    KeyPair { local: Box::new(Bare), remote: Box::new(Bare) }
}

impl Session for CircuitSession {
    fn write_handshake(&mut self, buf: &mut Vec<u8>) -> Option<Keys> {
        let keys = self.tls.write_handshake(buf)?;
        if !std::mem::replace(&mut self.handshake_keyed, true) {
            return Some(keys);
        }
        Some(Keys { header: KeyPair { local: Box::new(Bare), remote: Box::new(Bare) }, packet: bare() })
    }
    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        Some(bare())
    }
    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        None
    }
    fn early_data_accepted(&self) -> Option<bool> {
        None
    }
    fn initial_keys(&self, dst_cid: &ConnectionId, side: Side) -> Keys {
        self.tls.initial_keys(dst_cid, side)
    }
    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        self.tls.handshake_data()
    }
    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        self.tls.peer_identity()
    }
    fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }
    fn read_handshake(&mut self, buf: &[u8]) -> Result<bool, TransportError> {
        self.tls.read_handshake(buf)
    }
    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        self.tls.transport_parameters()
    }
    fn is_valid_retry(&self, orig_dst_cid: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        self.tls.is_valid_retry(orig_dst_cid, header, payload)
    }
    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        self.tls.export_keying_material(output, label, context)
    }
}

/// No cipher: nothing is changed, nothing is added, nothing wears out.
struct Bare;

impl PacketKey for Bare {
    fn encrypt(&self, _: u64, _: &mut [u8], _: usize) {}
    fn decrypt(&self, _: u64, _: &[u8], _: &mut BytesMut) -> Result<(), CryptoError> {
        Ok(())
    }
    fn tag_len(&self) -> usize {
        0
    }
    fn confidentiality_limit(&self) -> u64 {
        u64::MAX
    }
    fn integrity_limit(&self) -> u64 {
        u64::MAX
    }
}

impl HeaderKey for Bare {
    fn decrypt(&self, _: usize, _: &mut [u8]) {}
    fn encrypt(&self, _: usize, _: &mut [u8]) {}
    fn sample_size(&self) -> usize {
        0
    }
}

#[cfg(test)]
#[path = "bare_tests.rs"]
mod tests;
