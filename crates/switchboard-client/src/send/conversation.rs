//! One conversation in parcels, from the first byte to the peer's end.

use std::io::Read;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use berkeley::selector::{Backend, Event, Interest, Key, Selector, Trigger};
use berkeley::{Endpoint, Errno, Mode, MsgFlags, Shutdown, Socket, opt};
use switchboard_wire::parcel::close_frame;

use super::{END_TIME, Parcel, Progress, Reached, STALL_TIME, STORED_BYTES_PER_SECOND, SendError};

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
    /// The parcel that is being sent, and where its content begins in all that is sent.
    current: usize,
    content_start: u64,
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
        wait: Option<Duration>,
    ) -> berkeley::Result<Self> {
        socket.set_mode(Mode::NonBlock)?;
        let content_start = parcels.first().map_or(0, Parcel::header_bytes);
        Ok(Self {
            socket,
            endpoint,
            wait,
            selector: Backend::BEST.open()?,
            events: Vec::new(),
            watched: None,
            parcels,
            filled: Filled::default(),
            buffer: Vec::with_capacity(CHUNK_BYTES),
            at: 0,
            sent_bytes: 0,
            current: 0,
            content_start,
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
                self.fill()?;
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
                }
                Err(error) if error.is_would_block() => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(())
    }

    /// Fills the buffer with what comes next; it stays empty when that is nothing.
    fn fill(&mut self) -> Result<(), SendError> {
        self.buffer.clear();
        self.at = 0;
        while self.buffer.len() < CHUNK_BYTES {
            let Some(parcel) = self.parcels.get_mut(self.filled.parcel) else {
                if !self.filled.closed {
                    self.filled.closed = true;
                    self.buffer.append(&mut close_frame());
                }
                break;
            };
            let Some(filled) = &mut self.filled.content_bytes else {
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

    /// Tells how far the content of the parcels has come.
    fn tell(&mut self, progress: &mut dyn FnMut(Progress)) {
        while let Some(parcel) = self.parcels.get(self.current) {
            let Some(sent) = self.sent_bytes.checked_sub(self.content_start) else {
                return;
            };
            let sent_bytes = sent.min(parcel.content_bytes());
            progress(Progress {
                index: self.current,
                sent_bytes,
            });
            if sent_bytes < parcel.content_bytes() {
                return;
            }
            self.content_start += sent_bytes;
            self.current += 1;
            self.content_start += self
                .parcels
                .get(self.current)
                .map_or(0, Parcel::header_bytes);
        }
    }

    fn reached(&self) -> Box<Reached> {
        let current = self.parcels.get(self.current);
        let sent = self.sent_bytes.saturating_sub(self.content_start);
        Box::new(Reached {
            parcels: self.current,
            parcels_total: self.parcels.len(),
            file: current
                .and_then(Parcel::file_name)
                .filter(|_| sent > 0)
                .map(|name| (switchboard_wire::clean(name).into_owned(), sent)),
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
