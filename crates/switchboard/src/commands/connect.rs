//! `switchboard connect`.

/// Join standard input and output to an endpoint
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        anyhow::bail!("not there yet")
    }
}
