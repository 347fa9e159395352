//! What this process used, as the kernel counts it.

use std::time::Duration;

use crate::Outcome;

/// The high-water mark of the resident set, in MB.
pub(crate) fn peak_mb() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: u64 =
        line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no VmHWM in /proc/self/status")?.parse()?;
    Ok(kilobytes.div_ceil(1024))
}

/// Processor time of all threads of this process, user and system.
#[cfg(feature = "engine")]
pub(crate) fn cpu() -> Outcome<Duration> {
    cpu_of(std::process::id())
}

/// Processor time of all threads of a process, user and system.
pub(crate) fn cpu_of(process: u32) -> Outcome<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The second field is a name in parentheses and may hold spaces; `utime` and `stime` are the 14th and 15th.
    let after = stat.rsplit_once(')').ok_or("no name in /proc/PID/stat")?.1;
    let mut fields = after.split_whitespace().skip(11);
    let mut ticks = || -> Outcome<u64> { Ok(fields.next().ok_or("too few fields in /proc/PID/stat")?.parse()?) };
    let ticks = ticks()? + ticks()?;
    // USER_HZ is 100 on every Linux that Remint is built for.
    Ok(Duration::from_millis(ticks * 10))
}

/// Memory that a process holds.
#[cfg(feature = "engine")]
pub(crate) struct Memory {
    pub(crate) resident_mb: f64,
    pub(crate) peak_mb: f64,
}

#[cfg(feature = "engine")]
pub(crate) fn memory_of(process: u32) -> Outcome<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let megabytes = |name: &str| -> Outcome<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kilobytes: f64 = kilobytes.ok_or_else(|| format!("no {name} in /proc/PID/status"))?.parse()?;
        Ok(kilobytes / 1024.0)
    };
    Ok(Memory { resident_mb: megabytes("VmRSS:")?, peak_mb: megabytes("VmHWM:")? })
}
