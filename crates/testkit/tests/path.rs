//! The path between real sockets: what is sent arrives, late as ordered, at the right client, or not at all.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests and benchmarks stand on the machine")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::time::timeout;
use wayfare_testkit::{ImpairedPath, Impairment, Way};

const PATIENCE: Duration = Duration::from_secs(20);

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// Sends everything back to where it came from.
async fn echo() -> SocketAddr {
    let socket = UdpSocket::bind(loopback()).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 65_536];
        while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
            let _ = socket.send_to(&buffer[..len], from).await;
        }
    });
    address
}

async fn client(path: &ImpairedPath) -> UdpSocket {
    let socket = UdpSocket::bind(loopback()).await.unwrap();
    socket.connect(path.address()).await.unwrap();
    socket
}

async fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    let len = timeout(PATIENCE, socket.recv(&mut buffer)).await.expect("nothing came back").unwrap();
    buffer.truncate(len);
    buffer
}

#[tokio::test]
async fn packets_of_all_sizes_go_there_and_back_in_order_to_their_own_client() {
    let wire = Impairment::default();
    let path = ImpairedPath::start(loopback(), echo().await, wire, wire, 1).await.unwrap();
    let clients = [client(&path).await, client(&path).await];
    for len in [0, 1, 1_200, 1_200, 1_200, 1_472, 9_000, 60_000] {
        for (mark, client) in clients.iter().enumerate() {
            client.send(&vec![mark as u8; len]).await.unwrap();
        }
        for (mark, client) in clients.iter().enumerate() {
            assert_eq!(receive(client).await, vec![mark as u8; len]);
        }
    }
    for n in 0..100u8 {
        clients[0].send(&[n; 100]).await.unwrap();
    }
    for n in 0..100u8 {
        assert_eq!(receive(&clients[0]).await, [n; 100]);
    }
    for way in [Way::Out, Way::Back] {
        let counts = path.counts(way);
        assert_eq!((counts.packets_in, counts.packets_out, counts.packets_lost), (116, 116, 0), "{way:?}");
        assert_eq!(counts.bytes_in, counts.bytes_out);
    }
}

#[tokio::test]
async fn a_round_trip_takes_both_delays() {
    let delayed = |ms| Impairment { delay: Duration::from_millis(ms), ..Impairment::default() };
    let path = ImpairedPath::start(loopback(), echo().await, delayed(30), delayed(20), 1).await.unwrap();
    let client = client(&path).await;
    let start = Instant::now();
    client.send(b"ping").await.unwrap();
    assert_eq!(receive(&client).await, b"ping");
    assert!(start.elapsed() >= Duration::from_millis(50), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_cut_direction_loses_everything_until_it_is_mended() {
    let wire = Impairment::default();
    let path = ImpairedPath::start(loopback(), echo().await, wire, wire, 1).await.unwrap();
    let client = client(&path).await;
    client.send(b"before").await.unwrap();
    assert_eq!(receive(&client).await, b"before");
    path.set(Way::Back, Impairment { loss: 1.0, ..wire });
    client.send(b"during").await.unwrap();
    timeout(PATIENCE, async {
        while path.counts(Way::Back).packets_lost == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    path.set(Way::Back, wire);
    client.send(b"after").await.unwrap();
    assert_eq!(receive(&client).await, b"after");
    assert_eq!(path.counts(Way::Back).packets_lost, 1);
    assert_eq!(path.counts(Way::Out).packets_out, 3);
}

#[tokio::test]
async fn a_dropped_path_frees_its_address() {
    let wire = Impairment::default();
    let path = ImpairedPath::start(loopback(), echo().await, wire, wire, 1).await.unwrap();
    let client = client(&path).await;
    client.send(b"ping").await.unwrap();
    receive(&client).await;
    let address = path.address();
    drop(path);
    let bound = timeout(PATIENCE, async {
        loop {
            match UdpSocket::bind(address).await {
                Ok(socket) => return socket,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    });
    assert_eq!(bound.await.unwrap().local_addr().unwrap(), address);
}
