//! A command in a process group of its own, which ends with this program: nothing it started outlives a Ctrl-C.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::signal::unix::{SignalKind, signal};

use crate::Outcome;

/// How long a child may take to end after it was asked to.
const FAREWELL: Duration = Duration::from_secs(5);

/// Signals, caught from here on: they end the child and not this program, so that servers are stopped.
pub(crate) struct Signals {
    runtime: tokio::runtime::Runtime,
    caught: [tokio::signal::unix::Signal; 3],
}

impl Signals {
    pub(crate) fn catch() -> Outcome<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|failure| format!("no runtime: {failure}"))?;
        let entered = runtime.enter();
        let listen = |kind| signal(kind).map_err(|failure| format!("signals cannot be caught: {failure}"));
        let caught =
            [listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?];
        drop(entered);
        Ok(Self { runtime, caught })
    }

    /// Runs the command to its end; an interrupt ends it and is an error.
    pub(crate) fn run(&mut self, command: Command) -> Outcome<ExitStatus> {
        let name = command.get_program().to_string_lossy().into_owned();
        let failed = |failure: std::io::Error| format!("`{name}` did not run: {failure}");
        let [interrupt, terminate, hangup] = &mut self.caught;
        self.runtime.block_on(async {
            let mut command = tokio::process::Command::from(command);
            let mut child = command.process_group(0).kill_on_drop(true).spawn().map_err(failed)?;
            // It holds the writing ends of pipes that somebody reads to their end.
            drop(command);
            let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
            let word = tokio::select! {
                status = child.wait() => return status.map_err(failed),
                _ = interrupt.recv() => "interrupted",
                _ = terminate.recv() => "terminated",
                _ = hangup.recv() => "the terminal is gone",
            };
            for way in [Signal::TERM, Signal::KILL] {
                if let Some(group) = group {
                    // Gone already is as good as ended.
                    let _ = kill_process_group(group, way);
                }
                if tokio::time::timeout(FAREWELL, child.wait()).await.is_ok() {
                    break;
                }
            }
            Err(word.to_owned())
        })
    }

    /// As [`Signals::run`], with every line of output, in the order in which it was written, given to `see`.
    pub(crate) fn run_reading(
        &mut self,
        mut command: Command,
        mut see: impl FnMut(&str) + Send + 'static,
    ) -> Outcome<ExitStatus> {
        let failed = |failure: std::io::Error| format!("no pipe: {failure}");
        let (reader, writer) = std::io::pipe().map_err(failed)?;
        command.stdin(Stdio::null()).stdout(writer.try_clone().map_err(failed)?).stderr(writer);
        let (done, end) = mpsc::channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(reader);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                see(String::from_utf8_lossy(&line).trim_end_matches('\n'));
                line.clear();
            }
            let _ = done.send(());
        });
        let status = self.run(command);
        // A grandchild that lives on may hold the pipe open for ever.
        let _ = end.recv_timeout(FAREWELL);
        status
    }
}
