//! A hub of its own for each test: free ports, a fresh data folder, its log in the test's hands.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;
use std::{fs, io};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use tempfile::TempDir;

use crate::{Member, Output, Program, wire};

/// A running `switchboard serve`; killed when dropped.
#[derive(Debug)]
pub struct Hub {
    program: Program,
    /// The lines of the banner: a word and what stands behind it.
    banner: Vec<(String, String)>,
    /// The folder given to `--data`.
    pub data: PathBuf,
    _own: Option<TempDir>,
}

impl Hub {
    /// Starts the hub in a folder that is removed with it, with `arguments` besides.
    #[track_caller]
    pub fn start(bin: &Path, arguments: &[&str]) -> Self {
        let own = TempDir::new().unwrap();
        let mut hub = Self::start_in(bin, &own.path().join("data"), arguments);
        hub._own = Some(own);
        hub
    }

    /// Starts the hub with `data` as its folder, for a test that restarts it or looks around it.
    #[track_caller]
    pub fn start_in(bin: &Path, data: &Path, arguments: &[&str]) -> Self {
        Self::start_command(&mut Command::new(bin), data, arguments)
    }

    /// Starts the hub by a command that hands `serve …` on to it, for a limit or zone of its own.
    #[track_caller]
    pub fn start_command(command: &mut Command, data: &Path, arguments: &[&str]) -> Self {
        command.arg("serve").arg("--data").arg(data);
        for door in ["--chat", "--parcels", "--time"] {
            if !arguments.contains(&door) {
                command.args([door, "127.0.0.1:0"]);
            }
        }
        command.args(arguments);
        if let Some(mux) = Program::chosen_mux()
            && !arguments.contains(&"--mux")
        {
            // At the end, since the command may begin with another program's words.
            command.arg("--mux").arg(mux);
        }
        let mut program = Program::start_command(command);
        program.end_input();
        wait_ready(&program);
        let banner = program.out.text().lines().filter_map(banner_line).collect();
        Self {
            program,
            banner,
            data: data.to_path_buf(),
            _own: None,
        }
    }

    /// Where the line door is.
    #[must_use]
    pub fn chat(&self) -> SocketAddr {
        self.address("chat", "tcp://")
    }

    /// Where the parcel door is.
    #[must_use]
    pub fn parcels(&self) -> SocketAddr {
        self.address("parcels", "tcp://")
    }

    /// Where the time door is.
    #[must_use]
    pub fn time(&self) -> SocketAddr {
        self.address("time", "udp://")
    }

