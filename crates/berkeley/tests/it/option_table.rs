//! Every option that this machine allows: set and read back, its number compared with Python's.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::process::Command;
use std::time::Duration;

use berkeley::opt::{self, GetOpt, Name, SetOpt};
use berkeley::{Family, Kind, Level, Protocol, Result, Socket};

use crate::support::{has_ipv6, tcp, tcp_pair, udp, unix, unix_pair};

/// What became of the options of a table.
#[derive(Default)]
struct Tally {
    kept: usize,
    skipped: Vec<String>,
}

impl Tally {
    /// Sets values and reads them back. What the kernel refuses is told.
    fn keeps<O>(&mut self, socket: &Socket, option: O, values: &[O::Value])
    where
        O: GetOpt + SetOpt + Copy,
        O::Value: Clone + PartialEq + Debug,
    {
        for value in values {
            if self
                .did(O::LABEL, socket.set(option, value.clone()))
                .is_none()
            {
                return;
            }
            if let Some(found) = self.did(O::LABEL, socket.get(option)) {
                assert_eq!(found, *value, "{}", O::LABEL);
                self.kept += 1;
            }
        }
    }

    /// Sets a value that cannot be read back, or not as the same.
    fn takes<O: SetOpt>(&mut self, socket: &Socket, option: O, value: O::Value) {
        let result = socket.set(option, value);
        self.kept += usize::from(self.did(O::LABEL, result).is_some());
    }

    /// Reads a value and looks whether it is plausible.
    fn tells<O: GetOpt>(
        &mut self,
        socket: &Socket,
        option: O,
        is_right: impl FnOnce(&O::Value) -> bool,
    ) where
        O::Value: Debug,
    {
        if let Some(value) = self.did(O::LABEL, socket.get(option)) {
            assert!(is_right(&value), "{}: {value:?}", O::LABEL);
            self.kept += 1;
        }
    }

    fn did<T>(&mut self, label: &str, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let errno = error.errno().unwrap_or_else(|| panic!("{label}: {error}"));
                eprintln!("skipped: {label}: this kernel says {errno}");
                self.skipped.push(label.into());
                None
            }
        }
    }

    /// Ends a table of which at most so many options may be missing here.
    fn end(self, kept_min: usize) {
        assert!(self.kept >= kept_min, "{} kept", self.kept);
    }
}

/// A socket of a family or type that not every machine has.
fn socket(family: Family, kind: Kind, protocol: Protocol) -> Option<Socket> {
    Socket::new(family, kind, protocol)
        .map_err(|error| eprintln!("skipped: needs {family:?} {kind:?}: {error}"))
        .ok()
}

const BOTH: [bool; 2] = [true, false];

#[test]
fn options_of_every_socket_are_kept() {
    let mut tally = Tally::default();
    let (tcp, udp) = (tcp(), udp().0);
    tally.keeps(&tcp, opt::Debug, &BOTH);
    for socket in [&tcp, &udp] {
        tally.keeps(socket, opt::DontRoute, &BOTH);
        tally.keeps(socket, opt::OobInline, &BOTH);
        tally.keeps(socket, opt::Priority, &[3, 6, 0]);
        tally.keeps(socket, opt::Mark, &[7, 0xffff_fff0, 0]);
        tally.keeps(socket, opt::RecvMark, &BOTH);
        tally.keeps(socket, opt::RecvPriority, &BOTH);
        tally.keeps(socket, opt::DropCounter, &BOTH);
        tally.keeps(socket, opt::WifiStatus, &BOTH);
        tally.keeps(socket, opt::NoFcs, &BOTH);
        tally.keeps(socket, opt::SelectErrorQueue, &BOTH);
        tally.keeps(
            socket,
            opt::BusyPoll,
            &[Duration::from_micros(50), Duration::ZERO],
        );
        tally.keeps(socket, opt::PreferBusyPoll, &BOTH);
        tally.keeps(socket, opt::BusyPollBudget, &[8, 64]);
        tally.keeps(socket, opt::MaxPacingRate, &[1 << 20, 1 << 40, u64::MAX]);
        tally.keeps(socket, opt::IncomingCpu, &[Some(0), Some(1)]);
        tally.keeps(socket, opt::ZeroCopy, &BOTH);
        tally.keeps(
            socket,
            opt::BufferLock,
            &[
                opt::BufferLocks::SEND,
                opt::BufferLocks::BOTH,
                opt::BufferLocks::NONE,
            ],
        );
        tally.keeps(
            socket,
            opt::BindToDevice,
            &["lo".parse().unwrap(), Name::EMPTY],
        );
        tally.keeps(socket, opt::BindToIndex, &[1, 0]);
        tally.takes(socket, opt::SendBufferForce, 1 << 20);
        tally.takes(socket, opt::RecvBufferForce, 1 << 20);
        tally.tells(socket, opt::SendLowWater, |bytes| *bytes == 1);
        tally.tells(socket, opt::Cookie, |cookie| *cookie != 0);
        tally.tells(socket, opt::NetnsCookie, |cookie| *cookie != 0);
        tally.tells(socket, opt::BpfExtensions, |count| *count > 10);
        tally.tells(socket, opt::IncomingNapiId, |id| *id == 0);
        tally.tells(socket, opt::Memory, |memory| memory.recv_buffer >= 1 << 20);
    }
    tally.keeps(&tcp, opt::RecvLowWater, &[100, 1]);
    tally.keeps(&tcp, opt::ReserveMemory, &[0]);
    tally.takes(&tcp, opt::ConnectionAdvice, 1);
    tally.takes(&tcp, opt::TxRehash, Some(true));
    tally.tells(&tcp, opt::TxRehash, |on| *on == Some(true));
    tally.keeps(&udp, opt::NoCheck, &BOTH);
    tally.keeps(&udp, opt::LockFilter, &[true]);
    tally.end(90);
}

