//! Socket options, by type and raw.

use std::time::Duration;

use berkeley::opt::{GetOpt, SetOpt};
use berkeley::{Errno, Family, Kind, Level, Protocol, Socket, opt};

use crate::support::{listener, tcp, udp, unix};

fn assert_kept<O>(socket: &Socket, option: O, values: &[O::Value])
where
    O: GetOpt + SetOpt + Copy,
    O::Value: Copy + PartialEq + std::fmt::Debug,
{
    for value in values {
        socket.set(option, *value).unwrap();
        assert_eq!(socket.get(option).unwrap(), *value, "{}", O::LABEL);
    }
}

#[test]
fn what_is_set_is_read_back() {
    let socket = tcp();
    assert_kept(&socket, opt::ReuseAddr, &[true, false]);
    assert_kept(&socket, opt::ReusePort, &[true, false]);
    assert_kept(&socket, opt::KeepAlive, &[true, false]);
    assert_kept(&socket, opt::NoDelay, &[true, false]);
    assert_kept(&socket, opt::KeepIdle, &[Duration::from_secs(7)]);
    assert_kept(&socket, opt::KeepInterval, &[Duration::from_secs(3)]);
    assert_kept(&socket, opt::KeepCount, &[5]);
    assert_kept(
        &socket,
        opt::Linger,
        &[Some(Duration::from_secs(9)), Some(Duration::ZERO), None],
    );
    assert_kept(&udp().0, opt::Broadcast, &[true, false]);
}

#[test]
fn the_kernel_doubles_the_size_of_a_buffer() {
    let socket = tcp();
    socket.set(opt::RecvBuffer, 50_000).unwrap();
    assert!(socket.get(opt::RecvBuffer).unwrap() >= 100_000);
    socket.set(opt::SendBuffer, 50_000).unwrap();
    assert!(socket.get(opt::SendBuffer).unwrap() >= 100_000);
}

#[test]
fn a_time_in_whole_seconds_is_rounded_up() {
    let socket = tcp();
    socket
        .set(opt::KeepIdle, Duration::from_millis(1500))
        .unwrap();
    assert_eq!(socket.get(opt::KeepIdle).unwrap(), Duration::from_secs(2));
    socket
        .set(opt::Linger, Some(Duration::from_nanos(1)))
        .unwrap();
    assert_eq!(
        socket.get(opt::Linger).unwrap(),
        Some(Duration::from_secs(1))
    );
    // The longest time there is does not overflow.
    socket.set(opt::Linger, Some(Duration::MAX)).unwrap();
    assert!(socket.get(opt::Linger).unwrap().unwrap() > Duration::from_secs(1_000_000));
    socket.set(opt::SendTimeout, Some(Duration::MAX)).unwrap();
}

#[test]
fn a_socket_tells_what_it_is() {
    let socket = udp().0;
    assert_eq!(socket.get(opt::Type).unwrap(), Kind::DGRAM);
    assert_eq!(socket.get(opt::Domain).unwrap(), Family::INET);
    assert_eq!(socket.get(opt::ProtocolNumber).unwrap(), Protocol::UDP);
    assert!(listener(1).0.get(opt::Listening).unwrap());
    assert!(!tcp().get(opt::Listening).unwrap());
    assert_eq!(tcp().get(opt::PendingError).unwrap(), None);
}

#[test]
fn an_option_of_another_family_is_an_error_that_names_it() {
    let error = unix(Kind::STREAM).set(opt::NoDelay, true).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EOPNOTSUPP));
    assert!(error.to_string().contains("TCP_NODELAY"), "{error}");
    let error = tcp().set(opt::KeepIdle, Duration::ZERO).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EINVAL));
    assert!(error.to_string().contains("TCP_KEEPIDLE"), "{error}");
}

#[test]
fn any_option_can_be_used_raw() {
    let socket = tcp();
    socket
        .set_raw(Level::SOCKET, libc::SO_KEEPALIVE, &1i32.to_ne_bytes())
        .unwrap();
    assert!(socket.get(opt::KeepAlive).unwrap());
    let mut value = [0; 32];
    let len = socket
        .get_raw(Level::TCP, libc::TCP_CONGESTION, &mut value)
        .unwrap();
    assert!(len > 0 && len <= value.len());
    assert!(value[0].is_ascii_alphabetic());
    let error = socket.get_raw(Level::SOCKET, 9999, &mut value).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ENOPROTOOPT));
}

#[test]
fn the_limit_of_descriptors_can_be_raised_to_what_the_system_allows() {
    let before = berkeley::descriptor_limit().unwrap();
    let after = berkeley::raise_descriptor_limit().unwrap();
    assert!(after >= before);
    assert_eq!(berkeley::descriptor_limit().unwrap(), after);
}

#[test]
fn a_key_of_tcp_ao_is_told_back() {
    let socket = tcp();
    let key = opt::tcp_ao::AoKey {
        peer: [127, 0, 0, 1].into(),
        prefix: 32,
        send_id: 100,
        recv_id: 101,
        algorithm: "hmac(sha1)".into(),
        key: b"secret".to_vec(),
        mac_len: 12,
        index: 0,
        exclude_options: false,
        set_current: false,
        set_next: false,
    };
    if let Err(error) = socket.set(opt::tcp_ao::AddKey, key.clone()) {
        assert!(socket.tcp_ao_keys().is_err());
        return eprintln!("skipped: needs TCP-AO, Linux 6.7: {error}");
    }
    let keys = socket.tcp_ao_keys().unwrap();
    assert_eq!(keys.iter().map(|one| &one.key).collect::<Vec<_>>(), [&key]);
}
