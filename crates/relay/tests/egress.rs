//! What a link's queue promises, whatever is pushed and whenever it is asked.

use proptest::prelude::*;
use wayfare_relay::egress::{EgressQueue, Limits, PACKET_BYTES_MAX, Payer, Rate, Storage};
use wayfare_testkit::Seeded;
use wayfare_types::{Counters, Random, Reason};

#[derive(Clone, Debug)]
enum Step {
    Push { bytes: usize, payer: Payer },
    Fill { bytes_max: usize, packets_max: usize },
    Pass { us: u64 },
    Charge,
}

/// A circuit that pays nothing.
const FREE: Payer = Payer { cid: 1, weight: 0 };

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let weight = prop_oneof![Just(0), 0..4u32, any::<u32>(), Just(1_000_000)];
    let payer = (0..5u32, weight).prop_map(|(cid, weight)| Payer { cid, weight });
    let bytes = prop_oneof![4 => Just(1299usize), 1 => Just(1411), 1 => 8..PACKET_BYTES_MAX];
    let step = prop_oneof![
        6 => (bytes, payer).prop_map(|(bytes, payer)| Step::Push { bytes, payer }),
        3 => (0..70_000usize, 0..64usize).prop_map(|(bytes_max, packets_max)| Step::Fill { bytes_max, packets_max }),
        2 => prop_oneof![0..2_000u64, 0..400_000u64].prop_map(|us| Step::Pass { us }),
        1 => Just(Step::Charge),
    ];
    prop::collection::vec(step, 0..400)
}

fn packet(number: usize, bytes: usize) -> Vec<u8> {
    let mut packet = vec![0xab; bytes];
    packet[..8].copy_from_slice(&(number as u64).to_be_bytes());
    packet
}

fn number(packet: &[u8]) -> usize {
    u64::from_be_bytes(packet[..8].try_into().expect("a length")) as usize
}

fn dropped(counters: &Counters) -> u64 {
    counters.iter().map(|(_, n)| n).sum()
}

struct Pushed {
    payer: Payer,
    bytes: usize,
    at_us: u64,
    /// How many packets had come out before, when it was pushed and when it came out itself.
    before: usize,
    out: Option<usize>,
}