#[test]
fn options_of_time_are_kept() {
    let mut tally = Tally::default();
    let socket = udp().0;
    tally.keeps(&socket, opt::Timestamp, &BOTH);
    tally.keeps(&socket, opt::TimestampNs, &BOTH);
    tally.keeps(&socket, opt::TimestampNew, &BOTH);
    tally.keeps(&socket, opt::TimestampNsNew, &BOTH);
    type Flags = opt::TimestampingFlags;
    let flags = Flags::TX_SOFTWARE | Flags::RX_SOFTWARE | Flags::SOFTWARE | Flags::OPT_ID;
    tally.keeps(&socket, opt::Timestamping, &[flags, Flags::NONE]);
    tally.keeps(
        &socket,
        opt::TimestampingNew,
        &[opt::TimestampingConfig {
            flags: flags.raw(),
            bind_phc: 0,
        }],
    );
    tally.keeps(
        &socket,
        opt::TxTime,
        &[opt::TxTimeConfig {
            clock: libc::CLOCK_TAI,
            flags: 2,
        }],
    );
    // The kernel keeps these in ticks of up to 10 ms: values of whole ticks come back.
    let times = [
        Some(Duration::from_millis(1500)),
        Some(Duration::from_secs(3)),
        None,
    ];
    tally.keeps(&socket, opt::RecvTimeout, &times);
    tally.keeps(&socket, opt::SendTimeout, &times);
    tally.keeps(&socket, opt::RecvTimeoutNew, &times);
    tally.keeps(&socket, opt::SendTimeoutNew, &times);
    tally.end(18);
}

#[test]
fn no_limit_is_shorter_than_what_was_asked_for() {
    let (udp, tcp) = (udp().0, tcp());
    for nanos in [1, 999, 1001, 1_000_001, 10_000_001, 1_999_999_999] {
        let asked = Duration::from_nanos(nanos);
        for (option, found) in [
            ("SO_RCVTIMEO", {
                udp.set(opt::RecvTimeout, Some(asked)).unwrap();
                udp.get(opt::RecvTimeout).unwrap().unwrap()
            }),
            ("SO_SNDTIMEO", {
                udp.set(opt::SendTimeout, Some(asked)).unwrap();
                udp.get(opt::SendTimeout).unwrap().unwrap()
            }),
            ("TCP_KEEPIDLE", {
                tcp.set(opt::KeepIdle, asked).unwrap();
                tcp.get(opt::KeepIdle).unwrap()
            }),
            ("TCP_USER_TIMEOUT", {
                tcp.set(opt::tcp::UserTimeout, Some(asked)).unwrap();
                tcp.get(opt::tcp::UserTimeout).unwrap().unwrap()
            }),
            ("SO_LINGER", {
                tcp.set(opt::Linger, Some(asked)).unwrap();
                tcp.get(opt::Linger).unwrap().unwrap()
            }),
        ] {
            assert!(found >= asked, "{option}: {found:?} for {asked:?}");
            assert!(
                found <= asked + Duration::from_secs(1),
                "{option}: {found:?}"
            );
        }
    }
    // The longest time does not overflow, in no unit.
    udp.set(opt::RecvTimeout, Some(Duration::MAX)).unwrap();
    tcp.set(opt::tcp::UserTimeout, Some(Duration::MAX)).unwrap();
    assert!(tcp.get(opt::tcp::UserTimeout).unwrap() > Some(Duration::from_secs(1_000_000)));
}

