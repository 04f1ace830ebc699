//! Connections to hosts of which not every address answers.

use std::fs;
use std::time::{Duration, Instant};

use berkeley::{
    Addr, ConnectOptions, Deadline, Endpoint, Errno, Error, Family, Mode, ServerOptions,
    create_connection, create_server,
};

use crate::inside::is_inside;
use crate::support::{PATIENCE, assert_takes, has_ipv6, inet, listener, tcp};

/// In the namespace: what is sent to `192.0.2.1` and `192.0.2.3` comes in again at the loopback
/// interface, where nobody has these addresses, and is dropped without an answer. `192.0.2.2` is
/// unreachable at once.
const DROPPING: &str = "ip link set lo up; ip addr add 198.51.100.1/32 dev lo; \
    ip route add 192.0.2.1 dev lo src 198.51.100.1; \
    ip route add 192.0.2.3 dev lo src 198.51.100.1; \
    ip route add unreachable 192.0.2.2";

fn dropping() -> Addr {
    inet("192.0.2.1:9")
}

#[test]
fn an_address_that_drops_everything_costs_its_head_start_only() {
    let folder = tempfile::tempdir().unwrap();
    let test = "connect::an_address_that_drops_everything_costs_its_head_start_only";
    if !is_inside(test, &["-n"], DROPPING, folder.path()) {
        return;
    }
    let (_server, good) = listener(4);
    let mut best = Duration::MAX;
    for _try in 0..3 {
        let begin = Instant::now();
        let options = ConnectOptions::new().timeout(PATIENCE);
        let (socket, addr) = options
            .connect_addresses(&[dropping(), good.clone()])
            .unwrap();
        best = best.min(begin.elapsed());
        assert!(begin.elapsed() >= Duration::from_millis(250));
        assert_eq!(addr, good);
        assert_eq!(socket.peer_addr().unwrap(), Some(good.clone()));
        assert_eq!(socket.mode(), Mode::Block);
        // The loser is closed: nobody waits for its answer any more.
        let open = fs::read_to_string("/proc/self/net/tcp").unwrap();
        assert!(!open.contains("010200C0:0009"), "{open}");
    }
    assert!(best < Duration::from_millis(400), "{best:?}");

    // Refused at once, so the next one starts at once.
    let begin = Instant::now();
    let bad = inet("192.0.2.2:9");
    ConnectOptions::new()
        .timeout(PATIENCE)
        .connect_addresses(&[bad.clone(), good.clone()])
        .unwrap();
    assert!(begin.elapsed() < Duration::from_millis(200));

    // One at a time never comes to the good one.
    let limit = Duration::from_millis(400);
    let error = ConnectOptions::new()
        .attempt_delay(Duration::MAX)
        .timeout(limit)
        .connect_addresses(&[dropping(), good.clone()])
        .unwrap_err();
    assert!(error.is_timed_out(), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("not tried"), "{text}");
    let Error::Connect(tried) = error else {
        panic!("{error:?}")
    };
    assert!(matches!(tried[0], (_, Error::TimedOut { .. })), "{tried:?}");
    assert!(
        matches!(&tried[1], (addr, Error::NotTried) if *addr == good),
        "{tried:?}"
    );
    assert_eq!(tried.len(), 2);

    // All of them fail: every reason is told, in the order of the tries.
    let refusing = {
        let (gone, addr) = listener(1);
        drop(gone);
        addr
    };
    let others = [dropping(), refusing, bad, inet("192.0.2.3:9")];
    assert_takes(limit + Duration::from_millis(300), || {
        let error = ConnectOptions::new()
            .timeout(limit + Duration::from_millis(300))
            .connect_addresses(&others)
            .unwrap_err();
        let Error::Connect(tried) = &error else {
            panic!("{error:?}")
        };
        let tried_addresses: Vec<_> = tried.iter().map(|(addr, _)| addr.clone()).collect();
        assert_eq!(tried_addresses, others);
        let errnos: Vec<_> = tried.iter().map(|(_, error)| error.errno()).collect();
        let unreachable = Some(Errno::EHOSTUNREACH);
        assert_eq!(errnos, [None, Some(Errno::ECONNREFUSED), unreachable, None]);
        assert!(error.is_timed_out());
    });
}

