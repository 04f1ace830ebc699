//! Ctrl-C and SIGTERM.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

/// Calls `stop` at the first SIGINT, SIGTERM or SIGHUP; the second ends the process at once, with
/// the exit status that the signal itself would give.
///
/// # Errors
/// The system refuses the handlers or the thread.
pub(crate) fn on_stop(mut stop: impl FnMut() + Send + 'static) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        let mut arrived = signals.forever();
        if arrived.next().is_some() {
            stop();
        }
        if let Some(signal) = arrived.next() {
            #[expect(clippy::exit, reason = "the user asked twice: nothing is left to tidy up")]
            std::process::exit(128 + signal);
        }
    })?;
    Ok(())
}

/// Makes a file that passes the process's size limit (`ulimit -f`) a failed write, not the death
/// of the process.
///
/// # Errors
/// The system refuses the handler.
pub(crate) fn survive_file_size_limit() -> anyhow::Result<()> {
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
    Ok(())
}
