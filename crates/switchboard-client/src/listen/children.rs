//! Programs that were given a connection.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::thread;

use berkeley::{Mode, Socket};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use switchboard_reactor::Sender;

use super::{Mail, Peer};

/// The variable that tells a program who its peer is.
const PEER_VARIABLE: &str = "SWITCHBOARD_PEER";

/// The stack of a thread that only waits.
const WATCHER_STACK_BYTES: usize = 64 * 1024;

/// The programs that run, each in a process group of its own.
///
/// A thread waits for each one, but does not reap it: a process that is not reaped keeps its
/// number, so that no signal of ours can ever meet a stranger.
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
        if let Err(error) = watch(&child, id, mail.clone()) {
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

/// A group that is gone already has no use for a signal.
fn signal_group(child: &Child, signal: Signal) {
    kill_process_group(Pid::from_child(child), signal).ok();
}

/// Starts a thread that tells when the child has ended.
fn watch(child: &Child, id: u64, mail: Sender<Mail>) -> io::Result<()> {
    let pid = Pid::from_child(child);
    let thread = thread::Builder::new()
        .name("child".into())
        .stack_size(WATCHER_STACK_BYTES);
    thread.spawn(move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(
            waitid(WaitId::Pid(pid), options),
            Err(rustix::io::Errno::INTR)
        ) {}
        mail.send(Mail::Exited(id));
    })?;
    Ok(())
}
