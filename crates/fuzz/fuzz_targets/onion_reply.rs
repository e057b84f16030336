//! A reply on its way back: the client takes it when every hop sealed its slot once and nobody changed what reaches the client.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wayfare_onion::setup::parts::{open_reply, seal_reply};
use wayfare_wire::{REPLY_BYTES, REPLY_SLOT, SLOTS};

/// Of a reply, what the next hop has room for.
const KEPT: usize = REPLY_BYTES - REPLY_SLOT;

/// A byte of what a hop sends, changed by whoever passes it on.
type Change = (u8, u8, u8);

fuzz_target!(|input: (u8, [u8; SLOTS], Vec<Change>)| {
    let (hops, deeds, changes) = input;
    let hops = usize::from(hops) % SLOTS + 1;
    let keys: Vec<[u8; 32]> = (0..hops).map(|hop| [hop as u8 + 1; 32]).collect();
    let ephemerals: Vec<[u8; 32]> = (0..hops).map(|hop| [hop as u8 + 101; 32]).collect();
    let (mut reply, mut honest) = ([0; REPLY_BYTES], true);
    for hop in (0..hops).rev() {
        let wraps = match deeds[hop] % 8 {
            6 => 0,
            7 => 2,
            _ => 1,
        };
        for _ in 0..wraps {
            let slots = reply.first_chunk().expect("a reply has more than one slot");
            reply = seal_reply(&keys[hop], &ephemerals[hop], slots);
        }
        // Behind the slot of an exit that is the only hop there is nothing that anybody reads.
        honest &= wraps == 1 || wraps == 2 && hops == 1;
        let sent = reply;
        for &(_, at, change) in changes.iter().filter(|&&(by, ..)| usize::from(by) % SLOTS == hop) {
            reply[usize::from(at) % REPLY_BYTES] ^= change;
        }
        // The last slot falls out at the next hop; the client works out for itself what was in it.
        let matters = if hop == 0 { REPLY_BYTES } else { KEPT };
        honest &= reply[..matters] == sent[..matters];
    }
    let keys: Vec<&[u8; 32]> = keys.iter().collect();
    assert_eq!(open_reply(&keys, &mut reply), honest.then_some(ephemerals));
});
