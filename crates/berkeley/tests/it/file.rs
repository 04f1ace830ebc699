//! Sockets as files.

use std::io::{BufRead, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use berkeley::file::{Newline, TextReader, TextWriter, Utf8};
use berkeley::{Deadline, Kind, Mode, Socket};

use crate::support::{PATIENCE, assert_takes, is_nonblocking, receive, unix_pair};

const LIMIT: Duration = Duration::from_millis(50);

fn pair() -> (Arc<Socket>, Socket) {
    let (a, b) = unix_pair(Kind::STREAM);
    (Arc::new(a), b)
}

#[test]
fn the_socket_stays_open_until_its_last_view_is_closed() {
    let (socket, peer) = pair();
    let mut reader = socket.makefile().reader();
    let mut writer = socket.makefile();
    drop(socket);
    peer.send_all(b"hello\n").unwrap();
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "hello\n");
    drop(reader);
    writer.write_all(b"still here").unwrap();
    assert_eq!(receive(&peer), b"still here");
    writer.close().unwrap();
    assert_eq!(receive(&peer), b"");
}

#[test]
fn both_directions_have_their_buffers() {
    let (socket, peer) = pair();
    let mut both = socket.makefile().both();
    drop(socket);
    both.write_all(b"buf").unwrap();
    both.write_all(b"fered").unwrap();
    peer.set_mode(Mode::NonBlock).unwrap();
    let mut buf = [0; 64];
    let early = peer.recv(&mut buf, berkeley::MsgFlags::NONE);
    assert!(early.unwrap_err().is_would_block());
    both.flush().unwrap();
    assert_eq!(receive(&peer), b"buffered");
    peer.send_all(b"one\ntwo\nthree").unwrap();
    let mut line = Vec::new();
    both.read_until(b'\n', &mut line).unwrap();
    assert_eq!(line, b"one\n");
    both.write_all(b"last words").unwrap();
    both.close().unwrap();
    assert_eq!(receive(&peer), b"last words");
    assert!(matches!(
        peer.recv(&mut buf, berkeley::MsgFlags::NONE),
        Ok(0) | Err(_)
    ));
}

#[test]
fn a_view_that_timed_out_reads_no_more_unless_it_may() {
    let limit = Mode::Within(Duration::from_millis(20));
    let (socket, peer) = pair();
    socket.set_mode(limit).unwrap();
    let mut reader = socket.makefile().reader();
    peer.send_all(b"half a ").unwrap();
    let mut line = Vec::new();
    let error = reader.read_until(b'\n', &mut line).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(reader.get_ref().has_timed_out());
    peer.send_all(b"line\n").unwrap();
    let error = reader.read_until(b'\n', &mut line).unwrap_err();
    assert_eq!(error.to_string(), "cannot read from timed out object");
    // Writing goes on.
    reader.get_mut().write_all(b"x").unwrap();
    assert_eq!(receive(&peer), b"x");

    let (socket, peer) = pair();
    socket.set_mode(limit).unwrap();
    let mut reader = socket.makefile().resumable().reader();
    peer.send_all(b"half a ").unwrap();
    let mut line = Vec::new();
    assert!(reader.read_until(b'\n', &mut line).is_err());
    peer.send_all(b"line\n").unwrap();
    reader.read_until(b'\n', &mut line).unwrap();
    assert_eq!(line, b"half a line\n");

    // Lines of text keep their beginning themselves.
    let mut text = socket.makefile().resumable().text();
    peer.send_all(b"half a ").unwrap();
    assert!(text.read_line().is_err());
    peer.send_all(b"line\n").unwrap();
    assert_eq!(text.read_line().unwrap().unwrap(), "half a line\n");
}

#[test]
fn lines_end_as_python_has_it() {
    let data = "a\nb\r\nc\rd\r\r\ne";
    let python = [
        (
            Newline::Universal,
            vec!["a\n", "b\n", "c\n", "d\n", "\n", "e"],
        ),
        (
            Newline::Keep,
            vec!["a\n", "b\r\n", "c\r", "d\r", "\r\n", "e"],
        ),
        (Newline::Lf, vec!["a\n", "b\r\n", "c\rd\r\r\n", "e"]),
        (Newline::Cr, vec!["a\nb\r", "\nc\r", "d\r", "\r", "\ne"]),
        (Newline::CrLf, vec!["a\nb\r\n", "c\rd\r\r\n", "e"]),
    ];
    for (newline, expected) in python {
        // However the bytes are cut.
        for size in 1..data.len() {
            let cut = std::io::BufReader::with_capacity(size, data.as_bytes());
            let mut reader = TextReader::new(cut).newline(newline);
            let lines: Result<Vec<_>, _> = reader.lines().collect();
            assert_eq!(lines.unwrap(), expected, "{newline:?} by {size}");
        }
    }
    for (newline, expected) in [
        (Newline::Universal, "a\nb\n\nc"),
        (Newline::Lf, "a\nb\n\nc"),
        (Newline::Cr, "a\rb\r\rc"),
        (Newline::CrLf, "a\r\nb\r\n\r\nc"),
    ] {
        let mut writer = TextWriter::new(Vec::new()).newline(newline);
        writer.write_text("a\nb\n\nc").unwrap();
        assert_eq!(writer.into_inner(), expected.as_bytes());
    }
}

