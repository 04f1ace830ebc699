//! Places as people write them, and numbers in the order of the network.

use berkeley::inet::{htonl, htons, inet_aton, inet_ntoa, ntohl, ntohs};
use berkeley::{Endpoint, Errno, Family, MsgFlags};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_place_is_read_back_from_its_text(
        scheme in prop::sample::select(vec!["tcp", "udp"]),
        ip in any::<[u8; 4]>(),
        port in any::<u16>(),
    ) {
        let [a, b, c, d] = ip;
        let text = format!("{scheme}://{a}.{b}.{c}.{d}:{port}");
        let place: Endpoint = text.parse().unwrap();
        prop_assert_eq!(place.to_string().parse::<Endpoint>().unwrap(), place);
    }

    #[test]
    fn any_text_is_a_place_or_an_error(text in "(tcp://|udp://|unix://|unix-dgram://)?\\PC{0,30}") {
        if let Ok(place) = text.parse::<Endpoint>() {
            prop_assert!(!place.to_string().is_empty());
        }
    }

    #[test]
    fn numbers_come_back_from_the_networks_order(short in any::<u16>(), long in any::<u32>()) {
        prop_assert_eq!(ntohs(htons(short)), short);
        prop_assert_eq!(ntohl(htonl(long)), long);
        prop_assert_eq!(htons(short).to_ne_bytes(), short.to_be_bytes());
    }

    #[test]
    fn an_address_is_read_back_from_its_dots(ip in any::<u32>()) {
        let ip = std::net::Ipv4Addr::from_bits(ip);
        prop_assert_eq!(inet_aton(&inet_ntoa(ip)).unwrap(), ip);
    }

    #[test]
    fn a_number_without_a_name_survives(number in any::<i32>()) {
        prop_assert_eq!(Family::from_raw(number).raw(), number);
        prop_assert_eq!(MsgFlags::from_raw(number).raw(), number);
        prop_assert_eq!(Errno::from_raw(number).raw(), number);
        let shown = format!("{:?} {}", Family::from_raw(number), Errno::from_raw(number));
        prop_assert!(!shown.is_empty());
    }
}
