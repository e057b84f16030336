//! The neighbours' sockets, one each, so that a relay sees as many address pairs as there would be.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};

/// What a buffer holds: the most that GRO puts together.
pub const BUFFER_BYTES: usize = 64 << 10;
/// What one send may hold beside its headers.
const SEND_BYTES_MAX: usize = 65_507;
const KERNEL_BUFFER_BYTES: usize = 8 << 20;

/// A bound loopback socket with segmentation and receive offload and large buffers.
pub struct Wire {
    pub io: UdpSocket,
    pub state: UdpSocketState,
}

impl Wire {
    pub fn bind() -> io::Result<Self> {
        Self::of(UdpSocket::bind("127.0.0.1:0")?)
    }

    /// The same with a socket that is bound already.
    pub fn of(io: UdpSocket) -> io::Result<Self> {
        let state = UdpSocketState::new((&io).into())?;
        // Less than asked for is slower under bursts, not wrong.
        let _ = state.set_recv_buffer_size((&io).into(), KERNEL_BUFFER_BYTES);
        let _ = state.set_send_buffer_size((&io).into(), KERNEL_BUFFER_BYTES);
        Ok(Self { io, state })
    }

    /// How many packets one send takes.
    pub fn packets_per_send(&self, packet_bytes: usize) -> usize {
        self.state.max_gso_segments().min(SEND_BYTES_MAX / packet_bytes).max(1)
    }

    /// One receive: how many buffers were filled.
    pub fn receive(&self, buffers: &mut [Vec<u8>], meta: &mut [RecvMeta; BATCH_SIZE]) -> usize {
        let count = buffers.len().min(BATCH_SIZE);
        let mut rest = buffers.iter_mut();
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(rest.next().map_or(&mut [], |b| b.as_mut_slice())));
        // What is not "nothing there" is an ICMP error of some earlier send, which counts as a loss.
        self.state.recv((&self.io).into(), &mut slices[..count], &mut meta[..count]).unwrap_or(0)
    }

    /// Datagrams of `segment` bytes behind one another; whether the kernel took them.
    pub fn send(&self, to: SocketAddr, contents: &[u8], segment: usize) -> bool {
        let segment_size = (contents.len() > segment).then_some(segment);
        let transmit = Transmit { destination: to, ecn: None, contents, segment_size, src_ip: None };
        self.state.try_send((&self.io).into(), &transmit).is_ok()
    }
}

/// All neighbours of a relay.
pub struct Wires {
    pub wires: Vec<Wire>,
    buffers: Vec<Vec<u8>>,
    meta: [RecvMeta; BATCH_SIZE],
}

impl Wires {
    pub fn bind(neighbours: usize) -> io::Result<Self> {
        let wires = (0..neighbours).map(|_| Wire::bind()).collect::<io::Result<_>>()?;
        Ok(Self { wires, buffers: vec![vec![0; BUFFER_BYTES]; BATCH_SIZE], meta: [RecvMeta::default(); BATCH_SIZE] })
    }

    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.wires.iter().map(|w| w.io.local_addr()).collect()
    }

    /// One receive of each neighbour: its number, datagrams behind one another, and how far they lie apart. Whether anything
    /// came.
    pub fn receive(&mut self, mut each: impl FnMut(usize, &mut [u8], usize)) -> bool {
        let Self { wires, buffers, meta } = self;
        let mut any = false;
        for (at, wire) in wires.iter().enumerate() {
            let count = wire.receive(buffers, meta);
            for (meta, buffer) in meta.iter().zip(buffers.iter_mut()).take(count) {
                any = true;
                each(at, &mut buffer[..meta.len], meta.stride.max(1));
            }
        }
        any
    }
}
