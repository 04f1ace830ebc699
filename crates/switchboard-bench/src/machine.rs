//! What this machine is, and which of its cores do what.

use std::fmt;
use std::fs;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::BenchError;

/// The machine that figures were measured on.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// The processor's name, as `/proc/cpuinfo` has it.
    pub processor: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Memory, in GiB, rounded.
    pub memory_gib: u64,
    /// The kernel's release.
    pub kernel: String,
}

impl Machine {
    /// Looks at the machine. What it does not tell is left empty.
    #[must_use]
    pub fn look() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let processor = value(&text("/proc/cpuinfo"), "model name")
            .unwrap_or("unknown processor")
            .to_owned();
        let kib = value(&text("/proc/meminfo"), "MemTotal")
            .and_then(|value| value.split(' ').next())
            .and_then(|number| number.parse::<u64>().ok())
            .unwrap_or(0);
        Self {
            processor,
            cores: allowed().len(),
            memory_gib: (kib + (1 << 19)) >> 20,
            kernel: rustix::system::uname()
                .release()
                .to_string_lossy()
                .into_owned(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            processor,
            cores,
            memory_gib,
            kernel,
        } = self;
        let many = if *cores == 1 { "core" } else { "cores" };
        write!(
            f,
            "{cores} {many} of {processor}, {memory_gib} GiB, Linux {kernel}"
        )
    }
}

/// The value of the first line `name : value`, as the files of `/proc` have them.
pub(crate) fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}

/// Where servers and load run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cores {
    /// The servers' core.
    pub server: usize,
    /// The load's core.
    pub load: usize,
    /// The two are threads of one physical core, and hold each other up.
    pub are_siblings: bool,
}

impl Cores {
    /// Two cores that this process may use, on different physical cores if that can be had; `None`
    /// if there is only one.
    #[must_use]
    pub fn choose() -> Option<Self> {
        let allowed = allowed();
        let (&server, others) = allowed.split_first()?;
        let path = format!("/sys/devices/system/cpu/cpu{server}/topology/thread_siblings_list");
        let siblings = numbers(&fs::read_to_string(path).unwrap_or_default());
        let apart = others.iter().find(|core| !siblings.contains(core));
        Some(Self {
            server,
            load: *apart.or_else(|| others.first())?,
            are_siblings: apart.is_none(),
        })
    }
}

/// Reads a list of cores such as `0-2,8`.
fn numbers(list: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<usize>().ok()?..=last.parse().ok()?)
    };
    list.trim().split(',').filter_map(range).flatten().collect()
}

/// The cores that this thread may use.
fn allowed() -> Vec<usize> {
    let set = sched_getaffinity(None).unwrap_or_default();
    (0..CpuSet::MAX_CPU)
        .filter(|core| set.is_set(*core))
        .collect()
}

/// Keeps a thread on one core until it is dropped. Processes that the thread starts meanwhile
/// inherit the core, and keep it.
#[derive(Debug)]
pub(crate) struct Pinned(CpuSet);

impl Pinned {
    /// Keeps the calling thread on one core.
    ///
    /// # Errors
    /// The core is not for this process.
    pub(crate) fn to(core: usize) -> Result<Self, BenchError> {
        let refused = |errno: rustix::io::Errno| BenchError::System {
            what: format!("sched_setaffinity to core {core}"),
            cause: errno.into(),
        };
        let before = sched_getaffinity(None).map_err(refused)?;
        let mut set = CpuSet::new();
        if core < CpuSet::MAX_CPU {
            set.set(core);
        }
        sched_setaffinity(None, &set).map_err(refused)?;
        Ok(Self(before))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // It was allowed before. If it is not any more, one core has to do.
        let _refused = sched_setaffinity(None, &self.0);
    }
}

/// The CPU time of the calling thread so far, in nanoseconds.
pub(crate) fn thread_cpu_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{numbers, value};

    #[test]
    fn lists_of_cores_are_read_as_the_kernel_writes_them() {
        assert_eq!(numbers("0\n"), [0]);
        assert_eq!(numbers("0-2,8\n"), [0, 1, 2, 8]);
        assert_eq!(numbers(""), [0; 0]);
    }

    #[test]
    fn values_are_found_by_their_whole_name() {
        let text = "Rss_Other:  7 kB\nRss:\t   1628 kB\n";
        assert_eq!(value(text, "Rss"), Some("1628 kB"));
        assert_eq!(value(text, "Pss"), None);
    }
}
