//! Hosts, services, protocols and this machine's name. Nothing here needs a network: names come
//! from files, and the name servers that are asked are ones that do not answer.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use berkeley::interfaces::if_nametoindex;
use berkeley::names::{
    GaiError, HostError, LOOKUPS_MAX, NameFlags, ResolveFlags, getfqdn, gethostbyaddr,
    gethostbyname, gethostbyname_ex, gethostbyname2, gethostname, getnameinfo, getprotobyname,
    getprotobynumber, getservbyname, getservbyport, lookup_until, sethostname,
};
use berkeley::{Addr, Deadline, Errno, Error, Family, Kind, Protocol, Query, ResolveError, Result};

use crate::inside::{INSIDE, is_inside};
use crate::support::{Storm, assert_takes, assert_timed_out, impossible_host, inet, thread_id};

fn reason<T: std::fmt::Debug>(result: Result<T>) -> ResolveError {
    match result.unwrap_err() {
        Error::Resolve { reason, .. } | Error::NoName { reason, .. } => reason,
        error => panic!("{error:?}"),
    }
}

#[test]
fn an_address_comes_once_for_each_type_unless_one_is_asked_for() {
    let found = Query::host("127.0.0.1").port(80).resolve().unwrap();
    let kinds: Vec<_> = found
        .iter()
        .map(|info| (info.kind, info.protocol))
        .collect();
    assert_eq!(
        kinds,
        [
            (Kind::STREAM, Protocol::TCP),
            (Kind::DGRAM, Protocol::UDP),
            (Kind::RAW, Protocol::DEFAULT)
        ]
    );
    let found = Query::host("127.0.0.1").port(80).protocol(Protocol::UDP);
    let found = found.resolve().unwrap();
    assert_eq!((found.len(), found[0].kind), (1, Kind::DGRAM));
    assert_eq!(found[0].family, Family::INET);
    assert_eq!(found[0].addr, inet("127.0.0.1:80"));
    assert_eq!(found[0].canonical_name, None);
}

#[test]
fn the_canonical_name_stands_in_the_first_answer() {
    let query = Query::host("127.0.0.1").flags(ResolveFlags::CANONNAME | ResolveFlags::NUMERICHOST);
    let found = query.resolve().unwrap();
    assert_eq!(found[0].canonical_name, Some("127.0.0.1".into()));
    assert_eq!(found[1].canonical_name, None);
}

#[test]
fn this_machine_is_loopback_to_callers_and_the_wildcard_to_listeners() {
    let query = Query::local()
        .port(7)
        .family(Family::INET)
        .kind(Kind::STREAM);
    assert_eq!(query.resolve().unwrap()[0].addr, inet("127.0.0.1:7"));
    let query = query.flags(ResolveFlags::PASSIVE);
    assert_eq!(query.resolve().unwrap()[0].addr, inet("0.0.0.0:7"));
}

#[test]
fn a_zone_is_the_scope_and_comes_back_as_the_zone() {
    let index = if_nametoindex("lo").unwrap();
    let query = Query::host("fe80::1%lo").port(9).kind(Kind::DGRAM);
    let addr = query.resolve().unwrap()[0].addr.clone();
    let Addr::Inet6(inner) = &addr else {
        panic!("{addr:?}")
    };
    assert_eq!(inner.scope_id(), index);
    let name = getnameinfo(&addr, NameFlags::NUMERICHOST | NameFlags::NUMERICSERV).unwrap();
    assert_eq!((name.host, name.service), ("fe80::1%lo".into(), "9".into()));
}

#[test]
fn an_ipv4_address_is_mapped_where_ipv6_is_asked_for() {
    let query = Query::host("192.0.2.1")
        .family(Family::INET6)
        .flags(ResolveFlags::V4MAPPED | ResolveFlags::NUMERICHOST);
    let found = query.resolve().unwrap();
    assert_eq!(found[0].addr, inet("[::ffff:192.0.2.1]:0"));
}

