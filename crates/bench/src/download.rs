//! Downloads over three hops through SOCKS5, with all nodes on this machine.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use wayfare_testkit::Impairment;

use crate::load::Fault;
use crate::network::{Network, Running};
use crate::{origin, quic, resident_bytes, socks};

const ROUNDS: usize = 5;
/// Slow start and the growth of windows are over by then.
const WARM: Duration = Duration::from_millis(500);
const FAST: Duration = Duration::from_millis(1_000);
const SLOW: Duration = Duration::from_secs(10);
/// Delay, loss, and transfers of each kind side by side, each on its own connection: when the first loss strikes one is
/// chance, so many. But where losses are few each is fast, and all of them must leave this machine idle time.
const CASES: [(u64, f64, usize); 4] = [(50, 0.001, 8), (50, 0.01, 12), (200, 0.001, 8), (200, 0.01, 12)];
/// Connections of the short kind, and how many at a time.
const SHORT: usize = 1_000;
const AT_A_TIME: usize = 16;
const SHORT_BYTES: usize = 1_024;
const STALLED: u64 = 32;

fn text(e: impl std::fmt::Display) -> Fault {
    e.to_string()
}

/// Bytes read from `stream` until `end`.
async fn read_until(stream: &mut TcpStream, buffer: &mut [u8], end: Instant) -> Result<u64, Fault> {
    let mut got = 0;
    while let Ok(read) = tokio::time::timeout_at(end, stream.read(buffer)).await {
        match read.map_err(text)? {
            0 => return Err("the download ended early".into()),
            bytes => got += bytes as u64,
        }
    }
    Ok(got)
}

/// Throughput through a proxy, beside plain quinn between two threads.
pub async fn fast(proxy: SocketAddr) -> Result<Value, Fault> {
    let origin = origin::start(None).map_err(text)?;
    let (server, id) = quic::serve()?;
    let mut buffer = vec![0; 1 << 20];
    let mut total = 0;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let quinn = quic::download(quic::connect(server, id).await?, FAST).await?;
        let mut stream = socks::connect(proxy, origin).await.map_err(text)?;
        total += read_until(&mut stream, &mut buffer, Instant::now() + WARM).await?;
        let start = Instant::now();
        let ours = read_until(&mut stream, &mut buffer, start + FAST).await?;
        total += ours;
        rounds.push(json!({
            "quinn_gbit_per_s": quinn as f64 * 8e-9 / FAST.as_secs_f64(),
            "gbit_per_s": ours as f64 * 8e-9 / start.elapsed().as_secs_f64(),
        }));
    }
    Ok(json!({ "rounds": rounds, "bytes": total }))
}

/// Runs all of them at once.
async fn sum(transfers: Vec<impl Future<Output = Result<u64, Fault>> + Send + 'static>) -> Result<u64, Fault> {
    let mut running: JoinSet<_> = transfers.into_iter().collect();
    let mut total = 0;
    while let Some(bytes) = running.join_next().await {
        total += bytes.map_err(text)??;
    }
    Ok(total)
}

/// Bytes that a proxied download brings until `end`.
async fn proxied(proxy: SocketAddr, origin: SocketAddr, end: Instant) -> Result<u64, Fault> {
    let mut stream = socks::connect(proxy, origin).await.map_err(text)?;
    read_until(&mut stream, &mut vec![0; 1 << 16], end).await
}

/// Goodput over one impaired link, beside plain quinn over the same impairment at the same time.
async fn impaired(
    (rtt_ms, loss, at_once): (u64, f64, usize),
    server: (SocketAddr, wayfare_types::NodeId),
) -> Result<Value, Fault> {
    // The figures are totals: each way takes its half of both.
    let one_way = Impairment {
        delay: Duration::from_millis(rtt_ms) / 2,
        loss: 1.0 - (1.0 - loss).sqrt(),
        ..Impairment::default()
    };
    let network = Network::start(Some(one_way)).await?;
    let origin = origin::start(None).map_err(text)?;
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let path = Running::start(server.0, one_way, 100 + round as u64)?;
        // Connections stand before the clock runs, on either side; windows and congestion control begin with it.
        network.close_connections();
        let mut floors = Vec::new();
        for _ in 0..at_once {
            network.connect().await?;
            floors.push(quic::connect(path.address, server.1).await?);
        }
        let end = Instant::now() + SLOW;
        let ours = (0..at_once).map(|_| proxied(network.socks, origin, end)).collect();
        let floors = floors.into_iter().map(|connection| quic::download(connection, SLOW)).collect();
        let mbit_per_s = |bytes: u64| bytes as f64 * 8e-6 / SLOW.as_secs_f64();
        let (floor, ours) = tokio::join!(sum(floors), sum(ours));
        rounds.push(json!({ "quinn_mbit_per_s": mbit_per_s(floor?), "mbit_per_s": mbit_per_s(ours?) }));
    }
    Ok(json!({ "rtt_ms": rtt_ms, "loss": loss, "rounds": rounds }))
}

