//! A UDP socket that reads and writes many datagrams a system call (GRO, GSO, recvmmsg), around quinn-udp.
//!
//! Fast packets are worked in the buffers that a receive filled, and leave from there. QUIC's datagrams are copied out, each
//! into a buffer of its own, where QUIC deciphers it in place.

use std::cell::Cell;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use wayfare_quic::{EcnCodepoint, LINK_MTU_MAX, Transmit};

use crate::polled::Polled;
use crate::{gather, parking};

/// What a buffer holds: the most that GRO puts together.
const BUFFER_BYTES: usize = 64 << 10;
/// The largest UDP payload over IPv4.
const UDP_BYTES_MAX: usize = 65_507;
/// Asked of the kernel, which gives what it may: bursts of several connections arrive before this thread's next turn.
const KERNEL_BUFFER_BYTES: usize = 8 << 20;

/// What one receive is to bring at most, about: worked while it is in the cache, and passed on before the next node has run dry. More
/// where it goes on to many, each of whom a larger share can be sent of it at once.
const RECEIVE_BYTES: usize = 256 << 10;

/// Buffers that hold so much where each is full.
const BUFFERS_MIN: usize =
    if BATCH_SIZE < RECEIVE_BYTES / BUFFER_BYTES { BATCH_SIZE } else { RECEIVE_BYTES / BUFFER_BYTES };

/// How many buffers to receive next, where so many held so many bytes.
fn buffers_for(count: usize, bytes: usize) -> usize {
    (RECEIVE_BYTES * count / bytes.max(1)).clamp(BUFFERS_MIN, BATCH_SIZE)
}

/// Buffers of one receive, shared by all sockets of a node.
pub struct Receiver {
    pub buffers: Vec<Vec<u8>>,
    meta: [RecvMeta; BATCH_SIZE],
    /// How many of them the next receive is to fill.
    next: usize,
}

/// What one buffer of a receive holds: datagrams of one sender, behind one another.
#[derive(Clone, Copy)]
pub struct Filled {
    pub remote: SocketAddr,
    pub local_ip: Option<IpAddr>,
    pub ecn: Option<EcnCodepoint>,
    pub bytes: usize,
    /// Bytes from one to the next; the last may be shorter.
    pub stride: usize,
}

/// A bound socket.
pub struct Udp {
    io: Polled,
    state: UdpSocketState,
    address: SocketAddr,
    /// Whether the kernel cuts what is sent; until it says that it does not.
    segmentation: Cell<bool>,
}

impl Receiver {
    pub fn new() -> Self {
        Self { buffers: Vec::new(), meta: [RecvMeta::default(); BATCH_SIZE], next: BATCH_SIZE }
    }

    /// What the last receive brought was passed on to so many neighbours.
    pub fn passed_on(&mut self, neighbours: usize) {
        self.next = self.next.max(neighbours.min(BATCH_SIZE));
    }

    /// What the last receive put into buffer `index`.
    pub fn filled(&self, index: usize) -> Filled {
        let meta = &self.meta[index];
        Filled {
            remote: meta.addr,
            local_ip: meta.dst_ip,
            ecn: meta.ecn.and_then(|ecn| EcnCodepoint::from_bits(ecn as u8)),
            bytes: meta.len,
            stride: meta.stride.max(1),
        }
    }
}

