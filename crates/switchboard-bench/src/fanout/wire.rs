//! What members of rooms and subscribers of topics say and hear, as far as measuring needs it:
//! chat lines and parcels as the hub's, NATS, RESP (Redis), IRC and MQTT 3.1.1 at QoS 0.
//!
//! Nothing here keeps anything: [`Protocol::step`] looks at the beginning of what has come and
//! says what it is, so that a caller may cut the stream wherever it likes.
//!
//! # References
//! RFC 1459 and RFC 2812; MQTT 3.1.1, sections 2 and 3; RESP2; the NATS client protocol.

use memchr::memchr;

/// What a member speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Lines, as the hub's chat door and the rooms of `bench-peers` have them.
    Line,
    /// Frames, as the hub's parcel door has them: what it answers is JSON, a frame each.
    Parcel,
    Nats,
    Resp,
    Irc,
    Mqtt,
}

/// What a connection is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It hears.
    Member,
    /// It speaks. Where speaking takes being in the room, it hears the other speakers.
    Speaker,
    /// It registers and does no more: for what a silent one costs where joining is not the same.
    Guest,
    /// It says one thing, at once, and leaves.
    Passer,
}

/// What the beginning of the bytes is, and how long.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// Nothing yet: more has to come.
    More,
    /// A message.
    Message { payload: &'a [u8], len: usize },
    /// The server has done all that came with the connection: it is in.
    Ready(usize),
    /// The server has let it in, and [`Protocol::enter`] is what it says next.
    Welcome(usize),
    /// The server asks whether it is there, and this is the answer.
    Asked { answer: &'static [u8], len: usize },
    /// Anything else.
    Other(usize),
    /// Nothing that this protocol has, or a refusal.
    Wrong,
}

/// The longest line or head before a payload. None of the servers sends longer ones.
const HEAD_BYTES_MAX: usize = 4096;

/// MQTT's packet types, shifted as they stand in the first byte (MQTT 3.1.1, section 2.2.1).
mod packet {
    pub(super) const CONNECT: u8 = 0x10;
    pub(super) const CONNACK: u8 = 0x20;
    pub(super) const PUBLISH: u8 = 0x30;
    pub(super) const SUBSCRIBE: u8 = 0x82;
    pub(super) const SUBACK: u8 = 0x90;
    pub(super) const PINGREQ: u8 = 0xc0;
    pub(super) const PINGRESP: u8 = 0xd0;
}

impl Protocol {
    /// Whether speakers are in the room, and hear what the others say.
    pub(super) const fn speakers_hear(self) -> bool {
        matches!(self, Self::Line | Self::Irc)
    }

    /// Whether one may speak without having been let in first.
    pub(super) const fn speaks_at_once(self) -> bool {
        !matches!(self, Self::Irc)
    }

    /// Adds what leads into another room than all begin in. Only ours is measured with several.
    pub(super) fn change_room(self, room: usize, out: &mut Vec<u8>) {
        if self == Self::Line {
            out.extend_from_slice(format!("/join room-{room}\n").as_bytes());
        }
    }

    /// Adds what a connection says first. `number` is another one for each of a server's.
    pub(super) fn hello(self, role: Role, number: usize, out: &mut Vec<u8>) {
        let hears = role == Role::Member;
        match self {
            // The hub answers any command to the one who gave it: so it is seen to be in.
            Self::Line if role == Role::Passer => {}
            Self::Parcel => {}
            Self::Line => out.extend_from_slice(b"/help\n"),
            Self::Nats => {
                out.extend_from_slice(b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\n");
                if hears {
                    out.extend_from_slice(b"SUB room 1\r\n");
                }
                if role != Role::Passer {
                    out.extend_from_slice(b"PING\r\n");
                }
            }
            Self::Resp if role == Role::Passer => {}
            Self::Resp if hears => {
                out.extend_from_slice(b"*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nroom\r\n");
            }
            Self::Resp => out.extend_from_slice(b"*1\r\n$4\r\nPING\r\n"),
            Self::Irc => {
                let name = format!("m{number}");
                let hello = format!("NICK {name}\r\nUSER {name} 0 * :{name}\r\n");
                out.extend_from_slice(hello.as_bytes());
            }
            Self::Mqtt => {
                mqtt_connect(number, out);
                if hears {
                    // Packet 1, one topic, QoS 0.
                    out.extend_from_slice(&[packet::SUBSCRIBE, 9, 0, 1, 0, 4]);
                    out.extend_from_slice(b"room\0");
                } else if role != Role::Passer {
                    out.extend_from_slice(&[packet::PINGREQ, 0]);
                }
            }
        }
    }

    /// Adds what it says once it was let in.
    pub(super) fn enter(self, role: Role, out: &mut Vec<u8>) {
        match (self, role) {
            (Self::Irc, Role::Guest) => out.extend_from_slice(b"PING ready\r\n"),
            (Self::Irc, _) => out.extend_from_slice(b"JOIN #room\r\n"),
            _ => {}
        }
    }

    /// What stands before and behind the payload of a message to the room.
    pub(super) fn frame(self, payload_bytes: usize) -> (Vec<u8>, &'static [u8]) {
        match self {
            Self::Line => (Vec::new(), b"\n"),
            Self::Parcel => (Vec::new(), b""),
            Self::Nats => (format!("PUB room {payload_bytes}\r\n").into(), b"\r\n"),
            Self::Resp => {
                let head = "*3\r\n$7\r\nPUBLISH\r\n$4\r\nroom\r\n";
                (format!("{head}${payload_bytes}\r\n").into(), b"\r\n")
            }
            Self::Irc => (b"PRIVMSG #room :".to_vec(), b"\r\n"),
            Self::Mqtt => {
                let mut head = vec![packet::PUBLISH];
                mqtt_length(2 + 4 + payload_bytes, &mut head);
                head.extend_from_slice(&[0, 4]);
                head.extend_from_slice(b"room");
                (head, b"")
            }
        }
    }

    /// What the beginning of `bytes` is. Messages are those of so many bytes.
    pub(super) fn step(self, bytes: &[u8], payload_bytes: usize) -> Step<'_> {
        match self {
            Self::Line => line(bytes, payload_bytes),
            Self::Parcel => parcel(bytes),
            Self::Nats => nats(bytes),
            Self::Resp => resp(bytes),
            Self::Irc => irc(bytes, payload_bytes),
            Self::Mqtt => mqtt(bytes),
        }
    }
}

/// The first line of `bytes` without its ending, and its length with it.
fn first_line(bytes: &[u8]) -> Result<(&[u8], usize), Step<'_>> {
    let Some(end) = memchr(b'\n', bytes) else {
        return Err(if bytes.len() > HEAD_BYTES_MAX {
            Step::Wrong
        } else {
            Step::More
        });
    };
    let line = bytes.get(..end).unwrap_or_default();
    Ok((line.strip_suffix(b"\r").unwrap_or(line), end + 1))
}

