//! A server under measurement: a process that listens, and what the kernel says that it has used.

use core::time::Duration;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};

use crate::machine::{Pinned, value};
use crate::{BenchError, Server};

/// How long a server may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Lines of a server's standard error that are kept for the case that it fails.
const SAID_LINES_MAX: usize = 8;

/// A running server. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    reader: Option<JoinHandle<()>>,
    pub(crate) addr: SocketAddr,
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Usage {
    /// CPU time of all its threads, in nanoseconds.
    pub(crate) cpu_ns: u64,
    /// How long its threads were ready to run and had no core, in nanoseconds.
    pub(crate) waited_ns: u64,
    /// How often its threads went to sleep, and so were woken up again.
    pub(crate) sleeps: u64,
}

impl Usage {
    /// What was used since an earlier moment.
    pub(crate) const fn since(self, earlier: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns.saturating_sub(earlier.cpu_ns),
            waited_ns: self.waited_ns.saturating_sub(earlier.waited_ns),
            sleeps: self.sleeps.saturating_sub(earlier.sleeps),
        }
    }
}

impl Running {
    /// Starts a server on one core, or on any, and waits until it listens.
    ///
    /// # Errors
    /// It can't be started, or does not say that it listens.
    pub(crate) fn start(
        server: &Server,
        connections: usize,
        core: Option<usize>,
    ) -> Result<Self, BenchError> {
        let failed = |said: String| BenchError::NotListening {
            server: server.name.clone(),
            said,
        };
        let mut command = Command::new(&server.program);
        command
            .args(server.arguments(connections))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = {
            let _pinned = core.map(Pinned::to).transpose()?;
            command
                .spawn()
                .map_err(|error| failed(format!("{}: {error}", server.program.display())))?
        };
        let Some(stderr) = child.stderr.take() else {
            return Err(failed("its standard error is not ours".to_owned()));
        };
        let (lines, reader) = read_lines(stderr);
        let mut running = Self {
            child,
            reader: Some(reader),
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        running.addr = wait_for_address(&lines).map_err(failed)?;
        Ok(running)
    }

    /// What it has used so far. Threads that have ended are not counted; no server here ends any.
    ///
    /// # Errors
    /// It is gone.
    pub(crate) fn usage(&self) -> Result<Usage, BenchError> {
        let folder = format!("/proc/{}/task", self.child.id());
        let mut sum = Usage::default();
        for task in fs::read_dir(&folder).map_err(BenchError::system(&*folder))? {
            let path = task.map_err(BenchError::system(&*folder))?.path();
            let read = |name| {
                let file = path.join(name);
                let shown = file.display().to_string();
                fs::read_to_string(file).map_err(BenchError::system(shown))
            };
            let times = read("schedstat")?;
            let mut times = times.split_whitespace().map(|number| number.parse());
            let mut next = || times.next().and_then(Result::ok).unwrap_or(0_u64);
            sum.cpu_ns += next();
            sum.waited_ns += next();
            sum.sleeps += value(&read("status")?, "voluntary_ctxt_switches")
                .and_then(|number| number.parse::<u64>().ok())
                .unwrap_or(0);
        }
        Ok(sum)
    }

    /// Its resident memory, in bytes.
    ///
    /// # Errors
    /// It is gone, or the kernel does not tell.
    pub(crate) fn memory_bytes(&self) -> Result<u64, BenchError> {
        let file = format!("/proc/{}/smaps_rollup", self.child.id());
        let text = fs::read_to_string(&file).map_err(BenchError::system(&*file))?;
        value(&text, "Rss")
            .and_then(|value| value.split(' ').next())
            .and_then(|number| number.parse::<u64>().ok())
            .map(|kib| kib * 1024)
            .ok_or_else(|| BenchError::System {
                what: file,
                cause: std::io::Error::other("has no line Rss"),
            })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        if let Some(reader) = self.reader.take() {
            // It ends with the process, whose standard error it reads.
            drop(reader.join());
        }
    }
}

/// Reads to the end, so that a server never waits for us to hear it.
fn read_lines(stderr: ChildStderr) -> (Receiver<String>, JoinHandle<()>) {
    let (to_us, lines) = mpsc::channel();
    let reader = thread::spawn(move || {
        for line in BufReader::new(stderr).lines() {
            let Ok(line) = line else {
                return;
            };
            // Once it listens nobody asks for more.
            drop(to_us.send(line));
        }
    });
    (lines, reader)
}

/// The address behind `listening on tcp://`; else what was said.
fn wait_for_address(lines: &Receiver<String>) -> Result<SocketAddr, String> {
    let mut said = Vec::new();
    loop {
        match lines.recv_timeout(START_LIMIT) {
            Ok(line) => {
                let address = line.strip_prefix("listening on tcp://");
                if let Some(address) = address.and_then(|address| address.parse().ok()) {
                    return Ok(address);
                }
                if said.len() < SAID_LINES_MAX {
                    said.push(line);
                }
            }
            Err(_) if said.is_empty() => return Err("it said nothing".to_owned()),
            Err(_) => return Err(said.join("; ")),
        }
    }
}