    /// The folder where files arrive, as the banner tells it.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        PathBuf::from(self.told("files", ""))
    }

    /// A file that has arrived.
    #[track_caller]
    pub fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.files().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// What the banner says behind `word` and `scheme`.
    #[must_use]
    #[track_caller]
    pub fn told(&self, word: &str, scheme: &str) -> &str {
        self.banner
            .iter()
            .filter(|(first, _)| first == word)
            .find_map(|(_, rest)| rest.strip_prefix(scheme))
            .unwrap_or_else(|| panic!("no {word} {scheme} in {:?}", self.banner))
    }

    /// The log, as far as it has come.
    #[must_use]
    pub fn log(&self) -> &Output {
        &self.program.err
    }

    /// Becomes a member by the line door; returns when the hub has noticed.
    #[track_caller]
    pub fn join(&self) -> Member {
        self.noticed(Member::connect(self.chat()))
    }

    /// [`Hub::join`] from another address of this machine, such as 127.0.0.2.
    #[track_caller]
    pub fn join_from(&self, from: IpAddr) -> Member {
        self.noticed(Member::from_stream(
            wire::connect_from(from, self.chat()).unwrap(),
        ))
    }

    #[track_caller]
    fn noticed(&self, member: Member) -> Member {
        let limit = Duration::from_secs(60);
        self.log()
            .wait_line_for(limit, &[&format!("{} joined", member.address())]);
        member
    }

    /// Sends bytes to the parcel door, ends the stream and waits for the hub to close it.
    ///
    /// # Errors
    /// When the hub resets the connection, or does not close it in time.
    pub fn upload(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        wire::exchange(self.parcels(), bytes)
    }

    /// Asks the time door.
    #[track_caller]
    pub fn ask_time(&self, format: &[u8]) -> Vec<u8> {
        wire::ask(self.time(), format)
    }

    /// That all three doors work, with new connections.
    #[track_caller]
    pub fn serves(&self) {
        let (mut here, mut there) = (self.join(), self.join());
        there.say("are you there?");
        assert_eq!(here.text(), format!("{}:are you there?", there.address()));
        let name = format!("still here {}.txt", there.address().port());
        let parcels = [wire::file(&name, b"yes"), wire::close()].concat();
        assert_eq!(self.upload(&parcels).unwrap(), b"");
        here.notice(&[&name]);
        assert_eq!(self.file(&name), b"yes");
        assert_eq!(self.ask_time(b"%%"), b"%");
    }

    /// Sends SIGTERM and waits for the end.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        self.program.terminate();
        self.program.wait()
    }

    /// Sends SIGINT, as Ctrl-C does, and waits for the end.
    #[track_caller]
    pub fn interrupt(&mut self) -> ExitStatus {
        self.program.interrupt();
        self.program.wait()
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.program.kill();
    }

    /// The processor time it has used.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.program.id())).unwrap();
        // proc_pid_stat(5): the name may hold anything; fields 14 and 15 come 11 behind its end.
        let (_, after) = stat.rsplit_once(')').unwrap();
        let ticks = after
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|n| n.parse::<u64>().unwrap());
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    /// The processor time that each of its threads has used, with their names.
    #[must_use]
    pub fn cpu_time_of_threads(&self) -> Vec<(String, Duration)> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.program.id())).unwrap();
        let task = |entry: io::Result<fs::DirEntry>| {
            let path = entry.unwrap().path();
            let name = fs::read_to_string(path.join("comm")).unwrap();
            // proc(5): nanoseconds on a processor come first.
            let told = fs::read_to_string(path.join("schedstat")).unwrap();
            let used = told.split(' ').next().unwrap().parse().unwrap();
            (name.trim_end().to_owned(), Duration::from_nanos(used))
        };
        tasks.map(task).collect()
    }

    /// The bytes of memory it has in use.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.program.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim()
            .trim_end_matches("kB")
            .trim()
            .parse::<u64>()
            .unwrap()
            * 1024
    }

    /// The number of its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.program.id()
    }

    /// The descriptors it has open.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        let open = fs::read_dir(format!("/proc/{}/fd", self.program.id()));
        open.unwrap().count()
    }

    /// How often its threads have gone to sleep: each had been woken for something before.
    #[must_use]
    pub fn sleeps(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.program.id()));
        let status =
            |task: io::Result<fs::DirEntry>| fs::read_to_string(task?.path().join("status"));
        // proc_pid_status(5)
        tasks
            .unwrap()
            .filter_map(|task| status(task).ok())
            .filter_map(|text| {
                let (_, rest) = text.split_once("\nvoluntary_ctxt_switches:")?;
                rest.lines().next()?.trim().parse::<u64>().ok()
            })
            .sum()
    }

    /// Changes how many descriptors it may have, while it runs.
    pub fn limit_descriptors(&self, count: u64) {
        let pid = Pid::from_raw(i32::try_from(self.id()).unwrap());
        let maximum = getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit {
            current: Some(maximum.map_or(count, |maximum| count.min(maximum))),
            maximum,
        };
        prlimit(pid, Resource::Nofile, limit).unwrap();
    }

    /// Stops the process where it stands, as SIGSTOP does.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a frozen process go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    #[track_caller]
    fn address(&self, word: &str, scheme: &str) -> SocketAddr {
        let told = self.told(word, scheme);
        told.parse()
            .unwrap_or_else(|_| panic!("{told:?} is no address"))
    }
}

/// Waits for the banner's last line; a hub that gives up instead is quoted.
#[track_caller]
fn wait_ready(program: &Program) {
    if !program.out.comes("ready\n") {
        panic!(
            "the hub is not ready: {}\n{}",
            program.out.text(),
            program.err.text()
        );
    }
}

/// `chat     tcp://127.0.0.1:8000` as a word and the rest.
fn banner_line(line: &str) -> Option<(String, String)> {
    let (word, rest) = line.split_once(char::is_whitespace)?;
    Some((word.to_owned(), rest.trim().to_owned()))
}
