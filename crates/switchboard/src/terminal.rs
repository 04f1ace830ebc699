//! What the user sees: errors and plain text.

use std::io::{self, Write};

/// Tells an error on standard error: what failed, then why, in one or two lines.
pub(crate) fn complain(error: &anyhow::Error) {
    // Nothing is left to tell it to if standard error is closed.
    drop(writeln!(io::stderr().lock(), "switchboard: {error:#}"));
}

/// True if all that went wrong is that nobody reads our output any more, as in `… | head`.
pub(crate) fn is_closed_output(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<OutputError>())
        .any(|OutputError(cause)| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// Standard output could not be written.
#[derive(Debug)]
pub(crate) struct OutputError(pub(crate) io::Error);

impl std::fmt::Display for OutputError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "standard output: {}", self.0)
    }
}

impl std::error::Error for OutputError {}
