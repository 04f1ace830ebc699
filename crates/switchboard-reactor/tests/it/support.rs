//! Sockets to begin with, a handler made of one function, and what a thread has cost.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::time::{Duration, Instant};

use berkeley::selector::Backend;
use berkeley::{Addr, Error, Family, Kind, Mode, MsgFlags, Protocol, Socket};
use switchboard_reactor::{Closed, FeedId, Handler, Reactor, Token};

/// Without io_uring the last one is epoll once more.
pub(crate) const BACKENDS: [Backend; 4] = [
    Backend::Epoll,
    Backend::Poll,
    Backend::Select,
    Backend::IoUring,
];

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(10);

/// An outbox that is never full.
pub(crate) const ROOMY: usize = usize::MAX;

/// The tag of the timer that ends a test in which nothing happens.
const ALARM: u64 = u64::MAX;

/// One call of a handler.
#[derive(Debug)]
pub(crate) enum Told {
    Accepted(Token, Socket),
    Behind(Token, FeedId, u64),
    Closed(Token, Closed),
    Crowded(Token, Socket),
    Datagram(Token, Option<Addr>, Vec<u8>),
    Drained(Token),
    Ended(Token),
    Received(Token, Vec<u8>),
    Timer(u64),
    Trouble(Token, Error),
    Woken,
}

struct On<F>(F);

impl<F: FnMut(&mut Reactor, Told)> Handler for On<F> {
    fn accepted(&mut self, reactor: &mut Reactor, at: Token, socket: Socket, _: Option<Addr>) {
        (self.0)(reactor, Told::Accepted(at, socket));
    }

    fn crowded(&mut self, reactor: &mut Reactor, at: Token, socket: Socket, _: Option<Addr>) {
        (self.0)(reactor, Told::Crowded(at, socket));
    }

    fn received(&mut self, reactor: &mut Reactor, source: Token, bytes: &[u8]) {
        assert!(!bytes.is_empty());
        (self.0)(reactor, Told::Received(source, bytes.to_vec()));
    }

    fn ended(&mut self, reactor: &mut Reactor, source: Token) {
        (self.0)(reactor, Told::Ended(source));
    }

    fn closed(&mut self, reactor: &mut Reactor, source: Token, why: Closed) {
        assert!(reactor.socket(source).is_none());
        (self.0)(reactor, Told::Closed(source, why));
    }

    fn datagram(&mut self, reactor: &mut Reactor, at: Token, from: Option<Addr>, bytes: &[u8]) {
        (self.0)(reactor, Told::Datagram(at, from, bytes.to_vec()));
    }

    fn drained(&mut self, reactor: &mut Reactor, source: Token) {
        assert_eq!(reactor.outbox_bytes(source), 0);
        (self.0)(reactor, Told::Drained(source));
    }

    fn behind(&mut self, reactor: &mut Reactor, source: Token, feed: FeedId, next: u64) {
        (self.0)(reactor, Told::Behind(source, feed, next));
    }

    fn timer(&mut self, reactor: &mut Reactor, tag: u64) {
        assert_ne!(
            tag,
            ALARM,
            "{}: the test did not end in time",
            reactor.backend()
        );
        (self.0)(reactor, Told::Timer(tag));
    }

    fn woken(&mut self, reactor: &mut Reactor) {
        (self.0)(reactor, Told::Woken);
    }

    fn trouble(&mut self, reactor: &mut Reactor, source: Token, error: Error) {
        (self.0)(reactor, Told::Trouble(source, error));
    }
}

/// Runs until the function stops the reactor; fails if it does not in time.
pub(crate) fn run(reactor: &mut Reactor, tell: impl FnMut(&mut Reactor, Told)) {
    let alarm = reactor.set_timer(Instant::now() + PATIENCE, ALARM);
    reactor.run(&mut On(tell)).unwrap();
    reactor.cancel_timer(alarm);
}

/// Runs for a while, which must cost next to nothing, and tell nothing.
pub(crate) fn assert_idle(reactor: &mut Reactor, time: Duration) {
    const END: u64 = ALARM - 1;
    let cost = Cost::new();
    let (cpu, waits) = (cost.cpu(), cost.waits());
    reactor.set_timer(Instant::now() + time, END);
    run(reactor, |reactor, told| match told {
        Told::Timer(END) => reactor.stop(),
        told => panic!("{}: told in idle time: {told:?}", reactor.backend()),
    });
    let (cpu, waits) = (cost.cpu() - cpu, cost.waits() - waits);
    assert!(
        cpu < (time / 10).max(Duration::from_millis(5)),
        "{}: {cpu:?} of {time:?} were spent",
        reactor.backend()
    );
    assert!(
        waits < 10,
        "{}: {waits} turns without an event",
        reactor.backend()
    );
}

