//! Measurements that need threads, sockets or a whole process; each prints one JSON object.
#![allow(clippy::disallowed_methods, reason = "this crate stands on the machine: it reads the clock for the others")]

mod credit;
mod download;
#[cfg(target_os = "linux")]
mod flood;
mod hop;
mod load;
mod memory;
mod network;
mod origin;
mod packets;
#[cfg(target_os = "linux")]
mod path;
mod quic;
#[cfg(target_os = "linux")]
mod relay;
mod schedule;
mod slots;
mod socket;
mod socks;
mod stats;

use std::net::SocketAddr;
use std::process::ExitCode;

use load::Fault;

const USAGE: &str = "usage: wayfare-bench MEASUREMENT [SOCKS5 PROXY]

  packets          the packet kernels against bare AEAD passes
  credit           balances, charges and settlements of credits against updates of a slot
  stats            records, questions and draws of the choice of exits against updates of a slot
  schedule         packets through the queue of a saturated link, by credits per byte, against updates of a slot
  relay CIRCUITS NEIGHBOURS PAYLOAD_BYTES
                   CPU time per packet of a relay on fast links, beside its floor
  shards CIRCUITS NEIGHBOURS PAYLOAD_BYTES
                   the same with two shards, beside one
  scheduled CIRCUITS NEIGHBOURS PAYLOAD_BYTES
                   the same where circuits pay and links have a rate, beside where neither is so
  flood            goodput of a relay at half load while as many hostile packets come, beside that without
  hop              CPU time per packet of a relay over QUIC's datagrams against that of a bare quinn datagram hop
  memory           bytes that an idle circuit holds at a relay
  impaired         goodput over three hops with delay and loss on one link, beside plain quinn over the same
  cold             time to first byte without a circuit
  stalled          what readers that never read hold
  download ADDRESS Gbit/s through a proxy, beside plain quinn
  short ADDRESS    time to first byte through a proxy, and a thousand short connections";

fn usage() -> Fault {
    #[cfg(target_os = "linux")]
    return format!("{USAGE}{}", path::USAGE);
    #[cfg(not(target_os = "linux"))]
    return USAGE.into();
}

/// What the kernel says this process occupies.
fn resident_bytes() -> Result<u64, Fault> {
    let statm = std::fs::read_to_string("/proc/self/statm").map_err(|e| format!("no account of memory: {e}"))?;
    let pages: u64 = statm.split(' ').nth(1).and_then(|p| p.parse().ok()).ok_or("no account of memory")?;
    Ok(pages * rustix::param::page_size() as u64)
}

async fn measure(words: &[&str]) -> Result<String, Fault> {
    #[cfg(target_os = "linux")]
    if let Some(figures) = path::run(words).await {
        return figures.map(|f| f.to_string());
    }
    #[cfg(target_os = "linux")]
    if let ["shards", words @ ..] = words {
        return relay::shards(relay::case(words).ok_or_else(usage)?).map(|f| f.to_string());
    }
    #[cfg(target_os = "linux")]
    if let ["scheduled", words @ ..] = words {
        return relay::scheduled(relay::case(words).ok_or_else(usage)?).map(|f| f.to_string());
    }
    #[cfg(target_os = "linux")]
    if let ["flood"] = words {
        return flood::run().map(|f| f.to_string());
    }
    #[cfg(target_os = "linux")]
    if let ["relay", words @ ..] = words {
        return relay::run(relay::case(words).ok_or_else(usage)?).await.map(|f| f.to_string());
    }
    let name = words.first().copied().unwrap_or_default();
    let proxy: Option<SocketAddr> = words.get(1).and_then(|a| a.parse().ok());
    let figures = match (name, proxy) {
        ("packets", None) => packets::run()?,
        ("credit", None) => credit::run()?,
        ("stats", None) => stats::run()?,
        ("schedule", None) => schedule::run()?,
        ("hop", None) => hop::run().await?,
        ("memory", None) => memory::run()?,
        ("impaired", None) => download::slow().await?,
        ("cold", None) => download::cold().await?,
        ("stalled", None) => download::stalled().await?,
        ("download", Some(proxy)) => download::fast(proxy).await?,
        ("short", Some(proxy)) => download::short(proxy).await?,
        _ => return Err(usage()),
    };
    Ok(figures.to_string())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.map_err(|e| e.to_string()).and_then(|r| r.block_on(measure(&words)));
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
