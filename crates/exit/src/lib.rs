//! wayfare-exit
