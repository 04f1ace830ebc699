//! The ring: operations in, completions out.

use core::fmt;
use core::time::Duration;
use std::collections::{HashSet, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::kinds::{Family, Kind, Protocol};
use crate::selector::io_uring::{poll_events, ready};
use crate::selector::{Interest, Key, Ready};
use crate::socket::Socket;
use crate::sys::uring::buffers::Buffer;
use crate::sys::uring::engine::{Engine, GROUPS_MAX, Prepared, What, Work};
use crate::sys::uring::sends::Piece;
use crate::sys::uring::tag::{self, KEY_BITS, Tag};
use crate::uring::Descriptors;
use crate::wait::Mode;
use crate::waker::Waker;

/// Operations that go to the kernel at once, at most; the kernel's own limit.
pub const ENTRIES_MAX: u32 = 32_768;

/// Pieces that one gathered send carries at most (`UIO_MAXIOV`).
pub const PIECES_MAX: usize = 1024;

/// How long a wait lasts at most while receives wait for buffers that are all held: whoever holds
/// them may give them back in another thread.
const STARVED_WAIT_MS_MAX: u64 = 10;

/// Completions after a wait that hint at more that is due: since Linux 6.13 the kernel does at most
/// twenty pieces of work in one call, unless it is asked to wait for more.
const WORK_MAX: usize = 16;

/// What it is asked for then: as much as epoll(7) tells at once, so that who is received from waits
/// no longer than who is polled.
const HURRY_MAX: u32 = 1024;

/// Receives that go on for each buffer that comes back, where they share it.
const RECEIVES_PER_BUFFER: usize = 16;

/// The sizes of a ring.
///
/// # References
/// io_uring(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingOptions {
    /// Operations that go to the kernel at once; more than that take another system call. At most
    /// [`ENTRIES_MAX`].
    pub entries: u32,
    /// Completions that find room in the shared queue. None is lost beyond it, but the kernel has
    /// to keep it elsewhere, and ends the receives that go on by themselves, which the ring has to
    /// begin anew.
    pub completions: u32,
}

impl Default for RingOptions {
    /// 1,024 operations and 8,192 completions: 192 KiB.
    fn default() -> Self {
        Self {
            entries: 1024,
            completions: 8192,
        }
    }
}

/// The sizes of a group of buffers.
///
/// # References
/// io_uring(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffers {
    /// How many: 1 to 32,768.
    pub count: u16,
    /// How long each is.
    pub bytes: u32,
    /// Whether a buffer takes what several receives bring, one behind the other, until it is full.
    /// For streams only: a message would be cut where a buffer ends.
    pub shared: bool,
}

/// The name of a group of buffers in its ring.
///
/// # References
/// io_uring(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Group(u8);

/// The name of a send that is under way in its ring.
///
/// # References
/// io_uring(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SendId(u32);

/// How an operation went, or goes.
///
/// # References
/// io_uring(7).
#[derive(Debug)]
pub struct Completion {
    /// Whose operation.
    pub key: Key,
    /// True when the operation goes on and more completions will come.
    pub more: bool,
    /// What happened.
    pub outcome: Outcome,
}

/// What happened to an operation. `ECANCELED` is the answer of one that was cancelled.
///
/// # References
/// io_uring(7).
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// A connection was accepted; it does not block. An error ends the accepting.
    Accepted(Result<Socket, Errno>),
    /// Bytes came, or the end of the stream (or an empty message): an empty buffer.
    Received(Result<Buffer, Errno>),
    /// So many bytes of a send were taken: all of them, or the connection failed in between.
    Sent(Result<usize, Errno>),
    /// What is the case with a descriptor that is polled.
    Polled(Result<Ready, Errno>),
    /// [`Ring::waker`] was raised. The key means nothing.
    Woken,
}

/// A listener, for what it accepts.
#[derive(Debug, Clone, Copy)]
struct Listener {
    key: Key,
    family: Family,
    kind: Kind,
    protocol: Protocol,
}

