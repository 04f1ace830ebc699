//! Calls on the way of data allocate nothing.

use super::counting::{count, held};
use crate::{
    Addr, AddrBuf, ControlSpace, Family, Kind, Mode, MsgFlags, OutMessage, Protocol, RecvBatch,
    Socket, UnixAddr,
};
use core::time::Duration;
use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[test]
fn what_is_allocated_is_counted_until_it_is_given_back() {
    let (mut kept, mut count_of_both) = (None, 0);
    let bytes = held(|| {
        count_of_both = count(|| {
            drop(core::hint::black_box(Box::new([7_u8; 5])));
            kept = Some(core::hint::black_box(Box::new([7_u8; 9])));
        });
    });
    assert_eq!((count_of_both, bytes), (2, 9));
    assert_eq!(held(|| kept = None), -9);
}

fn make(kind: Kind) -> (Socket, Addr) {
    let socket = Socket::new(Family::INET, kind, Protocol::DEFAULT).unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
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

fn bound(ip: IpAddr, kind: Kind) -> (Socket, Addr) {
    let family = match ip {
        IpAddr::V4(_) => Family::INET,
        IpAddr::V6(_) => Family::INET6,
    };
    let socket = Socket::new(family, kind, Protocol::DEFAULT).unwrap();
    socket.bind((ip, 0)).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

#[test]
fn calls_with_internet_addresses_allocate_nothing() {
    let none = MsgFlags::NONE;
    let ips = [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        Ipv6Addr::LOCALHOST.into(),
    ];
    for (ip, mode) in ips
        .into_iter()
        .flat_map(|ip| [(ip, Mode::Block), (ip, Mode::NonBlock)])
    {
        let (server, addr) = bound(ip, Kind::STREAM);
        server.listen_default().unwrap();
        let clients = [(); 2].map(|()| {
            let client = Socket::new(server.family(), Kind::STREAM, Protocol::DEFAULT).unwrap();
            client.connect(&addr).unwrap();
            client
        });
        let (near, here) = bound(ip, Kind::DGRAM);
        server.set_mode(mode).unwrap();
        near.set_mode(mode).unwrap();
        let (mut buf, mut sender) = ([0; 64], AddrBuf::new());
        let mut space = ControlSpace::<64>::new();
        let mut control = space.buf();
        let mut batch = RecvBatch::new(4, 64, 0);
        let pieces = [IoSlice::new(b"abc")];
        let message = OutMessage::new(&pieces).to(&here);
        let allocated = count(|| {
            let (_accepted, peer) = server.accept().unwrap();
            assert_eq!(peer.unwrap().family(), server.family());
            server.accept_addr(mode, &mut sender).unwrap();
            assert_eq!(sender.family(), Some(server.family()));
            near.send_to(b"abc", none, &here).unwrap();
            near.recv_addr(&mut buf, none, &mut sender).unwrap();
            near.send_to(b"abc", none, &sender).unwrap();
            assert_eq!(near.recv_from(&mut buf, none).unwrap(), (3, sender.addr()));
            near.send_message(&message, none).unwrap();
            let mut buffers = [IoSliceMut::new(&mut buf)];
            let came = near.recv_message(&mut buffers, &mut control, none).unwrap();
            assert_eq!(came.addr(), sender.addr());
            assert_eq!(near.send_batch(&[message, message], none).unwrap(), 2);
            near.recv_batch(&mut batch, none).unwrap();
            assert!(batch.messages().all(|came| came.addr() == sender.addr()));
        });
        assert_eq!(allocated, 0, "{ip} {mode:?}");
        drop(clients);
    }
}

#[test]
fn a_unix_name_of_any_length_is_received_without_allocating() {
    let none = MsgFlags::NONE;
    let long = format!("{:n<107}", std::process::id());
    let long = UnixAddr::abstract_name(long.as_bytes()).unwrap();
    for name in [UnixAddr::unnamed(), long] {
        let (a, b) = Socket::pair(Family::UNIX, Kind::DGRAM).unwrap();
        a.bind(&name).unwrap();
        let name = a.local_addr().unwrap();
        let mut sender = AddrBuf::new();
        let allocated = count(|| {
            a.send(b"abc", none).unwrap();
            b.recv_addr(&mut [0; 3], none, &mut sender).unwrap();
        });
        assert_eq!(allocated, 0);
        assert_eq!(sender.addr(), Some(name));
    }
}
