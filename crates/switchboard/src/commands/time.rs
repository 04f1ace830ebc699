//! `switchboard time`.

use std::io::{self, Write};
use std::time::Duration;

use berkeley::{Endpoint, Kind, Transport};
use switchboard_client::time::{FORMAT_DEFAULT, TIME_PORT, TimeError, TimeOptions, ask_time};

use crate::terminal::{OutputError, positive_seconds, with_hint};

/// Ask a hub, or any time server, for the time
///
/// Sends the format as one datagram and prints the answer as one line.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  switchboard time 127.0.0.1                         2026-01-31 23:59:59
  switchboard time 127.0.0.1:9000 '%A, %d. %B %Y'    Saturday, 31. January 2026
  switchboard time hub.example --timeout 3 --tries 1")]
pub(crate) struct Args {
    /// Whom to ask; the port is 9000 unless another is given
    #[arg(value_name = "HOST[:PORT]", value_parser = endpoint)]
    endpoint: Endpoint,

    /// How to write the time, as strftime(3) and date(1) know it
    #[arg(default_value = FORMAT_DEFAULT)]
    format: String,

    /// How long to wait for each answer
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = positive_seconds)]
    timeout: Duration,

    /// How often to ask each address of the host
    #[arg(
        long,
        value_name = "N",
        default_value = "3",
        value_parser = clap::value_parser!(u32).range(1..=1000)
    )]
    tries: u32,
}

fn endpoint(text: &str) -> Result<Endpoint, String> {
    let endpoint = Endpoint::parse(text, Transport::Udp, Some(TIME_PORT))
        .map_err(|error| error.to_string())?;
    if endpoint.transport().kind() != Kind::DGRAM {
        return Err("time is told by datagrams: write udp://HOST:PORT".to_owned());
    }
    Ok(endpoint)
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let options = TimeOptions {
            timeout: self.timeout,
            tries: self.tries,
        };
        let answer = ask_time(&self.endpoint, &self.format, &options).map_err(explain)?;
        let mut out = io::stdout().lock();
        writeln!(out, "{answer}")
            .and_then(|()| out.flush())
            .map_err(OutputError)?;
        Ok(())
    }
}

/// Adds what the user can do about it.
fn explain(error: TimeError) -> anyhow::Error {
    let hint = match &error {
        TimeError::Refused { .. } => "is a hub running there, with its time door open?",
        TimeError::NoAnswer { .. } => "--timeout waits longer, --tries asks more often",
        _ => "",
    };
    with_hint(error, hint)
}
