//! Putting fragments together within fixed bounds.

use wayfare_types::{Counters, Reason};

use super::{UDP_MAX, UdpAddress};
use crate::read::Reader;

/// A UDP datagram as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Udp {
    pub association: u32,
    pub address: UdpAddress,
    pub data: Vec<u8>,
}

/// What may wait for missing fragments.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Incomplete datagrams of one association; one more pushes out its oldest.
    pub pending_per_association: usize,
    /// Bytes of all incomplete datagrams; more push out the oldest of all.
    pub bytes: usize,
    /// How long one may wait.
    pub lifetime_us: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { pending_per_association: 8, bytes: 256 * 1024, lifetime_us: 2_000_000 }
    }
}

struct Pending {
    association: u32,
    packet: u16,
    address: Option<UdpAddress>,
    parts: Vec<Option<Box<[u8]>>>,
    missing: usize,
    bytes: usize,
    expires_us: u64,
}

/// The incomplete datagrams of one inner connection, oldest first.
pub struct Reassembly {
    limits: Limits,
    pending: Vec<Pending>,
    bytes: usize,
}

/// What a slot in the table of parts costs, so that empty tables count as well.
const PART_BYTES: usize = size_of::<Option<Box<[u8]>>>();

impl Reassembly {
    /// Empty, within `limits`.
    pub fn new(limits: Limits) -> Self {
        Self { limits, pending: Vec::new(), bytes: 0 }
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the oldest incomplete datagram expires.
    pub fn deadline_us(&self) -> Option<u64> {
        self.pending.first().map(|p| p.expires_us)
    }

    /// Forgets what has waited too long, counting each as [`Reason::FragmentLost`].
    pub fn expire(&mut self, now_us: u64, counters: &mut Counters) {
        while self.deadline_us().is_some_and(|t| t <= now_us) {
            self.evict(0, counters);
        }
    }

    /// Forgets everything of an association that has ended; that is no loss and not counted.
    pub fn forget(&mut self, association: u32) {
        self.pending.retain(|p| p.association != association);
        self.bytes = self.pending.iter().map(|p| p.bytes).sum();
    }

    /// Takes a fragment; the datagram when it is complete. What makes room is counted as [`Reason::FragmentLost`].
    ///
    /// # Errors
    /// [`Reason::FragmentMalformed`] for a fragment that does not parse or contradicts its siblings.
    pub fn push(&mut self, now_us: u64, fragment: &[u8], counters: &mut Counters) -> Result<Option<Udp>, Reason> {
        self.expire(now_us, counters);
        let parsed = Fragment::parse(fragment).ok_or(Reason::FragmentMalformed)?;
        let Fragment { association, packet, index, count, address, data } = parsed;
        if let (1, Some(address)) = (count, &address) {
            return Ok(Some(Udp { association, address: address.clone(), data: data.into() }));
        }
        let at = match self.pending.iter().position(|p| (p.association, p.packet) == (association, packet)) {
            Some(at) => at,
            None => self.begin(now_us, association, packet, count, counters),
        };
        let Some(p) = self.pending.get_mut(at) else { return Err(Reason::FragmentMalformed) };
        if p.parts.len() != count.into() || p.bytes + data.len() > UDP_MAX + p.parts.len() * PART_BYTES {
            return Err(Reason::FragmentMalformed);
        }
        let part = &mut p.parts[usize::from(index)];
        if part.is_some() {
            // The network duplicates; the first copy counts.
            return Ok(None);
        }
        *part = Some(data.into());
        p.address = p.address.take().or(address);
        (p.bytes, p.missing) = (p.bytes + data.len(), p.missing - 1);
        self.bytes += data.len();
        if p.missing == 0 {
            let whole = self.pending.remove(at);
            self.bytes -= whole.bytes;
            let address = whole.address.ok_or(Reason::FragmentMalformed)?;
            let data = whole.parts.into_iter().flatten().collect::<Vec<_>>().concat();
            return Ok(Some(Udp { association, address, data }));
        }
        while self.bytes > self.limits.bytes && !self.pending.is_empty() {
            self.evict(0, counters);
        }
        Ok(None)
    }

    fn begin(&mut self, now_us: u64, association: u32, packet: u16, count: u8, counters: &mut Counters) -> usize {
        let mut mine = self.pending.iter().enumerate().filter(|(_, p)| p.association == association).map(|(at, _)| at);
        let (oldest, others) = (mine.next(), mine.count());
        if let Some(at) = oldest.filter(|_| others + 1 >= self.limits.pending_per_association.max(1)) {
            self.evict(at, counters);
        }
        let bytes = usize::from(count) * PART_BYTES;
        self.bytes += bytes;
        self.pending.push(Pending {
            association,
            packet,
            address: None,
            parts: vec![None; count.into()],
            missing: count.into(),
            bytes,
            expires_us: now_us.saturating_add(self.limits.lifetime_us),
        });
        self.pending.len() - 1
    }

    fn evict(&mut self, at: usize, counters: &mut Counters) {
        let lost = self.pending.remove(at);
        self.bytes -= lost.bytes;
        counters.count(Reason::FragmentLost);
    }
}

struct Fragment<'a> {
    association: u32,
    packet: u16,
    index: u8,
    count: u8,
    address: Option<UdpAddress>,
    data: &'a [u8],
}

