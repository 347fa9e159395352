//! A throw-away PostgreSQL cluster: found or installed, made in a temporary folder, stopped when it is dropped.
//!
//! `initdb` and the server refuse to run as root, so under root they run as the user `postgres` or `nobody`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::Outcome;

/// What tests and people call it.
pub(crate) const NAME: &str = "PostgreSQL";

/// The superuser of the cluster.
const BOSS: &str = "boss";

/// A running server. Dropping it stops the server and removes its folder, unless it was told to stay.
pub(crate) struct Server {
    pub(crate) version: String,
    pub(crate) port: u16,
    password: String,
    binaries: PathBuf,
    owner: Option<Account>,
    folder: Option<TempDir>,
}

#[derive(Clone, Copy)]
struct Account {
    user: u32,
    group: u32,
}

/// What a crash of the machine may cost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Everything: for tests, whose data nobody wants.
    None,
    /// Nothing, and with buffers for the work.
    Full,
    /// Nothing; and every login and statement is in its log, to be counted.
    Counted,
}

/// Ports that somebody else took between choosing and using them.
const PORTS: usize = 5;

/// The folder of its programs: found, else installed.
pub(crate) fn obtain() -> Outcome<PathBuf> {
    match find() {
        Some(found) => Ok(found),
        None => install(),
    }
}

/// Starts a server on a free port of 127.0.0.1.
pub(crate) fn start(durability: Durability) -> Outcome<Server> {
    let binaries = obtain()?;
    // The server's user must be able to walk there, which it cannot below a root user's own folder.
    let place = if is_root() { PathBuf::from("/tmp") } else { std::env::temp_dir() };
    let folder = tempfile::Builder::new()
        .prefix("remint-postgres-")
        .tempdir_in(place)
        .map_err(|failure| format!("no temporary folder for PostgreSQL: {failure}"))?;
    let owner = account()?;
    let password = random()?;
    let word = folder.path().join("password");
    write_private(&word, &password)?;
    if let Some(owner) = owner {
        for path in [folder.path(), &word] {
            chown(path, Some(owner.user), Some(owner.group))
                .map_err(|failure| format!("{} could not be given to the server's user: {failure}", path.display()))?;
        }
    }
    let data = folder.path().join("data");
    let mut made = program(&binaries, "initdb", owner);
    made.args(["--username", BOSS, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"])
        .arg("--pwfile")
        .arg(&word)
        .arg("--pgdata")
        .arg(&data);
    finish(&mut made)?;
    let version = finish(program(&binaries, "postgres", owner).arg("--version"))?;
    let mut server = Server {
        version: version.trim().trim_start_matches("postgres (PostgreSQL) ").to_owned(),
        port: 0,
        password,
        binaries,
        owner,
        folder: Some(folder),
    };
    let mut last = String::new();
    for _ in 0..PORTS {
        server.port = free_port()?;
        match server.begin(durability, &data) {
            Ok(()) => return Ok(server),
            Err(sentence) => last = format!("{sentence}{}", fs::read_to_string(server.log()).unwrap_or_default()),
        }
    }
    Err(last)
}

impl Server {
    fn begin(&self, durability: Durability, data: &Path) -> Outcome<()> {
        let settings = match durability {
            Durability::None => "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=400",
            // With 128 MB, as it is delivered, a run outgrows them half-way and measures how pages are evicted.
            Durability::Full => "-c shared_buffers=512MB -c min_wal_size=2GB -c max_wal_size=4GB",
            Durability::Counted => "-c log_connections=on -c log_statement=all -c log_line_prefix='%q%a|'",
        };
        let options =
            format!("-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' {settings}", self.port);
        let mut begun = program(&self.binaries, "pg_ctl", self.owner);
        begun.arg("--pgdata").arg(data).arg("--log").arg(self.log());
        finish(begun.args(["--wait", "--options", &options, "start"])).map(drop)
    }

    /// Ends the server as a crash of its machine would, and starts it again where it was.
    #[allow(dead_code, reason = "only tests need it, which have this file in common with this program")]
    pub(crate) fn restart(&self, durability: Durability) -> Outcome<()> {
        let Some(folder) = &self.folder else { return Err("the server was left to itself".to_owned()) };
        halt(&self.binaries, self.owner, folder.path())?;
        self.begin(durability, &folder.path().join("data"))
    }

    /// Where the server writes what happens.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.as_ref().map_or_else(PathBuf::new, |folder| folder.path().join("log"))
    }

    /// What tests read.
    pub(crate) fn environment(&self) -> [(&'static str, String); 2] {
        [
            ("REMINT_TEST_POSTGRES", format!("postgres://{BOSS}@127.0.0.1:{}/postgres", self.port)),
            ("REMINT_TEST_POSTGRES_PASSWORD", self.password.clone()),
        ]
    }

    /// Lets the server run on after this program; gives its folder, by which [`stop`] finds it.
    pub(crate) fn stay(mut self) -> Option<PathBuf> {
        self.folder.take().map(TempDir::keep)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(folder) = &self.folder else { return };
        if let Err(sentence) = halt(&self.binaries, self.owner, folder.path()) {
            eprintln!("warning: {sentence}");
        }
    }
}

/// Stops the server of a folder, and removes the folder.
pub(crate) fn stop(folder: &Path) -> Outcome<()> {
    let binaries = find().ok_or("PostgreSQL's programs are gone; stop the server by hand")?;
    halt(&binaries, account()?, folder)?;
    fs::remove_dir_all(folder).map_err(|failure| format!("{} could not be removed: {failure}", folder.display()))
}

/// `pg_ctl` reads the pid from the folder: no other server can be meant. Without the file none was started.
fn halt(binaries: &Path, owner: Option<Account>, folder: &Path) -> Outcome<()> {
    let data = folder.join("data");
    if !data.join("postmaster.pid").exists() {
        return Ok(());
    }
    finish(program(binaries, "pg_ctl", owner).arg("--pgdata").arg(data).args(["--wait", "--mode", "immediate", "stop"]))
        .map(drop)
}

/// The folder of the newest installed server's programs: Debian's, else what is on the path.
fn find() -> Option<PathBuf> {
    let complete =
        |binaries: &PathBuf| ["initdb", "pg_ctl", "postgres"].iter().all(|name| binaries.join(name).exists());
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((path.file_name()?.to_str()?.parse().ok()?, path.join("bin")))
        })
        .filter(|(_, binaries)| complete(binaries))
        .collect();
    found.sort();
    let newest = found.pop().map(|(_, binaries)| binaries);
    newest.or_else(|| std::env::split_paths(&std::env::var_os("PATH")?).find(complete))
}

