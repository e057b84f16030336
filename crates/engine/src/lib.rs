//! wayfare-engine
