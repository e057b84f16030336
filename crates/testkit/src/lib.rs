//! wayfare-testkit
