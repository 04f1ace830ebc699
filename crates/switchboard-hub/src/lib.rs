//! The hub: rooms, the file store, the shards and the doors.
//!
//! One message's way: a socket is readable, the shard reads, the **door** decodes what
//! came into an event, the [`room`] makes it an entry and says who is to hear of it, the door
//! encodes that entry once, and the shard puts it into each member's outbox. It goes one way;
//! nothing calls back up.
//!
//! - [`room`] and the sessions of [`door`] are plain data: no socket, clock, file or thread, so
//!   that a test can run a whole room in no time.
//! - [`names`]: who is called what, in the whole hub.
//! - [`shard`] carries things between sockets and all of these, over whatever [`shard::Net`] it is
//!   given: the reactor, or a network that a test makes up.
//! - [`store`] owns the files, on threads of its own: the network never waits for a disk.
//! - [`log`] keeps what was said, on threads of its own too.
//! - [`Hub`] puts them together: begin there.
//!
//! It never prints and never reads arguments, the environment or the wall clock; the program that
//! runs it hands those over in [`Config`].
#![forbid(unsafe_code)]

mod config;
pub mod door;
mod hub;
pub mod limits;
pub mod log;
pub mod names;
pub mod room;
pub mod shard;
pub mod store;

pub use config::{Config, Door, Keep, Senses};
pub use hub::{Hub, HubError, Stopper};
pub use limits::Limits;
