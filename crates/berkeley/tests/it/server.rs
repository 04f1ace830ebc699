//! Listening sockets with choices.

use berkeley::{
    Addr, Errno, Error, Family, Kind, ServerOptions, UnixAddr, create_server, has_dualstack_ipv6,
    opt,
};

use crate::support::{inet, tcp};

#[test]
fn dual_stack_is_said_both_ways() {
    if !has_dualstack_ipv6() {
        eprintln!("skipped: needs IPv6");
        return;
    }
    let any = Addr::any(Family::INET6, 0).unwrap();
    let both = create_server(&any, &ServerOptions::new().dual_stack(true)).unwrap();
    assert!(!both.get(opt::V6Only).unwrap());
    let port = both.local_addr().unwrap().port().unwrap();
    let caller = tcp();
    caller.connect(&inet(&format!("127.0.0.1:{port}"))).unwrap();
    let (_, peer) = both.accept().unwrap();
    assert!(
        peer.clone()
            .unwrap()
            .to_string()
            .starts_with("[::ffff:127.0.0.1]")
    );
    assert_eq!(peer.unwrap().canonical().family(), Family::INET);

    // As in Python, IPv6 alone unless asked for.
    let six = create_server(&any, &ServerOptions::new()).unwrap();
    assert!(six.get(opt::V6Only).unwrap());
    let port = six.local_addr().unwrap().port().unwrap();
    let errno = tcp()
        .connect_ex(&inet(&format!("127.0.0.1:{port}")))
        .unwrap();
    assert_eq!(errno, Some(Errno::ECONNREFUSED));

    let place = "tcp://*:0".parse().unwrap();
    let servers = ServerOptions::new().servers(&place).unwrap();
    assert_eq!(servers.len(), 1);
    let servers = ServerOptions::new()
        .dual_stack(false)
        .servers(&place)
        .unwrap();
    let families: Vec<_> = servers
        .iter()
        .map(|server| server.socket().family())
        .collect();
    assert_eq!(families, [Family::INET6, Family::INET]);
    let ports: Vec<_> = servers
        .iter()
        .map(|server| server.socket().local_addr().unwrap().port())
        .collect();
    assert_eq!(ports[0], ports[1]);

    let error = create_server(&inet("127.0.0.1:0"), &ServerOptions::new().dual_stack(true));
    assert!(matches!(error, Err(Error::Invalid(_))));
}

#[test]
fn a_port_is_shared_by_those_who_all_say_so() {
    let options = ServerOptions::new().reuse_port(true);
    let first = create_server(&inet("127.0.0.1:0"), &options).unwrap();
    let addr = first.local_addr().unwrap();
    let _second = create_server(&addr, &options).unwrap();
    let error = create_server(&addr, &ServerOptions::new()).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EADDRINUSE));
    assert!(first.get(opt::ReuseAddr).unwrap());
    let apart = ServerOptions::new().reuse_address(false);
    let other = create_server(&inet("127.0.0.1:0"), &apart).unwrap();
    assert!(!other.get(opt::ReuseAddr).unwrap());

    let unix = Addr::Unix(UnixAddr::unnamed());
    let error = create_server(&unix, &options).unwrap_err();
    assert!(error.to_string().contains("SO_REUSEPORT"), "{error}");
    let place = "unix://@berkeley-reuse-port".parse().unwrap();
    assert!(matches!(options.servers(&place), Err(Error::Invalid(_))));
}

#[test]
fn one_address_of_a_name_is_enough_if_one_is_asked_for() {
    let place = "localhost:0".parse().unwrap();
    let servers = ServerOptions::new().only_one(true).servers(&place).unwrap();
    assert_eq!(servers.len(), 1);
    let unix = create_server(&Addr::Unix(UnixAddr::unnamed()), &ServerOptions::new()).unwrap();
    assert_eq!(unix.kind(), Kind::STREAM);
    assert!(unix.get(opt::Listening).unwrap());
}

#[test]
fn a_backlog_is_as_long_as_asked_for() {
    let server = create_server(&inet("127.0.0.1:0"), &ServerOptions::new().backlog(0)).unwrap();
    let addr = server.local_addr().unwrap();
    let (first, second) = (tcp(), tcp());
    first.connect(&addr).unwrap();
    second
        .set_mode(berkeley::Mode::Within(std::time::Duration::from_millis(50)))
        .unwrap();
    assert!(second.connect(&addr).unwrap_err().is_timed_out());
}