#[test]
fn options_of_ipv4_are_kept() {
    use opt::ip;
    let mut tally = Tally::default();
    let (udp, tcp) = (udp().0, tcp());
    tally.keeps(&udp, ip::Tos, &[0x10, 0xb8, 0]);
    tally.keeps(&udp, ip::Ttl, &[1, 64, 255]);
    tally.keeps(&udp, ip::Options, &[vec![1, 1, 1, 0], vec![]]);
    for option in [true, false] {
        let on = &[option];
        tally.keeps(&udp, ip::RecvOptions, on);
        tally.keeps(&udp, ip::ReturnOptions, on);
        tally.keeps(&udp, ip::PacketInfo, on);
        tally.keeps(&udp, ip::RecvErr, on);
        tally.keeps(&udp, ip::RecvErrRfc4884, on);
        tally.keeps(&udp, ip::RecvTtl, on);
        tally.keeps(&udp, ip::RecvTos, on);
        tally.keeps(&udp, ip::FreeBind, on);
        tally.keeps(&udp, ip::PassSecurity, on);
        tally.keeps(&udp, ip::Transparent, on);
        tally.keeps(&udp, ip::RecvOriginalDestination, on);
        tally.keeps(&udp, ip::Checksum, on);
        tally.keeps(&udp, ip::BindAddressNoPort, on);
        tally.keeps(&udp, ip::RecvFragmentSize, on);
        tally.keeps(&udp, ip::MulticastLoop, on);
        tally.keeps(&udp, ip::MulticastAll, on);
    }
    tally.keeps(&tcp, ip::MinTtl, &[255, 0]);
    type Discovery = ip::MtuDiscovery;
    tally.keeps(
        &udp,
        ip::MtuDiscover,
        &[
            Discovery::DONT,
            Discovery::DO,
            Discovery::PROBE,
            Discovery::INTERFACE,
            Discovery::OMIT,
            Discovery::WANT,
        ],
    );
    tally.keeps(&udp, ip::UnicastInterface, &[1, 0]);
    let fresh = self::tcp();
    let range = ip::PortRange {
        first: 40_000,
        last: 50_000,
    };
    tally.keeps(&fresh, ip::LocalPortRange, &[range]);
    tally.keeps(&udp, ip::MulticastTtl, &[0, 1, 32]);
    let loopback = opt::multicast::InterfaceV4 {
        addr: [127, 0, 0, 1].into(),
        index: 0,
    };
    tally.keeps(&udp, ip::MulticastInterface, &[loopback]);
    tally.tells(&tcp_pair().0, ip::Mtu, |mtu| *mtu >= 1500);
    if let Some(raw) = socket(
        Family::INET,
        Kind::RAW,
        Protocol::from_raw(libc::IPPROTO_ICMP),
    ) {
        tally.keeps(&raw, ip::HeaderIncluded, &BOTH);
        tally.keeps(&raw, ip::NoDefrag, &BOTH);
        tally.keeps(&raw, ip::IcmpFilter, &[0xffff_fffe, 0]);
        tally.tells(&raw, ip::RawProtocol, |number| {
            number.raw() == libc::IPPROTO_ICMP
        });
    }
    tally.tells(&tcp_pair().0, ip::OriginalDestination, |_| true);
    tally.end(50);
}

