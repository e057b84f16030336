//! A link as this crate knows it: still proving itself, or the engine's.

use std::time::Duration;

use wayfare_engine::{Engine, Event as EngineEvent, Instant, NodeId, Reason};
use wayfare_link::{Begin, FEATURE_CREDIT, LinkStart};
use wayfare_types::Random;

use crate::engine::State;
use crate::event::Event;
use crate::failure::Failure;
use crate::options;

/// A link that has not begun by then is closed.
const START_WITHIN: Duration = Duration::from_secs(5);

pub(crate) enum Link {
    Starting {
        start: Box<LinkStart>,
        until: Instant,
        mtu: usize,
    },
    /// The engine knows it.
    Up,
}

/// How a link begins, from what the caller says of its transport.
fn begin(
    dialling: bool,
    peer: &str,
    proven: &str,
    binding: &[u8],
    random: &mut dyn Random,
) -> Result<Result<Begin, Reason>, Failure> {
    let bindings = options::each_32(binding, "hashes of certificates")?;
    let expected = if peer.is_empty() { None } else { Some(options::node(peer)?) };
    match (dialling, expected) {
        (true, None) => return Err(Failure::invalid("whoever dials names the peer")),
        (false, Some(_)) => return Err(Failure::invalid("of one who called only the transport can say who it is")),
        _ => {}
    }
    if !proven.is_empty() {
        let proven = options::node(proven)?;
        let other = expected.is_some_and(|peer| peer != proven);
        return Ok(if other { Err(Reason::LinkRefused) } else { Ok(Begin::Proven(proven)) });
    }
    let mut nonce = [0; 32];
    random.fill(&mut nonce);
    Ok(Ok(match (expected, bindings) {
        (Some(peer), bindings) => Begin::Dial { peer, bindings: bindings.to_vec(), nonce },
        (None, []) => Begin::Accept { binding: [0; 32], nonce },
        (None, [binding]) => Begin::Accept { binding: *binding, nonce },
        (None, _) => return Err(Failure::invalid("this side presents one certificate")),
    }))
}

impl State {
    #[allow(clippy::too_many_arguments, reason = "flat calls are what crosses the binding")]
    pub fn link_start(
        &mut self,
        now_us: f64,
        link: f64,
        dialling: bool,
        peer: &str,
        proven: &str,
        binding: &[u8],
        mtu: f64,
    ) -> Result<(), Failure> {
        let now = self.at(now_us)?;
        let (link, mtu) = (options::id(link, "a link")?, options::mtu(mtu)?);
        if self.links.contains_key(&link) {
            return Err(Failure::invalid(format!("link {link} has begun already")));
        }
        match begin(dialling, peer, proven, binding, &mut self.random)? {
            Err(reason) => {
                self.engine.counters().count(reason);
                self.tell(Event::LinkClose { link, reason: reason.name() });
            }
            Ok(begin) => {
                let mut out = Vec::new();
                let start = Box::new(LinkStart::new(begin, self.engine.id(), FEATURE_CREDIT, &mut out));
                self.say(link, out);
                self.links.insert(link, Link::Starting { start, until: now + START_WITHIN, mtu });
                self.control(now, link, &[]);
            }
        }
        Ok(())
    }

    pub fn link_mtu(&mut self, link: f64, mtu: f64) -> Result<(), Failure> {
        let (link, bytes) = (options::id(link, "a link")?, options::mtu(mtu)?);
        match self.links.get_mut(&link) {
            Some(Link::Starting { mtu, .. }) => *mtu = bytes,
            Some(Link::Up) => self.engine.link_mtu(link, bytes),
            None => self.engine.counters().count(Reason::LinkGone),
        }
        Ok(())
    }

    pub fn link_stop(&mut self, now_us: f64, link: f64) -> Result<(), Failure> {
        let now = self.at(now_us)?;
        let link = options::id(link, "a link")?;
        self.forget(now, link);
        Ok(())
    }

    /// Bytes of a link's control stream.
    pub fn control(&mut self, now: Instant, link: u32, mut bytes: &[u8]) {
        let result = match self.links.get_mut(&link) {
            None => return self.engine.counters().count(Reason::LinkGone),
            Some(Link::Up) => self.engine.handle_control(now, link, bytes),
            Some(Link::Starting { start, mtu, .. }) => {
                let mut out = Vec::new();
                let (up, mtu) = (start.take(&self.identity, &mut bytes, &mut out), *mtu);
                self.say(link, out);
                match up {
                    Ok(None) => return,
                    Ok(Some(up)) => {
                        self.links.insert(link, Link::Up);
                        self.tell(Event::LinkUp { link, peer: up.peer.to_string(), version: up.version });
                        self.engine.link_up_with(now, link, up.peer, mtu, up.features & FEATURE_CREDIT != 0);
                        self.engine.link_fast(now, link, None);
                        self.engine.handle_control(now, link, bytes)
                    }
                    Err(reason) => {
                        self.engine.counters().count(reason);
                        Err(reason)
                    }
                }
            }
        };
        if let Err(reason) = result {
            self.refuse(now, link, reason);
        }
    }

    /// Gives up on links that took too long to begin.
    pub fn expire_starts(&mut self, now: Instant) {
        let late = |link: &Link| matches!(link, Link::Starting { until, .. } if *until <= now);
        let late: Vec<u32> = self.links.iter().filter(|(_, link)| late(link)).map(|(&id, _)| id).collect();
        for link in late {
            self.engine.counters().count(Reason::Timeout);
            self.refuse(now, link, Reason::Timeout);
        }
    }

    /// When the next of them is due.
    pub fn next_start_end(&self) -> Option<Instant> {
        let end = |link: &Link| match link {
            Link::Starting { until, .. } => Some(*until),
            Link::Up => None,
        };
        self.links.values().filter_map(end).min()
    }

    /// Closes a link: it cannot begin, or its peer broke the rules.
    pub fn refuse(&mut self, now: Instant, link: u32, reason: Reason) {
        self.tell(Event::LinkClose { link, reason: reason.name() });
        self.forget(now, link);
    }

    fn forget(&mut self, now: Instant, link: u32) {
        if let Some(Link::Up) = self.links.remove(&link) {
            self.engine.link_down(now, link);
        }
    }

    fn say(&mut self, link: u32, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.own_outputs.push_back((link, bytes));
        }
    }

    /// Something to know that the engine does not know of, in its place between what the engine tells.
    fn tell(&mut self, event: Event) {
        self.collect();
        self.events.push_back(event);
    }

    /// Takes in what the engine has to tell.
    pub fn collect(&mut self) {
        while let Some(event) = self.engine.poll_event() {
            match &event {
                EngineEvent::FlowRequested { flow, .. } => {
                    self.asked.insert(*flow);
                }
                EngineEvent::FlowClosed { flow, .. } => {
                    self.asked.remove(flow);
                }
                EngineEvent::UdpOpened(udp) => self.engine.udp_close(self.now, *udp),
                EngineEvent::UdpReceived { .. } => self.engine.counters().count(Reason::ExitUnreachable),
                _ => {}
            }
            self.events.extend(Event::of(event));
        }
    }

    /// Whether packets and control frames for this link still go anywhere.
    pub fn has_link(&self, link: u32) -> bool {
        self.links.contains_key(&link)
    }

    /// This node's id.
    pub fn id(&self) -> NodeId {
        Engine::id(&self.engine)
    }
}