#[test]
fn each_refusal_has_its_own_code() {
    let gai = |query: Query| match reason(query.resolve()) {
        ResolveError::Gai(code) => code,
        reason => panic!("{reason:?}"),
    };
    let numeric = |host: &str| Query::host(host).flags(ResolveFlags::NUMERICHOST);
    assert_eq!(gai(numeric("localhost")), GaiError::NONAME);
    assert_eq!(gai(Query::local()), GaiError::NONAME);
    assert_eq!(
        gai(numeric("::1").family(Family::INET)),
        GaiError::ADDRFAMILY
    );
    assert_eq!(gai(numeric("::1").family(Family::UNIX)), GaiError::FAMILY);
    assert_eq!(
        gai(numeric("::1").kind(Kind::from_raw(77))),
        GaiError::SOCKTYPE
    );
    let odd = Query::host("::1").flags(ResolveFlags::from_raw(0x4000_0000));
    assert_eq!(gai(odd), GaiError::BADFLAGS);
    let service = numeric("::1").service("no-such-service").kind(Kind::STREAM);
    assert_eq!(gai(service), GaiError::SERVICE);
    let service = Query::local().service("a\0b");
    assert_eq!(reason(service.resolve()), ResolveError::ZeroByte);
}

#[test]
fn a_refusal_is_a_sentence_with_the_name_in_it() {
    let error = Query::host("no.such.host").flags(ResolveFlags::NUMERICHOST);
    let error = error.resolve().unwrap_err();
    assert_eq!(
        error.to_string(),
        "no address for \"no.such.host\": name or service not known"
    );
    assert!(std::error::Error::source(&error).is_some());
    assert_eq!(error.errno(), None);
}

#[test]
fn a_unix_address_is_a_service_of_this_machine() {
    let addr = Addr::Unix(berkeley::UnixAddr::path("/tmp/x").unwrap());
    let name = getnameinfo(&addr, NameFlags::NONE).unwrap();
    assert_eq!(
        (name.host, name.service),
        (gethostname().unwrap(), "/tmp/x".into())
    );
    // Nothing in the address says where such a path ends, and there is room for 31 bytes of it.
    let whole = "/".to_owned() + &"x".repeat(107);
    let family = u16::try_from(Family::UNIX.raw()).unwrap().to_ne_bytes();
    let addr = Addr::from_sockaddr(&[&family, whole.as_bytes()].concat()).unwrap();
    match getnameinfo(&addr, NameFlags::NONE) {
        Ok(name) => {
            let service = name.service.into_string().unwrap();
            assert!(
                service.len() >= 30 && whole.starts_with(&service),
                "{service}"
            );
        }
        error => assert_eq!(reason(error), ResolveError::Gai(GaiError::OVERFLOW)),
    }
    let odd = Addr::Other {
        family: Family::from_raw(40),
        bytes: vec![0; 14],
    };
    let error = getnameinfo(&odd, NameFlags::NONE);
    assert_eq!(reason(error), ResolveError::Gai(GaiError::FAMILY));
}

#[test]
fn a_host_that_cannot_exist_is_an_error_of_the_older_calls_too() {
    let host = impossible_host();
    assert!(matches!(
        reason(gethostbyname_ex(&host)),
        ResolveError::Host(_)
    ));
    assert!(matches!(reason(gethostbyname(&host)), ResolveError::Gai(_)));
    let refused = gethostbyname2("127.0.0.1", Family::UNIX).unwrap_err();
    assert_eq!(refused.errno(), Some(Errno::EAFNOSUPPORT));
}

#[test]
fn special_names_and_old_forms_are_addresses() {
    assert_eq!(gethostbyname("").unwrap(), Ipv4Addr::UNSPECIFIED);
    assert_eq!(gethostbyname("<broadcast>").unwrap(), Ipv4Addr::BROADCAST);
    assert_eq!(gethostbyname("127.1").unwrap(), Ipv4Addr::LOCALHOST);
}