/// An io_uring. See the [module's documentation](crate::uring).
///
/// # References
/// io_uring(7).
pub struct Ring {
    engine: Engine,
    prepared: VecDeque<Prepared>,
    /// Receives that found no buffer, and their groups.
    starved: VecDeque<Prepared>,
    /// They end instead of waiting.
    ends_starved: bool,
    /// Completions that the ring itself has to tell.
    told: VecDeque<Completion>,
    /// Words of operations that go on by themselves and are being cancelled: they must not be begun
    /// anew, should they have ended meanwhile for want of room.
    cancelling: HashSet<u64>,
    listeners: Vec<Option<Listener>>,
    waker: Waker,
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("sends", &self.sends())
            .field("prepared", &self.prepared.len())
            .finish_non_exhaustive()
    }
}

impl Ring {
    /// Opens a ring. The thread that waits first is the one that it belongs to.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the kernel is older than Linux 6.1 or has no io_uring, and
    /// where io_uring is forbidden, by `kernel.io_uring_disabled` or by a seccomp filter: use a
    /// selector then. `EMFILE`, `ENFILE`, `ENOMEM` when there is no room.
    pub fn new(options: RingOptions) -> Result<Self> {
        let completions = options.completions.max(options.entries);
        let engine = Engine::new(options.entries, completions).map_err(not_opened)?;
        let mut prepared = VecDeque::new();
        prepared.push_back(Prepared {
            key: Key(0),
            work: Work::Wake,
        });
        Ok(Self {
            engine,
            prepared,
            starved: VecDeque::new(),
            ends_starved: false,
            told: VecDeque::new(),
            cancelling: HashSet::new(),
            listeners: Vec::new(),
            waker: Waker::new()?,
        })
    }

    /// True if this kernel can fill a buffer piece by piece ([`Buffers::shared`]): Linux 6.16.
    #[must_use]
    pub const fn has_shared_buffers(&self) -> bool {
        self.engine.abilities.shared_buffers
    }

    /// True if this kernel can send without copying ([`Ring::send_zero_copy`]): Linux 6.1.
    #[must_use]
    pub const fn has_zero_copy(&self) -> bool {
        self.engine.abilities.zero_copy
    }

    /// Raised in any thread, it ends a wait ([`Outcome::Woken`]). It need not be lowered.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Gives the ring memory to receive into. Memory that was never filled costs nothing; a ring
    /// has at most 16 groups, and keeps them.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for shared buffers that the kernel does not have; [`Error::Invalid`]
    /// for sizes out of range or a group too many, and in a thread that the ring does not belong
    /// to; `ENOMEM`.
    pub fn add_buffers(&mut self, buffers: Buffers) -> Result<Group> {
        self.check_thread()?;
        if buffers.shared && !self.has_shared_buffers() {
            return Err(Error::Unsupported(
                "shared buffers of io_uring need Linux 6.16".into(),
            ));
        }
        if buffers.count == 0 || buffers.count > 1 << 15 || buffers.bytes == 0 {
            return Err(Error::Invalid(
                "a group has 1 to 32,768 buffers of at least one byte".into(),
            ));
        }
        if self.engine.groups() == GROUPS_MAX {
            return Err(Error::Invalid("a ring has at most 16 groups".into()));
        }
        self.engine
            .add_group(buffers.count, buffers.bytes, buffers.shared)
            .map(Group)
            .map_err(|errno| Error::os("io_uring_register", errno))
    }

    /// Accepts connections of a listener until that fails or is cancelled. One at a time for a key.
    ///
    /// The socket itself is only asked for what it is: the descriptor is that of the key.
    ///
    /// # References
    /// io_uring_prep_multishot_accept(3).
    #[doc(alias = "io_uring_prep_multishot_accept")]
    pub fn accept(&mut self, key: Key, socket: &Socket) {
        let listener = Listener {
            key,
            family: socket.family(),
            kind: socket.kind(),
            protocol: socket.protocol(),
        };
        let free = self.listeners.iter().position(Option::is_none);
        let index = free.unwrap_or_else(|| {
            self.listeners.push(None);
            self.listeners.len() - 1
        });
        if let Some(place) = self.listeners.get_mut(index) {
            *place = Some(listener);
        }
        let slot = u32::try_from(index).unwrap_or(u32::MAX);
        self.prepare(key, Work::Accept { slot });
    }

