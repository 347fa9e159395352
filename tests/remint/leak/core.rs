//! A crash writes no core: the program is aborted in the middle of an incident, with the values of every credential in its
//! memory, beside a control program that is aborted without being hardened.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

#[test]
fn an_aborted_remint_writes_no_core_where_another_program_would() {
    let folder = tempfile::tempdir().unwrap();
    let mut remint = Command::new("sh")
        .args(["-c", "ulimit -c unlimited 2>/dev/null; exec \"$0\" demo --keep \"$1\""])
        .arg(env!("CARGO_BIN_EXE_remint"))
        .arg(folder.path().join("demo"))
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(folder.path().join("said")).unwrap())
        .spawn()
        .unwrap();
    let out = remint.stdout.take().unwrap();
    let began = BufReader::new(out).lines().map_while(Result::ok).any(|line| line.starts_with("1. The incident"));
    let said = std::fs::read_to_string(folder.path().join("said")).unwrap();
    assert!(began, "the demo said nothing of an incident: {said}");

    let limits = std::fs::read_to_string(format!("/proc/{}/limits", remint.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"]);
    kill_process(Pid::from_child(&remint), Signal::ABORT).unwrap();
    let ended = remint.wait().unwrap();
    assert_eq!(ended.signal(), Some(libc::SIGABRT));
    assert!(!ended.core_dumped());
    assert_eq!(cores(folder.path()), [""; 0]);

    let control = Command::new("sh")
        .args(["-c", "ulimit -c unlimited; kill -ABRT $$"])
        .current_dir(folder.path())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    if !control.core_dumped() {
        let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
        eprintln!(
            "not shown: that a program without the hardening writes a core here (core_pattern {}, limit {})",
            pattern.trim(),
            core_limit()
        );
    }
}

fn cores(folder: &std::path::Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|item| item.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("core")).collect()
}

/// The hard limit of this process: a container may forbid cores to all of its own.
fn core_limit() -> String {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
    core.split_whitespace().nth(5).unwrap_or("unknown").to_owned()
}
