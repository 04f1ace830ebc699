//! One conversation in parcels, from the first byte to the peer's end.

use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use berkeley::selector::{Backend, Event, Interest, Key, Selector, Trigger};
use berkeley::{Endpoint, Errno, Mode, MsgFlags, Shutdown, Socket, opt};
use switchboard_wire::ContentHash;
use switchboard_wire::frame::prefix;
use switchboard_wire::parcel::close_frame;

use super::answers::Answers;
use super::parcel::OpenFile;
use super::{
    ASK_CONNECTS, ASK_TIME, END_TIME, Parcel, Progress, RESUME_BYTES_MIN, Reached, Resume,
    STALL_TIME, STORED_BYTES_PER_SECOND, SendError, SendOptions,
};

/// Bytes that are read from files, and handed to the kernel, at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// Bytes of the peer's that are thrown away at once.
const SCRAP_BYTES: usize = 16 * 1024;

/// Bytes of the peer's answer that are kept.
const ANSWER_BYTES: usize = 256;

/// How often to look whether the peer's system has acknowledged more.
const LOOK_WAITING: Duration = Duration::from_millis(50);

/// The same when the peer has ended already, and only the acknowledgement of our end is missing.
const LOOK_ENDED: Duration = Duration::from_millis(5);

const KEY: Key = Key(0);

pub(super) struct Conversation<'a> {
    socket: Socket,
    endpoint: &'a Endpoint,
    /// The user's own limit.
    wait: Option<Duration>,
    selector: Box<dyn Selector>,
    events: Vec<Event>,
    /// Whether the selector is asked for writability, for the peer's bytes, or is not asked.
    watched: Option<Interest>,
    parcels: Vec<Parcel>,
    filled: Filled,
    buffer: Vec<u8>,
    /// How much of the buffer has been sent.
    at: usize,
    sent_bytes: u64,
    /// The parcel that is being sent, and where it begins in all that is sent.
    current: usize,
    current_start: u64,
    /// Which files the peer is asked about, and how long it may take to answer.
    resume: Resume,
    ask_time: Duration,
    /// The file that it was asked about last, until its answer.
    asked: Option<ContentHash>,
    answers: Answers,
    peer_ended: bool,
    /// The beginning of what the peer sent, which no parcel door does.
    answer: Vec<u8>,
}

/// How much has been put into the buffer so far.
#[derive(Default)]
struct Filled {
    parcel: usize,
    /// Of that parcel, after its head; `None` before its head.
    content_bytes: Option<u64>,
    closed: bool,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(
        socket: Socket,
        endpoint: &'a Endpoint,
        parcels: Vec<Parcel>,
        options: &SendOptions,
        connecting: Duration,
    ) -> berkeley::Result<Self> {
        socket.set_mode(Mode::NonBlock)?;
        let ask_time = match options.resume {
            Resume::Always => options.wait.unwrap_or(STALL_TIME),
            Resume::Auto | Resume::Never => ASK_TIME.max(connecting * ASK_CONNECTS),
        };
        Ok(Self {
            socket,
            endpoint,
            wait: options.wait,
            selector: Backend::BEST.open()?,
            events: Vec::new(),
            watched: None,
            parcels,
            filled: Filled::default(),
            buffer: Vec::with_capacity(CHUNK_BYTES),
            at: 0,
            sent_bytes: 0,
            current: 0,
            current_start: 0,
            resume: options.resume,
            ask_time,
            asked: None,
            answers: Answers::new(),
            peer_ended: false,
            answer: Vec::new(),
        })
    }

