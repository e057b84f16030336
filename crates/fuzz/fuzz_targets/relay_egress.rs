//! Queues of links on one storage: each packet comes out once or is counted, memory stays under its quota, whatever is
//! pushed, whatever the clock says.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use wayfare_relay::egress::{EgressQueue, Limits, Payer, Rate, Storage};
use wayfare_types::{Counters, Reason};

#[derive(Arbitrary, Debug)]
enum Step {
    Push { link: bool, bytes: u16, cid: u8, weight: u32 },
    Control { link: bool },
    Fill { link: bool, bytes_max: u32, packets_max: u8 },
    Admit { link: bool, stride: u16, packets: u8 },
    Pass { us: u32 },
    Jump { to_us: u64 },
    Clear { link: bool },
    Charge { link: bool },
}

#[derive(Arbitrary, Debug)]
struct Input {
    quota_bytes: u16,
    memory_bytes: [u32; 2],
    rates: [Option<(u32, u16)>; 2],
    target_us: u32,
    interval_us: u32,
    delay_us_max: u32,
    steps: Vec<Step>,
}

fuzz_target!(|input: Input| {
    let quota_bytes = 8 * usize::from(input.quota_bytes);
    let (mut storage, mut counters) = (Storage::new(quota_bytes), Counters::default());
    let mut queues: [EgressQueue; 2] = std::array::from_fn(|i| {
        let rate = input.rates[i].map(|(bytes_per_s, burst)| Rate {
            rate_bytes_per_s: u64::from(bytes_per_s),
            burst_bytes: u64::from(burst),
        });
        let limits = Limits {
            memory_bytes: input.memory_bytes[i] as usize,
            target_us: input.target_us.into(),
            interval_us: input.interval_us.into(),
            delay_us_max: input.delay_us_max.into(),
            rate,
        };
        EgressQueue::new(limits, 0)
    });
    let (mut now_us, mut came, mut went) = (0u64, 0, 0);
    let (mut charged, mut went_bytes) = (0u64, 0u64);
    let mut out = Vec::new();
    for step in &input.steps {
        match *step {
            Step::Push { link, bytes, cid, weight } => {
                let packet = vec![7; usize::from(bytes)];
                let payer = Payer { cid: u32::from(cid), weight };
                came += usize::from(
                    queues[usize::from(link)].push(now_us, &packet, payer, &mut storage, &mut counters).is_ok(),
                );
            }
            Step::Control { link } => {
                came += usize::from(
                    queues[usize::from(link)].push(now_us, &[7; 60], Payer::LINK, &mut storage, &mut counters).is_ok(),
                );
            }
            Step::Fill { link, bytes_max, packets_max } => {
                out.clear();
                let (bytes_max, packets_max) = (bytes_max as usize, usize::from(packets_max));
                let queue = &mut queues[usize::from(link)];
                if let Some(filled) = queue.fill(now_us, bytes_max, packets_max, &mut out, &mut storage, &mut counters)
                {
                    assert!(filled.packets <= packets_max && out.len() <= bytes_max);
                    assert_eq!(filled.packets * filled.stride, out.len());
                    went += filled.packets;
                    went_bytes += out.len() as u64;
                }
                if let Some(at_us) = queue.next_at(now_us) {
                    assert!(at_us >= now_us);
                }
            }
            Step::Admit { link, stride, packets } => {
                let queue = &mut queues[usize::from(link)];
                let empty = queue.is_empty();
                assert!(!queue.admit(now_us, usize::from(stride), usize::from(packets)) || empty);
            }
            Step::Pass { us } => now_us = now_us.saturating_add(us.into()),
            Step::Jump { to_us } => now_us = to_us,
            Step::Charge { link } => queues[usize::from(link)].take_charges(now_us, &mut storage, |charge| {
                charged += charge.bytes;
            }),
            Step::Clear { link } => queues[usize::from(link)].clear(Reason::LinkGone, &mut storage, &mut counters),
        }
        let dropped: u64 = counters.iter().map(|(_, n)| n).sum();
        let waiting: usize = queues.iter().map(EgressQueue::len).sum();
        assert_eq!(came, went + dropped as usize + waiting);
        assert_eq!(storage.used_bytes(), queues.iter().map(EgressQueue::memory_bytes).sum::<usize>());
        assert!(storage.held_bytes() <= quota_bytes && charged <= went_bytes);
        for (queue, &most) in queues.iter().zip(&input.memory_bytes) {
            assert!(queue.memory_bytes() <= most as usize);
            assert_eq!(queue.is_empty(), queue.len() == 0);
        }
    }
});
