//! A process that is killed at each system call of a verb, before it is made and after it, and whoever comes next.
//!
//! A folder is no server: nothing lies between the connector and its files that could be cut. So the verb runs in a process
//! of its own, which this one follows as a debugger does. The verb's one thread stops at each of its calls, and at one of
//! them the process is killed for good (SIGKILL). This test is both processes.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up ends the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use nix::libc::SYS_futex;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use remint_contract::{Call, Connector, ConnectorKind as _, HostRules, OperationId, SecretValue, WriteRequest};
use serde_json::{Value, json};

const FILE: &str = "x.env";
/// A content that a crash left, which `versions` lists so.
const UNFINISHED: &str = "unfinished";
/// What the process that dies is told in its environment.
const TOLD: &str = "REMINT_TEST_FILE_TO_DIE";

fn open(root: &Path) -> Arc<dyn Connector> {
    let settings = json!({"root": root, "mode": "0640"});
    remint_file::kind().open(&settings, &HostRules::default()).unwrap()
}

fn call(operation: &str) -> Call {
    Call { operation: OperationId(operation.to_owned()), deadline: jiff::Timestamp::UNIX_EPOCH, actor: None }
}

/// Longer than a page.
fn value(mark: &str) -> String {
    format!("{mark}-marker-4711-").repeat(300)
}

/// The file as it was before; where there was none, the owner and permissions of a new one.
#[derive(Clone, Copy)]
struct Before {
    there: bool,
    rights: (u32, u32, u32),
}

impl Before {
    fn content(self, mark: &str) -> String {
        format!("{}A={}\n", if self.there { "# head\nKEPT=as-it-is\n" } else { "" }, value(mark))
    }

    fn old(self) -> Option<String> {
        self.there.then(|| self.content("old"))
    }
}

/// The value of an operation, written under it as the host does: what is there now is expected.
async fn write(root: &Path, operation: &str, mark: &str) -> String {
    let folder = open(root);
    let expect = folder.read(&call(operation), FILE).await.ok().map(|read| read.version);
    let fields = BTreeMap::from([("A".to_owned(), SecretValue::from(value(mark)))]);
    let request = WriteRequest { path: FILE.to_owned(), fields, expect };
    folder.write(&call(operation), &request).await.unwrap().version
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Write,
    Promote,
    DestroyStaged,
    DestroyUnfinished,
}

impl Verb {
    const ALL: [Self; 4] = [Self::Write, Self::Promote, Self::DestroyStaged, Self::DestroyUnfinished];

    async fn call(self, root: &Path, version: &str) {
        let folder = open(root);
        match self {
            Self::Write => drop(write(root, "first", "new").await),
            Self::Promote => folder.promote(&call("first"), FILE, version).await.unwrap(),
            Self::DestroyStaged => folder.destroy_version(&call("first"), FILE, version).await.unwrap(),
            Self::DestroyUnfinished => folder.destroy_version(&call("first"), FILE, UNFINISHED).await.unwrap(),
        }
    }
}

/// The process that dies.
fn die(told: &Value) {
    let verb = Verb::ALL[usize::try_from(told["verb"].as_u64().unwrap()).unwrap()];
    let root = PathBuf::from(told["root"].as_str().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        // There is one thread that touches files, and it asks to be followed.
        let asks = || {
            ptrace::traceme().unwrap();
            raise(Signal::SIGSTOP).unwrap();
        };
        tokio::task::spawn_blocking(asks).await.unwrap();
        verb.call(&root, told["version"].as_str().unwrap()).await;
    });
}

/// The number of the system call at which a thread stopped.
fn number(thread: Pid) -> u64 {
    let registers = ptrace::getregs(thread).unwrap();
    #[cfg(target_arch = "x86_64")]
    let number = registers.orig_rax;
    #[cfg(target_arch = "aarch64")]
    let number = registers.regs[8];
    number
}

/// Calls the verb in a process that is killed where it stops for the `at`th time. True when it came as far as there.
fn killed(verb: Verb, root: &Path, version: &str, at: u32) -> bool {
    let which = Verb::ALL.iter().position(|one| *one == verb).unwrap();
    let told = json!({"verb": which, "root": root, "version": version});
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_process_that_is_killed_at_any_call_leaves_the_one_value_or_the_other"]);
    command.env(TOLD, told.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
    // A group of its own: no other test waits for it, and this one for no other.
    let process = Pid::from_raw(command.process_group(0).spawn().unwrap().id().try_into().unwrap());
    let group = Pid::from_raw(-process.as_raw());
    let (mut stops, mut ended) = (0, None);
    while let Ok(status) = waitpid(group, Some(WaitPidFlag::__WALL)) {
        let thread = match status {
            WaitStatus::Stopped(thread, Signal::SIGSTOP) => {
                ptrace::setoptions(thread, Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL).unwrap();
                thread
            }
            WaitStatus::PtraceSyscall(thread) => {
                // How often it waits for its next piece of work differs from run to run.
                stops += u32::from(number(thread) != SYS_futex.cast_unsigned());
                if stops == at {
                    kill(process, Signal::SIGKILL).unwrap();
                    continue;
                }
                thread
            }
            status if status.pid() == Some(process) => {
                ended = Some(status);
                continue;
            }
            _ => continue,
        };
        ptrace::syscall(thread, None).unwrap();
    }
    match ended.unwrap() {
        WaitStatus::Exited(_, 0) => false,
        WaitStatus::Signaled(_, Signal::SIGKILL, _) if stops >= at => true,
        // Where no process may follow another (ptrace), it fails here.
        other => panic!("{verb:?}, {at}: the process that was to be killed ended by itself: {other:?}"),
    }
}

/// A folder with a file of somebody else's or without it, and in it what the verb needs; the version that it is told.
async fn folder(verb: Verb, there: bool) -> (tempfile::TempDir, Before, String) {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join(FILE);
    let whose = root.path().metadata().unwrap();
    let mut before = Before { there, rights: (whose.uid(), whose.gid(), 0o640) };
    if let Some(content) = before.old() {
        std::fs::write(&file, content).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o440)).unwrap();
        // Where whoever runs the test may give a file away.
        let _ = chown(&file, Some(4711), Some(4712));
        before.rights = rights(root.path()).unwrap();
    }
    let version = match verb {
        Verb::Write => String::new(),
        Verb::Promote | Verb::DestroyStaged => write(root.path(), "first", "new").await,
        Verb::DestroyUnfinished => {
            let left = root.path().join(".x.env.remint-new");
            std::fs::write(&left, before.content("new")).unwrap();
            std::fs::set_permissions(&left, std::fs::Permissions::from_mode(0o600)).unwrap();
            String::new()
        }
    };
    (root, before, version)
}