const HOSTS: &str = "\
127.0.0.1 localhost
192.0.2.7 big.example.org big huge
2001:db8::7 big.example.org big six
192.0.2.8 plain
192.0.2.9 many.example.org";
const SERVICES: &str = "first 4000/tcp uno eins\nfirst 4000/udp\nsecond 4001/udp\n";
const PROTOCOLS: &str = "ip 0 IP\nodd 201 ODD strange\n";
const SET_FILES: &str = "\
for file in hosts services protocols nsswitch.conf; do
  mount --bind \"$1/$file\" /etc/$file
done";

/// Writes the files that `SET_FILES` puts in the place of the machine's.
fn write_files(folder: &Path) {
    let many: String = (0..1000).map(|number| format!(" alias{number}")).collect();
    for (file, text) in [
        ("hosts", format!("{HOSTS}{many}\n")),
        ("services", SERVICES.into()),
        ("protocols", PROTOCOLS.into()),
        (
            "nsswitch.conf",
            "hosts: files\nservices: files\nprotocols: files\n".into(),
        ),
    ] {
        fs::write(folder.join(file), text).unwrap();
    }
}

#[test]
fn privileged_files_of_names_are_read_with_all_aliases() {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path());
    let name = "names::privileged_files_of_names_are_read_with_all_aliases";
    if !is_inside(name, &["-m"], SET_FILES, folder.path()) {
        return;
    }
    let ip: IpAddr = "192.0.2.7".parse().unwrap();
    let host = gethostbyname_ex("huge").unwrap();
    assert_eq!(host.name, "big.example.org");
    assert_eq!(host.aliases, ["big", "huge"]);
    assert_eq!((host.family, host.addrs), (Family::INET, vec![ip]));
    let six = gethostbyname2("six", Family::INET6).unwrap();
    assert_eq!(six.addrs, ["2001:db8::7".parse::<IpAddr>().unwrap()]);
    assert_eq!(gethostbyaddr(ip).unwrap().aliases, ["big", "huge"]);
    let nobody: IpAddr = "192.0.2.99".parse().unwrap();
    let unknown = gethostbyaddr(nobody).unwrap_err();
    assert_eq!(unknown.to_string(), "no name for 192.0.2.99: unknown host");
    assert_eq!(
        reason(gethostbyname_ex("nobody")),
        ResolveError::Host(HostError::HOST_NOT_FOUND)
    );

    // More than the first room holds.
    let many = gethostbyname_ex("alias999").unwrap();
    assert_eq!(many.aliases.len(), 1000);

    assert_eq!(getfqdn("huge").unwrap(), "big.example.org");
    assert_eq!(getfqdn("plain").unwrap(), "plain");
    assert_eq!(getfqdn("nobody").unwrap(), "nobody");

    let found = Query::host("big").kind(Kind::STREAM).service("uno");
    let found = found.flags(ResolveFlags::CANONNAME).resolve().unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|info| info.addr.port() == Some(4000)));
    assert!(found[0].canonical_name.is_some());
    let named = getnameinfo(&inet("192.0.2.7:4001"), NameFlags::DGRAM).unwrap();
    assert_eq!(named.host, "big.example.org");
    assert_eq!(named.service, "second");
    let required = getnameinfo(&inet("192.0.2.99:1"), NameFlags::NAMEREQD);
    assert_eq!(reason(required), ResolveError::Gai(GaiError::NONAME));

    let first = getservbyname("eins", None).unwrap().unwrap();
    assert_eq!((first.name, first.port), ("first".into(), 4000));
    assert_eq!(first.aliases, ["uno", "eins"]);
    assert_eq!(first.protocol, "tcp");
    let udp = getservbyport(4000, Some("udp")).unwrap().unwrap();
    assert_eq!(
        (udp.protocol, udp.aliases),
        ("udp".into(), Vec::<OsString>::new())
    );
    assert_eq!(getservbyport(4001, Some("tcp")).unwrap(), None);
    assert_eq!(getservbyname("third", None).unwrap(), None);
    let odd = getprotobynumber(Protocol::from_raw(201)).unwrap().unwrap();
    assert_eq!(odd.name, "odd");
    assert_eq!(odd.aliases, ["ODD", "strange"]);
    assert_eq!(getprotobyname("strange").unwrap(), Some(odd));
    assert_eq!(getprotobyname("none").unwrap(), None);
}

