//! Load for a path between machines: what a client and an origin run, each in a process of its own, with whatever lies
//! between them. Neither touches what it moves (pages of zeros go out by `sendfile`, arrivals are discarded in the
//! kernel), so that the path is measured and not its ends.
//!
//! The first byte that a client sends says what the origin is to do: see [`serve`].

mod datagrams;
mod serve;
mod transfer;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::load::Fault;
use crate::socks;

/// The origin floods.
const DOWNLOAD: u8 = b'd';
/// The origin discards, and says every [`TELL`] how many bytes have arrived: a `u64`, big-endian.
const UPLOAD: u8 = b'u';
/// The origin sends [`SHORT_BYTES`] and closes.
const SHORT: u8 = b's';
/// The origin says how many datagrams have arrived at its UDP port since it started: a `u64`, big-endian.
const COUNT: u8 = b'c';

const SHORT_BYTES: usize = 1_024;
const TELL: Duration = Duration::from_millis(20);
/// Small enough to stay in a cache shared by cores.
const PAGES_BYTES: u64 = 1 << 20;

pub const USAGE: &str = "
  serve ADDRESS                               the origin of the following, until it is killed
  path download|upload ORIGIN PROXY SECONDS FLOWS
                                              bytes over a path, per flow; PROXY may be `direct`
  path first-byte ORIGIN PROXY TIMES          microseconds until the first byte, each over a connection of its own
  path udp ORIGIN PROXY SECONDS RATE          datagrams per second that arrive of RATE sent, by UDP ASSOCIATE";

fn text(e: impl std::fmt::Display) -> Fault {
    e.to_string()
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, Fault> {
    word.parse().map_err(|_| format!("{word} is not what belongs there: usage:{USAGE}"))
}

/// `None` when the words are not for this module.
pub async fn run(words: &[&str]) -> Option<Result<Value, Fault>> {
    Some(match *words {
        ["serve", address] => serve_until_killed(address),
        ["path", kind @ ("download" | "upload"), origin, proxy, seconds, flows] => {
            async {
                let run = transfer::Run { seconds: number(seconds)?, flows: number(flows)? };
                let to = Path::new(origin, proxy)?;
                if kind == "download" { transfer::download(to, run).await } else { transfer::upload(to, run).await }
            }
            .await
        }
        ["path", "first-byte", origin, proxy, times] => {
            async { transfer::first_byte(Path::new(origin, proxy)?, number(times)?).await }.await
        }
        ["path", "udp", origin, proxy, seconds, rate] => (|| {
            let Path { origin, proxy: Some(proxy) } = Path::new(origin, proxy)? else {
                return Err("datagrams need a proxy".into());
            };
            datagrams::run(origin, proxy, number(seconds)?, number(rate)?)
        })(),
        _ => return None,
    })
}

fn serve_until_killed(address: &str) -> Result<Value, Fault> {
    let address: SocketAddr = number(address)?;
    serve::run(address).map_err(|e| format!("{address}: {e}"))
}

/// Where an origin is, and through which SOCKS5 proxy it is reached.
#[derive(Clone, Copy)]
struct Path {
    origin: SocketAddr,
    proxy: Option<SocketAddr>,
}

impl Path {
    fn new(origin: &str, proxy: &str) -> Result<Self, Fault> {
        let proxy = if proxy == "direct" { None } else { Some(number(proxy)?) };
        Ok(Self { origin: number(origin)?, proxy })
    }

    /// A connection over which the origin has been told what to do.
    async fn connect(self, what: u8) -> io::Result<tokio::net::TcpStream> {
        let mut stream = match self.proxy {
            Some(proxy) => socks::connect(proxy, self.origin).await?,
            None => {
                let stream = tokio::net::TcpStream::connect(self.origin).await?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        stream.write_all(&[what]).await?;
        Ok(stream)
    }

    /// The same for a thread of its own.
    async fn connect_blocking(self, what: u8) -> io::Result<std::net::TcpStream> {
        let stream = self.connect(what).await?.into_std()?;
        stream.set_nonblocking(false)?;
        Ok(stream)
    }
}

/// Zeros that nobody writes to.
fn pages() -> io::Result<OwnedFd> {
    let pages = memfd_create("zeros", MemfdFlags::CLOEXEC)?;
    ftruncate(&pages, PAGES_BYTES)?;
    Ok(pages)
}

/// Sends zeros until the other side has had enough.
fn flood(stream: &std::net::TcpStream, pages: &OwnedFd) {
    let mut at = 0;
    while let Ok(sent) = rustix::fs::sendfile(stream, pages, Some(&mut at), PAGES_BYTES as usize) {
        if sent == 0 {
            at = 0;
        }
    }
}

/// Takes what has arrived without copying it: TCP discards when told to truncate (tcp(7)). Zero at the end.
fn discard(stream: &std::net::TcpStream, room: &mut [u8]) -> io::Result<u64> {
    let (_, bytes) = rustix::net::recv(stream, room, rustix::net::RecvFlags::TRUNC)?;
    Ok(bytes as u64)
}
