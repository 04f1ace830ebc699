//! What the user sees: errors and plain text.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::time::Duration;

/// Tells an error on standard error: what failed, then why, in one or two lines.
pub(crate) fn complain(error: &anyhow::Error) {
    // Nothing is left to tell it to if standard error is closed.
    drop(writeln!(
        io::stderr().lock(),
        "switchboard: {}",
        words(error)
    ));
}

/// An error and its causes in one line. Many errors of the libraries tell their cause themselves;
/// what was said is not said again.
fn words(error: &anyhow::Error) -> String {
    let mut words = plain(&error.to_string());
    for cause in error.chain().skip(1) {
        // Where the address has been told, what is new in a system call's error is its answer.
        let cause = match cause.downcast_ref::<berkeley::Error>() {
            Some(berkeley::Error::Os {
                errno,
                addr: Some(addr),
                ..
            }) if words.contains(&addr.to_string()) => errno.to_string(),
            _ => plain(&cause.to_string()),
        };
        if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}

/// The text without the numbers that the standard library puts behind the system's words.
pub(crate) fn plain(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once(')').map_or("", |(_, rest)| rest));
    }
    plain
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

/// The arguments make no sense together, or one of them does not; nothing was begun.
#[derive(Debug)]
pub(crate) struct UsageError(pub(crate) String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// The exit status that an error ends the program with.
pub(crate) fn status(error: &anyhow::Error) -> u8 {
    if error.is::<UsageError>() { 2 } else { 1 }
}

/// Standard output without a buffer: what is written is out.
#[derive(Debug)]
pub(crate) struct RawOutput(File);

impl RawOutput {
    /// # Errors
    /// Descriptors have run out.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(File::from(io::stdout().as_fd().try_clone_to_owned()?)))
    }

    /// True for `/dev/null`: what is written there is work for nobody.
    pub(crate) fn is_null(&self) -> bool {
        // null(4): major 1, minor 3, the same on every Linux.
        const NULL: u64 = (1 << 8) | 3;
        let metadata = self.0.metadata();
        metadata.is_ok_and(|it| it.file_type().is_char_device() && it.rdev() == NULL)
    }
}

impl Write for RawOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for RawOutput {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A line on standard error. If that is closed, nobody wants to know.
pub(crate) fn tell(line: impl std::fmt::Display) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// An error with what the user can do about it on a line of its own; no hint adds nothing.
pub(crate) fn with_hint(error: impl Into<anyhow::Error>, hint: &str) -> anyhow::Error {
    let error = error.into();
    if hint.is_empty() {
        error
    } else {
        anyhow::anyhow!("{}\nhint: {hint}", words(&error))
    }
}

/// Reads a time limit of the command line.
pub(crate) fn positive_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "that is no number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(Duration::ZERO) => Err("that is no time at all".to_owned()),
        limit => limit.map_err(|_| "that is no time that can be waited for".to_owned()),
    }
}
