//! The commands: one file each, with its arguments and what it does with them.

mod bench;
mod chat;
mod connect;
mod export;
mod get;
mod history;
mod import;
mod listen;
mod search;
mod send;
mod serve;
mod tail;
mod talk;
mod time;
mod verify;

use berkeley::selector::Backend;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};
use switchboard_wire::RoomName;

/// Let two programs, or two hundred thousand, talk.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "Examples:
  switchboard serve                                   run the hub on this machine
  switchboard chat 127.0.0.1                          join its room
  switchboard send 127.0.0.1 -m 'see this' cat.png    send a message and a file
  switchboard listen tcp://127.0.0.1:7000 --echo      answer everybody with his own words
  switchboard connect tcp://127.0.0.1:7000            talk to any TCP server
  switchboard tail 127.0.0.1 --json                   follow its room, for a program
  switchboard search kettle                           find what was said
  switchboard get http://hub.example/cat.png          download a file

'switchboard COMMAND --help' tells more about each."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Listen(listen::Args),
    Connect(connect::Args),
    Chat(chat::Args),
    Send(send::Args),
    Tail(tail::Args),
    Time(time::Args),
    Talk(talk::Args),
    Get(get::Args),
    History(history::Args),
    Search(search::Args),
    Verify(verify::Args),
    Export(export::Args),
    Import(import::Args),
    Bench(bench::Args),
}

impl Cli {
    /// Does what was asked for.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Serve(args) => args.run(),
            Command::Listen(args) => args.run(),
            Command::Connect(args) => args.run(),
            Command::Chat(args) => args.run(),
            Command::Send(args) => args.run(),
            Command::Tail(args) => args.run(),
            Command::Time(args) => args.run(),
            Command::Talk(args) => args.run(),
            Command::Get(args) => args.run(),
            Command::History(args) => args.run(),
            Command::Search(args) => args.run(),
            Command::Verify(args) => args.run(),
            Command::Export(args) => args.run(),
            Command::Import(args) => args.run(),
            Command::Bench(args) => args.run(),
        }
    }
}

/// Reads the `--mux` of every command that has one.
fn mux() -> impl TypedValueParser<Value = Backend> {
    PossibleValuesParser::new(Backend::ALL.map(Backend::name))
        .try_map(|name| name.parse::<Backend>())
}

/// Reads the `--room` of every command that has one.
fn room(text: &str) -> Result<RoomName, String> {
    RoomName::new(text).map_err(|error| error.to_string())
}

/// Says that a command waits by epoll, and why, where io_uring was asked for.
fn tell_fallback(why: Option<&berkeley::Error>) {
    if let Some(why) = why {
        crate::terminal::tell(format_args!("{why}: it is epoll now"));
    }
}
