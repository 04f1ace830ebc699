//! The whole Berkeley socket interface, safe.
//!
//! - [`Socket`]: one owned socket of any [`Family`] and [`Kind`]: create, bind, listen, accept,
//!   connect, send, receive, shut down, close; blocking, non-blocking or with a time limit
//!   ([`Mode`]).
//! - [`Addr`]: addresses, [`Endpoint`]: the same as people write them.
//! - [`opt`]: socket options by type, and raw ones beside them.
//! - [`create_servers`], [`create_connection`]: both ends of a conversation in one call.
//! - [`selector`]: which of many sockets are ready, by `select`, `poll` or `epoll`.
//!
//! This crate knows nothing of threads, buffers or protocols. It is the one place of the project
//! with system calls and `unsafe`, and those live in its private module `sys`.
//!
//! Linux only.

mod addr;
mod connection;
mod endpoint;
mod errno;
mod error;
mod io;
mod kinds;
mod limits;
pub mod opt;
mod resolve;
pub mod selector;
mod server;
mod socket;
mod sys;
mod wait;
mod waker;

pub use addr::{Addr, UnixAddr};
pub use connection::create_connection;
pub use endpoint::{Endpoint, Transport};
pub use errno::Errno;
pub use error::{Error, Result};
pub use io::read;
pub use kinds::{Family, Kind, Level, MsgFlags, Protocol, Shutdown};
pub use limits::{descriptor_limit, raise_descriptor_limit};
pub use resolve::resolve;
pub use server::{ADDRESSES_MAX, Server, SocketFile, create_servers};
pub use socket::Socket;
pub use wait::{Deadline, Mode};
pub use waker::Waker;
