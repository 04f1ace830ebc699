//! Two machines with two wires between them: network namespaces that a test makes for itself.
//! The other machine is Python's, so that each side is checked by somebody else's sockets.

use std::io::{BufRead, BufReader, IoSliceMut, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use berkeley::interfaces::if_nametoindex;
use berkeley::opt::multicast::Interface;
use berkeley::opt::{self, Name};
use berkeley::{
    Addr, Cmsg, ConnectOptions, ControlBuf, Deadline, Endpoint, Errno, Error, Family, Kind, Level,
    Mode, MsgFlags, Protocol, Query, Result, Socket, create_connection,
};

use crate::inside::is_inside;
use crate::support::{
    PATIENCE, assert_takes, assert_timed_out, await_readable, inet, receive, tcp,
};

/// The other machine: does what it is told line by line.
const OTHER: &str = r#"
import socket, struct, sys, threading
def say(*words): print(*words, flush=True)
def place(host, port, index):
    if ":" not in host: return (host, port)
    return (host, port, 0, index if host.startswith(("fe80", "ff")) else 0)
def serve(listener, name):
    while True:
        peer, _ = listener.accept()
        peer.sendall(name.encode())
        peer.close()
def family(host): return socket.AF_INET6 if ":" in host else socket.AF_INET
say("ready")
for line in sys.stdin:
    call, name, *rest = line.split()
    index = socket.if_nametoindex(name)
    if call == "send":
        source, target, port, text = rest
        s = socket.socket(family(source), socket.SOCK_DGRAM)
        if ":" in source:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        else:
            s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("8xi", index))
        s.bind(place(source, 0, index))
        s.sendto(text.encode(), place(target, int(port), index))
        say("sent")
    elif call == "serve":
        host, port = rest
        s = socket.socket(family(host), socket.SOCK_STREAM)
        s.bind(place(host, int(port), index))
        s.listen()
        threading.Thread(target=serve, args=(s, name), daemon=True).start()
        say(s.getsockname()[1])
    elif call == "sink":
        host, port = rest
        s = socket.create_server((host, int(port)))
        say(s.getsockname()[1])
        kept = s.accept()
        say("accepted")
    elif call == "read":
        count = int(rest[0])
        while count: count -= len(kept[0].recv(min(count, 65536)))
        say("read")
    elif call == "call":
        host, port = rest
        s = socket.socket(family(host), socket.SOCK_STREAM)
        s.connect(place(host, int(port), index))
        say(s.recv(64).decode())
"#;

