//! `switchboard import`.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::PathBuf;

use anyhow::Context;
use switchboard_hub::log::import;
use switchboard_wire::{RoomName, clean};

use crate::signals;
use crate::terminal::{tell, with_hint};

/// Read a room's history from an export
///
/// All of it comes in, with the same numbers and the same epoch, or nothing does. The hub whose
/// folder it is must not be running, and the room must have no history there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  switchboard import lobby.jsonl
  switchboard import tea.jsonl --room old-tea --data /srv/hub
  zstd -dc tea.jsonl.zst | switchboard import -")]
pub(crate) struct Args {
    /// The export; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The hub's data folder; it is made if it is missing
    #[arg(long, value_name = "DIR", default_value = "switchboard-data")]
    data: PathBuf,

    /// Another name for the room
    #[arg(long, value_name = "ROOM", value_parser = super::room)]
    room: Option<RoomName>,
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        signals::survive_file_size_limit()?;
        let input: Box<dyn Read> = if self.file.as_os_str() == "-" {
            Box::new(io::stdin().lock())
        } else {
            let named = || format!("can't open {}", self.file.display());
            Box::new(File::open(&self.file).with_context(named)?)
        };
        let made = || format!("can't create the folder {}", self.data.display());
        fs::create_dir_all(&self.data).with_context(made)?;
        let imported = import(&self.data, &mut BufReader::new(input), self.room.as_ref());
        let imported = imported.map_err(|error| {
            let hint = error.hint();
            with_hint(error, hint)
        })?;
        tell(format_args!(
            "{} entries are in the room {}",
            imported.entries,
            clean(&imported.room)
        ));
        Ok(())
    }
}
