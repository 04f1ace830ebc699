//! Sockets that others can call: bound, listening, and tidied up after.

use core::time::Duration;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::addr::Addr;
use crate::endpoint::{Endpoint, Transport};
use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::kinds::{Family, Kind, Protocol};
use crate::server_options::ServerOptions;
use crate::socket::Socket;
use crate::wait::{Deadline, Mode, nap};

/// Addresses of one host name that a listener takes at most.
pub const ADDRESSES_MAX: usize = 16;

/// How often a port is picked that shall be free at all addresses of a host name.
const PORT_PICKS_MAX: usize = 8;

/// How long a listener waits for others that are just taking a path in the same folder. They
/// hold the lock for a few system calls; who holds it longer is somebody else.
const FOLDER_LOCK_WAIT_MAX: Duration = Duration::from_secs(1);

/// A bound socket, listening if its type has connections. A Unix socket's file goes with it.
///
/// # References
/// bind(2), listen(2).
#[derive(Debug)]
pub struct Server {
    // Declared before the socket: as long as that listens, nobody takes the file for a stale one
    // and puts another in its place just when we remove it.
    file: Option<SocketFile>,
    socket: Socket,
    endpoint: Endpoint,
}

impl Server {
    /// The bound socket.
    #[must_use]
    pub const fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Where it really is: with the port that the kernel chose.
    ///
    /// # References
    /// getsockname(2).
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Takes the parts: the socket, and what removes a Unix socket's file when it is dropped;
    /// drop that one first.
    #[must_use]
    pub fn into_parts(self) -> (Socket, Endpoint, Option<SocketFile>) {
        (self.socket, self.endpoint, self.file)
    }
}

/// The file of a bound Unix socket; dropping this removes it, if it is still the same file.
///
/// # References
/// unix(7), unlink(2).
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
/// listens at never. [`ServerOptions::servers`] does the same with other choices.
///
/// # Errors
/// `EADDRINUSE` if somebody else is there; `EACCES`, `EADDRNOTAVAIL`, `ENOENT` as `bind` gives
/// them; [`Error::Resolve`] for an unknown host.
///
/// # References
/// bind(2), listen(2), getaddrinfo(3).
#[doc(alias = "create_server")]
pub fn create_servers(endpoint: &Endpoint) -> Result<Vec<Server>> {
    ServerOptions::new().servers(endpoint)
}

/// [`create_servers`] with choices.
pub(crate) fn servers(endpoint: &Endpoint, options: &ServerOptions) -> Result<Vec<Server>> {
    let transport = endpoint.transport();
    options.check(transport)?;
    let mut addresses = endpoint.addresses(true)?;
    addresses.truncate(ADDRESSES_MAX);
    if endpoint.is_any() && options.takes_both_families() {
        return first_server(transport, &addresses, options).map(|server| vec![server]);
    }
    if options.is_one() {
        return first_server(transport, &addresses, options).map(|server| vec![server]);
    }
    let mut picks = 1;
    loop {
        match servers_at(transport, &addresses, options) {
            // The port that was free at the first address is in use at another.
            Err(error)
                if error.errno() == Some(Errno::EADDRINUSE)
                    && addresses.iter().any(|addr| addr.port() == Some(0))
                    && picks < PORT_PICKS_MAX =>
            {
                picks += 1;
            }
            result => return result,
        }
    }
}

/// One socket for each address, all with one port.
fn servers_at(
    transport: Transport,
    addresses: &[Addr],
    options: &ServerOptions,
) -> Result<Vec<Server>> {
    let mut servers: Vec<Server> = Vec::new();
    let mut lacking = None;
    for addr in addresses {
        let mut addr = addr.clone();
        // All addresses of one name get the port that was picked for the first.
        if let (Some(0), Some(first)) = (addr.port(), servers.first())
            && let Some(port) = first.socket.local_addr()?.port()
        {
            addr = addr.with_port(port);
        }
        match server_at(transport, &addr, options) {
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

/// One socket at the first address that this machine is set up for: of the wildcards, dual-stack,
/// or IPv4 where there is no IPv6.
fn first_server(
    transport: Transport,
    addresses: &[Addr],
    options: &ServerOptions,
) -> Result<Server> {
    let mut last = None;
    for addr in addresses {
        match server_at(transport, addr, options) {
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
fn server_at(transport: Transport, addr: &Addr, options: &ServerOptions) -> Result<Server> {
    let kind = transport.kind();
    let socket = Socket::new(addr.family(), kind, Protocol::DEFAULT)?;
    options.apply(&socket)?;
    let path = match addr {
        Addr::Unix(name) => name.as_path(),
        _ => None,
    };
    // Two listeners that start at once could each take the other's new file for a stale one,
    // which it looks like until it listens. The folder's lock keeps them apart.
    let _held = path.and_then(lock_folder);
    match path {
        Some(path) => bind_path(&socket, addr, path)?,
        None => socket.bind(addr)?,
    }
    let file = path.and_then(SocketFile::of);
    options.listen(&socket, addr)?;
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
    match socket.bind(addr) {
        Err(error) if error.errno() == Some(Errno::EADDRINUSE) => {
            if !is_stale(addr, path, socket.kind())? {
                return Err(error);
            }
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
                    Err(Error::at("unlink", errno, addr))
                }
                _ => socket.bind(addr),
            }
        }
        result => result,
    }
}

/// The lock of a path's folder, held until the file is dropped. Where it cannot be had (a folder
/// that may not be read, a file system without locks, somebody who keeps it) there is none, and
/// the risk remains.
fn lock_folder(path: &Path) -> Option<File> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = OpenOptions::new()
        .read(true)
        // A named pipe in place of the folder would make this wait for a writer.
        .custom_flags(libc::O_DIRECTORY)
        .open(folder.unwrap_or(Path::new(".")))
        .ok()?;
    let deadline = Deadline::within(FOLDER_LOCK_WAIT_MAX);
    loop {
        match folder.try_lock() {
            Ok(()) => return Some(folder),
            Err(TryLockError::WouldBlock) if !deadline.has_passed() => nap(),
            Err(_) => return None,
        }
    }
}

/// True if the path is a socket's file whose socket is gone: connecting to it is refused. True
/// also if it has vanished meanwhile.
fn is_stale(addr: &Addr, path: &Path, kind: Kind) -> Result<bool> {
    if fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
        return Err(Error::Invalid(format!(
            "{} exists and is no socket; it stays untouched",
            path.display()
        )));
    }
    let probe = Socket::new(Family::UNIX, kind, Protocol::DEFAULT)?;
    // A live listener with a full queue must not make the probe wait.
    probe.set_mode(Mode::NonBlock)?;
    Ok(matches!(
        probe.connect_ex(addr)?,
        Some(Errno::ECONNREFUSED | Errno::ENOENT)
    ))
}
