//! Sockets to begin with, and what the operating system says about them.

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use berkeley::selector::{Backend, Interest, Key, Trigger};
use berkeley::{Addr, Family, Kind, MsgFlags, Protocol, Result, Socket, UnixAddr, opt};

/// Longer than anything takes that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How late a time limit may come on a machine that has other things to do.
const LATE_MAX: Duration = Duration::from_millis(100);

/// A host that does not exist, as any resolver knows without asking others: no label of a name is
/// that long (RFC 1035 §2.3.4).
pub(crate) fn impossible_host() -> String {
    format!("{}.invalid", "x".repeat(64))
}

pub(crate) fn inet(addr: &str) -> Addr {
    addr.parse::<SocketAddr>().unwrap().into()
}

pub(crate) fn tcp() -> Socket {
    Socket::new(Family::INET, Kind::STREAM, Protocol::DEFAULT).unwrap()
}

pub(crate) fn unix(kind: Kind) -> Socket {
    Socket::new(Family::UNIX, kind, Protocol::DEFAULT).unwrap()
}

/// A datagram socket of this machine, and where it is.
pub(crate) fn udp() -> (Socket, Addr) {
    let socket = Socket::new(Family::INET, Kind::DGRAM, Protocol::DEFAULT).unwrap();
    socket.bind(&inet("127.0.0.1:0")).unwrap();
    socket.set_mode(berkeley::Mode::Within(PATIENCE)).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// A TCP listener of this machine, and where it is.
pub(crate) fn listener(backlog: u32) -> (Socket, Addr) {
    let socket = tcp();
    socket.bind(&inet("127.0.0.1:0")).unwrap();
    socket.listen(backlog).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// A Unix listener with a name that the kernel chose.
pub(crate) fn unix_listener(kind: Kind, backlog: u32) -> (Socket, Addr) {
    let socket = unix(kind);
    socket.bind(&Addr::Unix(UnixAddr::unnamed())).unwrap();
    socket.listen(backlog).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// Both ends of a TCP connection, the caller's first. Neither waits for ever.
pub(crate) fn tcp_pair() -> (Socket, Socket) {
    let (server, addr) = listener(1);
    let client = tcp();
    client.connect(&addr).unwrap();
    let (peer, _) = server.accept().unwrap();
    patient(client, peer)
}

/// Both ends of a TCP connection that is full after some hundred KiB. What is sent for a signal to
/// interrupt must not be much longer: memcheck looks through all of it before each call, and where
/// that takes longer than the pause between two signals, the call never begins.
pub(crate) fn narrow_tcp_pair() -> (Socket, Socket) {
    let (a, b) = tcp_pair();
    a.set(opt::SendBuffer, 1 << 16).unwrap();
    b.set(opt::RecvBuffer, 1 << 16).unwrap();
    (a, b)
}

/// Two connected Unix sockets. Neither waits for ever.
pub(crate) fn unix_pair(kind: Kind) -> (Socket, Socket) {
    let (a, b) = Socket::pair(Family::UNIX, kind).unwrap();
    patient(a, b)
}

fn patient(a: Socket, b: Socket) -> (Socket, Socket) {
    a.set_mode(berkeley::Mode::Within(PATIENCE)).unwrap();
    b.set_mode(berkeley::Mode::Within(PATIENCE)).unwrap();
    (a, b)
}

/// False, and a line that says so, where the machine has no IPv6.
pub(crate) fn has_ipv6() -> bool {
    let found = Socket::new(Family::INET6, Kind::STREAM, Protocol::DEFAULT)
        .and_then(|socket| socket.bind(&inet("[::1]:0")));
    if found.is_err() {
        eprintln!("skipped: no IPv6");
    }
    found.is_ok()
}

/// What arrives at once, as one piece.
pub(crate) fn receive(socket: &Socket) -> Vec<u8> {
    let mut buf = [0; 4096];
    let len = socket.recv(&mut buf, MsgFlags::NONE).unwrap();
    buf[..len].to_vec()
}

/// How many bytes come until the end of the stream.
pub(crate) fn drain(socket: &Socket) -> usize {
    let mut buf = vec![0; 1 << 16];
    let mut count = 0;
    loop {
        match socket.recv(&mut buf, MsgFlags::NONE).unwrap() {
            0 => return count,
            len => count += len,
        }
    }
}

/// Waits until there is something to receive or to accept.
pub(crate) fn await_readable(socket: &impl AsFd) {
    await_ready(socket, Interest::READABLE);
}

pub(crate) fn await_ready(socket: &impl AsFd, interest: Interest) {
    let selector = Backend::Poll.open().unwrap();
    selector
        .register(socket.as_fd(), Key(0), interest, Trigger::Level)
        .unwrap();
    let mut events = Vec::new();
    selector.wait(&mut events, Some(PATIENCE)).unwrap();
    assert_eq!(events.len(), 1, "nothing happened");
}

/// The flags of a descriptor, as open(2) has them.
pub(crate) fn flags(fd: &impl AsFd) -> i32 {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd())).unwrap();
    let line = info.lines().find(|line| line.starts_with("flags:"));
    i32::from_str_radix(line.unwrap().trim_start_matches("flags:").trim(), 8).unwrap()
}

pub(crate) fn is_close_on_exec(fd: &impl AsFd) -> bool {
    flags(fd) & libc::O_CLOEXEC != 0
}

pub(crate) fn is_nonblocking(fd: &impl AsFd) -> bool {
    flags(fd) & libc::O_NONBLOCK != 0
}

/// So many rounds of a race, or as many as a busy machine has time for: on one core, whoever tries
/// again and again keeps it from the others for a while each time.
pub(crate) fn rounds(count: usize) -> impl Iterator<Item = usize> {
    let start = Instant::now();
    (0..count).take_while(move |_| start.elapsed() < PATIENCE)
}

/// Asserts that `call` ends by its time limit: never before, and not long after. Since another
/// program may keep the machine busy, one of many tries has to be in time.
pub(crate) fn assert_takes(limit: Duration, mut call: impl FnMut()) {
    let mut taken = Duration::ZERO;
    for _try in 0..25 {
        let start = Instant::now();
        call();
        taken = start.elapsed();
        assert!(taken >= limit, "{taken:?} is before {limit:?}");
        if taken <= limit + LATE_MAX {
            return;
        }
    }
    panic!("{taken:?} is long after {limit:?}");
}

pub(crate) fn assert_timed_out<T: std::fmt::Debug>(result: Result<T>) {
    let error = result.unwrap_err();
    assert!(error.is_timed_out(), "{error:?}");
}

/// Calls until the time limit of one call passes: into a stream that is full, what was on its way
/// may still leave room when it has come.
pub(crate) fn send_until_timed_out<T>(mut call: impl FnMut() -> Result<T>) {
    let error = loop {
        if let Err(error) = call() {
            break error;
        }
    };
    assert!(error.is_timed_out(), "{error:?}");
}

/// The calling thread's number in the kernel.
pub(crate) fn thread_id() -> String {
    let path = fs::read_link("/proc/thread-self").unwrap();
    path.file_name().unwrap().to_str().unwrap().into()
}

/// Signals (`SIGUSR1`) that reach one thread every few milliseconds, until this is dropped.
pub(crate) struct Storm {
    sender: Child,
    told: UnixStream,
}

impl Storm {
    pub(crate) fn over(thread: &str) -> Self {
        let (told, handler) = UnixStream::pair().unwrap();
        told.set_read_timeout(Some(PATIENCE)).unwrap();
        signal_hook::low_level::pipe::register(signal_hook::consts::SIGUSR1, handler).unwrap();
        // kill(2) with a thread's number prefers that thread. The pause is a read that nobody
        // answers: a process for each would be a load of its own.
        let sender = Command::new("bash")
            .args(["-c", "while kill -USR1 $0; do read -rt 0.005; done"])
            .arg(thread)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { sender, told }
    }

    /// Waits until so many signals more were handled.
    pub(crate) fn await_signals(&mut self, count: usize) {
        self.told.read_exact(&mut vec![0; count]).unwrap();
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.sender.kill().unwrap();
        self.sender.wait().unwrap();
    }
}

/// Done when it is dropped, so by a test that fails too: the scope of a thread that waits without a
/// limit, or until it is told, would never end.
pub(crate) struct Finally<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Finally<F> {
    pub(crate) const fn new(end: F) -> Self {
        Self(Some(end))
    }
}

impl<F: FnOnce()> Drop for Finally<F> {
    fn drop(&mut self) {
        let Some(end) = self.0.take() else { return };
        if std::thread::panicking() {
            // A second panic would end the other tests too.
            drop(catch_unwind(AssertUnwindSafe(end)));
        } else {
            end();
        }
    }
}

/// Waits until a thread of this process sleeps in the kernel, for something else than a lock: so
/// do all but one thread of a program that valgrind runs.
pub(crate) fn await_asleep(thread: &str) {
    let start = Instant::now();
    let mut times = 0;
    // Once could be on the way to where it shall sleep.
    while times < 3 {
        let stat = fs::read_to_string(format!("/proc/self/task/{thread}/stat")).unwrap();
        let state = stat.rsplit(") ").next().unwrap().chars().next();
        let call = fs::read_to_string(format!("/proc/self/task/{thread}/syscall"));
        let is_locked = call.is_ok_and(|call| call.starts_with(&format!("{} ", libc::SYS_futex)));
        let is_asleep = state == Some('S') && !is_locked;
        times = if is_asleep { times + 1 } else { 0 };
        assert!(start.elapsed() < PATIENCE, "it does not sleep");
        std::thread::yield_now();
    }
}
