//! An origin server on loopback that sends zeros to whoever connects, for as long as they are taken, or a short answer.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

static CHUNK: [u8; 256 << 10] = [0; 256 << 10];

/// Serves until the process ends; each connection gets `bytes`, or no end of them.
pub fn start(bytes: Option<usize>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            match bytes {
                // A short answer fits the socket's buffer: no thread is worth it.
                Some(bytes) => drop(answer(stream, bytes)),
                None => drop(std::thread::spawn(move || flood(stream))),
            }
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream, bytes: usize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(&CHUNK[..bytes])
}

fn flood(mut stream: TcpStream) {
    // Until the other side has had enough.
    while stream.write_all(&CHUNK).is_ok() {}
}
