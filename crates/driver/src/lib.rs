//! wayfare-driver
