//! One system call that sends many datagrams from where they lie: sendmsg with segmentation (UDP_SEGMENT) over several slices.
//!
//! Where the system has no such call, or its network card will not have it, the datagrams go out one by one.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};

use tokio::net::UdpSocket;

/// Sends the slices' bytes as datagrams of `segment` bytes each, the last of which may be shorter.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn send(
    socket: &UdpSocket,
    to: SocketAddr,
    from: Option<IpAddr>,
    segment: Option<u16>,
    slices: &[IoSlice<'_>],
) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    use nix::libc;
    use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};

    let (v4, v6);
    let mut control = Vec::with_capacity(2);
    if let Some(segment) = &segment {
        control.push(ControlMessage::UdpGsoSegments(segment));
    }
    match from {
        Some(IpAddr::V4(ip)) => {
            let s_addr = u32::from_ne_bytes(ip.octets());
            v4 = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            control.push(ControlMessage::Ipv4PacketInfo(&v4));
        }
        Some(IpAddr::V6(ip)) => {
            v6 = libc::in6_pktinfo { ipi6_ifindex: 0, ipi6_addr: libc::in6_addr { s6_addr: ip.octets() } };
            control.push(ControlMessage::Ipv6PacketInfo(&v6));
        }
        None => {}
    }
    let to = SockaddrStorage::from(to);
    sendmsg(socket.as_raw_fd(), slices, &control, MsgFlags::empty(), Some(&to)).map(drop).map_err(io::Error::from)
}

/// Likewise, in plain calls: only one datagram at a time.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn send(
    socket: &UdpSocket,
    to: SocketAddr,
    _: Option<IpAddr>,
    segment: Option<u16>,
    slices: &[IoSlice<'_>],
) -> io::Result<()> {
    if segment.is_some() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    match slices {
        [one] => socket.try_send_to(one, to).map(drop),
        several => {
            let bytes: Vec<u8> = several.iter().flat_map(|s| s.iter().copied()).collect();
            socket.try_send_to(&bytes, to).map(drop)
        }
    }
}
