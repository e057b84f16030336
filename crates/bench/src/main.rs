//! Measurements that need threads, sockets or a whole process; each prints one JSON object.
#![allow(clippy::disallowed_methods, reason = "this crate stands on the machine: it reads the clock for the others")]

mod download;
mod hop;
mod load;
mod memory;
mod network;
mod origin;
mod quic;
mod socket;
mod socks;

use std::process::ExitCode;

use load::Fault;

const USAGE: &str = "usage: wayfare-bench MEASUREMENT

  hop       CPU time per packet of a relay against that of a bare quinn datagram hop
  memory    bytes that an idle circuit holds at a relay
  download  Gbit/s over three hops through SOCKS5, and each role's CPU time per byte, beside plain quinn
  impaired  goodput over three hops with delay and loss on one link, beside plain quinn over the same
  short     time to first byte cold and warm, and a thousand short connections
  stalled   what readers that never read hold";

/// What the kernel says this process occupies.
fn resident_bytes() -> Result<u64, Fault> {
    let statm = std::fs::read_to_string("/proc/self/statm").map_err(|e| format!("no account of memory: {e}"))?;
    let pages: u64 = statm.split(' ').nth(1).and_then(|p| p.parse().ok()).ok_or("no account of memory")?;
    Ok(pages * rustix::param::page_size() as u64)
}

async fn measure(name: &str) -> Result<String, Fault> {
    let figures = match name {
        "hop" => hop::run().await?,
        "memory" => memory::run()?,
        "download" => download::fast().await?,
        "impaired" => download::slow().await?,
        "short" => download::short().await?,
        "stalled" => download::stalled().await?,
        _ => return Err(USAGE.into()),
    };
    Ok(figures.to_string())
}

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.map_err(|e| e.to_string()).and_then(|r| r.block_on(measure(&name)));
    match result {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::from(2)
        }
    }
}
