//! A UDP socket with segmentation and receive offload for the generating ends of a measurement.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;

use bytes::BytesMut;
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use tokio::io::Interest;
use wayfare_quic::{EcnCodepoint, Transmit};

const BUFFER_BYTES: usize = 64 << 10;
const KERNEL_BUFFER_BYTES: usize = 8 << 20;
/// What one send may hold beside its headers.
const SEND_BYTES_MAX: usize = 65_507;
/// The largest datagram that link MTU discovery comes to.
const DATAGRAM_BYTES_MAX: usize = 1_452;

pub struct Socket {
    pub io: tokio::net::UdpSocket,
    state: UdpSocketState,
    buffers: Vec<Vec<u8>>,
}

/// A bound loopback socket with large buffers, for whoever wants to wrap it.
pub fn bind() -> io::Result<std::net::UdpSocket> {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    socket.set_nonblocking(true)?;
    let state = UdpSocketState::new((&socket).into())?;
    state.set_recv_buffer_size((&socket).into(), KERNEL_BUFFER_BYTES)?;
    state.set_send_buffer_size((&socket).into(), KERNEL_BUFFER_BYTES)?;
    Ok(socket)
}

impl Socket {
    pub fn new() -> io::Result<Self> {
        let socket = bind()?;
        let state = UdpSocketState::new((&socket).into())?;
        let buffers = vec![vec![0; BUFFER_BYTES]; BATCH_SIZE];
        Ok(Self { io: tokio::net::UdpSocket::from_std(socket)?, state, buffers })
    }

    /// How many datagrams one send takes: more than an IP packet holds would be refused, which quinn-udp hides.
    pub fn max_segments(&self) -> usize {
        self.state.max_gso_segments().min(SEND_BYTES_MAX / DATAGRAM_BYTES_MAX)
    }

    /// One receive; whether anything came.
    pub fn receive(&mut self, mut each: impl FnMut(SocketAddr, Option<EcnCodepoint>, BytesMut)) -> bool {
        let mut meta = [RecvMeta::default(); BATCH_SIZE];
        let mut buffers = self.buffers.iter_mut();
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(buffers.next().map_or(&mut [], |b| b.as_mut_slice())));
        let got = self.io.try_io(Interest::READABLE, || self.state.recv((&self.io).into(), &mut slices, &mut meta));
        let Ok(count) = got else { return false };
        for (meta, buffer) in meta.iter().zip(&slices).take(count) {
            for segment in buffer[..meta.len].chunks(meta.stride.max(1)) {
                let ecn = meta.ecn.and_then(|e| EcnCodepoint::from_bits(e as u8));
                each(meta.addr, ecn, BytesMut::from(segment));
            }
        }
        count > 0
    }

    /// Whether the kernel took it.
    pub fn send(&self, transmit: &Transmit, contents: &[u8]) -> bool {
        let sent = self.io.try_io(Interest::WRITABLE, || {
            let ecn = transmit.ecn.and_then(|e| quinn_udp::EcnCodepoint::from_bits(e as u8));
            let Transmit { destination, segment_size, src_ip, .. } = *transmit;
            self.state
                .send((&self.io).into(), &quinn_udp::Transmit { destination, ecn, contents, segment_size, src_ip })
        });
        !matches!(sent, Err(e) if e.kind() == io::ErrorKind::WouldBlock)
    }
}
