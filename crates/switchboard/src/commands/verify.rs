//! `switchboard verify`.

use std::io::{self, Write};
use std::path::PathBuf;

use switchboard_hub::log::verify;
use switchboard_wire::clean;

use crate::terminal::{OutputError, with_hint};

/// Check a data folder
///
/// Reads the whole log (its structure, the checksum of each entry, the numbers of each room, the
/// index of words) and compares it with the files beside it. Nothing is changed, and a hub may be
/// running. What is wrong is a line each, and then the exit status is 1; what is only odd is a
/// note.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  switchboard verify                                 ./switchboard-data
  switchboard verify --data /srv/hub")]
pub(crate) struct Args {
    /// The hub's data folder
    #[arg(long, value_name = "DIR", default_value = "switchboard-data")]
    data: PathBuf,
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let report = verify(&self.data).map_err(|error| {
            let hint = error.hint();
            with_hint(error, hint)
        })?;
        let mut text = String::new();
        for (kind, lines) in [("fault", &report.faults), ("note ", &report.notes)] {
            for line in lines {
                text.push_str(&format!("{kind}  {}\n", clean(line)));
            }
        }
        let verdict = if report.is_sound() {
            "sound"
        } else {
            "damaged"
        };
        let (rooms, entries, files) = (report.rooms, report.entries, report.files);
        text.push_str(&format!(
            "{verdict}: rooms {rooms}, entries {entries}, files {files}\n"
        ));
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .map_err(OutputError)?;
        anyhow::ensure!(
            report.is_sound(),
            "{} is damaged\nhint: 'switchboard export' writes out the rooms that are whole",
            self.data.display()
        );
        Ok(())
    }
}