/// What the calling thread has cost so far. The files stay open, so that no descriptor is needed
/// for another look.
pub(crate) struct Cost {
    sched: File,
    status: File,
}

impl Cost {
    pub(crate) fn new() -> Self {
        let sched = File::open("/proc/thread-self/schedstat").unwrap();
        Self {
            sched,
            status: File::open("/proc/thread-self/status").unwrap(),
        }
    }

    fn text(file: &File) -> String {
        let mut text = vec![0; 8192];
        let len = file.read_at(&mut text, 0).unwrap();
        String::from_utf8(text[..len].to_vec()).unwrap()
    }

    /// Time on a processor.
    pub(crate) fn cpu(&self) -> Duration {
        let text = Self::text(&self.sched);
        Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
    }

    /// How often it waited for something: a turn of an idle reactor is one.
    fn waits(&self) -> u64 {
        let text = Self::text(&self.status);
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse().unwrap()
    }
}

/// Runs the named test in a process of its own with so many descriptors; true in that process.
/// For what would disturb the tests beside it.
pub(crate) fn in_own_process(name: &str, descriptors: u32) -> bool {
    const CHILD: &str = "SWITCHBOARD_REACTOR_TEST_CHILD";
    if std::env::var_os(CHILD).is_some_and(|child| child == name) {
        return true;
    }
    let result = Command::new("prlimit")
        .arg(format!("--nofile={descriptors}"))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, name)
        .output();
    match result {
        Err(error) => eprintln!("skipped: needs prlimit: {error}"),
        Ok(output) => {
            let told = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            if errors.contains("prlimit:") {
                eprintln!("skipped: needs {descriptors} descriptors: {errors}");
                return false;
            }
            assert!(
                output.status.success(),
                "in its own process: {told}\n{errors}"
            );
            assert!(
                told.contains("1 passed"),
                "there is no test {name:?}: {told}"
            );
        }
    }
    false
}

pub(crate) fn loopback() -> Addr {
    "127.0.0.1:0".parse::<SocketAddr>().unwrap().into()
}

fn tcp() -> Socket {
    Socket::new(Family::INET, Kind::STREAM, Protocol::DEFAULT).unwrap()
}

/// A TCP listener and its address.
pub(crate) fn listener() -> (Socket, Addr) {
    let socket = tcp();
    socket.bind(&loopback()).unwrap();
    socket.listen(512).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// A TCP connection to an address, that does not wait for ever.
pub(crate) fn connect(addr: &Addr) -> Socket {
    let socket = tcp();
    socket.set_mode(Mode::Within(PATIENCE)).unwrap();
    socket.connect(addr).unwrap();
    socket
}

/// Both ends of a TCP connection.
pub(crate) fn tcp_pair() -> (Socket, Socket) {
    let (server, addr) = listener();
    let client = connect(&addr);
    let (peer, _) = server.accept().unwrap();
    peer.set_mode(Mode::Within(PATIENCE)).unwrap();
    (client, peer)
}

/// Both ends of a Unix connection.
pub(crate) fn unix_pair(kind: Kind) -> (Socket, Socket) {
    let (a, b) = Socket::pair(Family::UNIX, kind).unwrap();
    a.set_mode(Mode::Within(PATIENCE)).unwrap();
    b.set_mode(Mode::Within(PATIENCE)).unwrap();
    (a, b)
}

/// A reactor with a connection, whose peer is outside.
pub(crate) fn one_stream(backend: Backend) -> (Reactor, Token, Socket) {
    let mut reactor = Reactor::new(backend).unwrap();
    let (ours, peer) = tcp_pair();
    let token = reactor.add_stream(ours, ROOMY).unwrap();
    (reactor, token, peer)
}

/// All that comes until the end.
pub(crate) fn drain(socket: &Socket) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buf = vec![0; 1 << 16];
    loop {
        match socket.recv(&mut buf, MsgFlags::NONE).unwrap() {
            0 => return all,
            len => all.extend_from_slice(&buf[..len]),
        }
    }
}

/// Bytes that are not all the same, from a place in an endless row.
pub(crate) fn pattern(start: usize, len: usize) -> Vec<u8> {
    (start..start + len)
        .map(|place| u8::try_from(place % 251).unwrap())
        .collect()
}