/// Loss, not this machine, is to limit each: where losses are few, one impairment at a time.
pub async fn slow() -> Result<Value, Fault> {
    let server = quic::serve()?;
    let [a, b, c, d] = CASES;
    let a = impaired(a, server).await?;
    let (b, d) = tokio::join!(impaired(b, server), impaired(d, server));
    let c = impaired(c, server).await?;
    Ok(json!({ "cases": [a, b?, c, d?] }))
}

async fn first_byte(stream: io::Result<TcpStream>) -> Result<(), Fault> {
    stream.map_err(text)?.read_u8().await.map(drop).map_err(text)
}

/// Time to the first byte when there is no circuit yet: its set-up, the inner connection and the request.
pub async fn cold() -> Result<Value, Fault> {
    let network = Network::start(None).await?;
    let origin = origin::start(Some(SHORT_BYTES)).map_err(text)?;
    let (mut direct_us, mut cold_us) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        first_byte(TcpStream::connect(origin).await).await?;
        direct_us.push(start.elapsed().as_micros() as u64);

        network.close_connections();
        let start = Instant::now();
        let (connected, stream) = tokio::join!(network.connect(), socks::connect(network.socks, origin));
        connected?;
        first_byte(stream).await?;
        cold_us.push(start.elapsed().as_micros() as u64);
    }
    Ok(json!({ "direct_us": direct_us, "cold_us": cold_us }))
}

/// Time to the first byte through a proxy that has a circuit, and what many short connections take.
pub async fn short(proxy: SocketAddr) -> Result<Value, Fault> {
    let origin = origin::start(Some(SHORT_BYTES)).map_err(text)?;
    let (mut direct_us, mut warm_us) = (Vec::new(), Vec::new());
    first_byte(socks::connect(proxy, origin).await).await?;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        first_byte(TcpStream::connect(origin).await).await?;
        direct_us.push(start.elapsed().as_micros() as u64);
        let start = Instant::now();
        first_byte(socks::connect(proxy, origin).await).await?;
        warm_us.push(start.elapsed().as_micros() as u64);
    }
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(short_connections(proxy, origin).await?);
    }
    Ok(json!({ "direct_us": direct_us, "warm_us": warm_us, "rounds": rounds }))
}

async fn short_connections(proxy: SocketAddr, origin: SocketAddr) -> Result<Value, Fault> {
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for worker in 0..AT_A_TIME {
        workers.spawn(async move {
            let mut took_us = Vec::new();
            for _ in (worker..SHORT).step_by(AT_A_TIME) {
                let start = Instant::now();
                let mut stream = socks::connect(proxy, origin).await.map_err(text)?;
                let mut all = Vec::new();
                stream.read_to_end(&mut all).await.map_err(text)?;
                if all.len() != SHORT_BYTES {
                    return Err(format!("{} bytes of {SHORT_BYTES}", all.len()));
                }
                took_us.push(start.elapsed().as_micros() as u64);
            }
            Ok(took_us)
        });
    }
    let mut took_us = Vec::new();
    while let Some(worker) = workers.join_next().await {
        took_us.extend(worker.map_err(text)??);
    }
    let per_s = SHORT as f64 / start.elapsed().as_secs_f64();
    took_us.sort_unstable();
    Ok(json!({ "per_s": per_s, "p50_us": took_us[SHORT / 2], "p99_us": took_us[SHORT * 99 / 100] }))
}

/// What readers that never read hold at all nodes of their path together.
pub async fn stalled() -> Result<Value, Fault> {
    let network = Network::start(None).await?;
    network.connect().await?;
    let origin = origin::start(None).map_err(text)?;
    let mut buffer = vec![0; 1 << 20];
    // A reader that reads, so that allocators, tables and receive buffers have reached their working size.
    let mut reading = socks::connect(network.socks, origin).await.map_err(text)?;
    read_until(&mut reading, &mut buffer, Instant::now() + WARM).await?;
    drop(reading);
    tokio::time::sleep(WARM).await;
    let before = resident_bytes()?;
    let mut streams = Vec::new();
    for _ in 0..STALLED {
        streams.push(socks::connect(network.socks, origin).await.map_err(text)?);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let held = resident_bytes()?.saturating_sub(before) / STALLED;
    let mut promised = 0;
    for peer in &network.peers {
        promised = promised.max(peer.stats().await?.reader_bytes / STALLED);
    }
    Ok(json!({ "readers": STALLED, "resident_bytes_per_reader": held, "promised_bytes_per_reader": promised }))
}
