//! The whole Berkeley socket interface, safe.
//!
//! ```
//! use berkeley::{MsgFlags, ServerOptions, create_connection, ConnectOptions};
//! use std::time::Duration;
//!
//! # fn main() -> berkeley::Result<()> {
//! let server = &ServerOptions::new().servers(&"localhost:0".parse()?)?[0];
//! let options = ConnectOptions::new().timeout(Duration::from_secs(5));
//! let (client, _addr) = create_connection(server.endpoint(), &options)?;
//! client.send_all(b"hello")?;
//!
//! let (peer, _addr) = server.socket().accept()?;
//! let mut buf = [0; 16];
//! let len = peer.recv(&mut buf, MsgFlags::NONE)?;
//! assert_eq!(&buf[..len], b"hello");
//! # Ok(())
//! # }
//! ```
//!
//! # Where to begin
//!
//! 1. [`Socket`]: create, bind, listen, accept, connect, send, receive, shut down, close. [`Mode`]
//!    says how its calls wait, [`Error`] what can go wrong.
//! 2. [`create_connection`] and [`create_servers`]: both ends of a conversation in one call, from
//!    an [`Endpoint`] as people write it.
//! 3. If you know sockets already: [`coming_from_python`] and [`coming_from_c`] have each name of
//!    theirs and what it is here.
//! 4. `examples/`: a program for each one that Python's documentation shows, and more.
//!
#![doc = include_str!("../docs/where.md")]
//!
//! # What it leaves alone
//!
//! This crate knows nothing of threads (but for a lookup with a deadline,
//! [`names::lookup_until`]), buffers or protocols. It is the one place of the project
//! with system calls and `unsafe`, and those live in its private module `sys`.
//!
//! Linux only.
//!
//! # What a call costs
//!
//! Instructions of one call that succeeds at once, in the program and its C library, without the
//! kernel's own: through this crate (ours), and through `libc` with the same structures and one
//! look at the result (bare). `cargo xtask bench-calls` counts them with valgrind's callgrind and
//! prints this table (`examples/cost`; here on x86-64, rustc 1.95.0, release profile). The
//! goal is at most 20 instructions or 2 % more than the bare call.
//!
//! | call               | mode         | ours | bare | difference | within the goal |
//! |--------------------|--------------|-----:|-----:|-----------:|-----------------|
//! | send               | blocking     |   28 |   22 |         +6 | yes             |
//! | send               | non-blocking |   28 |   22 |         +6 | yes             |
//! | recv               | blocking     |   29 |   22 |         +7 | yes             |
//! | recv               | non-blocking |   29 |   22 |         +7 | yes             |
//! | sendmsg            | blocking     |   34 |   30 |         +4 | yes             |
//! | sendmsg            | non-blocking |   34 |   30 |         +4 | yes             |
//! | recvmsg            | blocking     |   58 |   40 |        +18 | yes             |
//! | recvmsg            | non-blocking |   58 |   40 |        +18 | yes             |
//! | accept             | blocking     |   57 |   37 |        +20 | yes             |
//! | accept             | non-blocking |   57 |   37 |        +20 | yes             |
//! | accept (IPv6)      | blocking     |   63 |   45 |        +18 | yes             |
//! | accept (IPv6)      | non-blocking |   63 |   45 |        +18 | yes             |
//! | accept_with        | blocking     |   56 |   37 |        +19 | yes             |
//! | accept_with        | non-blocking |   56 |   37 |        +19 | yes             |
//! | accept_with (IPv6) | blocking     |   62 |   45 |        +17 | yes             |
//! | accept_with (IPv6) | non-blocking |   62 |   45 |        +17 | yes             |
//! | accept_addr        | blocking     |   44 |   29 |        +15 | yes             |
//! | accept_addr        | non-blocking |   44 |   29 |        +15 | yes             |
//! | send_to            | blocking     |   43 |   24 |        +19 | yes             |
//! | send_to            | non-blocking |   43 |   24 |        +19 | yes             |
//! | send_to (IPv6)     | blocking     |   51 |   24 |        +27 | no              |
//! | send_to (IPv6)     | non-blocking |   51 |   24 |        +27 | no              |
//! | send_to (AddrBuf)  | blocking     |   31 |   24 |         +7 | yes             |
//! | send_to (AddrBuf)  | non-blocking |   31 |   24 |         +7 | yes             |
//! | recv_from          | blocking     |   44 |   33 |        +11 | yes             |
//! | recv_from          | non-blocking |   44 |   33 |        +11 | yes             |
//! | recv_from (IPv6)   | blocking     |   50 |   39 |        +11 | yes             |
//! | recv_from (IPv6)   | non-blocking |   50 |   39 |        +11 | yes             |
//! | recv_addr          | blocking     |   28 |   24 |         +4 | yes             |
//! | recv_addr          | non-blocking |   28 |   24 |         +4 | yes             |
//!
//! Where ours answers an address by type, the bare call looks whether the kernel has written a
//! whole one of the family, and both sides take the IP address and the port from it. `send_to`
//! lays an [`Addr`] out for each call, while the bare call has its structure ready, as an
//! [`AddrBuf`] is: compare the two rows. With [`AddrBuf`] every family costs the same.
//!
//! What is missed: to lay out an IPv6 address takes more stores than the goal has room for.
//!
//! [`Socket::accept`] takes the mode for new sockets ([`Mode::for_new_sockets`]),
//! [`Socket::accept_with`] and [`Socket::accept_addr`] are told theirs by a constant.
//!
//! None of these calls allocates, but for the name of a Unix socket of more than 37 bytes, where
//! it is answered by type.

#[macro_use]
mod kinds;

mod addr;
mod batch;
pub mod can;
#[doc = include_str!("../docs/coming-from-c.md")]
pub mod coming_from_c {}
#[doc = include_str!("../docs/coming-from-python.md")]
pub mod coming_from_python {}
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
pub mod select;
pub mod selector;
mod send_all;
mod sendfile;
mod server;
mod server_options;
mod socket;
mod splice;
mod state;
mod sys;
pub mod tipc;
pub mod uring;
mod view;
mod vsock;
mod wait;
mod waker;
mod zerocopy;

pub use addr::{
    Addr, AddrBuf, AlgAddr, BluetoothAddr, CanAddr, DeviceAddr, MctpAddr, NetlinkAddr, PacketAddr,
    QipcrtrAddr, RxrpcAddr, TipcAddr, TipcScope, ToAddr, UnixAddr, VsockAddr, XdpAddr,
};
pub use batch::{BatchMessage, RecvBatch};
pub use connection::{ConnectOptions, create_connection};
pub use control::{
    AlgOperation, Attribute, Attributes, Cmsg, CmsgOut, Cmsgs, ControlOut, DeviceMemory, Ecn,
    ErrorOrigin, ExtendedError, PacketAux, PacketInfo, PacketInfo6, PathMtu, RdmaStatus,
    RxrpcEvent, TcpStats, TimestampPacket, Timestamps, TipcDestination, TipcError, TipcErrorCode,
    ZeroCopyRange, control_len, control_space, raw_cmsgs,
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
pub use life::close;
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
pub use zerocopy::{Completion, HookedSender, ZeroCopyBuffer, ZeroCopySender};
