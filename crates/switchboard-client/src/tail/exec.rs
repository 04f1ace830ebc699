//! The programs that run for entries: one at a time, in order.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::Signal;
use switchboard_reactor::Sender;
use switchboard_wire::EntryFrame;

use super::{Exec, Mail, Task, VARIABLE_BYTES_MAX};
use crate::programs::{signal_group, watch};

/// What runs, and what is to be started again.
#[derive(Debug)]
pub(super) struct Runner {
    exec: Exec,
    mail: Sender<Mail>,
    /// The entry that a program could not be started for.
    waiting: Option<(u64, Task)>,
    running: Option<(Child, u64)>,
    started: u64,
}

impl Runner {
    pub(super) const fn new(exec: Exec, mail: Sender<Mail>) -> Self {
        Self {
            exec,
            mail,
            waiting: None,
            running: None,
            started: 0,
        }
    }

    /// An entry has not been done with.
    pub(super) const fn is_busy(&self) -> bool {
        self.waiting.is_some() || self.running.is_some()
    }

    pub(super) const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Takes an entry, and starts its program.
    pub(super) fn begin(&mut self, entry: &EntryFrame) -> Result<(), (u64, io::Error)> {
        self.waiting = Some((entry.seq, (self.exec.describe)(entry)));
        self.start()
    }

    /// Starts the program of the entry that waits for it. An error tells the entry's number.
    pub(super) fn start(&mut self) -> Result<(), (u64, io::Error)> {
        let Some((seq, task)) = self.waiting.take() else {
            return Ok(());
        };
        match self.spawn(&task) {
            Ok(child) => {
                self.running = Some((child, seq));
                Ok(())
            }
            Err(error) => {
                self.waiting = Some((seq, task));
                Err((seq, error))
            }
        }
    }

    fn spawn(&mut self, task: &Task) -> io::Result<Child> {
        let variables = task.variables.iter();
        let variables = variables.map(|(name, value)| (name, variable(value)));
        let mut child = Command::new("sh")
            .arg(OsStr::new("-c"))
            .arg(&self.exec.command)
            .envs(variables)
            .stdin(input(&task.input)?)
            .process_group(0)
            .spawn()?;
        self.started += 1;
        let (id, mail) = (self.started, self.mail.clone());
        if let Err(error) = watch(&child, move || mail.send(Mail::Exited(id))) {
            signal_group(&child, Signal::KILL);
            child.wait()?;
            return Err(error);
        }
        Ok(child)
    }

    /// Reaps the program of this number: the number of its entry, and how it ended.
    pub(super) fn reap(&mut self, id: u64) -> Option<(u64, ExitStatus)> {
        if id != self.started {
            return None;
        }
        let (mut child, seq) = self.running.take()?;
        // It has ended, so this does not wait.
        Some((seq, child.wait().ok()?))
    }

    /// Asks what runs to end, or makes it.
    pub(super) fn end(&self, by_force: bool) {
        if let Some((child, _)) = &self.running {
            let signal = if by_force { Signal::KILL } else { Signal::TERM };
            signal_group(child, signal);
        }
    }
}

impl Drop for Runner {
    /// However it ends, it leaves no program behind.
    fn drop(&mut self) {
        self.end(true);
        if let Some((child, _)) = &mut self.running {
            drop(child.wait());
        }
    }
}

/// A standard input that holds all of it: whether the program reads it or not, nobody waits.
fn input(text: &str) -> io::Result<File> {
    let mut file = File::from(memfd_create("entry", MemfdFlags::CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file)
}

/// A value as the kernel can take it.
fn variable(value: &str) -> String {
    let mut value = value.replace('\0', "\u{fffd}");
    let end = (0..=VARIABLE_BYTES_MAX.min(value.len()))
        .rev()
        .find(|end| value.is_char_boundary(*end));
    value.truncate(end.unwrap_or(0));
    value
}

#[cfg(test)]
mod tests {
    use super::{VARIABLE_BYTES_MAX, variable};

    #[test]
    fn a_variable_is_cut_at_its_limit_and_holds_no_zero() {
        let long = "x".repeat(VARIABLE_BYTES_MAX);
        for more in ["", "x", "吃"] {
            assert_eq!(variable(&format!("{long}{more}")), long);
        }
        let value = variable(&format!("{}吃", &long[2..]));
        assert_eq!(value.len(), VARIABLE_BYTES_MAX - 2, "cut at a character");
        assert_eq!(variable(&long[1..]).len(), VARIABLE_BYTES_MAX - 1);
        assert_eq!(variable("a\0b"), "a\u{fffd}b");
    }
}
