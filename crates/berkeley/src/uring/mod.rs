//! io_uring(7) as what it is best at: operations that the kernel completes.
//!
//! A [`Ring`] takes operations on sockets that belong to somebody else, each under a [`Key`] of
//! the caller's, and tells how they went. An operation is *prepared* at any time, at no cost but a
//! few bytes of a list; [`Ring::wait`] hands all that were prepared over to the kernel with one
//! system call, which also waits; [`Ring::next`] takes the completions out, without a call.
//!
//! ```
//! use berkeley::uring::{Buffers, Outcome, Ring, RingOptions};
//! use berkeley::selector::Key;
//! use berkeley::{Family, Kind, Socket};
//!
//! # fn main() -> Result<(), berkeley::Error> {
//! # if Ring::new(RingOptions::default()).is_err() {
//! #     return Ok(());
//! # }
//! let (near, far) = Socket::pair(Family::UNIX, Kind::STREAM)?;
//! // The sockets by their keys: here a key is a place in this list.
//! let sockets = [near];
//!
//! let mut ring = Ring::new(RingOptions::default())?;
//! let group = ring.add_buffers(Buffers { count: 4, bytes: 4096, shared: false })?;
//! ring.receive(Key(0), group);
//! far.send_all(b"hello")?;
//! 'echoed: loop {
//!     ring.wait(&sockets[..], None)?;
//!     while let Some(completion) = ring.next() {
//!         match completion.outcome {
//!             // Sends back what came, from where it lies.
//!             Outcome::Received(Ok(bytes)) => drop(ring.send(completion.key, bytes)),
//!             Outcome::Sent(Ok(5)) => break 'echoed,
//!             other => panic!("{other:?}"),
//!         }
//!     }
//! }
//! # let mut buf = [0; 5];
//! # far.recv(&mut buf, berkeley::MsgFlags::WAITALL)?;
//! # assert_eq!(&buf, b"hello");
//! # Ok(())
//! # }
//! ```
//!
//! # Who owns what
//!
//! - **Descriptors** stay the caller's. The ring asks for them by key ([`Descriptors`]) when it
//!   submits, so that an operation never meets a descriptor that was closed and whose number is
//!   somebody else's by now. A submitted operation holds the file itself: closing a descriptor
//!   does not end it, and the peer sees no end before it was cancelled.
//! - **Memory to receive into** is the ring's. A [`Buffer`] hands a part of it out and gives it
//!   back when it is dropped.
//! - **Memory to send from** is given to the ring ([`Piece`]) or copied into it, and dropped when
//!   the kernel has done with it.
//! - **A ring that is dropped** cancels what is under way and waits until it has ended (0.2 seconds
//!   at most, and only for zero-copy sends). What does not end by then, and all if another thread
//!   than the ring's drops it, keeps its memory for good: it is leaked, never used for something
//!   else.
//!
//! # How a reactor uses it
//!
//! One thread: the one that waits first; a ring can be made in another one. In each turn:
//!
//! 1. Call [`Ring::wait`] with the time to the next timer. It submits what the last turn prepared.
//! 2. Call [`Ring::next`] until it is empty. A completion's key names the source; put a generation
//!    into keys (they have [`KEY_BITS`] bits) and pass over those of sources that are gone.
//! 3. Prepare what follows.
//!
//! A connection gets one [`Ring::receive`] when it is added, which goes on by itself and holds no
//! buffer while nothing comes: an idle connection costs nothing here. One send at a time keeps the
//! order: gather what comes meanwhile, and prepare the next send when the last one completes. It
//! completes when all of it has been taken, as the peer reads.
//!
//! - *Pause*: [`Ring::cancel_receive`]; what was received by then is still told. The last
//!   completion has `more` false, mostly with `ECANCELED`; receive again only after it.
//! - *Half-close*: shut the socket down directly, when its last send has completed.
//! - *Close, reset*: cancel the receive and the send (`SO_LINGER` first, for a reset) and drop the
//!   socket. The connection ends with the next `wait`. Their completions still come.
//! - *Limits of reading*: a receive takes all that there is, up to what a buffer holds, and then
//!   again. Where that is too much, use [`Ring::receive_once`] with a length in each turn.
//! - *Sequenced packets and datagrams*: with buffers that are not shared, and longer than any
//!   message, since a message that does not fit is cut.
//! - *Everything that is no socket*, and datagrams with addresses: [`Ring::poll`], and the usual
//!   calls.
//!
//! # Buffers
//!
//! With [`Buffers::shared`] the kernel fills a buffer piece by piece, so that small messages lie
//! side by side, and large ones get large buffers: the right choice for streams where the kernel
//! has it ([`Ring::has_shared_buffers`]). Without it each receive takes a whole buffer, however
//! little came. A receive that finds none waits in the ring until there is one again.
//!
//! Few and large is best, for the memory then stays in the caches. On two cores with Linux 6.18
//! and four shared buffers of 128 KiB, an echo costs as much processor time as in the barest epoll
//! loop, for 64 bytes at a time (0.94 to 1.06 of its requests per second of it) and for sixteen
//! messages of 4 KiB in flight (0.96 to 1.01). With 16 of 256 KiB the latter has 0.83 to 0.90, and
//! with whole buffers 0.84 to 0.89.
//!
//! # Kernels
//!
//! Linux 6.1 or later. Where the kernel is older, or an administrator or a sandbox forbids
//! io_uring, [`Ring::new`] says so, and a selector does the work.
//!
//! # References
//! io_uring(7), io_uring_setup(2), io_uring_enter(2), io_uring_register_buf_ring(3),
//! io_uring_prep_recv_multishot(3), io_uring_prep_multishot_accept(3).

mod descriptors;
mod ring;

pub(crate) use ring::not_opened;

pub use descriptors::Descriptors;
pub use ring::{
    Buffers, Completion, ENTRIES_MAX, Group, Outcome, PIECES_MAX, Ring, RingOptions, SendId,
};

pub use crate::selector::Key;
pub use crate::sys::uring::buffers::Buffer;
pub use crate::sys::uring::sends::Piece;
pub use crate::sys::uring::tag::KEY_BITS;
