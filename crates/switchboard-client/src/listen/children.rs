//! Programs that were given a connection.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use berkeley::{Mode, Socket};
use rustix::process::Signal;
use switchboard_reactor::Sender;

use super::{Mail, Peer};
use crate::programs::{signal_group, watch};

/// The variable that tells a program who its peer is.
const PEER_VARIABLE: &str = "SWITCHBOARD_PEER";

/// The programs that run, each in a process group of its own.
#[derive(Debug, Default)]
pub(super) struct Children {
    running: HashMap<u64, (Child, Peer)>,
    started: u64,
}

impl Children {
    pub(super) fn count(&self) -> usize {
        self.running.len()
    }

    /// Gives a connection to a shell command.
    pub(super) fn start(
        &mut self,
        command: &OsString,
        socket: Socket,
        peer: Peer,
        mail: &Sender<Mail>,
    ) -> io::Result<()> {
        // Programs expect a standard input that waits.
        socket.set_mode(Mode::Block)?;
        let input = OwnedFd::from(socket);
        let output = input.try_clone()?;
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(command)
            .env(PEER_VARIABLE, peer.to_string())
            .stdin(input)
            .stdout(output)
            .process_group(0)
            .spawn()?;
        self.started += 1;
        let id = self.started;
        let mail = mail.clone();
        if let Err(error) = watch(&child, move || mail.send(Mail::Exited(id))) {
            signal_group(&child, Signal::KILL);
            child.wait()?;
            return Err(error);
        }
        self.running.insert(id, (child, peer));
        Ok(())
    }

    /// Reaps a program that has ended. With `is_last_call` whatever it left running in its group
    /// is ended too.
    pub(super) fn reap(&mut self, id: u64, is_last_call: bool) -> Option<Peer> {
        let (mut child, peer) = self.running.remove(&id)?;
        if is_last_call {
            signal_group(&child, Signal::KILL);
        }
        // It has ended, so this neither waits nor fails.
        drop(child.wait());
        Some(peer)
    }

    /// Asks all programs to end, or makes them.
    pub(super) fn end(&self, by_force: bool) {
        let signal = if by_force { Signal::KILL } else { Signal::TERM };
        for (child, _) in self.running.values() {
            signal_group(child, signal);
        }
    }
}

impl Drop for Children {
    /// However the listener ends, it leaves no program behind.
    fn drop(&mut self) {
        self.end(true);
        for (child, _) in self.running.values_mut() {
            drop(child.wait());
        }
    }
}