#[test]
fn options_of_ipv6_are_kept() {
    use opt::ipv6;
    if !has_ipv6() {
        return;
    }
    let mut tally = Tally::default();
    let udp = Socket::new(Family::INET6, Kind::DGRAM, Protocol::DEFAULT).unwrap();
    for option in [true, false] {
        let on = &[option];
        tally.keeps(&udp, ipv6::V6Only, on);
        tally.keeps(&udp, ipv6::RecvErr, on);
        tally.keeps(&udp, ipv6::RecvErrRfc4884, on);
        tally.keeps(&udp, ipv6::RecvPacketInfo, on);
        tally.keeps(&udp, ipv6::RecvHopLimit, on);
        tally.keeps(&udp, ipv6::RecvHopOptions, on);
        tally.keeps(&udp, ipv6::RecvRoutingHeader, on);
        tally.keeps(&udp, ipv6::RecvDestinationOptions, on);
        tally.keeps(&udp, ipv6::RecvPathMtu, on);
        tally.keeps(&udp, ipv6::DontFragment, on);
        tally.keeps(&udp, ipv6::RecvTclass, on);
        tally.keeps(&udp, ipv6::RecvFlowInfo, on);
        tally.keeps(&udp, ipv6::FlowInfoSend, on);
        tally.keeps(&udp, ipv6::AutoFlowLabel, on);
        tally.keeps(&udp, ipv6::RecvOriginalDestination, on);
        tally.keeps(&udp, ipv6::Transparent, on);
        tally.keeps(&udp, ipv6::RecvFragmentSize, on);
        tally.keeps(&udp, ipv6::FreeBind, on);
        tally.keeps(&udp, ipv6::MulticastLoop, on);
        tally.keeps(&udp, ipv6::MulticastAll, on);
        tally.keeps(&udp, ipv6::Rfc2292PacketInfo, on);
        tally.keeps(&udp, ipv6::Rfc2292HopLimit, on);
        tally.keeps(&udp, ipv6::Rfc2292RoutingHeader, on);
        tally.keeps(&udp, ipv6::Rfc2292HopOptions, on);
        tally.keeps(&udp, ipv6::Rfc2292DestinationOptions, on);
    }
    tally.end(30);
}

#[test]
fn numbers_of_ipv6_are_kept() {
    use opt::ipv6;
    if !has_ipv6() {
        return;
    }
    let mut tally = Tally::default();
    let udp = Socket::new(Family::INET6, Kind::DGRAM, Protocol::DEFAULT).unwrap();
    tally.keeps(&udp, ipv6::UnicastHops, &[1, 255]);
    tally.keeps(&udp, ipv6::MulticastHops, &[0, 32]);
    tally.keeps(&udp, ipv6::MulticastInterface, &[1, 0]);
    tally.keeps(&udp, ipv6::UnicastInterface, &[1, 0]);
    tally.keeps(&udp, ipv6::Tclass, &[0xb8, 0]);
    tally.keeps(
        &udp,
        ipv6::MtuDiscover,
        &[opt::ip::MtuDiscovery::DO, opt::ip::MtuDiscovery::WANT],
    );
    tally.takes(&udp, ipv6::Mtu, 1280);
    type Preference = ipv6::AddressPreference;
    tally.takes(&udp, ipv6::AddressPreferences, Preference::TEMPORARY);
    tally.tells(&udp, ipv6::AddressPreferences, |found| {
        found.contains(Preference::TEMPORARY)
    });
    tally.keeps(&udp, ipv6::HopOptions, &[vec![0, 0, 1, 4, 0, 0, 0, 0]]);
    tally.keeps(
        &udp,
        ipv6::DestinationOptions,
        &[vec![0, 0, 1, 4, 0, 0, 0, 0]],
    );
    udp.connect(&crate::support::inet("[::1]:9")).unwrap();
    tally.tells(&udp, ipv6::Mtu, |mtu| *mtu >= 1280);
    tally.tells(&udp, ipv6::PathMtu, |path| path.mtu >= 1280);
    let tcp = Socket::new(Family::INET6, Kind::STREAM, Protocol::DEFAULT).unwrap();
    tally.keeps(&tcp, ipv6::MinHopCount, &[255, 0]);
    let icmp = Protocol::from_raw(libc::IPPROTO_ICMPV6);
    if let Some(raw) = socket(Family::INET6, Kind::RAW, icmp) {
        tally.keeps(&raw, ipv6::HeaderIncluded, &BOTH);
        let mut bits = [0; 32];
        bits[16] = 3;
        tally.keeps(&raw, ipv6::IcmpFilter, &[ipv6::IcmpV6Filter { bits }]);
    }
    if let Some(raw) = socket(
        Family::INET6,
        Kind::RAW,
        Protocol::from_raw(libc::IPPROTO_RAW),
    ) {
        tally.takes(&raw, ipv6::RouterAlert, Some(0));
    }
    let any = Protocol::from_raw(200);
    if let Some(raw) = socket(Family::INET6, Kind::RAW, any) {
        tally.keeps(&raw, ipv6::Checksum, &[Some(2), None]);
        tally.keeps(&raw, ipv6::RouterAlertIsolate, &BOTH);
    }
    tally.end(15);
}

