//! `switchboard search`.

use std::path::PathBuf;

use switchboard_hub::limits::{SEARCH_FOUND_MAX, SEARCH_WORDS_MAX};
use switchboard_hub::log::Search;
use switchboard_wire::RoomName;

use super::history::{Printer, explain, open};
use crate::clock;
use crate::terminal::tell;

/// Find what was said
///
/// Prints the entries that have all the words somewhere in their text, whatever their case, from
/// the oldest to the newest. A word may be a part of one; quote what has spaces in it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  switchboard search kettle                          in all rooms
  switchboard search 'tea time' --room lobby --author ada
  switchboard search 天气 --after 2026-01-01 --before 2026-02-01
  switchboard search error --limit 1000 --json       for a program")]
pub(crate) struct Args {
    /// What to look for
    #[arg(value_name = "WORDS", required = true)]
    words: Vec<String>,

    /// The hub's data folder
    #[arg(long, value_name = "DIR", default_value = "switchboard-data")]
    data: PathBuf,

    /// Only in this room
    #[arg(long, value_name = "ROOM", value_parser = super::room)]
    room: Option<RoomName>,

    /// Only by authors with this in their name
    #[arg(long, value_name = "NAME")]
    author: Option<String>,

    /// Only from this day or moment on, as 2026-01-31 or '2026-01-31 23:59'
    #[arg(long, value_name = "TIME", value_parser = clock::parse_local)]
    after: Option<i64>,

    /// Only before this day or moment
    #[arg(long, value_name = "TIME", value_parser = clock::parse_local)]
    before: Option<i64>,

    /// How many of the newest that are found, at most 1000
    #[arg(long, value_name = "N", default_value = "50", value_parser = limit)]
    limit: usize,

    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

fn limit(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|count| (1..=SEARCH_FOUND_MAX).contains(count))
        .ok_or_else(|| format!("it is a whole number from 1 to {SEARCH_FOUND_MAX}"))
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.words.len() <= SEARCH_WORDS_MAX,
            "at most {SEARCH_WORDS_MAX} words can be looked for at once"
        );
        let mut reader = open(&self.data)?;
        let search = Search {
            words: self.words,
            room: self.room.as_ref().map(Into::into),
            author: self.author,
            after_ms: self.after,
            before_ms: self.before,
            limit: self.limit,
        };
        let found = reader.search(&search);
        let (entries, is_whole) = found.map_err(|error| explain(error, &reader))?;
        let mut printer = Printer::new(self.json, true);
        for entry in entries.iter().rev() {
            printer.print(entry)?;
        }
        printer.end()?;
        if !is_whole {
            tell(
                "switchboard: that took too long, there may be more: --room and --after narrow it",
            );
        } else if entries.is_empty() {
            tell("switchboard: nothing found");
        }
        Ok(())
    }
}