impl<'a> Fragment<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut r = Reader::new(bytes);
        let (association, packet, index, count) = (r.u32()?, r.u16()?, r.u8()?, r.u8()?);
        if index >= count {
            return None;
        }
        let address = if index == 0 { Some(UdpAddress::decode(&mut r)?) } else { None };
        let data = r.rest();
        // A sender never cuts off nothing, and no UDP payload is larger.
        if (index > 0 && data.is_empty()) || data.len() > UDP_MAX {
            return None;
        }
        Some(Self { association, packet, index, count, address, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Host;
    use crate::datagram::{FRAGMENT_HEADER, Fragments};
    use proptest::prelude::*;
    use std::net::SocketAddr;

    fn any_address() -> impl Strategy<Value = UdpAddress> {
        prop_oneof![
            any::<SocketAddr>().prop_map(|a| UdpAddress::Socket(SocketAddr::new(a.ip(), a.port()))),
            ("[!-~]{1,255}", any::<u16>()).prop_map(|(h, p)| UdpAddress::Name(Host::new(&h).unwrap(), p)),
        ]
    }

    fn cut(packet: u16, address: &UdpAddress, data: &[u8], max_bytes: usize) -> Vec<Vec<u8>> {
        let mut fragments = Fragments::new(9, packet, address, data, max_bytes).unwrap();
        let (mut all, mut one) = (Vec::new(), Vec::new());
        while fragments.next_into(&mut one) {
            assert!(one.len() <= max_bytes);
            all.push(one.clone());
        }
        assert_eq!(all.len(), fragments.count().into());
        all
    }

    fn somewhere() -> UdpAddress {
        UdpAddress::Socket(SocketAddr::from(([192, 0, 2, 1], 53)))
    }

    proptest! {
        #[test]
        fn datagrams_of_every_size_round_trip_in_any_order(
            address in any_address(), size in prop_oneof![0..3000usize, Just(1472), Just(UDP_MAX)],
            max_bytes in 600..1300usize, seed: u64,
        ) {
            let data: Vec<u8> = (0..size).map(|i| (i as u64 ^ seed) as u8).collect();
            let mut all = cut(3, &address, &data, max_bytes);
            let n = all.len();
            all.rotate_left(seed as usize % n);
            all.swap(0, n / 2);
            let (mut reassembly, mut counters) = (Reassembly::new(Limits::default()), Counters::default());
            for (i, fragment) in all.iter().enumerate() {
                let got = reassembly.push(i as u64, fragment, &mut counters).unwrap();
                prop_assert_eq!(got.is_some(), i + 1 == n);
                if let Some(udp) = got {
                    prop_assert_eq!(udp, Udp { association: 9, address: address.clone(), data: data.clone() });
                }
            }
            prop_assert_eq!((reassembly.bytes(), counters.get(Reason::FragmentLost)), (0, 0));
        }

        #[test]
        fn arbitrary_fragments_never_panic_nor_pass_the_limit(
            fragments in prop::collection::vec((0..3u8, 0..3u8, 0..4u8, 0..4u8, prop::collection::vec(any::<u8>(), 0..40)), 0..60),
        ) {
            let limits = Limits { pending_per_association: 2, bytes: 200, lifetime_us: 5 };
            let (mut reassembly, mut counters) = (Reassembly::new(limits), Counters::default());
            for (now, (association, packet, index, count, rest)) in fragments.into_iter().enumerate() {
                let mut bytes = vec![0, 0, 0, association, 0, packet, index, count];
                bytes.extend(rest);
                let _ = reassembly.push(now as u64, &bytes, &mut counters);
                prop_assert!(reassembly.bytes() <= 200);
                prop_assert_eq!(reassembly.bytes(), reassembly.pending.iter().map(|p| p.bytes).sum::<usize>());
            }
        }
    }

    #[test]
    fn what_never_completes_is_evicted_by_number_and_time_and_counted() {
        let limits = Limits { pending_per_association: 4, ..Limits::default() };
        let (mut reassembly, mut counters) = (Reassembly::new(limits), Counters::default());
        for packet in 0..6 {
            let first = &cut(packet, &somewhere(), &[5; 1472], 1200)[0];
            assert_eq!(reassembly.push(u64::from(packet), first, &mut counters), Ok(None));
        }
        assert_eq!(counters.get(Reason::FragmentLost), 2);
        let second = &cut(5, &somewhere(), &[5; 1472], 1200)[1];
        assert!(reassembly.push(6, second, &mut counters).unwrap().is_some());
        reassembly.expire(limits.lifetime_us + 4, &mut counters);
        assert_eq!((counters.get(Reason::FragmentLost), reassembly.deadline_us(), reassembly.bytes()), (5, None, 0));
    }

    #[test]
    fn contradictions_are_refused() {
        let (mut reassembly, mut counters) = (Reassembly::new(Limits::default()), Counters::default());
        let fragments = cut(0, &somewhere(), &[5; 1472], 1200);
        let mut push = |bytes: &[u8]| reassembly.push(0, bytes, &mut counters);
        assert_eq!(push(&fragments[0][..FRAGMENT_HEADER + 6]), Err(Reason::FragmentMalformed));
        assert_eq!(push(&fragments[1][..FRAGMENT_HEADER]), Err(Reason::FragmentMalformed));
        assert_eq!(push(&fragments[0]), Ok(None));
        let mut longer = fragments[1].clone();
        longer[7] = 3;
        assert_eq!(push(&longer), Err(Reason::FragmentMalformed));
        longer[6] = 3;
        assert_eq!(push(&longer), Err(Reason::FragmentMalformed));
        assert_eq!(push(&fragments[0]), Ok(None));
        assert_eq!(Fragments::new(0, 0, &somewhere(), &[0; UDP_MAX], 200).err(), Some(Reason::FragmentMalformed));
        assert_eq!(Fragments::new(0, 0, &somewhere(), &[], 14).err(), Some(Reason::FragmentMalformed));
    }
}