#[test]
fn options_of_tcp_are_kept() {
    use opt::tcp;
    let mut tally = Tally::default();
    let socket = tcp();
    for option in [true, false] {
        let on = &[option];
        tally.keeps(&socket, tcp::Cork, on);
        tally.keeps(&socket, tcp::ThinLinearTimeouts, on);
        tally.keeps(&socket, tcp::FastOpenConnect, on);
        tally.keeps(&socket, tcp::FastOpenNoCookie, on);
        tally.keeps(&socket, tcp::Inq, on);
    }
    tally.keeps(&socket, tcp::ThinDupAck, &[false]);
    tally.keeps(&socket, tcp::SynCount, &[3, 127]);
    tally.keeps(&socket, tcp::WindowClamp, &[0, 100_000]);
    tally.keeps(
        &socket,
        tcp::UserTimeout,
        &[Some(Duration::from_millis(1234)), None],
    );
    tally.keeps(&socket, tcp::Linger2, &[Duration::from_secs(7)]);
    tally.takes(&socket, tcp::MaxSegment, 900);
    tally.takes(&socket, tcp::QuickAck, true);
    tally.takes(&socket, tcp::DeferAccept, Duration::from_secs(1));
    tally.tells(&socket, tcp::DeferAccept, |time| {
        *time >= Duration::from_secs(1)
    });
    tally.keeps(&socket, tcp::NotSentLowWater, &[16_384, u32::MAX]);
    tally.keeps(&socket, tcp::SaveSyn, &[1, 2, 0]);
    tally.keeps(
        &socket,
        tcp::TxDelay,
        &[Duration::from_micros(300), Duration::ZERO],
    );
    tally.keeps(&socket, tcp::RtoMax, &[Duration::from_secs(2)]);
    // Kept in ticks, rounded up.
    tally.takes(&socket, tcp::RtoMin, Duration::from_millis(50));
    let about = Duration::from_millis(50)..=Duration::from_millis(60);
    tally.tells(&socket, tcp::RtoMin, |time| about.contains(time));
    // Kept in ticks, rounded up.
    tally.takes(&socket, tcp::DelayedAckMax, Duration::from_millis(30));
    let about = Duration::from_millis(30)..=Duration::from_millis(40);
    tally.tells(&socket, tcp::DelayedAckMax, |time| about.contains(time));
    tally.keeps(
        &socket,
        tcp::Congestion,
        &["reno".parse().unwrap(), "cubic".parse().unwrap()],
    );
    tally.keeps(
        &socket,
        tcp::FastOpenKey,
        &[(0..16).collect(), (0..32).collect()],
    );
    tally.keeps(&socket, tcp::Repair, &[tcp::RepairMode::ON]);
    tally.keeps(&socket, tcp::RepairQueue, &[tcp::RepairSide::SEND]);
    tally.keeps(&socket, tcp::QueueSequence, &[0xf000_0001]);
    tally.takes(&socket, tcp::Repair, tcp::RepairMode::OFF);
    tally.tells(&socket, tcp::IsMptcp, |on| !on);
    tally.end(28);
}

#[test]
fn options_of_tcp_for_one_side_are_kept() {
    use opt::tcp;
    let mut tally = Tally::default();
    let socket = tcp();
    for key in [b"secret".to_vec(), Vec::new()] {
        let peer = [192, 0, 2, 1].into();
        tally.takes(
            &socket,
            tcp::Md5Signature,
            tcp::Md5Key {
                peer,
                prefix: None,
                index: 0,
                key,
            },
        );
    }
    let (listening, _) = crate::support::listener(1);
    tally.keeps(&listening, tcp::FastOpen, &[5]);
    let (a, _b) = tcp_pair();
    tally.tells(&a, tcp::CongestionInfo, |info| info.len() <= 64);
    tally.tells(&a, tcp::UpperProtocol, |name| *name == Name::EMPTY);
    tally.tells(&a, tcp::TimestampClock, |_| true);
    tally.tells(&a, opt::ip::PacketOptions, |bytes| bytes.len() % 8 == 0);
    tally.end(5);
}

