//! Programs that were started for somebody: each in a process group of its own, with a thread that
//! tells of its end.

use std::io;
use std::process::Child;
use std::thread;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// The stack of a thread that only waits.
const WATCHER_STACK_BYTES: usize = 64 * 1024;

/// A group that is gone already has no use for a signal.
pub(crate) fn signal_group(child: &Child, signal: Signal) {
    kill_process_group(Pid::from_child(child), signal).ok();
}

/// Starts a thread that tells when the child has ended. It does not reap it: a process that is not
/// reaped keeps its number, so that no signal of ours can ever meet a stranger.
pub(crate) fn watch(child: &Child, ended: impl FnOnce() + Send + 'static) -> io::Result<()> {
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
        ended();
    })?;
    Ok(())
}