#[test]
fn a_zero_byte_in_a_name_is_refused() {
    assert!(matches!(
        getservbyname("a\0b", None),
        Err(Error::Invalid(_))
    ));
    assert!(matches!(getprotobyname("a\0b"), Err(Error::Invalid(_))));
    assert_eq!(reason(gethostbyname("a\0b")), ResolveError::ZeroByte);
}

#[test]
fn privileged_name_server_that_does_not_answer_is_given_up_in_time() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("resolv.conf"), "nameserver 127.0.0.1\n").unwrap();
    fs::write(folder.path().join("nsswitch.conf"), "hosts: files dns\n").unwrap();
    let name = "names::privileged_name_server_that_does_not_answer_is_given_up_in_time";
    let setup = "ip link set lo up; for file in resolv.conf nsswitch.conf; do
          mount --bind \"$1/$file\" /etc/$file; done";
    if !is_inside(name, &["-m", "-n"], setup, folder.path()) {
        return;
    }
    // Takes every question and answers none.
    let _server = UdpSocket::bind("127.0.0.1:53").unwrap();
    let limit = Duration::from_millis(300);
    assert_takes(limit, || {
        let query = Query::host("some.example.org").port(1);
        assert_timed_out(query.resolve_until(Deadline::within(limit)));
    });
    let ip: IpAddr = "192.0.2.1".parse().unwrap();
    assert_takes(limit, || {
        let deadline = Deadline::within(limit);
        let host = lookup_until(deadline, "gethostbyaddr", move || gethostbyaddr(ip));
        assert_timed_out(host);
    });

    // As many as there may be, and some more: each in time, and no thread too many.
    let start = Instant::now();
    let limit = Duration::from_secs(1);
    let askers: Vec<_> = (0..LOOKUPS_MAX + 10)
        .map(|number| {
            thread::spawn(move || {
                let query = Query::host(format!("host{number}.example.org"));
                query.resolve_until(Deadline::within(limit))
            })
        })
        .collect();
    for asker in askers {
        assert_timed_out(asker.join().unwrap());
    }
    let taken = start.elapsed();
    // Twice as long is what a busy machine makes of it, and not what the resolver waits: 10 s.
    assert!(taken < 4 * limit, "{taken:?}");
    let is_lookup = |task: &Path| {
        fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "berkeley-lookup")
    };
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let lookups = tasks.filter(|task| is_lookup(&task.as_ref().unwrap().path()));
    assert_eq!(lookups.count(), LOOKUPS_MAX);

    // What needs no server is answered all the same.
    let numeric = Query::host("fe80::1%lo").port(1);
    assert!(numeric.resolve_until(Deadline::within(limit)).is_ok());
}

#[test]
fn a_lookup_with_a_deadline_gives_its_answer_and_its_place_back() {
    for number in 0..LOOKUPS_MAX * 2 {
        let deadline = Deadline::within(Duration::from_secs(10));
        let answer = lookup_until(deadline, "test", move || Ok(number));
        assert_eq!(answer.unwrap(), number);
    }
    let found = Query::host("localhost").family(Family::INET);
    let found = found.resolve_until(Deadline::within(Duration::from_secs(10)));
    assert_eq!(found.unwrap()[0].addr, inet("127.0.0.1:0"));
}

#[test]
fn a_deadline_that_has_passed_begins_nothing() {
    let deadline = Deadline::within(Duration::ZERO);
    assert_timed_out(lookup_until(deadline, "test", || -> Result<()> {
        panic!("it was begun")
    }));
}

