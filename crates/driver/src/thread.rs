//! The thread of a node: one tokio runtime, one main task that turns the [`World`], and the tasks of pumps and proxies.
//!
//! Invariant: the thread ends when it is told to or when the last handle is dropped; it then says goodbye on every link.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::Sleep;
use wayfare_quic::Instant;
use wayfare_types::Reason;

use crate::ahead::SharedAhead;
use crate::alarm::Alarm;
use crate::answer::Answer;
use crate::event::Event;
use crate::node::Command;
use crate::options::Options;
use crate::resolve::Resolver;
use crate::world::{Job, Shared, World};
use crate::{Failure, exit, exit_udp, parking};

/// Commands carried out between two turns.
const COMMANDS_PER_TURN: usize = 64;
/// When nobody is to wait for what is left.
const FAR: Duration = Duration::from_secs(3600);

pub(crate) type OnEvents = Box<dyn Fn(Vec<Event>) + Send>;

/// What a thread needs to begin.
pub(crate) struct Start {
    pub options: Options,
    pub resolver: Arc<dyn Resolver>,
    pub on_events: OnEvents,
    pub commands: mpsc::UnboundedReceiver<Command>,
    pub ahead: SharedAhead,
    pub started: Answer<Vec<String>>,
}

/// Runs a node to its end, on the calling thread.
pub(crate) fn run(start: Start) {
    let runtime = match parking::runtime() {
        Ok(runtime) => runtime,
        Err(e) => {
            let failure = Failure::new(Failure::SYSTEM, format!("the system gives no event queue: {e}"));
            start.started.give(Err(failure));
            return;
        }
    };
    let local = LocalSet::new();
    local.block_on(&runtime, main(start));
    // Pumps and proxies end with the set that holds them.
}

async fn main(start: Start) {
    let Start { options, resolver, on_events, mut commands, ahead, started } = start;
    let mut world = match World::new(&options) {
        Ok(world) => world,
        Err(failure) => return started.give(Err(failure)),
    };
    let addresses = world.sockets.iter().map(|s| s.address().to_string()).collect();
    drop(options);
    world.ahead = ahead;
    let node = Shared::new(world, resolver);
    started.give(Ok(addresses));
    let (mut alarm, mut later) = (Alarm::new(), Box::pin(tokio::time::sleep(FAR)));
    loop {
        let more = turn(&node, &on_events);
        if more {
            // More is waiting in the sockets. The pumps have their turn first.
            tokio::task::yield_now().await;
        }
        let mut done = false;
        let mut left = COMMANDS_PER_TURN;
        while left > 0 {
            match commands.try_recv() {
                Ok(Command::Do(act)) => act(&node),
                Ok(Command::Close) | Err(mpsc::error::TryRecvError::Disconnected) => {
                    done = true;
                    break;
                }
                Err(mpsc::error::TryRecvError::Empty) => break,
            }
            left -= 1;
        }
        if done {
            break;
        }
        if more || left < COMMANDS_PER_TURN {
            continue;
        }
        match wait(&node, &mut commands, &mut alarm, later.as_mut()).await {
            Some(Command::Do(act)) => act(&node),
            Some(Command::Close) => break,
            None => {}
        }
    }
    farewell(&node, &on_events).await;
}

/// Moves everything on, starts the tasks that were asked for and hands the events over.
fn turn(node: &Rc<Shared>, on_events: &OnEvents) -> bool {
    let more = node.turn();
    let (jobs, events) = {
        let world = &mut *node.world.borrow_mut();
        (std::mem::take(&mut world.jobs), node.later.due_events(Instant::now(), &mut world.events))
    };
    for job in jobs {
        let node = node.clone();
        match job {
            Job::Dial { flow, host, port } => drop(tokio::task::spawn_local(exit::serve(node, flow, host, port))),
            Job::WatchUdp { udp } => drop(tokio::task::spawn_local(exit_udp::watch(node, udp))),
            Job::ReadUdp { udp, socket } => exit_udp::read(&node, udp, socket),
            Job::ResolveUdp { udp, host, port } => {
                drop(tokio::task::spawn_local(exit_udp::resolve(node, udp, host, port)));
            }
        }
    }
    if !events.is_empty() {
        on_events(events);
    }
    more
}

/// Sleeps until something is to be done; a command, if that is what it was.
async fn wait(
    node: &Rc<Shared>,
    commands: &mut mpsc::UnboundedReceiver<Command>,
    alarm: &mut Alarm,
    mut later: Pin<&mut Sleep>,
) -> Option<Command> {
    let now = Instant::now();
    alarm.set(now, node.world.borrow_mut().deadline(now));
    loop {
        let soon = node.later.due();
        if let Some(at) = soon.filter(|&at| later.deadline() != at.into()) {
            later.as_mut().reset(at.into());
        }
        let sockets = poll_fn(|cx| {
            let world = &mut *node.world.borrow_mut();
            // All are polled, so that each one's waker is registered.
            let readable = world.sockets.iter().filter(|s| s.poll_readable(cx).is_ready()).count() > 0;
            let writable = world.blocked_on().is_some_and(|s| s.poll_writable(cx).is_ready());
            let handed_up = world.shards.as_mut().is_some_and(|s| s.poll(cx).is_ready());
            if readable || writable || handed_up { Poll::Ready(()) } else { Poll::Pending }
        });
        return tokio::select! {
            biased;
            () = sockets => None,
            () = node.work.notified() => None,
            command = commands.recv() => Some(command.unwrap_or(Command::Close)),
            () = poll_fn(|cx| alarm.poll(cx)) => None,
            () = later.as_mut(), if soon.is_some() => None,
            // Nothing is due, only the time is known by which something will be.
            () = node.later.wanted() => continue,
        };
    }
}

/// Closes every link and lets the goodbyes out.
async fn farewell(node: &Rc<Shared>, on_events: &OnEvents) {
    {
        let world = &mut *node.world.borrow_mut();
        world.proxies.drain().for_each(|(_, task)| task.abort());
        let links: Vec<u32> = world.links.keys().chain(world.attached.keys()).copied().collect();
        let now = Instant::now();
        links.into_iter().for_each(|link| world.link_close(now, link, Reason::LinkGone));
        node.later.hasten(now);
    }
    turn(node, on_events);
    {
        // Sessions have said goodbye in their way; nobody will be here to wait for the answer.
        let now = Instant::now();
        node.world.borrow_mut().close_leaving(now, now + FAR);
    }
    turn(node, on_events);
    // A full buffer of the kernel empties at the speed of the wire; a goodbye is not worth waiting longer for.
    let blocked = poll_fn(|cx| node.world.borrow().blocked_on().map_or(Poll::Ready(()), |s| s.poll_writable(cx)));
    if tokio::time::timeout(Duration::from_millis(100), blocked).await.is_ok() {
        turn(node, on_events);
    }
}
