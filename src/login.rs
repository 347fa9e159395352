//! A person's login at an OpenID provider: a code with PKCE, brought back on a loopback address; or, without a browser here,
//! a code that he types elsewhere ([`DeviceLogin`]).
//!
//! Flow: [`Login::begin`] asks the provider where one logs in, takes a loopback port, and gives the address that the person
//! opens in a browser; [`Login::finish`] waits for the browser to come back, and changes the code for a token.
//!
//! Guarantees: what comes back belongs to what was sent (state, nonce, the provider's name), and the code is of use to this
//! process only (PKCE). Whether the token is good is looked at by the daemon that it is shown to.

use std::net::Ipv4Addr;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use remint_contract::SecretValue;
use reqwest::redirect::Policy;
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::answer;
use crate::context::Context;
use crate::escrow::NoRandomness;
use crate::identity::{Claims, Discovery, IssuerError, discover, read_claims, safe};

mod device;

pub use device::DeviceLogin;

/// What is asked of the provider.
#[derive(Debug, Clone)]
pub struct Asked {
    pub issuer: String,
    pub client: String,
    /// What the token is to carry: the digest of what is signed by it.
    pub nonce: Option<String>,
    /// The person proves again who he is, whatever the browser remembers.
    pub again: bool,
}

/// A login that waits for its person.
pub struct Login {
    /// What he opens in a browser.
    pub url: String,
    asked: Asked,
    found: Discovery,
    http: reqwest::Client,
    listener: TcpListener,
    redirect: String,
    verifier: SecretValue,
    state: String,
    nonce: String,
}

/// A token, and what it says.
pub struct LoggedIn {
    pub token: SecretValue,
    pub claims: Claims,
}