#[test]
fn options_of_udp_and_of_udp_lite_are_kept() {
    use opt::udp;
    let mut tally = Tally::default();
    let socket4 = udp().0;
    tally.keeps(&socket4, udp::Cork, &BOTH);
    tally.keeps(&socket4, udp::Segment, &[1200, 0]);
    tally.keeps(&socket4, udp::Gro, &BOTH);
    tally.keeps(&socket4, udp::Encapsulation, &[udp::Encapsulations::L2TP]);
    if has_ipv6() {
        let socket6 = Socket::new(Family::INET6, Kind::DGRAM, Protocol::DEFAULT).unwrap();
        tally.keeps(&socket6, udp::NoCheck6Tx, &BOTH);
        tally.keeps(&socket6, udp::NoCheck6Rx, &BOTH);
    }
    let lite = Protocol::from_raw(libc::IPPROTO_UDPLITE);
    if let Some(lite) = socket(Family::INET, Kind::DGRAM, lite) {
        tally.keeps(&lite, udp::LiteSendCoverage, &[20, 0]);
        tally.keeps(&lite, udp::LiteRecvCoverage, &[20, 0]);
    }
    tally.end(7);
}

#[test]
fn options_of_unix_sockets_are_kept() {
    let mut tally = Tally::default();
    let (a, b) = unix_pair(Kind::STREAM);
    for option in [true, false] {
        let on = &[option];
        tally.keeps(&a, opt::PassCredentials, on);
        tally.keeps(&a, opt::PassSecurity, on);
        tally.keeps(&a, opt::PassPidFd, on);
        tally.keeps(&a, opt::PassRights, on);
    }
    tally.keeps(
        &unix(Kind::DGRAM),
        opt::PeekOffset,
        &[Some(0), Some(9), None],
    );
    tally.tells(&a, opt::PeerGroups, |groups| groups.len() < 65_537);
    tally.takes(&a, opt::Inq, true);
    tally.tells(&tcp_pair().0, opt::PeerName, |bytes| bytes.len() == 16);
    tally.tells(&a, opt::PeerSecurity, |_| true);
    if let Some(process) = tally.did("SO_PEERPIDFD", b.peer_pidfd()) {
        assert!(crate::support::is_close_on_exec(&process));
    }
    tally.end(10);
}

#[test]
fn options_of_packet_sockets_are_kept() {
    let mut tally = Tally::default();
    if let Some(packet) = socket(
        Family::from_raw(libc::AF_PACKET),
        Kind::RAW,
        Protocol::DEFAULT,
    ) {
        use opt::packet;
        for option in [true, false] {
            tally.keeps(&packet, packet::AuxData, &[option]);
            tally.keeps(&packet, packet::OriginalDevice, &[option]);
            tally.keeps(&packet, packet::VnetHeader, &[option]);
            tally.keeps(&packet, packet::IgnoreOutgoing, &[option]);
            tally.keeps(&packet, packet::QdiscBypass, &[option]);
            tally.keeps(&packet, packet::SkipMalformed, &[option]);
            tally.keeps(&packet, packet::TxHasOffset, &[option]);
        }
        tally.keeps(&packet, packet::VnetHeaderSize, &[12, 0]);
        tally.keeps(&packet, packet::Reserve, &[16]);
        tally.keeps(&packet, packet::Version, &[0, 1, 2]);
        tally.takes(&packet, packet::CopyThreshold, 100);
        tally.keeps(
            &packet,
            packet::Timestamp,
            &[opt::TimestampingFlags::RAW_HARDWARE],
        );
        tally.tells(&packet, packet::Statistics, |found| {
            found.drops <= found.packets
        });
        for version in 0..3 {
            assert!(packet.packet_header_len(version).unwrap() >= 24);
        }
        assert!(packet.packet_header_len(9).is_err());
        let promiscuous = packet::Membership {
            index: 1,
            kind: packet::Membership::PROMISCUOUS,
            address_bytes: 0,
            address: [0; 8],
        };
        tally.takes(&packet, packet::AddMembership, promiscuous);
        tally.takes(&packet, packet::DropMembership, promiscuous);
        tally.takes(
            &packet,
            packet::RxRingV3,
            packet::RingV3 {
                block_bytes: 1 << 16,
                block_count: 2,
                frame_bytes: 1 << 11,
                frame_count: 64,
                block_timeout_ms: 10,
                private_bytes: 0,
                features: 0,
            },
        );
    }
    tally.end(0);
}

