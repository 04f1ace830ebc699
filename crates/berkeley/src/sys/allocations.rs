//! Counts what the tests of this crate allocate: calls on the way of data shall allocate nothing.
#![expect(unsafe_code, reason = "an allocator that counts and passes on")]

use core::cell::Cell;
use std::alloc::{GlobalAlloc, Layout, System};

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: everything is passed on to the system's allocator, as it came; counting touches a plain
// number of the thread's own, which allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller's promises are those of this function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above; the memory came from there.
        unsafe { System.dealloc(place, layout) };
    }
}

/// How often `call` has allocated.
fn count(call: impl FnOnce()) -> usize {
    let before = COUNT.get();
    call();
    COUNT.get() - before
}

mod tests {
    use super::count;
    use crate::{Addr, Family, Kind, Mode, MsgFlags, Protocol, Socket};
    use core::time::Duration;
    use std::io::{IoSlice, IoSliceMut};

    #[test]
    fn an_allocation_is_counted() {
        assert_eq!(count(|| drop(core::hint::black_box(Box::new(7)))), 1);
    }

    fn make(kind: Kind) -> (Socket, Addr) {
        let socket = Socket::new(Family::INET, kind, Protocol::DEFAULT).unwrap();
        socket.bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = socket.local_addr().unwrap();
        (socket, addr)
    }

    #[test]
    fn calls_on_the_way_of_data_allocate_nothing() {
        let none = MsgFlags::NONE;
        for mode in [
            Mode::Block,
            Mode::NonBlock,
            Mode::Within(Duration::from_millis(5)),
        ] {
            let (server, addr) = make(Kind::STREAM);
            server.listen_default().unwrap();
            let client = Socket::new(Family::INET, Kind::STREAM, Protocol::DEFAULT).unwrap();
            let (datagrams, here) = make(Kind::DGRAM);
            datagrams.set_mode(mode).unwrap();
            let (a, b) = Socket::pair(Family::UNIX, Kind::STREAM).unwrap();
            a.set_mode(mode).unwrap();
            b.set_mode(mode).unwrap();
            let (mut buf, mut vec) = ([0; 64], Vec::with_capacity(64));
            let wait = || {
                // What would wait: refused, or given up at the limit.
                if mode != Mode::Block {
                    a.recv(&mut [0], none).unwrap_err();
                }
            };
            // The first wait of a thread makes what wakes it.
            wait();
            let allocated = count(|| {
                client.connect(&addr).unwrap();
                drop(server.accept_with(mode).unwrap());
                a.send(b"abc", none).unwrap();
                a.send_all(b"abc").unwrap();
                a.send_gathered(&[IoSlice::new(b"abcd")], none).unwrap();
                b.recv(&mut buf[..1], none).unwrap();
                b.recv_into(&mut buf[..1], none).unwrap();
                b.recv_scattered(&mut [IoSliceMut::new(&mut buf[..1])], none)
                    .unwrap();
                b.recv_into(&mut vec, none).unwrap();
                datagrams.send_to(b"abc", none, &here).unwrap();
                datagrams.send_to(b"abc", none, &here).unwrap();
                datagrams.recv_from(&mut buf, none).unwrap();
                datagrams.recv_from_into(&mut buf, none).unwrap();
                wait();
            });
            assert_eq!(allocated, 0, "{mode:?}");
            a.send_all(b"abc").unwrap();
            assert_eq!(count(|| drop(b.recv_vec(64, none).unwrap())), 1);
        }
    }
}
