//! Ctrl-C and SIGTERM.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

/// Signals that come so soon after the first mean the same request: a wrapper such as timeout(1)
/// passes on what the terminal has sent to everybody already.
const SAME_REQUEST: Duration = Duration::from_millis(500);

/// Calls `stop` at the first SIGINT, SIGTERM or SIGHUP; a later one ends the process at once, with
/// the exit status that the signal itself would give.
///
/// # Errors
/// The system refuses the handlers or the thread.
pub(crate) fn on_stop(mut stop: impl FnMut() + Send + 'static) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            let mut first = None;
            for signal in signals.forever() {
                match first {
                    None => {
                        first = Some(Instant::now());
                        stop();
                    }
                    Some(moment) if moment.elapsed() < SAME_REQUEST => {}
                    Some(_) => {
                        #[expect(
                            clippy::exit,
                            reason = "the user asked twice: nothing more to do"
                        )]
                        std::process::exit(128 + signal);
                    }
                }
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