    /// Receives from a socket until its end, an error or until it is cancelled, into the buffers
    /// of a group. One at a time for a key.
    ///
    /// # References
    /// io_uring_prep_recv_multishot(3).
    #[doc(alias = "io_uring_prep_recv_multishot")]
    pub fn receive(&mut self, key: Key, group: Group) {
        self.prepare(key, Work::Receive { group: group.0 });
    }

    /// Receives once, at most `bytes` and what a buffer of the group has room for. Zero: only that.
    ///
    /// A receive that finds no buffer fails with `ENOBUFS`.
    ///
    /// # References
    /// io_uring_prep_recv(3).
    pub fn receive_once(&mut self, key: Key, group: Group, bytes: u32) {
        let (group, len) = (group.0, bytes);
        self.prepare(key, Work::ReceiveOnce { group, len });
    }

    /// Tells what is the case with a descriptor, now and each time that something begins or comes,
    /// until it is cancelled. One at a time for a key.
    ///
    /// # References
    /// io_uring_prep_poll_multishot(3).
    #[doc(alias = "io_uring_prep_poll_multishot")]
    pub fn poll(&mut self, key: Key, interest: Interest) {
        let events = poll_events(interest);
        let interest = interest_bits(interest);
        self.prepare(key, Work::Poll { interest, events });
    }

    /// Tells once what is the case with a descriptor, as soon as there is something to tell.
    ///
    /// # References
    /// io_uring_prep_poll_add(3).
    pub fn poll_once(&mut self, key: Key, interest: Interest) {
        let events = poll_events(interest);
        self.prepare(key, Work::PollOnce { events });
    }

    /// Sends something. It completes when all of it has been taken.
    ///
    /// # References
    /// io_uring_prep_send(3), `MSG_WAITALL`.
    pub fn send(&mut self, key: Key, piece: impl Into<Piece>) -> SendId {
        self.send_pieces(key, core::iter::once(piece.into()), false)
    }

    /// Sends a copy of some bytes. The memory for copies is used again and again, up to 4 MiB of
    /// it and 4 KiB for each of 1,024.
    pub fn send_copy(&mut self, key: Key, bytes: &[u8]) -> SendId {
        let slot = self.engine.add_copy(key, bytes);
        self.prepare(key, Work::Send { slot });
        SendId(slot)
    }

    /// Sends many pieces as one, at most [`PIECES_MAX`]: with more the send fails (`EMSGSIZE`).
    ///
    /// # References
    /// io_uring_prep_sendmsg(3), `MSG_WAITALL`.
    pub fn send_gathered<P: Into<Piece>>(
        &mut self,
        key: Key,
        pieces: impl IntoIterator<Item = P>,
    ) -> SendId {
        self.send_pieces(key, pieces.into_iter().map(Into::into), false)
    }

    /// Sends pieces as one without copying them. It is told when all has been taken, and the
    /// pieces are dropped when the network has done with them. That pays from some ten thousand
    /// bytes on, and never over loopback, where the kernel copies all the same. A plain send where
    /// the kernel cannot do it.
    ///
    /// # References
    /// io_uring_prep_sendmsg_zc(3).
    #[doc(alias = "io_uring_prep_send_zc")]
    pub fn send_zero_copy<P: Into<Piece>>(
        &mut self,
        key: Key,
        pieces: impl IntoIterator<Item = P>,
    ) -> SendId {
        let zero_copy = self.has_zero_copy();
        self.send_pieces(key, pieces.into_iter().map(Into::into), zero_copy)
    }

    fn send_pieces(
        &mut self,
        key: Key,
        pieces: impl Iterator<Item = Piece>,
        zero_copy: bool,
    ) -> SendId {
        let slot = self.engine.add_send(key, pieces, zero_copy);
        self.prepare(key, Work::Send { slot });
        SendId(slot)
    }

    /// Ends a [`Ring::receive`]. Its last completion says so, unless it ends by itself before.
    pub fn cancel_receive(&mut self, key: Key, group: Group) {
        let mine = |other: &Prepared| {
            other.key == key && matches!(other.work, Work::Receive { group: id } if id == group.0)
        };
        match self.starved.iter().position(mine) {
            Some(index) => {
                self.starved.remove(index);
                self.fail(key, Work::Receive { group: group.0 }, Errno::ECANCELED);
            }
            None => self.cancel(tag::join(Tag::Receive, group.0, key.0)),
        }
    }

