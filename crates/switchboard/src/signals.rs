//! Ctrl-C and SIGTERM.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use signal_hook::low_level::pipe;

/// What ends a program in good order.
const STOPPING: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

/// Signals that come so soon after the first mean the same request: a wrapper such as timeout(1)
/// passes on what the terminal has sent to everybody already.
const SAME_REQUEST: Duration = Duration::from_millis(500);

/// Calls `stop` at the first SIGINT, SIGTERM or SIGHUP; a later one ends the process at once, with
/// the exit status that the signal itself would give.
///
/// # Errors
/// The system refuses the handlers or the thread.
pub(crate) fn on_stop(stop: impl FnMut() + Send + 'static) -> anyhow::Result<()> {
    watch(Signals::new(STOPPING)?, None, stop)?;
    Ok(())
}

/// The same for a program that has one thread alone as long as it works: what it gets has something
/// to read at the first signal, and what is to be called then begins to wait for a later one.
///
/// # Errors
/// The system refuses the handlers or the pipe.
pub(crate) fn stop_input() -> anyhow::Result<(OwnedFd, impl FnOnce() + Send + 'static)> {
    let (input, output) = io::pipe()?;
    for signal in STOPPING {
        pipe::register(signal, output.try_clone()?)?;
    }
    let signals = Signals::new(STOPPING)?;
    let told = move || {
        // Without a thread a later signal ends nothing: the first one soon does.
        drop(watch(signals, Some(Instant::now()), || {}));
    };
    Ok((input.into(), told))
}

/// Waits for signals in a thread of its own; `first` is when the first one came, if it has.
fn watch(
    mut signals: Signals,
    mut first: Option<Instant>,
    mut stop: impl FnMut() + Send + 'static,
) -> io::Result<()> {
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
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
