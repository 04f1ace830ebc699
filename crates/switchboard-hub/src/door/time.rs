//! The time door: a `strftime` format in, the local time out.

use switchboard_wire::limits::DATAGRAM_ANSWER_BYTES_MAX;
use switchboard_wire::strftime::{Moment, answer};

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
