//! Greeting, credentials, request: each message is gathered to the length it announces, then judged whole.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use wayfare_types::Reason;

use super::{ATYP_NAME, ATYP_V4, ATYP_V6, ReplyCode, UNSPECIFIED, VERSION, name, reply};
use crate::credentials::{Credentials, isolation};
use crate::http::{Body, Status, response};
use crate::request::{Kind, Progress, Request, Step};

const METHOD_NONE: u8 = 0;
const METHOD_PASSWORD: u8 = 2;
const METHOD_NOT_ACCEPTABLE: u8 = 0xff;
const PASSWORD_VERSION: u8 = 1;
/// SOCKS4's "request rejected or failed".
const SOCKS4_REJECTED: [u8; 8] = [0, 91, 0, 0, 0, 0, 0, 0];

#[derive(Debug)]
enum Stage {
    Greeting,
    Password,
    Request,
    Over(Progress),
}

/// What a message, complete as far as it has said its length, came to.
enum Verdict {
    /// It is `.0` bytes long in all, or at least so long.
    Longer(usize),
    Next(Stage),
}

/// One client's conversation.
#[derive(Debug)]
pub struct Socks5 {
    credentials: Option<Credentials>,
    http_proxy: Option<SocketAddr>,
    stage: Stage,
    /// The message so far, and how long it is at least.
    message: Vec<u8>,
    wanted: usize,
    isolation: Option<String>,
}

impl Socks5 {
    /// With credentials a client must present them; without, any it presents only isolate its connections.
    pub fn new(credentials: Option<Credentials>) -> Self {
        Self { credentials, http_proxy: None, stage: Stage::Greeting, message: Vec::new(), wanted: 1, isolation: None }
    }

    /// Where HTTP is spoken, for the sentence to a client that speaks it here.
    pub fn with_http_proxy(mut self, address: SocketAddr) -> Self {
        self.http_proxy = Some(address);
        self
    }

    /// Takes what the client sent.
    pub fn feed(&mut self, input: &[u8]) -> Step {
        let mut send = Vec::new();
        let mut consumed = 0;
        loop {
            if let Stage::Over(progress) = &self.stage {
                return Step { consumed, send, progress: progress.clone() };
            }
            let taken = (self.wanted - self.message.len()).min(input.len() - consumed);
            self.message.extend_from_slice(&input[consumed..consumed + taken]);
            consumed += taken;
            if self.message.len() < self.wanted {
                return Step { consumed, send, progress: Progress::NeedMore };
            }
            let verdict = match self.stage {
                Stage::Greeting => self.greeting(&mut send),
                Stage::Password => self.password(&mut send),
                Stage::Request | Stage::Over(_) => self.request(&mut send),
            };
            match verdict {
                Verdict::Longer(wanted) => self.wanted = wanted,
                Verdict::Next(stage) => {
                    self.stage = stage;
                    self.message.clear();
                    self.wanted = 1;
                }
            }
        }
    }

    fn greeting(&self, send: &mut Vec<u8>) -> Verdict {
        match *self.message {
            [VERSION] => Verdict::Longer(2),
            [VERSION, count] if count > 0 && self.message.len() == 2 => Verdict::Longer(2 + usize::from(count)),
            [VERSION, _, ref methods @ ..] => {
                // A client that offers a password has one to give: taking it lets it isolate its connections.
                let (method, next) = if methods.contains(&METHOD_PASSWORD) {
                    (METHOD_PASSWORD, Stage::Password)
                } else if self.credentials.is_none() && methods.contains(&METHOD_NONE) {
                    (METHOD_NONE, Stage::Request)
                } else if self.credentials.is_some() {
                    (METHOD_NOT_ACCEPTABLE, over(Reason::ProxyCredentials))
                } else {
                    (METHOD_NOT_ACCEPTABLE, over(Reason::ProxyUnsupported))
                };
                send.extend([VERSION, method]);
                Verdict::Next(next)
            }
            [4, ..] => {
                send.extend(SOCKS4_REJECTED);
                Verdict::Next(over(Reason::ProxyUnsupported))
            }
            [first, ..] if first.is_ascii_uppercase() => {
                send.extend(self.http_answer());
                Verdict::Next(over(Reason::ProxyUnsupported))
            }
            _ => Verdict::Next(over(Reason::ProxyMalformed)),
        }
    }