#[test]
fn text_is_utf8_or_an_error_or_replaced() {
    let data = b"gr\xc3\xbc\xc3\x9fe\nb\xffd\nrest";
    let mut strict = TextReader::new(&data[..]);
    assert_eq!(strict.read_line().unwrap().unwrap(), "gr\u{fc}\u{df}e\n");
    let error = strict.read_line().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(strict.read_all().unwrap(), "rest");
    let mut kind = TextReader::new(&data[..]).utf8(Utf8::Replace);
    assert!(kind.read_all().unwrap().contains("b\u{fffd}d\n"));
    let mut short = TextReader::new(&b"12345678\n"[..]).line_bytes_max(4);
    assert_eq!(
        short.read_line().unwrap_err().kind(),
        ErrorKind::InvalidData
    );
}

#[test]
fn a_text_file_speaks_in_lines() {
    let (socket, peer) = pair();
    let mut text = socket
        .makefile()
        .text()
        .newline(Newline::CrLf)
        .line_buffered();
    drop(socket);
    text.write_text("hello\n").unwrap();
    assert_eq!(receive(&peer), b"hello\r\n");
    peer.send_all(b"answer\r\nend").unwrap();
    peer.shutdown(berkeley::Shutdown::WRITE).unwrap();
    assert_eq!(text.read_line().unwrap().unwrap(), "answer\r\n");
    assert_eq!(text.lines().next().unwrap().unwrap(), "end");
    assert_eq!(text.read_line().unwrap(), None);
    text.close().unwrap();

    // A carriage return ends a line at once, without a look at what follows.
    let (socket, peer) = pair();
    let mut text = socket.makefile().text();
    peer.send_all(b"now\r").unwrap();
    assert_eq!(text.read_line().unwrap().unwrap(), "now\n");
    peer.send_all(b"\nthen\n").unwrap();
    assert_eq!(text.read_line().unwrap().unwrap(), "then\n");
}

#[test]
fn an_unbuffered_view_is_one_call_each() {
    let (socket, peer) = pair();
    let mut view = socket.makefile();
    view.write_all(b"a").unwrap();
    assert_eq!(receive(&peer), b"a");
    peer.send_all(b"xyz").unwrap();
    let mut buf = [0; 2];
    assert_eq!(view.read(&mut buf).unwrap(), 2);
    assert!(Arc::ptr_eq(view.socket(), &socket));
}

#[test]
fn a_deadline_of_a_view_bounds_all_its_reads_and_writes_together() {
    for mode in [Mode::Block, Mode::NonBlock, Mode::Within(PATIENCE)] {
        let (socket, peer) = pair();
        socket.set_mode(mode).unwrap();
        assert_takes(LIMIT, || {
            let mut view = socket.makefile().until(Deadline::within(LIMIT));
            peer.send_all(b"half a").unwrap();
            let mut lines = Read::by_ref(&mut view).take(100);
            let error = lines.read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert!(view.has_timed_out());
            let error = view.write_all(&[0; 1 << 22]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
        });
        assert_eq!(is_nonblocking(&socket), mode != Mode::Block, "as it was");
    }
    let (socket, peer) = pair();
    let mut reader = socket.makefile().until(Deadline::within(LIMIT)).reader();
    reader.get_mut().set_deadline(None);
    peer.send_all(b"x").unwrap();
    reader.read_exact(&mut [0]).unwrap();
}

#[test]
fn a_socket_is_a_reader_and_a_writer_by_value_too() {
    fn exchange(mut from: impl Write, mut to: impl Read) -> Vec<u8> {
        let pieces = [IoSlice::new(b"one "), IoSlice::new(b"two")];
        assert_eq!(from.write_vectored(&pieces).unwrap(), 7);
        from.flush().unwrap();
        drop(from);
        let (mut a, mut b) = ([0; 2], [0; 3]);
        let mut buffers = [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
        assert_eq!(to.read_vectored(&mut buffers).unwrap(), 5);
        let mut all = [&a[..], &b].concat();
        to.read_to_end(&mut all).unwrap();
        all
    }
    let (a, b) = unix_pair(Kind::STREAM);
    assert_eq!(exchange(a, b), b"one two");
    let (a, b) = unix_pair(Kind::STREAM);
    let written = std::io::copy(&mut &b"copied"[..], &mut &a).unwrap();
    assert_eq!((written, receive(&b)), (6, b"copied".to_vec()));
}