proptest! {
    #[test]
    fn each_packet_comes_out_once_in_order_and_in_time_or_is_counted(
        steps in steps(), quota_bytes in 0..300_000usize, memory_bytes in 0..300_000usize,
        rate in prop::option::of(1_000..100_000_000u64),
    ) {
        let rate = rate.map(|rate_bytes_per_s| Rate { rate_bytes_per_s, burst_bytes: 0 });
        let limits = Limits { memory_bytes, rate, ..Limits::default() };
        let (mut storage, mut counters) = (Storage::new(quota_bytes), Counters::default());
        let mut queue = EgressQueue::new(limits, 0);
        let (mut now_us, mut pushed, mut out_total, mut charged) = (0, Vec::<Pushed>::new(), 0, 0);
        for step in steps {
            match step {
                Step::Pass { us } => now_us += us,
                Step::Push { bytes, payer } => {
                    match queue.push(now_us, &packet(pushed.len(), bytes), payer, &mut storage, &mut counters) {
                        Ok(()) => pushed.push(Pushed { payer, bytes, at_us: now_us, before: out_total, out: None }),
                        Err(reason) => prop_assert_eq!(reason, Reason::QueueFull),
                    }
                }
                Step::Charge => queue.take_charges(now_us, &mut storage, |charge| charged += charge.bytes),
                Step::Fill { bytes_max, packets_max } => {
                    let mut out = Vec::new();
                    let filled = queue.fill(now_us, bytes_max, packets_max, &mut out, &mut storage, &mut counters);
                    prop_assert!(out.len() <= bytes_max);
                    let Some(filled) = filled else { prop_assert!(out.is_empty()); continue };
                    prop_assert!((1..=packets_max).contains(&filled.packets));
                    prop_assert_eq!(out.len(), filled.packets * filled.stride);
                    for bytes in out.chunks(filled.stride) {
                        let which = &mut pushed[number(bytes)];
                        prop_assert!(bytes[8..].iter().all(|&b| b == 0xab));
                        prop_assert_eq!(which.out.replace(out_total), None);
                        prop_assert!(which.payer.is_link() || now_us - which.at_us <= limits.delay_us_max);
                        out_total += 1;
                    }
                }
            }
            prop_assert!(storage.held_bytes() <= quota_bytes);
            prop_assert!(queue.memory_bytes() <= memory_bytes && queue.memory_bytes() == storage.used_bytes());
            prop_assert!(queue.bytes() <= queue.memory_bytes());
            prop_assert_eq!(pushed.len(), out_total + queue.len() + dropped(&counters) as usize);
            prop_assert_eq!(queue.is_empty(), storage.used_bytes() == 0);
        }
        // Of two that came out and once waited together: control first, and a flow's in the order they came.
        for (i, a) in pushed.iter().enumerate() {
            for b in &pushed[i + 1..] {
                let (Some(a_out), Some(b_out)) = (a.out, b.out) else { continue };
                let (a_first, b_first) = (a.payer.is_link(), b.payer.is_link());
                if a.payer.cid == b.payer.cid || a_first {
                    prop_assert!(a_out < b_out);
                } else if b_first && b.before <= a_out {
                    prop_assert!(b_out < a_out);
                }
            }
        }
        // Each byte that waited and went is charged to someone, once.
        queue.take_charges(now_us, &mut storage, |charge| charged += charge.bytes);
        let went = pushed.iter().filter(|p| p.out.is_some() && !p.payer.is_link()).map(|p| p.bytes as u64).sum::<u64>();
        prop_assert_eq!(charged, went);
        let before = dropped(&counters);
        let left = queue.len() as u64;
        queue.clear(Reason::LinkGone, &mut storage, &mut counters);
        prop_assert_eq!((counters.get(Reason::LinkGone), dropped(&counters)), (left, before + left));
        prop_assert_eq!((queue.len(), queue.bytes(), storage.used_bytes()), (0, 0, 0));
    }

    /// A clock may say anything: nothing is lost to it but for its age, and a rate is worth a burst a jump.
    #[test]
    fn clocks_may_jump(jumps in prop::collection::vec(any::<u64>(), 1..60)) {
        let rate = Rate { rate_bytes_per_s: 1_000_000, burst_bytes: 20_000 };
        let (mut storage, mut counters) = (Storage::new(1 << 20), Counters::default());
        let mut queue = EgressQueue::new(Limits { rate: Some(rate), ..Limits::default() }, 0);
        let (mut went, mut came) = (0, 0);
        for now_us in jumps {
            for _ in 0..3 {
                came += usize::from(queue.push(now_us, &[0; 1299], FREE, &mut storage, &mut counters).is_ok());
            }
            let mut out = Vec::new();
            let filled = queue.fill(now_us, usize::MAX, usize::MAX, &mut out, &mut storage, &mut counters);
            prop_assert!(out.len() <= 20_000);
            went += filled.map_or(0, |f| f.packets);
            prop_assert_eq!(came, went + queue.len() + dropped(&counters) as usize);
            if let Some(at_us) = queue.next_at(now_us) {
                prop_assert!(at_us >= now_us && at_us - now_us <= 1299);
            }
        }
    }
}

/// Once set back by an hour, a clock neither stops the queue nor makes it forget how long packets have waited.
#[test]
fn a_clock_set_back_stands_still() {
    let (mut storage, mut counters, mut out) = (Storage::new(1 << 20), Counters::default(), Vec::new());
    let hour = 3_600_000_000;
    let mut queue = EgressQueue::new(Limits::default(), hour);
    queue.push(hour, &[1; 1299], FREE, &mut storage, &mut counters).unwrap();
    queue.push(hour + 70_000, &[2; 1299], FREE, &mut storage, &mut counters).unwrap();
    queue.push(0, &[3; 1299], FREE, &mut storage, &mut counters).unwrap();
    queue.fill(60_000, usize::MAX, 64, &mut out, &mut storage, &mut counters).unwrap();
    // The first has waited 70 + 60 ms, which is more than 100.
    assert_eq!((out.len() / 1299, out[0], out[1299]), (2, 2, 3));
    assert_eq!(counters.get(Reason::QueueDelay), 1);
}