    /// Ends a [`Ring::receive_once`]. Its completion says so, unless it ends by itself before.
    pub fn cancel_receive_once(&mut self, key: Key, group: Group) {
        self.cancel(tag::join(Tag::ReceiveOnce, group.0, key.0));
    }

    /// Ends accepting.
    pub fn cancel_accept(&mut self, key: Key) {
        let mine = |place: &Option<Listener>| place.is_some_and(|listener| listener.key == key);
        if let Some(index) = self.listeners.iter().position(mine) {
            self.cancel(tag::join(Tag::Accept, 0, index as u64));
        }
    }

    /// Ends polling that was begun with this interest, of both kinds.
    pub fn cancel_poll(&mut self, key: Key, interest: Interest) {
        self.cancel(tag::join(Tag::Poll, interest_bits(interest), key.0));
        self.cancel(tag::join(Tag::PollOnce, 0, key.0));
    }

    /// Ends a send of this key. A part of it may have been taken, which the completion tells.
    pub fn cancel_send(&mut self, key: Key, send: SendId) {
        if self.engine.is_sending(send.0, key) {
            self.engine.cancel_send(send.0);
            self.cancel(tag::join(Tag::Send, 0, u64::from(send.0)));
        }
    }

    fn cancel(&mut self, data: u64) {
        if tag::cancelled(tag::of_cancel(data)).is_some() {
            self.cancelling.insert(data);
        }
        let work = Work::Cancel { data };
        self.prepared.push_back(Prepared { key: Key(0), work });
    }

    /// Sends that are prepared or under way.
    #[must_use]
    pub fn sends(&self) -> usize {
        self.engine.sends()
    }

