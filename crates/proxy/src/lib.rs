//! wayfare-proxy
