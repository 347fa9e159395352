//! One HTTP request to a program of this machine.
//!
//! Guarantees: only loopback addresses; no redirect is followed; at most 64 KiB are read; nothing secret is sent.

use std::net::IpAddr;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use remint_contract::{Error, ErrorKind, Verb};
use tokio::net::TcpStream;

/// Sends one request and returns the body of a 2xx answer.
pub(crate) async fn ask(verb: Verb, method: Method, url: &str) -> Result<Bytes, Error> {
    let fail = |kind, message: &'static str| Error::new(kind, verb, message).with("url", url);
    let (uri, address, port) = loopback(url).ok_or_else(|| {
        fail(ErrorKind::Invalid, "write an http:// address of this machine, like http://127.0.0.1:8080/path")
    })?;
    let stream = TcpStream::connect((address, port))
        .await
        .map_err(|error| fail(ErrorKind::Unreachable, "nothing answers there").because(error))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| fail(ErrorKind::Unreachable, "the connection broke").because(error))?;
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let request = Request::builder()
        .method(method)
        .uri(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header(hyper::header::HOST, authority)
        .header(hyper::header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| fail(ErrorKind::Invalid, "the address cannot be asked").because(error))?;
    let answer = async move {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LARGEST).collect().await?.to_bytes();
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((status, body))
    };
    // The connection is driven here and ends with the request: no task is left behind.
    let (answer, _) = tokio::join!(answer, connection);
    let (status, body) = answer.map_err(|error| fail(ErrorKind::Unclear, "the answer was lost").because(error))?;
    let kind = match status {
        status if status.is_success() => return Ok(body),
        StatusCode::NOT_FOUND => ErrorKind::Missing,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Denied,
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::Throttled,
        _ => ErrorKind::Unclear,
    };
    Err(fail(kind, "the program did not answer with success").with("status", status.as_u16().to_string()))
}

fn loopback(url: &str) -> Option<(Uri, IpAddr, u16)> {
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority()?;
    if uri.scheme_str() != Some("http") || authority.as_str().contains('@') {
        return None;
    }
    // A name is not asked: who answers for it may change after it was approved.
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let address: IpAddr = if host == "localhost" { IpAddr::from([127, 0, 0, 1]) } else { host.parse().ok()? };
    let port = authority.port_u16().unwrap_or(80);
    address.is_loopback().then_some((uri, address, port))
}

const LARGEST: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_asked() {
        for good in ["http://127.0.0.1:1/x", "http://localhost/x", "http://[::1]:80/"] {
            assert!(loopback(good).is_some(), "{good}");
        }
        for bad in [
            "https://127.0.0.1/",
            "http://10.0.0.1/",
            "http://169.254.169.254/",
            "http://localhost.evil.example/",
            "http://127.0.0.1@evil.example/",
            "http://u@127.0.0.1/",
            "file:///etc/passwd",
            "/x",
        ] {
            assert!(loopback(bad).is_none(), "{bad}");
        }
    }
}
