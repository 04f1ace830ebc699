//! `switchboard talk`.

use std::env;
use std::io::{self, BufWriter, IsTerminal};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use berkeley::selector::Backend;
use berkeley::{Endpoint, Errno, Kind, Transport};
use switchboard_client::contacts::{Contacts, ContactsError};
use switchboard_client::talk::{AnswerOptions, CallOptions, TALK_PORT, Talk, TalkError, Turns};

use crate::signals;
use crate::terminal::{OutputError, RawOutput, positive_seconds, tell, with_hint};

/// Talk by datagrams with somebody in the address book, or with whoever calls
///
/// Each line is a message, and each message a datagram. An empty line is not sent; q alone ends.
/// At a terminal both sides speak when they like. Where standard input is no terminal they take
/// turns: one message, one answer.
#[derive(Debug, clap::Args)]
#[command(after_help = "The address book is a TOML file:
  [contacts]
  alice = \"192.0.2.7:8081\"
  \"张 三\" = \"host.example\"

It is $XDG_CONFIG_HOME/switchboard/contacts.toml, or ~/.config/switchboard/contacts.toml, or what
--contacts names.

Examples:
  switchboard talk alice                         somebody in the address book
  switchboard talk 192.0.2.7:8081                anybody
  switchboard talk --listen :8081                answer whoever calls, on all addresses
  switchboard talk --listen 127.0.0.1:0          on a free port
  echo 'what time is it?' | switchboard talk alice --wait 2")]
pub(crate) struct Args {
    /// Whom to call: a name in the address book, or an address; its port is 8081 unless given
    #[arg(
        value_name = "NAME|HOST:PORT",
        value_parser = peer,
        required_unless_present = "listen"
    )]
    peer: Option<Peer>,

    /// Wait to be called at this address; its port is 8081 unless given
    #[arg(
        long,
        value_name = "ADDR",
        value_parser = endpoint,
        conflicts_with_all = ["peer", "contacts", "wait"]
    )]
    listen: Option<Endpoint>,

    /// The address book to look the name up in
    #[arg(long, value_name = "FILE")]
    contacts: Option<PathBuf>,

    /// How long to wait for an answer, before the next message or the end
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = positive_seconds)]
    wait: Duration,

    /// How to wait for the peer and the input at once
    #[arg(
        long,
        default_value = Backend::BEST.name(),
        value_parser = super::mux()
    )]
    mux: Backend,
}

fn endpoint(text: &str) -> Result<Endpoint, String> {
    let endpoint = Endpoint::parse(text, Transport::Udp, Some(TALK_PORT))
        .map_err(|error| error.to_string())?;
    if endpoint.transport().kind() != Kind::DGRAM {
        return Err("talk goes by datagrams: write udp://HOST:PORT".to_owned());
    }
    Ok(endpoint)
}

/// Whom to call, and where if that needs no address book.
#[derive(Debug, Clone)]
struct Peer {
    name: String,
    endpoint: Option<Endpoint>,
}

fn peer(text: &str) -> Result<Peer, String> {
    let is_address = text.contains(':') || text.parse::<IpAddr>().is_ok();
    let endpoint = is_address.then(|| endpoint(text)).transpose()?;
    Ok(Peer {
        name: text.to_owned(),
        endpoint,
    })
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let turns = if io::stdin().is_terminal() {
            Turns::Free
        } else {
            Turns::Alternate
        };
        let backend = self.mux;
        let talk = match (self.listen, self.peer) {
            (Some(endpoint), _) => Talk::answer(&AnswerOptions {
                endpoint,
                turns,
                backend,
            }),
            (None, Some(Peer { name, endpoint })) => {
                let endpoint = match endpoint {
                    Some(endpoint) => endpoint,
                    None => find(&name, self.contacts.as_deref())?,
                };
                let wait = self.wait;
                Talk::call(CallOptions {
                    endpoint,
                    name,
                    turns,
                    wait,
                    backend,
                })
            }
            (None, None) => bail!("there is nobody to talk with"),
        }
        .map_err(explain)?;
        super::tell_fallback(talk.fallback());
        let stopper = talk.stopper();
        signals::on_stop(move || stopper.stop())?;
        for endpoint in talk.endpoints() {
            tell(format_args!("listening on {endpoint}"));
        }
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        let mut out = BufWriter::new(RawOutput::new()?);
        talk.run(input, &mut out, &mut tell).map_err(explain)
    }
}

/// Looks somebody up in the address book.
fn find(peer: &str, contacts: Option<&Path>) -> anyhow::Result<Endpoint> {
    let default;
    let (path, is_default) = match contacts {
        Some(path) => (path, false),
        None => {
            default = default_book().context("--contacts has to name the address book")?;
            (default.as_path(), true)
        }
    };
    let found = Contacts::load(path).and_then(|contacts| contacts.find(peer).cloned());
    found.map_err(|error| {
        let hint = match &error {
            ContactsError::Missing { .. } if is_default => format!(
                "make it with the two lines [contacts] and {peer:?} = \"host:{TALK_PORT}\", or \
                 give an address: talk HOST:PORT"
            ),
            ContactsError::Unknown { .. } => {
                "an address is written with its port: talk HOST:PORT".to_owned()
            }
            _ => String::new(),
        };
        with_hint(error, &hint)
    })
}

/// Where the user's configuration is, by the XDG base directory specification.
fn default_book() -> anyhow::Result<PathBuf> {
    let folder = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let config = folder("XDG_CONFIG_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".config")))
        .ok_or_else(|| anyhow!("neither XDG_CONFIG_HOME nor HOME is set"))?;
    Ok(config.join("switchboard").join("contacts.toml"))
}

/// Adds what the user can do about it.
fn explain(error: TalkError) -> anyhow::Error {
    let error = match error {
        TalkError::Output(cause) => return OutputError(cause).into(),
        error => error,
    };
    let hint = match &error {
        TalkError::Listen { source, .. } => match source.errno() {
            Some(Errno::EADDRINUSE) => "somebody listens there already; port 0 picks a free port",
            Some(Errno::EADDRNOTAVAIL) => "this machine does not have that address",
            Some(Errno::EACCES) => "ports below 1024 are for root: choose a higher one",
            _ => "",
        },
        TalkError::Refused { .. } => "the other side begins with: switchboard talk --listen ADDR",
        _ => "",
    };
    with_hint(error, hint)
}
