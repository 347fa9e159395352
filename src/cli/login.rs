//! `login`: a person shows his identity provider who he is, and the daemon takes the provider's word.

use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use clap::Args;
use remint_contract::SecretValue;
use serde::Deserialize;
use serde_json::json;

use crate::cli::output::{json, next, say};
use crate::cli::{Exit, Failure, Session};
use crate::client::{Server, ServerError};
use crate::config::Environment;
use crate::login::{Asked, DeviceLogin, LoggedIn, LoginError};

#[derive(Debug, Args)]
pub(super) struct Login {
    /// Which provider, where the daemon trusts several
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Prove again who you are, whatever the browser remembers
    #[arg(long)]
    again: bool,
    /// Without a browser on this machine: type a code into one elsewhere
    #[arg(long, conflicts_with = "again")]
    device: bool,
}

#[derive(Deserialize)]
struct Providers {
    issuers: Vec<Provider>,
}

#[derive(Deserialize)]
struct Provider {
    issuer: String,
    client: String,
}

impl Login {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let Some(address) = session.global.server.clone() else {
            return Err(Failure::usage("name the daemon that you log in for: --server URL, or REMINT_SERVER"));
        };
        // A token of before, expired or not, is of no use here.
        let server = session.stranger()?;
        let asked = asked(&server, self.issuer.as_deref(), None, self.again).await?;
        let logged = if self.device { elsewhere(session, &asked).await? } else { through(session, asked).await? };
        let path = place(&session.environment, &address);
        keep(&path, &logged.token)?;
        let (who, until) = (logged.claims.principal(), logged.claims.expires());
        if session.json() {
            json(&json!({ "principal": who, "expires": until, "file": path }))?;
        }
        let until = until.map(|until| format!(", until {until:.0}")).unwrap_or_default();
        say(&format!("Logged in at {address} as {who}{until}."));
        next("the person of this principal in the daemon's table may do what its policies say: remint get resets");
        Ok(Exit::Done)
    }
}

/// A login for one act: what the provider signs carries `nonce`.
pub(super) async fn fresh(session: &Session, server: &Server, nonce: Option<String>) -> Result<LoggedIn, Failure> {
    let asked = asked(server, None, nonce, true).await?;
    through(session, asked).await
}

async fn asked(server: &Server, issuer: Option<&str>, nonce: Option<String>, again: bool) -> Result<Asked, Failure> {
    let found: Providers = server.get("/v1/login").await?;
    let mut fit = found.issuers.into_iter().filter(|known| issuer.is_none_or(|issuer| known.issuer == issuer));
    let provider = match (fit.next(), fit.next()) {
        (Some(provider), None) => provider,
        (Some(_), Some(_)) => {
            return Err(Failure::usage("the daemon trusts several providers; name one: --issuer URL"));
        }
        (None, _) => {
            return Err(Failure::usage("the daemon trusts no such provider; `issuers` in its remint.yaml names them"));
        }
    };
    Ok(Asked { issuer: provider.issuer, client: provider.client, nonce, again })
}

async fn through(session: &Session, asked: Asked) -> Result<LoggedIn, Failure> {
    let login = crate::login::Login::begin(asked, &session.context).await?;
    say(&format!("Open this in a browser on this machine, and log in:\n\n  {}\n", login.url));
    Ok(login.finish().await?)
}

/// The same where this machine has no browser.
async fn elsewhere(session: &Session, asked: &Asked) -> Result<LoggedIn, Failure> {
    let login = DeviceLogin::begin(&asked.issuer, &asked.client).await?;
    say(&format!("Open this in a browser, on whichever machine, and type {}:\n\n  {}\n", login.code, login.url));
    if let Some(whole) = &login.whole {
        say(&format!("The same with the code in it:\n\n  {whole}\n"));
    }
    Ok(login.finish(&session.context).await?)
}

/// The token of a login; one that is not there is none.
pub(super) fn kept(environment: &Environment, address: &str) -> Result<Option<SecretValue>, ServerError> {
    let path = place(environment, address);
    if path.exists() { bearer(&path).map(Some) } else { Ok(None) }
}

/// A token from a file that only its owner may read.
pub(super) fn bearer(path: &Path) -> Result<SecretValue, ServerError> {
    let failed = |source| ServerError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(ServerError::Open(path.to_owned()));
    }
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(LARGEST));
    file.take(LARGEST as u64).read_to_end(&mut bytes).map_err(failed)?;
    Ok(SecretValue::new(bytes.trim_ascii().to_vec()))
}

/// Where the token for a daemon lies.
fn place(environment: &Environment, address: &str) -> PathBuf {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '.' { letter } else { '_' };
    environment.logins().join(address.trim_end_matches('/').chars().map(plain).collect::<String>())
}

fn keep(path: &Path, token: &SecretValue) -> Result<(), Failure> {
    use std::io::Write as _;
    let failed = |error: std::io::Error| Failure::usage(format!("cannot write {}: {error}", path.display()));
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let beside = path.with_extension("new");
    // What a login that was interrupted left is nobody's.
    let _ = std::fs::remove_file(&beside);
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
    file.and_then(|mut file| file.write_all(token.expose())).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)
}

impl From<LoginError> for Failure {
    fn from(error: LoginError) -> Self {
        let exit = match &error {
            LoginError::Issuer(_) | LoginError::Unreachable(_) => Exit::Unreachable,
            LoginError::Refused(_) | LoginError::Other(_) | LoginError::Nobody | LoginError::Untyped => Exit::Refused,
            LoginError::Nowhere | LoginError::NoDevices | LoginError::Listen(_) | LoginError::Random(_) => Exit::Failed,
        };
        Self::new(exit, error)
    }
}

/// The largest token.
const LARGEST: usize = 16 << 10;
