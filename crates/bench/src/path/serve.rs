//! The origin: floods, discards, answers briefly and counts datagrams, as the first byte of a connection asks.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde_json::Value;

use super::{COUNT, DOWNLOAD, SHORT, SHORT_BYTES, TELL, UPLOAD, discard, flood, pages};

/// Serves TCP and UDP on the same port until the process is killed.
pub fn run(address: SocketAddr) -> io::Result<Value> {
    let listener = TcpListener::bind(address)?;
    let socket = UdpSocket::bind(address)?;
    let datagrams = Arc::new(AtomicU64::new(0));
    let counted = datagrams.clone();
    std::thread::spawn(move || {
        let mut room = [0; 2_048];
        loop {
            // An error is another datagram's (ICMP): the next one arrives all the same.
            if socket.recv(&mut room).is_ok() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    println!("{}", serde_json::json!({ "listening": address.to_string() }));
    for stream in listener.incoming().flatten() {
        let datagrams = datagrams.clone();
        // How a connection ends is the client's business.
        std::thread::spawn(move || drop(serve(stream, &datagrams)));
    }
    Ok(Value::Null)
}

fn serve(mut stream: TcpStream, datagrams: &AtomicU64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut what = [0];
    stream.read_exact(&mut what)?;
    match what[0] {
        DOWNLOAD => flood(&stream, &pages()?),
        UPLOAD => take(stream)?,
        SHORT => stream.write_all(&[0; SHORT_BYTES])?,
        COUNT => stream.write_all(&datagrams.load(Ordering::Relaxed).to_be_bytes())?,
        _ => {}
    }
    Ok(())
}

fn take(mut stream: TcpStream) -> io::Result<()> {
    let mut room = vec![0; 1 << 20];
    let (mut arrived, mut told) = (0, Instant::now());
    loop {
        match discard(&stream, &mut room)? {
            0 => return Ok(()),
            bytes => arrived += bytes,
        }
        if told.elapsed() >= TELL {
            told = Instant::now();
            stream.write_all(&arrived.to_be_bytes())?;
        }
    }
}
