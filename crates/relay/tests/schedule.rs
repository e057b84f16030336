//! Who goes first on a saturated link, against generalised processor sharing: while all want more than they get, each gets what
//! its weight is of the sum of weights; what one does not want is divided among the others in the same way.

use proptest::prelude::*;
use wayfare_relay::egress::{Charge, EgressQueue, Limits, PACKET_BYTES_MAX, Payer, Storage};
use wayfare_testkit::Seeded;
use wayfare_types::{Counters, Random, Reason};

/// Nothing is dropped for its age.
const PATIENT: Limits =
    Limits { memory_bytes: 1 << 40, target_us: u64::MAX, interval_us: 100_000, delay_us_max: u64::MAX, rate: None };

struct Link {
    queue: EgressQueue,
    storage: Storage,
    counters: Counters,
    out: Vec<u8>,
    now_us: u64,
}

impl Link {
    fn new(limits: Limits, quota_bytes: usize) -> Self {
        Self {
            queue: EgressQueue::new(limits, 0),
            storage: Storage::new(quota_bytes),
            counters: Counters::default(),
            out: Vec::new(),
            now_us: 0,
        }
    }

    fn push(&mut self, payer: Payer, bytes: usize) -> Result<(), Reason> {
        let mut packet = vec![0; bytes];
        packet[..4].copy_from_slice(&payer.cid.to_be_bytes());
        self.queue.push(self.now_us, &packet, payer, &mut self.storage, &mut self.counters)
    }

    /// The next packet: whose, and its bytes.
    fn take(&mut self) -> Option<(u32, usize)> {
        self.out.clear();
        self.queue.fill(self.now_us, usize::MAX, 1, &mut self.out, &mut self.storage, &mut self.counters)?;
        Some((u32::from_be_bytes(*self.out.first_chunk()?), self.out.len()))
    }

    fn charges(&mut self) -> Vec<Charge> {
        let mut charges = Vec::new();
        self.queue.take_charges(self.now_us, &mut self.storage, |charge| charges.push(charge));
        charges.sort_by_key(|charge| charge.cid);
        charges
    }

    fn dropped(&self) -> u64 {
        self.counters.iter().map(|(_, n)| n).sum()
    }
}

proptest! {
    /// In any interval in which two flows wait all the time, what they get per weight differs by less than a packet of each: Goyal
    /// et al., theorem 1. Over a long one shares are those of the weights, and credits per byte are the same for all.
    #[test]
    fn flows_that_wait_get_what_their_weights_say(
        flows in prop::collection::vec((1..1_000_000u32, 100..PACKET_BYTES_MAX), 2..8),
        seed in any::<u64>(),
    ) {
        let mut rng = Seeded::new(seed);
        let mut link = Link::new(PATIENT, 1 << 30);
        let payer = |i: usize| Payer { cid: i as u32 + 1, weight: flows[i].0 };
        let mut size = |i: usize| flows[i].1 / 2 + (rng.next_u64() as usize) % (flows[i].1 / 2);
        for i in 0..flows.len() {
            (0..3).for_each(|_| link.push(payer(i), size(i)).unwrap());
        }
        let sum: u64 = flows.iter().map(|f| u64::from(f.0)).sum();
        let mut got = vec![0u64; flows.len()];
        // A byte takes a microsecond.
        let until = 400 * flows.iter().map(|f| f.1 as u64).sum::<u64>();
        while got.iter().sum::<u64>() < until {
            let (cid, bytes) = link.take().unwrap();
            let i = cid as usize - 1;
            got[i] += bytes as u64;
            link.now_us += bytes as u64;
            link.push(payer(i), size(i)).unwrap();
            for (a, b) in (0..flows.len()).flat_map(|a| (0..a).map(move |b| (a, b))) {
                let per_weight = |i: usize| got[i] as f64 / f64::from(flows[i].0);
                let packet = |i: usize| flows[i].1 as f64 / f64::from(flows[i].0);
                prop_assert!((per_weight(a) - per_weight(b)).abs() <= 1.000_1 * (packet(a) + packet(b)));
            }
        }
        let all = got.iter().sum::<u64>();
        for charge in link.charges() {
            let i = charge.cid as usize - 1;
            let (weight, bytes) = (flows[i].0, flows[i].1 as u64);
            prop_assert_eq!(charge.bytes, got[i]);
            prop_assert_eq!(charge.credit_us, link.now_us * u64::from(weight), "it waited all the time");
            let share = all as f64 * f64::from(weight) / sum as f64;
            if share >= 60.0 * bytes as f64 {
                prop_assert!((got[i] as f64 / share - 1.0).abs() <= 0.05, "{} of {share}", got[i]);
                // A byte costs what all pay in the time that it takes.
                prop_assert!((charge.credit_us as f64 / charge.bytes as f64 / sum as f64 - 1.0).abs() <= 0.05);
            }
        }
    }

    /// However many circuits come, what is known of them stays in its part of the quota, and everything they sent is charged.
    #[test]
    fn what_is_known_of_flows_is_bounded(seed in any::<u64>(), quota_bytes in 50_000..2_000_000usize, weight in 0..5u32) {
        let mut rng = Seeded::new(seed);
        let mut link = Link::new(PATIENT, quota_bytes);
        let (mut went, mut charged) = (0, 0);
        for round in 0..4_000u32 {
            let _ = link.push(Payer { cid: 1 + round, weight }, 200);
            let _ = link.push(Payer { cid: 1 + rng.next_u64() as u32 % 10_000, weight }, 200);
            // Two stay all the time, so that the queue is never empty.
            while link.queue.len() > 2 {
                went += link.take().unwrap().1 as u64;
                link.now_us += 1;
            }
            prop_assert!(link.storage.held_bytes() <= quota_bytes);
            prop_assert!(link.queue.flows() <= 2 + quota_bytes / 16 / 256);
            if rng.next_u64().is_multiple_of(1_000) {
                charged += link.charges().iter().map(|c| c.bytes).sum::<u64>();
            }
        }
        charged += link.charges().iter().map(|c| c.bytes).sum::<u64>();
        prop_assert_eq!(went, charged);
        while link.take().is_some() {}
        link.charges();
        prop_assert_eq!((link.queue.flows(), link.storage.held_bytes() <= quota_bytes), (0, true));
    }
}