    /// Runs it to the peer's end; answers how many bytes were sent, and whether that end came.
    pub(super) fn run(
        mut self,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(u64, bool), SendError> {
        let result = self.send_all(progress).and_then(|()| self.await_end());
        if let Err(SendError::BrokenOff { .. }) = &result {
            self.hear_the_rest();
        }
        match result {
            // The mark of the hub's own lines: this is the wrong door.
            Ok(_) if self.answer.starts_with(b"* ") => Err(SendError::NotParcels {
                endpoint: self.endpoint.clone(),
                answer: {
                    let answer = String::from_utf8_lossy(&self.answer);
                    let line = answer.lines().next().unwrap_or_default();
                    switchboard_wire::clean(line).into_owned()
                },
            }),
            Ok(ended) => Ok((self.sent_bytes, ended)),
            Err(SendError::BrokenOff { .. }) if self.answers.refused().is_some() => {
                Err(self.refused())
            }
            // All was sent: what the peer has not read yet, it may still read.
            Err(error @ SendError::NotClosed { .. }) => Err(error),
            Err(error) => {
                // The peer must not take what it has for a conversation that ended well. Where
                // there is no reset (Unix sockets), the stream ends inside a frame.
                drop(self.socket.set(opt::Linger, Some(Duration::ZERO)));
                Err(error)
            }
        }
    }

    fn send_all(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(), SendError> {
        let mut moved = Instant::now();
        let patience = self.wait.unwrap_or(STALL_TIME);
        loop {
            if self.at >= self.buffer.len() {
                self.buffer.clear();
                self.at = 0;
                if let Some(hash) = self.asked.take() {
                    let have = self.hear(hash)?;
                    self.go_on_from(have)?;
                }
                self.fill(progress)?;
                moved = Instant::now();
                if self.buffer.is_empty() {
                    break;
                }
            }
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            match self.socket.send(rest, MsgFlags::NONE) {
                Ok(len) => {
                    self.at += len;
                    self.sent_bytes += len as u64;
                    self.tell(progress);
                    moved = Instant::now();
                }
                Err(error) if error.is_would_block() => {
                    let Some(left) = patience.checked_sub(moved.elapsed()) else {
                        return Err(SendError::Stalled {
                            endpoint: self.endpoint.clone(),
                            reached: self.reached(),
                            wait: patience,
                        });
                    };
                    self.wait_for(Interest::WRITABLE, left)?;
                }
                Err(error) => return Err(self.failed(error)),
            }
        }
        self.socket
            .shutdown(Shutdown::WRITE)
            .map_err(|error| self.failed(error))
    }

    /// Waits for the peer's end, and until its system has acknowledged all that we sent: it may
    /// have ended before it had everything. Answers whether the end came.
    fn await_end(&mut self) -> Result<bool, SendError> {
        let storing = Duration::from_secs(self.sent_bytes / STORED_BYTES_PER_SECOND);
        let patience = self.wait.unwrap_or(END_TIME + storing);
        let mut unacknowledged = usize::MAX;
        let mut moved = Instant::now();
        loop {
            let left = self.socket.unacknowledged().unwrap_or(0);
            if left != unacknowledged {
                unacknowledged = left;
                moved = Instant::now();
            }
            if self.peer_ended && unacknowledged == 0 {
                return match self.socket.take_error() {
                    Ok(Some(errno)) => Err(self.failed(berkeley::Error::os("send", errno))),
                    _ => Ok(true),
                };
            }
            let Some(wait) = patience.checked_sub(moved.elapsed()) else {
                if self.wait.is_none() && unacknowledged == 0 {
                    return Ok(false);
                }
                return Err(SendError::NotClosed {
                    endpoint: self.endpoint.clone(),
                    wait: patience,
                });
            };
            if self.peer_ended {
                thread::sleep(wait.min(LOOK_ENDED));
                if let Ok(Some(errno)) = self.socket.take_error() {
                    return Err(self.failed(berkeley::Error::os("send", errno)));
                }
            } else {
                let more = if unacknowledged > 0 {
                    LOOK_WAITING
                } else {
                    wait
                };
                self.wait_for(Interest::READABLE, wait.min(more))?;
            }
        }
    }

    /// Waits until the socket is ready or the peer sends or ends, and throws away what it sends.
    fn wait_for(&mut self, interest: Interest, limit: Duration) -> Result<(), SendError> {
        let wanted = match (self.peer_ended, interest) {
            (true, interest) => interest,
            (false, interest) => interest | Interest::READABLE,
        };
        let fd = self.socket.as_fd();
        let watched = match self.watched {
            Some(watched) if watched == wanted => Ok(()),
            Some(_) => self.selector.modify(fd, KEY, wanted, Trigger::Level),
            None => self.selector.register(fd, KEY, wanted, Trigger::Level),
        };
        self.watched = Some(wanted);
        watched
            .and_then(|()| self.selector.wait(&mut self.events, Some(limit)))
            .map_err(|error| self.failed(error))?;
        let readable = self.events.iter().any(|event| event.ready.is_readable());
        if readable && !self.peer_ended {
            let mut scrap = [0; SCRAP_BYTES];
            match self.socket.recv(&mut scrap, MsgFlags::NONE) {
                Ok(0) => self.peer_ended = true,
                Ok(len) => {
                    let room = ANSWER_BYTES.saturating_sub(self.answer.len());
                    self.answer.extend(scrap.iter().take(len.min(room)));
                    self.answers.read(scrap.get(..len).unwrap_or_default());
                }
                Err(error) if error.is_would_block() => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(())
    }

    /// Fills the buffer with what comes next; it stays empty when that is nothing. Behind a
    /// question to the peer nothing comes before its answer.
    fn fill(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(), SendError> {
        while self.buffer.len() < CHUNK_BYTES {
            let Some(parcel) = self.parcels.get_mut(self.filled.parcel) else {
                if !self.filled.closed {
                    self.filled.closed = true;
                    self.buffer.append(&mut close_frame());
                }
                break;
            };
            let Some(filled) = &mut self.filled.content_bytes else {
                let asks = match self.resume {
                    Resume::Always => parcel.file.is_some(),
                    Resume::Auto => parcel.content_bytes() >= RESUME_BYTES_MIN,
                    Resume::Never => false,
                };
                if asks && let Some(file) = &parcel.file {
                    let index = self.filled.parcel;
                    let hash = hash(file, &mut |bytes| {
                        progress(Progress::Checking { index, bytes });
                    })?;
                    if parcel.ask(hash).is_some() {
                        self.buffer.append(&mut parcel.head);
                        self.asked = Some(hash);
                        break;
                    }
                }
                self.buffer.append(&mut parcel.head);
                self.filled.content_bytes = Some(0);
                continue;
            };
            let left = parcel.content_bytes().saturating_sub(*filled);
            match &parcel.file {
                Some(open) if left > 0 => {
                    let room = CHUNK_BYTES.saturating_sub(self.buffer.len()) as u64;
                    let want = left.min(room);
                    let failed = |source| SendError::FileRead {
                        path: open.path.clone(),
                        source,
                    };
                    let found = (&open.file).take(want).read_to_end(&mut self.buffer);
                    let found = found.map_err(failed)? as u64;
                    *filled += found;
                    if found < want {
                        return Err(SendError::FileShrank {
                            path: open.path.clone(),
                            announced: parcel.content_bytes(),
                            found: *filled,
                        });
                    }
                }
                _ => {
                    self.filled.parcel += 1;
                    self.filled.content_bytes = None;
                }
            }
        }
        Ok(())
    }

    /// Waits for what the peer has of a file; 0 if it does not say so in time.
    fn hear(&mut self, hash: ContentHash) -> Result<u64, SendError> {
        let patience = if self.answers.has_answered() {
            self.wait.unwrap_or(STALL_TIME)
        } else {
            self.ask_time
        };
        let asked = Instant::now();
        loop {
            if let Some(bytes) = self.answers.have(hash) {
                return Ok(bytes);
            }
            if self.answers.refused().is_some() {
                return Err(self.refused());
            }
            let left = patience.checked_sub(asked.elapsed());
            match left.filter(|_| self.answers.may_answer() && !self.peer_ended) {
                Some(left) => self.wait_for(Interest::READABLE, left)?,
                None if self.resume == Resume::Always => {
                    return Err(SendError::NotResumable {
                        endpoint: self.endpoint.clone(),
                    });
                }
                None => {
                    self.resume = Resume::Never;
                    return Ok(0);
                }
            }
        }
    }

    /// Goes on with the file that the peer was asked about, of which it has so much.
    fn go_on_from(&mut self, have: u64) -> Result<(), SendError> {
        let Some(parcel) = self.parcels.get_mut(self.filled.parcel) else {
            return Ok(());
        };
        let Some(open) = &parcel.file else {
            return Ok(());
        };
        let have = if have <= parcel.content_bytes() {
            have
        } else {
            0
        };
        let failed = |source| SendError::FileRead {
            path: open.path.clone(),
            source,
        };
        (&open.file).seek(SeekFrom::Start(have)).map_err(failed)?;
        parcel.resumed_bytes = have;
        // No file is longer than a frame can say.
        let rest = u32::try_from(parcel.rest_bytes()).unwrap_or(u32::MAX);
        self.buffer.extend(prefix(rest).unwrap_or_default());
        self.filled.content_bytes = Some(have);
        Ok(())
    }

    /// Reads what the peer said before it broke off.
    fn hear_the_rest(&mut self) {
        let mut bytes = [0; SCRAP_BYTES];
        while let Ok(len @ 1..) = self.socket.recv(&mut bytes, MsgFlags::NONE) {
            self.answers.read(bytes.get(..len).unwrap_or_default());
        }
    }

    fn refused(&self) -> SendError {
        SendError::Refused {
            endpoint: self.endpoint.clone(),
            reason: self.answers.refused().unwrap_or_default().to_owned(),
        }
    }

    /// Tells how far the content of the parcels has come.
    fn tell(&mut self, progress: &mut dyn FnMut(Progress)) {
        while let Some(parcel) = self.parcels.get(self.current) {
            let content_start = self.current_start + parcel.header_bytes();
            let Some(sent) = self.sent_bytes.checked_sub(content_start) else {
                return;
            };
            let (rest, resumed_bytes) = (parcel.rest_bytes(), parcel.resumed_bytes);
            progress(Progress::Sending {
                index: self.current,
                sent_bytes: sent.min(rest),
                resumed_bytes,
            });
            if sent < rest {
                return;
            }
            self.current_start = content_start + rest;
            self.current += 1;
        }
    }

    fn reached(&self) -> Box<Reached> {
        let current = self.parcels.get(self.current);
        let start = self.current_start + current.map_or(0, Parcel::header_bytes);
        let sent = self.sent_bytes.saturating_sub(start);
        Box::new(Reached {
            parcels: self.current,
            parcels_total: self.parcels.len(),
            file: current
                .and_then(Parcel::file_name)
                .filter(|_| sent > 0)
                .map(|name| (switchboard_wire::clean(name).into_owned(), sent)),
            can_resume: self.answers.has_answered(),
        })
    }

    fn failed(&self, source: berkeley::Error) -> SendError {
        let (endpoint, reached) = (self.endpoint.clone(), self.reached());
        match source.errno() {
            Some(Errno::ECONNRESET | Errno::EPIPE | Errno::ENOTCONN) => SendError::BrokenOff {
                endpoint,
                reached,
                source,
            },
            _ => SendError::Failed {
                endpoint,
                reached,
                source,
            },
        }
    }
}

/// The hash of a whole file, whose place is at its end behind that. `progress` is told how many
/// bytes were read.
fn hash(open: &OpenFile, progress: &mut dyn FnMut(u64)) -> Result<ContentHash, SendError> {
    let failed = |source| SendError::FileRead {
        path: open.path.clone(),
        source,
    };
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match (&open.file).read(&mut buffer) {
            Ok(0) => return Ok(ContentHash(*hasher.finalize().as_bytes())),
            Ok(len) => {
                hasher.update(buffer.get(..len).unwrap_or_default());
                progress(hasher.count());
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}
