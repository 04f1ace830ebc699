//! Names to addresses, in the one form that most callers need.

use crate::addr::Addr;
use crate::error::Result;
use crate::kinds::{Family, Kind};
use crate::names::Query;

/// The addresses of `host` with `port`, the best one first (RFC 6724), each once.
///
/// `host` is a name, an IPv4 address or an IPv6 address (with a zone: `fe80::1%eth0`).
/// [`Family::UNSPEC`] asks for both families. The call asks the system's resolver and waits for
/// it; [`Query`] has all the other hints, and a deadline.
///
/// # Errors
/// [`crate::Error::Resolve`] with the resolver's reason.
///
/// # References
/// getaddrinfo(3).
#[doc(alias = "getaddrinfo")]
pub fn resolve(host: &str, port: u16, family: Family, kind: Kind) -> Result<Vec<Addr>> {
    let query = Query::host(host).port(port).family(family).kind(kind);
    let mut found = Vec::new();
    for info in query.resolve()? {
        if !found.contains(&info.addr) {
            found.push(info.addr);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numeric_address_resolves_to_itself() {
        let found = resolve("127.0.0.1", 80, Family::UNSPEC, Kind::STREAM).unwrap();
        assert_eq!(
            found,
            [Addr::from(
                "127.0.0.1:80".parse::<std::net::SocketAddr>().unwrap()
            )]
        );
    }

    #[test]
    fn a_name_that_cannot_exist_is_an_error_with_its_name() {
        let error = resolve("a\0b", 80, Family::UNSPEC, Kind::STREAM).unwrap_err();
        assert!(error.to_string().contains("zero byte"), "{error}");
    }
}
