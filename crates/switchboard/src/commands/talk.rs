//! `switchboard talk`.

/// Talk by datagrams with somebody in the address book
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        anyhow::bail!("not there yet")
    }
}
