//! The proxy's own answers, each one sentence of plain text. The connection closes after all but `200`.

/// The answer to a CONNECT whose destination is open: the tunnel starts right after it.
pub const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection Established\r\n\r\n";

/// What a refusal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    BadRequest,
    Forbidden,
    ProxyAuthenticationRequired,
    HeadTooLarge,
    BadGateway,
    GatewayTimeout,
}

impl Status {
    fn line(self) -> &'static str {
        match self {
            Self::BadRequest => "400 Bad Request",
            Self::Forbidden => "403 Forbidden",
            Self::ProxyAuthenticationRequired => "407 Proxy Authentication Required",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
            Self::BadGateway => "502 Bad Gateway",
            Self::GatewayTimeout => "504 Gateway Timeout",
        }
    }
}

/// A whole response.
pub fn response(status: Status, sentence: &str) -> Vec<u8> {
    let challenge = match status {
        Status::ProxyAuthenticationRequired => "Proxy-Authenticate: Basic realm=\"wayfare\"\r\n",
        _ => "",
    };
    format!(
        "HTTP/1.1 {}\r\n{challenge}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n{sentence}\n",
        status.line(),
        sentence.len() + 1
    )
    .into_bytes()
}