/// The end of a line that is as long as a payload. A shorter line is none of ours, and what is
/// in it is seen not to be what was sent.
fn tail(line: &[u8], payload_bytes: usize) -> &[u8] {
    let start = line.len().saturating_sub(payload_bytes);
    line.get(start..).unwrap_or_default()
}

fn line(bytes: &[u8], payload_bytes: usize) -> Step<'_> {
    match first_line(bytes) {
        Err(step) => step,
        // No name and no address has a slash, and what the hub answers to a command names others.
        Ok((line, len)) if line.starts_with(b"* ") => match memchr(b'/', line) {
            Some(_) => Step::Ready(len),
            None => Step::Other(len),
        },
        Ok((line, len)) => Step::Message {
            payload: tail(line, payload_bytes),
            len,
        },
    }
}

/// A frame: its length in four bytes, the lowest first, then so many.
fn parcel(bytes: &[u8]) -> Step<'_> {
    let Some((length, rest)) = bytes.split_first_chunk() else {
        return Step::More;
    };
    let Ok(length) = usize::try_from(i32::from_le_bytes(*length)) else {
        return Step::Wrong;
    };
    match rest.get(..length) {
        _ if length > HEAD_BYTES_MAX => Step::Wrong,
        Some(payload) => Step::Message {
            payload,
            len: 4 + length,
        },
        None => Step::More,
    }
}

