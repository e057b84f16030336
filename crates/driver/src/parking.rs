//! Before a thread that moves much sleeps, the others that wait for its core have their turn.
//!
//! A thread that passes packets on has soon done all there is, and the next are on their way: from a thread that waits for this very
//! core, as often as not. Asleep by then, it has to be woken, which costs whoever sends to it some microseconds, and tens of them where an idle core is to be
//! woken of a virtual machine. Having let the others go first it finds the packets there, more of them at once, and nobody had to wake it.
//! Where nobody waits for the core that is one system call that returns at once.
//!
//! Invariant: only a thread that has moved much since it last slept lets others go first; what comes alone is not to wait for them.

use std::cell::Cell;
use std::io;
use std::thread;

use tokio::runtime::{Builder, Runtime};

/// As much at once comes of streams under way, and more will follow.
pub(crate) const BULK_BYTES: usize = 32 << 10;

thread_local! {
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// This thread has moved so many bytes at once.
pub(crate) fn moved(bytes: usize) {
    if bytes >= BULK_BYTES {
        BUSY.set(true);
    }
}

/// What runs on one thread that moves packets.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .on_thread_park(|| {
            if BUSY.take() {
                thread::yield_now();
            }
        })
        .build()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_thread_lets_others_go_first_once_after_it_has_moved_much() {
        let runtime = runtime().unwrap();
        let sleep = || runtime.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
        moved(BULK_BYTES - 1);
        assert!(!BUSY.get(), "what comes alone waits for nobody");
        moved(BULK_BYTES);
        moved(1);
        assert!(BUSY.get());
        sleep();
        assert!(!BUSY.get());
    }
}