    /// True while there is nothing to submit or to tell, and no receive or send under way: nothing
    /// can come but from what is accepted or polled, or the waker.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.prepared.is_empty()
            && self.starved.is_empty()
            && self.told.is_empty()
            && self.engine.transfers() == 0
    }

    /// Completions that [`Ring::next`] has to tell for now, or a few more.
    #[must_use]
    pub fn completions(&mut self) -> usize {
        self.told.len() + self.engine.completions()
    }

    fn prepare(&mut self, key: Key, work: Work) {
        if key.0 >> KEY_BITS == 0 {
            self.prepared.push_back(Prepared { key, work });
        } else {
            self.fail(key, work, Errno::EINVAL);
        }
    }

    /// Tells that an operation has failed that the kernel does not have.
    fn fail(&mut self, key: Key, work: Work, errno: Errno) {
        let outcome = match work {
            Work::Receive { .. } | Work::ReceiveOnce { .. } => Outcome::Received(Err(errno)),
            Work::Poll { .. } | Work::PollOnce { .. } => Outcome::Polled(Err(errno)),
            Work::Accept { slot } => {
                if let Some(place) = self.listeners.get_mut(slot as usize) {
                    *place = None;
                }
                Outcome::Accepted(Err(errno))
            }
            Work::Send { slot } => {
                self.engine.forget_send(slot);
                Outcome::Sent(Err(errno))
            }
            Work::Cancel { .. } | Work::Wake => return,
        };
        self.told.push_back(Completion {
            key,
            more: false,
            outcome,
        });
    }

    /// Ends a receive that finds no buffer with `ENOBUFS` from now on, for those who can receive
    /// in another way meanwhile. Without it that receive waits until a buffer comes back, behind
    /// those that began to wait before it.
    ///
    /// # References
    /// io_uring_prep_recv_multishot(3).
    pub const fn end_starved(&mut self) {
        self.ends_starved = true;
    }

    /// Submits what was prepared, and waits at most `limit` (`None`: without end; zero: not at all)
    /// until there is a completion. It may end before, without one. Signals do not end it.
    ///
    /// # Errors
    /// [`Error::Invalid`] in a thread that the ring does not belong to. `EAGAIN`, `ENOMEM` when
    /// the kernel has no memory to take operations, and `EBADFD` ever after: the ring is of no use
    /// any more.
    ///
    /// # References
    /// io_uring_enter(2).
    pub fn wait<D: Descriptors + ?Sized>(
        &mut self,
        fds: &D,
        limit: Option<Duration>,
    ) -> Result<()> {
        self.check_thread()?;
        self.engine.give_back();
        let mut limit = self.feed(limit);
        if !self.told.is_empty() {
            limit = Some(Duration::ZERO);
        }
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        loop {
            let (listeners, waker) = (&mut self.listeners, self.waker.as_fd());
            let lost = |lost: Prepared| {
                if let Work::Accept { slot } = lost.work
                    && let Some(place) = listeners.get_mut(slot as usize)
                {
                    *place = None;
                }
            };
            self.engine
                .submit(&mut self.prepared, fds, waker, limit, lost)
                .map_err(|errno| Error::os("io_uring_enter", errno))?;
            if limit == Some(Duration::ZERO) || self.engine.has_completions() {
                return Ok(());
            }
            if let Some(end) = end {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Ok(());
                }
                limit = Some(left);
            }
        }
    }

    /// Lets the kernel do more of what is due, where a wait has brought much. Without it what can
    /// be done at once when it is submitted, such as a poll of what is ready, comes before what
    /// waits for its turn. It costs a call, and buffers for all that comes.
    ///
    /// # Errors
    /// As [`Ring::wait`].
    pub fn hurry(&mut self) -> Result<()> {
        self.check_thread()?;
        if self.engine.completions() < WORK_MAX {
            return Ok(());
        }
        self.engine
            .hurry(HURRY_MAX)
            .map_err(|errno| Error::os("io_uring_enter", errno))
    }

    /// Lets as many receives go on as there are buffers for; answers how long may be waited.
    fn feed(&mut self, limit: Option<Duration>) -> Option<Duration> {
        if self.starved.is_empty() {
            return limit;
        }
        // One that finds no room after all is back here soon.
        let per_buffer = if self.has_shared_buffers() {
            RECEIVES_PER_BUFFER
        } else {
            1
        };
        let mut room: Vec<usize> = (0..u8::try_from(self.engine.groups()).unwrap_or(0))
            .map(|group| self.engine.available(group) * per_buffer)
            .collect();
        let prepared = &mut self.prepared;
        self.starved.retain(|receive| {
            let Work::Receive { group } = receive.work else {
                return false;
            };
            match room.get_mut(usize::from(group)) {
                Some(room @ 1..) => {
                    *room -= 1;
                    prepared.push_back(*receive);
                    false
                }
                _ => true,
            }
        });
        if self.starved.is_empty() {
            return limit;
        }
        let most = Duration::from_millis(STARVED_WAIT_MS_MAX);
        Some(limit.map_or(most, |limit| limit.min(most)))
    }

    /// The next completion, if there is one. Take all of them before waiting again.
    #[expect(
        clippy::should_implement_trait,
        reason = "as an iterator it would keep the ring from being used meanwhile"
    )]
    pub fn next(&mut self) -> Option<Completion> {
        if !self.told.is_empty() {
            return self.told.pop_front();
        }
        loop {
            let reaped = self.engine.pop()?;
            let (key, mut more) = (reaped.key, reaped.more);
            let outcome = match reaped.what {
                What::Nothing => continue,
                What::Woken => {
                    self.waker.forget();
                    if !more {
                        self.prepare(key, Work::Wake);
                    }
                    Outcome::Woken
                }
                What::NotCancelled(data) => {
                    self.cancelling.remove(&data);
                    continue;
                }
                // What comes most often, and has nothing to it.
                What::Received(_, result) if more => Outcome::Received(result),
                What::Received(group, result) => {
                    let work = Work::Receive { group };
                    let data = tag::join(Tag::Receive, group, key.0);
                    if matches!(&result, Err(Errno::ENOBUFS)) {
                        if self.is_cancelled(data) {
                            self.fail(key, work, Errno::ECANCELED);
                            return self.told.pop_front();
                        }
                        if !self.ends_starved {
                            self.starved.push_back(Prepared { key, work });
                            continue;
                        }
                    }
                    // The end of the stream comes without bytes.
                    let goes_on = matches!(&result, Ok(bytes) if !bytes.is_empty());
                    more = self.goes_on(more, goes_on, data, key, work);
                    Outcome::Received(result)
                }
                What::ReceivedOnce(result) => Outcome::Received(result),
                What::Polled(interest, result) => {
                    let events = poll_events(interest_of_bits(interest));
                    let data = tag::join(Tag::Poll, interest, key.0);
                    let work = Work::Poll { interest, events };
                    more = self.goes_on(more, result.is_ok(), data, key, work);
                    Outcome::Polled(result.map(ready))
                }
                What::PolledOnce(result) => Outcome::Polled(result.map(ready)),
                What::SendAgain(slot) => {
                    self.prepare(key, Work::Send { slot });
                    continue;
                }
                What::Sent(result) => Outcome::Sent(result),
                What::Accepted(slot, result) => match self.accepted(slot, result, more) {
                    Some(completion) => return Some(completion),
                    None => continue,
                },
            };
            return Some(Completion { key, more, outcome });
        }
    }

    fn accepted(
        &mut self,
        slot: u32,
        result: Result<OwnedFd, Errno>,
        more: bool,
    ) -> Option<Completion> {
        let listener = (*self.listeners.get(slot as usize)?)?;
        let (key, work) = (listener.key, Work::Accept { slot });
        let data = tag::join(Tag::Accept, 0, u64::from(slot));
        if !more
            && result.is_err()
            && let Some(place) = self.listeners.get_mut(slot as usize)
        {
            *place = None;
        }
        let more = self.goes_on(more, result.is_ok(), data, key, work);
        let outcome = Outcome::Accepted(result.map(|fd| {
            Socket::from_parts(
                fd,
                Mode::NonBlock,
                listener.family,
                listener.kind,
                listener.protocol,
            )
        }));
        Some(Completion { key, more, outcome })
    }

    /// Begins an operation anew that the kernel has ended although it should go on, unless it is
    /// being cancelled: then that is told behind what it brought. Answers whether more is to come.
    #[inline]
    fn goes_on(&mut self, more: bool, should: bool, data: u64, key: Key, work: Work) -> bool {
        more || self.ends_or_begins(should, data, key, work)
    }

    #[cold]
    fn ends_or_begins(&mut self, should: bool, data: u64, key: Key, work: Work) -> bool {
        match (self.is_cancelled(data), should) {
            (false, true) => self.prepare(key, work),
            (true, true) => self.fail(key, work, Errno::ECANCELED),
            (_, false) => {}
        }
        should
    }

    /// Whether what has just ended was being cancelled, which it no longer is.
    fn is_cancelled(&mut self, data: u64) -> bool {
        !self.cancelling.is_empty() && self.cancelling.remove(&data)
    }

    fn check_thread(&self) -> Result<()> {
        if self.engine.is_own_thread() {
            Ok(())
        } else {
            Err(Error::Invalid(
                "an io_uring belongs to the thread that waited first".into(),
            ))
        }
    }
}

