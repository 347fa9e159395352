//! Pebble, the test server of the ACME protocol, with the DNS server that comes with it: every name leads to this machine.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::daemon::{self, Daemon};
use super::{Running, Server};
use crate::Outcome;
use crate::postgres::free_port;

pub(super) struct Pebble;

const PROGRAMS: [&str; 3] = ["pebble", "pebble-challtestsrv", "openssl"];
/// Where the certificate of its own address lies, in its folder.
const CERTIFICATE: &str = "server.pem";

struct Started {
    /// Ended first: it asks the other.
    server: Daemon,
    names: Daemon,
    version: String,
    directory: SocketAddr,
    management: SocketAddr,
    challenges: u16,
    /// Where the names' servers are told what to say.
    talks: SocketAddr,
    certificate: PathBuf,
}

impl Server for Pebble {
    fn name(&self) -> &'static str {
        "Pebble"
    }

    fn obtain(&self) -> Outcome<()> {
        if PROGRAMS.iter().all(|name| is_there(name)) {
            return Ok(());
        }
        let advice = "Pebble is missing; install it with `sudo apt-get update && sudo apt-get install pebble openssl`";
        if !fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
            return Err(advice.to_owned());
        }
        eprintln!("Pebble is missing; installing it with apt-get");
        let install: &[&str] = &["install", "--yes", "--no-install-recommends", "pebble", "openssl"];
        for arguments in [&["update"], install] {
            let mut command = Command::new("apt-get");
            command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
            if !command.stdin(Stdio::null()).stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
                return Err(format!("`apt-get {}` failed; {advice}", arguments.join(" ")));
            }
        }
        if PROGRAMS.iter().all(|name| is_there(name)) { Ok(()) } else { Err(advice.to_owned()) }
    }

    fn start(&self) -> Outcome<Box<dyn Running>> {
        Ok(Box::new(daemon::on_some_port(|| begin(self.name()))?))
    }

    fn stop(&self, folder: &Path) -> Outcome<()> {
        // The folder of the names lies in a file of the server's.
        if let Ok(names) = fs::read_to_string(folder.join(NAMES)) {
            daemon::stop(Path::new(names.trim()))?;
        }
        daemon::stop(folder)
    }
}

fn begin(name: &str) -> Outcome<Started> {
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (directory, management, names) = (local(free_port()?), local(free_port()?), local(free_port()?));
    let (challenges, tls, talks) = (free_port()?, free_port()?, local(free_port()?));
    let mut command = Command::new("pebble-challtestsrv");
    command.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", "", "-defaultIPv4", "127.0.0.1"]);
    command.args(["-dns01", &names.to_string(), "-management", &talks.to_string()]);
    let names_daemon = Daemon::start(command, daemon::folder("challtestsrv")?, || answers(talks))?;

    let folder = daemon::folder(name)?;
    let certificate = folder.path().join(CERTIFICATE);
    // No authority: a certificate that is one serves nobody.
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"])
        .args([
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            "server.key",
        ])
        .args(["-out", CERTIFICATE])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !made.is_ok_and(|status| status.success()) {
        return Err("`openssl req` made no certificate for Pebble".to_owned());
    }
    let settings = format!(
        r#"{{"pebble": {{"listenAddress": "{directory}", "managementListenAddress": "{management}",
            "certificate": "{CERTIFICATE}", "privateKey": "server.key", "httpPort": {challenges}, "tlsPort": {tls},
            "ocspResponderURL": "", "externalAccountBindingRequired": false, "certificateValidityPeriod": 86400}}}}"#
    );
    fs::write(folder.path().join("pebble.json"), settings)
        .map_err(|failure| format!("the settings of Pebble could not be written: {failure}"))?;
    let mut command = Command::new("pebble");
    command.args(["-config", "pebble.json", "-strict", "-dnsserver", &names.to_string()]);
    // It waits up to fifteen seconds before it looks at a challenge unless it is told not to.
    command.env("PEBBLE_VA_NOSLEEP", "1");
    // Percent of requests whose nonce it refuses, of its own accord: 5 unless told. A client that asks three times, as ours
    // does, would then be refused once in eight thousand requests, which is once in some runs.
    command.env("PEBBLE_WFE_NONCEREJECT", "2");
    let server = Daemon::start(command, folder, || answers(directory) && answers(management))?;
    let version = installed().unwrap_or_else(|| "unknown".to_owned());
    Ok(Started { server, names: names_daemon, version, directory, management, challenges, talks, certificate })
}

impl Running for Started {
    fn version(&self) -> &str {
        &self.version
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("REMINT_TEST_PEBBLE", format!("https://localhost:{}/dir", self.directory.port())),
            ("REMINT_TEST_PEBBLE_MANAGEMENT", format!("https://localhost:{}", self.management.port())),
            ("REMINT_TEST_PEBBLE_CHALLENGES", self.challenges.to_string()),
            ("REMINT_TEST_PEBBLE_NAMES", self.talks.to_string()),
            ("REMINT_TEST_PEBBLE_ROOTS", self.certificate.display().to_string()),
        ]
    }

    fn stay(self: Box<Self>) -> Option<PathBuf> {
        let names = self.names.stay()?;
        let folder = self.server.stay()?;
        fs::write(folder.join(NAMES), names.display().to_string()).ok()?;
        Some(folder)
    }
}

fn answers(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
}

fn is_there(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// It says its version nowhere; the system's packages do.
fn installed() -> Option<String> {
    let asked = Command::new("dpkg-query").args(["-W", "-f", "${Version}", "pebble"]).output().ok()?;
    let text = String::from_utf8(asked.stdout).ok()?;
    text.split(['+', '-']).next().filter(|version| !version.is_empty()).map(str::to_owned)
}

const NAMES: &str = "names";
