//! What the process gives up before it touches a secret.

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, setrlimit, umask};

/// The system refused.
#[derive(Debug, thiserror::Error)]
pub enum HardenError {
    #[error("core dumps cannot be switched off, and one would hold secrets")]
    CoreDumps(#[source] Errno),
    #[error("the process cannot be closed to other processes of the same user")]
    Dumpable(#[source] Errno),
}

/// Hardens this process; first thing in `main`.
///
/// Guarantees: a crash leaves no core file; other processes of the user that are not privileged can neither read its
/// memory nor attach to it (Linux); files are made for their owner only. Programs that it starts inherit the first and the last.
///
/// # Errors
/// The system refuses.
pub fn process() -> Result<(), HardenError> {
    umask(Mode::RWXG | Mode::RWXO);
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(HardenError::CoreDumps)?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .map_err(HardenError::Dumpable)?;
    Ok(())
}
