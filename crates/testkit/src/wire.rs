//! The wire formats, written once more from the design and not from our own code.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
use serde_json::json;

use crate::PATIENCE;

/// A signed 32-bit little-endian length, then the bytes.
#[must_use]
pub fn frame(bytes: &[u8]) -> Vec<u8> {
    let len = i32::try_from(bytes.len()).unwrap();
    [&len.to_le_bytes(), bytes].concat()
}

/// The parcel that carries a message.
#[must_use]
pub fn message(text: &str) -> Vec<u8> {
    let header = json!({"msg_type": "msg"}).to_string();
    [frame(header.as_bytes()), frame(text.as_bytes())].concat()
}

/// The parcel that carries a file.
#[must_use]
pub fn file(name: &str, bytes: &[u8]) -> Vec<u8> {
    [file_header(name), frame(bytes)].concat()
}

/// The header frame of a file's parcel.
#[must_use]
pub fn file_header(name: &str) -> Vec<u8> {
    frame(
        json!({"msg_type": "file", "file_name": name})
            .to_string()
            .as_bytes(),
    )
}

/// The frame that ends a conversation.
#[must_use]
pub fn close() -> Vec<u8> {
    frame(b"close")
}

/// Sends bytes, ends the stream, and gives all that comes back until the other side closes.
///
/// # Errors
/// When the connection is reset or not closed in time.
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = open(address)?;
    stream.write_all(bytes)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// A TCP connection on which reading and writing have [`PATIENCE`].
///
/// # Errors
/// When nobody answers.
pub fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// A TCP connection from one of this machine's other addresses.
///
/// # Errors
/// When the address is not this machine's, or nobody answers.
pub fn connect_from(from: IpAddr, address: SocketAddr) -> io::Result<TcpStream> {
    let family = if from.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    // Not for the programs that tests start meanwhile, which would keep it open.
    let fd = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&fd, &SocketAddr::new(from, 0))?;
    connect(&fd, &address)?;
    Ok(fd.into())
}

/// Closes a connection by a reset instead of an end.
pub fn reset(stream: TcpStream) {
    // socket(7) SO_LINGER: a close with a zero linger time discards what is unsent and resets.
    set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// Waits until the other side has closed the connection, cleanly or not; gives what came.
#[track_caller]
pub fn wait_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    if let Err(error) = stream.read_to_end(&mut rest) {
        let closed = matches!(
            error.kind(),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        );
        assert!(closed, "not closed: {error}");
    }
    rest
}

/// Sends one datagram and gives the answer to it.
///
/// A receiver without a socket yet is not waited for: there has to be one.
#[track_caller]
pub fn ask(address: SocketAddr, question: &[u8]) -> Vec<u8> {
    let local = if address.is_ipv4() {
        "127.0.0.1:0"
    } else {
        "[::1]:0"
    };
    let socket = UdpSocket::bind(local).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    socket.send_to(question, address).unwrap();
    let mut answer = vec![0; 65_536];
    let (len, from) = socket.recv_from(&mut answer).unwrap_or_else(|error| {
        panic!(
            "no answer to {:?}: {error}",
            String::from_utf8_lossy(question)
        )
    });
    assert_eq!(from, address, "somebody else answered");
    answer.truncate(len);
    answer
}

#[cfg(test)]
mod tests {
    use super::{close, file_header, frame};

    #[test]
    fn frames_are_as_python_packs_them() {
        // struct.pack('i', 5) + b'close'
        assert_eq!(close(), b"\x05\0\0\0close");
        assert_eq!(frame(b""), [0; 4]);
        assert!(file_header("图.png").ends_with("图.png\",\"msg_type\":\"file\"}".as_bytes()));
    }
}