/// Flows that want less than their share get what they want and pay for little but their own packets' time; the others divide the
/// rest by weight. The rates of generalised processor sharing, by hand: of 1 byte per microsecond, weights 1, 2, 5 and 8, the third wants
/// 0.1 and the fourth 0.2, so 0.7 is left for 1 and 2.
#[test]
fn what_is_not_wanted_is_divided_among_the_others() {
    let mut link = Link::new(PATIENT, 1 << 30);
    let payer = |cid: u32| Payer { cid, weight: [0, 1000, 2000, 5000, 8000][cid as usize] };
    let (mut offered, mut got) = ([0u64; 5], [0u64; 5]);
    let total = 20_000_000;
    while link.now_us < total {
        for (cid, every_us) in [(1, 500), (2, 500), (3, 10_000), (4, 5_000)] {
            while offered[cid as usize] * every_us <= link.now_us * 1000 {
                link.push(payer(cid), 1000).unwrap();
                offered[cid as usize] += 1000;
            }
        }
        let (cid, bytes) = link.take().unwrap();
        got[cid as usize] += bytes as u64;
        link.now_us += bytes as u64;
    }
    for (cid, share) in [(1, 0.7 / 3.0), (2, 0.7 * 2.0 / 3.0), (3, 0.1), (4, 0.2)] {
        let of = got[cid] as f64 / total as f64;
        assert!((of / share - 1.0).abs() <= 0.05, "flow {cid} has {of}, not {share}");
    }
    let charges = link.charges();
    let price = |cid: usize| charges[cid - 1].credit_us as f64 / charges[cid - 1].bytes as f64;
    assert!((price(1) / price(2) - 1.0).abs() <= 0.05);
    // Three thousand a microsecond, of whose bytes they have 0.7.
    assert!((price(1) / (3000.0 / 0.7) - 1.0).abs() <= 0.05, "{}", price(1));
}

/// Without credits a flow is served as one with a single credit per second, and pays nothing.
#[test]
fn weight_zero_is_last_and_not_never() {
    let mut link = Link::new(PATIENT, 1 << 30);
    let payers = [Payer { cid: 1, weight: 0 }, Payer { cid: 2, weight: 99 }];
    payers.iter().for_each(|&payer| (0..20_000).for_each(|_| link.push(payer, 1000).unwrap()));
    let mut got = [0; 2];
    for _ in 0..10_000 {
        got[link.take().unwrap().0 as usize - 1] += 1;
        link.now_us += 10;
    }
    assert_eq!(got, [100, 9_900]);
    assert_eq!(link.charges()[0], Charge { cid: 1, credit_us: 0, bytes: 100_000 });
}

