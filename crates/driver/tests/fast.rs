//! Fast packets beside QUIC between real sockets: chosen per link, left and taken again, bound to addresses (threats, rows 1, 2 and 5).
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests and benchmarks stand on the machine")]

mod common;

use common::forwarder::{Forwarder, Rules};
use common::line::Line;
use common::{Book, CLIENT, Peer, soon};
use tokio::net::UdpSocket;
use wayfare_driver::SizeClass;

const MB: usize = 1 << 20;
/// A fast header beyond a plain one's 13 bytes.
const FAST_MORE: u32 = 4;

fn packet_bytes(class: SizeClass) -> u32 {
    class.packet_bytes() as u32 + FAST_MORE
}

/// A line whose client calls its relay through a forwarder, the link fast at both ends.
async fn forwarded(limits: [&str; 3]) -> (Line, Forwarder) {
    let line = Line::start(limits, ["127.0.0.1:0"; 3]).await;
    let path = Forwarder::start(line.relay.address).await;
    line.link_at(path.address).await;
    (line, path)
}

async fn fast_both_ways(line: &Line) {
    Line::until_links(&line.client, &line.relay, |link| link.fast_bytes >= packet_bytes(SizeClass::L)).await;
}

#[tokio::test]
async fn packets_go_beside_quic_where_both_ends_do_it() {
    let (line, path) = forwarded(["{}"; 3]).await;
    fast_both_ways(&line).await;
    let mut flow = line.flow(SizeClass::L).await;
    Line::until_links(&line.relay, &line.exit, |link| link.fast_bytes >= packet_bytes(SizeClass::L)).await;
    let before = path.counts();
    flow.down(4 * MB).await;
    let after = path.counts();
    assert!(after[1].fast_bytes - before[1].fast_bytes > 4 << 20, "{after:?}");
    let beside = after[0].other_bytes + after[1].other_bytes - before[0].other_bytes - before[1].other_bytes;
    assert!(beside < 1 << 18, "QUIC itself carries next to nothing: {beside}");
    let carried = Line::links(&line.client, &line.relay).await[0].bytes_received;
    assert!(carried > 4 << 20, "{carried}");
    let relayed = line.relay.stats().await.relayed;
    assert!(relayed.bytes_backward > 4 << 20, "{relayed:?}");
    line.close().await;
}

#[tokio::test]
async fn a_link_is_not_fast_when_either_end_does_not_do_it() {
    let off = r#"{"fastLinks":false}"#;
    for limits in [[off, "{}", "{}"], ["{}", off, "{}"]] {
        let (line, path) = forwarded(limits).await;
        line.flow(SizeClass::M).await.down(MB).await;
        Line::until_links(&line.client, &line.relay, |link| link.fast_bytes == 0).await;
        assert!(path.counts().iter().all(|way| way.fast_bytes == 0), "{:?}", path.counts());
        line.close().await;
    }
}

#[tokio::test]
async fn plain_system_calls_do_where_the_system_has_no_others() {
    let plain = r#"{"offload":false}"#;
    for limits in [[plain, "{}", "{}"], ["{}", plain, "{}"], [plain, plain, plain]] {
        let line = Line::start(limits, ["127.0.0.1:0"; 3]).await;
        line.link_at(line.relay.address).await;
        fast_both_ways(&line).await;
        line.flow(SizeClass::L).await.down(3 * MB).await;
        line.close().await;
    }
}

#[tokio::test]
async fn a_running_download_changes_over_and_comes_back() {
    let (line, path) = forwarded(["{}"; 3]).await;
    fast_both_ways(&line).await;
    let mut flow = line.flow(SizeClass::M).await;
    flow.down(2 * MB).await;
    path.set(Rules { fast_bytes_max: Some(0), ..Rules::default() });
    let slow = async |flow: &mut common::line::Flow, fast: bool| {
        soon(async {
            loop {
                flow.down(MB / 8).await;
                let links =
                    [Line::links(&line.client, &line.relay).await, Line::links(&line.relay, &line.client).await];
                if links.iter().flatten().all(|link| (link.fast_bytes > 0) == fast) {
                    return;
                }
            }
        })
        .await;
    };
    slow(&mut flow, false).await;
    let before = path.counts()[1];
    flow.down(2 * MB).await;
    let after = path.counts()[1];
    assert!(after.other_bytes - before.other_bytes > 2 << 20, "{before:?} {after:?}");
    path.set(Rules::default());
    slow(&mut flow, true).await;
    let before = path.counts()[1];
    flow.down(2 * MB).await;
    assert!(path.counts()[1].fast_bytes - before.fast_bytes > 1 << 20, "{before:?} {:?}", path.counts()[1]);
    line.close().await;
}

#[tokio::test]
async fn an_address_that_changes_is_proven_anew_and_the_old_one_is_refused() {
    let (line, mut path) = forwarded(["{}"; 3]).await;
    fast_both_ways(&line).await;
    let mut flow = line.flow(SizeClass::M).await;
    path.set(Rules { record: true, ..Rules::default() });
    flow.down(2 * MB).await;
    let recorded = path.take_recorded();
    path.set(Rules::default());
    let old = path.rebind().await;
    let now_at = path.back().local_addr().unwrap().to_string();
    soon(async {
        loop {
            flow.down(MB / 8).await;
            let there = Line::links(&line.relay, &line.client).await;
            let here = Line::links(&line.client, &line.relay).await;
            if there[0].address == now_at && there[0].fast_bytes > 0 && here[0].fast_bytes > 0 {
                return;
            }
        }
    })
    .await;
    let before = path.counts()[1].fast_bytes;
    flow.down(2 * MB).await;
    assert!(path.counts()[1].fast_bytes - before > 1 << 20, "it goes on beside QUIC");
    refused(&line, &old, &recorded, "fast_unknown").await;
    flow.down(MB).await;
    line.close().await;
}

