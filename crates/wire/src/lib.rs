//! wayfare-wire
