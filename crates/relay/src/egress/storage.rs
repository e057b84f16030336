//! The memory of all queues of a thread: recycled buffers under one quota.
//!
//! What data may take is divided as in Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory packet
//! switches" (1998), with a factor of one: a queue may hold as much as is still free. So one saturated link gets half, two
//! get a third each, and there is always room for the next.

use wayfare_types::Reason;

/// The longest packet that can wait: the largest size class on a fast link.
pub const PACKET_BYTES_MAX: usize = 16_384;
/// Buffers come in these sizes: classes M and L, J, X.
const SIZES: [usize; 3] = [1536, 9216, PACKET_BYTES_MAX];
/// What a packet costs beside its buffer, in the indexes of its queue, where each is of another flow.
const OVERHEAD: usize = 512;
/// What a flow costs of which nothing waits.
const FLOW_BYTES: usize = 256;
/// Of the quota, what such flows may take: a part in sixteen.
const FLOWS_PART: usize = 16;
/// Of the quota, what is kept for control traffic: a part in sixteen.
const CONTROL_PART: usize = 16;
/// Free buffers beyond so many bytes go back to the system.
const SPARE_BYTES_MAX: usize = 1 << 20;

/// See the module.
#[derive(Debug)]
pub struct Storage {
    quota_bytes: usize,
    used_bytes: usize,
    spare_bytes: usize,
    flow_bytes: usize,
    spare: [Vec<Vec<u8>>; SIZES.len()],
    made: u64,
}

impl Storage {
    /// For so many bytes in all: what waits, what describes it, and buffers kept for what comes next.
    pub fn new(quota_bytes: usize) -> Self {
        Self { quota_bytes, used_bytes: 0, spare_bytes: 0, flow_bytes: 0, spare: Default::default(), made: 0 }
    }

    /// Bytes that packets take, their indexes included.
    pub fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    /// Likewise, and buffers that are kept, and the state of flows of which nothing waits.
    pub fn held_bytes(&self) -> usize {
        self.used_bytes + self.spare_bytes + self.flow_bytes
    }

    /// How many buffers were ever made: it stands still in steady state.
    pub fn buffers_made(&self) -> u64 {
        self.made
    }

    /// What a packet of so many bytes takes.
    ///
    /// # Errors
    /// [`Reason::PacketSize`] for more than [`PACKET_BYTES_MAX`].
    pub(super) fn cost(bytes: usize) -> Result<usize, Reason> {
        let size = SIZES.iter().find(|&&size| bytes <= size).ok_or(Reason::PacketSize)?;
        Ok(size + OVERHEAD)
    }

    /// Whether a queue that holds `held` bytes may take `cost` more.
    pub(super) fn fits(&self, held: usize, cost: usize, control: bool) -> bool {
        let left = self.quota_bytes.saturating_sub(self.used_bytes + self.flow_bytes);
        if control {
            return cost <= left;
        }
        let left = left.saturating_sub(self.quota_bytes / CONTROL_PART);
        cost <= left && held <= left
    }

    /// A copy of a packet that fits.
    ///
    /// # Errors
    /// As [`Storage::cost`].
    pub(super) fn put(&mut self, packet: &[u8]) -> Result<Vec<u8>, Reason> {
        let class = SIZES.iter().position(|&size| packet.len() <= size).ok_or(Reason::PacketSize)?;
        let mut buffer = match self.spare[class].pop() {
            Some(buffer) => {
                self.spare_bytes -= SIZES[class];
                buffer
            }
            None => {
                self.made += 1;
                Vec::with_capacity(SIZES[class])
            }
        };
        self.used_bytes += SIZES[class] + OVERHEAD;
        self.keep_quota();
        buffer.extend_from_slice(packet);
        Ok(buffer)
    }

    /// Gives spare buffers back, the largest first, until all is under the quota.
    fn keep_quota(&mut self) {
        for (spare, size) in self.spare.iter_mut().zip(SIZES).rev() {
            while self.used_bytes + self.spare_bytes + self.flow_bytes > self.quota_bytes && spare.pop().is_some() {
                self.spare_bytes -= size;
            }
        }
    }

    /// A flow's last packet has gone: whether there is room to keep its state.
    pub(super) fn keep_flow(&mut self) -> bool {
        let fits = self.flow_bytes + FLOW_BYTES <= self.quota_bytes / FLOWS_PART
            && self.used_bytes + self.flow_bytes + FLOW_BYTES <= self.quota_bytes;
        if fits {
            self.flow_bytes += FLOW_BYTES;
            self.keep_quota();
        }
        fits
    }

    /// Such a flow is no more, or packets of it wait again.
    pub(super) fn drop_flow(&mut self) {
        self.flow_bytes = self.flow_bytes.saturating_sub(FLOW_BYTES);
    }

    /// Takes a packet's buffer back, with the packet in it.
    pub(super) fn give(&mut self, mut buffer: Vec<u8>) {
        let Some(class) = SIZES.iter().position(|&size| buffer.len() <= size) else { return };
        self.used_bytes -= SIZES[class] + OVERHEAD;
        if self.spare_bytes + SIZES[class] <= SPARE_BYTES_MAX {
            buffer.clear();
            self.spare_bytes += SIZES[class];
            self.spare[class].push(buffer);
        }
    }
}