fn irc(bytes: &[u8], payload_bytes: usize) -> Step<'_> {
    let (line, len) = match first_line(bytes) {
        Err(step) => return step,
        Ok(found) => found,
    };
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let first = words.next().unwrap_or_default();
    let command = if first.starts_with(b":") {
        words.next().unwrap_or_default()
    } else {
        first
    };
    match command {
        b"PRIVMSG" => Step::Message {
            payload: tail(line, payload_bytes),
            len,
        },
        // RPL_WELCOME; RPL_ENDOFNAMES, the last of the answers to JOIN (RFC 2812, section 5.1).
        b"001" => Step::Welcome(len),
        b"366" | b"PONG" => Step::Ready(len),
        b"PING" => Step::Asked {
            answer: b"PONG here\r\n",
            len,
        },
        b"ERROR" => Step::Wrong,
        // From ERR_NOSUCHNICK on; 422 says that there is no message of the day.
        [b'4' | b'5', b'0'..=b'9', b'0'..=b'9'] if command != b"422" => Step::Wrong,
        _ => Step::Other(len),
    }
}

fn nats(bytes: &[u8]) -> Step<'_> {
    let (line, len) = match first_line(bytes) {
        Err(step) => return step,
        Ok(found) => found,
    };
    match line {
        [b'M', b'S', b'G', b' ', rest @ ..] => {
            let digits = rest.rsplit(|byte| *byte == b' ').next();
            match digits.and_then(number) {
                Some(count) => framed(bytes, len, count),
                None => Step::Wrong,
            }
        }
        b"PONG" => Step::Ready(len),
        b"PING" => Step::Asked {
            answer: b"PONG\r\n",
            len,
        },
        b"+OK" => Step::Other(len),
        [b'I', b'N', b'F', b'O', b' ', ..] => Step::Other(len),
        _ => Step::Wrong,
    }
}

/// A message of `count` bytes and a line ending behind `head` bytes.
fn framed(bytes: &[u8], head: usize, count: usize) -> Step<'_> {
    let len = head.saturating_add(count).saturating_add(2);
    let (Some(payload), true) = (
        bytes.get(head..head.saturating_add(count)),
        bytes.len() >= len,
    ) else {
        return Step::More;
    };
    if bytes.get(len - 2..len) == Some(b"\r\n") {
        Step::Message { payload, len }
    } else {
        Step::Wrong
    }
}

/// A count in decimal, of up to nine digits.
fn number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = |sum, digit: &u8| sum * 10 + usize::from(digit - b'0');
    Some(digits.iter().fold(0, value))
}

/// Replies to PUBLISH (`:1`) and PING (`+PONG`), and arrays: `message` with the topic and the
/// payload, `subscribe` with the topic and a number.
fn resp(bytes: &[u8]) -> Step<'_> {
    let (line, len) = match first_line(bytes) {
        Err(step) => return step,
        Ok(found) => found,
    };
    match line {
        [b':', ..] => Step::Other(len),
        b"+PONG" => Step::Ready(len),
        b"*3" => resp_array(bytes, len),
        _ => Step::Wrong,
    }
}

fn resp_array(bytes: &[u8], start: usize) -> Step<'_> {
    let (kind, at) = match resp_string(bytes, start) {
        Ok(found) => found,
        Err(step) => return step,
    };
    let at = match resp_string(bytes, at) {
        Ok((_topic, at)) => at,
        Err(step) => return step,
    };
    match kind {
        b"message" => match resp_string(bytes, at) {
            Ok((payload, len)) => Step::Message { payload, len },
            Err(step) => step,
        },
        b"subscribe" => match first_line(bytes.get(at..).unwrap_or_default()) {
            Ok(([b':', ..], len)) => Step::Ready(at + len),
            Ok(_) => Step::Wrong,
            Err(step) => step,
        },
        _ => Step::Wrong,
    }
}

/// The bulk string at `start`, and where it ends.
fn resp_string(bytes: &[u8], start: usize) -> Result<(&[u8], usize), Step<'_>> {
    let (line, len) = first_line(bytes.get(start..).unwrap_or_default())?;
    let count = match line {
        [b'$', digits @ ..] => number(digits).ok_or(Step::Wrong)?,
        _ => return Err(Step::Wrong),
    };
    match framed(bytes, start + len, count) {
        Step::Message { payload, len } => Ok((payload, len)),
        other => Err(other),
    }
}

/// A CONNECT with a clean session and no keep-alive (MQTT 3.1.1, section 3.1).
fn mqtt_connect(number: usize, out: &mut Vec<u8>) {
    let name = format!("m{number}");
    out.push(packet::CONNECT);
    mqtt_length(10 + 2 + name.len(), out);
    out.extend_from_slice(b"\0\x04MQTT\x04\x02\0\0");
    let len = u16::try_from(name.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(name.as_bytes());
}

/// A remaining length: seven bits a byte, the lowest first (section 2.2.3).
fn mqtt_length(mut len: usize, out: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(len & 0x7f).unwrap_or(0);
        len >>= 7;
        out.push(low | if len > 0 { 0x80 } else { 0 });
        if len == 0 {
            return;
        }
    }
}

