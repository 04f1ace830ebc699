//! What is shown of downloads.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use switchboard_client::get::{Audience, GetError, Progress, Report, Saved, Summary};
use switchboard_wire::clean;
use switchboard_wire::http::HttpUrl;

use crate::terminal::{self, tell};

/// Bars that are shown at once: more flicker, and hide what was said before.
const BARS_MAX: usize = 12;

/// Draws a second: what an eye can follow.
const DRAWS_PER_SECOND: u8 = 10;

pub(super) struct Screen {
    count: usize,
    is_json: bool,
    /// Standard output has the content.
    has_content: bool,
    bars: MultiProgress,
    shown: HashMap<usize, ProgressBar>,
    /// Why the one download there is failed.
    failure: Option<String>,
}

impl Screen {
    pub(super) fn new(urls: &[HttpUrl], is_json: bool, has_content: bool) -> Self {
        // Draws nothing where standard error is no terminal.
        let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
        Self {
            count: urls.len(),
            is_json,
            has_content,
            bars: MultiProgress::with_draw_target(target),
            shown: HashMap::new(),
            failure: None,
        }
    }

    /// Says how all of it ended; an error if something is missing.
    pub(super) fn conclude(self, summary: Summary) -> anyhow::Result<()> {
        drop(self.bars.clear());
        let Summary {
            saved,
            failed,
            bytes,
        } = summary;
        if let Some(failure) = self.failure {
            anyhow::bail!(failure);
        }
        if failed > 0 {
            anyhow::bail!("{failed} of {} downloads failed", saved + failed);
        }
        if self.count > 1 && io::stderr().is_terminal() {
            tell(format_args!("{saved} downloads, {}", HumanBytes(bytes)));
        }
        Ok(())
    }

    /// A line on standard error, above the bars.
    fn say(&self, line: &str) {
        let line = clean(line);
        self.bars
            .suspend(|| tell(format_args!("switchboard: {line}")));
    }

    /// A line on standard output, above the bars.
    fn print(&self, line: &str) -> io::Result<()> {
        self.bars.suspend(|| {
            let mut out = io::stdout().lock();
            writeln!(out, "{line}").and_then(|()| out.flush())
        })
    }
}

impl Audience for Screen {
    fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush())
    }

    fn progress(&mut self, progress: &Progress<'_>) {
        let room = self.shown.len() < BARS_MAX;
        let bars = &self.bars;
        if bars.is_hidden() || !room && !self.shown.contains_key(&progress.index) {
            return;
        }
        let bar = self.shown.entry(progress.index).or_insert_with(|| {
            let bar = bars.add(ProgressBar::no_length());
            bar.set_message(clean(progress.name).into_owned());
            bar
        });
        if bar.length() != progress.total || bar.position() == 0 {
            let template = match progress.total {
                Some(_) => "{wide_msg} [{bar:24}] {bytes}/{total_bytes} {bytes_per_sec} {eta}",
                None => "{wide_msg} {bytes} {bytes_per_sec}",
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            if let Some(total) = progress.total {
                bar.set_length(total);
            }
        }
        bar.set_position(progress.bytes);
    }

    fn retries(&mut self, url: &HttpUrl, why: &GetError, pause: Duration) {
        let why = words(why);
        let seconds = pause.as_secs_f64();
        self.say(&format!("{url}: {why}; trying again in {seconds:.1} s"));
    }

    fn ended(&mut self, report: &Report) -> io::Result<()> {
        if let Some(bar) = self.shown.remove(&report.index) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
        if self.is_json && !self.has_content {
            self.print(&to_json(report))?;
        }
        match &report.outcome {
            Err(error) => {
                let again = match error {
                    GetError::Interrupted => "; the same command goes on with it",
                    GetError::Taken { .. } => "; --force replaces it",
                    _ => "",
                };
                let failure = format!("{}: {}{again}", report.url, words(error));
                if self.count == 1 {
                    self.failure = Some(clean(&failure).into_owned());
                } else {
                    self.say(&failure);
                }
            }
            Ok(saved) if !self.is_json && !self.has_content => self.print(&line(report, saved))?,
            Ok(_) => {}
        }
        Ok(())
    }
}

/// An error with its causes.
fn words(error: &GetError) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let told = error.to_string();
        if !words.contains(&told) {
            words = format!("{words}: {told}");
        }
        cause = error.source();
    }
    terminal::plain(&words)
}

fn path(saved: &Saved) -> Option<String> {
    Some(saved.path.as_ref()?.to_string_lossy().into_owned())
}

fn line(report: &Report, saved: &Saved) -> String {
    let path = path(saved).unwrap_or_default();
    let bytes = saved.bytes;
    let how = match report.resumed_bytes {
        _ if saved.was_there => ", which was there already".to_owned(),
        0 => String::new(),
        resumed => format!(", {resumed} of them from before"),
    };
    clean(&format!("{path} ({bytes} bytes{how}) from {}", report.url)).into_owned()
}

fn to_json(report: &Report) -> String {
    let (saved, error) = match &report.outcome {
        Ok(saved) => (Some(saved), None),
        Err(error) => (None, Some(words(error))),
    };
    json!({
        "url": report.url.to_string(),
        "final_url": report.final_url.to_string(),
        "status": report.status,
        "file": saved.and_then(path),
        "bytes": saved.map(|saved| saved.bytes),
        "was_there": saved.map(|saved| saved.was_there),
        "resumed_bytes": report.resumed_bytes,
        "tries": report.tries,
        "ms": u64::try_from(report.elapsed.as_millis()).unwrap_or(u64::MAX),
        "error": error,
    })
    .to_string()
}
