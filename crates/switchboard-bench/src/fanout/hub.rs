//! The hubs that are compared: ours, the rooms of `bench-peers`, and what of others is installed.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use berkeley::selector::Backend;

use super::wire::Protocol;
use crate::BenchError;
use crate::process::{Listens, Running};

/// Connections that a hub is asked to have room for besides those of the measurement.
const CONNECTIONS_SPARE: usize = 64;

/// Connections that a hub has room for on select(2).
const SELECT_CONNECTIONS_MAX: usize = 900;

/// Folders where servers lie that are not in everybody's `PATH`.
const SERVER_FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// A hub, and how to start it.
#[derive(Debug, Clone)]
pub struct Hub {
    /// Its name in the tables.
    pub name: String,
    /// What it is, in a few words.
    pub what: String,
    /// Whether it is measured when nobody asks for certain ones.
    pub is_usual: bool,
    pub(super) protocol: Protocol,
    /// It has several threads that work at once, which one core would not hold.
    has_threads: bool,
    program: PathBuf,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    /// `serve` with these words, which stand for what this build of it knows.
    Ours(Vec<String>),
    /// A mode of `bench-peers`.
    Mode(&'static str),
    Redis,
    Nats,
    Inspircd,
    Mosquitto,
}

/// Somebody else's server.
struct Other {
    name: &'static str,
    program: &'static str,
    version: &'static str,
    protocol: Protocol,
    kind: Kind,
    with: &'static str,
}

const OTHERS: [Other; 4] = [
    Other {
        name: Hub::REDIS,
        program: "redis-server",
        version: "--version",
        protocol: Protocol::Resp,
        kind: Kind::Redis,
        with: "PUBLISH; no persistence, no output limits",
    },
    Other {
        name: Hub::NATS,
        program: "nats-server",
        version: "--version",
        protocol: Protocol::Nats,
        kind: Kind::Nats,
        with: "core PUB; max_pending 1 GB",
    },
    Other {
        name: "inspircd",
        program: "inspircd",
        version: "--version",
        protocol: Protocol::Irc,
        kind: Kind::Inspircd,
        with: "PRIVMSG to a channel; no flood control, no queue limits",
    },
    Other {
        name: "mosquitto",
        program: "mosquitto",
        version: "-h",
        protocol: Protocol::Mqtt,
        kind: Kind::Mosquitto,
        with: "MQTT QoS 0; no persistence, no queue limits, TCP_NODELAY",
    },
];

impl Hub {
    /// The name of ours as it is started by default, but without a log.
    pub const OURS: &'static str = "ours-epoll";
    /// The name of the same with its log.
    pub const OURS_LOG: &'static str = "ours-epoll-log";
    /// The name of the barest loop.
    pub const BARE: &'static str = "bare";
    /// The name of Redis.
    pub const REDIS: &'static str = "redis";
    /// The name of NATS.
    pub const NATS: &'static str = "nats";
    /// The name of the room on tokio.
    pub const TOKIO: &'static str = "tokio";

    /// Ours; `shards` unless it knows nothing of them.
    fn ours(program: &Path, backend: Backend, log: Option<bool>, shards: Option<u16>) -> Self {
        let mut words: Vec<String> = ["--mux", backend.name()].map(str::to_owned).into();
        let mut name = format!("ours-{backend}");
        if let Some(shards) = shards {
            words.extend(["--shards".to_owned(), shards.to_string()]);
        }
        let has_threads = shards.is_some_and(|shards| shards > 1);
        if let Some(shards) = shards.filter(|_| has_threads) {
            name.push_str(&format!("-{shards}"));
        }
        if let Some(is_on) = log {
            words.extend(["--log", if is_on { "on" } else { "off" }].map(str::to_owned));
            name.push_str(if is_on { "-log" } else { "" });
        }
        Self {
            what: format!(
                "switchboard serve --quiet, one door alone, {}",
                words.join(" ")
            ),
            name,
            is_usual: !has_threads && matches!(backend, Backend::Epoll | Backend::IoUring),
            protocol: Protocol::Line,
            has_threads,
            program: program.to_owned(),
            kind: Kind::Ours(words),
        }
    }

    fn room(program: &Path, name: &str, mode: &'static str, what: &str) -> Self {
        Self {
            name: name.to_owned(),
            what: what.to_owned(),
            is_usual: true,
            protocol: Protocol::Line,
            has_threads: false,
            program: program.to_owned(),
            kind: Kind::Mode(mode),
        }
    }

    /// Whether it is one of ours.
    pub(super) const fn is_ours(&self) -> bool {
        matches!(self.kind, Kind::Ours(_))
    }

    /// Whether it is ours with more than one shard.
    #[must_use]
    pub const fn is_sharded(&self) -> bool {
        self.has_threads
    }