/// Makes the wires and gives both machines their addresses: `t0` and `t1` here, `p0` and `p1`
/// there. Each wire has a network of its own, and the same link-local addresses.
const WIRES: &str = "\
    ip link set lo up
    for n in 0 1; do
        ip link add t$n type veth peer name p$n
        ip link set t$n addrgenmode none; ip link set p$n addrgenmode none
        ip link set p$n netns $1
        ip addr add 10.78.$n.1/24 dev t$n
        ip -6 addr add fd78:$n::1/64 dev t$n nodad
        ip -6 addr add fe80::1/64 dev t$n nodad
        ip link set t$n up
        there() { nsenter -t $pid -n ip \"$@\"; }
        pid=$1
        for host in 2 3; do
            there addr add 10.78.$n.$host/24 dev p$n
            there -6 addr add fd78:$n::$host/64 dev p$n nodad
        done
        there -6 addr add fe80::2/64 dev p$n nodad
        there link set p$n addrgenmode none
        there link set p$n up
        there link set lo up
    done";

/// What a test needs: `unshare`, the right to use it, and wires.
const TRY: &str = "ip link add a0 type veth peer name b0; ip link del a0; python3 -c 0; \
    nsenter --version >&2";

struct Other {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Other {
    /// Starts it in a namespace of its own, and connects it.
    fn start() -> Self {
        let mut process = Command::new("unshare")
            .args(["-n", "python3", "-c", OTHER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut other = Self {
            orders: process.stdin.take().unwrap(),
            answers: BufReader::new(process.stdout.take().unwrap()),
            process,
        };
        assert_eq!(other.answer(), "ready");
        let pid = other.process.id().to_string();
        shell(&["-e", "-c", WIRES, "sh", &pid]);
        other
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().into()
    }

    fn tell(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    fn ask(&mut self, order: &str) -> String {
        self.tell(order);
        self.answer()
    }

    /// Sends a datagram from an address of an interface.
    fn send(&mut self, name: &str, source: &str, target: IpAddr, port: u16, text: &str) {
        let order = format!("send {name} {source} {target} {port} {text}");
        assert_eq!(self.ask(&order), "sent");
    }

    fn ip(&self, command: &str) {
        let pid = self.process.id();
        shell(&["-e", "-c", &format!("nsenter -t {pid} -n ip {command}")]);
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn shell(arguments: &[&str]) {
    let output = Command::new("sh").args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// True in the namespace of the test of this name.
fn is_machine(test: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    is_inside(test, &["-n"], TRY, folder.path())
}

fn datagrams(addr: &str) -> (Socket, u16) {
    let addr = inet(addr);
    let socket = Socket::new(addr.family(), Kind::DGRAM, Protocol::DEFAULT).unwrap();
    socket.bind(&addr).unwrap();
    socket.set_mode(Mode::Within(PATIENCE)).unwrap();
    let port = socket.local_addr().unwrap().port().unwrap();
    (socket, port)
}

fn assert_comes(socket: &Socket, text: &str) {
    await_readable(socket);
    assert_eq!(String::from_utf8(receive(socket)).unwrap(), text);
}

fn index(name: &str) -> Interface {
    Interface::Index(if_nametoindex(name).unwrap())
}

#[test]
fn groups_come_over_the_wire_that_was_joined_and_from_the_sources_that_were_named() {
    let test = "namespaces::\
        groups_come_over_the_wire_that_was_joined_and_from_the_sources_that_were_named";
    if !is_machine(test) {
        return;
    }
    let mut other = Other::start();
    for (any, specific, own, [near, alien, far]) in [
        (
            "239.8.8.8",
            "232.8.8.8",
            "0.0.0.0:0",
            ["10.78.0.2", "10.78.0.3", "10.78.1.2"],
        ),
        (
            "ff15::88",
            "ff35::88",
            "[::]:0",
            ["fd78:0::2", "fd78:0::3", "fd78:1::2"],
        ),
    ] {
        let [any, specific] = [any, specific].map(|text| text.parse::<IpAddr>().unwrap());
        let (socket, port) = datagrams(own);
        if any.is_ipv4() {
            socket.set(opt::ip::MulticastAll, false).unwrap();
        } else {
            socket.set(opt::ipv6::MulticastAll, false).unwrap();
        }
        // By interface.
        socket.join_group(any, index("t0")).unwrap();
        other.send("p1", far, any, port, "not-joined");
        other.send("p0", near, any, port, "joined");
        assert_comes(&socket, "joined");
        socket.join_group(any, index("t1")).unwrap();
        other.send("p1", far, any, port, "joined-too");
        assert_comes(&socket, "joined-too");
        socket.leave_group(any, index("t0")).unwrap();
        other.send("p0", near, any, port, "left");
        other.send("p1", far, any, port, "still");
        assert_comes(&socket, "still");
        socket.leave_group(any, index("t1")).unwrap();
        // By source.
        let source = near.parse().unwrap();
        socket.join_source(specific, source, index("t0")).unwrap();
        other.send("p0", alien, specific, port, "alien");
        other.send("p0", near, specific, port, "named");
        assert_comes(&socket, "named");
        socket.leave_source(specific, source, index("t0")).unwrap();
        other.send("p0", near, specific, port, "left");
        // All but one source.
        socket.join_group(specific, index("t0")).unwrap();
        let blocked = alien.parse().unwrap();
        socket.block_source(specific, blocked, index("t0")).unwrap();
        other.send("p0", alien, specific, port, "blocked");
        other.send("p0", near, specific, port, "others");
        assert_comes(&socket, "others");
    }
}

#[test]
fn one_link_local_address_on_two_wires_is_told_apart_by_its_zone() {
    let test = "namespaces::one_link_local_address_on_two_wires_is_told_apart_by_its_zone";
    if !is_machine(test) {
        return;
    }
    let mut other = Other::start();
    let port = other.ask("serve p0 fe80::2 0");
    assert_eq!(other.ask(&format!("serve p1 fe80::2 {port}")), port);
    let port: u16 = port.parse().unwrap();
    for (zone, peer) in [("t0", "p0"), ("t1", "p1")] {
        let is_there = |result: Result<(Socket, Addr)>| {
            let (socket, addr) = result.unwrap();
            assert_eq!(receive(&socket), peer.as_bytes(), "through {zone}");
            assert!(addr.to_string().contains('%'), "{addr}");
        };
        let options = ConnectOptions::new().timeout(PATIENCE);
        is_there(options.connect_host(&format!("fe80::2%{zone}"), port));
        let place: Endpoint = format!("tcp://[fe80::2%{zone}]:{port}").parse().unwrap();
        is_there(create_connection(&place, &options));
        let number = if_nametoindex(zone).unwrap();
        for text in [zone.to_string(), number.to_string()] {
            let addr: Addr = format!("[fe80::2%{text}]:{port}").parse().unwrap();
            is_there(options.connect_addresses(std::slice::from_ref(&addr)));
            let query = Query::host(format!("fe80::2%{text}")).port(port);
            let found = query.kind(Kind::STREAM).resolve().unwrap();
            assert_eq!(found[0].addr, addr);
        }
        // And the other way: a listener at each wire, both at one address and port.
        let server = Socket::new(Family::INET6, Kind::STREAM, Protocol::DEFAULT).unwrap();
        let own: Addr = format!("[fe80::1%{zone}]:7000").parse().unwrap();
        server.bind(&own).unwrap();
        server.listen_default().unwrap();
        other.tell(&format!("call {peer} fe80::1 7000"));
        let (caller, from) = server.accept_until(Deadline::within(PATIENCE)).unwrap();
        let expected = format!("[fe80::2%{number}]:");
        let from = from.unwrap().to_string();
        assert!(from.starts_with(&expected), "{from}");
        caller.send_all(zone.as_bytes()).unwrap();
        drop(caller);
        assert_eq!(other.answer(), zone);
    }
    // Nobody can know which wire is meant.
    let client = Socket::new(Family::INET6, Kind::STREAM, Protocol::DEFAULT).unwrap();
    let error = client.connect(&inet(&format!("[fe80::2]:{port}")));
    assert_eq!(error.unwrap_err().errno(), Some(Errno::EINVAL));
}

/// The interface that the next datagram came in by, as the kernel tells it beside the data.
fn interface_of_next(socket: &Socket, text: &str) -> u32 {
    await_readable(socket);
    let mut control = ControlBuf::with_capacity(128);
    let mut data = [0; 32];
    let mut buffers = [IoSliceMut::new(&mut data)];
    let mut message = socket
        .recv_message(&mut buffers, &mut control, MsgFlags::NONE)
        .unwrap();
    let len = message.len();
    let told = message.control().find_map(|item| match item {
        Cmsg::PacketInfo(info) => Some(info.interface),
        Cmsg::PacketInfo6(info) => Some(info.interface),
        _ => None,
    });
    assert_eq!(&data[..len], text.as_bytes());
    told.unwrap()
}

#[test]
fn a_datagram_tells_its_wire_and_a_socket_can_be_tied_to_one() {
    let test = "namespaces::a_datagram_tells_its_wire_and_a_socket_can_be_tied_to_one";
    if !is_machine(test) {
        return;
    }
    let mut other = Other::start();
    let on = 1i32.to_ne_bytes();
    for (own, net, level, name) in [
        ("0.0.0.0:0", "10.78.", Level::IP, libc::IP_PKTINFO),
        ("[::]:0", "fd78:", Level::IPV6, libc::IPV6_RECVPKTINFO),
    ] {
        let at = |wire: u8, host: u8| match level {
            Level::IP => format!("{net}{wire}.{host}"),
            _ => format!("{net}{wire}::{host}"),
        };
        let (socket, port) = datagrams(own);
        socket.set_raw(level, name, &on).unwrap();
        for wire in [0, 1, 0] {
            let target = at(wire, 1).parse().unwrap();
            other.send(&format!("p{wire}"), &at(wire, 2), target, port, "hello");
            let number = if_nametoindex(format!("t{wire}")).unwrap();
            assert_eq!(interface_of_next(&socket, "hello"), number);
        }
        drop(socket);
        // Two sockets at one port, each with a wire of its own.
        let tied = [0, 1].map(|wire| {
            let family = inet(own).family();
            let socket = Socket::new(family, Kind::DGRAM, Protocol::DEFAULT).unwrap();
            let name = format!("t{wire}").parse::<Name>().unwrap();
            socket.set(opt::BindToDevice, name).unwrap();
            assert_eq!(socket.get(opt::BindToDevice).unwrap(), name);
            socket.bind(&Addr::any(family, port).unwrap()).unwrap();
            socket.set_mode(Mode::Within(PATIENCE)).unwrap();
            socket
        });
        for wire in [1, 0] {
            let target = at(wire, 1).parse().unwrap();
            let text = format!("by-wire-{wire}");
            other.send(&format!("p{wire}"), &at(wire, 2), target, port, &text);
            assert_comes(&tied[usize::from(wire)], &text);
        }
        let nobody = "no-such-one".parse::<Name>().unwrap();
        let error = tied[0].set(opt::BindToDevice, nobody).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::ENODEV));
    }
}

#[test]
fn limits_hold_where_packets_are_lost_and_what_was_lost_comes_later() {
    let test = "namespaces::limits_hold_where_packets_are_lost_and_what_was_lost_comes_later";
    if !is_machine(test) {
        return;
    }
    let mut other = Other::start();
    let limit = Duration::from_millis(60);
    // Nobody has the address, and nobody says so in time.
    let silent = inet("10.78.0.99:9");
    for by_mode in [true, false] {
        assert_takes(limit, || {
            let client = tcp();
            if by_mode {
                client.set_mode(Mode::Within(limit)).unwrap();
                assert_timed_out(client.connect(&silent));
            } else {
                assert_timed_out(client.connect_until(&silent, Deadline::within(limit)));
            }
        });
    }
    let addresses = [silent.clone(), inet("10.78.1.99:9")];
    assert_takes(limit, || {
        let options = ConnectOptions::new().timeout(limit);
        let error = options.connect_addresses(&addresses).unwrap_err();
        assert!(matches!(error, Error::Connect(tried) if tried.len() == 2));
    });

    // A wire that is cut in the middle of a transfer, and mended.
    let port = other.ask("sink p0 10.78.0.2 0");
    let client = tcp();
    client.connect(&inet(&format!("10.78.0.2:{port}"))).unwrap();
    assert_eq!(other.answer(), "accepted");
    other.ip("link set p0 down");
    client.set_mode(Mode::Within(limit)).unwrap();
    let Err(Error::Partial { sent, cause }) = client.send_all(&vec![7; 32 << 20]) else {
        panic!("a wire that is cut has taken everything");
    };
    assert!(cause.is_timed_out(), "{cause:?}");
    // The queue is full now.
    assert_takes(limit, || {
        assert_timed_out(client.send(&[7; 4096], MsgFlags::NONE));
    });
    assert!(sent > 0);
    other.ip("link set p0 up");
    assert_eq!(other.ask(&format!("read p0 {sent}")), "read");
}

#[test]
fn routes_that_lead_nowhere_say_so_each_in_its_way() {
    let test = "namespaces::routes_that_lead_nowhere_say_so_each_in_its_way";
    let folder = tempfile::tempdir().unwrap();
    let routes = "ip link set lo up; ip route add blackhole 192.0.2.1; \
        ip route add prohibit 192.0.2.2; ip route add unreachable 192.0.2.3";
    if !is_inside(test, &["-n"], routes, folder.path()) {
        return;
    }
    for (addr, errno) in [
        ("192.0.2.1:9", Errno::EINVAL),
        ("192.0.2.2:9", Errno::EACCES),
        ("192.0.2.3:9", Errno::EHOSTUNREACH),
        ("192.0.2.4:9", Errno::ENETUNREACH),
    ] {
        for mode in [Mode::Block, Mode::NonBlock, Mode::Within(PATIENCE)] {
            let client = tcp();
            client.set_mode(mode).unwrap();
            let error = client.connect(&inet(addr)).unwrap_err();
            assert_eq!(error.errno(), Some(errno), "{addr}");
            assert!(error.to_string().contains("192.0.2."), "{error}");
        }
        let (socket, _) = datagrams("0.0.0.0:0");
        let sent = socket.send_to(b"x", MsgFlags::NONE, addr.parse::<SocketAddr>().unwrap());
        assert_eq!(sent.unwrap_err().errno(), Some(errno), "{addr}");
    }
}

/// A datagram with a false checksum makes its receiver's socket ready, and is thrown away when it
/// is read: select(2), BUGS.
#[test]
fn a_damaged_datagram_ends_no_wait() {
    let test = "namespaces::a_damaged_datagram_ends_no_wait";
    let folder = tempfile::tempdir().unwrap();
    if !is_inside(test, &["-n"], "ip link set lo up", folder.path()) {
        return;
    }
    let (socket, port) = datagrams("127.0.0.1:0");
    let raw = Socket::new(Family::INET, Kind::RAW, Protocol::UDP).unwrap();
    let damage = || {
        // From port 9, eight bytes of header and four of data, and a checksum that is none.
        let mut packet = vec![0, 9];
        packet.extend(port.to_be_bytes());
        packet.extend([0, 12, 0xba, 0xd1]);
        packet.extend(b"junk");
        raw.send_to(&packet, MsgFlags::NONE, &inet("127.0.0.1:0"))
            .unwrap();
    };
    let limit = Duration::from_millis(80);
    socket.set_mode(Mode::Within(limit)).unwrap();
    assert_takes(limit, || {
        damage();
        damage();
        assert_timed_out(socket.recv(&mut [0; 16], MsgFlags::NONE));
    });
    assert_takes(limit, || {
        damage();
        let call = socket.until(Deadline::within(limit));
        assert_timed_out(call.recv_from(&mut [0; 16], MsgFlags::NONE));
    });
    // What comes behind it is received.
    socket.set_mode(Mode::Within(PATIENCE)).unwrap();
    let (sender, _) = datagrams("127.0.0.1:0");
    let good = inet(&format!("127.0.0.1:{port}"));
    damage();
    sender.send_to(b"good", MsgFlags::NONE, &good).unwrap();
    assert_eq!(receive(&socket), b"good");
    socket.set_mode(Mode::NonBlock).unwrap();
    damage();
    let error = socket.recv(&mut [0; 16], MsgFlags::NONE).unwrap_err();
    assert!(error.is_would_block());
    let text = std::fs::read_to_string("/proc/self/net/snmp").unwrap();
    let mut lines = text.lines().filter(|line| line.starts_with("Udp: "));
    let (names, counts) = (lines.next().unwrap(), lines.next().unwrap());
    let place = names
        .split(' ')
        .position(|name| name == "InCsumErrors")
        .unwrap();
    let damaged: u32 = counts.split(' ').nth(place).unwrap().parse().unwrap();
    assert!(damaged >= 5, "only {damaged} were damaged");
}
