//! `impair`: a UDP address that passes on to another one, with delay, loss and a limited rate, for benches.
//!
//! Prints its address as one JSON line, and what became of the packets as another when its standard input closes or
//! its time is up: a bench that dies takes it along.
#![allow(clippy::disallowed_methods, reason = "this crate stands on the machine: it reads the clock for the others")]

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use wayfare_testkit::{ImpairedPath, Impairment, Way};

const USAGE: &str = "usage: impair --target HOST:PORT [--listen HOST:PORT] [--rtt-ms MS] [--loss FRACTION] \
[--rate-mbit MBIT] [--queue-kib KIB] [--seed N] [--seconds S]

  --rtt-ms      round trip; each direction takes half of it (default 0)
  --loss        probability with which a packet of either direction is lost, 0 to 1 (default 0)
  --rate-mbit   Mbit/s of each direction, headers included (default: no limit)
  --queue-kib   what may wait for a limited direction (default 256)
  --seed        replays the same losses (default 1)
  --seconds     ends after this long (default 600)";

struct Options {
    listen: SocketAddr,
    target: SocketAddr,
    impairment: Impairment,
    seed: u64,
    time: Duration,
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut target = None;
    let mut options = Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        target: SocketAddr::from(([0, 0, 0, 0], 0)),
        impairment: Impairment::default(),
        seed: 1,
        time: Duration::from_secs(600),
    };
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or(format!("{flag} needs a value"))?;
        let wrong = || format!("{flag} does not take {value}");
        let number = || value.parse::<f64>().ok().filter(|n| (0.0..1e9).contains(n)).ok_or_else(wrong);
        match flag.as_str() {
            "--listen" => options.listen = value.parse().map_err(|_| wrong())?,
            "--target" => target = Some(value.parse().map_err(|_| wrong())?),
            "--rtt-ms" => options.impairment.delay = Duration::from_secs_f64(number()? / 2_000.0),
            "--loss" => options.impairment.loss = Some(number()?).filter(|p| *p <= 1.0).ok_or_else(wrong)?,
            "--rate-mbit" => options.impairment.rate_bits_per_s = Some((number()? * 1e6) as u64),
            "--queue-kib" => options.impairment.queue_bytes = (number()? * 1024.0) as usize,
            "--seed" => options.seed = value.parse().map_err(|_| wrong())?,
            "--seconds" => options.time = Duration::from_secs_f64(number()?),
            _ => return Err(format!("there is no {flag}")),
        }
    }
    options.target = target.ok_or("--target is missing")?;
    Ok(options)
}

async fn run(options: Options) -> std::io::Result<()> {
    let Options { listen, target, impairment, seed, time } = options;
    let path = ImpairedPath::start(listen, target, impairment, impairment, seed).await?;
    println!("{}", serde_json::json!({ "address": path.address().to_string() }));
    let input_closes = async {
        let mut input = tokio::io::stdin();
        while input.read(&mut [0; 64]).await.is_ok_and(|len| len > 0) {}
    };
    let _ = tokio::time::timeout(time, input_closes).await;
    let counts = |way| {
        let c = path.counts(way);
        serde_json::json!({
            "packets_in": c.packets_in, "bytes_in": c.bytes_in, "packets_out": c.packets_out, "bytes_out": c.bytes_out,
            "packets_lost": c.packets_lost, "packets_queue_full": c.packets_queue_full,
        })
    };
    println!("{}", serde_json::json!({ "out": counts(Way::Out), "back": counts(Way::Back) }));
    Ok(())
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(fault) => {
            eprintln!("impair: {fault}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("impair: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(run(options));
    // A thread that waits for standard input does not end by itself.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("impair: {error}");
            ExitCode::FAILURE
        }
    }
}
