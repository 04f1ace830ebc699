//! `switchboard export`.

use std::io::{self, BufWriter};
use std::path::PathBuf;

use switchboard_hub::log::ExportError;
use switchboard_wire::RoomName;
use switchboard_wire::name::LOBBY;

use super::history::{explain, open};
use crate::terminal::OutputError;

/// Write a room's history out as text
///
/// One JSON object a line on standard output: the first says which room and epoch it is, each
/// other is an entry. A hub may be running: the export is of one moment. 'switchboard import' reads
/// it again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  switchboard export > lobby.jsonl
  switchboard export --room tea --data /srv/hub | zstd > tea.jsonl.zst")]
pub(crate) struct Args {
    /// The hub's data folder
    #[arg(long, value_name = "DIR", default_value = "switchboard-data")]
    data: PathBuf,

    /// Which room
    #[arg(long, value_name = "ROOM", default_value = LOBBY, value_parser = super::room)]
    room: RoomName,
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let reader = open(&self.data)?;
        let mut output = BufWriter::new(io::stdout().lock());
        match reader.export(self.room.as_str(), &mut output) {
            Ok(_) => Ok(()),
            Err(ExportError::Log(error)) => Err(explain(error, &reader)),
            Err(ExportError::Output(error)) => Err(OutputError(error).into()),
            Err(other) => Err(other.into()),
        }
    }
}
