//! Circuits spread over shards are worked as those of one table.
#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use wayfare_onion::{ClientPath, DirectionKeys, ForwardHop, HopKeys, Suite};
use wayfare_relay::{CircuitTable, Duty, LinkId, Next, Peeled, SHARDS_MAX, Slots, shard_of};
use wayfare_testkit::Seeded;
use wayfare_types::{Random, Reason};
use wayfare_wire::{SizeClass, TAGS};

const LINKS: LinkId = 5;
const CAPACITY: usize = 12;
const CLASS: SizeClass = SizeClass::M;

#[derive(Clone, Debug)]
enum Step {
    /// Packets of a link arrive at a shard from now on.
    Home(LinkId, usize),
    /// An id of a duty, by its number.
    Give(LinkId, u8),
    Set(usize, u8),
    Weigh(usize, u32),
    Take(usize),
    /// A packet for an id given out at some time, of this link, again when the number is odd.
    Peel(usize, LinkId, u8),
    LinkDown(LinkId),
}

fn step() -> impl Strategy<Value = Step> {
    let (link, id) = (0..LINKS, 0..24usize);
    prop_oneof![
        (link.clone(), 0..SHARDS_MAX).prop_map(|(l, s)| Step::Home(l, s)),
        (link.clone(), 0..4u8).prop_map(|(l, d)| Step::Give(l, d)),
        (id.clone(), 0..4u8).prop_map(|(i, d)| Step::Set(i, d)),
        (id.clone(), any::<u32>()).prop_map(|(i, p)| Step::Weigh(i, p)),
        id.clone().prop_map(Step::Take),
        (id, link.clone(), any::<u8>()).prop_map(|(i, l, n)| Step::Peel(i, l, n)),
        link.prop_map(Step::LinkDown),
    ]
}

/// A table and the slots of shards 1 and on, which hear of a change before anything else happens.
struct Node {
    table: CircuitTable,
    others: Vec<Slots>,
    cids: Vec<u32>,
}

impl Node {
    fn new(shards: usize) -> Self {
        let others = (1..shards).map(|shard| Slots::new(shard, shards)).collect();
        Self { table: CircuitTable::with_shards(CAPACITY, shards), others, cids: Vec::new() }
    }

    fn hear(&mut self) {
        for (shard, command) in self.table.commands() {
            self.others[shard - 1].apply(command);
        }
    }

    fn peel(&mut self, link: LinkId, cid: u32, counter: u64, body: &mut [u8]) -> Result<Peeled, Reason> {
        let shard = shard_of(cid);
        for (at, slots) in self.others.iter().enumerate() {
            assert_eq!(slots.away(cid), at + 1 != shard, "one shard and no other has it");
        }
        assert_eq!(self.table.slots().away(cid), shard != 0);
        match shard.checked_sub(1) {
            None => self.table.peel(link, cid, counter, body),
            Some(at) => self.others[at].peel(link, cid, counter, body),
        }
    }

    fn ids(&mut self) -> usize {
        self.table.slots().len() + self.others.iter().map(Slots::len).sum::<usize>()
    }
}

fn duty(number: u8, keys: &HopKeys) -> Duty {
    match number {
        0 => Duty::Forward(ForwardHop::new(keys.suite, &keys.forward), Next { link: 9, cid: 99 }),
        1 => Duty::Exit(ForwardHop::new(keys.suite, &keys.forward)),
        2 => Duty::Client,
        _ => Duty::Pending,
    }
}

fn keys(random: &mut Seeded) -> HopKeys {
    let mut direction = || {
        let mut keys = DirectionKeys { key: [0; 32], iv: [0; 12], step: random.next_u64() };
        random.fill(&mut keys.key);
        random.fill(&mut keys.iv);
        keys
    };
    HopKeys { suite: Suite::Aes128Gcm, forward: direction(), backward: direction(), backward_start: 0 }
}

