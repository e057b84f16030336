//! A UDP socket in the runtime's event queue: what it is asked to be told of.
//!
//! Linux says that there is room to write again whenever a datagram has left the socket's buffer: told of that, a thread wakes once more
//! for each batch that it sent. So here only arrivals are asked for, and room while somebody waits for it.
//!
//! Invariant: a read that found nothing is followed by a wake when something comes; so is a wait for room when there is some.

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use linux::{Polled, Socket};
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use other::{Polled, Socket};

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use std::cell::RefCell;
    use std::io;
    use std::task::{Context, Poll};

    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    pub type Socket = std::net::UdpSocket;

    pub struct Polled {
        arrivals: AsyncFd<Socket>,
        /// A second descriptor of the same socket, while room is waited for.
        room: RefCell<Option<AsyncFd<Socket>>>,
    }

    impl Polled {
        /// Of a socket that does not block, within a runtime with I/O.
        pub fn new(socket: Socket) -> io::Result<Self> {
            Ok(Self { arrivals: watch(socket, Interest::READABLE)?, room: RefCell::new(None) })
        }

        pub fn socket(&self) -> &Socket {
            self.arrivals.get_ref()
        }

        pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
            self.arrivals.poll_read_ready(cx).map(drop)
        }

        pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
            let room = &mut *self.room.borrow_mut();
            if room.is_none() {
                *room = self.socket().try_clone().and_then(|socket| watch(socket, Interest::WRITABLE)).ok();
            }
            // Without a descriptor to wait with, it is tried again at once.
            let ready = room.as_ref().is_none_or(|room| room.poll_write_ready(cx).map(drop).is_ready());
            if !ready {
                return Poll::Pending;
            }
            *room = None;
            Poll::Ready(())
        }

        /// A read, unless there is known to be nothing: after one that said so ([`io::ErrorKind::WouldBlock`]).
        pub fn read<R>(&self, mut read: impl FnMut(&Socket) -> io::Result<R>) -> io::Result<R> {
            self.arrivals.try_io(Interest::READABLE, |socket| read(socket))
        }

        pub fn write<R>(&self, mut write: impl FnMut(&Socket) -> io::Result<R>) -> io::Result<R> {
            write(self.socket())
        }
    }

    #[expect(
        deprecated,
        reason = "a UdpSocket's descriptor is its own as long as it lives: the fault is with types that name one of others"
    )]
    fn watch(socket: Socket, interest: Interest) -> io::Result<AsyncFd<Socket>> {
        AsyncFd::with_interest(socket, interest)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod other {
    use std::io;
    use std::task::{Context, Poll};

    use tokio::io::Interest;

    pub type Socket = tokio::net::UdpSocket;

    pub struct Polled(Socket);

    impl Polled {
        pub fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
            Socket::from_std(socket).map(Self)
        }

        pub fn socket(&self) -> &Socket {
            &self.0
        }

        pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
            self.0.poll_recv_ready(cx).map(drop)
        }

        pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
            self.0.poll_send_ready(cx).map(drop)
        }

        pub fn read<R>(&self, mut read: impl FnMut(&Socket) -> io::Result<R>) -> io::Result<R> {
            self.0.try_io(Interest::READABLE, || read(&self.0))
        }

        pub fn write<R>(&self, mut write: impl FnMut(&Socket) -> io::Result<R>) -> io::Result<R> {
            self.0.try_io(Interest::WRITABLE, || write(&self.0))
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::future::poll_fn;
    use std::io;
    use std::os::fd::{AsRawFd, RawFd};

    use super::*;

    /// What all event queues of this process ask of that file: bits as in epoll_ctl(2), from proc_pid_fdinfo(5).
    fn asked(fd: RawFd) -> io::Result<Vec<u32>> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc/self/fdinfo")? {
            // Other tests close theirs meanwhile.
            let text = fs::read_to_string(entry?.path()).unwrap_or_default();
            for words in text.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>()) {
                if let ["tfd:", tfd, "events:", events, ..] = words[..]
                    && tfd == fd.to_string()
                {
                    found.extend(u32::from_str_radix(events, 16));
                }
            }
        }
        Ok(found)
    }

    const EPOLLIN: u32 = 1;
    const EPOLLOUT: u32 = 4;

    #[tokio::test(flavor = "current_thread")]
    async fn of_room_to_write_a_socket_is_told_only_while_that_is_waited_for() {
        let socket = Socket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let fd = socket.as_raw_fd();
        let polled = Polled::new(socket).unwrap();
        let to = polled.socket().local_addr().unwrap();
        for _ in 0..3 {
            polled.write(|socket| socket.send_to(b"x", to)).unwrap();
            poll_fn(|cx| polled.poll_writable(cx)).await;
            let asked = asked(fd).unwrap();
            assert!(!asked.is_empty() && asked.iter().all(|bits| bits & (EPOLLIN | EPOLLOUT) == EPOLLIN), "{asked:x?}");
        }
    }
}
