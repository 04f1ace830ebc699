//! The kernel's own calls, with their own flags.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use berkeley::select::{
    Epoll, EpollFlags, FD_SETSIZE, FdSet, PIPE_BUF, Poll, PollEvent, PollFlags, select,
};
use berkeley::{Errno, Error, Kind, Shutdown, Waker};

use crate::selector_contract::{NUMBERS, assert_errno, high_descriptor};
use crate::support::{PATIENCE, assert_takes, is_close_on_exec, receive, tcp_pair, unix_pair};

const NOW: Option<Duration> = Some(Duration::ZERO);

#[test]
fn select_leaves_in_its_sets_what_is_ready() {
    let _few = NUMBERS.read().unwrap_or_else(|error| error.into_inner());
    let (a, b) = tcp_pair();
    let (mut read, mut write, mut except) = (FdSet::new(), FdSet::new(), FdSet::new());
    let ask = |read: &mut FdSet, write: &mut FdSet, except: &mut FdSet| {
        for socket in [&a, &b] {
            read.insert(socket).unwrap();
            write.insert(socket).unwrap();
            except.insert(socket).unwrap();
        }
    };
    ask(&mut read, &mut write, &mut except);
    assert_eq!(select(&mut read, &mut write, &mut except, None).unwrap(), 2);
    assert_eq!(read.numbers().count() + except.numbers().count(), 0);
    let mut numbers = vec![a.as_fd().as_raw_fd(), b.as_fd().as_raw_fd()];
    numbers.sort_unstable();
    assert_eq!(write.numbers().collect::<Vec<_>>(), numbers);
    a.send_all(b"x").unwrap();
    ask(&mut read, &mut write, &mut except);
    write.remove(&a);
    write.remove(&b);
    select(&mut read, &mut write, &mut except, Some(PATIENCE)).unwrap();
    assert!(read.contains(&b) && !read.contains(&a));
    a.send(b"!", berkeley::MsgFlags::OOB).unwrap();
    let mut except = FdSet::new();
    except.insert(&b).unwrap();
    let none = || FdSet::with_room(0);
    assert_eq!(
        select(&mut none(), &mut none(), &mut except, Some(PATIENCE)).unwrap(),
        1
    );
    except.clear();
    assert_eq!(except, FdSet::new());
}

#[test]
fn a_set_refuses_what_it_has_no_room_for_and_can_have_more() {
    let _all = NUMBERS.write().unwrap_or_else(|error| error.into_inner());
    berkeley::raise_descriptor_limit().unwrap();
    let waker = Waker::new().unwrap();
    let high = high_descriptor(&waker, 1024);
    let mut small = FdSet::new();
    let error = small.insert(&high).unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error:?}");
    assert!(error.to_string().contains("1024"), "{error}");
    assert!(!small.contains(&high));
    small.remove(&high);
    assert_eq!((small.numbers().count(), FD_SETSIZE), (0, 1024));

    let room = usize::try_from(high.as_raw_fd()).unwrap() + 1;
    let mut large = FdSet::with_room(room);
    large.insert(&high).unwrap();
    assert!(FdSet::with_room(room - 1).insert(&high).is_err());
    let look = |set: &mut FdSet| select(set, &mut FdSet::new(), &mut FdSet::with_room(1), NOW);
    assert_eq!(look(&mut large).unwrap(), 0);
    assert!(!large.contains(&high), "it is not ready");
    waker.raise();
    large.insert(&high).unwrap();
    assert_eq!(look(&mut large).unwrap(), 1);
    assert!(large.contains(&high));
    drop(high);
    assert_errno(look(&mut large), Errno::EBADF);
    assert_eq!(large.numbers().count(), 1, "as it was asked");
}

#[test]
fn a_poll_list_tells_its_own_flags() {
    let (a, b) = tcp_pair();
    let mut poll = Poll::new();
    assert_errno(poll.modify(&b, PollFlags::IN), Errno::ENOENT);
    poll.register(&b, PollFlags::OUT | PollFlags::RDNORM);
    // Registering again changes it.
    poll.register(&b, PollFlags::IN | PollFlags::RDHUP);
    assert_eq!(poll.poll(NOW).unwrap().count(), 0);
    a.send_all(b"x").unwrap();
    let fd = b.as_fd().as_raw_fd();
    let flags = PollFlags::IN;
    let told: Vec<_> = poll.poll(None).unwrap().collect();
    assert_eq!(told, [PollEvent { fd, flags }]);
    receive(&b);
    a.shutdown(Shutdown::WRITE).unwrap();
    let told: Vec<_> = poll.poll(Some(PATIENCE)).unwrap().collect();
    assert!(told[0].flags.contains(PollFlags::IN | PollFlags::RDHUP));
    poll.modify(&b, PollFlags::OUT).unwrap();
    let told: Vec<_> = poll.poll(Some(PATIENCE)).unwrap().collect();
    assert_eq!(told[0].flags, PollFlags::OUT);
    poll.unregister(fd).unwrap();
    assert_errno(poll.unregister(fd), Errno::ENOENT);
}

