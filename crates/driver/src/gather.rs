//! One system call that sends many datagrams from where they lie: sendmsg with segmentation (UDP_SEGMENT) over several slices.
//!
//! Where the system has no such call, or its network card will not have it, the datagrams go out one by one.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};

use crate::polled::Socket;

/// Sends the slices' `packets` datagrams of `segment` bytes each, of which the last may be shorter, by calls of `send`: whole
/// where `segmentation` says that the kernel cuts, else one by one. How many are dealt with, from the first on: sent, or lost
/// for another reason than a full buffer, at which it stops.
///
/// A kernel refuses to cut for want of checksum offload or of the whole feature (Linux: udp(7), UDP_SEGMENT), but has the same
/// errors for addresses and sizes that it would not send a single datagram to or of. So segmentation ends only where the
/// first datagram passes alone.
pub(crate) fn send_batch(
    segmentation: &Cell<bool>,
    segment: usize,
    packets: usize,
    slices: &[IoSlice<'_>],
    mut send: impl FnMut(Option<u16>, &[IoSlice<'_>]) -> io::Result<()>,
) -> usize {
    let mut refused = false;
    if packets > 1 && segmentation.get() {
        match send(u16::try_from(segment).ok(), slices) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return 0,
            Err(e) => refused = refuses_segmentation(&e),
            Ok(()) => return packets,
        }
        if !refused {
            return packets;
        }
    }
    for (gone, datagram) in slices.iter().flat_map(|slice| slice.chunks(segment.max(1))).enumerate() {
        match send(None, &[IoSlice::new(datagram)]) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return gone,
            Ok(()) if refused => segmentation.set(false),
            _ => {}
        }
        refused = false;
    }
    packets
}

fn refuses_segmentation(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported || error.kind() == io::ErrorKind::InvalidInput || {
        // EIO, as Linux has it where a network card cannot compute the checksums.
        error.raw_os_error() == Some(5)
    }
}

/// Sends the slices' bytes as datagrams of `segment` bytes each, the last of which may be shorter.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn send(
    socket: &Socket,
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
    socket: &Socket,
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

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: usize = 100;
    const PACKETS: usize = 7;
    const EIO: i32 = 5;
    const EMSGSIZE: i32 = 90;

    /// Seven datagrams, the last of them short, in slices of three, one and three.
    fn batch() -> Vec<u8> {
        (0..PACKETS * SEGMENT - 40).map(|i| (i / SEGMENT) as u8).collect()
    }

    /// Sends the batch to a kernel that answers so; how many are gone, what it was given, whether it is to cut from now on.
    fn sent(mut kernel: impl FnMut(Option<u16>, u8) -> Option<io::Error>) -> (usize, Vec<(bool, u8)>, bool) {
        let (bytes, segmentation, mut calls) = (batch(), Cell::new(true), Vec::new());
        let (first, rest) = bytes.split_at(3 * SEGMENT);
        let (second, third) = rest.split_at(SEGMENT);
        let gone = send_batch(
            &segmentation,
            SEGMENT,
            PACKETS,
            &[first, second, third].map(IoSlice::new),
            |segment, slices| {
                calls.push((segment.is_some(), slices[0][0]));
                assert!(segment.is_some() || slices[0].iter().all(|&b| b == slices[0][0]), "one datagram at a time");
                kernel(segment, slices[0][0]).map_or(Ok(()), Err)
            },
        );
        (gone, calls, segmentation.get())
    }

    fn full() -> Option<io::Error> {
        Some(io::ErrorKind::WouldBlock.into())
    }

    #[test]
    fn a_kernel_that_cuts_is_asked_once() {
        assert_eq!(sent(|_, _| None), (PACKETS, vec![(true, 0)], true));
        assert_eq!(sent(|_, _| full()), (0, vec![(true, 0)], true));
        // Lost on its way, as any of them may be.
        assert_eq!(sent(|_, _| Some(io::Error::from_raw_os_error(EMSGSIZE))), (PACKETS, vec![(true, 0)], true));
    }

    #[test]
    fn what_a_full_buffer_did_not_take_is_told() {
        for room in 0..PACKETS as u8 {
            let refuses = |error: fn() -> io::Error| {
                move |segment: Option<u16>, which: u8| match segment {
                    Some(_) => Some(error()),
                    None if which >= room => full(),
                    None => None,
                }
            };
            let (gone, calls, cuts) = sent(refuses(|| io::Error::from_raw_os_error(EIO)));
            assert_eq!((gone, calls.len()), (usize::from(room), usize::from(room) + 2));
            // Nothing is known before the first has gone.
            assert_eq!(cuts, room == 0);
        }
    }

    #[test]
    fn segmentation_ends_only_where_it_is_what_was_refused() {
        let refusals: [fn() -> io::Error; 3] = [
            || io::ErrorKind::InvalidInput.into(),
            || io::ErrorKind::Unsupported.into(),
            || io::Error::from_raw_os_error(EIO),
        ];
        for refusal in refusals {
            let (gone, calls, cuts) = sent(|segment, _| segment.map(|_| refusal()));
            assert_eq!((gone, calls.len(), cuts), (PACKETS, 1 + PACKETS, false));
            // A neighbour that takes no datagram at all, or none of this size.
            for error in [refusal, || io::Error::from_raw_os_error(EMSGSIZE)] {
                let (gone, _, cuts) = sent(|segment, _| Some(if segment.is_some() { refusal() } else { error() }));
                assert_eq!((gone, cuts), (PACKETS, true));
            }
            // The short one at the end passes, which says nothing of the others.
            let (gone, _, cuts) = sent(|segment, which| (segment.is_some() || which < 6).then(refusal));
            assert_eq!((gone, cuts), (PACKETS, true));
        }
    }
}
