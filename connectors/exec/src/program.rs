//! One run of a program: two lines in, two lines out, and nothing of it left behind.
//!
//! Flow: start, send the greeting, read its answer, let the caller judge it, send the request, read its answer, wait
//! for the end, kill the process group, reap.
//! Guarantees: the group is killed before its leader is reaped, so that the number cannot belong to somebody else; a
//! call that is dropped kills it too; no buffer that held a line is left unwiped.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use remint_contract::ErrorKind;
use rustix::process::{Pid, PidfdFlags, Signal};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use zeroize::Zeroizing;

/// A program and its fixed arguments, from the daemon's configuration.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) path: String,
    pub(crate) arguments: Vec<String>,
}

/// The line with the answer, without its end, and how the program ended.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) line: Zeroizing<Vec<u8>>,
    pub(crate) status: ExitStatus,
}

/// A run that gave no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    /// True when the request had begun to be sent: it may have been done.
    pub(crate) asked: bool,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Cause {
    #[error("the program cannot be started")]
    Start(#[source] io::Error),
    #[error("the pipe to the program failed")]
    Pipe(#[source] io::Error),
    #[error("the program ended without an answer")]
    Silent,
    #[error("the program's answer is longer than {} KiB", LINE / 1024)]
    TooLong,
    #[error("the program took longer than {} seconds and was killed", .0.as_secs())]
    TimedOut(Duration),
    #[error("{}", .0.message)]
    Disagreed(Disagreement),
}

/// Why the request was not sent.
#[derive(Debug)]
pub(crate) struct Disagreement {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

/// What the program wrote to its standard error, when that was little enough to be looked at as a whole.
pub(crate) type Complaint = Option<Zeroizing<Vec<u8>>>;

/// Runs the program once. `agrees` judges the answer to the greeting; the request is not sent when it says why not.
pub(crate) async fn converse(
    program: &Program,
    limit: Duration,
    greeting: &[u8],
    agrees: impl FnOnce(&[u8]) -> Result<(), Disagreement> + Send,
    request: &[u8],
) -> (Result<Answered, Failure>, Complaint) {
    let (mut run, stderr) = match Run::start(program) {
        Ok(started) => started,
        Err(error) => return (Err(Failure { cause: Cause::Start(error), asked: false }), None),
    };
    let mut complaint = Drain { pipe: stderr, kept: Zeroizing::new(vec![0; COMPLAINT]), length: 0, open: true };
    let result = {
        let talk = tokio::time::timeout(limit, run.talk(greeting, agrees, request));
        tokio::pin!(talk);
        loop {
            tokio::select! {
                biased;
                result = &mut talk => break result,
                () = complaint.more(), if complaint.open => {}
            }
        }
    };
    let result = result.unwrap_or(Err(Cause::TimedOut(limit)));
    let asked = run.asked;
    let status = run.end().await;
    // The group is dead and its end of the pipe with it; somebody in a session of his own must not hold the call.
    let _ = tokio::time::timeout(REST, complaint.rest()).await;
    let result = match (result, status) {
        (Ok(line), Ok(status)) => Ok(Answered { line, status }),
        (Ok(_), Err(error)) => Err(Failure { cause: Cause::Pipe(error), asked }),
        (Err(cause), _) => Err(Failure { cause, asked }),
    };
    (result, complaint.whole())
}

/// A running program. Dropping it kills its group.
struct Run {
    group: Group,
    exit: AsyncFd<OwnedFd>,
    child: Child,
    input: Option<ChildStdin>,
    output: Lines,
    asked: bool,
}

/// A process group whose leader is not reaped yet.
struct Group(Option<Pid>);

impl Group {
    fn kill(&mut self) {
        if let Some(leader) = self.0.take() {
            // Gone already is what is wanted.
            let _ = rustix::process::kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Run {
    fn start(program: &Program) -> io::Result<(Self, ChildStderr)> {
        let mut child = Command::new(&program.path)
            .args(&program.arguments)
            .env_clear()
            .env("PATH", PATH)
            .env("LC_ALL", "C.UTF-8")
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let leader = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let group = Group(leader);
        let missing = || io::Error::other("the started program has no process id or no pipes");
        let exit = rustix::process::pidfd_open(leader.ok_or_else(missing)?, PidfdFlags::NONBLOCK)?;
        #[expect(deprecated, reason = "its successor is unsafe, and an OwnedFd keeps what that asks for")]
        let exit = AsyncFd::with_interest(exit, tokio::io::Interest::READABLE)?;
        let (input, output) = (child.stdin.take(), child.stdout.take().ok_or_else(missing)?);
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let output = Lines { pipe: output, buffer: Zeroizing::new(vec![0; LINE]), filled: 0 };
        Ok((Self { group, exit, child, input, output, asked: false }, stderr))
    }

    async fn talk(
        &mut self,
        greeting: &[u8],
        agrees: impl FnOnce(&[u8]) -> Result<(), Disagreement>,
        request: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Cause> {
        self.say(greeting).await?;
        agrees(&self.output.line().await?).map_err(Cause::Disagreed)?;
        self.asked = true;
        self.say(request).await?;
        self.input = None;
        let line = self.output.line().await?;
        // Whatever follows is thrown away, so that a full pipe does not keep the program from ending.
        tokio::select! {
            biased;
            ended = self.exit.readable() => drop(ended.map_err(Cause::Pipe)?),
            never = self.output.discard() => match never {},
        }
        Ok(line)
    }

    async fn say(&mut self, line: &[u8]) -> Result<(), Cause> {
        let input = self.input.as_mut().ok_or(Cause::Silent)?;
        let sent = async {
            input.write_all(line).await?;
            input.write_all(b"\n").await?;
            input.flush().await
        };
        match sent.await {
            // It closed its input or ended: what it said until then tells more than the broken pipe.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(Cause::Pipe),
        }
    }

    async fn end(mut self) -> io::Result<ExitStatus> {
        self.group.kill();
        self.child.wait().await
    }
}

/// Reads lines of bounded length; what is read is wiped.
struct Lines {
    pipe: ChildStdout,
    buffer: Zeroizing<Vec<u8>>,
    filled: usize,
}

impl Lines {
    async fn line(&mut self) -> Result<Zeroizing<Vec<u8>>, Cause> {
        loop {
            if let Some(end) = self.buffer[..self.filled].iter().position(|byte| *byte == b'\n') {
                let line = Zeroizing::new(self.buffer[..end].to_vec());
                self.buffer.copy_within(end + 1..self.filled, 0);
                self.filled -= end + 1;
                return Ok(line);
            }
            if self.filled == self.buffer.len() {
                return Err(Cause::TooLong);
            }
            match self.pipe.read(&mut self.buffer[self.filled..]).await.map_err(Cause::Pipe)? {
                0 => return Err(Cause::Silent),
                count => self.filled += count,
            }
        }
    }

    async fn discard(&mut self) -> std::convert::Infallible {
        while let Ok(1..) = self.pipe.read(&mut self.buffer).await {}
        std::future::pending().await
    }
}

/// Reads standard error so that the program never waits for it, and keeps as much as is looked at.
struct Drain<R> {
    pipe: R,
    kept: Zeroizing<Vec<u8>>,
    length: usize,
    open: bool,
}

impl<R: AsyncRead + Unpin> Drain<R> {
    async fn more(&mut self) {
        let full = self.length >= self.kept.len();
        // Once it is too much to be looked at as a whole, a part of it could hold a part of a secret: none is kept.
        let start = if full { 0 } else { self.length };
        match self.pipe.read(&mut self.kept[start..]).await {
            Ok(count @ 1..) => self.length = if full { self.length } else { self.length + count },
            _ => self.open = false,
        }
    }

    async fn rest(&mut self) {
        while self.open {
            self.more().await;
        }
    }

    fn whole(mut self) -> Complaint {
        let fits = !self.open && self.length < self.kept.len();
        self.kept.truncate(self.length);
        fits.then_some(self.kept)
    }
}

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The longest answer.
const LINE: usize = 1024 * 1024;
const COMPLAINT: usize = 64 * 1024;
const REST: Duration = Duration::from_millis(200);