#[test]
fn the_deadline_covers_the_lookup_too() {
    // A resolver that never answers: a name server behind an address that drops everything.
    let setup = format!(
        "{DROPPING}; mount -t tmpfs none /mnt; echo nameserver 192.0.2.1 > /mnt/resolv.conf; \
         mount --bind /mnt/resolv.conf /etc/resolv.conf"
    );
    let folder = tempfile::tempdir().unwrap();
    let test = "connect::the_deadline_covers_the_lookup_too";
    if !is_inside(test, &["-n", "-m"], &setup, folder.path()) {
        return;
    }
    let limit = Duration::from_millis(200);
    assert_takes(limit, || {
        let options = ConnectOptions::new().timeout(limit);
        let error = options.connect_host("name.example", 80).unwrap_err();
        assert!(error.is_timed_out(), "{error:?}");
    });
    let place: Endpoint = "name.example:80".parse().unwrap();
    assert_takes(limit, || {
        let error = create_connection(&place, Deadline::within(limit)).unwrap_err();
        assert!(error.is_timed_out(), "{error:?}");
    });
}

#[test]
fn both_families_of_a_name_are_tried() {
    let (_server, addr) = listener(4);
    let port = addr.port().unwrap();
    // Nobody listens at ::1 with that port, if it comes first.
    let options = ConnectOptions::new().timeout(PATIENCE);
    let (_, reached) = options.connect_host("localhost", port).unwrap();
    assert_eq!(reached, addr);

    if has_ipv6() {
        let error = options
            .clone()
            .family(Family::INET6)
            .connect_addresses(&[inet(&format!("[::1]:{port}")), inet("[::1]:1")])
            .unwrap_err();
        assert!(matches!(error, Error::Connect(tried) if tried.len() == 2));
    }
}

#[test]
fn a_call_comes_from_the_address_that_was_asked_for() {
    let (server, addr) = listener(4);
    let options = ConnectOptions::new()
        .timeout(PATIENCE)
        .source(inet("127.0.0.9:0"));
    let (socket, _) = options
        .connect_addresses(std::slice::from_ref(&addr))
        .unwrap();
    let (_, peer) = server.accept().unwrap();
    assert_eq!(peer, Some(socket.local_addr().unwrap()));
    assert_eq!(peer.unwrap().ip(), inet("127.0.0.9:0").ip());

    // A port of the caller's choice, too.
    let free = {
        let socket = tcp();
        socket.bind(&inet("127.0.0.9:0")).unwrap();
        socket.local_addr().unwrap()
    };
    let options = ConnectOptions::new().timeout(PATIENCE).source(free.clone());
    let (socket, _) = options
        .connect_addresses(std::slice::from_ref(&addr))
        .unwrap();
    assert_eq!(socket.local_addr().unwrap(), free);

    let error = options.connect_addresses(&[inet("[::1]:9")]).unwrap_err();
    assert!(error.to_string().contains("another family"), "{error}");
}

#[test]
fn the_earlier_of_two_limits_counts() {
    let (_server, addr) = listener(0);
    let first = tcp();
    first.connect(&addr).unwrap();
    let limit = Duration::from_millis(60);
    assert_takes(limit, || {
        let options = ConnectOptions::from(Deadline::within(limit)).timeout(PATIENCE);
        let error = options
            .connect_addresses(std::slice::from_ref(&addr))
            .unwrap_err();
        assert!(error.is_timed_out(), "{error:?}");
    });
    let error = ConnectOptions::new().connect_addresses(&[]).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)));
}

#[test]
fn a_server_socket_is_reached() {
    let server = create_server(&inet("127.0.0.1:0"), &ServerOptions::new()).unwrap();
    let addr = server.local_addr().unwrap();
    let place: Endpoint = addr.to_string().parse().unwrap();
    create_connection(&place, ConnectOptions::new()).unwrap();
    server.accept().unwrap();
}
