//! What a browser sees: `Engine`, `Egress`, `Credit` and the kernels of `Core`, by the same names and types as the native binding's.
//!
//! Invariant: holds no logic. Bytes are copied in and out once; no view of a caller's buffer is kept.

mod bench;
mod credit;
mod egress;
mod engine;
mod kernels;

use wasm_bindgen::prelude::JsError;

/// An error whose message begins with its code.
fn error(code: &str, text: impl std::fmt::Display) -> JsError {
    JsError::new(&format!("{code}: {text}"))
}
