//! Who counts as one host for the limit of connections per address.

use std::net::IpAddr;

use berkeley::Addr;

/// One host, or what stands for one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Guests {
    /// An IPv4 address.
    V4([u8; 4]),
    /// The first half of an IPv6 address: a host usually has a whole /64 to choose from.
    V6([u8; 8]),
    /// Everybody on this machine who comes by a Unix socket.
    Local,
}

impl Guests {
    /// The host behind an address; without one it came by a Unix socket.
    #[must_use]
    pub fn of(addr: Option<&Addr>) -> Self {
        match addr.and_then(Addr::ip) {
            Some(IpAddr::V4(ip)) => Self::V4(ip.octets()),
            Some(IpAddr::V6(ip)) => {
                let octets = ip.octets();
                octets
                    .first_chunk()
                    .map_or(Self::Local, |network| Self::V6(*network))
            }
            None => Self::Local,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_counts_as_one_host_and_two_ipv4_addresses_as_two() {
        let of = |text: &str| {
            Guests::of(Some(&Addr::from(
                text.parse::<std::net::SocketAddr>().unwrap(),
            )))
        };
        assert_eq!(of("[2001:db8::1]:1"), of("[2001:db8::ffff]:2"));
        assert_ne!(of("[2001:db8::1]:1"), of("[2001:db8:0:1::1]:1"));
        assert_ne!(of("192.0.2.1:1"), of("192.0.2.2:1"));
        assert_eq!(of("192.0.2.1:1"), of("[::ffff:192.0.2.1]:1"));
        assert_eq!(Guests::of(None), Guests::Local);
    }
}
