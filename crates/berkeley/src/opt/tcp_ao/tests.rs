//! The layouts of `linux/tcp.h`, byte by byte: few kernels have these options.

use super::*;
use proptest::prelude::*;
use std::net::Ipv4Addr;

fn key() -> AoKey {
    AoKey {
        peer: Ipv4Addr::new(192, 0, 2, 9).into(),
        prefix: 32,
        send_id: 100,
        recv_id: 101,
        algorithm: "hmac(sha1)".into(),
        key: b"secret".to_vec(),
        mac_len: 12,
        index: 7,
        exclude_options: true,
        set_current: false,
        set_next: true,
    }
}

/// Bytes with the given parts, zeros in between.
fn laid_out(len: usize, parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; len];
    for (at, part) in parts {
        bytes[*at..][..part.len()].copy_from_slice(part);
    }
    bytes
}

const PEER: [(usize, &[u8]); 2] = [(0, &2u16.to_ne_bytes()), (4, &[192, 0, 2, 9])];

#[test]
fn a_key_is_laid_out_as_in_the_header() {
    let second = if cfg!(target_endian = "big") {
        1u32 << 30
    } else {
        2
    };
    let expected = laid_out(
        288,
        &[
            PEER[0],
            PEER[1],
            (128, b"hmac(sha1)"),
            (192, &7u32.to_ne_bytes()),
            (196, &second.to_ne_bytes()),
            (202, &[32, 100, 101, 12, 3, 6]),
            (208, b"secret"),
        ],
    );
    assert_eq!(AddBytes::encode(key()).as_ref(), expected);
}

#[test]
fn a_deletion_is_laid_out_as_in_the_header() {
    let first_and_third = if cfg!(target_endian = "big") {
        0b101u32 << 29
    } else {
        0b101
    };
    let expected = laid_out(
        144,
        &[
            PEER[0],
            PEER[1],
            (132, &first_and_third.to_ne_bytes()),
            (138, &[32, 100, 101, 5, 0, 0]),
        ],
    );
    let deletion = AoKeyDeletion {
        peer: key().peer,
        prefix: 32,
        send_id: 100,
        recv_id: 101,
        index: 0,
        current: Some(5),
        next: None,
        is_async: true,
    };
    assert_eq!(DeleteBytes::encode(deletion).as_ref(), expected);
}

#[test]
fn a_key_that_the_kernel_tells_is_read_field_by_field() {
    let first = if cfg!(target_endian = "big") {
        1u16 << 15
    } else {
        1
    };
    let mut bytes = laid_out(
        GET_BYTES,
        &[
            PEER[0],
            PEER[1],
            (128, b"hmac(sha1)"),
            (192, b"secret"),
            (272, &1u32.to_ne_bytes()),
            (276, &first.to_ne_bytes()),
            (278, &[100, 101, 32, 12, 2, 6]),
            (284, &7u32.to_ne_bytes()),
            (288, &40u64.to_ne_bytes()),
            (296, &2u64.to_ne_bytes()),
        ],
    );
    let state = AoKeyState::decode(&bytes).unwrap();
    let expected = AoKey {
        set_current: true,
        set_next: false,
        ..key()
    };
    assert_eq!(state.key, expected);
    assert_eq!((state.good, state.bad), (40, 2));
    // A key longer than its place.
    bytes[283] = 81;
    assert_eq!(AoKeyState::decode(&bytes), None);
    assert!(!format!("{state:?}").contains("115, 101"), "{state:?}");
}

#[test]
fn all_keys_are_asked_for_with_as_much_room_as_told() {
    let entries = AoKeyState::question(16);
    assert_eq!(entries.len(), 16);
    let bytes = entries[0];
    let third = if cfg!(target_endian = "big") {
        1u16 << 13
    } else {
        4
    };
    assert_eq!(bytes[276..278], third.to_ne_bytes());
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        current: Option<u8>, next: Option<u8>, on: [bool; 3], counters: [u64; 5],
    ) {
        let [is_required, accepts_icmp, set_counters] = on;
        let [good, bad, without_key, unproven, ignored_icmp] = counters;
        let info = AoInfo {
            current, next, is_required, accepts_icmp, set_counters,
            good, bad, without_key, unproven, ignored_icmp,
        };
        let bytes = InfoBytes::encode(info);
        prop_assert_eq!(InfoBytes::decode(bytes.as_ref()), Some(info));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert_eq!(InfoBytes::decode(&bytes).is_some(), bytes.len() >= INFO_BYTES);
        let state = AoKeyState::decode(&bytes);
        prop_assert!(state.is_none() || bytes.len() >= GET_BYTES);
    }
}

/// A kernel that has so many keys, and fills as many entries as there is room for.
fn with_keys(count: u32) -> Result<Vec<AoKeyState>> {
    let family = u16::try_from(libc::AF_INET).unwrap();
    all_keys(|entries| {
        assert!(entries.len() <= KEYS_MAX as usize, "no more room than that");
        for (number, entry) in (0..count).zip(entries) {
            put(entry, 0, &family.to_ne_bytes());
            put(entry, 4, &number.to_be_bytes());
        }
        Ok(count)
    })
}

#[test]
fn so_many_keys_of_one_socket_are_read_and_one_more_is_an_error() {
    for count in [0, 1, 15, 16, 17, KEYS_MAX - 1, KEYS_MAX] {
        let keys = with_keys(count).unwrap();
        assert_eq!(keys.len(), count as usize);
        let last = keys.last().map(|last| last.key.peer);
        let expected = count.checked_sub(1).map(Ipv4Addr::from_bits);
        assert_eq!(last, expected.map(IpAddr::from));
    }
    for count in [KEYS_MAX + 1, u32::MAX] {
        let error = with_keys(count).unwrap_err();
        assert!(
            error.to_string().contains(&format!("{count} keys")),
            "{error}"
        );
    }
}
