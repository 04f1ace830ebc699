//! Every call that can wait, made to wait: how long it does, and what signals do to it.

use std::io::{BufRead, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use berkeley::file::TextReader;
use berkeley::names::lookup_until;
use berkeley::selector::{Backend, Interest, Key, Trigger};
use berkeley::{
    ConnectOptions, ControlBuf, Deadline, Errno, Error, Hooked, Kind, Level, Mode, MsgFlags,
    OutMessage, Readiness, RecvBatch, Result, Socket, Splicer,
};

use crate::sendfile::file_of;
use crate::support::{PATIENCE, inet, listener, tcp, udp, unix, unix_listener, unix_pair};

const NONE: MsgFlags = MsgFlags::NONE;

/// How a call is told how long it may take.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    /// Not at all: the socket blocks.
    None,
    /// By the socket's mode.
    Mode(Duration),
    /// By a deadline of the call's own, on a socket that blocks.
    Deadline(Duration),
}

/// A call that waits until it is released.
pub(crate) struct Wait {
    pub(crate) name: &'static str,
    pub(crate) call: Box<dyn Fn(Limit) -> Result<()> + Send + Sync>,
    /// Lets the call succeed.
    pub(crate) release: Box<dyn Fn() + Send + Sync>,
    /// Whether it can have a deadline, beside a mode.
    pub(crate) has_deadline: bool,
    /// Whether it can be made without a limit.
    pub(crate) has_no_limit: bool,
}

impl Wait {
    fn new(
        name: &'static str,
        call: impl Fn(Limit) -> Result<()> + Send + Sync + 'static,
        release: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            call: Box::new(call),
            release: Box::new(release),
            has_deadline: true,
            has_no_limit: true,
        }
    }

    fn by_mode_only(mut self) -> Self {
        self.has_deadline = false;
        self
    }
}

/// A kernel time limit far away: with it, the kernel never restarts a call that a signal
/// interrupted, even for handlers that ask for it, so that the library has to.
pub(crate) fn refuse_restart(socket: &Socket) {
    let limit = [10i64.to_ne_bytes(), 0i64.to_ne_bytes()].concat();
    for option in [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO] {
        socket.set_raw(Level::SOCKET, option, &limit).unwrap();
    }
}

fn limited(socket: &Socket, limit: Limit) -> Hooked<'_, ()> {
    let mode = match limit {
        Limit::None | Limit::Deadline(_) => Mode::Block,
        Limit::Mode(limit) => Mode::Within(limit),
    };
    socket.set_mode(mode).unwrap();
    match limit {
        Limit::None => refuse_restart(socket),
        Limit::Mode(_) => {}
        Limit::Deadline(limit) => return socket.until(Deadline::within(limit)),
    }
    socket.with_hook(&())
}

