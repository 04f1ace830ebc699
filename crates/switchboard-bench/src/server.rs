//! The servers that are compared.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use berkeley::selector::Backend;

use crate::machine::Cores;

/// Connections that `listen` has room for on select(2): 1,024 descriptors less those it reserves.
const SELECT_CONNECTIONS_MAX: usize = 992;

/// Connections that a server is asked to have room for besides those of the measurement.
const CONNECTIONS_SPARE: usize = 16;

/// A program that echoes, and how to start it.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its name in the tables.
    pub name: String,
    /// What it is, in a few words.
    pub what: String,
    /// Connections that it can have at once, where that is less than descriptors allow.
    pub connections_max: Option<usize>,
    pub(crate) program: PathBuf,
    arguments: Vec<OsString>,
    /// It takes `--connections N`.
    is_ours: bool,
}

impl Server {
    /// The name of the barest loop: what every other one is compared with.
    pub const BARE: &'static str = "bare";
    /// The name of tokio's, with which they are compared too.
    pub const TOKIO: &'static str = "tokio";

    /// Our own server on one back end: `PROGRAM listen --echo --quiet --mux BACKEND`.
    #[must_use]
    pub fn ours(program: &Path, backend: Backend) -> Self {
        let arguments = ["listen", "tcp://127.0.0.1:0", "--echo", "--quiet", "--mux"];
        let mut arguments: Vec<OsString> = arguments.map(OsString::from).into();
        arguments.push(backend.name().into());
        Self {
            name: backend.name().to_owned(),
            what: format!("switchboard listen --echo --quiet --mux {backend}"),
            connections_max: (backend == Backend::Select).then_some(SELECT_CONNECTIONS_MAX),
            program: program.to_owned(),
            arguments,
            is_ours: true,
        }
    }

    /// One of the others, which are modes of one program.
    fn peer(program: &Path, name: &str, what: &str) -> Self {
        Self {
            name: name.to_owned(),
            what: what.to_owned(),
            connections_max: None,
            program: program.to_owned(),
            arguments: vec![format!("echo-{name}").into()],
            is_ours: false,
        }
    }

    /// Whether it takes so many connections at once.
    pub(crate) fn takes(&self, connections: usize) -> bool {
        self.connections_max.is_none_or(|max| connections <= max)
    }

    /// The arguments that let it serve so many.
    pub(crate) fn arguments(&self, connections: usize) -> Vec<OsString> {
        let mut arguments = self.arguments.clone();
        if self.is_ours {
            let room = connections + CONNECTIONS_SPARE;
            let room = self.connections_max.map_or(room, |max| room.min(max));
            arguments.extend(["--connections".into(), room.to_string().into()]);
        }
        arguments
    }
}

/// All servers that can be had: ours (`own` is the program) on each back end that opens here, and
/// the others where `peers` is their program.
#[must_use]
pub fn servers(own: &Path, peers: Option<&Path>) -> Vec<Server> {
    let mut all: Vec<Server> = Backend::ALL
        .into_iter()
        .filter(|backend| backend.open().is_ok())
        .map(|backend| Server::ours(own, backend))
        .collect();
    if let Some(peers) = peers {
        let others = [
            (
                Server::BARE,
                "the barest epoll loop, a 128 KiB buffer for all",
            ),
            (
                Server::TOKIO,
                "a task a connection, io::copy (8 KiB), current-thread runtime",
            ),
            (
                "tokio-multi",
                "the same on the runtime of a plain #[tokio::main]",
            ),
            (
                "tokio-64k",
                "a task and a 64 KiB buffer a connection, current-thread runtime",
            ),
            ("mio", "edge-triggered, a 128 KiB buffer for all"),
        ];
        all.extend(
            others
                .into_iter()
                .map(|(name, what)| Server::peer(peers, name, what)),
        );
    }
    all
}

/// What readers must know about the cores that were used.
pub(crate) fn notes_on_cores(cores: Option<Cores>) -> Vec<String> {
    match cores {
        None => vec![
            "servers and load shared the one core there is: only figures per second of CPU mean \
             anything"
                .to_owned(),
        ],
        Some(Cores {
            server,
            load,
            are_siblings: true,
        }) => vec![format!(
            "servers on core {server} and load on core {load} are threads of one physical core"
        )],
        Some(_) => Vec::new(),
    }
}
