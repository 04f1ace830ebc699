//! What a reactor runs on.

use berkeley::selector::Backend;
use berkeley::uring::{Ring, RingOptions};
use switchboard_reactor::Reactor;

use crate::support::BACKENDS;

#[test]
fn a_reactor_runs_on_what_was_asked_for_and_on_epoll_where_there_is_no_ring() {
    for backend in BACKENDS {
        let reactor = Reactor::new(backend).unwrap();
        if backend == Backend::IoUring
            && let Err(error) = Ring::new(RingOptions::default())
        {
            eprintln!("skipped: {error}");
            assert_eq!(reactor.backend(), Backend::Epoll);
            assert_eq!(
                reactor.fallback().map(ToString::to_string),
                Some(error.to_string())
            );
        } else {
            assert_eq!(reactor.backend(), backend);
            assert!(reactor.fallback().is_none());
        }
    }
}
