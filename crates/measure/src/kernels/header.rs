//! The fast link's header block, opened at a relay and put on again for the next link: priced by itself, since the packet's
//! layer is compared with one AEAD pass.

use std::time::Duration;

use wayfare_testkit::Seeded;
use wayfare_types::Random;
use wayfare_wire::fast::{FAST_BATCH, FAST_HEADER};
use wayfare_wire::{FastHeader, SLOT};

use super::{BATCH, Group};

const KEY: [u8; 32] = [5; 32];
const HEAD: usize = FAST_HEADER + SLOT;

/// As many heads as are worked at once.
type Run = [u8; HEAD * FAST_BATCH];

/// One round: as a relay does it, many at a time, and one by one.
pub fn measure(time: Duration, keep: &mut dyn FnMut(Group)) {
    let (from, to) = (FastHeader::new(&KEY, 0), FastHeader::new(&[6; 32], 0));
    let mut random = Seeded::new(7);
    let mut runs: Vec<Run> = vec![[0; HEAD * FAST_BATCH]; BATCH / FAST_BATCH];
    let mut make = |runs: &mut [Run]| {
        for head in runs.as_flattened_mut().chunks_mut(HEAD) {
            random.fill(&mut head[FAST_HEADER..]);
            let counter = random.next_u64();
            // There is room for a header and a slot.
            let _ = from.put(head, counter as u32, counter);
        }
    };

    let mut group = Group::new("header_block".into(), time);
    group.ours(&mut runs, &mut make, |run| {
        let mut opened = [Ok((0, 0)); FAST_BATCH];
        from.get_run(run, HEAD, &mut opened);
        let mut sealed = [(0, 0, [0; SLOT]); FAST_BATCH];
        for ((sealed, opened), head) in sealed.iter_mut().zip(&opened).zip(run.chunks(HEAD)) {
            let (cid, counter) = opened.unwrap_or_default();
            let mut slot = [0; SLOT];
            slot.copy_from_slice(&head[FAST_HEADER..]);
            *sealed = (cid, counter, slot);
        }
        let mut headers = [[0; FAST_HEADER]; FAST_BATCH];
        to.seal_batch(&sealed, &mut headers);
        for (head, header) in run.chunks_mut(HEAD).zip(&headers) {
            head[..FAST_HEADER].copy_from_slice(header);
        }
    });
    group.ours_ns /= FAST_BATCH as f64;
    keep(group);

    let mut group = Group::new("header_block_alone".into(), time);
    group.ours(&mut runs, &mut make, |run| {
        for head in run.chunks_mut(HEAD) {
            if let Ok((cid, counter)) = from.get(head) {
                let _ = to.put(head, cid, counter);
            }
        }
    });
    group.ours_ns /= FAST_BATCH as f64;
    keep(group);
}
