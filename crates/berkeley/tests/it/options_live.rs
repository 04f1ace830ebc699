//! Options that show only in what a socket does: figures of a connection, filters, groups.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use berkeley::opt::filter::Instruction;
use berkeley::opt::multicast::{FilterMode, Interface};
use berkeley::opt::tcp::TcpState;
use berkeley::opt::{self, GetOpt};
use berkeley::{Addr, Errno, Error, Family, Kind, Mode, MsgFlags, Protocol, Socket};

use crate::support::{
    PATIENCE, await_readable, inet, listener, receive, tcp, tcp_pair, udp, unix_pair,
};

#[test]
fn tcp_info_tells_how_a_connection_is_doing() {
    let (a, b) = tcp_pair();
    a.send_all(&[7; 10_000]).unwrap();
    let mut buf = [0; 10_000];
    let mut count = 0;
    while count < buf.len() {
        count += b.recv(&mut buf[count..], MsgFlags::NONE).unwrap();
    }
    b.send_all(b"answer").unwrap();
    receive(&a);
    let (sent, received) = (
        a.get(opt::tcp::Info).unwrap(),
        b.get(opt::tcp::Info).unwrap(),
    );
    assert_eq!(sent.state, TcpState::ESTABLISHED);
    assert!(
        sent.rtt > Duration::ZERO && sent.rtt < Duration::from_secs(5),
        "{sent:?}"
    );
    assert!(
        sent.rto >= Duration::from_millis(1) && sent.send_mss >= 500,
        "{sent:?}"
    );
    assert!(sent.send_cwnd >= 1 && sent.path_mtu >= 1500, "{sent:?}");
    assert!(
        sent.recv_window_scale <= 14 && sent.send_window_scale <= 14,
        "{sent:?}"
    );
    // The kernel says how much it wrote: what is there has to be right.
    if let Some(bytes) = sent.bytes_acked {
        assert!((10_000..10_100).contains(&bytes), "{bytes}");
    }
    assert!(
        sent.bytes_sent.is_none_or(|bytes| bytes >= 10_000),
        "{sent:?}"
    );
    assert!(
        sent.bytes_received.is_none_or(|bytes| bytes == 6),
        "{sent:?}"
    );
    assert!(
        received.bytes_received.is_none_or(|bytes| bytes == 10_000),
        "{received:?}"
    );
    assert!(
        sent.data_segments_out.is_none_or(|count| count > 0),
        "{sent:?}"
    );
    assert!(
        sent.min_rtt.is_none_or(|time| time <= sent.rtt * 2),
        "{sent:?}"
    );
    assert!(sent.send_window.is_none_or(|bytes| bytes > 0), "{sent:?}");

    let (listening, _) = listener(7);
    let info = listening.get(opt::tcp::Info).unwrap();
    assert_eq!((info.state, info.sacked), (TcpState::LISTEN, 7));
}

#[test]
fn mptcp_info_tells_of_a_connection_of_several_paths() {
    let protocol = Protocol::from_raw(libc::IPPROTO_MPTCP);
    let (Ok(server), Ok(client)) = (
        Socket::new(Family::INET, Kind::STREAM, protocol),
        Socket::new(Family::INET, Kind::STREAM, protocol),
    ) else {
        eprintln!("skipped: needs MPTCP");
        return;
    };
    server.bind(&inet("127.0.0.1:0")).unwrap();
    server.listen(1).unwrap();
    client.connect(&server.local_addr().unwrap()).unwrap();
    let (peer, _) = server.accept().unwrap();
    client.send_all(b"hello").unwrap();
    receive(&peer);
    assert!(client.get(opt::tcp::IsMptcp).unwrap());
    let info = client.get(opt::mptcp::Info).unwrap();
    assert_ne!(info.token, 0, "{info:?}");
    assert!(info.bytes_sent.is_none_or(|bytes| bytes == 5), "{info:?}");

    // With a peer that speaks TCP only, the connection falls back, and says so.
    let (plain, addr) = listener(1);
    let client = Socket::new(Family::INET, Kind::STREAM, protocol).unwrap();
    client.connect(&addr).unwrap();
    let _peer = plain.accept().unwrap();
    assert!(!client.get(opt::tcp::IsMptcp).unwrap());
}

