//! A UDP socket that reads and writes many datagrams a system call (GRO, GSO, recvmmsg), around quinn-udp.
//!
//! Invariant: each datagram is handed on in a buffer of its own. QUIC deciphers it there in place and the relay works on
//! it there; buffers cut from one receive would be shared, and have to be copied to be changed.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use bytes::BytesMut;
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use wayfare_quic::{EcnCodepoint, LINK_MTU_MAX, Transmit};

/// What a buffer holds: the most that GRO puts together.
const BUFFER_BYTES: usize = 64 << 10;
/// The largest UDP payload over IPv4.
const UDP_BYTES_MAX: usize = 65_507;
/// Asked of the kernel, which gives what it may: bursts of several connections arrive before this thread's next turn.
const KERNEL_BUFFER_BYTES: usize = 8 << 20;

/// Buffers of one receive, shared by all sockets of a node.
pub struct Receiver {
    buffers: Vec<Vec<u8>>,
    meta: [RecvMeta; BATCH_SIZE],
}

/// One datagram as it arrived.
pub struct Arrived {
    pub remote: SocketAddr,
    pub local_ip: Option<IpAddr>,
    pub ecn: Option<EcnCodepoint>,
    pub data: BytesMut,
}

/// A bound socket.
pub struct Udp {
    io: tokio::net::UdpSocket,
    state: UdpSocketState,
    address: SocketAddr,
}

impl Receiver {
    pub fn new() -> Self {
        Self { buffers: Vec::new(), meta: [RecvMeta::default(); BATCH_SIZE] }
    }
}

impl Udp {
    /// Binds; an IPv6 socket takes IPv6 only, so that both families can have the same port.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let socket: std::net::UdpSocket = socket.into();
        let state = UdpSocketState::new((&socket).into())?;
        // Less than asked for is slower under bursts, not wrong.
        let _ = state.set_recv_buffer_size((&socket).into(), KERNEL_BUFFER_BYTES);
        let _ = state.set_send_buffer_size((&socket).into(), KERNEL_BUFFER_BYTES);
        let address = socket.local_addr()?;
        Ok(Self { io: tokio::net::UdpSocket::from_std(socket)?, state, address })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether no router may cut its datagrams, so that path MTU discovery works.
    pub fn keeps_whole(&self) -> bool {
        !self.state.may_fragment()
    }

    /// How many datagrams of one size one send takes: what the kernel cuts, and what one IP packet holds uncut. A batch
    /// beyond that is refused whole.
    pub fn max_segments(&self) -> usize {
        self.state.max_gso_segments().min(UDP_BYTES_MAX / LINK_MTU_MAX)
    }

    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.io.poll_recv_ready(cx).map(|_| ())
    }

    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.io.poll_send_ready(cx).map(|_| ())
    }

    /// One receive; whether anything came.
    pub fn receive(&self, receiver: &mut Receiver, mut each: impl FnMut(Arrived)) -> bool {
        if receiver.buffers.is_empty() {
            // Not before the first use: the pages of buffers that no burst ever reaches are never touched.
            receiver.buffers = (0..BATCH_SIZE).map(|_| vec![0; BUFFER_BYTES]).collect();
        }
        let Receiver { buffers, meta } = receiver;
        let mut buffers = buffers.iter_mut();
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(buffers.next().map_or(&mut [], |b| b.as_mut_slice())));
        let received =
            self.io.try_io(Interest::READABLE, || self.state.recv((&self.io).into(), &mut slices, &mut meta[..]));
        // What is not "nothing there" is an ICMP error of some earlier send: the connection's timers will notice.
        let Ok(count) = received else { return false };
        for (meta, buffer) in meta.iter().zip(&slices).take(count) {
            for segment in buffer[..meta.len].chunks(meta.stride.max(1)) {
                each(Arrived {
                    remote: meta.addr,
                    local_ip: meta.dst_ip,
                    ecn: meta.ecn.and_then(|ecn| EcnCodepoint::from_bits(ecn as u8)),
                    data: BytesMut::from(segment),
                });
            }
        }
        count > 0
    }

    /// Sends one transmit; `false` if the kernel's buffer is full. Other errors are losses, which QUIC mends.
    pub fn send(&self, transmit: &Transmit, contents: &[u8]) -> bool {
        let sent = self.io.try_io(Interest::WRITABLE, || {
            self.state.send(
                (&self.io).into(),
                &quinn_udp::Transmit {
                    destination: transmit.destination,
                    ecn: transmit.ecn.and_then(|ecn| quinn_udp::EcnCodepoint::from_bits(ecn as u8)),
                    contents,
                    segment_size: transmit.segment_size,
                    src_ip: transmit.src_ip,
                },
            )
        });
        !matches!(sent, Err(e) if e.kind() == io::ErrorKind::WouldBlock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test(flavor = "current_thread")]
    async fn a_batch_of_equal_segments_arrives_as_single_datagrams_in_order() {
        let (a, b) =
            (Udp::bind("127.0.0.1:0".parse().unwrap()).unwrap(), Udp::bind("127.0.0.1:0".parse().unwrap()).unwrap());
        let segments = a.max_segments().min(10);
        let contents: Vec<u8> = (0..segments).flat_map(|i| [i as u8; 1200]).collect();
        let transmit = Transmit {
            destination: b.address(),
            ecn: Some(EcnCodepoint::Ect0),
            size: contents.len(),
            segment_size: (segments > 1).then_some(1200),
            src_ip: None,
        };
        poll_fn(|cx| a.poll_writable(cx)).await;
        assert!(a.send(&transmit, &contents));
        let (mut receiver, mut got) = (Receiver::new(), Vec::new());
        while got.len() < segments {
            poll_fn(|cx| b.poll_readable(cx)).await;
            b.receive(&mut receiver, |d| got.push((d.remote, d.ecn, d.data.to_vec())));
        }
        let expected: Vec<_> =
            (0..segments).map(|i| (a.address(), Some(EcnCodepoint::Ect0), vec![i as u8; 1200])).collect();
        assert_eq!(got, expected);
        assert!(!b.receive(&mut receiver, |_| panic!("nothing else was sent")));
    }
}