#[test]
fn signals_do_not_move_the_deadline() {
    let mut storm = Storm::over(&thread_id());
    storm.await_signals(1);
    let limit = Duration::from_millis(200);
    assert_takes(limit, || {
        let (end, ended) = mpsc::channel::<()>();
        let deadline = Deadline::within(limit);
        assert_timed_out(lookup_until(deadline, "test", move || {
            let _closed = ended.recv();
            Ok(())
        }));
        drop(end);
    });
}

#[test]
fn a_panic_in_a_lookup_is_the_callers() {
    let panicked = std::panic::catch_unwind(|| {
        let deadline = Deadline::within(Duration::from_secs(10));
        lookup_until(deadline, "test", || -> Result<()> {
            panic!("of the lookup")
        })
    });
    let reason = panicked.unwrap_err();
    assert_eq!(reason.downcast_ref(), Some(&"of the lookup"));
}

#[test]
fn many_threads_ask_at_once_and_each_gets_its_own_answer() {
    let known = |port| getservbyport(port, Some("tcp")).unwrap();
    let before: Vec<_> = (1..200).map(known).collect();
    thread::scope(|scope| {
        for _thread in 0..8 {
            scope.spawn(|| {
                for (port, expected) in (1..200).zip(&before) {
                    assert_eq!(known(port), *expected);
                    let text = format!("127.0.0.{port}");
                    let host = gethostbyname_ex(&text).unwrap();
                    assert_eq!(host.name, text.as_str());
                    assert_eq!(host.addrs, [text.parse::<IpAddr>().unwrap()]);
                }
            });
        }
    });
}

#[test]
fn privileged_host_name_is_set_and_read_back() {
    let name = "names::privileged_host_name_is_set_and_read_back";
    if !is_inside(name, &["-u"], "", Path::new("/")) {
        return;
    }
    sethostname("tests.example.org").unwrap();
    assert_eq!(gethostname().unwrap(), "tests.example.org");
    let longest = "x".repeat(64);
    sethostname(&longest).unwrap();
    assert_eq!(gethostname().unwrap(), longest.as_str());
    let error = sethostname("x".repeat(65)).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EINVAL));
    assert_eq!(gethostname().unwrap(), longest.as_str());
}

#[test]
fn the_host_name_is_the_kernels() {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(gethostname().unwrap(), name.trim_end());
}

/// Every call that allocates in the C library, those that fail among them.
#[test]
fn every_list_is_asked_for() {
    assert!(Query::host("127.0.0.1").resolve().is_ok());
    assert!(
        Query::host("127.0.0.1")
            .family(Family::INET6)
            .resolve()
            .is_err()
    );
    assert!(getnameinfo(&inet("127.0.0.1:80"), NameFlags::NUMERICHOST).is_ok());
    assert!(gethostbyname_ex("127.0.0.1").is_ok());
    assert!(gethostbyaddr(Ipv4Addr::LOCALHOST).is_ok());
    assert!(getservbyname("http", None).is_ok());
    assert!(getprotobyname("tcp").is_ok());
    assert!(!berkeley::interfaces::if_nameindex().unwrap().is_empty());
    assert!(!berkeley::interfaces::getifaddrs().unwrap().is_empty());
}

#[test]
fn no_list_leaks_under_valgrind() {
    if env::var_os(INSIDE).is_some() {
        return;
    }
    let output = Command::new("valgrind")
        .args(["--leak-check=full", "--errors-for-leak-kinds=definite"])
        .args(["--error-exitcode=99", "--quiet"])
        .arg(env::current_exe().unwrap())
        .args([
            "--exact",
            "names::every_list_is_asked_for",
            "--test-threads=1",
        ])
        .env(INSIDE, "1")
        .output();
    let Ok(output) = output else {
        eprintln!("skipped: needs valgrind");
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
    assert!(said.contains("1 passed"), "{said}{complained}");
}