#[test]
fn a_listener_that_saves_the_first_segment_gives_it_once() {
    let (server, addr) = listener(1);
    server.set(opt::tcp::SaveSyn, 1).unwrap();
    let client = tcp();
    client.connect(&addr).unwrap();
    let (peer, _) = server.accept().unwrap();
    let segment = peer.get(opt::tcp::SavedSyn).unwrap();
    // A header of IPv4 without options, and the port of the listener in that of TCP.
    assert_eq!(segment[0], 0x45);
    assert_eq!(segment[22..24], addr.port().unwrap().to_be_bytes());
    assert_eq!(peer.get(opt::tcp::SavedSyn).unwrap(), b"");
}

#[test]
fn the_descriptor_of_a_peers_process_is_its_own() {
    let (a, _b) = unix_pair(Kind::STREAM);
    let process = match a.peer_pidfd() {
        Ok(process) => process,
        Err(error) => {
            eprintln!("skipped: needs SO_PEERPIDFD: {error}");
            return;
        }
    };
    let fd = std::os::fd::AsRawFd::as_raw_fd(&process);
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
    let line = format!("Pid:\t{}", std::process::id());
    assert!(info.contains(&line), "{info}");
}

/// Takes what begins with a byte, and nothing else: the header of UDP has eight bytes.
fn only(byte: u8) -> [Instruction; 4] {
    [
        Instruction::load_byte(8),
        Instruction::jump_equal(byte.into(), 0, 1),
        Instruction::ret(u32::MAX),
        Instruction::ret(0),
    ]
}

#[test]
fn a_filter_chooses_what_comes() {
    let (socket, addr) = udp();
    let (sender, _) = udp();
    assert_eq!(socket.filter().unwrap(), []);
    socket.attach_filter(&only(b'y')).unwrap();
    assert_eq!(socket.filter().unwrap(), only(b'y'));
    for text in [b"no", b"y1", b"no", b"y2"] {
        sender.send_to(text, MsgFlags::NONE, &addr).unwrap();
    }
    assert_eq!(receive(&socket), b"y1");
    assert_eq!(receive(&socket), b"y2");

    socket.set(opt::DetachFilter, ()).unwrap();
    assert_eq!(socket.filter().unwrap(), []);
    sender.send_to(b"no", MsgFlags::NONE, &addr).unwrap();
    assert_eq!(receive(&socket), b"no");

    socket.attach_filter(&only(b'y')).unwrap();
    socket.set(opt::LockFilter, true).unwrap();
    let error = socket.attach_filter(&only(b'n')).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EPERM));
    assert_eq!(
        socket.attach_filter(&[]).unwrap_err().errno(),
        Some(Errno::EPERM)
    );
}

#[test]
fn a_filter_never_writes_beyond_the_room_that_is_there() {
    // SO_GET_FILTER counts in instructions where all others count in bytes.
    let (socket, _) = udp();
    socket.attach_filter(&only(b'y')).unwrap();
    let mut room = [0xee; 64];
    let name = libc::SO_ATTACH_FILTER;
    let (few, rest) = room.split_at_mut(24);
    assert!(socket.get_raw(berkeley::Level::SOCKET, name, few).is_err());
    assert!(rest.iter().all(|byte| *byte == 0xee));
    let len = socket
        .get_raw(berkeley::Level::SOCKET, name, &mut room)
        .unwrap();
    assert_eq!(len, 32);
    assert_eq!(room[..4], [0x30, 0, 0, 0]);
    assert!(room[32..].iter().all(|byte| *byte == 0xee));
}

