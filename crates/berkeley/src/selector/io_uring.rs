//! The `io_uring` back end.

use super::{Interest, Ready};

/// What poll(2) calls an interest.
pub(crate) fn poll_events(interest: Interest) -> u32 {
    let parts = [
        (Interest::READABLE, libc::POLLIN),
        (Interest::WRITABLE, libc::POLLOUT),
        (Interest::PRIORITY, libc::POLLPRI),
        (Interest::PEER_CLOSED, libc::POLLRDHUP),
    ];
    parts
        .into_iter()
        .filter(|(part, _)| interest.contains(*part))
        .fold(0, |mask, (_, flag)| mask | u32::from(flag.cast_unsigned()))
}

/// What poll(2) tells, in our words.
pub(crate) fn ready(mask: u32) -> Ready {
    let has = |flag: i16| mask & u32::from(flag.cast_unsigned()) != 0;
    Ready::default()
        .when(
            has(libc::POLLIN | libc::POLLHUP | libc::POLLERR),
            Ready::READABLE,
        )
        .when(has(libc::POLLOUT | libc::POLLERR), Ready::WRITABLE)
        .when(has(libc::POLLPRI), Ready::PRIORITY)
        .when(has(libc::POLLRDHUP), Ready::PEER_CLOSED)
        .when(has(libc::POLLERR), Ready::ERROR)
        .when(has(libc::POLLHUP), Ready::HANG_UP)
}
