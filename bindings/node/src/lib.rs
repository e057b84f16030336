//! What Node sees: `NativeNode` (a node with its thread), `Engine` (one without I/O), `Egress` (the choice of exits), `Credit` and
//! the kernels of `Core`.
//!
//! Invariant: nothing here is called once per packet, and no call blocks the event loop longer than a look at the node's
//! thread takes. Bytes are copied in and out; no view of a caller's buffer is kept.

#![cfg_attr(test, allow(dead_code, reason = "without Node to load it, nothing calls what is exported"))]

mod bench;
mod certificate;
mod circuits;
mod credit;
mod egress;
mod engine;
mod flows;
mod kernels;
mod measure;
mod node;
mod settle;