    fn http_answer(&self) -> Vec<u8> {
        let there = self.http_proxy.map(|at| format!(" The HTTP proxy is at {at}.")).unwrap_or_default();
        response(Status::BadRequest, &format!("This is a SOCKS5 proxy, and this request is HTTP.{there}"))
    }

    fn password(&mut self, send: &mut Vec<u8>) -> Verdict {
        let message = &self.message;
        if message[0] != PASSWORD_VERSION {
            send.extend([PASSWORD_VERSION, 1]);
            return Verdict::Next(over(Reason::ProxyMalformed));
        }
        let Some(&user_len) = message.get(1) else { return Verdict::Longer(2) };
        let password_at = 3 + usize::from(user_len);
        let Some(&password_len) = message.get(password_at - 1) else { return Verdict::Longer(password_at) };
        let end = password_at + usize::from(password_len);
        if message.len() < end {
            return Verdict::Longer(end);
        }
        let (user, password) = (&message[2..password_at - 1], &message[password_at..end]);
        match &self.credentials {
            Some(ours) if !ours.matches(user, password) => {
                send.extend([PASSWORD_VERSION, 1]);
                return Verdict::Next(over(Reason::ProxyCredentials));
            }
            Some(_) => {}
            None => self.isolation = Some(isolation(user, password)),
        }
        send.extend([PASSWORD_VERSION, 0]);
        Verdict::Next(Stage::Request)
    }

    fn request(&mut self, send: &mut Vec<u8>) -> Verdict {
        let mut refuse = |code, reason| {
            send.extend(reply(code, UNSPECIFIED));
            Verdict::Next(over(reason))
        };
        let &[version, command, _reserved, address_type, ref rest @ ..] = &self.message[..] else {
            return Verdict::Longer(4);
        };
        if version != VERSION {
            return refuse(ReplyCode::GeneralFailure, Reason::ProxyMalformed);
        }
        let kind = match command {
            1 => Kind::Connect,
            3 => Kind::UdpAssociate,
            _ => return refuse(ReplyCode::CommandNotSupported, Reason::ProxyUnsupported),
        };
        let (prefix_len, address_len) = match (address_type, rest.first()) {
            (ATYP_V4, _) => (0, 4),
            (ATYP_V6, _) => (0, 16),
            (ATYP_NAME, None) => return Verdict::Longer(5),
            (ATYP_NAME, Some(&len)) => (1, usize::from(len)),
            _ => return refuse(ReplyCode::AddressTypeNotSupported, Reason::ProxyUnsupported),
        };
        let end = prefix_len + address_len;
        let Some(&[high, low]) = rest.get(end..end + 2) else { return Verdict::Longer(4 + end + 2) };
        let port = u16::from_be_bytes([high, low]);
        let Some(host) = host(&rest[prefix_len..end], address_type) else {
            return refuse(ReplyCode::GeneralFailure, Reason::ProxyMalformed);
        };
        if port == 0 && kind == Kind::Connect {
            return refuse(ReplyCode::GeneralFailure, Reason::ProxyMalformed);
        }
        let isolation = self.isolation.take();
        let request = Request { kind, host, port, isolation, head: Vec::new(), body: Body::tunnel() };
        Verdict::Next(Stage::Over(Progress::Request(request)))
    }
}

fn over(reason: Reason) -> Stage {
    Stage::Over(Progress::Refused(reason))
}

fn host(address: &[u8], address_type: u8) -> Option<String> {
    if address_type == ATYP_NAME {
        return name(address).map(str::to_owned);
    }
    let ip: IpAddr = match <[u8; 4]>::try_from(address) {
        Ok(v4) => Ipv4Addr::from(v4).into(),
        Err(_) => Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?).into(),
    };
    Some(ip.to_string())
}