/// Sends packets to the relay, and sees each of them counted under this reason.
async fn refused(line: &Line, from: &UdpSocket, packets: &[Vec<u8>], reason: &str) {
    let packets = &packets[..packets.len().min(100)];
    assert!(packets.len() > 10, "{}", packets.len());
    let before = line.relay.drops(reason).await;
    for packet in packets {
        from.send_to(packet, line.relay.address).await.unwrap();
    }
    let expected = before + packets.len() as u64;
    soon(async { while line.relay.drops(reason).await < expected {} }).await;
    assert_eq!(line.relay.drops(reason).await, expected, "{reason}");
}

#[tokio::test]
async fn captured_packets_do_nothing_from_wherever_they_are_replayed() {
    let (line, path) = forwarded(["{}"; 3]).await;
    fast_both_ways(&line).await;
    let mut flow = line.flow(SizeClass::M).await;
    path.set(Rules { record: true, ..Rules::default() });
    flow.down(2 * MB).await;
    let recorded: Vec<_> = path.take_recorded();
    let third = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let passed = line.relay.stats().await.relayed.packets_forward;
    refused(&line, &third, &recorded, "fast_unknown").await;
    refused(&line, &path.back(), &recorded, "packet_replayed").await;
    assert!(line.relay.stats().await.relayed.packets_forward - passed < 100, "nothing of it was passed on");
    flow.down(MB).await;
    line.close().await;
}

#[tokio::test]
async fn a_link_that_ends_takes_its_fast_side_along() {
    let line = Line::on_loopback().await;
    let path = Forwarder::start(line.relay.address).await;
    let link = line.link_at(path.address).await;
    fast_both_ways(&line).await;
    let mut flow = line.flow(SizeClass::M).await;
    path.set(Rules { record: true, ..Rules::default() });
    flow.down(2 * MB).await;
    line.client.node.link_close(link, "circuit_closed");
    soon(async { while !Line::links(&line.relay, &line.client).await.is_empty() {} }).await;
    refused(&line, &path.back(), &path.take_recorded(), "fast_unknown").await;
    line.close().await;
}

#[tokio::test]
async fn a_path_that_takes_only_small_packets_carries_those_fast_and_others_as_datagrams() {
    let line = Line::on_loopback().await;
    let path = Forwarder::start(line.relay.address).await;
    path.set(Rules { fast_bytes_max: Some(1350), ..Rules::default() });
    line.link_at(path.address).await;
    Line::until_links(&line.client, &line.relay, |link| link.fast_bytes == packet_bytes(SizeClass::M)).await;
    // The session's datagrams take class L once path MTU discovery has come that far.
    Line::until_links(&line.client, &line.relay, |link| link.mtu >= SizeClass::L.packet_bytes() as u32).await;
    for (class, fast) in [(SizeClass::M, true), (SizeClass::L, false)] {
        let before = path.counts()[1];
        line.flow(class).await.down(2 * MB).await;
        let after = path.counts()[1];
        let carried = if fast { after.fast_bytes - before.fast_bytes } else { after.other_bytes - before.other_bytes };
        assert!(carried > 2 << 20, "{class:?}: {before:?} {after:?}");
    }
    line.close().await;
}

#[tokio::test]
async fn nodes_that_dial_each_other_at_once_have_two_fast_links() {
    let line = Line::on_loopback().await;
    let (there, back) = tokio::join!(line.client.link(&line.relay), line.relay.link(&line.client));
    let (there, _) = (there.unwrap(), back.unwrap());
    for (at, to) in [(&line.client, &line.relay), (&line.relay, &line.client)] {
        soon(async {
            loop {
                let links = Line::links(at, to).await;
                if links.len() == 2 && links.iter().all(|link| link.fast_bytes >= packet_bytes(SizeClass::L)) {
                    return;
                }
            }
        })
        .await;
    }
    // While both links stand, every packet finds its own. Before and after that, packets of the one are forged as far as the
    // other can tell.
    let forged = async || [line.client.drops("packet_forged").await, line.relay.drops("packet_forged").await];
    let before = forged().await;
    line.flow(SizeClass::L).await.down(2 * MB).await;
    assert_eq!(forged().await, before);
    line.client.node.link_close(there, "circuit_closed");
    soon(async { while Line::links(&line.relay, &line.client).await.len() > 1 {} }).await;
    line.flow(SizeClass::L).await.down(2 * MB).await;
    line.close().await;
}

#[tokio::test]
async fn links_over_ipv6_are_fast() {
    let line = Line::start(["{}"; 3], ["[::1]:0"; 3]).await;
    line.link_at(line.relay.address).await;
    fast_both_ways(&line).await;
    line.flow(SizeClass::L).await.down(2 * MB).await;
    line.close().await;
}

#[tokio::test]
async fn a_node_on_all_addresses_answers_from_the_one_that_was_called() {
    let line = Line::start(["{}"; 3], ["127.0.0.1:0", "0.0.0.0:0", "127.0.0.1:0"]).await;
    let book = Book::default();
    let other = Peer::start(9, CLIENT, &book).await;
    let port = line.relay.address.port();
    line.link_at(([127, 0, 0, 2], port).into()).await;
    let first = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    soon(wayfare_driver::ask(|a| other.node.link_open(line.relay.node.id(), vec![first], a))).await.unwrap();
    fast_both_ways(&line).await;
    Line::until_links(&other, &line.relay, |link| link.fast_bytes > 0).await;
    line.flow(SizeClass::M).await.down(2 * MB).await;
    line.close().await;
}
