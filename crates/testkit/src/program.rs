//! Any program, with its three streams in the test's hands.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::{Output, PATIENCE};

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    /// Its standard output.
    pub out: Output,
    /// Its standard error.
    pub err: Output,
}

/// How a program ended, and all it wrote.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its standard output.
    pub out: Vec<u8>,
    /// Its standard error, as text.
    pub err: String,
}

impl Program {
    /// Starts `program` with `arguments`.
    #[track_caller]
    pub fn start<A: AsRef<OsStr>>(
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        choose_mux(&mut command);
        Self::start_command(&mut command)
    }

    /// How the programs under test are to wait, if that was said.
    pub(crate) fn chosen_mux() -> Option<std::ffi::OsString> {
        std::env::var_os(MUX_VARIABLE)
    }

    /// Starts what was prepared, for an environment or a folder of its own.
    #[track_caller]
    pub fn start_command(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} can't be started: {error}"));
        let input = child.stdin.take();
        let out = child.stdout.take().expect("piped above");
        let err = child.stderr.take().expect("piped above");
        let out = Output::collect(&format!("standard output of {name}"), out);
        let err = Output::collect(&format!("standard error of {name}"), err);
        Self {
            name,
            child,
            input,
            out,
            err,
        }
    }

    /// Runs a program to its end, with nothing on its standard input.
    #[track_caller]
    pub fn run<A: AsRef<OsStr>>(
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Finished {
        let mut program = Self::start(program, arguments);
        program.end_input();
        program.finish()
    }

    /// Writes a line to its standard input.
    #[track_caller]
    pub fn say(&mut self, line: &str) {
        self.feed(format!("{line}\n").as_bytes());
    }

    /// Writes bytes to its standard input.
    #[track_caller]
    pub fn feed(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("its input has not ended");
        if let Err(error) = input.write_all(bytes).and_then(|()| input.flush()) {
            panic!(
                "{} does not read: {error}; it said: {}",
                self.name,
                self.err.text()
            );
        }
    }

    /// Takes its standard input, to write it from another thread.
    pub fn take_input(&mut self) -> ChildStdin {
        self.input.take().expect("its input has not ended")
    }

    /// Closes its standard input.
    pub fn end_input(&mut self) {
        self.input = None;
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// Waits until it has ended.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        self.wait_within(PATIENCE)
    }

    /// [`Program::wait`] with another limit than [`PATIENCE`].
    #[track_caller]
    pub fn wait_within(&mut self, limit: Duration) -> ExitStatus {
        if let Some(status) = self.child.try_wait().unwrap() {
            return status;
        }
        let fd = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()).unwrap();
        let limit = Timespec::try_from(limit).unwrap();
        let ended = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&limit)).unwrap();
        let (name, out, err) = (&self.name, self.out.text(), self.err.text());
        assert!(
            ended == 1,
            "{name} does not end; it wrote:\n{out}\nand complained:\n{err}"
        );
        self.child.wait().unwrap()
    }

    /// Waits until it has ended and closed its streams.
    #[track_caller]
    pub fn finish(&mut self) -> Finished {
        let status = self.wait();
        let err = String::from_utf8_lossy(&self.err.wait_end()).into_owned();
        Finished {
            status,
            out: self.out.wait_end(),
            err,
        }
    }

    /// Stops it where it is, as Ctrl-Z does, until [`Program::thaw`].
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.input = None;
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Finished {
    /// Its standard output as text, without white space around it.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).trim().to_owned()
    }

    /// Panics with its complaint unless its exit status was 0.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert!(self.status.success(), "{}: {}", self.status, self.err);
        self
    }

    /// Panics unless it gave up with exit status 1 and a complaint of one or two lines that has all
    /// of `texts` in it.
    #[track_caller]
    pub fn failed_with(&self, texts: &[&str]) {
        assert_eq!(self.status.code(), Some(1), "{}", self.err);
        for text in texts {
            assert!(self.err.contains(text), "no {text:?} in: {}", self.err);
        }
        assert!(
            self.err.lines().count() <= 2,
            "too many words: {}",
            self.err
        );
    }
}

/// The variable that says how the programs under test wait for many sockets.
const MUX_VARIABLE: &str = "SWITCHBOARD_TEST_MUX";

/// The commands of the binary under test that can be told.
const MUX_COMMANDS: [&str; 7] = ["chat", "connect", "get", "listen", "serve", "tail", "talk"];

/// Has one of our commands wait as the variable says, unless the test has chosen by itself.
fn choose_mux(command: &mut Command) {
    let Some(mux) = Program::chosen_mux() else {
        return;
    };
    let is_ours = command
        .get_program()
        .to_string_lossy()
        .ends_with("switchboard");
    let mut arguments = command.get_args();
    let first = arguments.next().unwrap_or_default();
    if is_ours
        && MUX_COMMANDS.iter().any(|name| first == *name)
        && !arguments.any(|argument| argument == "--mux" || argument == "--help")
    {
        command.arg("--mux").arg(mux);
    }
}

#[cfg(test)]
mod tests {
    use super::Program;

    #[test]
    fn a_program_is_talked_to_and_ends() {
        let mut program = Program::start("sh", ["-c", "read a; echo got $a; cat >&2; exit 3"]);
        program.say("one");
        program.out.wait_for("got one");
        program.feed(b"two");
        program.end_input();
        let finished = program.finish();
        assert_eq!(finished.status.code(), Some(3));
        assert_eq!(
            (finished.text().as_str(), finished.err.as_str()),
            ("got one", "two")
        );
    }

    #[test]
    fn a_signal_ends_a_program() {
        let mut program = Program::start("cat", [""; 0]);
        program.terminate();
        assert!(!program.wait().success());
    }
}
