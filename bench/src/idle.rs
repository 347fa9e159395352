//! `bench idle`: what the daemon costs while nothing happens, with an estate of ten thousand credentials, beside an empty
//! tokio program in a process of its own.
//!
//! Start is from the fork to the first answer that it is ready; memory is the resident set after the quiet time, and the
//! most that was held; processor time is that of the quiet time alone.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::{Outcome, process};

#[derive(Serialize)]
struct Report {
    credentials: usize,
    quiet_seconds: f64,
    daemon: Cost,
    empty: Cost,
}

/// What one process costs.
#[derive(Serialize)]
struct Cost {
    start_seconds: f64,
    resident_mb: f64,
    peak_mb: f64,
    /// Of one core.
    idle_cpu_percent: f64,
}

/// Runs it and prints the report.
pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    let (mut credentials, mut quiet, mut json) = (10_000, Duration::from_secs(30), false);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut next = || words.next().ok_or_else(|| format!("{word} takes a value"));
        match word.as_str() {
            "--credentials" => credentials = next()?.parse()?,
            "--seconds" => quiet = Duration::from_secs(next()?.parse()?),
            "-o" => json = next()? == "json",
            other => return Err(format!("`{other}` is none of --credentials, --seconds, -o json").into()),
        }
    }
    let report = Report {
        credentials,
        quiet_seconds: quiet.as_secs_f64(),
        daemon: daemon(credentials, quiet)?,
        empty: empty(quiet)?,
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!(" {:<8}{:>10}{:>14}{:>10}{:>12}", "", "start s", "resident MB", "peak MB", "idle CPU %");
        for (name, cost) in [("daemon", &report.daemon), ("empty", &report.empty)] {
            println!(
                " {name:<8}{:>10.3}{:>14.1}{:>10.1}{:>12.2}",
                cost.start_seconds, cost.resident_mb, cost.peak_mb, cost.idle_cpu_percent
            );
        }
    }
    Ok(())
}

/// The other program: a runtime with nothing to do, which says when it is there.
pub(crate) fn nothing() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!("ready");
    runtime.block_on(std::future::pending::<()>());
    Ok(())
}

fn daemon(credentials: usize, quiet: Duration) -> Outcome<Cost> {
    let program = program()?;
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    write_estate(&at("estate"), credentials)?;
    let remint = |words: &[&str]| {
        let mut command = Command::new(&program);
        command.args(words).env("REMINT_STATE", at("state")).env("REMINT_KEK", at("kek"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let estate = at("estate").display().to_string();
    for words in [&["init", "--single-operator"][..], &["estate", "activate", &estate, "--yes"]] {
        let status = remint(words).status()?;
        if !status.success() {
            return Err(format!("`remint {}` failed: {status}", words.join(" ")).into());
        }
    }
    let socket = at("socket");
    let mut serve = remint(&["serve", "--estate", &estate, "--socket", &socket.display().to_string()]);
    let started = Instant::now();
    let child = Stopped(serve.spawn()?);
    while !ready(&socket) {
        if started.elapsed() > Duration::from_mins(1) {
            return Err("the daemon was not ready within a minute".into());
        }
        sleep(Duration::from_millis(2));
    }
    cost(&child, started.elapsed(), quiet)
}

fn empty(quiet: Duration) -> Outcome<Cost> {
    let started = Instant::now();
    let mut child = Stopped(Command::new(std::env::current_exe()?).arg("nothing").stdout(Stdio::piped()).spawn()?);
    let mut said = [0; 6];
    child.0.stdout.take().ok_or("no output")?.read_exact(&mut said)?;
    cost(&child, started.elapsed(), quiet)
}

fn cost(child: &Stopped, start: Duration, quiet: Duration) -> Outcome<Cost> {
    let id = child.0.id();
    // What the start left to do is done first.
    sleep(Duration::from_secs(5));
    let (before, began) = (process::cpu_of(id)?, Instant::now());
    sleep(quiet);
    let used = process::cpu_of(id)?.saturating_sub(before);
    let memory = process::memory_of(id)?;
    Ok(Cost {
        start_seconds: start.as_secs_f64(),
        resident_mb: memory.resident_mb,
        peak_mb: memory.peak_mb,
        idle_cpu_percent: 100.0 * used.as_secs_f64() / began.elapsed().as_secs_f64(),
    })
}

/// A program that ends when this is dropped.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark is told where the program is")]
fn program() -> Outcome<PathBuf> {
    let path = std::env::var("REMINT_BENCH_PROGRAM");
    Ok(path.map_err(|_| "there is no program; run `cargo xtask bench idle`")?.into())
}

fn ready(socket: &Path) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = UnixStream::connect(socket)?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: remint\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// Database logins that are delivered to files, a workload each: the shape of the README's own example.
fn write_estate(folder: &Path, credentials: usize) -> Outcome<()> {
    std::fs::create_dir(folder)?;
    let document = |kind: &str, name: &str, spec: &str| {
        format!("---\napiVersion: remint.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n")
    };
    let mut text = document("System", "pg", "sql: {url: \"postgres://127.0.0.1:5432/app\"}");
    text += &document("System", "host", "file: {root: /srv/app}");
    text += &document("Identity", "app", "class: workload, owners: {business: b, policy: p, execution: e}");
    let mut files = 0;
    let mut write = |text: &str| {
        files += 1;
        std::fs::write(folder.join(format!("{files}.yaml")), text)
    };
    for index in 0..credentials {
        let name = format!("c{index:06}");
        let credential = format!(
            "type: database-login, identity: app, issuedBy: {{system: pg, target: {name}}}, consumedBy: [{name}], \
             deliveredTo: [{{at: \"host:{name}.env\", fields: {{USER: \"{{username}}\", PASSWORD: \"{{secret}}\"}}}}], \
             rotation: {{strategy: alternate}}"
        );
        write!(text, "{}", document("Credential", &name, &credential))?;
        write!(text, "{}", document("Workload", &name, "confirm: {how: issuer-seen, within: 5m}"))?;
        if text.len() > FILE {
            write(&std::mem::take(&mut text))?;
        }
    }
    Ok(write(&text)?)
}

/// About as much as one file holds.
const FILE: usize = 1 << 20;
