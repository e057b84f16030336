//! Datagrams through a proxy's UDP ASSOCIATE (RFC 1928, section 7), at a steady rate; the origin counts what arrives.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{COUNT, text};
use crate::load::Fault;

/// What a game or a call sends at most, and fits one packet of any class.
const PAYLOAD_BYTES: usize = 1_000;
/// Datagrams leave in bursts this far apart, as timers allow.
const TICK: Duration = Duration::from_micros(500);
/// What is on its way when the last one has left, arrives within this.
const SETTLE: Duration = Duration::from_millis(500);

/// How many have arrived at the origin since it started; asked directly, not over the path.
fn arrived(origin: SocketAddr) -> io::Result<u64> {
    let mut stream = TcpStream::connect(origin)?;
    stream.write_all(&[COUNT])?;
    let mut count = [0; 8];
    stream.read_exact(&mut count)?;
    Ok(u64::from_be_bytes(count))
}

/// The control connection, which must stay, and where datagrams are to go.
fn associate(proxy: SocketAddr) -> io::Result<(TcpStream, SocketAddr)> {
    let mut stream = TcpStream::connect(proxy)?;
    stream.write_all(&[5, 1, 0])?;
    stream.read_exact(&mut [0; 2])?;
    stream.write_all(&[5, 3, 0, 1, 0, 0, 0, 0, 0, 0])?;
    let mut reply = [0; 10];
    stream.read_exact(&mut reply)?;
    let [_, 0, _, 1, a, b, c, d, high, low] = reply else {
        return Err(io::Error::other(format!("the proxy refused UDP: reply {}", reply[1])));
    };
    Ok((stream, SocketAddr::from(([a, b, c, d], u16::from_be_bytes([high, low])))))
}

fn datagram(origin: SocketAddr) -> Result<Vec<u8>, Fault> {
    let IpAddr::V4(ip) = origin.ip() else { return Err("the origin must have an IPv4 address".into()) };
    let mut bytes = vec![0, 0, 0, 1];
    bytes.extend(ip.octets());
    bytes.extend(origin.port().to_be_bytes());
    bytes.resize(bytes.len() + PAYLOAD_BYTES, 0);
    Ok(bytes)
}

pub fn run(origin: SocketAddr, proxy: SocketAddr, seconds: f64, per_s: f64) -> Result<Value, Fault> {
    let (_control, relay) = associate(proxy).map_err(text)?;
    let socket = UdpSocket::bind((proxy.ip(), 0)).map_err(text)?;
    socket.connect(relay).map_err(text)?;
    let bytes = datagram(origin)?;
    // The first one makes the association; it is not counted.
    socket.send(&bytes).map_err(text)?;
    std::thread::sleep(SETTLE);
    let before = arrived(origin).map_err(text)?;
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed().as_secs_f64() < seconds {
        let due = (start.elapsed().as_secs_f64() * per_s) as u64;
        while sent < due {
            socket.send(&bytes).map_err(text)?;
            sent += 1;
        }
        std::thread::sleep(TICK);
    }
    let took = start.elapsed().as_secs_f64();
    std::thread::sleep(SETTLE);
    let got = arrived(origin).map_err(text)? - before;
    Ok(json!({
        "sent": sent,
        "arrived": got,
        "per_s": got as f64 / took,
        "loss": 1.0 - got as f64 / (sent as f64).max(1.0),
        "payload_bytes": PAYLOAD_BYTES,
    }))
}
