//! `switchboard get`.

mod screen;

use std::path::PathBuf;
use std::time::Duration;

use berkeley::selector::Backend;
use switchboard_client::get::{
    CONTENT_BYTES_MAX, Checksum, Destination, Get, GetError, GetOptions, IDLE, JOBS, JOBS_MAX,
    JOBS_PER_HOST, REDIRECTS, RETRIES,
};
use switchboard_wire::clean;
use switchboard_wire::http::HttpUrl;

use self::screen::Screen;
use crate::signals;
use crate::terminal::{OutputError, UsageError, positive_seconds, with_hint};

/// [`IDLE`], as it is typed.
const IDLE_SECONDS: &str = "30";
const _: () = assert!(IDLE.as_secs() == 30);

/// Download files by HTTP, many at once
///
/// Each file has its name only when all its bytes are on the disk. What comes before that is in a
/// partial file beside it (.NAME.….part), from which the next try goes on, or the next run, if the
/// server proves that the content is still the same. A body that was cut is an error, and is tried
/// again after a pause, as is an answer that speaks of the moment (408, 425, 429, 500, 502, 503,
/// 504).
///
/// A file is called what the server says (Content-Disposition), or else as the last part of the
/// address; it never leads out of the folder, and is not hidden. Nothing is overwritten: a name
/// that other bytes have becomes 'name (2).ext', and the same bytes are kept once.
///
/// The exit status is 0 if all files were downloaded, 1 if one was not, and 2 for an address or a
/// flag that makes no sense; then nothing was asked for.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  switchboard get http://hub.example/cat.png             into this folder
  switchboard get http://a.example/1.iso http://b.example/2.iso --output-dir isos
  switchboard get hub.example/cat.png -o pet.png         under this name
  switchboard get hub.example/list.txt -o - | sort       to standard output
  switchboard get hub.example/a.iso --checksum sha256:…  only if it is that
  switchboard get --json $(cat urls.txt) | jq -r 'select(.error) | .url'")]
pub(crate) struct Args {
    /// The addresses, such as http://HOST:PORT/PATH; http:// and the port may be left out
    #[arg(value_name = "URL", required = true)]
    urls: Vec<String>,

    /// The folder that they go into; it is made if there is none
    #[arg(short = 'd', long, value_name = "DIR", default_value = ".")]
    output_dir: PathBuf,

    /// The file, for one address; - is standard output
    #[arg(short, long, value_name = "FILE", conflicts_with = "output_dir")]
    output: Option<PathBuf>,

    /// Replace files that have the name
    #[arg(long)]
    force: bool,

    /// The sum that the content must have, for one address: sha256:HEX or blake3:HEX
    #[arg(long, value_name = "SUM")]
    checksum: Option<Checksum>,

    /// How many at once
    #[arg(long, value_name = "N", default_value_t = JOBS, value_parser = jobs)]
    jobs: usize,

    /// How many of them at one host
    #[arg(long, value_name = "N", default_value_t = JOBS_PER_HOST, value_parser = jobs)]
    per_host: usize,

    /// How often each is tried again
    #[arg(long, value_name = "N", default_value_t = RETRIES)]
    retries: u32,

    /// How many redirections are followed
    #[arg(long, value_name = "N", default_value_t = REDIRECTS)]
    redirects: u32,

    /// The largest file, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = CONTENT_BYTES_MAX)]
    max_bytes: u64,

    /// How long connecting may take
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = positive_seconds)]
    timeout: Duration,

    /// How long a server may send nothing
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = IDLE_SECONDS,
        value_parser = positive_seconds
    )]
    idle: Duration,

    /// One JSON object a file, when it has ended
    #[arg(long)]
    json: bool,

    /// How to wait
    #[arg(
        long,
        default_value = Backend::BEST.name(),
        value_parser = super::mux()
    )]
    mux: Backend,
}

fn jobs(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=JOBS_MAX).contains(&count) => Ok(count),
        _ => Err(format!("that is no number from 1 to {JOBS_MAX}")),
    }
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let urls = self.urls()?;
        let destination = match self.output {
            None => Destination::Folder(self.output_dir),
            Some(file) if file.as_os_str() == "-" => Destination::Audience,
            Some(file) => Destination::File(file),
        };
        // Where the limit stays, an error tells.
        drop(berkeley::raise_descriptor_limit());
        let mut screen = Screen::new(&urls, self.json, destination == Destination::Audience);
        let get = Get::new(GetOptions {
            urls,
            destination,
            jobs: self.jobs,
            jobs_per_host: self.per_host,
            retries: self.retries,
            redirects: self.redirects,
            timeout: self.timeout,
            idle: self.idle,
            content_bytes_max: self.max_bytes,
            force: self.force,
            checksum: self.checksum,
            backend: self.mux,
        })
        .map_err(explain)?;
        super::tell_fallback(get.fallback());
        signals::survive_file_size_limit()?;
        let stopper = get.stopper();
        signals::on_stop(move || stopper.stop())?;
        let summary = get.run(&mut screen).map_err(explain)?;
        screen.conclude(summary)
    }

    /// The addresses, which must all make sense before any is asked.
    fn urls(&self) -> anyhow::Result<Vec<HttpUrl>> {
        let parse = |text: &String| {
            HttpUrl::parse(text).map_err(|why| UsageError(format!("{}: {why}", clean(text))))
        };
        let urls = self.urls.iter().map(parse);
        let urls: Vec<_> = urls.collect::<Result<_, _>>()?;
        let of_one = [
            ("--output", self.output.is_some()),
            ("--checksum", self.checksum.is_some()),
        ];
        for (flag, is_given) in of_one {
            if is_given && urls.len() > 1 {
                return Err(UsageError(format!("{flag} is for one address")).into());
            }
        }
        Ok(urls)
    }
}

/// Adds what the user can do about it.
fn explain(error: GetError) -> anyhow::Error {
    let error = match error {
        GetError::Output(cause) => return OutputError(cause).into(),
        error => error,
    };
    let hint = match &error {
        GetError::Taken { .. } => "--force replaces it",
        _ => "",
    };
    with_hint(error, hint)
}