#[test]
fn a_filter_chooses_the_socket_of_a_group() {
    let first = Socket::new(Family::INET, Kind::DGRAM, Protocol::DEFAULT).unwrap();
    first.set(opt::ReusePort, true).unwrap();
    first.bind(&inet("127.0.0.1:0")).unwrap();
    let addr = first.local_addr().unwrap();
    let second = Socket::new(Family::INET, Kind::DGRAM, Protocol::DEFAULT).unwrap();
    second.set(opt::ReusePort, true).unwrap();
    second.bind(&addr).unwrap();
    second
        .attach_reuse_port_filter(&[Instruction::ret(1)])
        .unwrap();
    for _ in 0..8 {
        // Another port each time: without the program, half of them would go elsewhere.
        udp().0.send_to(b"x", MsgFlags::NONE, &addr).unwrap();
    }
    second.set_mode(Mode::Within(PATIENCE)).unwrap();
    for _ in 0..8 {
        assert_eq!(receive(&second), b"x");
    }
    second.set(opt::DetachReusePort, ()).unwrap();
}

#[test]
fn a_list_longer_than_the_first_room_is_read_on_the_second_try() {
    struct Groups;
    impl opt::SockOpt for Groups {
        const LEVEL: berkeley::Level = berkeley::Level::SOCKET;
        const NAME: i32 = libc::SO_PEERGROUPS;
        const LABEL: &'static str = "SO_PEERGROUPS";
        type Value = usize;
    }
    impl GetOpt for Groups {
        const BYTES: usize = 0;
        const BYTES_MAX: usize = 65_536 * 4;
        fn decode(bytes: &[u8]) -> Option<usize> {
            Some(bytes.len() / 4)
        }
    }
    let (a, _b) = unix_pair(Kind::STREAM);
    let whole = a.get(opt::PeerGroups).unwrap();
    assert_eq!(a.get(Groups).unwrap(), whole.len());
}

#[test]
fn ipv6_groups_want_an_index() {
    let socket = udp().0;
    let error = socket
        .join_group(
            "ff02::1".parse().unwrap(),
            Interface::Addr([127, 0, 0, 1].into()),
        )
        .unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
}

#[test]
fn a_list_of_sources_is_read_back() {
    let socket = udp().0;
    let group = "232.1.2.3".parse().unwrap();
    let source = |text: &str| -> IpAddr { text.parse().unwrap() };
    let here = Interface::Index(1);
    socket
        .join_source(group, source("192.0.2.1"), here)
        .unwrap();
    socket
        .join_source(group, source("192.0.2.2"), here)
        .unwrap();
    let (mode, mut sources) = socket.source_filter(group, here, 8).unwrap();
    sources.sort();
    assert_eq!(mode, FilterMode::INCLUDE);
    assert_eq!(sources, [source("192.0.2.1"), source("192.0.2.2")]);
    let (_, few) = socket.source_filter(group, here, 1).unwrap();
    assert_eq!(few.len(), 1);
    let blocked = [source("192.0.2.9")];
    socket
        .set_source_filter(group, here, FilterMode::EXCLUDE, &blocked)
        .unwrap();
    let (mode, sources) = socket.source_filter(group, here, 8).unwrap();
    assert_eq!((mode, &sources[..]), (FilterMode::EXCLUDE, &blocked[..]));
    socket.leave_group(group, here).unwrap();
    let error = socket.leave_group(group, here).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EADDRNOTAVAIL));
}

/// Two interfaces that belong to this test alone, `t0` and `t1`, with two addresses of each
/// family: 10.77.N.1, 10.77.N.2, fd77:N::1 and fd77:N::2.
const NAMESPACE: &str = "\
    ip link set lo up || exit 9
    ip link add t0 type veth peer name p0 && ip link add t1 type veth peer name p1 || \
    { ip tuntap add t0 mode tap && ip tuntap add t1 mode tap; } || exit 9
    ip link set p0 up 2>/dev/null; ip link set p1 up 2>/dev/null
    for n in 0 1; do
        ip addr add 10.77.$n.1/24 dev t$n || exit 9
        ip addr add 10.77.$n.2/24 dev t$n || exit 9
        ip -6 addr add fd77:$n::1/64 dev t$n nodad || exit 9
        ip -6 addr add fd77:$n::2/64 dev t$n nodad || exit 9
        ip link set t$n up || exit 9
    done
    BERKELEY_NAMESPACE=t exec \"$0\" --exact options_live::inside_the_namespace --nocapture";