#[test]
fn an_idle_link_lets_everything_past_and_a_rate_lets_a_burst_past() {
    let mut queue = EgressQueue::new(Limits::default(), 0);
    assert!(queue.admit(0, 1299, 64));
    let rate = Rate { rate_bytes_per_s: 12_500_000, burst_bytes: 65_536 };
    let mut queue = EgressQueue::new(Limits { rate: Some(rate), ..Limits::default() }, 0);
    assert!(!queue.admit(0, 1299, 51) && queue.admit(0, 1299, 50) && !queue.admit(0, 1299, 1)); // 65,536 / 1,299
    assert!(!queue.admit(1000, 1299, 11) && queue.admit(1000, 1299, 10)); // 586 left over, and 12,500 a millisecond
    let (mut storage, mut counters) = (Storage::new(1 << 20), Counters::default());
    queue.push(9000, &[0; 1299], FREE, &mut storage, &mut counters).unwrap();
    assert!(!queue.admit(9000, 1299, 1), "nothing overtakes what waits");
}

#[test]
fn packets_of_no_class_are_refused() {
    let (mut storage, mut counters) = (Storage::new(1 << 20), Counters::default());
    let mut queue = EgressQueue::new(Limits::default(), 0);
    let long = vec![0; PACKET_BYTES_MAX + 1];
    assert_eq!(queue.push(0, &long, FREE, &mut storage, &mut counters), Err(Reason::PacketSize));
    assert_eq!(queue.push(0, &[], FREE, &mut storage, &mut counters), Err(Reason::PacketTruncated));
    assert!(queue.is_empty() && storage.held_bytes() == 0);
}

/// Links that take all they get: each gets its share, and control still finds room.
#[test]
fn links_share_the_storage() {
    let (mut storage, mut counters) = (Storage::new(8 << 20), Counters::default());
    let limits = Limits { memory_bytes: 64 << 20, ..Limits::default() };
    let mut queues: Vec<EgressQueue> = (0..3).map(|_| EgressQueue::new(limits, 0)).collect();
    let mut fill = |queue: &mut EgressQueue, storage: &mut Storage, payer| {
        while queue.push(0, &[0; 1299], payer, storage, &mut counters).is_ok() {}
        queue.memory_bytes()
    };
    // The closed form for a factor of one: the first takes half of what data may have, each next one half of the rest.
    let data = (8 << 20) / 16 * 15;
    for (i, queue) in queues.iter_mut().enumerate() {
        let held = fill(queue, &mut storage, FREE);
        assert!(held.abs_diff(data >> (i + 1)) <= 2 * 2048, "queue {i} holds {held} of {data}");
    }
    let mut late = EgressQueue::new(limits, 0);
    assert!(fill(&mut late, &mut storage, Payer::LINK) >= (8 << 20) / 16);
    assert!(storage.held_bytes() <= 8 << 20);
}

#[test]
fn buffers_are_used_again() {
    let (mut storage, mut counters, mut out) = (Storage::new(4 << 20), Counters::default(), Vec::new());
    let mut queue = EgressQueue::new(Limits { delay_us_max: u64::MAX, target_us: u64::MAX, ..Limits::default() }, 0);
    let mut rng = Seeded::new(1);
    for round in 0..10_000u64 {
        for _ in 0..rng.next_u64() % 64 {
            let _ = queue.push(round, &[0; 1299], FREE, &mut storage, &mut counters);
        }
        out.clear();
        queue.fill(round, 65_000, (rng.next_u64() % 64) as usize, &mut out, &mut storage, &mut counters);
    }
    // Some 315,000 packets went through.
    let most = (4 << 20) / 1536;
    assert!(storage.buffers_made() <= most, "{} buffers were made", storage.buffers_made());
}
