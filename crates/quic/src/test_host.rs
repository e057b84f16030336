//! The host of one end of an inner connection, as tests of several files have it.

use std::sync::Arc;

use quinn_proto::{EndpointConfig, RandomConnectionIdGenerator};

use crate::{HostConfig, QuicHost, ServerConfig};

/// Bytes of the ids that an exit gives.
pub(crate) const CONNECTION_ID_BYTES: usize = 16;

/// A client's; an exit's with what it lets in.
pub(crate) fn host(server: Option<ServerConfig>) -> QuicHost {
    let mut endpoint = EndpointConfig::default();
    endpoint.grease_quic_bit(false).max_udp_payload_size(16_236).unwrap();
    if server.is_some() {
        endpoint.cid_generator(|| Box::new(RandomConnectionIdGenerator::new(CONNECTION_ID_BYTES)));
    }
    QuicHost::new(HostConfig {
        endpoint: Arc::new(endpoint),
        server: server.map(Arc::new),
        retry_above: 64,
        max_connections: 64,
        mtu_discovery: true,
        rng_seed: Some([5; 32]),
    })
}
