//! Cutting a UDP datagram into fragments, and the address that the first of them carries.

use std::net::{IpAddr, SocketAddr};

use wayfare_types::Reason;

use super::{FRAGMENT_HEADER, UDP_MAX};
use crate::Host;
use crate::read::Reader;

const NAME: u8 = 1;
const V4: u8 = 4;
const V6: u8 = 6;

/// Where a proxied UDP datagram goes, or comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UdpAddress {
    /// An address.
    Socket(SocketAddr),
    /// A name that the exit resolves.
    Name(Host, u16),
}

impl UdpAddress {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let port = match self {
            Self::Socket(socket) => {
                match socket.ip() {
                    IpAddr::V4(ip) => {
                        out.push(V4);
                        out.extend_from_slice(&ip.octets());
                    }
                    IpAddr::V6(ip) => {
                        out.push(V6);
                        out.extend_from_slice(&ip.octets());
                    }
                }
                socket.port()
            }
            Self::Name(host, port) => {
                out.push(NAME);
                host.emit(out);
                *port
            }
        };
        out.extend_from_slice(&port.to_be_bytes());
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Option<Self> {
        match r.u8()? {
            V4 => Some(Self::Socket(SocketAddr::new(IpAddr::from(r.array::<4>()?), r.u16()?))),
            V6 => Some(Self::Socket(SocketAddr::new(IpAddr::from(r.array::<16>()?), r.u16()?))),
            NAME => {
                let length = r.u8()?;
                let host = Host::from_bytes(r.slice(length.into())?).ok()?;
                Some(Self::Name(host, r.u16()?))
            }
            _ => None,
        }
    }
}

/// The fragments of one UDP datagram, written one by one into a buffer of the caller.
pub struct Fragments<'a> {
    association: u32,
    packet: u16,
    address: Vec<u8>,
    data: &'a [u8],
    room: usize,
    index: u8,
    count: u8,
}

impl<'a> Fragments<'a> {
    /// Cuts `data` so that no fragment exceeds `max_bytes`. `packet` tells the datagrams of an association apart and may
    /// wrap.
    ///
    /// # Errors
    /// [`Reason::FragmentMalformed`] when `data` is no UDP payload or 255 fragments of `max_bytes` cannot hold it.
    pub fn new(
        association: u32,
        packet: u16,
        address: &UdpAddress,
        data: &'a [u8],
        max_bytes: usize,
    ) -> Result<Self, Reason> {
        let mut encoded = Vec::with_capacity(32);
        address.encode(&mut encoded);
        let room = max_bytes.saturating_sub(FRAGMENT_HEADER);
        if data.len() > UDP_MAX || room < encoded.len().max(1) {
            return Err(Reason::FragmentMalformed);
        }
        let count = (encoded.len() + data.len()).div_ceil(room);
        let count = u8::try_from(count).map_err(|_| Reason::FragmentMalformed)?;
        Ok(Self { association, packet, address: encoded, data, room, index: 0, count })
    }

    /// How many fragments there are.
    pub fn count(&self) -> u8 {
        self.count
    }

    /// Replaces the contents of `out` by the next fragment; `false` when there is none.
    pub fn next_into(&mut self, out: &mut Vec<u8>) -> bool {
        if self.index == self.count {
            return false;
        }
        out.clear();
        out.extend_from_slice(&self.association.to_be_bytes());
        out.extend_from_slice(&self.packet.to_be_bytes());
        out.extend_from_slice(&[self.index, self.count]);
        let mut room = self.room;
        if self.index == 0 {
            out.extend_from_slice(&self.address);
            room -= self.address.len();
        }
        let (head, rest) = self.data.split_at(room.min(self.data.len()));
        out.extend_from_slice(head);
        self.data = rest;
        self.index += 1;
        true
    }
}
