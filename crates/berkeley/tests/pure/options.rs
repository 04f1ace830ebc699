//! The values of options: as bytes and back, and any bytes that a kernel may answer.

use std::fmt::Debug;
use std::net::Ipv4Addr;
use std::time::Duration;

use berkeley::Family;
use berkeley::opt::multicast::{AddMembership, InterfaceV4, MembershipV4};
use berkeley::opt::{self, GetOpt, SetOpt};
use proptest::prelude::*;

fn encoded<O: SetOpt>(_option: O, value: O::Value) -> Vec<u8> {
    O::encode(value).as_ref().to_vec()
}

/// What is set is what is read; and what a kernel cuts off is a value or none.
fn keeps<O>(option: O, value: O::Value)
where
    O: GetOpt + SetOpt,
    O::Value: Clone + PartialEq + Debug,
{
    let bytes = encoded(option, value.clone());
    assert_eq!(O::decode(&bytes), Some(value), "{}", O::LABEL);
    for len in 0..bytes.len() {
        drop(O::decode(&bytes[..len]));
    }
}

/// Reads any bytes, whatever they make.
fn reads<O: GetOpt>(_option: O, bytes: &[u8]) {
    drop(O::decode(bytes));
}

proptest! {
    #[test]
    fn what_is_set_is_what_is_read(
        flag in any::<bool>(),
        small in any::<u8>(),
        count in 0..i32::MAX.cast_unsigned(),
        bits in any::<u32>(),
        large in any::<u64>(),
    ) {
        keeps(opt::ReuseAddr, flag);
        keeps(opt::SendBuffer, count);
        keeps(opt::Mark, bits);
        keeps(opt::MaxPacingRate, large);
        keeps(opt::PeekOffset, flag.then_some(count));
        keeps(opt::ip::Ttl, small);
        keeps(opt::ip::IcmpFilter, bits);
        keeps(opt::ip::UnicastInterface, bits);
        keeps(opt::ipv6::UnicastInterface, bits);
        keeps(opt::udp::Segment, u16::from(small));
        keeps(opt::ipv6::AddressForm, Family::from_raw(count.cast_signed()));
    }

    #[test]
    fn times_in_the_kernels_units_are_what_is_read(units in 1_u32..2_000_000_000) {
        let micros = Duration::from_micros(units.into());
        keeps(opt::BusyPoll, micros);
        keeps(opt::RecvTimeout, Some(micros));
        keeps(opt::SendTimeoutNew, Some(micros));
        keeps(opt::tcp::UserTimeout, Some(Duration::from_millis(units.into())));
        keeps(opt::KeepIdle, Duration::from_secs(units.into()));
        keeps(opt::Linger, Some(Duration::from_secs(units.into())));
        keeps(opt::can::IsotpTxPause, Duration::from_nanos(units.into()));
    }

    #[test]
    fn no_time_is_encoded_as_a_shorter_one(nanos in 1_u64..(1 << 50)) {
        let asked = Duration::from_nanos(nanos);
        let read = |bytes: Vec<u8>| opt::RecvTimeout::decode(&bytes).unwrap().unwrap();
        let told = read(encoded(opt::RecvTimeout, Some(asked)));
        prop_assert!(told >= asked && told - asked < Duration::from_micros(1));
    }

    #[test]
    fn names_and_bytes_are_what_is_read(
        name in "[a-z0-9.@-]{1,15}",
        bytes in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        keeps(opt::BindToDevice, name.parse().unwrap());
        keeps(opt::tcp::Congestion, name.parse().unwrap());
        keeps(opt::ip::Options, bytes);
    }

    #[test]
    fn any_answer_is_a_value_or_none(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        reads(opt::ReuseAddr, &bytes);
        reads(opt::Linger, &bytes);
        reads(opt::RecvTimeout, &bytes);
        reads(opt::PendingError, &bytes);
        reads(opt::PeerCredentials, &bytes);
        reads(opt::PeerGroups, &bytes);
        reads(opt::Timestamping, &bytes);
        reads(opt::BindToDevice, &bytes);
        reads(opt::ip::LocalPortRange, &bytes);
        reads(opt::ip::MulticastInterface, &bytes);
        reads(opt::ipv6::IcmpFilter, &bytes);
        reads(opt::can::RawFilter, &bytes);
        reads(opt::can::IsotpOptions, &bytes);
        reads(opt::tcp::Info, &bytes);
        reads(opt::tcp::RepairWindow, &bytes);
        reads(opt::packet::Fanout, &bytes);
    }
}

#[test]
fn a_membership_is_laid_out_as_the_kernel_reads_it() {
    let group = Ipv4Addr::new(239, 1, 2, 3);
    let (addr, index) = (Ipv4Addr::LOCALHOST, 7);
    let bytes = encoded(AddMembership, MembershipV4 { group, addr, index });
    assert_eq!(bytes[..8], [239, 1, 2, 3, 127, 0, 0, 1]);
    assert_eq!(bytes[8..], 7_i32.to_ne_bytes());
    let interface = InterfaceV4 { addr, index };
    assert_eq!(
        encoded(opt::ip::MulticastInterface, interface)[4..8],
        [127, 0, 0, 1]
    );
}
