//! `switchboard bench mux`.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use berkeley::selector::Backend;
use switchboard_bench::chart::{png, svg};
use switchboard_bench::mux::{MuxOptions, available, measure, picture};

use super::{Form, Watch, command, explain};
use crate::clock;
use crate::terminal::positive_seconds;

/// What one event costs with select, poll, epoll and io_uring, beside more and more idle sockets
///
/// One thread opens pairs of sockets, in growing number. First a few of them are busy beside idle
/// ones: each turn sends a byte to each busy one, waits, and receives what is told. Then all of
/// them are busy. A back end that cannot watch so many is measured at its limit, and ends there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  switchboard bench mux                                   10, 100, 1,000 … as descriptors allow
  switchboard bench mux --svg mux.svg --png mux.png       the same, and charts of it
  switchboard bench mux --idle 100,1000 --mux poll,epoll --rounds 9
  switchboard bench mux --json > mux.json")]
pub(crate) struct Args {
    /// Numbers of idle sockets [default: powers of ten up to what the descriptor limit allows]
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        value_parser = clap::value_parser!(u32).range(1..=10_000_000)
    )]
    idle: Vec<u32>,

    /// Busy sockets beside them
    #[arg(
        long,
        value_name = "N",
        default_value = "4",
        value_parser = clap::value_parser!(u32).range(1..=1000)
    )]
    busy: u32,

    /// Which back ends [default: all that are here]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = super::super::mux())]
    mux: Vec<Backend>,

    /// How long each is driven, in each round and at each number, in each of the two ways
    #[arg(long, value_name = "SECONDS", default_value = "0.2", value_parser = positive_seconds)]
    seconds: Duration,

    /// How often everything is done
    #[arg(long, value_name = "N", default_value = "5")]
    rounds: usize,

    /// Draw the charts as SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    /// Draw the charts as PNG
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,

    #[command(flatten)]
    form: Form,
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut notes = Vec::new();
        let backends = if self.mux.is_empty() {
            let (here, missing) = available();
            notes.extend(
                missing
                    .iter()
                    .map(|(backend, error)| format!("without {backend}: {error}")),
            );
            here
        } else {
            for backend in &self.mux {
                backend.open()?;
            }
            self.mux
        };
        let options = MuxOptions {
            idle: self.idle.iter().map(|number| *number as usize).collect(),
            busy: self.busy as usize,
            backends,
            length: self.seconds,
            rounds: self.rounds,
        };
        // A file that can't be written is told before the measurement and not after it.
        let (svg_file, png_file) = (create(self.svg)?, create(self.png)?);
        let watch = Watch::new()?;
        let measured = measure(&options, &mut |what| watch.step(what.to_owned()));
        drop(watch);
        let mut report = measured.map_err(explain)?;
        report.notes.append(&mut notes);
        let drawn = svg(&picture(&report, &command(), &clock::today()));
        if let Some(file) = svg_file {
            file.write(drawn.as_bytes())?;
        }
        if let Some(file) = png_file {
            file.write(&png(&drawn)?)?;
        }
        let mut below = report.notes.clone();
        below.push(format!(
            "medians of {} rounds of {} s; {}",
            report.rounds, report.run_seconds, report.machine
        ));
        self.form.write(&report, &report.tables(), &below)
    }
}

/// A file for a picture, open already.
struct Canvas {
    path: PathBuf,
    file: File,
}

fn create(path: Option<PathBuf>) -> anyhow::Result<Option<Canvas>> {
    let open = |path: PathBuf| {
        let file = File::create(&path).with_context(|| path.display().to_string())?;
        Ok(Canvas { path, file })
    };
    path.map(open).transpose()
}

impl Canvas {
    fn write(mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let written = self.file.write_all(bytes);
        written.with_context(|| self.path.display().to_string())
    }
}