/// Debian's way to say that installing the package shall not start a server of its own.
const NO_CLUSTER: &str = "/etc/postgresql-common/createcluster.conf";

fn install() -> Outcome<PathBuf> {
    let advice = "PostgreSQL is missing; install it with `sudo apt-get update && sudo apt-get install postgresql` (or \
                  your system's package of the server), so that /usr/lib/postgresql/<version>/bin/initdb exists or \
                  `initdb` is on the PATH";
    if !is_root() {
        return Err(advice.to_owned());
    }
    eprintln!("PostgreSQL is missing; installing it with apt-get");
    if !Path::new(NO_CLUSTER).exists() {
        // Where this cannot be written the package starts a server that nobody uses; that harms nothing.
        let _ = fs::create_dir_all("/etc/postgresql-common")
            .and_then(|()| fs::write(NO_CLUSTER, "create_main_cluster = false\n"));
    }
    let update: &[&str] = &["update"];
    let install: &[&str] =
        &["install", "--yes", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold", "postgresql"];
    for arguments in [update, install] {
        let done = Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("UCF_FORCE_CONFFOLD", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        if !done.is_ok_and(|status| status.success()) {
            return Err(format!("`apt-get {}` failed; {advice}", arguments.join(" ")));
        }
    }
    find().ok_or_else(|| advice.to_owned())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Who the server runs as: nobody else than the caller, except under root.
fn account() -> Outcome<Option<Account>> {
    if !is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").map_err(|failure| format!("/etc/passwd: {failure}"))?;
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| {
            users.lines().find_map(|line| {
                let mut fields = line.split(':');
                if fields.next()? != name {
                    return None;
                }
                Some(Account { user: fields.nth(1)?.parse().ok()?, group: fields.next()?.parse().ok()? })
            })
        })
        .map(Some)
        .ok_or_else(|| "there is no user `postgres` and no `nobody` to run PostgreSQL as".to_owned())
}

fn program(binaries: &Path, name: &str, owner: Option<Account>) -> Command {
    let mut command = Command::new(binaries.join(name));
    command.current_dir("/").stdin(Stdio::null());
    if let Some(owner) = owner {
        command.uid(owner.user).gid(owner.group);
    }
    command
}

/// Runs to the end. The server itself must not inherit the pipes, or reading them would last as long as it runs.
fn finish(command: &mut Command) -> Outcome<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = |what: String| format!("`{name}` failed: {what}");
    let (mut out, mut err) = (scratch(&name)?, scratch(&name)?);
    let pipe = |file: &fs::File| file.try_clone().map(Stdio::from).map_err(|failure| failed(failure.to_string()));
    let status =
        command.stdout(pipe(&out)?).stderr(pipe(&err)?).status().map_err(|failure| failed(failure.to_string()))?;
    if status.success() { read_back(&mut out) } else { Err(failed(read_back(&mut err)?)) }
}

fn scratch(name: &str) -> Outcome<fs::File> {
    tempfile::tempfile().map_err(|failure| format!("no temporary file for the output of `{name}`: {failure}"))
}

fn read_back(file: &mut fs::File) -> Outcome<String> {
    use std::io::Seek as _;
    let mut text = String::new();
    file.rewind()
        .and_then(|()| file.read_to_string(&mut text))
        .map_err(|failure| format!("the output could not be read: {failure}"))?;
    Ok(text)
}

fn write_private(path: &Path, text: &str) -> Outcome<()> {
    let written = fs::File::create(path).and_then(|mut file| {
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())
    });
    written.map_err(|failure| format!("{} could not be written: {failure}", path.display()))
}

pub(crate) fn free_port() -> Outcome<u16> {
    let bound = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    bound.map(|address| address.port()).map_err(|failure| format!("no free port on 127.0.0.1: {failure}"))
}

pub(crate) fn random() -> Outcome<String> {
    use std::fmt::Write as _;
    let mut bytes = [0_u8; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|failure| format!("no random bytes: {failure}"))?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
