//! What the process gives up, seen in a process of its own: hardening cannot be undone.

use std::process::Command;

#[test]
#[ignore = "changes its own process; the test below starts it"]
fn a_child_hardens_itself_and_looks() {
    let folder = tempfile::tempdir().unwrap();
    let lines = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).unwrap();
    remint::harden::process().unwrap();
    let limits = lines("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"]);
    assert!(lines("status").contains("Umask:\t0077"));
    assert_eq!(rustix::process::dumpable_behavior().unwrap(), rustix::process::DumpableBehavior::NotDumpable);
    let locked = lines("status").lines().any(|line| line.starts_with("VmLck:") && !line.ends_with(" 0 kB"));
    assert_eq!(locked, remint::harden::memory() == remint::harden::Memory::Locked, "{}", remint::harden::memory());
    std::fs::write(folder.path().join("file"), "").unwrap();
    let mode = folder.path().join("file").metadata().unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
}

#[test]
fn a_hardened_process_leaves_no_core_and_makes_files_for_its_owner_only() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "harden::a_child_hardens_itself_and_looks"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}