    /// Whether it has room for so many connections.
    pub(super) fn takes(&self, connections: usize) -> bool {
        let is_select = |words: &[String]| words.iter().any(|word| word == Backend::Select.name());
        match &self.kind {
            Kind::Ours(words) if is_select(words) => connections <= SELECT_CONNECTIONS_MAX,
            _ => true,
        }
    }

    /// Whether it lets many in at once: inspircd looks at who has registered once a second.
    pub(super) const fn lets_in_at_once(&self) -> bool {
        self.protocol.speaks_at_once()
    }

    /// Starts it, with a scratch folder that is removed when it ends; on this core, unless it has
    /// threads for several. Ours opens its parcel door where that is what is `spoken`, else the
    /// chat door.
    pub(super) fn start(
        &self,
        connections: usize,
        core: Option<usize>,
        spoken: Protocol,
    ) -> Result<Running, BenchError> {
        let scratch = tempfile::Builder::new()
            .prefix("switchboard-bench-")
            .tempdir()
            .map_err(BenchError::system("a scratch folder"))?;
        let room = connections + CONNECTIONS_SPARE;
        let mut command = Command::new(&self.program);
        command.current_dir(scratch.path());
        let listens = match &self.kind {
            Kind::Ours(words) => {
                let (open, closed, said) = match spoken {
                    Protocol::Parcel => ("--parcels", "--chat", "parcels  tcp://"),
                    _ => ("--chat", "--parcels", "chat     tcp://"),
                };
                command.args(["serve", open, "tcp://127.0.0.1:0", closed, "off"]);
                command.args(["--time", "off", "--quiet", "--connections"]);
                command.arg(room.to_string()).args(words);
                command.arg("--data").arg(scratch.path());
                Listens::Says(said)
            }
            Kind::Mode(mode) => {
                command.arg(mode);
                Listens::Says("listening on tcp://")
            }
            other => {
                let addr = free_address()?;
                let words = arguments(other, addr.port(), room, scratch.path())?;
                command.args(words);
                Listens::At(addr)
            }
        };
        let core = core.filter(|_| !self.has_threads);
        let running = Running::spawn(&self.name, &mut command, core, listens, Some(scratch))?;
        Ok(running)
    }
}

/// An address at which nobody listens just now.
fn free_address() -> Result<SocketAddr, BenchError> {
    let asked = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let free = asked.and_then(|listener| listener.local_addr());
    free.map_err(BenchError::system("a free port"))
}

/// The arguments of somebody else's server; writes the configuration that they name.
fn arguments(
    kind: &Kind,
    port: u16,
    room: usize,
    scratch: &Path,
) -> Result<Vec<String>, BenchError> {
    let dir = scratch.display().to_string();
    let file = scratch.join("server.conf");
    let config = file.display().to_string();
    let (text, arguments) = match kind {
        Kind::Redis => (redis(port, room, &dir), vec![config.clone()]),
        Kind::Nats => (
            nats(port, room),
            vec!["--config".to_owned(), config.clone()],
        ),
        Kind::Mosquitto => (mosquitto(port), vec!["-c".to_owned(), config.clone()]),
        Kind::Inspircd => {
            let words = ["--nofork", "--nopid", "--nolog", "--runasroot", "--config"];
            let mut words: Vec<String> = words.map(str::to_owned).into();
            words.push(config.clone());
            (inspircd(port, room, &dir), words)
        }
        Kind::Ours(_) | Kind::Mode(_) => return Ok(Vec::new()),
    };
    fs::write(&file, text).map_err(BenchError::system(config))?;
    // Mosquitto gives up being root, and has to read on.
    readable_by_all(scratch).map_err(BenchError::system(dir))?;
    Ok(arguments)
}

fn readable_by_all(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}

fn redis(port: u16, room: usize, dir: &str) -> String {
    format!(
        "bind 127.0.0.1\nport {port}\nprotected-mode no\ndaemonize no\ndir {dir}\n\
         save \"\"\nappendonly no\nlogfile /dev/null\nloglevel warning\n\
         maxclients {room}\ntcp-backlog 4096\ntimeout 0\ntcp-keepalive 0\n\
         client-output-buffer-limit normal 0 0 0\nclient-output-buffer-limit pubsub 0 0 0\n"
    )
}

fn nats(port: u16, room: usize) -> String {
    format!(
        "listen: 127.0.0.1:{port}\nmax_connections: {room}\nmax_pending: 1GB\n\
         write_deadline: \"60s\"\nping_interval: \"1h\"\nlog_file: \"/dev/null\"\n"
    )
}

fn mosquitto(port: u16) -> String {
    format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest none\n\
         max_connections -1\nmax_queued_messages 0\nmax_queued_bytes 0\nmax_inflight_messages 0\n\
         set_tcp_nodelay true\nsys_interval 0\n"
    )
}

