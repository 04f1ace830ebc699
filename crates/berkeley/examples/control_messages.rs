//! Descriptors beside data, by hand: the `send_fds` and `recv_fds` that the docs of Python's
//! `sendmsg` and `recvmsg` show. (`descriptor_passing` uses the library's own.)
//!
//! `cargo run -p berkeley --example control_messages`
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

use berkeley::{
    Cmsg, CmsgOut, ControlBuf, ControlOut, Family, Kind, MsgFlags, OutMessage, Result, Socket,
    control_space,
};

/// Bytes of one descriptor's number.
const FD_BYTES: usize = 4;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let (a, b) = Socket::pair(Family::UNIX, Kind::STREAM)?;
    let (near, far) = Socket::pair(Family::UNIX, Kind::STREAM)?;
    send_fds(&a, b"here you are", &[far.as_fd()])?;
    drop(far);

    let (text, fds) = recv_fds(&b, 20, 4)?;
    println!("{text}: {} descriptor", fds.len());
    near.send_all(b"it is open")?;
    drop(near);
    for fd in fds {
        let mut said = String::new();
        match File::from(fd).read_to_string(&mut said) {
            Ok(_) => println!("and {said}"),
            Err(error) => println!("and cannot be read: {error}"),
        }
    }
    Ok(())
}

fn send_fds(socket: &Socket, text: &[u8], fds: &[BorrowedFd<'_>]) -> Result<usize> {
    let control = ControlOut::of(&[CmsgOut::Rights(fds)])?;
    let pieces = [IoSlice::new(text)];
    socket.send_message(&OutMessage::new(&pieces).control(&control), MsgFlags::NONE)
}

fn recv_fds(socket: &Socket, len_max: usize, fds_max: usize) -> Result<(String, Vec<OwnedFd>)> {
    let room = control_space(fds_max * FD_BYTES).unwrap_or(0);
    let mut control = ControlBuf::with_capacity(room);
    let mut text = vec![0; len_max];
    let mut pieces = [IoSliceMut::new(&mut text)];
    let mut message = socket.recv_message(&mut pieces, &mut control, MsgFlags::NONE)?;
    let len = message.len();
    let mut fds = Vec::new();
    for item in message.control() {
        if let Cmsg::Rights(received) = item {
            fds.extend(received);
        }
    }
    text.truncate(len);
    Ok((String::from_utf8_lossy(&text).into_owned(), fds))
}
