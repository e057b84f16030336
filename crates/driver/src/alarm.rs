//! When the thread of a node wakes next.
//!
//! The runtime's own timers count whole milliseconds, rounded up. A sender that paces its packets (RFC 9002, section 7.7) asks for
//! parts of one, and what it might have sent while its alarm was late is lost to it. So what is due soon is asked of the
//! kernel in nanoseconds, where it has a timer that an event queue can watch (Linux); everything else is the runtime's.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep_until};
use wayfare_quic::Instant;

/// When nothing has a deadline.
const FAR: Duration = Duration::from_secs(3600);

/// One deadline, moved as often as one likes.
pub(crate) struct Alarm {
    far: Pin<Box<Sleep>>,
    near: Option<near::Timer>,
    /// What `near` was set to, until it has gone off.
    soon: Option<Instant>,
}

impl Alarm {
    /// Within a runtime with time and I/O. A system that has no descriptor left for it gets the runtime's timer alone.
    pub fn new() -> Self {
        Self { far: Box::pin(sleep_until((Instant::now() + FAR).into())), near: near::Timer::new(), soon: None }
    }

    pub fn set(&mut self, now: Instant, deadline: Option<Instant>) {
        let deadline = deadline.unwrap_or(now + FAR);
        let left = deadline.saturating_duration_since(now);
        if self.soon == Some(deadline) {
            return;
        }
        self.soon = None;
        match &self.near {
            Some(near) if left < near::WITHIN && near.set(left) => self.soon = Some(deadline),
            _ => self.far.as_mut().reset(deadline.into()),
        }
    }

    /// Ready once the deadline has passed, and sometimes before: it is asked again what is due.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match (&self.near, self.soon) {
            (Some(near), Some(_)) => near.poll(cx).map(|()| self.soon = None),
            _ => self.far.as_mut().poll(cx),
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod near {
    use std::os::fd::OwnedFd;
    use std::task::{Context, Poll, ready};
    use std::time::Duration;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
    };
    use tokio::io::unix::AsyncFd;

    /// Beyond, a millisecond is little, and the runtime's timer costs no system call.
    pub const WITHIN: Duration = Duration::from_millis(8);

    pub struct Timer(AsyncFd<OwnedFd>);

    impl Timer {
        pub fn new() -> Option<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags).ok()?;
            #[expect(
                deprecated,
                reason = "an OwnedFd is what it says: the fault is with types that name a descriptor of others"
            )]
            Some(Self(AsyncFd::new(timer).ok()?))
        }

        /// False where the system would not.
        pub fn set(&self, left: Duration) -> bool {
            let once = Timespec { tv_sec: 0, tv_nsec: 0 };
            // Zero would switch it off.
            let value = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().max(1).into() };
            let spec = Itimerspec { it_interval: once, it_value: value };
            timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &spec).is_ok()
        }

        pub fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
            loop {
                let Ok(mut ready) = ready!(self.0.poll_read_ready(cx)) else { return Poll::Ready(()) };
                let mut count = [0; 8];
                let gone_off = rustix::io::read(self.0.get_ref(), &mut count).is_ok();
                ready.clear_ready();
                // Otherwise it was set anew since.
                if gone_off {
                    return Poll::Ready(());
                }
            }
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod near {
    use std::task::{Context, Poll};
    use std::time::Duration;

    pub const WITHIN: Duration = Duration::ZERO;

    /// There is none.
    pub enum Timer {}

    impl Timer {
        pub fn new() -> Option<Self> {
            None
        }

        pub fn set(&self, _: Duration) -> bool {
            match *self {}
        }

        pub fn poll(&self, _: &mut Context<'_>) -> Poll<()> {
            match *self {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the alarm is about the real clock")]
mod tests {
    use std::future::poll_fn;

    use super::*;

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().unwrap();
        runtime.block_on(test);
    }

    async fn goes_off(alarm: &mut Alarm) -> Instant {
        poll_fn(|cx| alarm.poll(cx)).await;
        Instant::now()
    }

    #[test]
    fn one_alarm_goes_off_for_each_deadline_near_or_far_and_not_before() {
        run(async {
            let mut alarm = Alarm::new();
            for left_us in [1, 300, 20_000, 2_000, 0, 12_000, 700] {
                let now = Instant::now();
                let deadline = now + Duration::from_micros(left_us);
                alarm.set(now, Some(deadline));
                assert!(goes_off(&mut alarm).await >= deadline, "{left_us}");
            }
        });
    }

    #[test]
    fn a_deadline_that_is_moved_away_does_not_go_off() {
        run(async {
            let mut alarm = Alarm::new();
            let now = Instant::now();
            alarm.set(now, Some(now + Duration::from_micros(100)));
            // It has gone off by the time it is moved, and nobody has asked.
            while now.elapsed() < Duration::from_micros(400) {}
            let (now, later) = (Instant::now(), Duration::from_millis(3));
            alarm.set(now, Some(now + later));
            assert!(goes_off(&mut alarm).await >= now + later);
        });
    }

    #[test]
    fn what_is_overdue_goes_off_at_once() {
        run(async {
            let mut alarm = Alarm::new();
            let now = Instant::now();
            alarm.set(now, now.checked_sub(Duration::from_secs(1)));
            goes_off(&mut alarm).await;
        });
    }
}