/// The file's owner and permissions, where there is one.
fn rights(root: &Path) -> Option<(u32, u32, u32)> {
    let found = root.join(FILE).metadata().ok()?;
    Some((found.uid(), found.gid(), found.mode() & 0o7777))
}

fn names(root: &Path) -> BTreeSet<String> {
    std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Nothing is left but the file with this content, and the record, which holds no secret.
fn only(root: &Path, content: Option<&str>, before: Before, at: &str) {
    assert_eq!(rights(root), content.is_some().then_some(before.rights), "{at}");
    assert_eq!(std::fs::read_to_string(root.join(FILE)).ok().as_deref(), content, "{at}");
    let mut left = names(root);
    left.remove(FILE);
    if left.remove(".x.env.remint-promoted") {
        let record = std::fs::read_to_string(root.join(".x.env.remint-promoted")).unwrap();
        assert!(!record.contains("marker"), "{at}: {record}");
    }
    assert!(left.is_empty(), "{at}: {left:?}");
}

/// What readers find after the crash: true when it is the new value.
fn looks(verb: Verb, root: &Path, before: Before, at: &str) -> bool {
    let found = std::fs::read_to_string(root.join(FILE)).ok();
    let new = found == Some(before.content("new"));
    assert!(new && verb == Verb::Promote || found == before.old(), "{at}: {:?} bytes", found.map(|found| found.len()));
    assert_eq!(rights(root), found.is_some().then_some(before.rights), "{at}");
    for name in names(root) {
        // What lies beside it is not open to more people than the file is.
        let mode = root.join(&name).metadata().unwrap().mode() & 0o7777;
        assert!(mode == 0o600 || mode == before.rights.2, "{at}: {name} is {mode:o}");
    }
    new
}

/// What comes after the crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Again,
    /// As [`Then::Again`]; there was no file before.
    AgainWithoutFile,
    /// Another operation brings a value.
    GivenUp,
}

/// True when it was killed; whether readers found the new value.
async fn once(verb: Verb, at: u32, then: Then) -> (bool, bool) {
    let (root, before, version) = folder(verb, then != Then::AgainWithoutFile).await;
    let root = root.path();
    let crashed = killed(verb, root, &version, at);
    let at = format!("{verb:?}, killed at stop {at}, {then:?}");
    let new = looks(verb, root, before, &at);
    if then == Then::GivenUp {
        // The first one's value goes with it.
        let version = write(root, "second", "third").await;
        open(root).promote(&call("second"), FILE, &version).await.unwrap();
        only(root, Some(&before.content("third")), before, &at);
        return (crashed, new);
    }
    let version = if verb == Verb::Write { write(root, "first", "new").await } else { version };
    match verb {
        Verb::Write => Verb::Promote.call(root, &version).await,
        verb => verb.call(root, &version).await,
    }
    let written = matches!(verb, Verb::Write | Verb::Promote);
    let content = if written { Some(before.content("new")) } else { before.old() };
    let versions = content.iter().len();
    only(root, content.as_deref(), before, &at);
    let listed = open(root).versions(&call("v"), FILE).await.map_or(0, |listed| listed.len());
    assert_eq!(listed, versions, "{at}");
    (crashed, new)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "so one process tells the other what to do")]
fn a_process_that_is_killed_at_any_call_leaves_the_one_value_or_the_other() {
    if let Ok(told) = std::env::var(TOLD) {
        return die(&serde_json::from_str(&told).unwrap());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ways = [Then::Again, Then::AgainWithoutFile, Then::GivenUp];
    for (verb, then) in Verb::ALL.into_iter().flat_map(|verb| ways.map(|then| (verb, then))) {
        let mut seen = BTreeSet::new();
        let mut at = 1;
        while let (true, new) = runtime.block_on(once(verb, at, then)) {
            seen.insert(new);
            at += 1;
        }
        assert!(at > 10, "{verb:?}: it made {at} calls");
        assert_eq!(seen.len(), if verb == Verb::Promote { 2 } else { 1 }, "{verb:?}");
    }
}
