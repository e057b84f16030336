//! What a server adds to what it sends back, by what runs on its circuits.

use std::time::Duration;

use wayfare_engine::*;

use crate::network::Network;

const SECOND: Duration = Duration::from_secs(1);
const EXIT: usize = 5;

/// What the exit announces back on each of its circuits.
fn back(n: &Network) -> Vec<u8> {
    n.nodes[EXIT].circuit_credits().iter().map(|credit| credit.flows[1].class_out).collect()
}

fn ask(n: &mut Network, connection: ConnectionId, host: &str, port: u16) -> (FlowId, FlowId) {
    let now = n.now;
    let near = n.nodes[0].flow_open(now, connection, host, port).unwrap();
    let asked = n.wait(EXIT, "the request", |e| matches!(e, Event::FlowRequested { .. }));
    let Event::FlowRequested { flow: far, .. } = asked else { unreachable!() };
    n.nodes[EXIT].flow_accept(far, "192.0.2.1:1".parse().unwrap());
    n.run(SECOND / 2, |_| false);
    (near, far)
}

fn end(n: &mut Network, (near, far): (FlowId, FlowId)) {
    let now = n.now;
    n.nodes[0].flow_reset(now, near);
    n.nodes[EXIT].flow_reset(now, far);
    n.run(SECOND / 2, |_| false);
}

/// The largest of what runs, as long as it runs; the client has it without having announced anything, and another of its circuits
/// has it from when its connection has moved there.
#[test]
fn a_server_adds_by_destination_while_something_runs() {
    let credits = CreditConfig { always_share: 0, valuation: false, ..CreditConfig::default() };
    let mut n = Network::with_credits(4, 1, Limits::default(), credits);
    n.nodes[EXIT].credits_add(Additions::parse("port 25 0\nport 80 3\nhost *.home.example 4\nany 1").unwrap());
    n.run(20 * SECOND, |_| false);
    let circuit = n.circuit(&[1, 2, EXIT]);
    let connection = n.connection(circuit);
    assert_eq!(back(&n), [0]);
    let web = ask(&mut n, connection, "origin.example", 80);
    assert_eq!(back(&n), [3]);
    assert_eq!(n.nodes[0].circuit_credits()[0].flows.map(|flow| (flow.class_in, flow.class_out)), [(0, 0), (3, 0)]);
    let home = ask(&mut n, connection, "nas.home.example", 443);
    assert_eq!(back(&n), [4]);
    let none = ask(&mut n, connection, "mail.home.example", 25);
    assert_eq!(back(&n), [4]);
    // To where it moves, and to nowhere else.
    let second = n.circuit(&[3, 4, EXIT]);
    let now = n.now;
    n.nodes[0].connection_move(now, connection, second).unwrap();
    n.transfer((0, web.0), (EXIT, web.1), b"on the other circuit", SECOND);
    n.run(SECOND, |_| false);
    assert_eq!(back(&n), [0, 4]);
    end(&mut n, home);
    assert_eq!(back(&n), [0, 3]);
    end(&mut n, web);
    end(&mut n, none);
    assert_eq!(back(&n), [0, 0]);
    let other = ask(&mut n, connection, "192.0.2.7", 9);
    assert_eq!(back(&n), [0, 1]);
    let now = n.now;
    n.nodes[0].connection_close(now, connection);
    n.run(SECOND, |_| false);
    assert_eq!(back(&n), [0, 0], "with the connection what ran on it is over");
    end(&mut n, other);
    assert_eq!(back(&n), [0, 0]);
    // Rules of later hold for what begins then.
    n.nodes[EXIT].credits_add(Additions::default());
    let connection = n.connection(second);
    ask(&mut n, connection, "origin.example", 80);
    assert_eq!(back(&n), [0, 0]);
}
