//! Errors on their way out: the library's to the language's.

use berkeley::names::ResolveError;
use berkeley::{Error, Hook};

use super::State;
use crate::py::{Exception, Object, Owned, Raised, Result, check_signals, unlocked};

/// What is done around each system call: other threads run, and signals have their handlers run
/// when one has interrupted it.
#[derive(Debug)]
pub(crate) struct Interpreter;

impl Hook for Interpreter {
    /// The language's own sockets open nothing behind a program's back, and programs look at the
    /// numbers that they get.
    const IS_WOKEN_BY_CLOSE: bool = false;

    #[inline]
    fn blocking<T: Send>(&self, call: impl FnOnce() -> T + Send) -> T {
        unlocked(call)
    }

    fn interrupted(&self) -> berkeley::Result<()> {
        check_signals().map_err(|_raised| Error::Interrupted { call: "signal" })
    }
}

/// Raises what the library answered.
#[cold]
pub(crate) fn raise(error: Error) -> Raised {
    match error {
        // A handler has raised: that is the exception.
        Error::Interrupted { .. } => Raised::already(),
        Error::Partial { cause, .. } => raise(*cause),
        Error::TimedOut { .. } | Error::NotTried => Exception::TimeOut.raise("timed out"),
        error => match error.errno() {
            Some(errno) => Raised::errno(errno),
            None => Exception::Os.raise(&error.to_string()),
        },
    }
}

/// Raises what a lookup answered: `gaierror`, `herror` with the number and its words.
#[cold]
pub(super) fn raise_lookup(state: &State, error: Error) -> Raised {
    let (Error::Resolve { reason, .. } | Error::NoName { reason, .. }) = &error else {
        return raise(error);
    };
    match reason {
        ResolveError::Gai(code) => numbered(&state.gaierror, code.raw(), &code.words()),
        ResolveError::Host(code) => numbered(&state.herror, code.raw(), &code.words()),
        ResolveError::System(errno) => Raised::errno(*errno),
        ResolveError::ZeroByte => Exception::Value.raise("embedded null character"),
        _ => Exception::Os.raise(&error.to_string()),
    }
}

fn numbered(class: &Object, number: i32, words: &str) -> Raised {
    let value = || Owned::tuple_of([Owned::integer(number.into())?, Owned::text(words)?]);
    match value() {
        Ok(value) => Raised::of(class, &value),
        Err(raised) => raised,
    }
}

/// The library's results in the language's terms.
pub(crate) trait OrRaise<T> {
    /// Raises the error.
    ///
    /// # Errors
    /// What was raised.
    fn or_raise(self) -> Result<T>;
}

impl<T> OrRaise<T> for berkeley::Result<T> {
    #[inline]
    fn or_raise(self) -> Result<T> {
        self.map_err(raise)
    }
}
