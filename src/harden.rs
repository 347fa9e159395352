//! What the process gives up before it touches a secret.

use std::fmt;
use std::sync::OnceLock;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};

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
/// Where the system allows it without a limit, no page of this process is ever written to swap; [`memory`] says whether.
///
/// # Errors
/// The system refuses.
pub fn process() -> Result<(), HardenError> {
    umask(Mode::RWXG | Mode::RWXO);
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(HardenError::CoreDumps)?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .map_err(HardenError::Dumpable)?;
    let _ = MEMORY.set(lock());
    Ok(())
}

/// Whether the memory of this process can be written to swap.
#[must_use]
pub fn memory() -> Memory {
    MEMORY.get().copied().unwrap_or(Memory::NotAsked)
}

static MEMORY: OnceLock<Memory> = OnceLock::new();

/// What became of locking the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    Locked,
    /// The limit on locked memory is finite: locked all the same, a later allocation would end the process.
    Limited(u64),
    Refused(Errno),
    /// Nobody hardened this process, or its system has no such call.
    NotAsked,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked => f.write_str("no page of this process goes to swap"),
            Self::Limited(bytes) => write!(
                f,
                "memory is not locked: the limit is {bytes} bytes (give it CAP_IPC_LOCK or LimitMEMLOCK=infinity, or encrypt the swap)"
            ),
            Self::Refused(error) => write!(f, "memory is not locked: the system refuses ({error})"),
            Self::NotAsked => f.write_str("memory is not locked: this system has no call for it"),
        }
    }
}

/// Locks pages as they are touched: what is reserved and never used costs nothing.
#[cfg(target_os = "linux")]
fn lock() -> Memory {
    use rustix::mm::{MlockAllFlags, mlockall};
    use rustix::thread::{CapabilitySet, capabilities};
    let mut limit = getrlimit(Resource::Memlock);
    if limit.maximum.is_none() && limit.current.is_some() {
        let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
        limit = getrlimit(Resource::Memlock);
    }
    let privileged = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
    if let (Some(bytes), false) = (limit.current, privileged) {
        return Memory::Limited(bytes);
    }
    match mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT) {
        Ok(()) => Memory::Locked,
        Err(error) => Memory::Refused(error),
    }
}

#[cfg(not(target_os = "linux"))]
fn lock() -> Memory {
    let _ = getrlimit(Resource::Memlock);
    Memory::NotAsked
}