proptest! {
    #[test]
    fn any_sequence_comes_to_the_same_with_one_shard_and_with_several(
        steps in vec(step(), 1..80),
        shards in 2..=SHARDS_MAX,
    ) {
        let mut random = Seeded::new(5);
        let keys = keys(&mut random);
        let (mut one, mut several) = (Node::new(1), Node::new(shards));
        for step in steps {
            match step {
                Step::Home(link, shard) => [&mut one, &mut several].into_iter().for_each(|n| n.table.home(link, shard)),
                Step::Give(link, number) => {
                    let circuit = one.cids.len() as u32 + 1;
                    let a = one.table.give(link, circuit, CLASS, duty(number, &keys));
                    let b = several.table.give(link, circuit, CLASS, duty(number, &keys));
                    prop_assert_eq!(a.err(), b.err());
                    if let (Ok(a), Ok(b)) = (a, b) {
                        prop_assert!(a != 0 && b != 0);
                        one.cids.push(a);
                        several.cids.push(b);
                    }
                }
                Step::Set(at, number) => for node in [&mut one, &mut several] {
                    if let Some(&cid) = node.cids.get(at) {
                        node.table.set(cid, duty(number, &keys));
                    }
                },
                Step::Weigh(at, weight) => for node in [&mut one, &mut several] {
                    if let Some(&cid) = node.cids.get(at) {
                        node.table.set_weight(cid, weight);
                    }
                },
                Step::Take(at) => for node in [&mut one, &mut several] {
                    if let Some(&cid) = node.cids.get(at) {
                        node.table.take(cid);
                    }
                },
                Step::Peel(at, link, salt) => {
                    let (Some(&a), Some(&b)) = (one.cids.get(at), several.cids.get(at)) else { continue };
                    let mut client = ClientPath::new(std::slice::from_ref(&keys), u64::from(salt)).unwrap();
                    let mut body = vec![salt; CLASS.body_bytes()];
                    let counter = client.wrap(&mut body, &mut random).unwrap();
                    let mut same = body.clone();
                    for _ in 0..=salt % 2 {
                        prop_assert_eq!(
                            one.peel(link, a, counter, &mut body),
                            several.peel(link, b, counter, &mut same)
                        );
                        prop_assert_eq!(&body[TAGS..], &same[TAGS..]);
                    }
                }
                Step::LinkDown(link) => {
                    let ours = |node: &Node| {
                        let mut circuits: Vec<u32> = node.table.on_link(link).collect();
                        circuits.sort_unstable();
                        circuits
                    };
                    let gone = ours(&one);
                    prop_assert_eq!(&gone, &ours(&several));
                    for node in [&mut one, &mut several] {
                        for &circuit in &gone {
                            let cid = node.cids[circuit as usize - 1];
                            assert_eq!(node.table.circuit(link, cid), Some(circuit));
                            node.table.take(cid);
                        }
                    }
                }
            }
            several.hear();
            prop_assert_eq!(one.table.len(), several.table.len());
            prop_assert_eq!(several.table.len(), several.ids(), "every shard has what was given out, and no more");
        }
    }
}

#[test]
fn ids_are_at_home_where_their_link_was_when_they_were_given_out() {
    let mut table = CircuitTable::with_shards(100, 4);
    let give = |table: &mut CircuitTable, link| table.give(link, 1, CLASS, Duty::Client).unwrap();
    assert_eq!(shard_of(give(&mut table, 7)), 0);
    table.home(7, 3);
    let there = give(&mut table, 7);
    assert_eq!((shard_of(there), shard_of(give(&mut table, 8))), (3, 0));
    table.home(7, 0);
    assert_eq!(shard_of(give(&mut table, 7)), 0);
    assert_eq!(table.circuit(7, there), Some(1), "it stays where it is");
    // A shard that there is not.
    table.home(7, 4);
    assert_eq!(shard_of(give(&mut table, 7)), 0);
}

/// What an id pays stays with it whatever is done with its packets, in every shard, and goes with it.
#[test]
fn what_an_id_pays_is_known_where_its_packets_are_worked() {
    let mut random = Seeded::new(6);
    let keys = keys(&mut random);
    for shard in [0, 1] {
        let mut node = Node::new(2);
        node.table.home(7, shard);
        let mut client = ClientPath::new(std::slice::from_ref(&keys), 0).unwrap();
        let mut pays = |node: &mut Node, cid| {
            node.hear();
            let mut body = vec![0; CLASS.body_bytes()];
            let counter = client.wrap(&mut body, &mut random).unwrap();
            match node.peel(7, cid, counter, &mut body) {
                Ok(Peeled::Forward { weight, .. }) => weight,
                other => panic!("{other:?}"),
            }
        };
        let cid = node.table.give(7, 1, CLASS, Duty::Pending).unwrap();
        node.table.set_weight(cid, 5);
        node.table.set(cid, duty(0, &keys));
        assert_eq!((shard_of(cid), pays(&mut node, cid)), (shard, 5));
        node.table.set_weight(cid, u32::MAX);
        assert_eq!(pays(&mut node, cid), u32::MAX);
        node.table.take(cid);
        node.table.set_weight(cid, 9);
        let next = node.table.give(7, 1, CLASS, duty(0, &keys)).unwrap();
        assert_eq!(pays(&mut node, next), 0);
    }
}