/// Calls that wait for a line of their peer.
fn receiving(
    name: &'static str,
    call: impl Fn(Hooked<'_, ()>) -> Result<usize> + Send + Sync + 'static,
) -> Wait {
    let (a, b) = unix_pair(Kind::STREAM);
    let waits = move |limit| {
        let len = call(limited(&a, limit))?;
        assert!(len > 0, "{name} ended without data");
        Ok(())
    };
    Wait::new(name, waits, move || b.send_all(b"x\n").unwrap())
}

fn reads() -> Vec<Wait> {
    vec![
        receiving("recv", |a| a.recv(&mut [0], NONE)),
        receiving("recv_into", |a| {
            a.recv_into(&mut Vec::with_capacity(4), NONE)
        }),
        receiving("recv_vec", |a| Ok(a.recv_vec(1, NONE)?.len())),
        receiving("recv_from", |a| Ok(a.recv_from(&mut [0], NONE)?.0)),
        receiving("recv_scattered", |a| {
            a.recv_scattered(&mut [IoSliceMut::new(&mut [0])], NONE)
        }),
        receiving("recv, all of it", |a| {
            a.recv(&mut [0; 2], MsgFlags::WAITALL)
        }),
        receiving("wait", |a| a.wait(Readiness::Readable).map(|()| 1)),
        receiving("recv_file", |a| {
            Ok(usize::try_from(a.recv_file(file_of(b""), Some(1))?).unwrap())
        }),
        receiving("splice_to_socket", |a| {
            let (target, _end) = unix_pair(Kind::STREAM);
            let len = a.splice_to_socket(&mut Splicer::new(), &target, Some(1))?;
            Ok(usize::try_from(len).unwrap())
        }),
        receiving("recv_message", |a| {
            let mut control = ControlBuf::with_capacity(64);
            let mut byte = [0];
            let mut buffers = [IoSliceMut::new(&mut byte)];
            let message = a.socket().recv_message(&mut buffers, &mut control, NONE)?;
            Ok(message.len())
        })
        .by_mode_only(),
        receiving("recv_fds", |a| Ok(a.socket().recv_fds(&mut [0], NONE)?.len)).by_mode_only(),
        viewing("makefile, read", |view| view.read(&mut [0])),
        viewing("makefile, read_line", |view| {
            std::io::BufReader::new(view).read_line(&mut String::new())
        }),
        viewing("makefile, text", |view| {
            let line = TextReader::new(std::io::BufReader::new(view)).read_line()?;
            Ok(line.unwrap_or_default().len())
        }),
    ]
}

/// Calls that go through a file view. Its errors tell of a time limit by their kind.
fn viewing(
    name: &'static str,
    call: impl Fn(&mut berkeley::file::FileView) -> std::io::Result<usize> + Send + Sync + 'static,
) -> Wait {
    let (a, b) = unix_pair(Kind::STREAM);
    let a = Arc::new(a);
    let waits = move |limit| {
        limited(&a, limit);
        result_of(name, call(&mut a.makefile()))
    };
    Wait::new(name, waits, move || b.send_all(b"x\n").unwrap()).by_mode_only()
}

fn result_of(name: &'static str, result: std::io::Result<usize>) -> Result<()> {
    match result {
        Ok(len) => {
            assert!(len > 0, "{name} ended without data");
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            Err(Error::TimedOut { call: name })
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

/// A stream that takes nothing more, its other end, and how much it has taken.
fn full_stream() -> (Socket, Socket, usize) {
    let (a, b) = unix_pair(Kind::STREAM);
    let piece = [7; 4096];
    let mut sent = 0;
    while let Ok(len) = a.send(&piece, MsgFlags::DONTWAIT) {
        sent += len;
    }
    (a, b, sent)
}

/// Takes so many bytes from a stream.
fn take(socket: &Socket, count: usize) {
    let mut buf = vec![0; 1 << 16];
    let mut left = count;
    while left > 0 {
        left -= socket.recv(&mut buf, NONE).unwrap().min(left);
    }
}

/// Calls that wait for room for `len` bytes.
fn sending(
    name: &'static str,
    len: usize,
    call: impl Fn(Hooked<'_, ()>) -> Result<()> + Send + Sync + 'static,
) -> Wait {
    let (a, b, sent) = full_stream();
    let waits = move |limit| call(limited(&a, limit));
    Wait::new(name, waits, move || take(&b, sent + len))
}

const LONG: usize = 1 << 22;

fn writes() -> Vec<Wait> {
    let long = Arc::new(vec![9; LONG]);
    let file = file_of(&long);
    vec![
        sending("send", 1, |a| a.send(b"x", NONE).map(drop)),
        sending("send_gathered", 1, |a| {
            a.send_gathered(&[IoSlice::new(b"x")], NONE).map(drop)
        }),
        sending("send_all", LONG, move |a| a.send_all(&long)),
        sending("sendfile", LONG, move |a| {
            let len = a.sendfile(&file, 0, None)?;
            assert_eq!(len, LONG as u64);
            Ok(())
        }),
        sending("send_message", 1, |a| {
            let pieces = [IoSlice::new(b"x")];
            let message = OutMessage::new(&pieces);
            a.socket().send_message(&message, NONE).map(drop)
        })
        .by_mode_only(),
        sending("send_fds", 1, |a| {
            let fd = a.socket().as_fd();
            a.socket().send_fds(b"x", &[fd], NONE).map(drop)
        })
        .by_mode_only(),
        writing(),
        sendfile_from_a_pipe(),
        splice_to_a_full_pipe(),
        splice_to_a_full_socket(),
    ]
}

fn writing() -> Wait {
    let (a, b, sent) = full_stream();
    let a = Arc::new(a);
    let waits = move |limit| {
        limited(&a, limit);
        let mut writer = a.makefile().writer();
        writer.write_all(b"x").unwrap();
        let flushed = writer.flush();
        // Dropping it would try once more.
        drop(writer.into_parts());
        result_of("makefile, flush", flushed.map(|()| 1))
    };
    let release = move || take(&b, sent + 1);
    Wait::new("makefile, flush", waits, release).by_mode_only()
}

fn sendfile_from_a_pipe() -> Wait {
    let (reading, writing) = std::io::pipe().unwrap();
    let (a, _b) = unix_pair(Kind::STREAM);
    let waits = move |limit| {
        let _keep = &_b;
        let len = limited(&a, limit).sendfile(&reading, 0, Some(1))?;
        assert_eq!(len, 1);
        Ok(())
    };
    let release = move || (&writing).write_all(b"x").unwrap();
    Wait::new("sendfile from a pipe", waits, release)
}

fn splice_to_a_full_pipe() -> Wait {
    let (a, b) = unix_pair(Kind::STREAM);
    b.send_all(b"x").unwrap();
    let (reading, writing) = std::io::pipe().unwrap();
    let filled = vec![0; 1 << 16];
    (&writing).write_all(&filled).unwrap();
    let splicer = Mutex::new(Splicer::new());
    let waits = move |limit| {
        let _keep = &b;
        let mut splicer = splicer.lock().unwrap();
        let call = limited(&a, limit);
        let len = call.splice_to_file(&mut splicer, &writing, Some(1))?;
        assert_eq!(len, 1);
        Ok(())
    };
    let release = move || (&reading).read_exact(&mut vec![0; filled.len()]).unwrap();
    Wait::new("splice_to_file", waits, release)
}

fn splice_to_a_full_socket() -> Wait {
    let (a, b) = unix_pair(Kind::STREAM);
    b.send_all(b"x").unwrap();
    let (target, end, sent) = full_stream();
    let splicer = Mutex::new(Splicer::new());
    let waits = move |limit| {
        let _keep = &b;
        limited(&target, limit);
        let mut splicer = splicer.lock().unwrap();
        let call = limited(&a, limit);
        let len = call.splice_to_socket(&mut splicer, &target, Some(1))?;
        assert_eq!(len, 1);
        Ok(())
    };
    Wait::new("splice_to_socket, full", waits, move || {
        take(&end, sent + 1)
    })
}

fn datagrams() -> Vec<Wait> {
    let (a, addr) = udp();
    let recv_batch = Wait::new(
        "recv_batch",
        move |limit| {
            let socket = limited(&a, limit).socket();
            let count = socket.recv_batch(&mut RecvBatch::new(4, 16, 64), NONE)?;
            assert_eq!(count, 1);
            Ok(())
        },
        move || {
            udp().0.send_to(b"x", NONE, &addr).unwrap();
        },
    )
    .by_mode_only();

    let (a, b) = unix_pair(Kind::DGRAM);
    while a.send(b"x", MsgFlags::DONTWAIT).is_ok() {}
    let send_batch = Wait::new(
        "send_batch",
        move |limit| {
            let pieces = [IoSlice::new(b"x")];
            let messages = [OutMessage::new(&pieces)];
            let count = limited(&a, limit).socket().send_batch(&messages, NONE)?;
            assert_eq!(count, 1);
            Ok(())
        },
        move || while b.recv(&mut [0], MsgFlags::DONTWAIT).is_ok() {},
    )
    .by_mode_only();

    // poll(2) calls an unconnected sender writable, whatever its receiver's queue is.
    let receiver = unix(Kind::DGRAM);
    receiver
        .bind(&berkeley::Addr::Unix(berkeley::UnixAddr::unnamed()))
        .unwrap();
    let addr = receiver.local_addr().unwrap();
    let sender = unix(Kind::DGRAM);
    while sender.send_to(b"x", MsgFlags::DONTWAIT, &addr).is_ok() {}
    let send_to = Wait::new(
        "send_to",
        move |limit| limited(&sender, limit).send_to(b"x", NONE, &addr).map(drop),
        move || take(&receiver, 1),
    );
    vec![recv_batch, send_batch, send_to]
}

fn connections() -> Vec<Wait> {
    let mut all = Vec::new();
    for (name, is_unix) in [("accept", false), ("accept, unix", true)] {
        let (server, addr) = if is_unix {
            unix_listener(Kind::STREAM, 4)
        } else {
            listener(4)
        };
        let release = move || {
            let client = if is_unix { unix(Kind::STREAM) } else { tcp() };
            client.connect(&addr).unwrap();
        };
        let waits = move |limit| limited(&server, limit).accept().map(drop);
        all.push(Wait::new(name, waits, release));
    }
    for (name, kind) in [
        ("connect, unix", Kind::STREAM),
        ("connect, unix packets", Kind::SEQPACKET),
    ] {
        let (server, addr) = unix_listener(kind, 0);
        let first = unix(kind);
        first.connect(&addr).unwrap();
        let release = move || drop(server.accept().unwrap());
        let waits = move |limit| {
            let _keep = &first;
            limited(&unix(kind), limit).connect(&addr)
        };
        all.push(Wait::new(name, waits, release));
    }
    let (server, addr) = listener(0);
    let first = tcp();
    first.connect(&addr).unwrap();
    // With room in the queue, the kernel's next try, a second later, gets through.
    let release = move || drop(server.accept().unwrap());
    let waits = move |limit| {
        let _keep = &first;
        match limited(&tcp(), limit).connect_ex(&addr)? {
            None => Ok(()),
            Some(Errno::EAGAIN) => Err(Error::TimedOut { call: "connect" }),
            Some(errno) => panic!("{errno:?}"),
        }
    };
    all.push(Wait::new("connect", waits, release));

    let (server, addr) = listener(0);
    let first = tcp();
    first.connect(&addr).unwrap();
    let release = move || drop(server.accept().unwrap());
    let waits = move |limit| {
        let _keep = &first;
        let options = match limit {
            Limit::None => ConnectOptions::new(),
            Limit::Mode(limit) => ConnectOptions::new().timeout(limit),
            Limit::Deadline(limit) => Deadline::within(limit).into(),
        };
        let addresses = [addr.clone(), inet("127.0.0.1:1")];
        // The other one refuses at once, when its turn comes.
        let options = options.attempt_delay(Duration::from_secs(5));
        options.connect_addresses(&addresses).map(drop)
    };
    all.push(Wait::new("create_connection", waits, release));
    all
}

fn selectors_and_lookups() -> Vec<Wait> {
    let mut all = Vec::new();
    for (name, backend) in [
        ("epoll", Backend::Epoll),
        ("poll", Backend::Poll),
        ("select", Backend::Select),
    ] {
        let (a, b) = unix_pair(Kind::STREAM);
        let waits = move |limit| {
            let limit = match limit {
                Limit::Mode(limit) | Limit::Deadline(limit) => Some(limit),
                Limit::None => None,
            };
            let selector = backend.open()?;
            selector.register(a.as_fd(), Key(1), Interest::READABLE, Trigger::Level)?;
            let mut events = Vec::new();
            selector.wait(&mut events, limit)?;
            match events.is_empty() {
                true => Err(Error::TimedOut { call: name }),
                false => Ok(()),
            }
        };
        let release = move || b.send_all(b"x").unwrap();
        all.push(Wait::new(name, waits, release).by_mode_only());
    }
    let (answer, question) = mpsc::channel::<()>();
    let question = Arc::new(Mutex::new(question));
    let waits = move |limit| {
        let deadline = match limit {
            Limit::Mode(limit) | Limit::Deadline(limit) => Deadline::within(limit),
            Limit::None => Deadline::NEVER,
        };
        let question = Arc::clone(&question);
        lookup_until(deadline, "lookup", move || {
            // An abandoned one gives up, so that the next one has its turn.
            let answer = question.lock().unwrap().recv_timeout(PATIENCE);
            answer.map_err(|_late| Error::TimedOut { call: "test" })
        })
    };
    let mut lookup = Wait::new("lookup", waits, move || answer.send(()).unwrap());
    lookup.has_no_limit = false;
    all.push(lookup.by_mode_only());
    all
}

/// All of them, ready to wait, made a few at a time: other tests need descriptors as well.
pub(crate) fn all() -> impl Iterator<Item = Wait> {
    let makers = [reads, writes, datagrams, connections, selectors_and_lookups];
    makers.into_iter().flat_map(|make| make())
}