impl Udp {
    /// Binds; an IPv6 socket takes IPv6 only, so that both families can have the same port. Without `offload` each system call
    /// moves single datagrams only, as on systems that cannot do more.
    /// `shared`: several sockets have the address, and the kernel decides by a datagram's addresses which of them gets it.
    pub fn bind(address: SocketAddr, offload: bool, shared: bool) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        #[cfg(unix)]
        if shared {
            socket.set_reuse_port(true)?;
        }
        #[cfg(not(unix))]
        let _ = shared;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let socket: std::net::UdpSocket = socket.into();
        let state = UdpSocketState::new((&socket).into())?;
        // Less than asked for is slower under bursts, not wrong.
        let _ = state.set_recv_buffer_size((&socket).into(), KERNEL_BUFFER_BYTES);
        let _ = state.set_send_buffer_size((&socket).into(), KERNEL_BUFFER_BYTES);
        let address = socket.local_addr()?;
        if !offload {
            plain(&socket)?;
        }
        let segmentation = Cell::new(offload && state.max_gso_segments() > 1);
        Ok(Self { io: Polled::new(socket)?, state, address, segmentation })
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
        if self.segmentation.get() { self.state.max_gso_segments().min(UDP_BYTES_MAX / LINK_MTU_MAX) } else { 1 }
    }

    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.io.poll_readable(cx)
    }

    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.io.poll_writable(cx)
    }

    /// One receive; how many of the receiver's buffers it filled, from the first on.
    pub fn receive(&self, receiver: &mut Receiver) -> usize {
        if receiver.buffers.is_empty() {
            // Not before the first use: the pages of buffers that no burst ever reaches are never touched.
            receiver.buffers = (0..BATCH_SIZE).map(|_| vec![0; BUFFER_BYTES]).collect();
        }
        let Receiver { buffers, meta, next } = receiver;
        let mut buffers = buffers.iter_mut();
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(buffers.next().map_or(&mut [], |b| b.as_mut_slice())));
        let mut count = 0;
        // What fails otherwise than for want of datagrams is an ICMP error of some earlier send: the connection's timers will notice.
        let _ = self.io.read(|socket| {
            count = self.state.recv(socket.into(), &mut slices[..*next], &mut meta[..])?;
            // A kernel that had room for more has said that there is no more; it is only believed where no burst is on its way, since
            // being told anew costs more than to look once more.
            let alone = BATCH_SIZE > 1 && count == 1 && meta[0].len <= meta[0].stride;
            if alone { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        let bytes: usize = meta[..count].iter().map(|of| of.len).sum();
        parking::moved(bytes);
        if bytes > 0 {
            *next = buffers_for(count, bytes);
        }
        count
    }

    /// Sends `packets` datagrams of `segment` bytes each, behind one another in the slices; the last may be shorter. How many
    /// the kernel has dealt with, from the first on: fewer than all once its buffer is full. What fails otherwise is lost, as on
    /// any path.
    pub fn send_gathered(
        &self,
        to: SocketAddr,
        from: Option<IpAddr>,
        segment: usize,
        packets: usize,
        slices: &[IoSlice<'_>],
    ) -> usize {
        // A socket that is bound to one address has no other to send from.
        let from = from.filter(|_| self.address.ip().is_unspecified());
        gather::send_batch(&self.segmentation, segment, packets, slices, |segment, slices| {
            self.io.write(|socket| gather::send(socket, to, from, segment, slices))
        })
    }

    /// Sends one transmit; `false` if the kernel's buffer is full. Other errors are losses, which QUIC mends.
    pub fn send(&self, transmit: &Transmit, contents: &[u8]) -> bool {
        let sent = self.io.write(|socket| {
            self.state.send(
                socket.into(),
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

/// Switches off that the kernel puts datagrams together.
fn plain(socket: &std::net::UdpSocket) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::UdpGroSegment, &false)?;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = socket;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[test]
    fn a_receive_is_as_large_as_a_cache_likes_and_larger_for_many_neighbours() {
        // Full buffers, half full ones, single datagrams.
        assert_eq!(buffers_for(4, 4 * BUFFER_BYTES), BUFFERS_MIN);
        assert_eq!(buffers_for(BATCH_SIZE, BATCH_SIZE * BUFFER_BYTES / 2), (2 * BUFFERS_MIN).min(BATCH_SIZE));
        assert_eq!(buffers_for(3, 3 * 1411), BATCH_SIZE);
        let mut receiver = Receiver { next: BUFFERS_MIN, ..Receiver::new() };
        for (neighbours, buffers) in [(1, BUFFERS_MIN), (8, 8), (2, 8), (64, BATCH_SIZE)] {
            receiver.passed_on(neighbours);
            assert_eq!(receiver.next, buffers.min(BATCH_SIZE), "{neighbours} neighbours");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_batch_of_equal_segments_arrives_as_single_datagrams_in_order() {
        let (a, b) = (
            Udp::bind("127.0.0.1:0".parse().unwrap(), true, false).unwrap(),
            Udp::bind("127.0.0.1:0".parse().unwrap(), true, false).unwrap(),
        );
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
            for index in 0..b.receive(&mut receiver) {
                let Filled { remote, ecn, bytes, stride, .. } = receiver.filled(index);
                got.extend(receiver.buffers[index][..bytes].chunks(stride).map(|d| (remote, ecn, d.to_vec())));
            }
        }
        let expected: Vec<_> =
            (0..segments).map(|i| (a.address(), Some(EcnCodepoint::Ect0), vec![i as u8; 1200])).collect();
        assert_eq!(got, expected);
        assert_eq!(b.receive(&mut receiver), 0);
    }

    /// The second arrives before the first is read, with it, or after it was read and before it is waited for.
    #[tokio::test(flavor = "current_thread")]
    async fn a_datagram_that_comes_beside_another_is_waited_for_or_read_but_not_missed() {
        let (a, b) = (
            Udp::bind("127.0.0.1:0".parse().unwrap(), true, false).unwrap(),
            Udp::bind("127.0.0.1:0".parse().unwrap(), true, false).unwrap(),
        );
        let mut receiver = Receiver::new();
        for early in [true, false].repeat(20) {
            let send = || assert_eq!(a.send_gathered(b.address(), None, 5, 1, &[IoSlice::new(b"whole")]), 1);
            send();
            if early {
                send();
            }
            let mut bytes = 0;
            poll_fn(|cx| b.poll_readable(cx)).await;
            bytes += (0..b.receive(&mut receiver)).map(|index| receiver.filled(index).bytes).sum::<usize>();
            if !early {
                send();
            }
            while bytes < 10 {
                poll_fn(|cx| b.poll_readable(cx)).await;
                bytes += (0..b.receive(&mut receiver)).map(|index| receiver.filled(index).bytes).sum::<usize>();
            }
            assert_eq!((bytes, b.receive(&mut receiver)), (10, 0));
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_address_that_takes_nothing_costs_no_segmentation() {
        let socket = Udp::bind("127.0.0.1:0".parse().unwrap(), true, false).unwrap();
        poll_fn(|cx| socket.poll_writable(cx)).await;
        let before = socket.max_segments();
        // Port 0 is nobody's: Linux says EINVAL to that, as it does where it cannot cut.
        let contents = [7; 3600];
        let to = "127.0.0.1:0".parse().unwrap();
        assert_eq!(socket.send_gathered(to, None, 1200, 3, &[IoSlice::new(&contents)]), 3);
        assert_eq!(socket.max_segments(), before);
    }
}