#[test]
fn privileged_groups_deliver_by_interface_and_by_source() {
    let output = Command::new("unshare")
        .args(["-n", "sh", "-c", NAMESPACE])
        .arg(std::env::current_exe().unwrap())
        .output();
    let output = match output {
        Ok(output) if !matches!(output.status.code(), Some(1 | 9)) => output,
        other => {
            eprintln!("skipped: needs root, ip and two interfaces of its own: {other:?}");
            return;
        }
    };
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains(DELIVERED), "{text}");
}

/// The rest of the test above, in the network namespace that it made; nothing anywhere else.
#[test]
fn inside_the_namespace() {
    if std::env::var_os("BERKELEY_NAMESPACE").is_none() {
        return;
    }
    for (groups, sources) in [
        (
            ["239.7.7.7", "232.7.7.7"],
            ["10.77.0.1", "10.77.0.2", "10.77.1.1"],
        ),
        (
            ["ff15::77", "ff35::77"],
            ["fd77:0::1", "fd77:0::2", "fd77:1::1"],
        ),
    ] {
        let [any, specific] = groups.map(|text| text.parse::<IpAddr>().unwrap());
        let [one, two, elsewhere] = sources.map(Sender::at);
        by_interface(any, &one, &elsewhere);
        by_source(specific, &one, &two);
        by_block(any, &one, &two);
    }
    by_address();
    eprintln!("{DELIVERED}");
}

/// What the inner test says in the end.
const DELIVERED: &str = "all groups were delivered";

/// Sends to groups from one address of one interface.
struct Sender {
    socket: Socket,
    addr: IpAddr,
    index: u32,
}

impl Sender {
    fn at(addr: &str) -> Self {
        let addr: IpAddr = addr.parse().unwrap();
        let name = match addr {
            IpAddr::V4(addr) => addr.octets()[2],
            IpAddr::V6(addr) => addr.octets()[3],
        };
        let path = format!("/sys/class/net/t{name}/ifindex");
        let index = std::fs::read_to_string(path).map_or_else(
            // sysfs may still be that of the namespace outside.
            |_| index_by_command(&format!("t{name}")),
            |text| text.trim().parse().unwrap(),
        );
        let family = Addr::from(SocketAddr::new(addr, 0)).family();
        let socket = Socket::new(family, Kind::DGRAM, Protocol::DEFAULT).unwrap();
        socket.bind(SocketAddr::new(addr, 0)).unwrap();
        socket
            .set_multicast_interface(Interface::Index(index))
            .unwrap();
        Self {
            socket,
            addr,
            index,
        }
    }

    fn interface(&self) -> Interface {
        Interface::Index(self.index)
    }

    fn send(&self, group: IpAddr, port: u16, text: &str) {
        let target = SocketAddr::new(group, port);
        let len = self.socket.send_to(text.as_bytes(), MsgFlags::NONE, target);
        assert_eq!(len.unwrap(), text.len());
    }
}

fn index_by_command(name: &str) -> u32 {
    let output = Command::new("ip")
        .args(["-o", "link", "show", name])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split(':').next().unwrap().trim().parse().unwrap()
}

/// A socket that takes only what its own memberships bring, and its port.
fn receiver(group: IpAddr) -> (Socket, u16) {
    let family = Addr::from(SocketAddr::new(group, 0)).family();
    let socket = Socket::new(family, Kind::DGRAM, Protocol::DEFAULT).unwrap();
    if group.is_ipv4() {
        socket.set(opt::ip::MulticastAll, false).unwrap();
    } else {
        socket.set(opt::ipv6::MulticastAll, false).unwrap();
    }
    socket.bind(&Addr::any(family, 0).unwrap()).unwrap();
    socket.set_mode(Mode::Within(PATIENCE)).unwrap();
    let port = socket.local_addr().unwrap().port().unwrap();
    (socket, port)
}

