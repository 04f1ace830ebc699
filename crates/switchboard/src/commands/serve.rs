//! `switchboard serve`.

/// Run the hub: chat, messages and files, and the time
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        anyhow::bail!("not there yet")
    }
}
