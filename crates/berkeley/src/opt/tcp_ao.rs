//! Authentication of TCP segments by keys that can change (TCP-AO), RFC 5925; `linux/tcp.h`,
//! Documentation/networking/tcp_ao.rst (Linux 6.7).
//!
//! Keys are added to a listener, or to a socket before it connects. `TCP_AO_GET_KEYS` asks by the
//! value that it is given: [`crate::Socket::tcp_ao_keys`].

use std::net::IpAddr;
use std::os::fd::AsFd;

use super::codec::{Decode, Encode, Field, put};
use super::tcp::{ADDR_BYTES, put_peer};
use crate::error::{Error, Result};
use crate::socket::Socket;
use crate::sys;
use crate::sys::tcp_ao::{ENTRY_BYTES as GET_BYTES, Entry};

options! {
    /// `TCP_AO_ADD_KEY`: one more key for a peer.
    w AddKey: AoKey as AddBytes = SOL_TCP TCP_AO_ADD_KEY, "TCP_AO_ADD_KEY";
    /// `TCP_AO_DEL_KEY`: one less.
    w DeleteKey: AoKeyDeletion as DeleteBytes = SOL_TCP TCP_AO_DEL_KEY, "TCP_AO_DEL_KEY";
    /// `TCP_AO_INFO`: the keys in use, what is asked of peers, and what came of it.
    rw Info: AoInfo as InfoBytes = SOL_TCP TCP_AO_INFO, "TCP_AO_INFO";
    /// `TCP_AO_REPAIR`: the numbers that a connection's keys are made from, while repairing;
    /// needs `CAP_NET_ADMIN`.
    rw Repair: AoRepair as super::codec::Plain<AoRepair> = SOL_TCP TCP_AO_REPAIR, "TCP_AO_REPAIR";
}

record! {
    /// What the keys of a connection are made from (`struct tcp_ao_repair`).
    AoRepair 16 {
        /// The first sequence number sent, in network byte order.
        sent_isn_be: u32,
        /// The first one received, in network byte order.
        received_isn_be: u32,
        /// How often the sequence numbers sent have wrapped.
        sent_wraps: u32,
        /// How often those received have.
        received_wraps: u32,
    }
}

/// Bytes of a key at most (`TCP_AO_MAXKEYLEN`), and of the name of an algorithm with the zero
/// behind it.
const KEY_MAX: usize = 80;
const ALGORITHM_BYTES: usize = 64;

const ADD_BYTES: usize = 288;
const DELETE_BYTES: usize = 144;
const INFO_BYTES: usize = 48;

/// A key that segments to and from a peer are proven with (`struct tcp_ao_add`).
#[doc(alias = "tcp_ao_add")]
#[derive(Clone, PartialEq, Eq)]
pub struct AoKey {
    /// The peer; the zero address of a family with a prefix of 0 for all of it.
    pub peer: IpAddr,
    /// How many bits of the address count.
    pub prefix: u8,
    /// The number that segments sent with it carry (`SendID`).
    pub send_id: u8,
    /// The number that received ones carry (`RecvID`).
    pub recv_id: u8,
    /// The algorithm: `"hmac(sha1)"`, `"cmac(aes128)"`. At most 63 bytes, more are cut off.
    pub algorithm: String,
    /// The key: at most 80 bytes, more are cut off.
    pub key: Vec<u8>,
    /// Bytes of the proof in each segment, up to 16; 0 for the usual 12.
    pub mac_len: u8,
    /// The index of the device that stands for a routing domain (VRF), or 0.
    pub index: u32,
    /// Leave the other options of TCP out of the proof (`TCP_AO_KEYF_EXCLUDE_OPT`).
    pub exclude_options: bool,
    /// Send with it from now on.
    pub set_current: bool,
    /// Ask the peer to send with it.
    pub set_next: bool,
}

