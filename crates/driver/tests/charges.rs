//! Charges where several shards send to one neighbour: each has a queue of its own, and all come into one ledger.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests and benchmarks stand on the machine")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Book, CLIENT, EXIT, Peer, RELAY, soon};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use wayfare_driver::{CircuitSpec, ExitRules, HopSpec, Options, SizeClass, SystemResolver, ask};

const EXITS: usize = 4;
const EXITS_MOST: usize = 20;
const BYTES: usize = 1 << 20;
/// Of each queue.
const RATE_BYTES_PER_S: u64 = 1 << 20;
/// What each circuit announces, and its credits per second.
const CLASS: u8 = 3;
const CREDITS_PER_S: f64 = 16_000.0;

async fn origin() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tokio::spawn(async move { tcp.write_all(&[7; BYTES]).await });
        }
    });
    port
}

/// A relay, a client with a circuit to each exit, and those.
struct Network {
    relay: Peer,
    client: Peer,
    exits: Vec<Peer>,
    connections: Vec<u32>,
}

impl Network {
    /// So many exits that circuits of the client are at home in every shard, in whatever way the kernel spreads them.
    async fn start(shards: usize) -> Self {
        let json = format!(r#"{{"listen":["127.0.0.1:0"],"roles":{RELAY},"freshKeys":true}}"#);
        let mut options = Options::from_json(&json, &[200; 32]).unwrap();
        // An operator is not let set both, as each shard has a rate of its own: here that is what queues wait for.
        (options.limits.shards, options.limits.link_bytes_per_second) = (shards, RATE_BYTES_PER_S);
        let book = Book::default();
        let relay = Peer::start_as(200, options, &book, Arc::new(SystemResolver)).await;
        let client = Peer::start(1, CLIENT, &book).await;
        client.link(&relay).await.unwrap();
        let mut network = Self { relay, client, exits: Vec::new(), connections: Vec::new() };
        while network.exits.len() < EXITS || !network.is_spread(shards).await {
            assert!(network.exits.len() < EXITS_MOST, "all neighbours are heard by one shard");
            network.add().await;
        }
        network
    }

    async fn add(&mut self) {
        let exit = Peer::start(100 + self.exits.len() as u8, EXIT, &Book::default()).await;
        exit.node.set_exit_rules(&ExitRules { allow_loopback: true, ..ExitRules::default() }).unwrap();
        self.relay.link(&exit).await.unwrap();
        let links = self.exits.len() + 2;
        self.until(|network| async move {
            let stats = network.relay.stats().await;
            stats.links.len() == links && stats.links.iter().all(|link| link.fast_bytes > 0)
        })
        .await;
        let hops = [&self.relay, &exit].map(|p| HopSpec { node: p.node.id(), onion_key: p.onion.public() }).to_vec();
        let spec = CircuitSpec { hops, class: SizeClass::M, suite: None, flow: CLASS };
        let circuit = soon(ask(|answer| self.client.node.circuit_open(spec, answer))).await.unwrap();
        self.connections.push(soon(ask(|answer| self.client.node.connection_open(circuit, answer))).await.unwrap());
        self.exits.push(exit);
    }

    /// Ids that the client was given are all in one shard, those that exits were given in theirs.
    async fn is_spread(&self, shards: usize) -> bool {
        let ids: Vec<u64> = self.relay.stats().await.shards.iter().map(|shard| shard.circuit_ids).collect();
        let (most, circuits) = (ids.iter().copied().max().unwrap_or(0), self.exits.len() as u64);
        shards == 1 || (most > circuits && ids.iter().all(|&ids| ids > 0))
    }

    async fn until<'a, F: Future<Output = bool>>(&'a self, wanted: impl Fn(&'a Self) -> F) {
        soon(async {
            while !wanted(self).await {
                // Others need the CPU meanwhile.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    async fn download(&self, connection: u32, port: u16) {
        let node = &self.client.node;
        let opened = soon(ask(|answer| node.flow_open(connection, "127.0.0.1".into(), port, answer))).await;
        let (flow, _) = opened.unwrap();
        let mut came = 0;
        while let Some(chunk) = soon(ask(|answer| node.flow_read(flow, answer))).await.unwrap() {
            came += chunk.len();
        }
        assert_eq!(came, BYTES);
        node.flow_finish(flow);
    }

    /// The relay's accounts and circuits.
    async fn credits(&self) -> (Value, Vec<Value>) {
        let node = &self.relay.node;
        let accounts = soon(ask(|answer| node.credits(answer))).await.unwrap();
        let circuits = soon(ask(|answer| node.credits_circuits(answer))).await.unwrap();
        (serde_json::from_str(&accounts).unwrap(), serde_json::from_str(&circuits).unwrap())
    }
}

fn number(of: &Value, path: &str) -> i64 {
    of.pointer(path).and_then(Value::as_i64).unwrap_or_else(|| panic!("no {path} in {of}"))
}

fn sum<'a>(all: impl IntoIterator<Item = &'a Value>, path: &str) -> i64 {
    all.into_iter().map(|of| number(of, path)).sum()
}

#[tokio::test]
async fn what_waited_in_any_shards_queue_is_charged_once_and_accounts_are_those_of_one() {
    let port = origin().await;
    for shards in [1, 2] {
        let began = Instant::now();
        let network = Arc::new(Network::start(shards).await);
        let downloads: Vec<_> = (0..network.connections.len())
            .map(|at| {
                let network = network.clone();
                tokio::spawn(async move { network.download(network.connections[at], port).await })
            })
            .collect();
        for download in downloads {
            download.await.unwrap();
        }
        // What queues have charged comes a little later, and is settled once a second. After a pause some bytes go at once.
        let waited = |circuit: &Value| {
            number(circuit, "/backward/bytes") >= BYTES as i64 / 4 && number(circuit, "/backward/load") > 0
        };
        let peer = |of: &Peer| of.node.id().to_string();
        network
            .until(|network| async move {
                let (accounts, circuits) = network.credits().await;
                let client = row(&accounts, &peer(&network.client));
                // What went at once is counted with the circuit alone.
                let bytes = sum(&circuits, "/backward/bytes");
                let told = (bytes / 4..=bytes).contains(&number(client, "/waitedBytes"));
                circuits.iter().all(waited) && told && settled(&accounts, &circuits)
            })
            .await;
        let (accounts, circuits) = network.credits().await;
        assert_eq!(circuits.len(), network.exits.len());
        let elapsed_s = began.elapsed().as_secs_f64();
        for exit in &network.exits {
            let of: Vec<&Value> = circuits.iter().filter(|circuit| circuit["next"] == peer(exit)).collect();
            let [circuit] = of[..] else { panic!("{} circuits to one exit", of.len()) };
            let (charged, load) = (number(circuit, "/backward/charged"), number(circuit, "/backward/load"));
            // A weight per second at most, of what it was willing to pay: more would be charged by two.
            assert!(0 < charged && charged as f64 <= CREDITS_PER_S * elapsed_s + 1.0, "{shards} shards: {circuit}");
            // Who waits here a part of the time pays for all of it, down to a quarter.
            assert!(load <= 4 * charged && load <= number(circuit, "/backward/paid"), "{circuit}");
        }
        for neighbour in accounts["neighbours"].as_array().unwrap() {
            let of = |name: &str| number(neighbour, &format!("/books/{name}"));
            let balance = of("opening") + of("minted") - of("decayed") - of("spent") + of("earned");
            assert_eq!(number(neighbour, "/account"), balance, "{shards} shards");
        }
        Arc::into_inner(network).unwrap().relay.close().await;
    }
}

fn row<'a>(accounts: &'a Value, peer: &str) -> &'a Value {
    accounts["neighbours"].as_array().unwrap().iter().find(|row| row["peer"] == peer).unwrap()
}

/// Whether what neighbours were charged, have spent and were passed is what their circuits' flows say, to the unit.
fn settled(accounts: &Value, circuits: &[Value]) -> bool {
    let same = |neighbour: &Value| {
        let from: Vec<&Value> = circuits.iter().filter(|circuit| circuit["previous"] == neighbour["peer"]).collect();
        let to: Vec<&Value> = circuits.iter().filter(|circuit| circuit["next"] == neighbour["peer"]).collect();
        let both = |name: &str| {
            sum(from.iter().copied(), &format!("/forward/{name}"))
                + sum(to.iter().copied(), &format!("/backward/{name}"))
        };
        let passed = sum(from.iter().copied(), "/backward/passed") + sum(to.iter().copied(), "/forward/passed");
        let charged =
            ["load", "always", "rent"].iter().all(|name| number(neighbour, &format!("/{name}")) == both(name));
        let covered = number(neighbour, "/mirrorBooks/spent") + number(neighbour, "/overdrawn");
        charged && number(neighbour, "/books/spent") == both("paid") && covered == passed
    };
    let all = accounts["neighbours"].as_array().unwrap();
    all.iter().all(same) && number(accounts, "/books/load") == sum(all, "/load")
}