/// An unsaturated moment, and nobody owes anybody anything: who had the link alone is not made to wait for it.
#[test]
fn a_busy_period_forgets_the_last() {
    let mut link = Link::new(PATIENT, 1 << 30);
    let (one, other) = (Payer { cid: 1, weight: 1 }, Payer { cid: 2, weight: 1 });
    (0..1000).for_each(|_| link.push(one, 1000).unwrap());
    while link.take().is_some() {}
    (0..100).for_each(|_| [one, other].map(|payer| link.push(payer, 1000).unwrap()).into_iter().collect());
    let first: Vec<u32> = (0..100).filter_map(|_| link.take()).map(|(cid, _)| cid).collect();
    assert_eq!(first.iter().filter(|&&cid| cid == 1).count(), 50);
}

/// A weight that changes counts at once, for all that waits: what a flow has had stays so many bytes.
#[test]
fn a_weight_that_changes_counts_at_once() {
    let mut link = Link::new(PATIENT, 1 << 30);
    let (rich, mut poor) = (Payer { cid: 1, weight: 1_000_000 }, Payer { cid: 2, weight: 0 });
    [rich, poor].iter().for_each(|&payer| (0..1000).for_each(|_| link.push(payer, 1000).unwrap()));
    // The first of each goes at the beginning, and its next has a tag a million times as far.
    let before: Vec<u32> = (0..100).filter_map(|_| link.take()).map(|(cid, _)| cid).collect();
    assert_eq!(before.iter().filter(|&&cid| cid == 2).count(), 1);
    poor.weight = 1_000_000;
    link.push(poor, 1000).unwrap();
    let after: Vec<u32> = (0..100).filter_map(|_| link.take()).map(|(cid, _)| cid).collect();
    assert!((49..=51).contains(&after.iter().filter(|&&cid| cid == 2).count()));
    poor.weight = 0;
    link.push(poor, 1000).unwrap();
    let last: Vec<u32> = (0..100).filter_map(|_| link.take()).map(|(cid, _)| cid).collect();
    assert!(last.iter().filter(|&&cid| cid == 2).count() <= 1);
}

/// Where memory is short, the packet with the fewest credits per byte gives way: who pays ten times as much keeps ten times as much.
#[test]
fn memory_is_divided_by_credits_too() {
    let mut link = Link::new(Limits { memory_bytes: 1100 * 2048, ..PATIENT }, 1 << 30);
    let payers = [Payer { cid: 1, weight: 1000 }, Payer { cid: 2, weight: 10_000 }];
    // The poor one comes first and takes all there is.
    (0..2000).for_each(|_| _ = link.push(payers[0], 1000));
    (0..2000).for_each(|_| _ = link.push(payers[1], 1000));
    let waiting = link.queue.len();
    assert_eq!(waiting, 1100);
    assert!(link.dropped() > 0 && link.counters.get(Reason::QueueFull) == link.dropped());
    let mut got = [0usize; 2];
    while let Some((cid, _)) = link.take() {
        got[cid as usize - 1] += 1;
    }
    assert_eq!(got.iter().sum::<usize>(), waiting);
    assert!(got[0].abs_diff(100) <= 2, "{got:?}");
}

/// Virtual time is set back now and then; nobody gains or loses by it.
#[test]
fn virtual_time_goes_on_for_ever() {
    let mut link = Link::new(PATIENT, 1 << 30);
    let payers = [Payer { cid: 1, weight: 0 }, Payer { cid: 2, weight: 3 }];
    for payer in payers {
        (0..4).for_each(|_| link.push(payer, PACKET_BYTES_MAX).unwrap());
    }
    // 2^30 bytes per credit are where it happens; so much passes three times.
    let mut got = [0u64; 2];
    for _ in 0..13 << 16 {
        let (cid, bytes) = link.take().unwrap();
        got[cid as usize - 1] += bytes as u64;
        link.push(payers[cid as usize - 1], bytes).unwrap();
    }
    assert!((got[1] as f64 / got[0] as f64 / 3.0 - 1.0).abs() < 0.001, "{got:?}");
}