fn inspircd(port: u16, room: usize, dir: &str) -> String {
    let modules = "/usr/lib/inspircd/modules";
    format!(
        "<server name=\"irc.local\" description=\"bench\" network=\"bench\">\n\
         <admin name=\"bench\" nick=\"bench\" email=\"bench@localhost\">\n\
         <bind address=\"127.0.0.1\" port=\"{port}\" type=\"clients\">\n\
         <connect name=\"all\" allow=\"*\" timeout=\"60\" pingfreq=\"100000\" limit=\"{room}\"\n\
         localmax=\"{room}\" globalmax=\"{room}\" maxconnwarn=\"no\" maxchans=\"100\"\n\
         hardsendq=\"1000000000\" softsendq=\"1000000000\" recvq=\"1000000\"\n\
         threshold=\"1000000\" commandrate=\"1000000000\" fakelag=\"no\"\n\
         resolvehostnames=\"no\" useident=\"no\" useconnectban=\"no\">\n\
         <path configdir=\"{dir}\" datadir=\"{dir}\" logdir=\"{dir}\" runtimedir=\"{dir}\"\n\
         moduledir=\"{modules}\">\n\
         <dns server=\"127.0.0.1\" timeout=\"1\">\n\
         <options defaultmodes=\"nt\" splitwhois=\"no\">\n\
         <performance softlimit=\"{room}\" somaxconn=\"4096\" netbuffersize=\"65534\"\n\
         clonesonconnect=\"no\" quietbursts=\"yes\" timeskipwarn=\"0s\">\n"
    )
}

/// All hubs that can be had: ours (`own` is the program) on each back end that opens here, with
/// its log on and off, and with `shards` if those are more than one; the rooms where `peers` is
/// their program; and what of the others is installed. With a line on what is not.
#[must_use]
pub fn hubs(own: &Path, peers: Option<&Path>, shards: u16) -> (Vec<Hub>, Option<String>) {
    let help = output(own, &["serve", "--help"]);
    let (can_log, can_shard) = (help.contains("--log <"), help.contains("--shards <"));
    let (one, off) = (can_shard.then_some(1), can_log.then_some(false));
    let mut all = Vec::new();
    for backend in Backend::ALL {
        if backend.open().is_ok() {
            all.push(Hub::ours(own, backend, off, one));
        }
    }
    if can_shard && shards > 1 {
        all.push(Hub::ours(own, Backend::BEST, off, Some(shards)));
    }
    if can_log {
        all.push(Hub::ours(own, Backend::BEST, Some(true), one));
    }
    if let Some(peers) = peers {
        let bare = "each turn's lines to each member with one send; one thread on epoll";
        let tokio = "a broadcast channel, two tasks a connection; current-thread runtime";
        all.push(Hub::room(peers, Hub::BARE, "room-bare", bare));
        all.push(Hub::room(peers, Hub::TOKIO, "room-tokio", tokio));
    }
    let mut missing = Vec::new();
    for other in OTHERS {
        let Some(program) = find(other.program) else {
            missing.push(other.program);
            continue;
        };
        let told = output(&program, &[other.version]);
        let version = version(&told);
        all.push(Hub {
            name: other.name.to_owned(),
            what: format!("{} {version}: {}", other.program, other.with),
            is_usual: true,
            protocol: other.protocol,
            has_threads: false,
            program,
            kind: other.kind,
        });
    }
    // Debian's packages have the programs' names.
    let hint = (!missing.is_empty()).then(|| {
        format!(
            "not installed: {}; to compare with them: apt-get install {}",
            missing.join(", "),
            missing.join(" ")
        )
    });
    (all, hint)
}

/// The program with this name, in the folders of `PATH` and where servers lie.
fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(SERVER_FOLDERS.map(PathBuf::from));
    folders
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// What a program says of itself, whatever its exit status; nothing if it can't be run.
fn output(program: &Path, arguments: &[&str]) -> String {
    Command::new(program)
        .args(arguments)
        .output()
        .map(|told| String::from_utf8_lossy(&told.stdout).into_owned())
        .unwrap_or_default()
}

/// The first thing that looks like a version.
fn version(text: &str) -> &str {
    let is_part = |c: char| c.is_ascii_digit() || c == '.';
    let parts = text.split(|c: char| !is_part(c));
    parts
        .map(|part| part.trim_matches('.'))
        .find(|part| part.contains('.'))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_found_in_what_the_programs_say() {
        let redis = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64";
        assert_eq!(version(redis), "7.0.15");
        assert_eq!(version("nats-server: v2.9.10\n"), "2.9.10");
        assert_eq!(version("InspIRCd-3.15.0-debian\n"), "3.15.0");
        let mosquitto = "mosquitto version 2.0.11\n\nmosquitto is an MQTT v5.0/v3.1.1 broker.";
        assert_eq!(version(mosquitto), "2.0.11");
        assert_eq!(version("nothing"), "");
    }
}
