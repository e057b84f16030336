//! The fast link's header block, opened at a relay and put on again for the next link: priced by itself, since the packet's
//! layer is compared with one AEAD pass.

use std::time::Duration;

use wayfare_testkit::Seeded;
use wayfare_types::Random;
use wayfare_wire::fast::FAST_HEADER;
use wayfare_wire::{FastHeader, SLOT};

use super::{BATCH, Group};

const KEY: [u8; 32] = [5; 32];

type Head = [u8; FAST_HEADER + SLOT];

/// One round.
pub fn measure(time: Duration, keep: &mut dyn FnMut(Group)) {
    let (from, to) = (FastHeader::new(&KEY, 0), FastHeader::new(&[6; 32], 0));
    let mut random = Seeded::new(7);
    let mut packets: Vec<Head> = vec![[0; FAST_HEADER + SLOT]; BATCH];
    let mut group = Group::new("header_block".into(), time);
    let make = |packets: &mut [Head]| {
        for packet in packets {
            random.fill(&mut packet[FAST_HEADER..]);
            let counter = random.next_u64();
            // There is room for a header and a slot.
            let _ = from.put(packet, counter as u32, counter);
        }
    };
    group.ours(&mut packets, make, |packet| {
        if let Ok((cid, counter)) = from.get(packet) {
            let _ = to.put(packet, cid, counter);
        }
    });
    keep(group);
}
