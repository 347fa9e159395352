//! Making a workload read its files again: by a signal, by HTTP on this machine, or by a command of the daemon's own
//! configuration.
//!
//! Guarantees: no document names a program, an argument or another machine; a process id comes from a file below the
//! root and is neither the system's first process, nor a group, nor Remint itself.
//! Errors: `Missing` when no such process runs, `Unclear` when a command ran and failed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use remint_contract::{Error, ErrorKind, Verb, Workload};
use rustix::io::Errno;
use rustix::process::Pid;

use crate::connector::blocking;
use crate::http;
use crate::place::Place;
use crate::settings::{self, Reload, Signal};

pub(crate) async fn reload(
    root: &Path,
    commands: &BTreeMap<String, Vec<String>>,
    workload: &Workload,
) -> Result<(), Error> {
    match settings::reload(workload)? {
        Reload::None => Ok(()),
        Reload::Signal { pid_file, signal } => {
            let root = PathBuf::from(root);
            blocking(Verb::Reload, move || send(&root, &pid_file, signal)).await
        }
        Reload::Http { url } => http::ask(Verb::Reload, hyper::Method::POST, &url).await.map(|_| ()),
        Reload::Command { name } => run(commands, &name).await,
    }
}

fn send(root: &Path, pid_file: &str, signal: Signal) -> Result<(), Error> {
    let fail = |kind, message: &'static str| Error::new(kind, Verb::Reload, message).with("pidFile", pid_file);
    let content = Place::open(root, pid_file, Verb::Reload)?
        .content()?
        .ok_or_else(|| fail(ErrorKind::Missing, "there is no process id file; is the workload running?"))?;
    let text = std::str::from_utf8(&content.bytes).unwrap_or_default();
    let number: i32 =
        text.trim().parse().map_err(|_| fail(ErrorKind::Invalid, "the file does not hold a process id"))?;
    let pid = Some(number)
        .filter(|number| *number > 1)
        .and_then(Pid::from_raw)
        .filter(|pid| *pid != rustix::process::getpid())
        .ok_or_else(|| fail(ErrorKind::Invalid, "that process id is never signalled"))?;
    let signal = match signal {
        Signal::Hup => rustix::process::Signal::HUP,
        Signal::Usr1 => rustix::process::Signal::USR1,
        Signal::Usr2 => rustix::process::Signal::USR2,
    };
    rustix::process::kill_process(pid, signal).map_err(|errno| match errno {
        Errno::SRCH => fail(ErrorKind::Missing, "no process has that id; is the workload running?"),
        Errno::PERM => fail(ErrorKind::Denied, "Remint may not signal that process"),
        other => fail(ErrorKind::Invalid, "the signal was not taken").because(std::io::Error::from(other)),
    })
}

async fn run(commands: &BTreeMap<String, Vec<String>>, name: &str) -> Result<(), Error> {
    let fail = |kind, message: &'static str| Error::new(kind, Verb::Reload, message).with("command", name);
    let (program, arguments) = commands
        .get(name)
        .and_then(|command| command.split_first())
        .ok_or_else(|| fail(ErrorKind::Invalid, "the daemon's configuration has no command of that name"))?;
    let status = tokio::process::Command::new(program)
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|error| fail(ErrorKind::Invalid, "the command cannot be started").because(error))?;
    if status.success() {
        return Ok(());
    }
    Err(fail(ErrorKind::Unclear, "the command ran and failed").with("status", status.to_string()))
}