impl core::fmt::Debug for AoKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("AoKey")
            .field("peer", &self.peer)
            .field("prefix", &self.prefix)
            .field("send_id", &self.send_id)
            .field("recv_id", &self.recv_id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// `TCP_AO_KEYF_IFINDEX`, `TCP_AO_KEYF_EXCLUDE_OPT`.
const KEY_HAS_INDEX: u8 = 1;
const KEY_EXCLUDES_OPTIONS: u8 = 2;

/// A bit of the kernel's fields of bits, which count from the other end on big-endian machines.
const fn bit(number: u32) -> u32 {
    if cfg!(target_endian = "big") {
        1 << (31 - number)
    } else {
        1 << number
    }
}

fn bits(on: &[bool]) -> [u8; 4] {
    let set = (0..).zip(on).filter(|(_, on)| **on);
    set.fold(0, |sum, (number, _)| sum | bit(number))
        .to_ne_bytes()
}

/// `struct tcp_ao_add`.
struct AddBytes;

impl Encode for AddBytes {
    type Value = AoKey;

    fn encode(value: AoKey) -> impl AsRef<[u8]> {
        let mut bytes = [0; ADD_BYTES];
        put_peer(&mut bytes, value.peer);
        let name = value.algorithm.as_bytes();
        let name = name.get(..ALGORITHM_BYTES - 1).unwrap_or(name);
        let key = value.key.get(..KEY_MAX).unwrap_or(&value.key);
        let mut flags = 0;
        if value.index != 0 {
            flags |= KEY_HAS_INDEX;
        }
        if value.exclude_options {
            flags |= KEY_EXCLUDES_OPTIONS;
        }
        put(&mut bytes, ADDR_BYTES, name);
        put(&mut bytes, 192, &value.index.to_ne_bytes());
        put(&mut bytes, 196, &bits(&[value.set_current, value.set_next]));
        let len = u8::try_from(key.len()).unwrap_or(0);
        let octets = [
            value.prefix,
            value.send_id,
            value.recv_id,
            value.mac_len,
            flags,
            len,
        ];
        put(&mut bytes, 202, &octets);
        put(&mut bytes, 208, key);
        bytes
    }
}

/// A key to be taken away (`struct tcp_ao_del`).
#[doc(alias = "tcp_ao_del")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AoKeyDeletion {
    /// The peer.
    pub peer: IpAddr,
    /// How many bits of the address count.
    pub prefix: u8,
    /// Its number when sending.
    pub send_id: u8,
    /// Its number when receiving.
    pub recv_id: u8,
    /// The index of the device that stands for a routing domain (VRF), or 0.
    pub index: u32,
    /// The key to send with from now on.
    pub current: Option<u8>,
    /// The key to ask the peer for.
    pub next: Option<u8>,
    /// Do not wait until nobody uses it any more; of listeners only.
    pub is_async: bool,
}

/// `struct tcp_ao_del`.
struct DeleteBytes;

impl Encode for DeleteBytes {
    type Value = AoKeyDeletion;

    fn encode(value: AoKeyDeletion) -> impl AsRef<[u8]> {
        let mut bytes = [0; DELETE_BYTES];
        put_peer(&mut bytes, value.peer);
        put(&mut bytes, ADDR_BYTES, &value.index.to_ne_bytes());
        let on = [
            value.current.is_some(),
            value.next.is_some(),
            value.is_async,
        ];
        put(&mut bytes, 132, &bits(&on));
        let octets = [
            value.prefix,
            value.send_id,
            value.recv_id,
            value.current.unwrap_or(0),
            value.next.unwrap_or(0),
            if value.index == 0 { 0 } else { KEY_HAS_INDEX },
        ];
        put(&mut bytes, 138, &octets);
        bytes
    }
}

/// The keys in use and what came of them (`struct tcp_ao_info_opt`).
#[doc(alias = "tcp_ao_info_opt")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AoInfo {
    /// The key that is sent with (`Current_key`); `None` when set leaves it.
    pub current: Option<u8>,
    /// The key that the peer is asked for (`RNext_key`).
    pub next: Option<u8>,
    /// Connections without a key are refused.
    pub is_required: bool,
    /// ICMP messages about such connections are believed.
    pub accepts_icmp: bool,
    /// When set: take over the counters below.
    pub set_counters: bool,
    /// Segments that were right.
    pub good: u64,
    /// Segments that were not.
    pub bad: u64,
    /// Segments for which there was no key.
    pub without_key: u64,
    /// Segments that should have had a proof.
    pub unproven: u64,
    /// ICMP messages that were ignored.
    pub ignored_icmp: u64,
}

/// `struct tcp_ao_info_opt`.
struct InfoBytes;

impl Encode for InfoBytes {
    type Value = AoInfo;

    fn encode(value: AoInfo) -> impl AsRef<[u8]> {
        let mut bytes = [0; INFO_BYTES];
        let on = [
            value.current.is_some(),
            value.next.is_some(),
            value.is_required,
            value.set_counters,
            value.accepts_icmp,
        ];
        put(&mut bytes, 0, &bits(&on));
        let keys = [value.current.unwrap_or(0), value.next.unwrap_or(0)];
        put(&mut bytes, 6, &keys);
        let counters = [
            value.good,
            value.bad,
            value.without_key,
            value.unproven,
            value.ignored_icmp,
        ];
        let places = bytes.chunks_exact_mut(8).skip(1);
        for (place, counter) in places.zip(counters) {
            place.copy_from_slice(&counter.to_ne_bytes());
        }
        bytes
    }
}

impl Decode for InfoBytes {
    type Value = AoInfo;
    const BYTES: usize = INFO_BYTES;