#[test]
fn a_poll_list_says_which_descriptor_is_closed() {
    let _all = NUMBERS.write().unwrap_or_else(|error| error.into_inner());
    let waker = Waker::new().unwrap();
    let mut poll = Poll::new();
    let many: Vec<OwnedFd> = (0..3).map(|_| high_descriptor(&waker, 940)).collect();
    for fd in &many {
        poll.register(fd, PollFlags::IN);
    }
    let numbers: Vec<_> = many.iter().map(AsRawFd::as_raw_fd).collect();
    drop(many);
    let flags = PollFlags::NVAL;
    let told: Vec<_> = poll.poll(None).unwrap().collect();
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|event| event.flags == flags));
    poll.unregister(numbers[0]).unwrap();
    poll.unregister(numbers[2]).unwrap();
    let fd = numbers[1];
    let told: Vec<_> = poll.poll(None).unwrap().collect();
    assert_eq!(told, [PollEvent { fd, flags }]);
}

#[test]
fn an_epoll_tells_its_own_flags_and_the_callers_data() {
    let (a, b) = tcp_pair();
    let epoll = Epoll::new().unwrap();
    assert!(is_close_on_exec(&epoll));
    let mut events = vec![];
    let edge = EpollFlags::IN | EpollFlags::ET | EpollFlags::WAKEUP;
    epoll.register(&b, edge, u64::MAX).unwrap();
    assert_errno(epoll.register(&b, edge, 1), Errno::EEXIST);
    a.send_all(b"x").unwrap();
    epoll.poll(&mut events, 10, Some(PATIENCE)).unwrap();
    assert_eq!(
        (events[0].flags, events[0].data),
        (EpollFlags::IN, u64::MAX)
    );
    epoll.poll(&mut events, 10, NOW).unwrap();
    assert_eq!(events, [], "an edge is told once");
    let one_shot = EpollFlags::OUT | EpollFlags::ONESHOT;
    epoll.modify(&b, one_shot, 2).unwrap();
    epoll.poll(&mut events, 10, None).unwrap();
    assert_eq!((events[0].flags, events[0].data), (EpollFlags::OUT, 2));
    epoll.poll(&mut events, 10, NOW).unwrap();
    assert_eq!(events, []);
    epoll.unregister(&b).unwrap();
    assert_errno(epoll.unregister(&b), Errno::ENOENT);
    epoll
        .register(&b, EpollFlags::IN | EpollFlags::EXCLUSIVE, 3)
        .unwrap();
    assert_errno(epoll.modify(&b, EpollFlags::IN, 3), Errno::EINVAL);
    let mixed = EpollFlags::PRI | EpollFlags::EXCLUSIVE;
    assert_errno(epoll.register(&a, mixed, 3), Errno::EINVAL);
    assert_errno(epoll.poll(&mut events, 0, NOW), Errno::EINVAL);
}

#[test]
fn an_epoll_tells_at_most_so_many_and_changes_hands() {
    let waker = Waker::new().unwrap();
    waker.raise();
    let many: Vec<OwnedFd> = (0..5)
        .map(|_| waker.as_fd().try_clone_to_owned().unwrap())
        .collect();
    let epoll = Epoll::new().unwrap();
    for (fd, data) in many.iter().zip(0..) {
        epoll.register(fd, EpollFlags::IN, data).unwrap();
    }
    let fd = OwnedFd::from(epoll);
    let number = fd.as_raw_fd();
    let epoll = Epoll::from(fd);
    assert_eq!(epoll.as_fd().as_raw_fd(), number);
    let mut events = vec![];
    for (max, count) in [(2, 2), (5, 5), (usize::MAX, 5)] {
        epoll.poll(&mut events, max, None).unwrap();
        assert_eq!(events.len(), count);
    }
    // What is no epoll descriptor is told so when it is used.
    let wrong = Epoll::from(many[0].try_clone().unwrap());
    assert_errno(wrong.poll(&mut events, 1, NOW), Errno::EINVAL);
}

#[test]
fn bare_waits_keep_their_limits_and_signals_end_none() {
    let span = Duration::from_millis(30);
    let limit = Some(span);
    let mut storm = crate::support::Storm::over(&crate::support::thread_id());
    storm.await_signals(1);
    assert_takes(span, || {
        let none = || FdSet::with_room(0);
        assert_eq!(
            select(&mut none(), &mut none(), &mut none(), limit).unwrap(),
            0
        );
    });
    assert_takes(span, || {
        assert_eq!(Poll::new().poll(limit).unwrap().count(), 0);
    });
    let epoll = Epoll::new().unwrap();
    assert_takes(span, || {
        let mut events = vec![];
        epoll.poll(&mut events, 1, limit).unwrap();
        assert_eq!(events, []);
    });
    storm.await_signals(1);
}

#[test]
fn flags_have_the_kernels_numbers_and_names() {
    assert_eq!(PIPE_BUF, 4096);
    for (flag, number) in [
        (EpollFlags::IN, libc::EPOLLIN),
        (EpollFlags::ET, libc::EPOLLET),
        (EpollFlags::EXCLUSIVE, libc::EPOLLEXCLUSIVE),
        (EpollFlags::WAKEUP, libc::EPOLLWAKEUP),
    ] {
        assert_eq!(flag.raw(), number.cast_unsigned());
    }
    assert_eq!(PollFlags::from_raw(0x10), PollFlags::HUP);
    assert_eq!(EpollFlags::ONESHOT.name(), Some("ONESHOT"));
    let (a, b) = unix_pair(Kind::STREAM);
    drop(a);
    let mut poll = Poll::new();
    poll.register(&b, PollFlags::from_raw(0));
    let told: Vec<_> = poll.poll(None).unwrap().collect();
    assert_eq!(told[0].flags, PollFlags::HUP, "told without being asked");
}