fn interest_bits(interest: Interest) -> u8 {
    PARTS
        .into_iter()
        .filter(|(part, _)| interest.contains(*part))
        .fold(0, |bits, (_, bit)| bits | bit)
}

fn interest_of_bits(bits: u8) -> Interest {
    PARTS
        .into_iter()
        .filter(|(_, bit)| bits & bit != 0)
        .map(|(part, _)| part)
        .reduce(|all, part| all | part)
        .unwrap_or(Interest::READABLE)
}

/// The interests in the four bits that the word of an operation has for them.
const PARTS: [(Interest, u8); 4] = [
    (Interest::READABLE, 1),
    (Interest::WRITABLE, 2),
    (Interest::PRIORITY, 4),
    (Interest::PEER_CLOSED, 8),
];

/// Why there is no ring, in words that say what to do.
pub(crate) fn not_opened(errno: Errno) -> Error {
    let why = match errno {
        Errno::ENOSYS => "this kernel has no io_uring, or a sandbox hides it",
        Errno::EPERM | Errno::EACCES => {
            "io_uring is forbidden here, by kernel.io_uring_disabled or a seccomp filter"
        }
        Errno::EINVAL => "io_uring needs Linux 6.1 here",
        errno => return Error::os("io_uring_setup", errno),
    };
    Error::Unsupported(format!("{why} ({errno}): use a selector"))
}
