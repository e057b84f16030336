//! The floor of every transfer: async quinn between two threads, one stream, the same flow control windows as a circuit's
//! inner connection, everything else as quinn has it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, Endpoint, EndpointConfig, TokioRuntime, TransportConfig, VarInt};
use wayfare_quic::tls::{self, Identity};
use wayfare_types::NodeId;

use crate::load::Fault;
use crate::socket;

/// The driver's default limit of one flow's window, and of all flows of a connection.
const STREAM_BYTES: u32 = 16 << 20;
const CONNECTION_BYTES: u32 = 32 << 20;

fn text(e: impl std::fmt::Display) -> Fault {
    e.to_string()
}

fn transport() -> TransportConfig {
    let mut t = TransportConfig::default();
    t.stream_receive_window(VarInt::from_u32(STREAM_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_BYTES))
        .send_window(CONNECTION_BYTES.into());
    t
}

/// A server that sends zeros on the first stream of every connection until it is stopped.
pub fn serve() -> Result<(SocketAddr, NodeId), Fault> {
    let identity = Identity::from_seed(&[21; 32]).map_err(text)?;
    let server = tls::inner_server(&identity, transport()).map_err(text)?;
    let socket = socket::bind().map_err(text)?;
    let address = socket.local_addr().map_err(text)?;
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let config = EndpointConfig::default();
            let Ok(endpoint) = Endpoint::new(config, Some(server), socket, Arc::new(TokioRuntime)) else { return };
            while let Some(incoming) = endpoint.accept().await {
                tokio::spawn(async move {
                    let Ok(connection) = incoming.await else { return };
                    let Ok((mut send, _)) = connection.accept_bi().await else { return };
                    let zeros = bytes::Bytes::from(vec![0; 256 << 10]);
                    while send.write_chunk(zeros.clone()).await.is_ok() {}
                });
            }
        });
    });
    Ok((address, identity.id()))
}

/// A fresh connection.
pub async fn connect(server: SocketAddr, id: NodeId) -> Result<Connection, Fault> {
    let config = tls::inner_client(id, transport()).map_err(text)?;
    let socket = socket::bind().map_err(text)?;
    let endpoint = Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime)).map_err(text)?;
    endpoint.connect_with(config, server, tls::SERVER_NAME).map_err(text)?.await.map_err(text)
}

/// Bytes that arrive within `time` of asking for them.
pub async fn download(connection: Connection, time: Duration) -> Result<u64, Fault> {
    let end = tokio::time::Instant::now() + time;
    let (mut send, mut receive) = connection.open_bi().await.map_err(text)?;
    send.write_all(&[0]).await.map_err(text)?;
    let mut got = 0;
    while let Ok(chunk) = tokio::time::timeout_at(end, receive.read_chunk(1 << 20, true)).await {
        got += chunk.map_err(text)?.map_or(0, |c| c.bytes.len() as u64);
    }
    connection.close(VarInt::from_u32(0), b"");
    Ok(got)
}
