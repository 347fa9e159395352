//! moto: a server with the interfaces of AWS, in memory, for the connector `aws`. It asks every caller for a signature and
//! for rights, but for so many first calls: those make the administrator, and a role of a second account.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::daemon::{self, Daemon, Served};
use super::python::Packages;
use super::{Running, Server};
use crate::Outcome;
use crate::postgres::free_port;

pub(super) struct Moto;

const PACKAGES: Packages = Packages { folder: "moto" };

/// Another account than the one that everything else is in.
const ACCOUNT: &str = "210987654321";
const ROLE: &str = "remint";
/// Rights to everything.
const ALL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
const TRUST: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#;

/// One call: (service, account, fields).
type Asked = (&'static str, Option<&'static str>, &'static [(&'static str, &'static str)]);

/// What is asked before a signature is. The key is the last one's answer.
const FIRST: [Asked; 6] = [
    // Loads what this service knows, which takes seconds and should be no test's.
    ("ssm", None, &[]),
    (
        "iam",
        Some(ACCOUNT),
        &[("Action", "CreateRole"), ("RoleName", ROLE), ("Path", "/"), ("AssumeRolePolicyDocument", TRUST)],
    ),
    (
        "iam",
        Some(ACCOUNT),
        &[("Action", "PutRolePolicy"), ("RoleName", ROLE), ("PolicyName", "all"), ("PolicyDocument", ALL)],
    ),
    ("iam", None, &[("Action", "CreateUser"), ("UserName", "admin")]),
    (
        "iam",
        None,
        &[("Action", "PutUserPolicy"), ("UserName", "admin"), ("PolicyName", "all"), ("PolicyDocument", ALL)],
    ),
    ("iam", None, &[("Action", "CreateAccessKey"), ("UserName", "admin")]),
];

impl Server for Moto {
    fn name(&self) -> &'static str {
        "moto"
    }

    fn obtain(&self) -> Outcome<()> {
        PACKAGES.path().map(drop)
    }

    fn start(&self) -> Outcome<Box<dyn Running>> {
        Ok(Box::new(daemon::on_some_port(|| begin(self.name()))?))
    }

    fn stop(&self, folder: &Path) -> Outcome<()> {
        daemon::stop(folder)
    }
}

fn begin(name: &str) -> Outcome<Served> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let folder = daemon::folder(name)?;
    let mut command = PACKAGES.run("moto.server")?;
    command
        .args(["-H", &address.ip().to_string(), "-p", &address.port().to_string()])
        .env("HOME", folder.path())
        .env("INITIAL_NO_AUTH_ACTION_COUNT", FIRST.len().to_string());
    let daemon = Daemon::start(command, folder, || daemon::ask(address, "/moto-api/").is_some())?;
    let mut answer = String::new();
    for (service, account, form) in FIRST {
        let (status, body) = post(address, service, account, form)?;
        if status != "200" {
            return Err(format!("{name} does not let its first callers in: {status} {body}"));
        }
        answer = body;
    }
    // Nothing is proven where anybody is let in.
    let (status, _) = post(address, "iam", None, &[("Action", "ListUsers")])?;
    if status != "403" {
        return Err(format!("{name} let somebody in without a signature: {status}"));
    }
    let element = |tag: &str| {
        let (_, rest) = answer.split_once(&format!("<{tag}>"))?;
        rest.split_once("</").map(|(text, _)| text.to_owned())
    };
    let (Some(key), Some(secret)) = (element("AccessKeyId"), element("SecretAccessKey")) else {
        return Err(format!("{name} made no key for its administrator"));
    };
    let version = PACKAGES.pinned("moto").unwrap_or_else(|| "unknown".to_owned());
    let environment = vec![
        ("REMINT_TEST_AWS", format!("http://{address}")),
        ("REMINT_TEST_AWS_KEY", key),
        ("REMINT_TEST_AWS_SECRET", secret),
        // Of another account, for whoever may assume it.
        ("REMINT_TEST_AWS_ROLE", format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}")),
    ];
    Ok(Served { daemon, version, environment })
}

/// One call without a valid signature: status and body.
fn post(address: SocketAddr, service: &str, account: Option<&str>, form: &[(&str, &str)]) -> Outcome<(String, String)> {
    let failed = |failure: std::io::Error| format!("{address} did not answer: {failure}");
    let (headers, body) = if form.is_empty() {
        ("X-Amz-Target: AmazonSSM.DescribeParameters\r\nContent-Type: application/x-amz-json-1.1", "{}".to_owned())
    } else {
        let fields = form.iter().map(|(name, value)| format!("{name}={}", escaped(value)));
        let fields = fields.chain(["Version=2010-05-08".to_owned()]).collect::<Vec<_>>().join("&");
        ("Content-Type: application/x-www-form-urlencoded", fields)
    };
    let account = account.map(|account| format!("x-moto-account-id: {account}\r\n")).unwrap_or_default();
    let request = format!(
        "POST / HTTP/1.0\r\nHost: {address}\r\n{headers}\r\n{account}Content-Length: {}\r\nAuthorization: AWS4-HMAC-SHA256 \
         Credential=AKIANOBODY/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).map_err(failed)?;
    stream.set_read_timeout(Some(Duration::from_mins(1))).map_err(failed)?;
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = String::new();
    stream.take(1 << 16).read_to_string(&mut answer).map_err(failed)?;
    let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok((status, body))
}

/// As a field of a form.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        use std::fmt::Write as _;
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
