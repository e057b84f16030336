//! wayfare-quic
