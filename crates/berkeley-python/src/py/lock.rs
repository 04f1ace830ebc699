//! The interpreter's lock, and its signals.
#![expect(unsafe_code, reason = "letting go of the lock and taking it again")]

use pyo3_ffi as ffi;

use super::raised::{Raised, Result};

/// The calling thread's place in the interpreter while it is out.
struct Out(*mut ffi::PyThreadState);

impl Drop for Out {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: what `PyEval_SaveThread` answered in this thread.
        unsafe { ffi::PyEval_RestoreThread(self.0) };
    }
}

/// Makes a call during which other threads of the interpreter run. It gets nothing of the
/// interpreter's: objects are not [`Send`].
#[inline]
pub(crate) fn unlocked<T: Send>(call: impl FnOnce() -> T + Send) -> T {
    // SAFETY: this thread has the lock: the interpreter has called us.
    let _out = Out(unsafe { ffi::PyEval_SaveThread() });
    call()
}

/// Runs the handlers of signals that have come.
///
/// # Errors
/// What a handler raises.
pub(crate) fn check_signals() -> Result<()> {
    // SAFETY: takes nothing.
    match unsafe { ffi::PyErr_CheckSignals() } {
        0 => Ok(()),
        _ => Err(Raised::already()),
    }
}
