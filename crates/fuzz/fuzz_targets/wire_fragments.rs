//! Reassembly: stays within its limits whatever fragments come, and returns what was cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wayfare_types::Counters;
use wayfare_wire::datagram::{Fragments, Limits, Reassembly};

fuzz_target!(|input: (u16, Vec<Vec<u8>>)| {
    let (max_bytes, fragments) = input;
    let limits = Limits { pending_per_association: 3, bytes: 4096, lifetime_us: 50 };
    let (mut reassembly, mut counters) = (Reassembly::new(limits), Counters::default());
    for (now_us, fragment) in fragments.iter().enumerate() {
        if let Ok(Some(udp)) = reassembly.push(now_us as u64, fragment, &mut counters) {
            let mut whole = Reassembly::new(Limits { bytes: 1 << 20, ..limits });
            let (address, data) = (&udp.address, &udp.data);
            let Ok(mut cut) = Fragments::new(udp.association, 0, address, data, max_bytes.into()) else { continue };
            let (mut one, mut last) = (Vec::new(), None);
            while cut.next_into(&mut one) {
                assert!(last.is_none() && one.len() <= max_bytes.into());
                last = whole.push(0, &one, &mut counters).expect("our own fragment");
            }
            assert_eq!(last, Some(udp));
        }
        assert!(reassembly.bytes() <= 4096);
    }
});