#[test]
fn options_of_virtual_machines_and_of_netlink_are_kept() {
    let mut tally = Tally::default();
    let vsock = Family::from_raw(libc::AF_VSOCK);
    if let Some(vsock) = socket(vsock, Kind::STREAM, Protocol::DEFAULT) {
        use opt::vsock;
        tally.keeps(&vsock, vsock::BufferMaxSize, &[1 << 20]);
        tally.keeps(&vsock, vsock::BufferSize, &[1 << 19]);
        tally.keeps(&vsock, vsock::BufferMinSize, &[1 << 10]);
        let limit = Some(Duration::from_millis(2500));
        tally.keeps(&vsock, vsock::ConnectTimeout, &[limit]);
        tally.keeps(&vsock, vsock::ConnectTimeoutNew, &[limit]);
    }
    let netlink = Family::from_raw(libc::AF_NETLINK);
    if let Some(netlink) = socket(netlink, Kind::RAW, Protocol::from_raw(libc::NETLINK_ROUTE)) {
        use opt::netlink;
        for option in [true, false] {
            tally.keeps(&netlink, netlink::PacketInfo, &[option]);
            tally.keeps(&netlink, netlink::BroadcastError, &[option]);
            tally.keeps(&netlink, netlink::NoEnobufs, &[option]);
            tally.keeps(&netlink, netlink::ListenAllNamespaces, &[option]);
            tally.keeps(&netlink, netlink::CapAck, &[option]);
            tally.keeps(&netlink, netlink::ExtendedAck, &[option]);
            tally.keeps(&netlink, netlink::StrictCheck, &[option]);
        }
        tally.takes(&netlink, netlink::AddMembership, 1);
        tally.tells(&netlink, netlink::ListMemberships, |groups| groups[0] == 1);
        tally.takes(&netlink, netlink::DropMembership, 1);
    }
    tally.end(0);
}

#[test]
fn options_of_rare_families_are_kept() {
    let mut tally = Tally::default();
    if let Some(xdp) = socket(Family::from_raw(libc::AF_XDP), Kind::RAW, Protocol::DEFAULT) {
        tally.takes(&xdp, opt::xdp::RxRing, 64);
        tally.tells(&xdp, opt::xdp::MmapOffsets, |found| {
            found.rx.descriptors > 0
        });
        tally.tells(&xdp, opt::xdp::Statistics, |found| found.rx_dropped == 0);
        tally.tells(&xdp, opt::xdp::Options, |flags| *flags == 0);
    }
    let can = Family::from_raw(libc::AF_CAN);
    if let Some(can) = socket(can, Kind::RAW, Protocol::from_raw(libc::CAN_RAW)) {
        use opt::can;
        tally.keeps(&can, can::RawLoopback, &BOTH);
        tally.keeps(&can, can::RawRecvOwn, &BOTH);
        tally.keeps(&can, can::RawFdFrames, &BOTH);
        tally.keeps(&can, can::RawJoinFilters, &BOTH);
        let filter = can::Filter { id: 1, mask: 0x7ff };
        tally.keeps(&can, can::RawFilter, &[vec![filter; 3], Vec::new()]);
    }
    let tipc = Family::from_raw(libc::AF_TIPC);
    if let Some(tipc) = socket(tipc, Kind::RDM, Protocol::DEFAULT) {
        tally.keeps(
            &tipc,
            opt::tipc::Importance,
            &[opt::tipc::ImportanceLevel::HIGH],
        );
        tally.keeps(
            &tipc,
            opt::tipc::ConnectTimeout,
            &[Duration::from_millis(500)],
        );
    }
    if let Some(alg) = socket(
        Family::from_raw(libc::AF_ALG),
        Kind::SEQPACKET,
        Protocol::DEFAULT,
    ) {
        tally.takes(&alg, opt::alg::Key, vec![0; 16]);
    }
    if let Some(rds) = socket(
        Family::from_raw(libc::AF_RDS),
        Kind::SEQPACKET,
        Protocol::DEFAULT,
    ) {
        tally.keeps(&rds, opt::rds::RecvErr, &BOTH);
    }
    tally.end(0);
}

