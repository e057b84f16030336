//! Every packet, message or request that is dropped or refused is counted under one of these.

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why something was dropped or refused. The text is its name in `/metrics` and `status --json`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// All reasons, in the order of their codes.
            pub const ALL: &[Reason] = &[$(Reason::$name,)*];

            /// Its stable name.
            pub const fn name(self) -> &'static str {
                match self { $(Reason::$name => $text,)* }
            }
        }
    };
}

reasons! {
    /// Shorter than its header says it must be.
    PacketTruncated = "packet_truncated",
    /// Of no size class that its circuit has.
    PacketSize = "packet_size",
    /// A version or kind this node does not speak.
    PacketVersion = "packet_version",
    /// A circuit id that is not in use on this link.
    CircuitUnknown = "circuit_unknown",
    /// A counter the replay window has seen, or can no longer tell.
    PacketReplayed = "packet_replayed",
    /// The layer's tag does not verify.
    PacketForged = "packet_forged",
    /// The inner length field exceeds the payload.
    PayloadLength = "payload_length",
    /// A half whose other half never came.
    HalfLost = "half_lost",
    /// The key of this circuit is worn out (2^28 packets).
    KeyWorn = "key_worn",
    /// The next link's queue is full.
    QueueFull = "queue_full",
    /// The next link is gone.
    LinkGone = "link_gone",
    /// Forwarding is switched off at this node.
    ForwardingStopped = "forwarding_stopped",
    /// A control frame of an unknown type or a wrong length.
    ControlMalformed = "control_malformed",
    /// A set-up message of another size than five slots.
    SetupSize = "setup_size",
    /// A set-up sealed to a key this node does not hold (any more).
    SetupSealed = "setup_sealed",
    /// A set-up whose plaintext is malformed.
    SetupMalformed = "setup_malformed",
    /// A set-up for a version this node does not speak.
    SetupVersion = "setup_version",
    /// A set-up for a cipher suite this node does not offer.
    SetupSuite = "setup_suite",
    /// A set-up whose minute is too far from ours, or older than this node's memory of set-ups.
    SetupStale = "setup_stale",
    /// A set-up seen before.
    SetupReplayed = "setup_replayed",
    /// A set-up that names this node itself, or the node it came from, as the next hop.
    SetupLoop = "setup_loop",
    /// A set-up for a role this node does not play.
    SetupRole = "setup_role",
    /// More set-ups than this link's budget allows.
    SetupBudget = "setup_budget",
    /// No link to the next hop could be had.
    SetupUnreachable = "setup_unreachable",
    /// The circuit table is full.
    CircuitTableFull = "circuit_table_full",
    /// The reply to a set-up does not verify.
    ReplyForged = "reply_forged",
    /// The other side closed the circuit.
    CircuitClosed = "circuit_closed",
    /// Nothing came back in time.
    Timeout = "timeout",
    /// A handshake was refused: identity, versions, or a downgrade.
    LinkRefused = "link_refused",
    /// An inner request that does not parse.
    RequestMalformed = "request_malformed",
    /// The exit policy refuses the address.
    ExitAddressDenied = "exit_address_denied",
    /// The exit policy refuses the port.
    ExitPortDenied = "exit_port_denied",
    /// The name does not resolve.
    ExitNameUnresolved = "exit_name_unresolved",
    /// The destination does not answer, or no route leads there.
    ExitUnreachable = "exit_unreachable",
    /// The exit takes no more at the moment.
    ExitOverloaded = "exit_overloaded",
    /// The other end broke the flow off.
    FlowReset = "flow_reset",
    /// The destination refused.
    ExitConnectFailed = "exit_connect_failed",
    /// A datagram fragment that fits no datagram.
    FragmentMalformed = "fragment_malformed",
    /// A datagram of which fragments are missing.
    FragmentLost = "fragment_lost",
    /// A reader that did not read was dropped, or a datagram in pieces not begun, to keep a memory quota.
    MemoryQuota = "memory_quota",
    /// A proxy client's request does not parse.
    ProxyMalformed = "proxy_malformed",
    /// A proxy client's credentials are wrong or missing.
    ProxyCredentials = "proxy_credentials",
    /// A proxy client asked for something the proxy does not do.
    ProxyUnsupported = "proxy_unsupported",
    /// This node is going away and takes nothing new.
    Draining = "draining",
    /// A descriptor whose signature does not verify.
    DescriptorForged = "descriptor_forged",
    /// A descriptor too old, or from the future.
    DescriptorStale = "descriptor_stale",
    /// A descriptor larger than allowed.
    DescriptorOversized = "descriptor_oversized",
    /// A descriptor that does not parse.
    DescriptorMalformed = "descriptor_malformed",
    /// HTTP/3 that breaks its rules.
    WebMalformed = "web_malformed",
    /// HTTP/3 that asks for something else than a link, or for a second one.
    WebRefused = "web_refused",
    /// Headers, settings or padding of HTTP/3 larger than allowed.
    WebOversized = "web_oversized",
    /// It waited too long for the next link.
    QueueDelay = "queue_delay",
    /// A fast packet from an address that no fast link is at, or that is not validated.
    FastUnknown = "fast_unknown",
    /// A set-up for a size class that a link of its path does not carry.
    SetupClass = "setup_class",
    /// The next link does not take packets of this size, or no longer.
    LinkNarrow = "link_narrow",
    /// A flow of credits announced in a class that there is not.
    CreditClass = "credit_class",
    /// A neighbour's report of credits that are no amounts.
    CreditReport = "credit_report",
    /// A connection that does not cover the rent of a table that is half full.
    CreditRent = "credit_rent",
    /// A connection dropped for arrears of rent.
    CreditArrears = "credit_arrears",
    /// A piece of an inner datagram of which others are missing.
    PieceLost = "piece_lost",
    /// A datagram of several packets that is not sent, as its connection loses too many.
    SpanRefused = "span_refused",
}

/// How often each reason occurred since the node started.
#[derive(Clone, Debug)]
pub struct Counters([u64; Reason::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self([0; Reason::ALL.len()])
    }
}

impl Counters {
    /// Counts one more.
    #[inline]
    pub fn count(&mut self, reason: Reason) {
        self.0[reason as usize] += 1;
    }

    /// Counts so many more.
    pub fn add(&mut self, reason: Reason, count: u64) {
        self.0[reason as usize] += count;
    }

    /// How many so far.
    pub fn get(&self, reason: Reason) -> u64 {
        self.0[reason as usize]
    }

    /// Every reason with its count, zeros included.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.iter().map(|&r| (r, self.get(r)))
    }
}

impl std::ops::AddAssign<&Counters> for Counters {
    fn add_assign(&mut self, other: &Counters) {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a += b);
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;

    /// Codes travel between nodes of different versions: a new reason comes last.
    #[test]
    fn codes_stay_what_they_were() {
        for (reason, code) in [
            (Reason::PacketTruncated, 0),
            (Reason::KeyWorn, 8),
            (Reason::Timeout, 27),
            (Reason::MemoryQuota, 39),
            (Reason::LinkNarrow, 54),
            (Reason::CreditArrears, 58),
            (Reason::SpanRefused, 60),
        ] {
            assert_eq!((reason as u8, Reason::ALL[usize::from(code)]), (code, reason));
        }
    }
}
