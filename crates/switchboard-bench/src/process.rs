//! A server under measurement: a process that listens, and what the kernel says that it has used.

use core::time::Duration;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;

use crate::machine::{Pinned, value};
use crate::{BenchError, Server};

/// How long a server may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Lines of a server's standard error that are kept for the case that it fails.
const SAID_LINES_MAX: usize = 8;

/// How often it is tried whether a server answers.
const ANSWER_STEP: Duration = Duration::from_millis(10);

/// How a server is known to listen.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Listens {
    /// It says where, in a line that begins with this.
    Says(&'static str),
    /// It was told where.
    At(SocketAddr),
}

/// A running server. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    readers: Vec<JoinHandle<()>>,
    pub(crate) addr: SocketAddr,
    // Behind the process, which writes there.
    _scratch: Option<TempDir>,
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

/// What one thread of a process has used so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ThreadUsage {
    /// Its number.
    name: OsString,
    usage: Usage,
}

/// The CPU time of the thread that used most of it between two moments, in nanoseconds.
pub(crate) fn busiest_ns(earlier: &[ThreadUsage], later: &[ThreadUsage]) -> u64 {
    let used = later.iter().map(|thread| {
        let before = earlier.iter().find(|before| before.name == thread.name);
        let before = before.map_or(Usage::default(), |before| before.usage);
        thread.usage.since(before).cpu_ns
    });
    used.max().unwrap_or(0)
}