fn mqtt(bytes: &[u8]) -> Step<'_> {
    let Some((&first, rest)) = bytes.split_first() else {
        return Step::More;
    };
    let mut body = 0;
    let mut places = 0;
    loop {
        let Some(&byte) = rest.get(places) else {
            return Step::More;
        };
        body |= usize::from(byte & 0x7f) << (7 * places);
        places += 1;
        if byte & 0x80 == 0 {
            break;
        }
        if places == 4 {
            return Step::Wrong;
        }
    }
    let len = 1 + places + body;
    let Some(body) = bytes.get(1 + places..len) else {
        return Step::More;
    };
    match (first, body) {
        (packet::PUBLISH, [high, low, rest @ ..]) => {
            let topic = usize::from(u16::from_be_bytes([*high, *low]));
            match rest.get(topic..) {
                Some(payload) => Step::Message { payload, len },
                None => Step::Wrong,
            }
        }
        (packet::CONNACK, [_, 0]) => Step::Other(len),
        (packet::SUBACK, [_, _, 0]) | (packet::PINGRESP, []) => Step::Ready(len),
        _ => Step::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::{Protocol, Role, Step};

    const PAYLOAD: &[u8] = b"00 0000000000000007 xxxxxxxx";

    /// What came, one word each.
    #[derive(Debug, PartialEq, Eq, Clone)]
    enum Heard {
        Message(Vec<u8>),
        Ready,
        Welcome,
        Answer(&'static [u8]),
        Other,
    }

    /// Reads a stream as it would come in pieces that end at these places.
    fn hear(protocol: Protocol, stream: &[u8], cuts: &[usize]) -> Result<Vec<Heard>, Vec<Heard>> {
        let mut heard = Vec::new();
        let mut begun: Vec<u8> = Vec::new();
        let mut from = 0;
        for &to in cuts.iter().chain([&stream.len()]) {
            begun.extend_from_slice(&stream[from..to]);
            from = to;
            loop {
                let (what, len) = match protocol.step(&begun, PAYLOAD.len()) {
                    Step::More => break,
                    Step::Wrong => return Err(heard),
                    Step::Message { payload, len } => (Heard::Message(payload.to_vec()), len),
                    Step::Ready(len) => (Heard::Ready, len),
                    Step::Welcome(len) => (Heard::Welcome, len),
                    Step::Asked { answer, len } => (Heard::Answer(answer), len),
                    Step::Other(len) => (Heard::Other, len),
                };
                heard.push(what);
                begun.drain(..len);
            }
        }
        assert!(begun.is_empty(), "{}", begun.escape_ascii());
        Ok(heard)
    }

    /// A stream of each protocol as its servers write it, and what is in it.
    fn streams() -> Vec<(Protocol, Vec<u8>, Vec<Heard>)> {
        let text = core::str::from_utf8(PAYLOAD).unwrap();
        let count = PAYLOAD.len();
        let (other, ready) = (Heard::Other, Heard::Ready);
        let message = Heard::Message(PAYLOAD.to_vec());
        let line = format!(
            "* 127.0.0.1:4 joined\n* commands: /nick NAME, /who\n127.0.0.1:4:{text}\n\
             * 127.0.0.1:4 is now ann\nann:{text}\n"
        );
        let nats = format!(
            "INFO {{\"max_payload\":1048576}}\r\n+OK\r\nPONG\r\nMSG room 1 {count}\r\n\
             {text}\r\nPING\r\nMSG room 1 a.reply {count}\r\n{text}\r\n"
        );
        let resp = format!(
            "*3\r\n$9\r\nsubscribe\r\n$4\r\nroom\r\n:1\r\n+PONG\r\n:1000\r\n\
             *3\r\n$7\r\nmessage\r\n$4\r\nroom\r\n${count}\r\n{text}\r\n"
        );
        let irc = format!(
            ":irc.local 001 m1 :Welcome\r\n:irc.local 422 m1 :no message of the day\r\n\
             :m1!m1@127.0.0.1 JOIN :#room\r\n:irc.local 366 m1 #room :End\r\n\
             PING :irc.local\r\n:m0!m0@127.0.0.1 PRIVMSG #room :{text}\r\n"
        );
        let parcel = [&u32::try_from(count).unwrap().to_le_bytes()[..], PAYLOAD].concat();
        let mut mqtt = b"\x20\x02\0\0\x90\x03\0\x01\0\xd0\0\x30".to_vec();
        mqtt.push(u8::try_from(count + 6).unwrap());
        mqtt.extend_from_slice(b"\0\x04room");
        mqtt.extend_from_slice(PAYLOAD);
        let pong = |answer: &'static [u8]| Heard::Answer(answer);
        let expected = [
            vec![&other, &ready, &message, &other, &message],
            vec![
                &other,
                &other,
                &ready,
                &message,
                &pong(b"PONG\r\n"),
                &message,
            ],
            vec![&ready, &ready, &other, &message],
            vec![
                &Heard::Welcome,
                &other,
                &other,
                &ready,
                &pong(b"PONG here\r\n"),
                &message,
            ],
            vec![&other, &ready, &ready, &message],
            vec![&message, &message],
        ]
        .map(|heard| heard.into_iter().cloned().collect());
        let protocols = [
            Protocol::Line,
            Protocol::Nats,
            Protocol::Resp,
            Protocol::Irc,
            Protocol::Mqtt,
            Protocol::Parcel,
        ];
        let parcels = parcel.repeat(2);
        let streams = [
            line.into(),
            nats.into(),
            resp.into(),
            irc.into(),
            mqtt,
            parcels,
        ];
        let all = protocols.into_iter().zip(streams).zip(expected);
        all.map(|((protocol, stream), heard)| (protocol, stream, heard))
            .collect()
    }

    #[test]
    fn a_stream_means_the_same_wherever_it_is_cut() {
        for (protocol, stream, expected) in streams() {
            for first in 0..=stream.len() {
                for second in first..=stream.len() {
                    let heard = hear(protocol, &stream, &[first, second]).unwrap();
                    assert_eq!(heard, expected, "{protocol:?} cut at {first} and {second}");
                }
            }
            let everywhere: Vec<usize> = (1..stream.len()).collect();
            assert_eq!(hear(protocol, &stream, &everywhere).unwrap(), expected);
        }
    }

    #[test]
    fn refusals_are_seen_to_be_none_of_the_protocol() {
        let refused: [(Protocol, &[u8]); 11] = [
            (Protocol::Parcel, b"\xff\xff\xff\xff"),
            (Protocol::Parcel, b"\x01\x10\0\0"),
            (Protocol::Nats, b"-ERR 'Slow Consumer'\r\n"),
            (Protocol::Nats, b"MSG room 1 99999999999999999999\r\n"),
            (Protocol::Nats, b"MSG room 1 2\r\nabcdef"),
            (Protocol::Resp, b"-ERR max number of clients reached\r\n"),
            (Protocol::Resp, b"*3\r\n$x\r\n"),
            (Protocol::Irc, b"ERROR :Closing link\r\n"),
            (Protocol::Irc, b":irc.local 433 * m1 :in use\r\n"),
            (Protocol::Mqtt, b"\x20\x02\0\x05"),
            (Protocol::Mqtt, b"\x30\xff\xff\xff\xff\x01"),
        ];
        for (protocol, stream) in refused {
            let heard = hear(protocol, stream, &[]);
            assert_eq!(heard, Err(vec![]), "{}", stream.escape_ascii());
        }
        let endless = vec![b'x'; super::HEAD_BYTES_MAX + 1];
        assert_eq!(Protocol::Line.step(&endless, 1), Step::Wrong);
    }

    #[test]
    fn what_is_said_in_mqtt_is_read_back_as_it_was_meant() {
        // A payload above 127 bytes has a length of two bytes.
        for count in [1, 121, 122, 128, 20_000] {
            let (mut said, tail) = Protocol::Mqtt.frame(count);
            let payload = vec![b'y'; count];
            said.extend_from_slice(&payload);
            said.extend_from_slice(tail);
            let len = said.len();
            let expected = Step::Message {
                payload: &payload,
                len,
            };
            assert_eq!(Protocol::Mqtt.step(&said, count), expected);
        }
        let mut said = Vec::new();
        Protocol::Mqtt.hello(Role::Member, 12, &mut said);
        let connect = b"\x10\x0f\0\x04MQTT\x04\x02\0\0\0\x03m12";
        let subscribe = b"\x82\x09\0\x01\0\x04room\0";
        assert_eq!(said, [connect.as_slice(), subscribe].concat());
    }
}
