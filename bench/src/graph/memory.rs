//! How much memory the process ever held.

use std::error::Error;

/// The high-water mark of the resident set, in MB.
pub(super) fn peak_mb() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: u64 =
        line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no VmHWM in /proc/self/status")?.parse()?;
    Ok(kilobytes.div_ceil(1024))
}
