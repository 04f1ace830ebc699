//! Descriptors that are no sockets.

use std::fs::File;
use std::io::{Seek, Write, pipe};
use std::time::Duration;

use switchboard_reactor::{READ_BYTES_MAX, Reactor};

use crate::support::{BACKENDS, Told, assert_idle, pattern, run};

/// A file with so many bytes, at its beginning.
fn file(bytes: usize) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&pattern(0, bytes)).unwrap();
    file.rewind().unwrap();
    file
}

#[test]
fn a_pipe_is_read_to_its_end() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let (reader, mut writer) = pipe().unwrap();
        let token = reactor.add_input(reader.into()).unwrap();
        writer.write_all(b"some").unwrap();
        let mut writer = Some(writer);
        let mut received = Vec::new();
        run(&mut reactor, |reactor, told| match told {
            Told::Received(source, bytes) => {
                assert_eq!(source, token);
                received.extend(bytes);
                // The last use drops it, which is the end.
                if let Some(mut writer) = writer.take() {
                    writer.write_all(b" more").unwrap();
                }
            }
            Told::Ended(_) => reactor.stop(),
            told => panic!("{told:?}"),
        });
        assert_eq!(received, b"some more");
        assert_idle(&mut reactor, Duration::from_millis(50));
        reactor.close(token);
        assert_eq!(reactor.sources(), 0);
    }
}

#[test]
fn files_are_read_in_turns_and_can_be_paused() {
    const BYTES: usize = 3 * READ_BYTES_MAX + 7;
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let first = reactor.add_input(file(BYTES).into()).unwrap();
        let second = reactor.add_input(file(BYTES).into()).unwrap();
        let mut received = [Vec::new(), Vec::new()];
        run(&mut reactor, |reactor, told| {
            let Told::Received(source, bytes) = told else {
                panic!("{told:?}")
            };
            received[usize::from(source == second)].extend(bytes);
            reactor.pause(source);
            if received.iter().all(|bytes| !bytes.is_empty()) {
                reactor.stop();
            }
        });
        assert_idle(&mut reactor, Duration::from_millis(100));
        reactor.resume(first);
        reactor.resume(second);
        let mut ended = 0;
        run(&mut reactor, |reactor, told| match told {
            Told::Received(source, bytes) => {
                received[usize::from(source == second)].extend(bytes);
                let [a, b] = [received[0].len(), received[1].len()];
                assert!(
                    a.abs_diff(b) <= READ_BYTES_MAX,
                    "{backend}: {a} and {b} bytes"
                );
            }
            Told::Ended(_) => {
                ended += 1;
                if ended == 2 {
                    reactor.stop();
                }
            }
            told => panic!("{told:?}"),
        });
        assert!(
            received.iter().all(|bytes| *bytes == pattern(0, BYTES)),
            "{backend}"
        );
        assert_idle(&mut reactor, Duration::from_millis(50));
    }
}

#[test]
fn a_file_may_be_closed_and_another_opened_while_it_is_read() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        for _ in 0..3 {
            reactor.add_input(file(10).into()).unwrap();
        }
        let (mut count, mut last) = (0, None);
        run(&mut reactor, |reactor, told| match told {
            Told::Received(source, _) if last == Some(source) => reactor.stop(),
            Told::Received(source, _) => {
                count += 1;
                reactor.close(source);
                if count == 3 {
                    last = Some(reactor.add_input(file(10).into()).unwrap());
                }
            }
            told => panic!("{told:?}"),
        });
        assert_eq!((count, reactor.sources()), (3, 1), "{backend}");
    }
}

#[test]
fn an_empty_device_ends_at_once() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        let null = File::open("/dev/null").unwrap();
        let token = reactor.add_input(null.into()).unwrap();
        run(&mut reactor, |reactor, told| match told {
            Told::Ended(source) => {
                assert_eq!(source, token);
                reactor.stop();
            }
            told => panic!("{told:?}"),
        });
        assert_idle(&mut reactor, Duration::from_millis(50));
    }
}

#[test]
fn an_input_that_cannot_be_read_is_given_up() {
    for backend in BACKENDS {
        let mut reactor = Reactor::new(backend).unwrap();
        reactor.add_input(File::open("/").unwrap().into()).unwrap();
        run(&mut reactor, |reactor, told| match told {
            Told::Closed(_, switchboard_reactor::Closed::Failed(error)) => {
                assert_eq!(error.errno(), Some(berkeley::Errno::EISDIR));
                reactor.stop();
            }
            told => panic!("{told:?}"),
        });
        assert_eq!(reactor.sources(), 0);
    }
}
