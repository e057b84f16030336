//! What it costs to let packets wait on a saturated link and take them out again by credits per byte, beside the update of a slot
//! in a plain array.

use serde_json::Value;
use wayfare_embed::ChaChaRandom;
use wayfare_relay::egress::{EgressQueue, Limits, Payer, Storage};
use wayfare_types::{Counters, Random};

use crate::load::Fault;
use crate::slots::{MANY, ROUNDS, Rounds, each_ns, slot_update};

const FLOWS: u32 = 10_000;
/// As a driver takes them.
const BATCH: usize = 64;
/// A fast packet of class M, and what it takes of a queue's memory.
const PACKET: usize = 1299;
const COST: usize = 2048;

/// A packet in and one out, where one of each circuit waits. With `short`, memory is so short that each that comes takes the place of
/// the one with the greatest tag.
fn packet(random: &mut ChaChaRandom, bytes: usize, short: bool) -> Result<f64, Fault> {
    let limits = Limits {
        memory_bytes: if short { FLOWS as usize * COST } else { 1 << 40 },
        target_us: u64::MAX,
        delay_us_max: u64::MAX,
        ..Limits::default()
    };
    let (mut queue, mut storage) = (EgressQueue::new(limits, 0), Storage::new(1 << 30));
    let mut counters = Counters::default();
    // The classes in which flows are announced.
    let payers: Vec<Payer> =
        (0..FLOWS).map(|cid| Payer { cid: cid + 1, weight: 1000 << (2 * (random.next_u64() % 8)) }).collect();
    // One that has just been worked is in the cache; only whose it is differs.
    let mut packet = vec![0; bytes];
    for (at, payer) in (0..FLOWS).zip(&payers) {
        packet[..4].copy_from_slice(&at.to_be_bytes());
        queue.push(0, &packet, *payer, &mut storage, &mut counters).map_err(|r| r.name())?;
    }
    let (mut out, mut now_us, mut refused) = (Vec::with_capacity(BATCH * bytes), 0, 0);
    let ns = each_ns(|n| {
        if n.is_multiple_of(BATCH) {
            now_us += 10;
            out.clear();
            queue.fill(now_us, usize::MAX, BATCH, &mut out, &mut storage, &mut counters);
            if short {
                // As many come as went, and as many again for which there is no room.
                for _ in 0..BATCH {
                    let at = (random.next_u64() % u64::from(FLOWS)) as u32;
                    packet[..4].copy_from_slice(&at.to_be_bytes());
                    let payer = payers[at as usize];
                    let pushed = queue.push(now_us, &packet, payer, &mut storage, &mut counters);
                    refused += u64::from(pushed.is_err());
                }
            }
        }
        let gone = out.get(n % BATCH * bytes..).and_then(|packet| packet.first_chunk().copied());
        let gone = gone.unwrap_or_default();
        packet[..4].copy_from_slice(&gone);
        let payer = payers[u32::from_be_bytes(gone) as usize];
        refused += u64::from(queue.push(now_us, &packet, payer, &mut storage, &mut counters).is_err());
    });
    let full = queue.len() as u32 == FLOWS;
    if full && (short || refused == 0) { Ok(ns) } else { Err("the queue lost packets".into()) }
}

pub fn run() -> Result<Value, Fault> {
    let (mut rounds, mut random) = (Rounds::default(), ChaChaRandom::new(&[4; 32]));
    for _ in 0..ROUNDS {
        let before = slot_update(MANY, &mut random);
        let ours = [
            ("schedule_10000", packet(&mut random, PACKET, false)?),
            ("schedule_10000_headers", packet(&mut random, 64, false)?),
            ("schedule_10000_short", packet(&mut random, PACKET, true)?),
        ];
        rounds.add(ours, before.min(slot_update(MANY, &mut random)));
    }
    Ok(rounds.said().into())
}
