//! The time door: a `strftime` format in, the local time out.

use core::hash::{BuildHasher, Hash};
use std::hash::RandomState;

use switchboard_wire::limits::DATAGRAM_ANSWER_BYTES_MAX;
use switchboard_wire::strftime::{Moment, answer};

use crate::limits::{ECHO_ADDRESSES, ECHOES_MAX};

/// Ports of services that answer whatever they get: echo, daytime, quote of the day, chargen, time
/// and NTP. A datagram from there is no request but an answer, or a forged one that shall make two
/// servers talk to each other for ever.
const ANSWERING_PORTS: [u16; 7] = [0, 7, 13, 17, 19, 37, 123];

/// The answer to a datagram that came from `port` to the door at `own_port`; none to what must be
/// another server's answer.
#[must_use]
pub fn reply(request: &[u8], port: Option<u16>, own_port: u16, now: &Moment) -> Option<Vec<u8>> {
    let answers = |port| port == own_port || ANSWERING_PORTS.contains(&port);
    if port.is_some_and(answers) {
        return None;
    }
    Some(answer(request, now, DATAGRAM_ANSWER_BYTES_MAX))
}

/// Finds out who only sends back what it was answered: another server, at whatever port. One forged
/// datagram would make the two talk to each other for ever.
///
/// It remembers the last answer of a bounded number of addresses, and forgets one for another.
#[derive(Debug)]
pub struct Echoes {
    hasher: RandomState,
    last: Vec<Last>,
}

/// What an address was answered last.
#[derive(Debug, Clone, Copy, Default)]
struct Last {
    address: u64,
    answer: u64,
    echoes: u8,
}

impl Default for Echoes {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            last: vec![Last::default(); ECHO_ADDRESSES],
        }
    }
}

impl Echoes {
    /// Notes that `from` asks `request` and is to be answered `answer`; true if it must not be: it
    /// has sent back its last [`ECHOES_MAX`] answers.
    pub fn is_server(&mut self, from: impl Hash, request: &[u8], answer: &[u8]) -> bool {
        let address = self.hasher.hash_one(from);
        let request = self.hasher.hash_one(request);
        let answer = self.hasher.hash_one(answer);
        let slots = u64::try_from(self.last.len()).unwrap_or(u64::MAX);
        let slot = address
            .checked_rem(slots)
            .and_then(|slot| self.last.get_mut(usize::try_from(slot).ok()?));
        let Some(last) = slot else { return false };
        let is_echo = last.address == address && last.answer == request;
        let echoes = if is_echo {
            last.echoes.saturating_add(1)
        } else {
            0
        };
        *last = Last {
            address,
            answer,
            echoes,
        };
        echoes > ECHOES_MAX
    }
}
