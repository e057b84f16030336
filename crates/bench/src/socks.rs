//! The least of a SOCKS5 client: no authentication, CONNECT to an IPv4 address (RFC 1928).

use std::io;
use std::net::{SocketAddr, SocketAddrV4};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub async fn connect(proxy: SocketAddr, target: SocketAddr) -> io::Result<TcpStream> {
    let SocketAddr::V4(target) = target else { return Err(io::ErrorKind::Unsupported.into()) };
    let mut stream = TcpStream::connect(proxy).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&[5, 1, 0]).await?;
    let mut method = [0; 2];
    stream.read_exact(&mut method).await?;
    stream.write_all(&request(target)).await?;
    let mut reply = [0; 10];
    stream.read_exact(&mut reply).await?;
    if method == [5, 0] && reply[1] == 0 {
        Ok(stream)
    } else {
        Err(io::Error::other(format!("the proxy refused: method {}, reply {}", method[1], reply[1])))
    }
}

fn request(target: SocketAddrV4) -> [u8; 10] {
    let ([a, b, c, d], [high, low]) = (target.ip().octets(), target.port().to_be_bytes());
    [5, 1, 0, 1, a, b, c, d, high, low]
}
