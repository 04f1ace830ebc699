//! A member of a room by the line door, in plain `std::net`.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::PATIENCE;

/// A connection to the line door. Reading has [`PATIENCE`] and then panics.
#[derive(Debug)]
pub struct Member {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Member {
    /// Connects; the hub may not have noticed yet. [`crate::Hub::join`] waits for that too.
    #[track_caller]
    pub fn connect(door: SocketAddr) -> Self {
        Self::from_stream(TcpStream::connect(door).unwrap())
    }

    /// Takes over a connection.
    #[must_use]
    pub fn from_stream(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Self { stream, reader }
    }

    /// Its own address, as the others see it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// Another limit than [`PATIENCE`] for reading and writing.
    pub fn set_patience(&self, limit: Duration) {
        self.stream.set_read_timeout(Some(limit)).unwrap();
        self.stream.set_write_timeout(Some(limit)).unwrap();
    }

    /// Sends a line.
    #[track_caller]
    pub fn say(&mut self, line: &str) {
        self.send(format!("{line}\n").as_bytes());
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Says that nothing more will be sent; reading goes on.
    pub fn end(&self) {
        self.stream.shutdown(Shutdown::Write).ok();
    }

    /// The next line, its line feed taken off; `None` when the hub has closed the connection.
    #[track_caller]
    pub fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.reader.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) if line.pop() == Some(b'\n') => Some(String::from_utf8(line).unwrap()),
            Ok(_) => panic!("a torn line: {}", String::from_utf8_lossy(&line)),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) => panic!("no line came: {error}"),
        }
    }

    /// The next line that somebody said; notices before it are passed over.
    #[track_caller]
    pub fn text(&mut self) -> String {
        loop {
            let line = self.line().expect("the hub goes on");
            if !line.starts_with("* ") {
                return line;
            }
        }
    }

    /// The next notice (`* …`) with all of `texts` in it; any line before it is passed over.
    #[track_caller]
    pub fn notice(&mut self, texts: &[&str]) -> String {
        let mut passed = Vec::new();
        loop {
            let Some(line) = self.line() else {
                panic!("closed before {texts:?}: {passed:?}")
            };
            if line.starts_with("* ") && texts.iter().all(|text| line.contains(text)) {
                return line;
            }
            passed.push(line);
        }
    }

    /// Reads and throws away what comes next, for at most `limit`.
    ///
    /// # Errors
    /// `WouldBlock` when nothing came; else what is wrong with the connection.
    pub fn read_some(&mut self, limit: Duration) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(limit))?;
        let read = self.reader.read(&mut [0; 65_536]);
        self.stream.set_read_timeout(Some(PATIENCE))?;
        read
    }

    /// Waits until the hub closes the connection, cleanly or not; gives what came until then.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        if let Err(error) = self.reader.read_to_end(&mut rest) {
            let closed = error.kind() == ErrorKind::ConnectionReset;
            assert!(
                closed,
                "not closed: {error}; {}",
                String::from_utf8_lossy(&rest)
            );
        }
        rest
    }
}
