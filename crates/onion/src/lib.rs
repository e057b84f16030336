//! wayfare-onion