/// Why nobody is logged in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    #[error("the provider does not say where one logs in")]
    Nowhere,
    #[error("the provider has no login for devices; log in without --device, where a browser is")]
    NoDevices,
    #[error("nobody typed the code while it was good; log in again")]
    Untyped,
    #[error("no loopback port could be taken")]
    Listen(#[source] std::io::Error),
    #[error("nobody came back from the browser in {} minutes", PATIENCE.as_secs() / 60)]
    Nobody,
    #[error("the provider says: {0}")]
    Refused(String),
    #[error("the provider cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("what came back is not what was asked for ({0}); log in again")]
    Other(&'static str),
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    id_token: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    error_description: Option<String>,
}

impl Login {
    /// Finds the provider, and takes a port for the way back.
    ///
    /// # Errors
    /// The provider cannot be asked, or says nothing of logins.
    pub async fn begin(asked: Asked, context: &Context) -> Result<Self, LoginError> {
        safe(&asked.issuer)?;
        let http = http()?;
        let found = discover(&http, &asked.issuer).await?;
        let authorization = found.authorization_endpoint.clone().ok_or(LoginError::Nowhere)?;
        safe(&authorization)?;
        safe(found.token_endpoint.as_deref().ok_or(LoginError::Nowhere)?)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(LoginError::Listen)?;
        let port = listener.local_addr().map_err(LoginError::Listen)?.port();
        let redirect = format!("http://127.0.0.1:{port}/callback");
        let verifier = context.secret(64, LETTERS)?;
        let challenge = digest(&SHA256, verifier.expose_str().unwrap_or_default().as_bytes());
        let challenge = URL_SAFE_NO_PAD.encode(challenge.as_ref());
        let state = context.hex(16)?;
        let nonce = match &asked.nonce {
            Some(nonce) => nonce.clone(),
            None => context.hex(16)?,
        };
        let mut url = reqwest::Url::parse(&authorization).map_err(|_| LoginError::Nowhere)?;
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", &asked.client),
            ("redirect_uri", &redirect),
            ("scope", "openid groups"),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        if asked.again {
            url.query_pairs_mut().extend_pairs([("prompt", "login"), ("max_age", "0")]);
        }
        Ok(Self { url: url.into(), asked, found, http, listener, redirect, verifier, state, nonce })
    }

    /// Waits for the person, and fetches his token.
    ///
    /// # Errors
    /// Nobody came, or what came is not what was asked for.
    pub async fn finish(self) -> Result<LoggedIn, LoginError> {
        let back = tokio::time::timeout(PATIENCE, self.back()).await.map_err(|_| LoginError::Nobody)??;
        let code = back.ok_or(LoginError::Other("no code"))?;
        let words = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &self.redirect),
            ("client_id", &self.asked.client),
            ("code_verifier", self.verifier.expose_str().unwrap_or_default()),
        ];
        let endpoint = self.found.token_endpoint.as_deref().unwrap_or_default();
        let request = self.http.post(endpoint).header("content-type", "application/x-www-form-urlencoded");
        let answered =
            request.body(form(&words)?).send().await.map_err(|error| LoginError::Unreachable(error.without_url()))?;
        let text = answer::text(answered, LARGEST).await.map_err(|_| LoginError::Other("its token"))?;
        let answer: Answer = serde_json::from_str(&text).map_err(|_| LoginError::Other("its token"))?;
        if let Some(error) = answer.error {
            return Err(LoginError::Refused(answer.error_description.unwrap_or(error)));
        }
        let token = answer.id_token.ok_or(LoginError::Other("no ID token"))?;
        let claims = read_claims(&token).ok_or(LoginError::Other("its token"))?;
        if claims.iss != self.asked.issuer {
            return Err(LoginError::Other("another provider"));
        }
        if claims.nonce.as_deref() != Some(&self.nonce) {
            return Err(LoginError::Other("another nonce"));
        }
        Ok(LoggedIn { token: SecretValue::new(token.into_bytes()), claims })
    }

    /// The code that a browser brings; everything else that knocks is sent away.
    async fn back(&self) -> Result<Option<String>, LoginError> {
        loop {
            let (mut stream, _) = self.listener.accept().await.map_err(LoginError::Listen)?;
            let Some(target) = target(&mut stream).await else { continue };
            let Ok(url) = reqwest::Url::parse(&format!("http://127.0.0.1{target}")) else { continue };
            let find =
                |name: &str| url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
            if url.path() != "/callback" || find("state").as_deref() != Some(self.state.as_str()) {
                say(&mut stream, "404 Not Found", "This is not the login that is waited for.").await;
                continue;
            }
            if find("iss").is_some_and(|issuer| issuer != self.asked.issuer) {
                say(&mut stream, "400 Bad Request", "This is another provider's answer.").await;
                return Err(LoginError::Other("another provider"));
            }
            if let Some(error) = find("error") {
                say(&mut stream, "200 OK", "The provider refused; the command line says why.").await;
                return Err(LoginError::Refused(find("error_description").unwrap_or(error)));
            }
            say(&mut stream, "200 OK", "Done. Go back to the command line.").await;
            return Ok(find("code"));
        }
    }
}

fn http() -> Result<reqwest::Client, LoginError> {
    let http = reqwest::Client::builder().redirect(Policy::none()).no_proxy().timeout(LONGEST).build();
    http.map_err(LoginError::Unreachable)
}

/// The body of a form.
fn form(words: &[(&str, &str)]) -> Result<String, LoginError> {
    let url = reqwest::Url::parse_with_params("http://localhost/", words).map_err(|_| LoginError::Other("code"))?;
    Ok(url.query().unwrap_or_default().to_owned())
}

/// The target of a GET request, of which no more is read than its first line has.
async fn target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    let read = async {
        while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < LARGEST {
            let count = stream.read(&mut chunk).await.ok()?;
            if count == 0 {
                return None;
            }
            head.extend_from_slice(&chunk[..count]);
        }
        Some(())
    };
    tokio::time::timeout(LONGEST, read).await.ok()??;
    let text = String::from_utf8(head).ok()?;
    let mut words = text.lines().next()?.split(' ');
    (words.next() == Some("GET")).then(|| words.next().map(str::to_owned))?
}

async fn say(stream: &mut TcpStream, status: &str, words: &str) {
    let length = words.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n{words}"
    );
    // Whoever went away has the code on his way all the same.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// What a verifier is made of.
const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
/// How long a person has.
const PATIENCE: Duration = Duration::from_mins(5);
const LONGEST: Duration = Duration::from_secs(10);
const LARGEST: usize = 64 << 10;
