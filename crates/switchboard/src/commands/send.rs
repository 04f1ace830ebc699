//! `switchboard send`.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::Duration;

use berkeley::{Endpoint, Errno, Kind, Transport};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgMatches, Command, FromArgMatches};
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use switchboard_client::send::{
    PARCEL_PORT, Parcel, Progress, Resume, SendError, SendOptions, send,
};
use switchboard_wire::{Fields, RoomName, clean};

use crate::terminal::{positive_seconds, tell, with_hint};

/// Send messages and files to a hub
///
/// All of them go in one conversation, in the order in which they stand on the command line. When
/// the hub ends the conversation in good order, everything is stored; when it breaks off, the exit
/// status is 1. A program that takes parcels and never ends a conversation is trusted after some
/// seconds, if its system has received everything (then a note says so).
///
/// A large file whose sending broke off goes on from there when it is sent to the same hub again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  switchboard send 127.0.0.1 cat.png dog.png             two files
  switchboard send 127.0.0.1 -m 'see this' cat.png       a message, then a file
  switchboard send hub.example --room kitchen -m 'dinner is ready'
  switchboard send hub.example:8001 a.pdf -m 'and now' b.pdf -m 'that is all'
  switchboard send unix:///run/hub.sock -- -odd-name.txt")]
struct Flags {
    /// Where to send; the port is 8001 unless another is given. Also unix://PATH
    #[arg(value_name = "HOST[:PORT]", value_parser = endpoint)]
    endpoint: Endpoint,

    /// A message, in its place among the files
    #[arg(
        short,
        long = "message",
        value_name = "TEXT",
        allow_hyphen_values = true
    )]
    messages: Vec<String>,

    /// Files; each is sent under the last part of its path
    #[arg(value_name = "FILE", required_unless_present = "messages")]
    files: Vec<PathBuf>,

    /// The room that it is for; the lobby otherwise
    #[arg(long, value_name = "ROOM", value_parser = super::room)]
    room: Option<RoomName>,

    /// Ask the hub how much of a file it has, and send only the rest: files from 16 MiB, every file
    /// (and fail if it does not answer), or none
    #[arg(long, value_name = "auto|always|never", default_value = "auto",
          hide_default_value = true, value_parser = resume())]
    resume: Resume,

    /// Insist on the hub's end, and wait for it this long after everything was sent
    #[arg(long, value_name = "SECONDS", value_parser = positive_seconds)]
    wait: Option<Duration>,

    /// How long connecting may take
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = positive_seconds)]
    timeout: Duration,
}

fn resume() -> impl TypedValueParser<Value = Resume> {
    PossibleValuesParser::new(["auto", "always", "never"]).map(|word| match word.as_str() {
        "always" => Resume::Always,
        "never" => Resume::Never,
        _ => Resume::Auto,
    })
}

fn endpoint(text: &str) -> Result<Endpoint, String> {
    let endpoint = Endpoint::parse(text, Transport::Tcp, Some(PARCEL_PORT))
        .map_err(|error| error.to_string())?;
    if endpoint.transport().kind() != Kind::STREAM {
        return Err("parcels need a stream: write tcp://HOST:PORT or unix://PATH".to_owned());
    }
    Ok(endpoint)
}

/// The arguments, with messages and files in one order: the derived parser keeps two.
#[derive(Debug)]
pub(crate) struct Args {
    flags: Flags,
    /// For each thing to send, in order, whether it is a message.
    order: Vec<bool>,
}

impl clap::Args for Args {
    fn augment_args(command: Command) -> Command {
        Flags::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args_for_update(command)
    }
}

