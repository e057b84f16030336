//! Link datagrams: whatever parses is emitted unchanged; halves join to what was split, within the joiner's bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wayfare_types::Counters;
use wayfare_wire::{
    Datagram, FastHeader, HEADER, Header, Joiner, Packet, Part, get_payload, halves::split, packet::rewrite,
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Datagram::Packet(packet)) = Datagram::parse(bytes) {
        let mut again = Vec::new();
        packet.emit(&mut again);
        assert_eq!(again, bytes);
        rewrite(&mut again, 7, 8);
        assert_eq!(Header::parse(&again), Ok(Header { cid: 7, counter: 8, ..packet.header }));
    }
    if let Ok((_, inner)) = get_payload(bytes) {
        assert!(inner.len() + 2 <= bytes.len());
    }
    let _ = FastHeader::new(&[1; 32], 0).get(bytes);

    let (mut first, mut second) = (vec![0; bytes.len()], vec![0; bytes.len()]);
    if let Ok(half) = split(bytes, &mut first, &mut second) {
        let mut joiner = Joiner::new(bytes.len() - HEADER);
        let mut out = vec![0; bytes.len()];
        let mut joined = None;
        for part in [&second[..half], &first[..half]] {
            let part = Packet::parse(part).expect("a half is a packet");
            joined = joiner.join(part.header, part.body, &mut out, &mut Counters::default()).expect("our own half");
        }
        assert_eq!(joined.map(|n| &out[..n]), Some(bytes));
    }

    // Halves as they come: two bytes say which, the bounds hold.
    let (mut joiner, mut counters, mut out) = (Joiner::new(2), Counters::default(), [0; HEADER + 2]);
    for pair in bytes.chunks_exact(2) {
        let part = [Part::Whole, Part::FirstHalf, Part::SecondHalf][usize::from(pair[0] % 3)];
        let header = Header { part, cid: 0, counter: u64::from(pair[1]) };
        let _ = joiner.join(header, &pair[..1], &mut out, &mut counters);
        assert!(joiner.pending() <= Joiner::PENDING);
    }
});
