//! Promises that the node's thread settles.

use napi::bindgen_prelude::{Function, JsObjectValue, Object, ToNapiValue};
use napi::{Env, JsValue, Result, Unknown};
use wayfare_driver::{Answer, Failure};

use crate::kernels::error;

/// An answer, and the promise that it settles. `shape` makes JavaScript's value, on JavaScript's thread.
pub(crate) fn promise<'env, T, J>(
    env: &'env Env,
    shape: impl FnOnce(T) -> J + Send + 'static,
) -> Result<(Answer<T>, Object<'env>)>
where
    T: Send + 'static,
    J: ToNapiValue + 'static,
{
    let (deferred, promise) = env.create_deferred()?;
    let answer = Answer::new(move |result: std::result::Result<T, Failure>| match result {
        Ok(value) => deferred.resolve(move |_| Ok(shape(value))),
        Err(failure) => deferred.reject(error(failure.code, failure.text)),
    });
    Ok((answer, promise))
}

/// What JavaScript's own `JSON.parse` makes of `json`.
pub struct Parsed(String);

impl Parsed {
    pub(crate) fn of(value: &impl serde::Serialize) -> Self {
        // Figures and names always have a JSON form.
        Self(serde_json::to_string(value).unwrap_or_else(|_| "null".into()))
    }
}

impl ToNapiValue for Parsed {
    #[allow(unsafe_code)]
    unsafe fn to_napi_value(raw: napi::sys::napi_env, value: Self) -> Result<napi::sys::napi_value> {
        let env = Env::from_raw(raw);
        let json: Object<'_> = env.get_global()?.get_named_property("JSON")?;
        let parse: Function<'_, String, Unknown<'_>> = json.get_named_property("parse")?;
        Ok(parse.call(value.0)?.raw())
    }
}

pub(crate) fn thrown(failure: Failure) -> napi::Error {
    error(failure.code, failure.text)
}