#[test]
fn every_number_is_pythons_where_python_has_it() {
    let script = "import socket, sys\nif sys.version_info >= (3, 14): sys.exit(3)\n\
                  for n in dir(socket):\n  v = getattr(socket, n)\n  \
                  if n.isupper() and isinstance(v, int): print(n, int(v))";
    let Ok(output) = Command::new("python3").args(["-c", script]).output() else {
        eprintln!("skipped: needs python3");
        return;
    };
    if output.status.code() == Some(3) {
        eprintln!("skipped: this python3 is newer than 3.13 and may have names not looked at yet");
        return;
    }
    let text = String::from_utf8(output.stdout).unwrap();
    let known: BTreeMap<&str, i32> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
        .collect();
    let mut compared = 0;
    for option in opt::described() {
        if let Some(value) = known.get(option.label) {
            assert_eq!(option.name, *value, "{}", option.label);
            compared += 1;
        }
    }
    assert!(compared > 80, "{compared}");
    // And the other way: what Python has of these kinds is described here.
    let prefixes = [
        "SO_",
        "TCP_",
        "IP_",
        "IPV6_",
        "UDP_",
        "UDPLITE_",
        "CAN_RAW_",
        "CAN_ISOTP_",
        "ALG_SET_",
        "TIPC_",
        "MCAST_",
    ];
    let described: Vec<_> = opt::described().map(|option| option.label).collect();
    // Not options of a socket: ancillary data, values, addresses, limits; or methods here.
    let others = [
        "ALG_SET_AEAD_ASSOCLEN",
        "ALG_SET_IV",
        "ALG_SET_OP",
        "ALG_SET_PUBKEY",
        "CAN_RAW",
        "IPV6_HOPLIMIT",
        "IPV6_NEXTHOP",
        "IPV6_RTHDR_TYPE_0",
        "IPV6_USE_MIN_MTU",
        "IP_DEFAULT_MULTICAST_LOOP",
        "IP_DEFAULT_MULTICAST_TTL",
        "IP_MAX_MEMBERSHIPS",
        "IP_RECVRETOPTS",
        "IPV6_JOIN_GROUP",
        "IPV6_LEAVE_GROUP",
    ];
    let missing: Vec<_> = known
        .keys()
        .filter(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)))
        .filter(|name| !described.contains(name) && !others.contains(name))
        // Of addresses and messages, not of sockets.
        .filter(|name| !name.starts_with("TIPC_") || described.contains(name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn options_are_described_once_each() {
    let mut seen = BTreeMap::new();
    for option in opt::described() {
        let key = (option.level.raw(), option.name, option.label);
        *seen.entry(key).or_insert(0) += 1;
    }
    // The ring of a packet socket has two forms.
    let twice: Vec<_> = seen.iter().filter(|(_, count)| **count > 1).collect();
    assert_eq!(twice.len(), 1, "{twice:?}");
    assert!(seen.len() > 250, "{}", seen.len());
}

#[test]
fn integers_and_bare_lengths_can_be_used_raw() {
    let socket = tcp();
    let (level, name) = (Level::SOCKET, libc::SO_KEEPALIVE);
    assert_eq!(socket.get_raw_int(level, name).unwrap(), 0);
    socket.set_raw_int(level, name, 1).unwrap();
    assert_eq!(socket.get_raw_int(level, name).unwrap(), 1);
    // Eight bytes are no integer, and no value is no value.
    assert!(socket.get_raw_int(level, libc::SO_LINGER).is_ok());
    let error = socket.set_raw_null(level, name, 4).unwrap_err();
    assert_eq!(error.errno(), Some(berkeley::Errno::EFAULT));
}

#[test]
fn an_option_whose_value_points_to_memory_is_refused() {
    // It would let the kernel write wherever these bytes say.
    let mut value = [0x41; 64];
    let error = tcp().get_raw(Level::TCP, 35, &mut value).unwrap_err();
    assert!(matches!(error, berkeley::Error::Unsupported(_)), "{error}");
    let error = tcp()
        .set_raw(Level::from_raw(libc::SOL_XDP), 4, &value)
        .unwrap_err();
    assert!(matches!(error, berkeley::Error::Unsupported(_)), "{error}");
}
