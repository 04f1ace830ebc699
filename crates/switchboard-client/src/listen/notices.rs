//! How often one thing is told.

use core::time::Duration;
use std::collections::HashMap;
use std::time::Instant;

use berkeley::Addr;

/// The shortest time between two notices of one kind, where their number is in a peer's hand.
const NOTICE_INTERVAL: Duration = Duration::from_secs(1);

/// Peers whose last notice is remembered.
const NOTICED_PEERS_MAX: usize = 1024;

/// Keeps notices whose number is in a stranger's hand from flooding.
#[derive(Debug, Default)]
pub(super) struct Notices {
    has_told_nameless: bool,
    trouble: Option<Instant>,
    peers: HashMap<Addr, Instant>,
}

impl Notices {
    pub(super) const fn allow_nameless(&mut self) -> bool {
        !core::mem::replace(&mut self.has_told_nameless, true)
    }

    pub(super) fn allow_trouble(&mut self, now: Instant) -> bool {
        let allowed = self
            .trouble
            .is_none_or(|last| now - last >= NOTICE_INTERVAL);
        if allowed {
            self.trouble = Some(now);
        }
        allowed
    }

    pub(super) fn allow_peer(&mut self, addr: &Addr, now: Instant) -> bool {
        if self
            .peers
            .get(addr)
            .is_some_and(|last| now - *last < NOTICE_INTERVAL)
        {
            return false;
        }
        if self.peers.len() >= NOTICED_PEERS_MAX {
            self.peers.retain(|_, last| now - *last < NOTICE_INTERVAL);
        }
        // More than that many peers in one second: nobody reads that anyway.
        if self.peers.len() >= NOTICED_PEERS_MAX {
            return false;
        }
        self.peers.insert(addr.clone(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(port: u16) -> Addr {
        Addr::any(berkeley::Family::INET, port).unwrap()
    }

    #[test]
    fn a_peer_is_told_of_once_a_second() {
        let (mut notices, now) = (Notices::default(), Instant::now());
        assert!(notices.allow_peer(&addr(1), now));
        assert!(!notices.allow_peer(&addr(1), now + NOTICE_INTERVAL / 2));
        assert!(notices.allow_peer(&addr(2), now + NOTICE_INTERVAL / 2));
        assert!(notices.allow_peer(&addr(1), now + NOTICE_INTERVAL));
    }

    #[test]
    fn a_flood_of_peers_is_not_remembered_without_end() {
        let (mut notices, now) = (Notices::default(), Instant::now());
        let told = (0..5000)
            .filter(|port| notices.allow_peer(&addr(*port), now))
            .count();
        assert_eq!(told, NOTICED_PEERS_MAX);
        assert!(notices.allow_peer(&addr(5001), now + NOTICE_INTERVAL));
        assert_eq!(notices.peers.len(), 1);
    }
}
