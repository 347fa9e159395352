//! A program that serves from a folder of throw-away data: started, waited for, and ended by its process id.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::Running;
use crate::Outcome;

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_mins(3);
/// How long it may take to end after it was asked to.
const FAREWELL: Duration = Duration::from_secs(5);
/// So many ports are tried.
const PORTS: usize = 5;
const GLANCE: Duration = Duration::from_millis(30);

/// A running program and its folder. Dropping it ends the one and removes the other, unless it was told to stay.
pub(super) struct Daemon {
    child: Child,
    folder: Option<TempDir>,
}

/// A server that is one program.
pub(super) struct Served {
    pub(super) daemon: Daemon,
    pub(super) version: String,
    pub(super) environment: Vec<(&'static str, String)>,
}

impl Running for Served {
    fn version(&self) -> &str {
        &self.version
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        self.environment.clone()
    }

    fn stay(self: Box<Self>) -> Option<PathBuf> {
        self.daemon.stay()
    }
}

/// A folder for a server's data.
pub(super) fn folder(name: &str) -> Outcome<TempDir> {
    tempfile::Builder::new()
        .prefix(&format!("remint-{}-", name.to_lowercase()))
        .tempdir()
        .map_err(|failure| format!("no temporary folder for {name}: {failure}"))
}

/// Begins a server again where it did not come up: somebody else may take a port between its choice and its use.
pub(super) fn on_some_port<T>(begin: impl Fn() -> Outcome<T>) -> Outcome<T> {
    let mut begun = begin();
    for _ in 1..PORTS {
        if begun.is_ok() {
            break;
        }
        begun = begin();
    }
    begun
}

impl Daemon {
    /// Starts the program with its words going to `log` in the folder, and waits until `answers` says so.
    pub(super) fn start(mut command: Command, folder: TempDir, answers: impl Fn() -> bool) -> Outcome<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let failed = |failure: std::io::Error| format!("`{name}` did not start: {failure}");
        let log = File::create(folder.path().join(LOG)).map_err(failed)?;
        command.stdin(Stdio::null()).stdout(log.try_clone().map_err(failed)?).stderr(log);
        // A Ctrl-C is meant for this program, which then ends its servers one after the other.
        let child = command.current_dir(folder.path()).process_group(0).spawn().map_err(failed)?;
        let mut daemon = Self { child, folder: Some(folder) };
        let id = daemon.child.id();
        let begun = begun(id).ok_or_else(|| daemon.ended(&name))?;
        daemon.note(&format!("{id} {begun}")).map_err(failed)?;
        let until = Instant::now() + PATIENCE;
        while !answers() {
            if daemon.child.try_wait().map_err(failed)?.is_some() {
                return Err(daemon.ended(&name));
            }
            if Instant::now() > until {
                return Err(format!("`{name}` does not answer after {} s: {}", PATIENCE.as_secs(), daemon.words()));
            }
            std::thread::sleep(GLANCE);
        }
        Ok(daemon)
    }

    /// Lets it run on after this program; gives its folder, by which [`stop`] finds it.
    pub(super) fn stay(mut self) -> Option<PathBuf> {
        self.folder.take().map(TempDir::keep)
    }

    fn note(&self, identity: &str) -> std::io::Result<()> {
        self.folder.as_ref().map_or(Ok(()), |folder| fs::write(folder.path().join(IDENTITY), identity))
    }

    fn ended(&self, name: &str) -> String {
        format!("`{name}` ended at once: {}", self.words())
    }

    /// The end of what it wrote.
    fn words(&self) -> String {
        let text = self.folder.as_ref().and_then(|folder| fs::read_to_string(folder.path().join(LOG)).ok());
        let text = text.unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.folder.is_none() {
            return;
        }
        if let Some(id) = pid(self.child.id()) {
            let _ = kill_process(id, Signal::TERM);
        }
        let until = Instant::now() + FAREWELL;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(GLANCE);
        }
        // Both fail only where it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends the program of a folder, if it still runs, and removes the folder.
pub(super) fn stop(folder: &Path) -> Outcome<()> {
    let identity = fs::read_to_string(folder.join(IDENTITY)).unwrap_or_default();
    if let Some((id, began)) = identity.split_once(' ').and_then(|(id, began)| Some((id.parse().ok()?, began))) {
        // Another program may have got the number since.
        let runs = || begun(id).as_deref() == Some(began);
        for way in [Signal::TERM, Signal::KILL] {
            let until = Instant::now() + FAREWELL;
            if let Some(id) = pid(id).filter(|_| runs()) {
                let _ = kill_process(id, way);
            }
            while runs() && Instant::now() < until {
                std::thread::sleep(GLANCE);
            }
        }
        if runs() {
            return Err(format!("process {id} does not end; its data are in {}", folder.display()));
        }
    }
    match fs::remove_dir_all(folder) {
        Err(failure) if failure.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{} could not be removed: {failure}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// The body of a plain GET, when the answer was 200.
pub(super) fn ask(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.take(1 << 16).read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?;
    (status == "200").then(|| body.to_owned())
}

fn pid(id: u32) -> Option<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw)
}

/// When a process began, in the kernel's own count: with its number it names one process for ever. None when it is gone
/// or only waits to be buried.
fn begun(id: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name in brackets may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if fields.next()? == "Z" { None } else { fields.nth(18).map(str::to_owned) }
}

const LOG: &str = "log";
const IDENTITY: &str = "process";

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Daemon {
        let mut command = Command::new("sleep");
        command.arg("1000");
        Daemon::start(command, folder("Sleeper").unwrap(), || true).unwrap()
    }

    #[test]
    fn one_that_stays_is_stopped_by_its_folder() {
        let mut daemon = sleeper();
        let id = daemon.child.id();
        let folder = daemon.folder.take().unwrap().keep();
        assert!(begun(id).is_some());
        stop(&folder).unwrap();
        assert!(begun(id).is_none() && !folder.exists());
        stop(&folder).unwrap();
        daemon.child.wait().unwrap();
    }

    #[test]
    fn a_number_that_another_process_got_is_left_alone() {
        let daemon = sleeper();
        let id = daemon.child.id();
        let other = folder("Other").unwrap().keep();
        fs::write(other.join(IDENTITY), format!("{id} 1")).unwrap();
        stop(&other).unwrap();
        assert!(begun(id).is_some());
        drop(daemon);
        assert!(begun(id).is_none());
    }

    #[test]
    fn one_that_ends_at_once_says_its_last_words() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no licence; exit 3"]);
        let sentence = Daemon::start(command, folder("Ended").unwrap(), || false).err().unwrap();
        assert!(sentence.contains("no licence"), "{sentence}");
    }
}
