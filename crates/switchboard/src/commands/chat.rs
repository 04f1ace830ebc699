//! `switchboard chat`.

use std::io::{self, BufWriter, IsTerminal};
use std::os::fd::AsFd;
use std::time::Duration;

use berkeley::selector::Backend;
use berkeley::{Endpoint, Errno, Kind, Transport};
use switchboard_client::chat::{CHAT_PORT, Chat, ChatError, ChatNote, ChatOptions};
use switchboard_wire::{Nick, RoomName};

use crate::signals;
use crate::terminal::{OutputError, RawOutput, positive_seconds, tell, with_hint};

/// Join a room: say what is typed, show what the others say
///
/// Works with the hub and with any other line-based room server. Each line of standard input is
/// said; what the others say goes to standard output, one line each. At the end of input (Ctrl-D)
/// our side is ended, and what still comes is shown until the server closes, or nothing has come
/// for 2 seconds.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  switchboard chat 127.0.0.1                        the hub on this machine
  switchboard chat alice@hub.example:8000           be called alice
  switchboard chat hub.example --room kitchen       in the room kitchen
  switchboard chat unix:///run/room.sock            a room behind a Unix socket
  date | switchboard chat builds@hub.example        say one thing and leave
  switchboard chat hub.example < /dev/null          listen for a moment

The hub's commands: /help lists them, /nick NAME takes a name, /join ROOM
goes to another room, /quit leaves.")]
pub(crate) struct Args {
    /// Where to go, and as whom; the port is 8000 unless another is given
    #[arg(value_name = "[NAME@]HOST[:PORT]", value_parser = room)]
    room: Room,

    /// The room to go to, where it is not the one that the server puts us in
    #[arg(long = "room", value_name = "ROOM", value_parser = super::room)]
    named: Option<RoomName>,

    /// How to wait for the room and the input at once
    #[arg(
        long,
        default_value = Backend::BEST.name(),
        value_parser = super::mux()
    )]
    mux: Backend,

    /// How long connecting may take
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = positive_seconds)]
    timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Room {
    name: Option<String>,
    endpoint: Endpoint,
}

fn room(text: &str) -> Result<Room, String> {
    // The @ of unix://@abstract belongs to no name.
    let (name, place) = match text.split_once('@') {
        Some((name, place)) if !name.contains("://") => (Some(name), place),
        _ => (None, text),
    };
    if name.is_some_and(|name| name.trim().is_empty() || name.contains(char::is_control)) {
        return Err("before the @ there is no name".to_owned());
    }
    let name = name
        .map(|name| Nick::new(name.trim()).map_err(|error| format!("{name:?}: {error}")))
        .transpose()?;
    let endpoint = Endpoint::parse(place, Transport::Tcp, Some(CHAT_PORT))
        .map_err(|error| error.to_string())?;
    if endpoint.transport().kind() != Kind::STREAM {
        return Err("a room is a stream: write tcp://HOST:PORT or unix://PATH".to_owned());
    }
    Ok(Room {
        name: name.map(|name| name.as_str().to_owned()),
        endpoint,
    })
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let options = ChatOptions {
            endpoint: self.room.endpoint,
            name: self.room.name,
            room: self.named,
            backend: self.mux,
            timeout: self.timeout,
        };
        let chat = Chat::connect(&options).map_err(explain)?;
        super::tell_fallback(chat.fallback());
        let stopper = chat.stopper();
        signals::on_stop(move || stopper.stop())?;
        if io::stdin().is_terminal() && io::stderr().is_terminal() {
            let endpoint = &options.endpoint;
            tell(format_args!(
                "connected to {endpoint}; /help lists commands, Ctrl-D leaves"
            ));
        }
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        let mut out = BufWriter::new(RawOutput::new()?);
        let mut unsent = 0;
        let mut note = |note: ChatNote| {
            unsent += usize::from(!matches!(note, ChatNote::ServerClosed { .. }));
            tell(format_args!("switchboard: {note}"));
        };
        chat.run(input, &mut out, &mut note).map_err(explain)?;
        anyhow::ensure!(unsent == 0, "{unsent} of the lines were not sent");
        Ok(())
    }
}

/// Adds what the user can do about it.
fn explain(error: ChatError) -> anyhow::Error {
    let error = match error {
        ChatError::Output(cause) => return OutputError(cause).into(),
        error => error,
    };
    let hint = match &error {
        ChatError::Connect { source, .. } => match source.errno() {
            Some(Errno::ECONNREFUSED | Errno::ENOENT) => "is a hub running there?",
            _ if source.is_timed_out() => "--timeout waits longer",
            _ => "",
        },
        _ => "",
    };
    with_hint(error, hint)
}

#[cfg(test)]
mod tests {
    use super::room;

    #[test]
    fn a_name_stands_before_the_host() {
        for (text, name, endpoint) in [
            ("host", None, "tcp://host:8000"),
            ("alice@host:1", Some("alice"), "tcp://host:1"),
            ("alice@tcp://[::1]", Some("alice"), "tcp://[::1]:8000"),
            ("unix://@abstract", None, "unix://@abstract"),
            ("张三@unix://@abstract", Some("张三"), "unix://@abstract"),
            ("unix:///a@b", None, "unix:///a@b"),
        ] {
            let room = room(text).unwrap();
            assert_eq!(room.name.as_deref(), name);
            assert_eq!(room.endpoint.to_string(), endpoint);
        }
        assert!(room("@host").is_err() && room("a\nb@host").is_err());
        assert!(room("udp://host").is_err() && room("host:x").is_err());
    }
}
