//! The exit's side of a flow: judge the destination, dial it, join it to the flow.
//!
//! Invariant: what is dialled is exactly what the policy returned for the answers of one look-up; nothing is resolved
//! twice, and no text reaches the operating system as an address that `wayfare_exit::parse_host` has not read
//! (threats, rows 18 and 19).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use wayfare_engine::Status;
use wayfare_exit::{Denied, parse_host};
use wayfare_proxy::Body;
use wayfare_quic::Instant;
use wayfare_types::Reason;

use crate::moved::Moved;
use crate::pump::{End, Pump};
use crate::world::Shared;

const RESOLVE_WITHIN: Duration = Duration::from_secs(8);
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// An address that has not answered for so long gets company (RFC 8305, section 5).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Serves a flow from the client's request to its end.
pub(crate) async fn serve(node: Rc<Shared>, flow: u32, host: String, port: u16) {
    let dialled = tokio::select! {
        dialled = dial(&node, &host, port) => dialled,
        // The client has left: nobody waits for an answer.
        _ = node.flow_broken(flow) => Err(Status::Ok),
    };
    match dialled {
        Ok((tcp, local)) => {
            {
                let world = &mut *node.world.borrow_mut();
                world.exit_stats.flows_open += 1;
                world.exit_stats.flows_total += 1;
                world.engine.flow_accept(flow, local);
            }
            node.kick();
            let moved = Moved::default();
            let pump = Pump { node: &node, flow, end: End::Exit, tcp: &tcp, moved: &moved };
            // How it ended is between client and destination; both have been told.
            let _ = pump.run(Bytes::new(), Body::tunnel()).await;
            node.world.borrow_mut().exit_stats.flows_open -= 1;
        }
        Err(Status::Ok) => {}
        Err(status) => node.world.borrow_mut().engine.flow_refuse(Instant::now(), flow, status),
    }
    let world = &mut *node.world.borrow_mut();
    world.flows.remove(&flow);
    world.engine.flow_release(Instant::now(), flow);
    node.kick();
}

async fn dial(node: &Shared, host: &str, port: u16) -> Result<(TcpStream, SocketAddr), Status> {
    let mut addresses = allowed(node, host, port).await?;
    let policy = node.world.borrow().policy.clone();
    addresses.retain(|&address| !policy.is_silent(address));
    if addresses.is_empty() {
        node.world.borrow_mut().count(Reason::ExitAddressDenied);
        sleep(CONNECT_WITHIN).await;
        return Err(Status::TimedOut);
    }
    let tcp = timeout(CONNECT_WITHIN, connect(&addresses, port)).await.map_err(|_| Status::TimedOut)??;
    // Without it the kernel would wait for acknowledgements that come a round trip of the whole path later.
    let local = tcp.set_nodelay(true).and_then(|()| tcp.local_addr()).map_err(|_| Status::Unreachable)?;
    Ok((tcp, local))
}

/// The addresses that `host` means and the policy lets through, looked up once.
pub(crate) async fn allowed(node: &Shared, host: &str, port: u16) -> Result<Vec<IpAddr>, Status> {
    if !node.world.borrow().dials {
        return Err(Status::AddressDenied);
    }
    let policy = node.world.borrow().policy.clone();
    policy.check_port(port).map_err(|e| status(&e))?;
    let host = parse_host(host).map_err(|_| Status::Malformed)?;
    let addresses = match (host.addresses(), &host) {
        (Some(addresses), _) => addresses,
        (None, wayfare_exit::Host::Name(name)) => {
            let answers = timeout(RESOLVE_WITHIN, node.resolver.resolve(name)).await;
            answers.map_err(|_| Status::NameUnresolved)?.map_err(|_| Status::NameUnresolved)?
        }
        (None, _) => return Err(Status::Malformed),
    };
    policy.select(&addresses).map_err(|e| status(&e))
}

pub(crate) fn status(denied: &Denied) -> Status {
    match denied {
        Denied::Port(_) => Status::PortDenied,
        Denied::Listed(_) | Denied::Special(..) => Status::AddressDenied,
        Denied::NoAddress => Status::NameUnresolved,
    }
}

/// Connects to the first address that answers, beginning with the first.
async fn connect(addresses: &[IpAddr], port: u16) -> Result<TcpStream, Status> {
    let mut attempts = JoinSet::new();
    let mut left = addresses.iter();
    let mut failed = Status::Unreachable;
    loop {
        let more = match left.next() {
            Some(&ip) => {
                attempts.spawn_local(TcpStream::connect(SocketAddr::new(ip, port)));
                left.len() > 0
            }
            None => false,
        };
        loop {
            tokio::select! {
                ended = attempts.join_next() => match ended {
                    Some(Ok(Ok(tcp))) => return Ok(tcp),
                    Some(Ok(Err(error))) => {
                        failed = connect_status(&error);
                        if more || attempts.is_empty() {
                            break;
                        }
                    }
                    Some(Err(_)) => {}
                    None => break,
                },
                () = sleep(NEXT_ADDRESS_AFTER), if more => break,
            }
        }
        if attempts.is_empty() && left.len() == 0 {
            return Err(failed);
        }
    }
}

fn connect_status(error: &io::Error) -> Status {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Status::Refused,
        io::ErrorKind::TimedOut => Status::TimedOut,
        // No sockets left.
        io::ErrorKind::Other if matches!(error.raw_os_error(), Some(23 | 24)) => Status::Overloaded,
        _ => Status::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::net::TcpListener;
    use tokio::task::LocalSet;

    /// Nobody listens on 127.0.0.2 at the port that 127.0.0.1 has.
    #[tokio::test(flavor = "current_thread")]
    async fn the_next_address_is_tried_when_one_refuses_and_all_refusals_are_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (bad, good) = (Ipv4Addr::new(127, 0, 0, 2).into(), Ipv4Addr::LOCALHOST.into());
        LocalSet::new()
            .run_until(async {
                let tcp = connect(&[bad, good], port).await.unwrap();
                assert_eq!(tcp.peer_addr().unwrap(), SocketAddr::new(good, port));
                assert_eq!(connect(&[bad], port).await.unwrap_err(), Status::Refused);
                assert_eq!(connect(&[bad, bad], port).await.unwrap_err(), Status::Refused);
                assert_eq!(connect(&[], port).await.unwrap_err(), Status::Unreachable);
            })
            .await;
    }
}