impl FromArgMatches for Args {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let flags = Flags::from_arg_matches(matches)?;
        let places = |id, is_message| {
            let places = matches.indices_of(id).into_iter().flatten();
            places.map(move |place| (place, is_message))
        };
        let mut order: Vec<(usize, bool)> = places("messages", true)
            .chain(places("files", false))
            .collect();
        order.sort_unstable();
        let order = order
            .into_iter()
            .map(|(_, is_message)| is_message)
            .collect();
        Ok(Self { flags, order })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        // Each file is open from the beginning; where the limit stays, an error tells.
        drop(berkeley::raise_descriptor_limit());
        let Self { flags, order } = self;
        let (mut messages, mut files) = (flags.messages.iter(), flags.files.iter());
        let fields = Fields {
            room: flags.room,
            ..Fields::default()
        };
        let mut parcels = Vec::new();
        for is_message in order {
            let next = if is_message {
                messages.next().map(|text| Parcel::message(text, &fields))
            } else {
                files.next().map(|path| Parcel::file(path, &fields))
            };
            if let Some(parcel) = next {
                parcels.push(parcel?);
            }
        }
        let mut screen = Screen::new(&parcels);
        let options = SendOptions {
            timeout: flags.timeout,
            wait: flags.wait,
            resume: flags.resume,
        };
        let sent = send(&flags.endpoint, parcels, &options, &mut |progress| {
            screen.show(progress)
        });
        screen.bar.finish_and_clear();
        if !sent.map_err(explain)?.ended {
            tell(format_args!(
                "switchboard: {} has received everything, but does not end the conversation: \
                 whether it was stored is not known",
                flags.endpoint
            ));
        }
        screen.conclude();
        Ok(())
    }
}

/// What a person at a terminal sees.
struct Screen {
    parcels: Vec<Shown>,
    bar: ProgressBar,
    /// The file that the bar shows, and whether it is sent or still checked.
    shown: Option<(usize, bool)>,
}

/// Something that is sent.
struct Shown {
    /// Of a file.
    name: Option<String>,
    bytes: u64,
    /// What the hub had of it already.
    resumed_bytes: u64,
}

impl Screen {
    fn new(parcels: &[Parcel]) -> Self {
        let cleaned = |name: &str| clean(name).into_owned();
        let shown = |parcel: &Parcel| Shown {
            name: parcel.file_name().map(cleaned),
            bytes: parcel.content_bytes(),
            resumed_bytes: 0,
        };
        // Draws nothing where standard error is no terminal.
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(
            "{wide_msg} [{bar:24}] {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        ) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self {
            parcels: parcels.iter().map(shown).collect(),
            bar,
            shown: None,
        }
    }

    fn show(&mut self, progress: Progress) {
        let (index, position, resumed) = match progress {
            Progress::Checking { index, bytes } => (index, bytes, None),
            Progress::Sending {
                index,
                sent_bytes,
                resumed_bytes,
            } => (index, resumed_bytes + sent_bytes, Some(resumed_bytes)),
        };
        let Some(parcel) = self.parcels.get_mut(index) else {
            return;
        };
        parcel.resumed_bytes = resumed.unwrap_or(0);
        let Some(name) = &parcel.name else {
            return;
        };
        let shown = Some((index, resumed.is_some()));
        if self.shown != shown {
            self.shown = shown;
            self.bar.set_length(parcel.bytes);
            self.bar.set_position(parcel.resumed_bytes);
            self.bar.reset_elapsed();
            self.bar.reset_eta();
            self.bar.set_message(match resumed {
                Some(_) => name.clone(),
                None => format!("checking {name}"),
            });
        }
        self.bar.set_position(position);
    }

    /// Says what was sent, to a terminal only.
    fn conclude(&self) {
        if !io::stderr().is_terminal() {
            return;
        }
        for parcel in &self.parcels {
            let size = HumanBytes(parcel.bytes);
            let there = HumanBytes(parcel.resumed_bytes);
            match &parcel.name {
                Some(name) if parcel.resumed_bytes > 0 => {
                    tell(format_args!(
                        "sent {name} ({size}, of which {there} was there)"
                    ));
                }
                Some(name) => tell(format_args!("sent {name} ({size})")),
                None => tell(format_args!("sent a message ({size})")),
            }
        }
    }
}

/// Adds what the user can do about it.
fn explain(error: SendError) -> anyhow::Error {
    let hint = match &error {
        SendError::BrokenOff { reached, .. }
        | SendError::Failed { reached, .. }
        | SendError::Stalled { reached, .. }
            if reached.can_resume =>
        {
            "send it again, and it goes on from there"
        }
        SendError::BrokenOff { .. } => {
            "it has stopped, or a parcel was refused or could not be stored: its log tells"
        }
        SendError::Connect { source, .. } => match source.errno() {
            Some(Errno::ECONNREFUSED | Errno::ENOENT) => "is a hub running there?",
            _ if source.is_timed_out() => "--timeout waits longer",
            _ => "",
        },
        SendError::NotResumable { .. } => "without --resume always it gets everything",
        SendError::NotParcels { .. } => "hubs take parcels at port 8001",
        SendError::NotClosed { .. } | SendError::Stalled { .. } => "--wait waits longer",
        _ => "",
    };
    with_hint(error, hint)
}
