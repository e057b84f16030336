//! wayfare-relay
