//! What packets of a link need, apart from what its probes and epochs need: other threads get it by value.

use std::sync::Arc;

use wayfare_wire::FastHeader;
use wayfare_wire::fast::epoch_bits;

use crate::keys::EpochKeys;

/// The keys of a link at one time. A copy is cheap and stays as it is.
#[derive(Clone)]
pub struct View {
    sealer: Arc<FastHeader>,
    /// By the bits that the first byte shows; of the epochs that may come.
    openers: [Option<Arc<FastHeader>>; 4],
    max_packet: usize,
    revision: u64,
}

impl View {
    pub(crate) fn new(send: &EpochKeys, receive: [&EpochKeys; 2]) -> Self {
        let mut view = Self { sealer: send.header.clone(), openers: [const { None }; 4], max_packet: 0, revision: 0 };
        view.receive(None, receive[0], receive[1]);
        view
    }

    pub(crate) fn send(&mut self, keys: &EpochKeys) {
        self.sealer = keys.header.clone();
        self.revision += 1;
    }

    pub(crate) fn receive(&mut self, previous: Option<&EpochKeys>, current: &EpochKeys, next: &EpochKeys) {
        self.openers = [const { None }; 4];
        for keys in previous.into_iter().chain([current, next]) {
            self.openers[usize::from(epoch_bits(keys.header.first_byte()))] = Some(keys.header.clone());
        }
        self.revision += 1;
    }

    pub(crate) fn reach(&mut self, max_packet: usize) {
        self.revision += u64::from(max_packet != self.max_packet);
        self.max_packet = max_packet;
    }

    /// Grows when something about it changes.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The largest packet that may go out, header included; 0 while the link is not to be used.
    #[inline]
    pub fn max_packet(&self) -> usize {
        self.max_packet
    }

    /// The keys that packets go out under.
    #[inline]
    pub fn sealer(&self) -> &FastHeader {
        &self.sealer
    }

    /// The keys for packets whose first byte shows this epoch.
    #[inline]
    pub fn opener(&self, first_byte: u8) -> Option<&FastHeader> {
        self.openers[usize::from(epoch_bits(first_byte))].as_deref()
    }
}
