//! `NativeNode`'s flows, and the proxies that ask for them.

use napi::bindgen_prelude::{Float64Array, Object};
use napi::{Env, Result};
use napi_derive::napi;
use wayfare_driver as driver;
use wayfare_driver::Protocol;

use crate::node::{NativeNode, copied, read};
use crate::settle::{promise, thrown};

#[napi(object)]
pub struct OpenedFlow {
    pub flow: u32,
    pub local: String,
}

#[napi(object)]
pub struct ProxyCredentials {
    pub user: String,
    pub password: String,
}

#[napi(object)]
pub struct ProxyOptions {
    pub listen: String,
    pub credentials: Option<ProxyCredentials>,
}

/// See `ProxyAhead` in ts/core/host.ts.
#[napi(object)]
pub struct ProxyAhead {
    pub id: u32,
    #[napi(ts_type = "'socks5' | 'http'")]
    pub protocol: String,
    pub user: Option<String>,
    pub host: String,
    pub port: u16,
    pub connection: u32,
}

#[napi(object)]
pub struct OpenedProxy {
    pub proxy: u32,
    pub address: String,
}

#[napi]
impl NativeNode {
    #[napi(ts_return_type = "Promise<OpenedFlow>")]
    pub fn flow_open<'env>(&self, env: &'env Env, connection: u32, host: String, port: u16) -> Result<Object<'env>> {
        let (answer, flow) = promise(env, |(flow, local)| OpenedFlow { flow, local })?;
        self.with(|node| node.flow_open(connection, host, port, answer))?;
        Ok(flow)
    }

    #[napi(ts_return_type = "Promise<Uint8Array | null>")]
    pub fn flow_read<'env>(&self, env: &'env Env, flow: u32) -> Result<Object<'env>> {
        let (answer, bytes) = promise(env, read)?;
        self.with(|node| node.flow_read(flow, answer))?;
        Ok(bytes)
    }

    #[napi(ts_return_type = "Promise<void>")]
    pub fn flow_write<'env>(&self, env: &'env Env, flow: u32, data: &[u8]) -> Result<Object<'env>> {
        let (answer, written) = promise(env, |()| ())?;
        self.with(|node| node.flow_write(flow, copied(data), answer))?;
        Ok(written)
    }

    #[napi]
    pub fn inbound_accept(&self, flow: u32, port: u16) -> Result<()> {
        self.with(|node| node.inbound_accept(flow, port))
    }

    #[napi]
    pub fn inbound_refuse(&self, flow: u32, overloaded: bool) -> Result<()> {
        self.with(|node| node.inbound_refuse(flow, overloaded))
    }

    #[napi]
    pub fn flow_finish(&self, flow: u32) -> Result<()> {
        self.with(|node| node.flow_finish(flow))
    }

    #[napi]
    pub fn flow_reset(&self, flow: u32) -> Result<()> {
        self.with(|node| node.flow_reset(flow))
    }

    #[napi(ts_return_type = "Promise<OpenedProxy>")]
    pub fn socks_listen<'env>(&self, env: &'env Env, options: ProxyOptions) -> Result<Object<'env>> {
        self.listen(env, Protocol::Socks5, &options)
    }

    #[napi(ts_return_type = "Promise<OpenedProxy>")]
    pub fn http_listen<'env>(&self, env: &'env Env, options: ProxyOptions) -> Result<Object<'env>> {
        self.listen(env, Protocol::Http, &options)
    }

    fn listen<'env>(&self, env: &'env Env, protocol: Protocol, options: &ProxyOptions) -> Result<Object<'env>> {
        let credentials = options.credentials.as_ref().map(|c| (c.user.as_str(), c.password.as_str()));
        let options = driver::ProxyOptions::new(&options.listen, credentials).map_err(thrown)?;
        let (answer, proxy) = promise(env, |(proxy, address): (u32, std::net::SocketAddr)| OpenedProxy {
            proxy,
            address: address.to_string(),
        })?;
        self.with(|node| node.proxy_listen(protocol, options, answer))?;
        Ok(proxy)
    }

    #[napi]
    pub fn proxy_close(&self, proxy: u32) -> Result<()> {
        self.with(|node| node.proxy_close(proxy))
    }

    #[napi]
    pub fn proxy_assign(&self, request: u32, connection: u32) -> Result<()> {
        self.with(|node| node.proxy_assign(request, connection))
    }

    #[napi]
    pub fn proxy_accept(&self, request: u32) -> Result<()> {
        self.with(|node| node.proxy_accept(request))
    }

    /// See `ProxyAhead` in ts/core/host.ts.
    #[napi]
    pub fn proxy_ahead(&self, ahead: ProxyAhead) -> Result<()> {
        let protocol = if ahead.protocol == "http" { Protocol::Http } else { Protocol::Socks5 };
        let wanted = driver::Wanted { protocol, user: ahead.user, host: ahead.host, port: ahead.port };
        self.with(|node| node.proxy_ahead(ahead.id, wanted, ahead.connection))
    }

    /// Whether it stood.
    #[napi(ts_return_type = "Promise<boolean>")]
    pub fn proxy_ahead_revoke<'env>(&self, env: &'env Env, id: u32) -> Result<Object<'env>> {
        let (answer, stood) = promise(env, |stood: bool| stood)?;
        self.with(|node| node.proxy_ahead_revoke(id, answer))?;
        Ok(stood)
    }

    /// Rows of `PROXY_MOVED` numbers.
    #[napi(ts_return_type = "Promise<Float64Array>")]
    pub fn proxy_moved<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let (answer, moved) = promise(env, |rows: Vec<(u32, driver::MovedSince)>| {
            let numbers = |(request, of): (u32, driver::MovedSince)| {
                let moved = [of.first_us, of.last_us, of.sent, of.received, of.pieces_sent, of.pieces_received];
                std::iter::once(f64::from(request)).chain(moved.map(|number| number as f64))
            };
            Float64Array::new(rows.into_iter().flat_map(numbers).collect())
        })?;
        self.with(|node| node.proxy_moved(answer))?;
        Ok(moved)
    }

    #[napi]
    pub fn proxy_refuse(&self, request: u32, code: String) -> Result<()> {
        self.with(|node| node.proxy_refuse(request, code))
    }
}
