//! Sockets that others can call: bound, listening, and tidied up after.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::addr::Addr;
use crate::endpoint::{Endpoint, Transport};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::kinds::{Family, Kind, Protocol};
use crate::opt;
use crate::socket::Socket;

/// Addresses of one host name that a listener takes at most.
pub const ADDRESSES_MAX: usize = 16;

/// A bound socket, listening if its type has connections. A Unix socket's file goes with it.
#[derive(Debug)]
pub struct Server {
    socket: Socket,
    endpoint: Endpoint,
    // Declared after the socket: the file is removed when nobody can be accepted any more.
    file: Option<SocketFile>,
}

impl Server {
    /// The bound socket.
    #[must_use]
    pub const fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Where it really is: with the port that the kernel chose.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Takes the parts: the socket, and what removes a Unix socket's file when it is dropped.
    #[must_use]
    pub fn into_parts(self) -> (Socket, Endpoint, Option<SocketFile>) {
        (self.socket, self.endpoint, self.file)
    }
}

/// The file of a bound Unix socket; dropping this removes it, if it is still the same file.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> Option<Self> {
        let path = std::path::absolute(path).ok()?;
        let identity = identity(&path)?;
        Some(Self { path, identity })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have replaced the file by one of theirs: that one stays. A failure leaves
        // a stale file, which the next listener replaces.
        if identity(&self.path) == Some(self.identity) {
            drop(fs::remove_file(&self.path));
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Binds sockets at an endpoint, and makes them listen where its type has connections: one for
/// each address that the host has, or one for all addresses of the machine.
///
/// A TCP address can be taken again at once after its former owner has ended
/// (`SO_REUSEADDR`; connections in `TIME_WAIT` are no obstacle), but never while another socket
/// listens there. Of a Unix path, a file that a dead process left is replaced, one that somebody
/// listens at never.
///
/// # Errors
/// `EADDRINUSE` if somebody else is there; `EACCES`, `EADDRNOTAVAIL`, `ENOENT` as `bind` gives
/// them; [`Error::Resolve`] for an unknown host.
#[doc(alias = "create_server")]
pub fn create_servers(endpoint: &Endpoint) -> Result<Vec<Server>> {
    let transport = endpoint.transport();
    let mut addresses = endpoint.addresses(true)?;
    addresses.truncate(ADDRESSES_MAX);
    if endpoint.is_any() {
        return any_server(transport, &addresses).map(|server| vec![server]);
    }
    let mut servers: Vec<Server> = Vec::new();
    let mut lacking = None;
    for mut addr in addresses {
        // All addresses of one name get the port that was picked for the first.
        if let (Some(0), Some(first)) = (addr.port(), servers.first())
            && let Some(port) = first.socket.local_addr()?.port()
        {
            addr = addr.with_port(port);
        }
        match create_server(transport, &addr, None) {
            Ok(server) => servers.push(server),
            // A name may have an address of a family that this machine is not set up for.
            Err(error) if is_lacking(&error) => lacking = Some(error),
            Err(error) => return Err(error),
        }
    }
    match lacking {
        Some(error) if servers.is_empty() => Err(error),
        _ => Ok(servers),
    }
}

/// One socket for every address of the machine: dual-stack, or IPv4 where there is no IPv6.
fn any_server(transport: Transport, addresses: &[Addr]) -> Result<Server> {
    let mut last = None;
    for addr in addresses {
        match create_server(transport, addr, Some(false)) {
            Err(error) if is_lacking(&error) => last = Some(error),
            result => return result,
        }
    }
    Err(last.unwrap_or_else(|| Error::Invalid("there is no address to listen at".into())))
}

fn is_lacking(error: &Error) -> bool {
    matches!(error, Error::Unsupported(_))
        || matches!(
            error.errno(),
            Some(Errno::EADDRNOTAVAIL | Errno::EAFNOSUPPORT)
        )
}

/// Binds one socket at one address.
fn create_server(transport: Transport, addr: &Addr, v6_only: Option<bool>) -> Result<Server> {
    let kind = transport.kind();
    let socket = Socket::new(addr.family(), kind, Protocol::DEFAULT)?;
    if addr.family() == Family::INET6
        && let Some(v6_only) = v6_only
    {
        socket.set(opt::V6Only, v6_only)?;
    }
    // For datagrams this would let two programs share a port without noticing.
    if transport == Transport::Tcp {
        socket.set(opt::ReuseAddr, true)?;
    }
    let path = match addr {
        Addr::Unix(name) => name.as_path(),
        _ => None,
    };
    match path {
        Some(path) => bind_path(&socket, addr, path)?,
        None => socket.bind(addr)?,
    }
    let file = path.and_then(SocketFile::of);
    if kind.is_connected() {
        socket
            .listen(Socket::BACKLOG_DEFAULT)
            .map_err(|error| match error {
                Error::Os { errno, call, .. } => Error::at(call, errno, addr),
                error => error,
            })?;
    }
    let bound = socket.local_addr()?;
    let endpoint = Endpoint::from_addr(transport, &bound)
        .ok_or_else(|| Error::Invalid(format!("{bound} is no endpoint")))?;
    Ok(Server {
        socket,
        endpoint,
        file,
    })
}

/// Binds to a path; a socket file that nobody answers at any more is removed first.
fn bind_path(socket: &Socket, addr: &Addr, path: &Path) -> Result<()> {
    // Two listeners that start at once could each take the other's new file for a stale one. The
    // folder's lock keeps them apart; where it cannot be had, the old risk remains.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let lock = File::open(folder.unwrap_or(Path::new("."))).ok();
    let _held = lock.as_ref().map(File::try_lock);
    match socket.bind(addr) {
        Err(error) if error.errno() == Some(Errno::EADDRINUSE) => {
            if !is_stale(addr, path, socket.kind())? {
                return Err(error);
            }
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
                    return Err(Error::at("unlink", errno, addr));
                }
                _ => socket.bind(addr),
            }
        }
        result => result,
    }
}

/// True if the path is a socket's file whose socket is gone: connecting to it is refused.
fn is_stale(addr: &Addr, path: &Path, kind: Kind) -> Result<bool> {
    if fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
        return Err(Error::Invalid(format!(
            "{} exists and is no socket; it stays untouched",
            path.display()
        )));
    }
    let probe = Socket::new(Family::UNIX, kind, Protocol::DEFAULT)?;
    // A live listener with a full queue must not make the probe wait.
    probe.set_mode(crate::Mode::NonBlock)?;
    Ok(probe.connect_ex(addr)? == Some(Errno::ECONNREFUSED))
}
