//! The whole Berkeley socket interface, safe.
//!
//! - [`Socket`]: one owned socket of any [`Family`] and [`Kind`]: create, bind, listen, accept,
//!   connect, send, receive, shut down, close; blocking, non-blocking or with a time limit
//!   ([`Mode`]).
//! - [`SocketRef`]: the same calls on a socket that belongs to something else, such as one of the
//!   standard library. [`Hook`]: the same calls with something done around each wait.
//! - [`Addr`]: addresses of every family, read and written as bytes and as text ([`ToAddr`]: what
//!   calls take for one); [`Endpoint`]: where to listen or connect, as people write it.
//! - [`OutMessage`], [`InMessage`]: whole messages with control messages by type ([`CmsgOut`],
//!   [`Cmsg`]), descriptors among them; [`RecvBatch`]: many with one call; [`ZeroCopySender`].
//! - [`opt`]: socket options by type, and raw ones beside them.
//! - [`create_servers`], [`create_connection`]: both ends of a conversation in one call, with
//!   [`ServerOptions`] and [`ConnectOptions`].
//! - [`names`], [`interfaces`], [`inet`]: hosts, services and protocols by name, the machine's
//!   interfaces, addresses as text.
//! - [`mod@file`]: a socket as a file, by bytes and lines; [`Socket::sendfile`] and [`Splicer`]:
//!   files sent and received by the kernel.
//! - [`selector`]: which of many sockets are ready, by `select`, `poll` or `epoll`.
//!
//! This crate knows nothing of threads (but for a lookup with a deadline,
//! [`names::lookup_until`]), buffers or protocols. It is the one place of the project
//! with system calls and `unsafe`, and those live in its private module `sys`.
//!
//! Linux only.

#[macro_use]
mod kinds;

mod addr;
mod batch;
mod connect;
mod connection;
mod control;
mod convert;
mod endpoint;
mod errno;
mod error;
pub mod file;
mod hook;
pub mod inet;
pub mod interfaces;
mod io;
mod lease;
mod life;
mod limits;
mod msg;
pub mod names;
pub mod opt;
mod race;
mod rawopt;
mod resolve;
mod segment;
pub mod selector;
mod sendfile;
mod server;
mod server_options;
mod socket;
mod splice;
mod sys;
mod view;
mod wait;
mod waker;
mod zerocopy;

pub use addr::{
    Addr, AlgAddr, BluetoothAddr, CanAddr, DeviceAddr, MctpAddr, NetlinkAddr, PacketAddr,
    QipcrtrAddr, RxrpcAddr, TipcAddr, TipcScope, ToAddr, UnixAddr, VsockAddr, XdpAddr,
};
pub use batch::{BatchMessage, RecvBatch};
pub use connection::{ConnectOptions, create_connection};
pub use control::{
    AlgOperation, Cmsg, CmsgOut, Cmsgs, ControlOut, Ecn, ErrorOrigin, ExtendedError, PacketInfo,
    PacketInfo6, Timestamps, ZeroCopyRange, control_len, control_space,
};
pub use endpoint::{Endpoint, Transport};
pub use errno::Errno;
pub use error::{Error, Result};
pub use hook::{Hook, Hooked, Readiness};
pub use io::read;
pub use kinds::{
    AcceptFlags, EtherType, Family, HardwareType, Kind, Level, MsgFlags, PacketType, Protocol,
    Shutdown,
};
pub use limits::{descriptor_limit, raise_descriptor_limit};
pub use msg::{FDS_MAX, FdsMessage, InMessage, OutMessage, QueuedError};
pub use names::{AddrInfo, Query, ResolveError};
pub use resolve::resolve;
pub use segment::{Coalesced, Segments};
pub use server::{ADDRESSES_MAX, Server, SocketFile, create_servers};
pub use server_options::{ServerOptions, create_server, has_dualstack_ipv6};
pub use socket::Socket;
pub use splice::Splicer;
pub use sys::buf::RecvBuf;
pub use sys::control::{ControlBuf, ControlSpace, Descriptors};
pub use view::SocketRef;
pub use wait::{Deadline, Mode};
pub use waker::Waker;
pub use zerocopy::{Completion, ZeroCopyBuffer, ZeroCopySender};
