//! What waits for a session that takes nothing.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::mpsc;

use bytes::{Buf, Bytes};
use wayfare_quic::Instant;
use wayfare_types::Reason;

use super::{Attachment, CONTROL_BACKLOG_MAX, GIVE_MAX, PACKETS_BACKLOG_MAX};
use crate::answer::Answer;
use crate::options::Options;
use crate::world::World;
use crate::{Failure, attached::GIVE_PACKET};

fn world() -> World {
    let roles = r#"{"client":false,"relay":true,"exit":false}"#;
    let json = format!(r#"{{"listen":["127.0.0.1:0"],"roles":{roles},"freshKeys":true}}"#);
    World::new(&Options::from_json(&json, &[1; 32]).unwrap()).unwrap()
}

fn attach(world: &mut World) -> u32 {
    let attachment = Attachment { peer: None, bindings: vec![], address: String::new(), transport: "http2", mtu: 1452 };
    world.attach(Instant::now(), attachment).unwrap()
}

fn give(world: &mut World, link: u32) -> mpsc::Receiver<Result<Option<Bytes>, Failure>> {
    let (sender, receiver) = mpsc::channel();
    world.attached_give(link, Answer::new(move |given| sender.send(given).unwrap()));
    receiver
}

fn counted(world: &mut World, reason: Reason) -> u64 {
    world.engine.counters().iter().find(|(of, _)| *of == reason).map_or(0, |(_, count)| count)
}

#[tokio::test]
async fn packets_that_nobody_takes_are_bounded_and_the_oldest_are_dropped_and_counted() {
    const BYTES: usize = 1_024;
    const SENT: usize = 2_000;
    let mut world = world();
    let link = attach(&mut world);
    for number in 0..SENT {
        let mut packet = vec![0; BYTES];
        packet[..8].copy_from_slice(&(number as u64).to_be_bytes());
        world.attached_send_packet(link, packet.into());
    }
    let dropped = SENT - PACKETS_BACKLOG_MAX / BYTES;
    assert_eq!(counted(&mut world, Reason::QueueFull), dropped as u64);

    let mut next = dropped as u64;
    while next < SENT as u64 {
        let mut batch = give(&mut world, link).try_recv().unwrap().unwrap().unwrap();
        assert!(batch.len() <= GIVE_MAX + 5 + BYTES);
        while batch.has_remaining() {
            assert_eq!((batch.get_u8(), batch.get_u32() as usize), (GIVE_PACKET, BYTES));
            assert_eq!(batch.split_to(BYTES).get_u64(), next);
            next += 1;
        }
    }
    // Nothing is left: whoever asks now is answered at the end of a turn that brings something.
    let waiting = give(&mut world, link);
    assert!(waiting.try_recv().is_err());
    world.attached_send_packet(link, Bytes::from_static(&[7; 20]));
    world.attached_hand_over();
    assert_eq!(waiting.try_recv().unwrap().unwrap().unwrap().len(), 5 + 20);

    world.attached_send_packet(link, Bytes::from_static(&[0; 1453]));
    assert_eq!(counted(&mut world, Reason::LinkNarrow), 1);
}

#[tokio::test]
async fn control_bytes_that_pile_up_close_the_link_and_whoever_asks_later_hears_why() {
    let mut world = world();
    let link = attach(&mut world);
    let now = Instant::now();
    let mut sent = 0;
    while sent <= CONTROL_BACKLOG_MAX {
        world.attached_send_control(now, link, &[0; 6_240]);
        sent += 6_240;
    }
    assert!(world.attached.is_empty());
    assert_eq!(give(&mut world, link).try_recv().unwrap().unwrap_err().code, "queue_full");
    assert_eq!(give(&mut world, link + 1).try_recv().unwrap().unwrap_err().code, "closed");
}