/// What all of them have used.
pub(crate) fn sum(threads: &[ThreadUsage]) -> Usage {
    let add = |sum: Usage, thread: &ThreadUsage| Usage {
        cpu_ns: sum.cpu_ns + thread.usage.cpu_ns,
        waited_ns: sum.waited_ns + thread.usage.waited_ns,
        sleeps: sum.sleeps + thread.usage.sleeps,
    };
    threads.iter().fold(Usage::default(), add)
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
        let mut command = Command::new(&server.program);
        command.args(server.arguments(connections));
        Self::spawn(
            &server.name,
            &mut command,
            core,
            Listens::Says("listening on tcp://"),
            None,
        )
    }

    /// Starts any program on one core, or on any, and waits until it listens. The folder is
    /// removed when it has ended.
    ///
    /// # Errors
    /// It can't be started, or does not listen.
    pub(crate) fn spawn(
        name: &str,
        command: &mut Command,
        core: Option<usize>,
        listens: Listens,
        scratch: Option<TempDir>,
    ) -> Result<Self, BenchError> {
        let failed = |said: String| BenchError::NotListening {
            server: name.to_owned(),
            said,
        };
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = {
            let _pinned = core.map(Pinned::to).transpose()?;
            command.spawn().map_err(|error| {
                let program = command.get_program().display();
                failed(format!("{program}: {error}"))
            })?
        };
        let (to_us, lines) = mpsc::channel();
        let out = child
            .stdout
            .take()
            .map(|out| read_lines(out, to_us.clone()));
        let err = child.stderr.take().map(|err| read_lines(err, to_us));
        let mut running = Self {
            child,
            readers: out.into_iter().chain(err).collect(),
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            _scratch: scratch,
        };
        running.addr = match listens {
            Listens::Says(before) => wait_for_address(&lines, before),
            Listens::At(addr) => running.wait_until_it_answers(addr, &lines),
        }
        .map_err(failed)?;
        Ok(running)
    }

    /// Connects until somebody accepts.
    fn wait_until_it_answers(
        &mut self,
        addr: SocketAddr,
        lines: &Receiver<String>,
    ) -> Result<SocketAddr, String> {
        let end = Instant::now() + START_LIMIT;
        loop {
            let ended = self.child.try_wait().map_err(|error| error.to_string())?;
            let refused = match TcpStream::connect_timeout(&addr, START_LIMIT) {
                Ok(_) if ended.is_none() => return Ok(addr),
                Ok(_) => "somebody else listens there".to_owned(),
                Err(error) => error.to_string(),
            };
            if ended.is_some() || Instant::now() > end {
                let mut said = ended.map_or(refused, |status| format!("it ended: {status}"));
                let more = core::iter::from_fn(|| lines.recv_timeout(ANSWER_STEP).ok());
                for line in more.take(SAID_LINES_MAX) {
                    said.push_str("; ");
                    said.push_str(&line);
                }
                return Err(said);
            }
            // Another program's listening is no event that could be waited for.
            thread::sleep(ANSWER_STEP);
        }
    }

    /// What it has used so far. Threads that have ended are not counted; no server here ends any.
    ///
    /// # Errors
    /// It is gone.
    pub(crate) fn usage(&self) -> Result<Usage, BenchError> {
        Ok(sum(&self.threads()?))
    }

    /// What each of its threads has used so far. The kernel tells it of one that runs just now
    /// with the last tick of its clock, and exactly of one that does not.
    ///
    /// # Errors
    /// It is gone.
    pub(crate) fn threads(&self) -> Result<Vec<ThreadUsage>, BenchError> {
        let folder = format!("/proc/{}/task", self.child.id());
        let mut threads = Vec::new();
        for task in fs::read_dir(&folder).map_err(BenchError::system(&*folder))? {
            let task = task.map_err(BenchError::system(&*folder))?;
            let read = |name| {
                let file = task.path().join(name);
                let shown = file.display().to_string();
                fs::read_to_string(file).map_err(BenchError::system(shown))
            };
            let times = read("schedstat")?;
            let mut times = times.split_whitespace().map(|number| number.parse());
            let mut next = || times.next().and_then(Result::ok).unwrap_or(0_u64);
            let usage = Usage {
                cpu_ns: next(),
                waited_ns: next(),
                sleeps: value(&read("status")?, "voluntary_ctxt_switches")
                    .and_then(|number| number.parse::<u64>().ok())
                    .unwrap_or(0),
            };
            let name = task.file_name();
            threads.push(ThreadUsage { name, usage });
        }
        Ok(threads)
    }

    /// Stops it where it is, until [`Running::go_on`]. All of its threads stand still when this
    /// returns.
    ///
    /// # Errors
    /// It is gone.
    pub(crate) fn pause(&self) -> Result<(), BenchError> {
        self.signal(Signal::STOP)?;
        let wanted = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let pid = WaitId::Pid(Pid::from_child(&self.child));
        match waitid(pid, wanted) {
            Ok(_) => Ok(()),
            Err(errno) => Err(BenchError::system("waitid")(errno.into())),
        }
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// It is gone.
    pub(crate) fn go_on(&self) -> Result<(), BenchError> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), BenchError> {
        kill_process(Pid::from_child(&self.child), signal)
            .map_err(|errno| BenchError::system("kill")(errno.into()))
    }

    /// The most resident memory that it ever had, in bytes.
    ///
    /// # Errors
    /// It is gone, or the kernel does not tell.
    pub(crate) fn peak_memory_bytes(&self) -> Result<u64, BenchError> {
        kib_of(format!("/proc/{}/status", self.child.id()), "VmHWM")
    }

    /// Its resident memory, in bytes.
    ///
    /// # Errors
    /// It is gone, or the kernel does not tell.
    pub(crate) fn memory_bytes(&self) -> Result<u64, BenchError> {
        kib_of(format!("/proc/{}/smaps_rollup", self.child.id()), "Rss")
    }
}

/// A value of a file that is told in KiB, in bytes.
fn kib_of(file: String, name: &str) -> Result<u64, BenchError> {
    let text = fs::read_to_string(&file).map_err(BenchError::system(&*file))?;
    value(&text, name)
        .and_then(|value| value.split(' ').next())
        .and_then(|number| number.parse::<u64>().ok())
        .map(|kib| kib * 1024)
        .ok_or_else(|| BenchError::System {
            what: file,
            cause: std::io::Error::other(format!("has no line {name}")),
        })
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        for reader in self.readers.drain(..) {
            // It ends with the process, whose output it reads.
            drop(reader.join());
        }
    }
}

/// Reads to the end, so that a server never waits for us to hear it.
fn read_lines(output: impl Read + Send + 'static, to_us: mpsc::Sender<String>) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else {
                return;
            };
            // Once it listens nobody asks for more.
            drop(to_us.send(line));
        }
    })
}

/// The address behind these words at the beginning of a line; else what was said.
fn wait_for_address(lines: &Receiver<String>, before: &str) -> Result<SocketAddr, String> {
    let mut said = Vec::new();
    loop {
        match lines.recv_timeout(START_LIMIT) {
            Ok(line) => {
                let address = line.strip_prefix(before);
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
