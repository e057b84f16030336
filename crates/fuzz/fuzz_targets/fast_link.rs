//! Two ends of a fast link and a network that does what it likes: what one end sends under its keys opens at the other all the
//! time and as what it was, nothing is taken that an end has not sealed or has taken before, and no answer is longer than its question.
#![no_main]

use std::collections::HashSet;
use std::time::{Duration, Instant};

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use wayfare_fast::{FastLink, Taken};
use wayfare_types::{Random, Reason};
use wayfare_wire::fast::FAST_HEADER;

const SIZES: [usize; 2] = [200, 300];

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Pass { ms: u16 },
    Back { ms: u16 },
    Sent { to_b: bool, packets: u8 },
    Probe { to_b: bool },
    PathChanged { to_b: bool },
    Rtt { to_b: bool, ms: u16 },
    Deliver { which: u8 },
    Lose { which: u8 },
    Again { which: u8 },
    Change { which: u8, at: u16, by: u8 },
    Raw { to_b: bool, bytes: &'a [u8] },
}

struct Counting(u64);

impl Random for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        self.0 += 1;
        out.iter_mut().zip(self.0.to_be_bytes().iter().cycle()).for_each(|(o, b)| *o = *b);
    }
}

fn deliver(now: Instant, to: &mut FastLink, packet: &[u8]) -> Result<Taken, Reason> {
    let opener = to.opener(*packet.first().ok_or(Reason::PacketTruncated)?).ok_or(Reason::PacketVersion)?;
    let (_, counter) = opener.get(packet)?;
    to.take_control(now, counter, &mut packet.to_vec())
}

fn carries(from: &FastLink, to: &FastLink, counter: u64) {
    let mut packet = [counter as u8; FAST_HEADER + 16];
    from.sealer().put(&mut packet, 77, counter).expect("room for a header");
    let opener = to.opener(packet[0]).expect("an epoch that the other end knows");
    assert_eq!(opener.get(&packet), Ok((77, counter)));
}

fuzz_target!(|steps: Vec<Step>| {
    let base = Instant::now() + Duration::from_secs(1 << 20);
    let mut now = base;
    let mut random = Counting(0);
    let end = |own, other| FastLink::new(base, [own; 32], [other; 32], SIZES).renewing_after(3);
    let mut ends = [end(1, 2), end(2, 1)];
    let (mut on_the_way, mut sent) = (Vec::<(usize, Vec<u8>)>::new(), Vec::<(usize, Vec<u8>)>::new());
    let mut taken = HashSet::new();
    for (n, step) in steps.iter().enumerate() {
        let pick = |which: u8, list: &[_]| (!list.is_empty()).then(|| usize::from(which) % list.len().max(1));
        match *step {
            Step::Pass { ms } => now += Duration::from_millis(ms.into()),
            Step::Back { ms } => now = base.max(now - Duration::from_millis(ms.into())),
            Step::Sent { to_b, packets } => ends[usize::from(!to_b)].sent(packets.into()),
            Step::PathChanged { to_b } => {
                let end = &mut ends[usize::from(!to_b)];
                end.path_changed(now);
                assert_eq!(end.max_packet(), 0);
            }
            Step::Rtt { to_b, ms } => ends[usize::from(!to_b)].set_rtt(Duration::from_millis(ms.into())),
            Step::Probe { to_b } => {
                for _ in 0..2 * SIZES.len() {
                    let Some(packet) = ends[usize::from(!to_b)].poll_probe(now, &mut random) else { break };
                    sent.push((usize::from(to_b), packet.clone()));
                    on_the_way.push((usize::from(to_b), packet));
                }
            }
            Step::Lose { which } => {
                pick(which, &on_the_way).map(|at| on_the_way.swap_remove(at));
            }
            Step::Again { which } => on_the_way.extend(pick(which, &sent).map(|at| sent[at].clone())),
            Step::Deliver { which } => {
                let Some(at) = pick(which, &on_the_way) else { continue };
                let (to, packet) = on_the_way.swap_remove(at);
                let Ok(what) = deliver(now, &mut ends[to], &packet) else { continue };
                if let Taken::Answer(echo) = what {
                    assert!(echo.len() <= packet.len());
                    sent.push((1 - to, echo.clone()));
                    on_the_way.push((1 - to, echo));
                }
                assert!(taken.insert((to, packet)), "taken twice");
            }
            Step::Change { which, at, by } => {
                let Some(which) = pick(which, &on_the_way) else { continue };
                let (to, mut packet) = on_the_way.swap_remove(which);
                let at = usize::from(at) % packet.len();
                packet[at] ^= by.max(1);
                assert!(deliver(now, &mut ends[to], &packet).is_err());
            }
            Step::Raw { to_b, bytes } => assert!(deliver(now, &mut ends[usize::from(to_b)], bytes).is_err()),
        }
        for end in &ends {
            assert!(end.max_packet() == 0 || SIZES.contains(&end.max_packet()));
            let _ = end.poll_timeout();
        }
        let [a, b] = &ends;
        carries(a, b, n as u64);
        carries(b, a, n as u64);
    }
});