/// What the kernel delivers, it has delivered when the send returns (the group is on the same
/// machine), so what did not come by then does not come.
fn assert_nothing(socket: &Socket) {
    let mut buf = [0; 64];
    let found = socket.recv(&mut buf, MsgFlags::DONTWAIT);
    assert!(found.is_err_and(|error| error.is_would_block()), "{buf:?}");
}

fn assert_comes(socket: &Socket, text: &str) {
    await_readable(socket);
    assert_eq!(receive(socket), text.as_bytes());
}

fn by_interface(group: IpAddr, here: &Sender, elsewhere: &Sender) {
    let (socket, port) = receiver(group);
    here.send(group, port, "early");
    socket.join_group(group, here.interface()).unwrap();
    let twice = socket.join_group(group, here.interface()).unwrap_err();
    assert_eq!(twice.errno(), Some(Errno::EADDRINUSE));
    elsewhere.send(group, port, "elsewhere");
    here.send(group, port, "here");
    assert_comes(&socket, "here");
    socket.join_group(group, elsewhere.interface()).unwrap();
    elsewhere.send(group, port, "elsewhere");
    assert_comes(&socket, "elsewhere");
    socket.leave_group(group, here.interface()).unwrap();
    here.send(group, port, "late");
    elsewhere.send(group, port, "still");
    assert_comes(&socket, "still");
    assert_nothing(&socket);
}

fn by_source(group: IpAddr, one: &Sender, two: &Sender) {
    let (socket, port) = receiver(group);
    let here = one.interface();
    socket.join_source(group, one.addr, here).unwrap();
    two.send(group, port, "two");
    one.send(group, port, "one");
    assert_comes(&socket, "one");
    assert_nothing(&socket);
    socket.join_source(group, two.addr, here).unwrap();
    two.send(group, port, "two");
    assert_comes(&socket, "two");
    socket.leave_source(group, one.addr, here).unwrap();
    one.send(group, port, "one");
    two.send(group, port, "again");
    assert_comes(&socket, "again");
    let error = socket.leave_source(group, one.addr, here).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EADDRNOTAVAIL));
    let (mode, sources) = socket.source_filter(group, here, 4).unwrap();
    assert_eq!((mode, sources), (FilterMode::INCLUDE, vec![two.addr]));
}

fn by_block(group: IpAddr, one: &Sender, two: &Sender) {
    let (socket, port) = receiver(group);
    let here = one.interface();
    socket.join_group(group, here).unwrap();
    socket.block_source(group, one.addr, here).unwrap();
    one.send(group, port, "one");
    two.send(group, port, "two");
    assert_comes(&socket, "two");
    socket.unblock_source(group, one.addr, here).unwrap();
    one.send(group, port, "one");
    assert_comes(&socket, "one");
    assert_nothing(&socket);
}

/// IPv4 also knows an interface by its address, with the older options.
fn by_address() {
    let group: IpAddr = "232.7.7.8".parse().unwrap();
    let (one, two) = (Sender::at("10.77.0.1"), Sender::at("10.77.0.2"));
    let here = Interface::Addr([10, 77, 0, 1].into());
    one.socket.set_multicast_interface(here).unwrap();
    let (socket, port) = receiver(group);
    socket.join_source(group, one.addr, here).unwrap();
    two.send(group, port, "two");
    one.send(group, port, "one");
    assert_comes(&socket, "one");
    socket.leave_source(group, one.addr, here).unwrap();
    socket.join_group(group, here).unwrap();
    socket.block_source(group, two.addr, here).unwrap();
    two.send(group, port, "two");
    one.send(group, port, "one");
    assert_comes(&socket, "one");
    socket.unblock_source(group, two.addr, here).unwrap();
    socket.leave_group(group, here).unwrap();
    one.socket.set(opt::ip::MulticastLoop, false).unwrap();
    socket.join_group(group, here).unwrap();
    one.send(group, port, "not looped back");
    two.send(group, port, "two");
    assert_comes(&socket, "two");
    assert_nothing(&socket);
}