    fn decode(mut bytes: &[u8]) -> Option<AoInfo> {
        let bytes = &mut bytes;
        let flags = u32::take(bytes)?;
        let is = |number| flags & bit(number) != 0;
        let [_, _, current, next] = <[u8; 4]>::take(bytes)?;
        Some(AoInfo {
            current: is(0).then_some(current),
            next: is(1).then_some(next),
            is_required: is(2),
            set_counters: is(3),
            accepts_icmp: is(4),
            good: u64::take(bytes)?,
            bad: u64::take(bytes)?,
            without_key: u64::take(bytes)?,
            unproven: u64::take(bytes)?,
            ignored_icmp: u64::take(bytes)?,
        })
    }
}

/// A key that a socket has, and what came of it (`struct tcp_ao_getsockopt`).
#[doc(alias = "tcp_ao_getsockopt")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AoKeyState {
    /// The key.
    pub key: AoKey,
    /// Segments that were right.
    pub good: u64,
    /// Segments that were not.
    pub bad: u64,
}

impl AoKeyState {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let family = u16::take(&mut &*bytes)?;
        let peer = match i32::from(family) {
            libc::AF_INET => IpAddr::from(<[u8; 4]>::take(&mut bytes.get(4..)?)?),
            libc::AF_INET6 => IpAddr::from(<[u8; 16]>::take(&mut bytes.get(8..)?)?),
            _ => return None,
        };
        let name = bytes.get(ADDR_BYTES..ADDR_BYTES + ALGORITHM_BYTES)?;
        let name = name.split(|byte| *byte == 0).next()?;
        let flags = u16::take(&mut bytes.get(276..)?)?;
        // The bits of 16 count from their own other end.
        let is = |number: u32| match cfg!(target_endian = "big") {
            true => flags & 1 << (15 - number) != 0,
            false => flags & 1 << number != 0,
        };
        let rest = &mut bytes.get(278..)?;
        let [send_id, recv_id, prefix, mac_len, key_flags, len] = <[u8; 6]>::take(rest)?;
        Some(Self {
            key: AoKey {
                peer,
                prefix,
                send_id,
                recv_id,
                algorithm: String::from_utf8_lossy(name).into_owned(),
                key: bytes
                    .get(192..192 + KEY_MAX)?
                    .get(..usize::from(len))?
                    .to_vec(),
                mac_len,
                index: u32::take(rest)?,
                exclude_options: key_flags & KEY_EXCLUDES_OPTIONS != 0,
                set_current: is(0),
                set_next: is(1),
            },
            good: u64::take(rest)?,
            bad: u64::take(rest)?,
        })
    }

    /// Asks for all keys, with room for so many; the call itself tells how many.
    fn question(room: u32) -> Vec<Entry> {
        const GET_ALL: u32 = 2;
        let mut entries = vec![[0; GET_BYTES]; usize::try_from(room).unwrap_or(0)];
        let bit: u16 = if cfg!(target_endian = "big") {
            1 << (15 - GET_ALL)
        } else {
            1 << GET_ALL
        };
        if let Some(first) = entries.first_mut() {
            put(first, 276, &bit.to_ne_bytes());
        }
        entries
    }
}

/// Keys of one socket that are read: more than two numbers of eight bits for each peer of a
/// listener would be a strange one.
const KEYS_MAX: u32 = 65_536;

impl Socket {
    /// All keys that the socket has for its peers (`TCP_AO_GET_KEYS`).
    ///
    /// # Errors
    /// `ENOENT` for a socket without keys, `ENOPROTOOPT` for another socket or kernel;
    /// [`Error::Invalid`] for more than 65,536 keys.
    ///
    /// # References
    /// Documentation/networking/tcp_ao.rst (Linux 6.7).
    #[doc(alias = "TCP_AO_GET_KEYS")]
    pub fn tcp_ao_keys(&self) -> Result<Vec<AoKeyState>> {
        all_keys(|entries| {
            sys::tcp_ao::keys(self.as_fd(), entries)
                .map_err(|errno| self.failure("TCP_AO_GET_KEYS", errno))
        })
    }
}

/// Asks for all keys, with more room until there is enough; `ask` fills the entries and answers how
/// many keys there are.
fn all_keys(ask: impl Fn(&mut [Entry]) -> Result<u32>) -> Result<Vec<AoKeyState>> {
    let mut room = 16;
    loop {
        let mut entries = AoKeyState::question(room);
        let count = ask(&mut entries)?;
        if count > KEYS_MAX {
            return Err(Error::Invalid(format!("a socket with {count} keys")));
        }
        if count > room {
            room = count;
            continue;
        }
        let count = usize::try_from(count).unwrap_or(0);
        let keys = entries.iter().take(count);
        let keys = keys.map(|one| AoKeyState::decode(one));
        return keys
            .collect::<Option<_>>()
            .ok_or_else(|| Error::Invalid("TCP_AO_GET_KEYS: the answer has no such keys".into()));
    }
}

#[cfg(test)]
mod tests;
